/* Substitution of producers into readers, and the split of indices; see rewrite.h. */
#include "passes/rewrite.h"

#include "equation/index.h"

#include <string.h>

Draft draft_of(Module *module, Equation *equation)
{
    Draft draft = {.module = module, .equation = equation, .value = equation->value, .free_count = equation->free_count};
    memcpy(draft.subscripts, equation->subscripts, sizeof draft.subscripts);
    memcpy(draft.free, equation->free, sizeof draft.free);
    return draft;
}

void draft_commit(const Draft *draft)
{
    draft->equation->value = draft->value;
    draft->equation->free_count = draft->free_count;
    memcpy(draft->equation->subscripts, draft->subscripts, sizeof draft->subscripts);
    memcpy(draft->equation->free, draft->free, sizeof draft->free);
}

/* --- the producer's free indices in terms of a read's subscripts ---------------------------------------------------- */
/* One axis: position = sum of coefficient * index in exact mixed radix, so index = position // coefficient % extent. */
static bool invert_axis(Module *module, const Expr *left, int64_t extent, Expr *position, Substitution *map, int *count)
{
    Linear linear;
    if (!index_linear(left, &linear) || linear.constant != 0) return false;
    bool used[MAX_TERMS] = {0};
    int64_t size = 1;
    for (int step = 0; step < linear.count; step++) {
        int next = -1;
        for (int i = 0; i < linear.count; i++)
            if (!used[i] && linear.coefficients[i] == size && (next < 0 || linear.indices[i]->extent == 1)) next = i;
        if (next < 0) return false;
        used[next] = true;
        Index *index = linear.indices[next];
        Expr *value = expr_apply(module, FN_FLOORDIV, position, expr_int(module, size), NULL, (Place){0});
        size *= index->extent;
        if (size < extent) value = expr_apply(module, FN_MOD, value, expr_int(module, index->extent), NULL, (Place){0});
        if (*count == MAX_RANK * 2) return false;
        map[(*count)++] = (Substitution){index, value};
    }
    return size == extent;
}

bool read_indices(Module *module, const Equation *producer, const Expr *read, Substitution *map, int *count)
{
    *count = 0;
    for (int axis = 0; axis < producer->rank; axis++)
        if (!invert_axis(module, producer->subscripts[axis], producer->result->extents[axis], read->args[axis], map, count)) return false;
    for (int i = 0; i < *count; i++) /* an index on two axes can't be inverted */
        for (int j = 0; j < i; j++)
            if (map[i].index == map[j].index) return false;
    int named = *count;
    for (int i = 0; i < producer->free_count; i++) { /* an index of one value may have left the left side */
        int k = 0;
        while (k < named && map[k].index != producer->free[i]) k++;
        if (k < named) continue;
        if (producer->free[i]->extent > 1 || *count == MAX_RANK * 2) return false;
        map[(*count)++] = (Substitution){producer->free[i], expr_int(module, 0)};
    }
    return true;
}

/* --- inlining ----------------------------------------------------------------------------------------------------- */
typedef struct {
    const Equation *producer;
    bool failed;
    LIST(Expr *) reads;  /* those replaced so far … */
    LIST(Expr *) values; /* … and by what: equal reads share one node */
} Inliner;

static bool same_subscripts(const Expr *a, const Expr *b)
{
    for (int axis = 0; axis < a->count; axis++)
        if (!expr_equal(a->args[axis], b->args[axis])) return false;
    return true;
}

static Expr *inline_node(Module *module, Expr *node, void *context)
{
    Inliner *inliner = context;
    const Equation *producer = inliner->producer;
    if (node->kind != EXPR_READ || node->tensor != producer->result || inliner->failed) return node;
    for (int i = 0; i < inliner->reads.count; i++)
        if (same_subscripts(inliner->reads.data[i], node)) return inliner->values.data[i];
    Substitution map[MAX_RANK * 2];
    int count;
    inliner->failed = node->otherwise != NULL;
    for (int axis = 0; axis < node->count; axis++) inliner->failed = inliner->failed || expr_is_data_dependent(node->args[axis]);
    inliner->failed = inliner->failed || !read_indices(module, producer, node, map, &count);
    if (inliner->failed) return node;
    Expr *value = expr_substitute(module, producer->value, map, count);
    if (!node->integer) value = expr_real(module, value);
    list_push(module->arena, &inliner->reads, node);
    list_push(module->arena, &inliner->values, value);
    return value;
}

