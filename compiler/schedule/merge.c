/* Neighbouring indices of a contraction that always occur as outer * extent + inner become one, so that tiles see long axes.
 * In: groups of indices.  Out: shorter groups; the equation and its direct operands in terms of the merged indices. Operands that get
 * tensors of their own keep theirs (unmerged). */
#include "schedule/contraction.h"

#include "equation/index.h"
#include "equation/node_map.h"

#include <string.h>

typedef struct {
    const Index *outer, *inner;
    Index *merged; /* NULL: only look */
    bool loosely;  /* neighbouring axes will do: the layout makes them one row */
    Module *module;
    bool possible;
} Pair;

static void pair_subscript(Pair *pair, Expr **subscript)
{
    Linear linear;
    if (!expr_uses(*subscript, pair->outer) && !expr_uses(*subscript, pair->inner)) return;
    if (!index_linear(*subscript, &linear)) {
        pair->possible = false;
        return;
    }
    int64_t outer = linear_coefficient(&linear, pair->outer), inner = linear_coefficient(&linear, pair->inner);
    if (outer != inner * pair->inner->extent) pair->possible = false;
    if (!pair->merged) return;
    int kept = 0;
    for (int i = 0; i < linear.count; i++) {
        if (linear.indices[i] == pair->outer || linear.indices[i] == pair->inner) continue;
        linear.indices[kept] = linear.indices[i];
        linear.coefficients[kept++] = linear.coefficients[i];
    }
    linear.count = kept;
    linear.indices[kept] = pair->merged;
    linear.coefficients[kept] = inner;
    linear.count += inner != 0;
    *subscript = linear_expr(pair->module, &linear);
}

typedef struct {
    NodeMap seen;
    Pair *pair;
    const Expr *stop; /* the reduction: its operands are looked at apart */
} PairWalk;

/* The two stand alone on neighbouring whole axes. */
static bool on_neighbouring_axes(const Pair *pair, const Tensor *tensor, Expr *const *subscripts)
{
    for (int axis = 0; axis + 1 < tensor->rank; axis++)
        if (subscript_is(subscripts[axis], pair->outer) && subscript_is(subscripts[axis + 1], pair->inner))
            return tensor->extents[axis + 1] == pair->inner->extent;
    return false;
}

static void pair_walk(PairWalk *walk, Expr *node)
{
    if (node == walk->stop || !node_map_put(&walk->seen, node, NULL)) return;
    Pair *pair = walk->pair;
    if (node->kind == EXPR_INDEX && (node->index == pair->outer || node->index == pair->inner)) pair->possible = false;
    if (node->kind == EXPR_READ && !node->otherwise && pair->loosely && on_neighbouring_axes(pair, node->tensor, node->args)) return;
    if (node->kind == EXPR_READ)
        for (int axis = 0; axis < node->count; axis++) {
            Linear linear;
            if (index_linear(node->args[axis], &linear))
                pair_subscript(pair, &node->args[axis]);
            else
                pair_walk(walk, node->args[axis]);
        }
    else
        for (int i = 0; i < node->count; i++) pair_walk(walk, node->args[i]);
    if (node->otherwise) pair->possible &= !expr_uses(node, pair->outer) && !expr_uses(node, pair->inner);
}

/* Everything that keeps its subscripts: result, epilogue, direct operands. */
static bool pair_everywhere(Work *work, Pair *pair)
{
    PairWalk walk = {.pair = pair, .stop = work->reduce};
    pair->module = work->s->module;
    pair->possible = true;
    node_map_init(&walk.seen);
    bool beside = pair->loosely && on_neighbouring_axes(pair, work->equation->result, work->equation->subscripts);
    for (int axis = 0; axis < work->equation->rank && !beside; axis++) pair_subscript(pair, &work->equation->subscripts[axis]);
    pair_walk(&walk, work->equation->value);
    if (work->rows.direct) pair_walk(&walk, work->rows.expr);
    if (work->columns.direct) pair_walk(&walk, work->columns.expr);
    node_map_free(&walk.seen);
    return pair->possible;
}

/* Whether the merged index would stand at one place of the loop nest: neighbours in the list of free indices. */
static bool neighbours(const Equation *equation, const Index *outer, const Index *inner)
{
    for (int i = 0; i + 1 < equation->free_count; i++)
        if (equation->free[i] == outer && equation->free[i + 1] == inner) return true;
    return false;
}

static bool can_merge(Work *work, Index *outer, Index *inner, bool reduced, bool loosely)
{
    Pair pair = {.outer = outer, .inner = inner, .loosely = loosely};
    return (reduced || neighbours(work->equation, outer, inner)) && pair_everywhere(work, &pair);
}

int merged_count(Work *work, Index *const *group, int count, bool reduced, bool loosely, int64_t *last_extent)
{
    int merged = count > 0;
    bool last = true;
    *last_extent = count ? group[count - 1]->extent : 1;
    for (int i = count - 1; i > 0; i--) {
        if (!can_merge(work, group[i - 1], group[i], reduced, loosely))
            merged++, last = false;
        else if (last)
            *last_extent *= group[i - 1]->extent;
    }
    return merged;
}

int unmerged(const Work *work, Index *index, Index **leaves)
{
    for (int i = 0; i < work->merge_count; i++) {
        if (work->merges[i].merged != index) continue;
        int count = unmerged(work, work->merges[i].outer, leaves);
        return count + unmerged(work, work->merges[i].inner, leaves + count);
    }
    leaves[0] = index;
    return 1;
}

static void merge_pair(Work *work, Index **group, int *count, int at, bool reduced)
{
    Index *outer = group[at - 1], *inner = group[at];
    Module *module = work->s->module;
    const char *name = arena_printf(module->arena, "%s%s", outer->name, inner->name);
    Index *merged = index_new(module, name, outer->extent * inner->extent, inner->origin);
    Pair pair = {.outer = outer, .inner = inner, .merged = merged};
    pair_everywhere(work, &pair);
    work->merges[work->merge_count].merged = merged;
    work->merges[work->merge_count].outer = outer;
    work->merges[work->merge_count++].inner = inner;
    group[at - 1] = merged;
    memmove(group + at, group + at + 1, (size_t)(*count - at - 1) * sizeof *group);
    --*count;
    Equation *equation = work->equation;
    for (int i = 0; !reduced && i + 1 < equation->free_count; i++) {
        if (equation->free[i] != outer) continue;
        equation->free[i] = merged;
        memmove(equation->free + i + 1, equation->free + i + 2, (size_t)(equation->free_count - i - 2) * sizeof *equation->free);
        equation->free_count--;
    }
}

void merge_group(Work *work, Index **group, int *count, bool reduced)
{
    for (int i = *count - 1; i > 0; i--)
        if (can_merge(work, group[i - 1], group[i], reduced, false)) merge_pair(work, group, count, i, reduced);
}
