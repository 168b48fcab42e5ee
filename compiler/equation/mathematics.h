/* Elementary functions in double from additions, multiplications, divisions and square roots alone, so that every machine and every C library
 * computes the same tables, constants and references, to the last bit. Within about 1 ulp (pow: a few more for large exponents).
 * sin and cos reduce exactly up to 1e8; beyond that they are the C library's. */
#ifndef GM_EQUATION_MATHEMATICS_H
#define GM_EQUATION_MATHEMATICS_H

double math_exp(double x);
double math_log(double x);
double math_log1p(double x);
double math_sin(double x);
double math_cos(double x);
double math_tanh(double x);
double math_sigmoid(double x);
double math_erf(double x);
double math_pow(double x, double y);

#endif
