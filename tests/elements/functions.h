/* Element functions and chains of them: as a model says them, what they are in double, and how far off they may be.
 *
 * FUNCTION(name, equation of x, exact value of x, absolute, ulps, largest |x|)
 *   error at most max(absolute, ulps * distance of floats at the exact value); beyond the largest |x| only |value| <= 1 is asked
 * The exact values are written with the C library's functions, which nothing else here uses, and without cancellation. */
#ifndef GM_TESTS_ELEMENTS_FUNCTIONS_H
#define GM_TESTS_ELEMENTS_FUNCTIONS_H

#include <math.h>

#define ROOT_HALF 0.70710678118654752440
#define ROOT_TWO_OVER_PI 0.79788456080286535588

static inline double exact_softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static inline double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* x f(x) where f tends to 0 faster: what the equation says at minus infinity is NaN. */
#define FUNCTIONS(FUNCTION)                                                                                                                \
    FUNCTION(exp, "exp(x)", exp(x), 0, 2, INFINITY)                                                                                        \
    FUNCTION(log, "log(x)", log(x), 0, 2, INFINITY)                                                                                        \
    FUNCTION(log1p, "log1p(x)", log1p(x), 0, 3, INFINITY)                                                                                  \
    FUNCTION(rsqrt, "rsqrt(x)", 1 / sqrt(x), 0, 2, INFINITY)                                                                               \
    FUNCTION(tanh, "tanh(x)", tanh(x), 0, 2.5, INFINITY)                                                                                   \
    FUNCTION(sigmoid, "sigmoid(x)", exact_sigmoid(x), 0, 3, INFINITY)                                                                      \
    FUNCTION(erf, "erf(x)", erf(x), 0, 2, INFINITY)                                                                                        \
    FUNCTION(sin, "sin(x)", sin(x), 0, 2, 1.2e5)                                                                                           \
    FUNCTION(cos, "cos(x)", cos(x), 0, 2, 1.2e5)                                                                                           \
    FUNCTION(pow, "pow(x, 1.75)", pow(x, 1.75), 0, 3, INFINITY)                                                                              \
    FUNCTION(gelu, "gelu(x)", 0.5 * x * erfc(-x * ROOT_HALF), 3e-7, 1, INFINITY)                                                           \
    FUNCTION(gelu_tanh, "gelu_tanh(x)", x * exact_sigmoid(2 * ROOT_TWO_OVER_PI * (x + 0.044715 * x * x * x)), 3e-7, 1, INFINITY)           \
    FUNCTION(quick_gelu, "quick_gelu(x)", x * exact_sigmoid(1.702 * x), 3e-7, 1, INFINITY)                                                 \
    FUNCTION(silu, "silu(x)", x * exact_sigmoid(x), 3e-7, 1, INFINITY)                                                                     \
    FUNCTION(softplus, "softplus(x)", exact_softplus(x), 3e-7, 1, INFINITY)                                                                \
    FUNCTION(mish, "mish(x)", x * tanh(exact_softplus(x)), 3e-7, 1, INFINITY)                                                              \
    FUNCTION(elu, "elu(x)", x > 0 ? x : expm1(x), 3e-7, 1, INFINITY)                                                                       \
    FUNCTION(bell, "exp(-x * x)", exp(-x * x), 0, 40, 8)                                                                                   \
    FUNCTION(wave, "x * exp(-0.5 * x * x)", x * exp(-0.5 * x * x), 3e-7, 1, INFINITY)                                                      \
    FUNCTION(step, "0.5 * tanh(3 * (x - 1)) * abs(tanh(x))", 0.5 * tanh(3 * (x - 1)) * fabs(tanh(x)), 4e-7, 1, INFINITY)

#endif
