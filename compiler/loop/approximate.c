/* exp, log, sin, erf and their like as straight-line loop code, once for every back end and number of lanes.
 * In: a function of functions.def.  Out: a LoopFunction.  Ranges are reduced without relying on fused multiply-add, so that the
 * scalar form is as exact as the others. Polynomials are minimax fits of our own; their errors are noted beside them in units of
 * the result. tests/unit/loop.c checks every function against double over all exponents. */
#include "loop/approximate.h"

#include "support/bug.h"

#include <float.h>
#include <math.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* --- arithmetic ---------------------------------------------------------------------------------------------------- */
Value *maths_number(Maths *m, double number)
{
    return build_number(m->builder, m->real, number);
}

Value *maths_keep(Maths *m, const char *name, Value *value)
{
    return build_let(m->builder, name, value);
}

Value *maths_op(Maths *m, Op op, Value *a, Value *b)
{
    return build_op(m->builder, op, a, b, NULL);
}

Value *maths_fma(Maths *m, Value *a, Value *b, Value *c)
{
    return build_op(m->builder, OP_FMA, a, b, c);
}

Value *maths_select(Maths *m, Value *condition, Value *yes, Value *no)
{
    return build_op(m->builder, OP_SELECT, condition, yes, no);
}

Value *maths_polynomial(Maths *m, Value *x, const double *coefficients, int count)
{
    Value *sum = maths_number(m, coefficients[count - 1]);
    for (int k = count - 2; k >= 0; k--) sum = maths_keep(m, "p", maths_fma(m, sum, x, maths_number(m, coefficients[k])));
    return sum;
}

static Value *whole(Maths *m, int64_t number)
{
    return build_whole(m->builder, m->whole, number);
}

static Value *compare(Maths *m, Op op, Value *a, double number)
{
    return maths_op(m, op, a, maths_number(m, number));
}

/* A number in which one unit of the last place is 1: a sum with it is rounded to an integer, which its low bits hold. */
#define ROUNDER 12582912.0
#define ROUNDER_BITS 0x4b400000

/* The nearest integer to a * b (b NULL: to a), |a * b| < 2^21, as T; *bits: the same plus ROUNDER_BITS. */
static Value *nearest(Maths *m, Value *a, Value *b, Value **bits)
{
    Value *rounder = maths_number(m, ROUNDER);
    Value *sum = maths_keep(m, "sum", b ? maths_fma(m, a, b, rounder) : maths_op(m, OP_ADD, a, rounder));
    *bits = maths_op(m, OP_FLOAT_TO_BITS, sum, NULL);
    return maths_keep(m, "n", maths_op(m, OP_SUB, sum, rounder));
}

/* x * 2^n, both x and the result normal; `bits` as nearest() gives them. */
static Value *times_power_of_two(Maths *m, Value *x, Value *bits)
{
    Value *exponent = build_shift(m->builder, OP_SHIFT_LEFT, bits, 23); /* ROUNDER_BITS leaves on the left */
    return maths_op(m, OP_BITS_TO_FLOAT, maths_op(m, OP_ADD, maths_op(m, OP_FLOAT_TO_BITS, x, NULL), exponent), NULL);
}

Value *maths_with_sign(Maths *m, Value *magnitude, Value *sign)
{
    Value *bit = maths_op(m, OP_AND, maths_op(m, OP_FLOAT_TO_BITS, sign, NULL), whole(m, INT32_MIN));
    return maths_op(m, OP_BITS_TO_FLOAT, maths_op(m, OP_OR, maths_op(m, OP_FLOAT_TO_BITS, magnitude, NULL), bit), NULL);
}

/* --- exponential --------------------------------------------------------------------------------------------------- */
/* (e^r - 1 - r) / r^2 on [-ln2/2, ln2/2]: 3e-9 of e^r. */
static const double exp_coefficients[] = {0.49999994, 0.166665196, 0.0416683927, 0.00836878084, 0.00138144649};
/* ln 2 in two parts, the first of 9 bits: its product with an exponent is exact. */
#define LN2_HIGH 0.693359375
#define LN2_LOW -0.000212194440

