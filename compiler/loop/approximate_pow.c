/* pow(a, b) = e^(b log a), with the logarithm and the product in two floats each: their error counts up to 88-fold in the result.
 * Products are split after Dekker ("A floating-point technique for extending the available precision", 1971), so that nothing
 * depends on fused multiply-add. Special cases are those of C99 annex F. */
#include "loop/approximate.h"

#include <float.h>
#include <math.h>

static Value *number(Maths *m, double value)
{
    return maths_number(m, value);
}

static Value *keep_op(Maths *m, const char *name, Op op, Value *a, Value *b)
{
    return maths_keep(m, name, maths_op(m, op, a, b));
}

/* x = high + low, with 12 bits each. */
static void split(Maths *m, Value *x, Value **high, Value **low)
{
    Value *scaled = keep_op(m, "scaled", OP_MUL, x, number(m, 4097));
    Value *excess = keep_op(m, "excess", OP_SUB, scaled, x);
    *high = keep_op(m, "high", OP_SUB, scaled, excess);
    *low = keep_op(m, "low", OP_SUB, x, *high);
}

/* a * b = *product + *error, exactly. */
static void product(Maths *m, Value *a, Value *b, Value **rounded, Value **error)
{
    Value *ah, *al, *bh, *bl;
    split(m, a, &ah, &al);
    split(m, b, &bh, &bl);
    *rounded = keep_op(m, "product", OP_MUL, a, b);
    Value *sum = keep_op(m, "sum", OP_SUB, maths_op(m, OP_MUL, ah, bh), *rounded);
    sum = keep_op(m, "sum", OP_ADD, sum, maths_op(m, OP_MUL, ah, bl));
    sum = keep_op(m, "sum", OP_ADD, sum, maths_op(m, OP_MUL, al, bh));
    *error = keep_op(m, "error", OP_ADD, sum, maths_op(m, OP_MUL, al, bl));
}

/* (atanh(s) / s - 1) / s^2 over s^2 for |s| <= 0.1716: 6e-10. */
static const double atanh_coefficients[] = {0.333333343, 0.200000629, 0.142751709, 0.116716146};

/* log x = *high + *low to about 2^-29, for finite x > 0. */
static void logarithm(Maths *m, Value *x, Value **high, Value **low)
{
    Value *mantissa, *exponent, *rounded, *error;
    maths_split(m, x, &mantissa, &exponent);
    Value *above = keep_op(m, "above", OP_SUB, mantissa, number(m, 1)), *below = keep_op(m, "below", OP_ADD, mantissa, number(m, 1));
    Value *below_low = keep_op(m, "below_low", OP_SUB, mantissa, maths_op(m, OP_SUB, below, number(m, 1)));
    Value *s = keep_op(m, "s", OP_DIV, above, below);
    product(m, s, below, &rounded, &error);
    Value *rest = keep_op(m, "rest", OP_SUB, maths_op(m, OP_SUB, above, rounded), error);
    rest = maths_op(m, OP_SUB, rest, maths_op(m, OP_MUL, s, below_low));
    Value *s_low = keep_op(m, "s_low", OP_DIV, rest, below);
    Value *square = keep_op(m, "square", OP_MUL, s, s);
    Value *cube = maths_op(m, OP_MUL, square, s);
    Value *series = maths_op(m, OP_MUL, cube, maths_polynomial(m, square, atanh_coefficients, 4));
    Value *tail = keep_op(m, "tail", OP_MUL, maths_op(m, OP_ADD, s_low, series), number(m, 2));
    tail = maths_keep(m, "tail", maths_fma(m, exponent, number(m, -0.000212194440), tail));
    Value *main_part = keep_op(m, "main", OP_MUL, exponent, number(m, 0.693359375)), *twice = keep_op(m, "twice", OP_MUL, s, number(m, 2));
    /* Exact sum of the two (Knuth). */
    Value *sum = keep_op(m, "sum", OP_ADD, main_part, twice);
    Value *second = keep_op(m, "second", OP_SUB, sum, main_part);
    Value *first = keep_op(m, "first", OP_SUB, sum, second);
    Value *lost = maths_op(m, OP_ADD, maths_op(m, OP_SUB, main_part, first), maths_op(m, OP_SUB, twice, second));
    Value *small = keep_op(m, "small", OP_ADD, lost, tail);
    *high = keep_op(m, "log_high", OP_ADD, sum, small);
    *low = keep_op(m, "log_low", OP_SUB, small, maths_op(m, OP_SUB, *high, sum));
}

/* |a|^b for every |a| and b that is no NaN. */
static Value *magnitude(Maths *m, Value *size, Value *b)
{
    Value *high, *low, *rounded, *error;
    logarithm(m, size, &high, &low);
    product(m, b, high, &rounded, &error);
    error = maths_keep(m, "error", maths_fma(m, b, low, error));
    Value *near = maths_op(m, OP_LT, maths_op(m, OP_ABS, rounded, NULL), number(m, 128));
    error = maths_keep(m, "error", maths_select(m, near, error, number(m, 0)));
    Value *inside = maths_op(m, OP_MIN, maths_op(m, OP_MAX, rounded, number(m, -105)), number(m, 90));
    Value *finite = maths_keep(m, "finite", maths_exp(m, maths_keep(m, "inside", inside), error));
    Value *rising = maths_keep(m, "rising", maths_op(m, OP_LT, number(m, 0), b));
    Value *of_zero = maths_select(m, rising, number(m, 0), number(m, INFINITY));
    Value *of_infinity = maths_select(m, rising, number(m, INFINITY), number(m, 0));
    Value *result = maths_select(m, maths_op(m, OP_EQ, size, number(m, 0)), of_zero, finite);
    result = maths_select(m, maths_op(m, OP_LT, number(m, FLT_MAX), size), of_infinity, result);
    return maths_select(m, maths_op(m, OP_EQ, size, number(m, 1)), number(m, 1), result);
}

Value *maths_pow(Maths *m, Value *a, Value *b)
{
    Value *size = keep_op(m, "size", OP_ABS, a, NULL);
    Value *power = maths_keep(m, "power", magnitude(m, size, b));
    Value *half = keep_op(m, "half", OP_MUL, b, number(m, 0.5));
    Value *integral = keep_op(m, "integral", OP_EQ, maths_op(m, OP_FLOOR, b, NULL), b);
    Value *odd = maths_op(m, OP_AND, integral, maths_op(m, OP_NE, maths_op(m, OP_FLOOR, half, NULL), half));
    Value *negative = maths_op(m, OP_LT, maths_with_sign(m, number(m, 1), a), number(m, 0));
    Value *result = maths_select(m, maths_op(m, OP_AND, negative, odd), maths_op(m, OP_NEG, power, NULL), power);
    Value *finite_below = maths_op(m, OP_AND, maths_op(m, OP_LT, a, number(m, 0)), maths_op(m, OP_LE, size, number(m, FLT_MAX)));
    Value *no_root = maths_op(m, OP_AND, finite_below, maths_op(m, OP_NOT, integral, NULL));
    result = maths_select(m, no_root, number(m, NAN), result);
    Value *unordered = maths_op(m, OP_OR, maths_op(m, OP_NE, a, a), maths_op(m, OP_NE, b, b));
    result = maths_select(m, unordered, maths_op(m, OP_ADD, a, b), result);
    Value *one = maths_op(m, OP_OR, maths_op(m, OP_EQ, b, number(m, 0)), maths_op(m, OP_EQ, a, number(m, 1)));
    return maths_select(m, one, number(m, 1), result);
}
