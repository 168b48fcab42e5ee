/* The index that row tiles run along: the longest of the rows' indices, or several that lie as one.
 * In: a contraction and the strides of what its equation reads and writes.  Out: Tiling.row, .rows and .joined; tiles are contraction.c's.
 *
 * Positions i, j of a feature map [i, j, c] are one row of i * J + j wherever everything steps through them alike: then j runs over all of
 * them while i stays 0, and tiles needn't end where j does. */
#include "loop/tile.h"

#include "equation/index.h"

/* A step of `outer` is as far as all of `inner`. */
static bool lies_alike(Lowering *l, const Expr *read, const Index *outer, const Index *inner)
{
    int64_t far = 0, near = 0;
    return read_stride(l, read, outer, &far) && read_stride(l, read, inner, &near) && far == near * inner->extent;
}

static bool read_alike(Lowering *l, const Expr *expr, const Index *outer, const Index *inner)
{
    uint64_t bits = index_bit(l, outer) | index_bit(l, inner);
    if (!(node_info(l, expr)->deps & bits)) return true;
    if (expr->kind == EXPR_INDEX || (expr->otherwise && !read_alike(l, expr->otherwise, outer, inner))) return false;
    if (expr->kind == EXPR_READ) return lies_alike(l, expr, outer, inner);
    for (int k = 0; k < expr->count; k++)
        if (!read_alike(l, expr->args[k], outer, inner)) return false;
    return true;
}

static bool written_alike(Lowering *l, const Index *outer, const Index *inner)
{
    const Equation *equation = l->equation;
    const Access *access = find_access(l, equation->result);
    int64_t far = 0, near = 0;
    for (int axis = 0; axis < equation->rank; axis++) {
        Linear linear;
        if (!index_linear(equation->subscripts[axis], &linear)) return false;
        far += linear_coefficient(&linear, outer) * access->strides[axis];
        near += linear_coefficient(&linear, inner) * access->strides[axis];
    }
    return far == near * inner->extent;
}

bool lie_as_one(Lowering *l, const Index *outer, const Index *inner)
{
    return written_alike(l, outer, inner) && read_alike(l, l->equation->value, outer, inner);
}

/* How many indices before number `last` are one with it, each within the next. */
static int count_joined(Lowering *l, const Contraction *c, int last)
{
    int count = 0;
    while (count < last && lie_as_one(l, c->m[last - count - 1], c->m[last - count])) count++;
    return count;
}

void choose_rows(Lowering *l, Tiling *t)
{
    const Contraction *c = t->contraction;
    t->rows = 1;
    for (int last = c->m_count - 1; last >= 0; last--) {
        int joined = count_joined(l, c, last);
        int64_t rows = 1;
        for (int k = last - joined; k <= last; k++) rows *= c->m[k]->extent;
        if (t->row && rows <= t->rows) continue;
        t->row = c->m[last];
        t->rows = rows;
        t->joined = c->m + last - joined;
        t->joined_count = joined;
    }
}

bool is_joined(const Tiling *t, const Index *index)
{
    for (int k = 0; k < t->joined_count; k++)
        if (t->joined[k] == index) return true;
    return false;
}
