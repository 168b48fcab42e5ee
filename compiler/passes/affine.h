/* Values that are base * scale + shift, where weights alone make scale and shift.
 * In: an expr in normal form, folded.  Out: its three parts, or what stands around a sum in it. Whether a rewrite is worth it, and
 * allowed, is left to pass absorb. */
#ifndef GM_PASSES_AFFINE_H
#define GM_PASSES_AFFINE_H

#include "equation/equation.h"

typedef struct {
    Expr *base;
    Expr *scale, *shift; /* NULL: 1, 0 */
} Affine;

/* Takes apart sums, products, means of such, …; without `shifts` only factors are taken out. base is `expr` itself where there is nothing. */
Affine affine_of(Module *module, Expr *expr, bool shifts);

/* What an equation does to its sum before anything else: *top, its value at that node, is sum * scale + shift. It goes on as long as a
 * scale uses no index that `weights` doesn't (NULL: no scale at all) and a shift takes no more room than before. `shift_count`: how many were brought together. */
typedef struct {
    Affine affine;       /* base: the sum */
    Expr *top;
    int shift_count;
    const Expr *stopped; /* a weight-only factor that could not be taken, or NULL */
} Around;
Around affine_around(Module *module, Expr *value, Expr *sum, const Expr *weights, Index *const *scope, int scope_count);

bool uses_no_more(const Expr *expr, const Expr *than, Index *const *scope, int scope_count); /* indices */
int64_t points_of(const Expr *expr, Index *const *scope, int scope_count);                    /* combinations of those it uses */

#endif
