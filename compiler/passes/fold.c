/* Pass fold: equations that depend on weights and constants alone are evaluated when weights are packed, and so are such parts of
 * other equations (exp(w), where(j <= i, w[i, j], 0), two weights multiplied, a whole sum over them), which get tensors of their own.
 * In: normal form.  Out: `packed` on equations and tensors. What would take much more room than it is made from is left as it is. */
#include "equation/index.h"
#include "equation/node_map.h"
#include "passes/pass_functions.h"
#include "passes/rewrite.h"

#include <string.h>

static const int64_t LARGE_BYTES = 512 * 1024, LARGEST_RATIO = 4;

/* --- what an expr is made from ------------------------------------------------------------------------------------ */
typedef struct {
    NodeMap seen;
    int64_t bytes;
    int weights, functions, reductions;
} Sources;

static void add_source(Expr *node, void *context)
{
    Sources *sources = context;
    if (node->kind == EXPR_APPLY && !node->integer) sources->functions++;
    if (node->kind == EXPR_REDUCE) sources->reductions++;
    if (node->kind != EXPR_READ || !node_map_put(&sources->seen, node->tensor, NULL)) return;
    if (node->tensor->kind != TENSOR_CONSTANT) sources->weights++;
    sources->bytes += tensor_count(node->tensor) * element_type_size(node->tensor->type);
}

static Sources sources_of(const Expr *expr)
{
    Sources sources = {0};
    node_map_init(&sources.seen);
    expr_walk((Expr *)expr, add_source, &sources);
    node_map_free(&sources.seen);
    return sources;
}

static bool too_large(int64_t bytes, const Sources *sources)
{
    return bytes > LARGE_BYTES && bytes / LARGEST_RATIO > sources->bytes;
}

/* --- whole equations ---------------------------------------------------------------------------------------------- */
/* Tensors in order; one with several writers is packed when all of them can be. */
static void mark_packed(Module *module)
{
    Arena *arena = arena_new();
    bool *refused = arena_new_array(arena, bool, module->tensors.count + 1);
    int *writers = arena_new_array(arena, int, module->tensors.count + 1);
    for (int i = 0; i < module->equations.count; i++) writers[module->equations.data[i]->result->id]++;
    for (int i = 0; i < module->equations.count; i++) {
        Equation *equation = module->equations.data[i];
        Tensor *tensor = equation->result;
        if (tensor->output_name || writers[tensor->id] > 1 || !is_weight_only(equation->value)) refused[tensor->id] = true;
        if (refused[tensor->id]) continue;
        Sources sources = sources_of(equation->value);
        if (sources.weights == 0 || too_large(tensor_count(tensor) * element_type_size(tensor->type), &sources)) continue;
        tensor->packed = equation->packed = true;
    }
    arena_free(arena);
}

/* --- parts of equations ------------------------------------------------------------------------------------------- */
typedef struct {
    Module *module;
    Equation *equation;
    LIST(Index *) scope;    /* free indices, then those of the reductions, outermost first */
    LIST(Equation *) made;
    LIST(Expr *) parts;     /* hoisted … */
    LIST(Expr *) reads;     /* … and what they became */
    NodeMap done;           /* old node → new node */
} Folder;

static Expr *fold_expr(Folder *folder, Expr *expr);

static void add_scope(Expr *node, void *context)
{
    Folder *folder = context;
    if (node->kind != EXPR_REDUCE) return;
    for (int i = 0; i < node->index_count; i++) list_push(folder->module->arena, &folder->scope, node->indices[i]);
}

static Expr *hoist_part(Folder *folder, Expr *part)
{
    int64_t bytes = element_type_size(TYPE_F32);
    int scope = part->kind == EXPR_REDUCE ? folder->equation->free_count : folder->scope.count;
    for (int i = 0; i < scope; i++)
        if (expr_uses(part, folder->scope.data[i])) bytes *= folder->scope.data[i]->extent;
    Sources sources = sources_of(part);
    if (too_large(bytes, &sources)) return NULL;
    Part made = part_packed(folder->module, folder->equation, part, folder->scope.data, scope);
    if (made.read) list_push(folder->module->arena, &folder->made, made.equation);
    return made.read;
}

/* Depends on some weight through some function, and on nothing that is computed at run time. */
static bool is_part(const Expr *expr)
{
    if (expr->kind != EXPR_APPLY || expr->integer || !is_weight_only(expr)) return false;
    Sources sources = sources_of(expr);
    return sources.weights > 0 && sources.functions > 0 && sources.reductions == 0;
}

/* The read of an equal part hoisted before, or of a new tensor; NULL when it would be too large. */
static Expr *folded_part(Folder *folder, Expr *part)
{
    for (int i = 0; i < folder->parts.count; i++)
        if (expr_equal(folder->parts.data[i], part)) return folder->reads.data[i];
    Expr *read = hoist_part(folder, part);
    if (!read) return NULL;
    list_push(folder->module->arena, &folder->parts, part);
    list_push(folder->module->arena, &folder->reads, read);
    return read;
}