/* x = n ln2 + r; gives e^r, n, and n plus ROUNDER_BITS. */
static Value *exp_reduced(Maths *m, Value *x, Value *low, Value **n, Value **bits)
{
    *n = nearest(m, x, maths_number(m, 1.44269504), bits);
    Value *rough = maths_keep(m, "r", maths_fma(m, *n, maths_number(m, -LN2_HIGH), x));
    Value *r = maths_fma(m, *n, maths_number(m, -LN2_LOW), rough);
    if (low) r = maths_op(m, OP_ADD, r, low);
    r = maths_keep(m, "r", r);
    Value *q = maths_polynomial(m, r, exp_coefficients, COUNT(exp_coefficients));
    Value *square = maths_op(m, OP_MUL, r, r);
    return maths_op(m, OP_ADD, maths_fma(m, q, square, r), maths_number(m, 1));
}

Value *maths_exp(Maths *m, Value *high, Value *low)
{
    Value *bits = NULL;
    Value *n = NULL, *power = exp_reduced(m, high, low, &n, &bits);
    return maths_op(m, OP_SCALE, power, n);
}

/* e^x for x in [-86, 87] without further care. */
static Value *exp_inside(Maths *m, Value *x)
{
    Value *n = NULL, *bits = NULL;
    Value *power = exp_reduced(m, x, NULL, &n, &bits);
    return times_power_of_two(m, power, bits);
}

static Value *clamp(Maths *m, Value *x, double low, double high)
{
    return maths_op(m, OP_MIN, maths_op(m, OP_MAX, x, maths_number(m, low)), maths_number(m, high)); /* a NaN becomes `low` */
}

static Value *nan_kept(Maths *m, Value *x, Value *result)
{
    return maths_select(m, maths_op(m, OP_NE, x, x), x, result);
}

static Value *function_exp(Maths *m, Value *x, Value *unused)
{
    (void)unused;
    /* The first operand gives way to a NaN. */
    Value *above = maths_op(m, OP_MAX, maths_number(m, -105), x);
    Value *inside = maths_keep(m, "inside", maths_op(m, OP_MIN, maths_number(m, 90), above)), *n = NULL, *bits = NULL;
    Value *power = exp_reduced(m, inside, NULL, &n, &bits);
    /* A masked score is 0 from the beginning: processors take a hundred times as long to round it to that. */
    Value *some = maths_select(m, compare(m, OP_LT, x, -104), maths_number(m, 0), power);
    return maths_op(m, OP_SCALE, some, n);
}

/* For x <= 0 or a NaN; 0 below 2^-126: see softmax.c. */
static Value *function_softmax_power(Maths *m, Value *x, Value *unused)
{
    (void)unused;
    Value *inside = maths_keep(m, "inside", maths_op(m, OP_MAX, maths_number(m, -88), x)), *n = NULL, *bits = NULL;
    Value *power = exp_reduced(m, inside, NULL, &n, &bits);
    return maths_select(m, compare(m, OP_LT, x, -87.3365), maths_number(m, 0), maths_op(m, OP_SCALE, power, n));
}

static Value *function_sigmoid(Maths *m, Value *x, Value *unused)
{
    (void)unused;
    m->function->uses[FN_EXP] = true;
    Value *e = maths_keep(m, "e", build_call(m->builder, FN_EXP, maths_op(m, OP_NEG, maths_op(m, OP_ABS, x, NULL), NULL), NULL));
    Value *upper = maths_keep(m, "upper", maths_op(m, OP_DIV, maths_number(m, 1), maths_op(m, OP_ADD, e, maths_number(m, 1))));
    return maths_select(m, compare(m, OP_LT, x, 0), maths_op(m, OP_MUL, e, upper), upper);
}

