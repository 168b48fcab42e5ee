/* Index arithmetic: ranges, linear forms, simplification, all over integer exprs.
 * In: exprs whose indices run over [0, extent).  Out: proofs and simpler exprs of the same value. */
#ifndef GM_EQUATION_INDEX_H
#define GM_EQUATION_INDEX_H

#include "equation/equation.h"

/* The smallest interval that plain interval arithmetic proves (with // % min max abs where; a read of a constant tensor spans
 * its values; of an i32/i64/u8 one whose values are unknown: not proved, false). Sums are first gathered by index, so i - i is 0. */
bool index_range(const Expr *expr, int64_t *low, int64_t *high);

/* constant + sum of coefficients[k] * indices[k]. */
enum { MAX_TERMS = 24 };
typedef struct {
    int64_t constant;
    int count;
    Index *indices[MAX_TERMS];
    int64_t coefficients[MAX_TERMS]; /* never 0 */
} Linear;
bool index_linear(const Expr *expr, Linear *linear); /* false: not of that form */
int64_t linear_coefficient(const Linear *linear, const Index *index);
Expr *linear_expr(Module *module, const Linear *linear);

/* The same value, simpler: (h*D + d)//D is h when 0 <= d < D, (…)%D is d, where() with a decided condition, min/max of
 * ordered ranges, gathered sums. Works on any integer expr, and inside subscripts of value exprs. */
Expr *index_simplify(Module *module, Expr *expr);

#endif