bool draft_inline(Draft *draft, const Equation *producer)
{
    Inliner inliner = {.producer = producer};
    draft->value = expr_rewrite(draft->module, draft->value, inline_node, &inliner);
    return !inliner.failed;
}

/* --- splitting ---------------------------------------------------------------------------------------------------- */
typedef struct {
    Index *index;
    int64_t by;
} SplitChoice;

static void choose_split(Expr *node, void *context)
{
    SplitChoice *choice = context;
    if (choice->index || node->kind != EXPR_APPLY || !node->integer || (node->function != FN_FLOORDIV && node->function != FN_MOD)) return;
    const Expr *dividend = node->args[0], *divisor = node->args[1];
    if (dividend->kind != EXPR_INDEX || divisor->kind != EXPR_NUMBER) return;
    int64_t by = (int64_t)divisor->number;
    if (by <= 1 || by >= dividend->index->extent || dividend->index->extent % by != 0) return;
    choice->index = dividend->index;
    choice->by = by;
}

/* argmax gives the number of its index: it stays whole. */
static void forbid_argmax(Expr *node, void *context)
{
    SplitChoice *choice = context;
    if (node->kind == EXPR_REDUCE && node->reduction == REDUCE_ARGMAX && node->indices[0] == choice->index) choice->index = NULL;
}

typedef struct {
    const Index *old;
    Index *outer, *inner;
    Expr *value;
} IndexSplit;

static Expr *split_node(Module *module, Expr *node, void *context)
{
    const IndexSplit *split = context;
    if (node->kind == EXPR_INDEX && node->index == split->old) return split->value;
    if (node->kind != EXPR_REDUCE) return node;
    Index **indices = arena_new_array(module->arena, Index *, node->index_count + 1);
    int count = 0;
    for (int i = 0; i < node->index_count; i++) {
        bool own = node->indices[i] == split->old;
        indices[count++] = own ? split->outer : node->indices[i];
        if (own) indices[count++] = split->inner;
    }
    return count == node->index_count ? node : expr_reduce(module, node->reduction, count, indices, node->args[0], node->place);
}

static bool split_index(Draft *draft, SplitChoice choice)
{
    Module *module = draft->module;
    Index *old = choice.index;
    IndexSplit split = {.old = old};
    split.outer = index_new(module, arena_printf(module->arena, "%s_o", old->name), old->extent / choice.by, old->origin);
    split.inner = index_new(module, arena_printf(module->arena, "%s_i", old->name), choice.by, old->origin);
    Expr *high = expr_apply(module, FN_MUL, expr_index(module, split.outer, old->origin), expr_int(module, choice.by), NULL, old->origin);
    split.value = expr_apply(module, FN_ADD, high, expr_index(module, split.inner, old->origin), NULL, old->origin);
    for (int i = 0; i < draft->free_count; i++) {
        if (draft->free[i] != old) continue;
        if (draft->free_count == MAX_RANK * 2) return false;
        memmove(&draft->free[i + 2], &draft->free[i + 1], (size_t)(draft->free_count - i - 1) * sizeof(Index *));
        draft->free[i] = split.outer;
        draft->free[i + 1] = split.inner;
        draft->free_count++;
        break;
    }
    draft->value = index_simplify(module, expr_rewrite(module, draft->value, split_node, &split));
    for (int axis = 0; axis < draft->equation->rank; axis++)
        draft->subscripts[axis] = index_simplify(module, expr_rewrite(module, draft->subscripts[axis], split_node, &split));
    return true;
}

void draft_split(Draft *draft)
{
    draft->value = index_simplify(draft->module, draft->value);
    for (;;) {
        SplitChoice choice = {0};
        expr_walk(draft->value, choose_split, &choice);
        if (choice.index) expr_walk(draft->value, forbid_argmax, &choice);
        if (!choice.index || !split_index(draft, choice)) return;
    }
}