/* (tanh x - x) / x^3 over x^2 for |x| <= 0.625: 2e-10. */
static const double tanh_coefficients[] = {-0.333333313, 0.133332059, -0.053946685, 0.0217002686, -0.00817628764, 0.00214191223};

static Value *function_tanh(Maths *m, Value *x, Value *unused)
{
    (void)unused;
    Value *size = maths_keep(m, "size", maths_op(m, OP_ABS, x, NULL));
    Value *twice = maths_keep(m, "twice", maths_op(m, OP_MUL, maths_op(m, OP_MIN, size, maths_number(m, 10)), maths_number(m, 2)));
    Value *e = exp_inside(m, twice);
    Value *quotient = maths_op(m, OP_DIV, maths_number(m, 2), maths_op(m, OP_ADD, e, maths_number(m, 1)));
    Value *large = maths_keep(m, "large", maths_with_sign(m, maths_op(m, OP_SUB, maths_number(m, 1), quotient), x));
    Value *square = maths_keep(m, "square", maths_op(m, OP_MUL, x, x));
    Value *p = maths_polynomial(m, square, tanh_coefficients, COUNT(tanh_coefficients));
    Value *small = maths_keep(m, "small", maths_fma(m, maths_op(m, OP_MUL, p, square), x, x));
    return nan_kept(m, x, maths_select(m, compare(m, OP_LT, size, 0.625), small, large));
}

/* --- error function ------------------------------------------------------------------------------------------------ */
/* erf(x) / x - 1 over x^2 for |x| <= 0.93: 2e-8; log2(erfc t) / t on [0.92, 3.95]: 3e-9 of erf; 2^r for |r| <= 1/2: 8e-8, which
 * counts a fifth in erf. */
static const double erf_small[] = {0.128379151, -0.376124799, 0.112816826, -0.02676172, 0.00498594018, -0.000595373916};
static const double erf_large[] = {-1.62809682, -0.917165875, -0.151835933, 0.0330068469, -0.00463294797, 0.000308062328};
static const double power_coefficients[] = {1.00000012, 0.693146944, 0.240221187, 0.0555071346, 0.00967556424, 0.00132764468};

static Value *function_erf(Maths *m, Value *x, Value *unused)
{
    (void)unused;
    Value *bits = NULL;
    Value *size = maths_keep(m, "size", maths_op(m, OP_ABS, x, NULL));
    Value *t = maths_keep(m, "t", maths_op(m, OP_MIN, size, maths_number(m, 3.95))); /* from there on erf rounds to 1 */
    Value *exponent = maths_keep(m, "exponent", maths_op(m, OP_MUL, maths_polynomial(m, t, erf_large, COUNT(erf_large)), t));
    Value *r = maths_keep(m, "r", maths_op(m, OP_SUB, exponent, nearest(m, exponent, NULL, &bits)));
    Value *below = times_power_of_two(m, maths_polynomial(m, r, power_coefficients, COUNT(power_coefficients)), bits);
    Value *large = maths_with_sign(m, maths_op(m, OP_SUB, maths_number(m, 1), below), x);
    Value *square = maths_keep(m, "square", maths_op(m, OP_MUL, x, x));
    Value *small = maths_fma(m, maths_polynomial(m, square, erf_small, COUNT(erf_small)), x, x);
    /* A NaN goes the way of small values, which keeps it. */
    return maths_select(m, maths_op(m, OP_LT, maths_number(m, 0.925), size), large, small);
}

