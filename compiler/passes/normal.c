/* Pass normal: at most one reduction an equation, none in subscripts or otherwise, and none that would be computed again and again
 * because it depends on fewer indices than the result has. The others get tensors of their own, over just the indices they
 * depend on. Means become sums; factors that a sum doesn't run over leave it.
 * In: any module.  Out: normal form. */
#include "equation/count.h"
#include "equation/index.h"
#include "equation/node_map.h"
#include "passes/pass_functions.h"
#include "passes/rewrite.h"
#include "support/bug.h"

#include <string.h>

/* --- bodies ------------------------------------------------------------------------------------------------------- */
static bool uses_any(const Expr *expr, Index *const *indices, int count)
{
    for (int i = 0; i < count; i++)
        if (expr_uses(expr, indices[i])) return true;
    return false;
}

/* Takes the factors that use none of the indices out of a product. *outside: their product, or NULL. Returns what stays, or NULL. */
static Expr *take_factors(Module *module, Expr *body, Index *const *indices, int count, Expr **outside)
{
    if (!uses_any(body, indices, count)) {
        *outside = *outside ? expr_apply(module, FN_MUL, *outside, body, NULL, body->place) : body;
        return NULL;
    }
    if (body->kind != EXPR_APPLY || body->integer) return body;
    if (body->function == FN_MUL) {
        Expr *a = take_factors(module, body->args[0], indices, count, outside);
        Expr *b = take_factors(module, body->args[1], indices, count, outside);
        if (!a || !b) return a ? a : b;
        return a == body->args[0] && b == body->args[1] ? body : expr_apply(module, FN_MUL, a, b, NULL, body->place);
    }
    if (body->function == FN_NEG) {
        Expr *minus = expr_number(module, -1, false, body->place);
        *outside = *outside ? expr_apply(module, FN_MUL, *outside, minus, NULL, body->place) : minus;
        return take_factors(module, body->args[0], indices, count, outside);
    }
    if (body->function == FN_DIV && !uses_any(body->args[1], indices, count)) {
        Expr *inverse = expr_apply(module, FN_DIV, expr_number(module, 1, false, body->place), body->args[1], NULL, body->place);
        *outside = *outside ? expr_apply(module, FN_MUL, *outside, inverse, NULL, body->place) : inverse;
        return take_factors(module, body->args[0], indices, count, outside);
    }
    return body;
}

/* Indices of one value, or that the body doesn't use: dropped. *times: how often the body is repeated. */
static int drop_indices(Module *module, Expr *node, Index **indices, Expr **body, int64_t *times)
{
    int count = 0;
    *times = 1;
    for (int i = 0; i < node->index_count; i++) {
        Index *index = node->indices[i];
        bool used = expr_uses(*body, index);
        if (used && index->extent == 1) {
            Substitution zero = {index, expr_int(module, 0)};
            *body = index_simplify(module, expr_substitute(module, *body, &zero, 1));
        } else if (used) {
            indices[count++] = index;
        } else {
            *times *= index->extent;
        }
    }
    return count;
}

static Expr *scaled(Module *module, Expr *expr, double factor)
{
    if (factor == 1) return expr;
    return expr_apply(module, FN_MUL, expr, expr_number(module, factor, expr->integer && factor == (double)(int64_t)factor, expr->place), NULL, expr->place);
}

static Expr *normalise_reduction(Module *module, Expr *node, void *context)
{
    (void)context;
    if (node->kind != EXPR_REDUCE || node->reduction == REDUCE_ARGMAX || node->reduction == REDUCE_PROD) return node;
    int64_t times, points = 1;
    for (int i = 0; i < node->index_count; i++) points *= node->indices[i]->extent;
    bool sum = node->reduction == REDUCE_SUM || node->reduction == REDUCE_MEAN;
    double factor = node->reduction == REDUCE_MEAN ? 1.0 / (double)points : 1;
    Expr *body = node->args[0], *outside = NULL;
    if (node->reduction == REDUCE_MEAN) body = expr_real(module, body);
    Index **indices = arena_new_array(module->arena, Index *, node->index_count);
    int count = drop_indices(module, node, indices, &body, &times);
    if (sum) factor *= (double)times;
    if (count == 0) return scaled(module, body, factor);
    if (sum && !body->integer) body = take_factors(module, body, indices, count, &outside);
    if (node->reduction != REDUCE_MEAN && count == node->index_count && body == node->args[0]) return node;
    Expr *reduce = expr_reduce(module, sum ? REDUCE_SUM : node->reduction, count, indices, body, node->place);
    reduce = scaled(module, reduce, factor);
    return outside ? expr_apply(module, FN_MUL, reduce, outside, NULL, node->place) : reduce;
}

