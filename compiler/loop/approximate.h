/* Element functions as straight-line loop code. */
#ifndef GM_LOOP_APPROXIMATE_H
#define GM_LOOP_APPROXIMATE_H

#include "loop/build.h"
#include "loop/chain.h"
#include "loop/fit.h"

/* Whether OP_CALL of it needs code of its own; the others are operations (sqrt, floor, …). */
bool approximate_exists(Function function);

/* --- fitted.c: chains as one function ------------------------------------------------------------------------------ */
/* What one program fits: each chain once. */
typedef struct Fits Fits;
Fits *fits_new(Arena *arena, bool uniform); /* uniform: the same tables for every target */
/* The function to call for a chain on a target: FUNCTION_COUNT + k. -1: computing it node by node is as good, or no table is exact
 * enough: max(3e-7 or less where the function is small, 1 ulp). */
int fits_find(Fits *fits, const Chain *chain, const Target *target);
/* The table of one element function within `ulps`, at most `most` instructions; NULL: none. */
const Fit *fits_function(Fits *fits, Function function, double ulps, const Target *target, int most);

/* The function for vectors of `lanes` (1: FLOAT, with I32 for its bits), with what lookups cost on the target. */
LoopFunction *approximate(Arena *arena, Fits *fits, int function, const Target *target, int lanes);
/* Appends to `list` those of `uses` and what they call, callees first. */
typedef LIST(LoopFunction *) LoopFunctions;
void approximate_all(Arena *arena, Fits *fits, const bool *uses, const Target *target, int lanes, LoopFunctions *list);

/* Arithmetic of T for approximations; every result that is used twice is kept in a variable. */
typedef struct {
    Builder *builder;
    LoopFunction *function;
    ValueType real, whole; /* FLOAT and I32, or VECTOR and IVECTOR */
} Maths;
Value *maths_number(Maths *m, double number);
Value *maths_keep(Maths *m, const char *name, Value *value);
/* Horner's scheme, the highest coefficient last. */
Value *maths_polynomial(Maths *m, Value *x, const double *coefficients, int count);
Value *maths_op(Maths *m, Op op, Value *a, Value *b);
Value *maths_fma(Maths *m, Value *a, Value *b, Value *c);
/* The sign bit of `sign` on a magnitude whose own is 0. */
Value *maths_with_sign(Maths *m, Value *magnitude, Value *sign);
Value *maths_select(Maths *m, Value *condition, Value *yes, Value *no);
/* x = mantissa * 2^exponent with mantissa in [sqrt(1/2), sqrt(2)), for x > 0 and finite, denormal ones too; both T. */
void maths_split(Maths *m, Value *x, Value **mantissa, Value **exponent);
/* e^(high + low) for sums in [-105, 90], low small; 0 or infinity come out where they belong. */
Value *maths_exp(Maths *m, Value *high, Value *low);
Value *maths_pow(Maths *m, Value *a, Value *b); /* approximate_pow.c */
Value *maths_table(Maths *m, const Fit *fit, Value *x); /* fitted.c */
LoopFunction *fitted_function(Arena *arena, const Fits *fits, int function, const Target *target, int lanes);
LoopFunction *loop_function(Arena *arena, int function, int lanes, Maths *maths);

#endif