/* --- logarithm ----------------------------------------------------------------------------------------------------- */
void maths_split(Maths *m, Value *x, Value **mantissa, Value **exponent)
{
    Value *tiny = maths_keep(m, "tiny", compare(m, OP_LT, x, FLT_MIN));
    Value *scaled = maths_select(m, tiny, maths_op(m, OP_MUL, x, maths_number(m, 8388608)), x);
    Value *bits = maths_keep(m, "bits", maths_op(m, OP_FLOAT_TO_BITS, scaled, NULL));
    /* Counted from sqrt(1/2), so that the mantissa is near 1. */
    Value *above = maths_keep(m, "above", maths_op(m, OP_SUB, bits, whole(m, 0x3f3504f3)));
    Value *power = maths_keep(m, "power", build_shift(m->builder, OP_SHIFT_RIGHT, above, 23));
    *mantissa = maths_keep(m, "mantissa", maths_op(m, OP_BITS_TO_FLOAT,
                                                   maths_op(m, OP_SUB, bits, build_shift(m->builder, OP_SHIFT_LEFT, power, 23)), NULL));
    Value *less = maths_select(m, tiny, maths_number(m, 23), maths_number(m, 0));
    *exponent = maths_keep(m, "exponent", maths_op(m, OP_SUB, maths_op(m, OP_TO_FLOAT, power, NULL), less));
}

/* (log(1 + f) - f + f^2/2) / f^3 on [sqrt(1/2) - 1, sqrt(2) - 1]: 6e-9 of the logarithm. */
static const double log_coefficients[] = {0.333333313,  -0.250008225, 0.200012267, -0.166233569,
                                          0.142017618, -0.131601945, 0.127615497, -0.0763442963};

static Value *function_log(Maths *m, Value *x, Value *unused)
{
    (void)unused;
    Value *mantissa, *exponent;
    maths_split(m, x, &mantissa, &exponent);
    Value *f = maths_keep(m, "f", maths_op(m, OP_SUB, mantissa, maths_number(m, 1)));
    Value *square = maths_keep(m, "square", maths_op(m, OP_MUL, f, f));
    Value *p = maths_op(m, OP_MUL, maths_polynomial(m, f, log_coefficients, COUNT(log_coefficients)), f);
    Value *tail = maths_op(m, OP_MUL, maths_op(m, OP_SUB, p, maths_number(m, 0.5)), square);
    tail = maths_fma(m, exponent, maths_number(m, LN2_LOW), tail);
    Value *finite = maths_fma(m, exponent, maths_number(m, LN2_HIGH), maths_op(m, OP_ADD, f, tail));
    Value *zero = maths_select(m, compare(m, OP_EQ, x, 0), maths_number(m, -INFINITY), maths_number(m, NAN));
    Value *positive = maths_select(m, maths_op(m, OP_LE, x, maths_number(m, FLT_MAX)), finite, x); /* infinity and NaN are their own */
    return maths_select(m, compare(m, OP_LE, x, 0), zero, positive);
}

static Value *function_log1p(Maths *m, Value *x, Value *unused)
{
    (void)unused;
    m->function->uses[FN_LOG] = true;
    Value *u = maths_keep(m, "u", maths_op(m, OP_ADD, x, maths_number(m, 1)));
    Value *log_u = maths_keep(m, "log_u", build_call(m->builder, FN_LOG, u, NULL));
    /* What the sum lost, divided by u, is what its logarithm lost. */
    Value *lost = maths_op(m, OP_SUB, x, maths_op(m, OP_SUB, u, maths_number(m, 1)));
    Value *right = maths_op(m, OP_ADD, log_u, maths_op(m, OP_DIV, lost, u));
    Value *middle = maths_op(m, OP_AND, maths_op(m, OP_LT, maths_number(m, -1), x), compare(m, OP_LT, x, 1e8));
    Value *wide = maths_keep(m, "wide", maths_select(m, middle, right, log_u));
    return maths_select(m, compare(m, OP_LT, maths_op(m, OP_ABS, x, NULL), 1e-7), x, wide);
}