/* --- hoisting ----------------------------------------------------------------------------------------------------- */
typedef struct {
    Module *module;
    Equation *equation;
    const Expr *keep;      /* the reduction that stays */
    Index *outer[64];      /* indices in scope at the root and of enclosing reductions */
    int outer_count;
    LIST(Equation *) made; /* equations of this one's hoisted reductions, in order */
    LIST(Expr *) hoisted;  /* the reductions … */
    LIST(Expr *) reads;    /* … and what they became */
    NodeMap guarded;       /* nodes below an otherwise */
} Hoister;

typedef struct {
    NodeMap *blocked; /* nodes below a reduction, a subscript or an otherwise */
} Placement;

static void block_node(Expr *node, void *context)
{
    node_map_put(context, node, (void *)1);
}

static void block_children(Expr *node, void *context)
{
    Placement *placement = context;
    for (int i = 0; i < node->count; i++)
        if (node->kind == EXPR_READ || node->kind == EXPR_REDUCE) expr_walk(node->args[i], block_node, placement->blocked);
    if (node->otherwise) expr_walk(node->otherwise, block_node, placement->blocked);
}

typedef struct {
    const Equation *equation;
    NodeMap *blocked;
    const Expr *best;
    int64_t best_points;
} KeepSearch;

/* The reduction to keep: at the top, of every free index, the largest. */
static void consider(Expr *node, void *context)
{
    KeepSearch *search = context;
    if (node->kind != EXPR_REDUCE || node_map_get(search->blocked, node, NULL)) return;
    for (int i = 0; i < search->equation->free_count; i++)
        if (search->equation->free[i]->extent > 1 && !expr_uses(node, search->equation->free[i])) return;
    int64_t points = 1;
    for (int i = 0; i < node->index_count; i++) points *= node->indices[i]->extent;
    if (is_multiply_add(node)) points *= 1000000;
    if (points <= search->best_points) return;
    search->best = node;
    search->best_points = points;
}

static const Expr *choose_kept(const Equation *equation)
{
    NodeMap blocked;
    node_map_init(&blocked);
    Placement placement = {&blocked};
    expr_walk(equation->value, block_children, &placement);
    KeepSearch search = {equation, &blocked, NULL, 0};
    expr_walk(equation->value, consider, &search);
    node_map_free(&blocked);
    return search.best;
}

static void mark_guarded(Expr *node, void *context)
{
    if (node->otherwise) expr_walk(node->otherwise, block_node, context);
}

static ElementType reads_i64(const Expr *expr)
{
    if (expr->kind == EXPR_READ && expr->tensor->type == TYPE_I64) return TYPE_I64;
    ElementType type = TYPE_I32;
    for (int i = 0; i < expr->count; i++)
        if (reads_i64(expr->args[i]) == TYPE_I64) type = TYPE_I64;
    return type;
}

/* A new tensor for one reduction, over the indices it depends on; returns the read that takes its place. */
static Expr *hoist(Hoister *hoister, Expr *node, bool guarded)
{
    Module *module = hoister->module;
    const Equation *user = hoister->equation;
    ElementType type = !node->integer ? TYPE_F32 : node->reduction == REDUCE_ARGMAX ? TYPE_I32 : reads_i64(node->args[0]);
    const char *name = tensor_name(module, user->result, reduction_name(node->reduction));
    Part part = part_new(module, user, name, type, node, hoister->outer, hoister->outer_count);
    if (!part.read) bug("a reduction in %s depends on more than %d indices", user->result->name, MAX_RANK);
    if (guarded) part.equation->value = guard_reads(module, part.equation->value);
    list_push(module->arena, &hoister->made, part.equation);
    return part.read;
}

typedef struct {
    Hoister *hoister;
    NodeMap done; /* old node → new node */
} HoistWalk;

static Expr *hoist_node(HoistWalk *walk, Expr *expr);