/* A whole reduction over weights, inside of no other: the first step of a recurrence, whose state is 0. */
static bool is_reduction(const Folder *folder, const Expr *expr)
{
    if (expr->kind != EXPR_REDUCE || expr->integer || !is_weight_only(expr)) return false;
    Sources sources = sources_of(expr);
    if (sources.weights == 0 || sources.reductions != 1) return false;
    for (int i = folder->equation->free_count; i < folder->scope.count; i++) {
        bool own = false;
        for (int k = 0; k < expr->index_count; k++) own |= expr->indices[k] == folder->scope.data[i];
        if (!own && expr_uses(expr, folder->scope.data[i])) return false;
    }
    return true;
}

enum { MAX_FACTORS = 16 };
typedef struct {
    Expr *factors[MAX_FACTORS];
    int count;
    bool divided; /* some factor was a divisor */
} Factors;

/* A weight-only divisor becomes the factor 1 / divisor. */
static bool collect_factors(Module *module, Expr *expr, Factors *factors)
{
    if (expr->kind == EXPR_APPLY && expr->function == FN_DIV && is_weight_only(expr->args[1]) && !is_weight_only(expr->args[0])) {
        if (!collect_factors(module, expr->args[0], factors) || factors->count == MAX_FACTORS) return false;
        factors->divided = true;
        factors->factors[factors->count++] = expr_apply(module, FN_DIV, expr_number(module, 1, false, expr->place), expr->args[1], NULL, expr->place);
        return true;
    }
    if (expr->kind == EXPR_APPLY && expr->function == FN_MUL && !expr->integer)
        return collect_factors(module, expr->args[0], factors) && collect_factors(module, expr->args[1], factors);
    if (factors->count == MAX_FACTORS) return false;
    factors->factors[factors->count++] = expr;
    return true;
}

static Expr *product(Module *module, Expr *a, Expr *b)
{
    return a ? expr_apply(module, FN_MUL, a, b, NULL, b->place) : b;
}

/* In a product of both kinds the weight-only factors are brought together; they fold when their product is not much larger. */
static Expr *fold_product(Folder *folder, Expr *expr)
{
    Factors factors = {0};
    if (!collect_factors(folder->module, expr, &factors)) return NULL;
    Expr *weights = NULL, *rest = NULL;
    int count = 0;
    for (int i = 0; i < factors.count; i++) {
        Expr *factor = factors.factors[i];
        bool weight = is_weight_only(factor) && sources_of(factor).reductions == 0;
        if (weight) weights = product(folder->module, weights, factor);
        else rest = product(folder->module, rest, factor);
        count += weight;
    }
    if ((count < 2 && !factors.divided) || !rest || !is_part(weights)) return NULL;
    Expr *read = folded_part(folder, weights);
    return read ? product(folder->module, fold_expr(folder, rest), read) : NULL;
}

static Expr *fold_children(Folder *folder, Expr *expr)
{
    Module *module = folder->module;
    Expr *args[MAX_RANK];
    bool changed = false;
    if (expr->kind == EXPR_READ || expr->count == 0) { /* subscripts are left alone */
        Expr *otherwise = expr->otherwise ? fold_expr(folder, expr->otherwise) : NULL;
        if (otherwise == expr->otherwise) return expr;
        return expr_read(module, expr->tensor, expr->count, expr->args, otherwise, expr->place);
    }
    for (int i = 0; i < expr->count; i++) {
        args[i] = fold_expr(folder, expr->args[i]);
        changed |= args[i] != expr->args[i];
    }
    if (!changed) return expr;
    if (expr->kind == EXPR_REDUCE) return expr_reduce(module, expr->reduction, expr->index_count, expr->indices, args[0], expr->place);
    return expr_apply(module, expr->function, args[0], expr->count > 1 ? args[1] : NULL, expr->count > 2 ? args[2] : NULL, expr->place);
}

static Expr *fold_expr(Folder *folder, Expr *expr)
{
    Expr *result = node_map_get(&folder->done, expr, NULL);
    if (result) return result;
    if (is_part(expr) || is_reduction(folder, expr)) result = folded_part(folder, expr);
    else if (expr->kind == EXPR_APPLY && (expr->function == FN_MUL || expr->function == FN_DIV) && !expr->integer) result = fold_product(folder, expr);
    if (!result) result = fold_children(folder, expr);
    node_map_put(&folder->done, expr, result);
    return result;
}

static void fold_parts(Module *module, Equation *equation, Folder *folder)
{
    Sources sources = sources_of(equation->value);
    if (equation->packed || sources.weights == 0 || sources.functions == 0) return;
    for (int i = 0; i < equation->free_count; i++) list_push(module->arena, &folder->scope, equation->free[i]);
    expr_walk(equation->value, add_scope, folder);
    node_map_init(&folder->done);
    equation->value = fold_expr(folder, equation->value);
    node_map_free(&folder->done);
}

void pass_fold(Module *module, Diagnostics *diags)
{
    (void)diags;
    mark_packed(module);
    LIST(Equation *) ordered = {0};
    int count = module->equations.count;
    for (int i = 0; i < count; i++) {
        Folder folder = {.module = module, .equation = module->equations.data[i]};
        fold_parts(module, folder.equation, &folder);
        for (int k = 0; k < folder.made.count; k++) list_push(module->arena, &ordered, folder.made.data[k]);
        list_push(module->arena, &ordered, folder.equation);
    }
    module->equations.count = 0;
    for (int i = 0; i < ordered.count; i++) list_push(module->arena, &module->equations, ordered.data[i]);
}