/* --- circle -------------------------------------------------------------------------------------------------------- */
/* (sin r - r) / r^3 and (cos r - 1 + r^2/2) / r^4 over r^2 for |r| <= pi/4: 5e-12 and 1e-10. */
static const double sin_coefficients[] = {-0.166666672, 0.00833332911, -0.000198393303, 2.71827435e-06};
static const double cos_coefficients[] = {0.0416666456, -0.00138873642, 2.44380899e-05};
/* pi/2 in parts of at most 8 bits and a rest: their products with the quarter turns in |x| < 1.2e5 are exact. Numbers there come
 * as near to a multiple of pi/2 as 4e-9. */
static const double quarter_turn[] = {1.5703125, 0.000484466553, -6.40749931e-07, 9.89530236e-10, 2.55795385e-12, 5.39030295e-15};
enum { EXACT_PARTS = 2 }; /* whose differences are exact too */

/* x - n pi/2: what the differences behind those lose is carried along. */
static Value *without_turns(Maths *m, Value *x, Value *n)
{
    Value *r = x, *lost = NULL;
    for (int k = 0; k + 1 < COUNT(quarter_turn); k++) {
        Value *next = maths_keep(m, "r", maths_fma(m, n, maths_number(m, -quarter_turn[k]), r));
        if (k >= EXACT_PARTS) {
            Value *error = maths_fma(m, n, maths_number(m, -quarter_turn[k]), maths_op(m, OP_SUB, r, next));
            lost = lost ? maths_op(m, OP_ADD, lost, error) : error;
        }
        r = next;
    }
    return maths_op(m, OP_ADD, r, maths_fma(m, n, maths_number(m, -quarter_turn[COUNT(quarter_turn) - 1]), lost));
}

static Value *circle(Maths *m, Value *x, int shift)
{
    Value *n = maths_keep(m, "n", maths_op(m, OP_ROUND, maths_op(m, OP_MUL, x, maths_number(m, 0.636619772)), NULL));
    Value *r = maths_keep(m, "r", clamp(m, without_turns(m, x, n), -0.8, 0.8)); /* |x| far beyond 1e5: inexact but bounded */
    /* The quadrant, in T: n may be too large for an integer. */
    Value *turned = shift ? maths_keep(m, "turned", maths_op(m, OP_ADD, n, maths_number(m, shift))) : n;
    Value *turns = maths_op(m, OP_FLOOR, maths_op(m, OP_MUL, turned, maths_number(m, 0.25)), NULL);
    Value *quadrant = maths_keep(m, "quadrant", maths_fma(m, turns, maths_number(m, -4), turned));
    Value *square = maths_keep(m, "square", maths_op(m, OP_MUL, r, r));
    Value *p = maths_polynomial(m, square, sin_coefficients, COUNT(sin_coefficients));
    Value *sine = maths_keep(m, "sine", maths_fma(m, maths_op(m, OP_MUL, p, square), r, r));
    Value *q = maths_polynomial(m, square, cos_coefficients, COUNT(cos_coefficients));
    Value *flat = maths_fma(m, square, maths_number(m, -0.5), maths_number(m, 1));
    Value *cosine = maths_keep(m, "cosine", maths_fma(m, maths_op(m, OP_MUL, q, square), square, flat));
    Value *odd = maths_op(m, OP_OR, compare(m, OP_EQ, quadrant, 1), compare(m, OP_EQ, quadrant, 3));
    Value *size = maths_keep(m, "value", maths_select(m, odd, cosine, sine));
    Value *result = maths_select(m, maths_op(m, OP_LE, maths_number(m, 2), quadrant), maths_op(m, OP_NEG, size, NULL), size);
    Value *finite = maths_op(m, OP_LE, maths_op(m, OP_ABS, x, NULL), maths_number(m, FLT_MAX));
    return maths_select(m, finite, result, maths_op(m, OP_SUB, x, x));
}

static Value *function_sin(Maths *m, Value *x, Value *unused)
{
    (void)unused;
    Value *tiny = compare(m, OP_LT, maths_op(m, OP_ABS, x, NULL), 0x1p-12); /* keeps the sign of 0 */
    return maths_select(m, tiny, x, maths_keep(m, "sine", circle(m, x, 0)));
}

