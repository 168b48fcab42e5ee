/* Element functions as straight-line loop code. */
#ifndef GM_LOOP_APPROXIMATE_H
#define GM_LOOP_APPROXIMATE_H

#include "loop/build.h"

/* Whether OP_CALL of it needs code of its own; the others are operations (sqrt, floor, …). */
bool approximate_exists(Function function);
/* The function for vectors of `lanes` (1: FLOAT, with I32 for its bits). */
LoopFunction *approximate(Arena *arena, Function function, int lanes);
/* Appends to `list` those of `uses` and what they call, callees first. */
typedef LIST(LoopFunction *) LoopFunctions;
void approximate_all(Arena *arena, const bool *uses, int lanes, LoopFunctions *list);

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

#endif