static Expr *rebuild(HoistWalk *walk, Expr *expr)
{
    Module *module = walk->hoister->module;
    Expr *args[MAX_RANK];
    bool changed = false;
    for (int i = 0; i < expr->count; i++) {
        args[i] = hoist_node(walk, expr->args[i]);
        changed |= args[i] != expr->args[i];
    }
    Expr *otherwise = expr->otherwise ? hoist_node(walk, expr->otherwise) : NULL;
    if (!changed && otherwise == expr->otherwise) return expr;
    if (expr->kind == EXPR_READ) return expr_read(module, expr->tensor, expr->count, args, otherwise, expr->place);
    if (expr->kind == EXPR_REDUCE) return expr_reduce(module, expr->reduction, expr->index_count, expr->indices, args[0], expr->place);
    return expr_apply(module, expr->function, args[0], expr->count > 1 ? args[1] : NULL, expr->count > 2 ? args[2] : NULL, expr->place);
}

static Expr *hoist_node(HoistWalk *walk, Expr *expr)
{
    Expr *result = node_map_get(&walk->done, expr, NULL);
    if (result) return result;
    Hoister *hoister = walk->hoister;
    int depth = hoister->outer_count;
    if (expr->kind == EXPR_REDUCE)
        for (int i = 0; i < expr->index_count && hoister->outer_count < 64; i++) hoister->outer[hoister->outer_count++] = expr->indices[i];
    result = rebuild(walk, expr);
    hoister->outer_count = depth;
    if (expr->kind == EXPR_REDUCE && expr != hoister->keep) {
        int same = 0;
        while (same < hoister->hoisted.count && !expr_equal(hoister->hoisted.data[same], result)) same++;
        if (same == hoister->hoisted.count) {
            Expr *read = hoist(hoister, result, node_map_get(&hoister->guarded, expr, NULL) != NULL);
            list_push(hoister->module->arena, &hoister->hoisted, result);
            list_push(hoister->module->arena, &hoister->reads, read);
        }
        result = hoister->reads.data[same];
    }
    node_map_put(&walk->done, expr, result);
    return result;
}

static bool equation_is_normal(const Equation *equation)
{
    int count = count_reductions(equation->value);
    return count == 0 || (count == 1 && choose_kept(equation) != NULL);
}

static void hoist_reductions(Equation *equation, Hoister *hoister)
{
    hoister->keep = choose_kept(equation);
    memcpy(hoister->outer, equation->free, sizeof *equation->free * (size_t)equation->free_count);
    hoister->outer_count = equation->free_count;
    node_map_init(&hoister->guarded);
    expr_walk(equation->value, mark_guarded, &hoister->guarded);
    HoistWalk walk = {.hoister = hoister};
    node_map_init(&walk.done);
    equation->value = hoist_node(&walk, equation->value);
    node_map_free(&walk.done);
    node_map_free(&hoister->guarded);
}

void pass_normal(Module *module, Diagnostics *diags)
{
    (void)diags;
    LIST(Equation *) ordered = {0};
    int count = module->equations.count;
    for (int i = 0; i < count; i++) {
        Equation *equation = module->equations.data[i];
        bool integer = equation->value->integer;
        if (count_reductions(equation->value)) equation->value = expr_rewrite(module, equation->value, normalise_reduction, NULL);
        if (!integer && equation->value->integer) equation->value = expr_real(module, equation->value);
        Hoister hoister = {.module = module, .equation = equation};
        if (!equation_is_normal(equation)) hoist_reductions(equation, &hoister);
        for (int k = 0; k < hoister.made.count; k++) list_push(module->arena, &ordered, hoister.made.data[k]);
        list_push(module->arena, &ordered, equation);
    }
    module->equations.count = 0;
    for (int i = 0; i < ordered.count; i++) list_push(module->arena, &module->equations, ordered.data[i]);
    bool again = false; /* factors moved out of an inner sum may have brought reductions up */
    for (int i = 0; i < module->equations.count; i++) again |= !equation_is_normal(module->equations.data[i]);
    if (again) pass_normal(module, diags);
}

/* --- the question ------------------------------------------------------------------------------------------------- */
bool module_is_normal(const Module *module)
{
    for (int i = 0; i < module->equations.count; i++) {
        const Expr *value = module->equations.data[i]->value;
        int count = count_reductions(value);
        if (count > 1) return false;
        if (count == 0) continue;
        NodeMap blocked;
        node_map_init(&blocked);
        Placement placement = {&blocked};
        expr_walk((Expr *)value, block_children, &placement);
        bool below = node_map_get(&blocked, find_reduction(value), NULL) != NULL;
        node_map_free(&blocked);
        if (below) return false;
    }
    return true;
}