static Value *function_cos(Maths *m, Value *x, Value *unused)
{
    (void)unused;
    return circle(m, x, 1);
}

/* --- the table ----------------------------------------------------------------------------------------------------- */
typedef Value *Approximation(Maths *m, Value *a, Value *b);
/* Callees before callers. */
static const struct {
    int function;     /* as in Value.function */
    const char *name;
    Approximation *body;
    double ulps;      /* a table within this is used instead where it is cheaper; 0: no table */
    int cost;         /* vector instructions of the body, roughly */
} table[] = {
    {FN_EXP, "gm_exp", function_exp, 0, 0},
    {SOFTMAX_POWER, "gm_softmax_power", function_softmax_power, 0, 0},
    {FN_LOG, "gm_log", function_log, 0, 0},
    {FN_LOG1P, "gm_log1p", function_log1p, 0, 0},
    {FN_SIN, "gm_sin", function_sin, 0, 0},
    {FN_COS, "gm_cos", function_cos, 0, 0},
    {FN_TANH, "gm_tanh", function_tanh, 2.5, 40},
    {FN_SIGMOID, "gm_sigmoid", function_sigmoid, 0, 0},
    {FN_ERF, "gm_erf", function_erf, 0, 0},
    {FN_POW, "gm_pow", maths_pow, 0, 0},
};

static int table_row(int function)
{
    for (int k = 0; k < COUNT(table); k++)
        if (table[k].function == function) return k;
    return -1;
}

bool approximate_exists(Function function)
{
    return table_row(function) >= 0;
}

LoopFunction *loop_function(Arena *arena, int function, int lanes, Maths *maths)
{
    LoopFunction *result = arena_new_object(arena, LoopFunction);
    result->function = function;
    result->lanes = lanes;
    result->parameter_count = function_arity(function);
    Builder *builder = builder_new(arena, lanes, NULL, &result->body);
    *maths = (Maths){builder, result, builder_vector_type(builder), lanes == 1 ? VALUE_I32 : VALUE_IVECTOR};
    for (int k = 0; k < result->parameter_count; k++) result->parameters[k] = build_name(builder, maths->real, k ? "y" : "x");
    return result;
}

LoopFunction *approximate(Arena *arena, Fits *fits, int function, const Target *target, int lanes)
{
    if (function >= FUNCTION_COUNT && function < SOFTMAX_POWER) return fitted_function(arena, fits, function, target, lanes);
    int row = table_row(function);
    if (row < 0) bug("no approximation of function %d", function);
    Maths maths;
    LoopFunction *result = loop_function(arena, function, lanes, &maths);
    Value *parameters[2] = {NULL, NULL};
    for (int k = 0; k < result->parameter_count; k++) parameters[k] = build_variable(maths.builder, result->parameters[k]);
    const Fit *fit = table[row].ulps > 0 ? fits_function(fits, (Function)table[row].function, table[row].ulps, target, table[row].cost) : NULL;
    result->name = table[row].name;
    result->result = fit ? maths_table(&maths, fit, parameters[0]) : table[row].body(&maths, parameters[0], parameters[1]);
    return result;
}

void approximate_all(Arena *arena, Fits *fits, const bool *uses, const Target *target, int lanes, LoopFunctions *list)
{
    bool wanted[MOST_FUNCTIONS];
    memcpy(wanted, uses, sizeof wanted);
    if (wanted[FN_LOG1P]) wanted[FN_LOG] = true;
    if (wanted[FN_SIGMOID]) wanted[FN_EXP] = true;
    for (int k = 0; k < COUNT(table); k++)
        if (wanted[table[k].function]) list_push(arena, list, approximate(arena, fits, table[k].function, target, lanes));
    for (int function = FUNCTION_COUNT; function < SOFTMAX_POWER; function++)
        if (wanted[function]) list_push(arena, list, approximate(arena, fits, function, target, lanes));
}
