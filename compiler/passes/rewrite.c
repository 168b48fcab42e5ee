/* Links and graphs; see rewrite.h. */
#include "passes/rewrite.h"

#include "equation/index.h"
#include "equation/node_map.h"

#include <string.h>

/* --- writers and readers ------------------------------------------------------------------------------------------ */
typedef struct {
    Links *links;
    Equation *equation;
    bool add;
} LinkVisit;

static void visit_read(Expr *node, void *context)
{
    LinkVisit *visit = context;
    if (node->kind != EXPR_READ || node->tensor->kind != TENSOR_LOCAL || node->tensor->id >= visit->links->count) return;
    TensorLinks *tensor = &visit->links->tensors[node->tensor->id];
    for (int i = tensor->readers.count - 1; i >= 0; i--) {
        if (tensor->readers.data[i] != visit->equation) continue;
        if (!visit->add) {
            tensor->readers.count--;
            memmove(&tensor->readers.data[i], &tensor->readers.data[i + 1], (size_t)(tensor->readers.count - i) * sizeof(Equation *));
        }
        return;
    }
    if (visit->add) list_push(visit->links->arena, &tensor->readers, visit->equation);
}

void links_add_reader(Links *links, Equation *equation)
{
    LinkVisit visit = {links, equation, true};
    expr_walk(equation->value, visit_read, &visit);
}

void links_remove_reader(Links *links, Equation *equation)
{
    LinkVisit visit = {links, equation, false};
    expr_walk(equation->value, visit_read, &visit);
}

Links *links_new(Arena *arena, const Module *module)
{
    Links *links = arena_new_object(arena, Links);
    links->arena = arena;
    links->count = module->tensors.count;
    links->tensors = arena_new_array(arena, TensorLinks, links->count + 1);
    for (int i = 0; i < module->equations.count; i++) {
        Equation *equation = module->equations.data[i];
        TensorLinks *tensor = &links->tensors[equation->result->id];
        if (tensor->writers++ == 0) tensor->writer = equation;
        links_add_reader(links, equation);
    }
    return links;
}

Equation *sole_producer(const Links *links, const Tensor *tensor)
{
    if (tensor->kind != TENSOR_LOCAL || tensor->output_name || tensor->id >= links->count) return NULL;
    const TensorLinks *entry = &links->tensors[tensor->id];
    return entry->writers == 1 ? entry->writer : NULL;
}

/* --- graphs ------------------------------------------------------------------------------------------------------- */
typedef struct {
    Module *module;
    ChangeNode *change;
    void *context;
    NodeMap nodes;
} Rewriter;

static Expr *rewrite_node(Rewriter *rewriter, Expr *expr)
{
    Expr *result = node_map_get(&rewriter->nodes, expr, NULL);
    if (result) return result;
    Module *module = rewriter->module;
    Expr *args[MAX_RANK];
    bool changed = false;
    for (int i = 0; i < expr->count; i++) {
        args[i] = rewrite_node(rewriter, expr->args[i]);
        changed |= args[i] != expr->args[i];
    }
    Expr *otherwise = expr->otherwise ? rewrite_node(rewriter, expr->otherwise) : NULL;
    changed |= otherwise != expr->otherwise;
    result = expr;
    if (changed && expr->kind == EXPR_READ) result = expr_read(module, expr->tensor, expr->count, args, otherwise, expr->place);
    if (changed && expr->kind == EXPR_APPLY)
        result = expr_apply(module, expr->function, args[0], expr->count > 1 ? args[1] : NULL, expr->count > 2 ? args[2] : NULL, expr->place);
    if (changed && expr->kind == EXPR_REDUCE)
        result = expr_reduce(module, expr->reduction, expr->index_count, expr->indices, args[0], expr->place);
    result = rewriter->change(module, result, rewriter->context);
    node_map_put(&rewriter->nodes, expr, result);
    return result;
}

Expr *expr_rewrite(Module *module, Expr *expr, ChangeNode *change, void *context)
{
    Rewriter rewriter = {.module = module, .change = change, .context = context};
    node_map_init(&rewriter.nodes);
    Expr *result = rewrite_node(&rewriter, expr);
    node_map_free(&rewriter.nodes);
    return result;
}

static void count_node(Expr *node, void *context)
{
    (void)node;
    ++*(int *)context;
}

int expr_size(const Expr *expr)
{
    int count = 0;
    expr_walk((Expr *)expr, count_node, &count);
    return count;
}

typedef struct {
    const Expr *first;
    int count;
} Reductions;

static void collect_reduction(Expr *node, void *context)
{
    Reductions *found = context;
    if (node->kind != EXPR_REDUCE) return;
    if (found->count++ == 0) found->first = node;
}

int count_reductions(const Expr *expr)
{
    Reductions found = {0};
    expr_walk((Expr *)expr, collect_reduction, &found);
    return found.count;
}

const Expr *find_reduction(const Expr *expr)
{
    Reductions found = {0};
    expr_walk((Expr *)expr, collect_reduction, &found);
    return found.count == 1 ? found.first : NULL;
}

bool is_weight_only(const Expr *expr)
{
    return !expr_is_data_dependent(expr);
}

static void search_data_subscripts(Expr *node, void *context)
{
    bool *found = context;
    for (int axis = 0; node->kind == EXPR_READ && axis < node->count; axis++)
        *found = *found || expr_is_data_dependent(node->args[axis]);
}

bool has_data_subscripts(const Expr *expr)
{
    bool found = false;
    expr_walk((Expr *)expr, search_data_subscripts, &found);
    return found;
}

static void search_inexact(Expr *node, void *context)
{
    bool *found = context;
    Linear linear;
    if (node->kind != EXPR_READ) return;
    *found = *found || node->otherwise;
    for (int axis = 0; axis < node->count; axis++) *found = *found || !index_linear(node->args[axis], &linear);
}

bool has_inexact_reads(const Expr *expr)
{
    bool found = false;
    expr_walk((Expr *)expr, search_inexact, &found);
    return found;
}

Expr *expr_real(Module *module, Expr *expr)
{
    if (!expr->integer) return expr;
    if (expr->kind == EXPR_NUMBER) return expr_number(module, expr->number, false, expr->place);
    return expr_apply(module, FN_MUL, expr, expr_number(module, 1, false, expr->place), NULL, expr->place);
}

static Expr *guard_node(Module *module, Expr *node, void *context)
{
    (void)context;
    if (node->kind != EXPR_READ || node->otherwise) return node;
    bool inside = true;
    for (int axis = 0; axis < node->count; axis++) {
        int64_t low, high;
        if (expr_is_data_dependent(node->args[axis])) continue;
        inside = inside && index_range(node->args[axis], &low, &high) && low >= 0 && high < node->tensor->extents[axis];
    }
    if (inside) return node;
    return expr_read(module, node->tensor, node->count, node->args, expr_number(module, 0, node->integer, node->place), node->place);
}

Expr *guard_reads(Module *module, Expr *expr)
{
    return expr_rewrite(module, expr, guard_node, NULL);
}

int64_t free_points(const Equation *equation)
{
    int64_t points = 1;
    for (int i = 0; i < equation->free_count; i++) points *= equation->free[i]->extent;
    return points;
}

typedef struct {
    const Tensor *tensor;
    bool inside; /* read below the reduction visited */
} TensorSearch;

static void search_tensor(Expr *node, void *context)
{
    TensorSearch *search = context;
    search->inside |= node->kind == EXPR_READ && node->tensor == search->tensor;
}

typedef struct {
    const Tensor *tensor;
    int64_t factor;
} PointSearch;

static void search_points(Expr *node, void *context)
{
    PointSearch *search = context;
    if (node->kind != EXPR_REDUCE) return;
    TensorSearch below = {search->tensor, false};
    expr_walk(node->args[0], search_tensor, &below);
    for (int i = 0; below.inside && i < node->index_count; i++) search->factor *= node->indices[i]->extent;
}

int64_t read_points(const Equation *equation, const Tensor *tensor)
{
    PointSearch search = {tensor, 1};
    expr_walk(equation->value, search_points, &search);
    return free_points(equation) * search.factor;
}

/* --- parts -------------------------------------------------------------------------------------------------------- */
Part part_new(Module *module, const Equation *user, const char *name, ElementType type, Expr *part, Index *const *scope, int scope_count)
{
    Substitution map[MAX_RANK];
    Index *free[MAX_RANK];
    Expr *subscripts[MAX_RANK];
    int64_t extents[MAX_RANK];
    int rank = 0;
    for (int i = 0; i < scope_count; i++) {
        Index *index = scope[i];
        if (!expr_uses(part, index)) continue;
        if (rank == MAX_RANK) return (Part){0};
        free[rank] = index_new(module, index->name, index->extent, index->origin);
        map[rank] = (Substitution){index, expr_index(module, free[rank], index->origin)};
        subscripts[rank] = expr_index(module, index, index->origin);
        extents[rank++] = index->extent;
    }
    Place place = part->place.source ? part->place : user->origin;
    Tensor *tensor = tensor_new(module, TENSOR_LOCAL, name, type, rank, extents, place);
    Equation *equation = equation_new(module, tensor, place, user->frame);
    module->equations.count--;
    equation->free_count = rank;
    memcpy(equation->free, free, sizeof(Index *) * (size_t)rank);
    for (int i = 0; i < rank; i++) equation->subscripts[i] = expr_index(module, free[i], free[i]->origin);
    equation->value = expr_substitute(module, part, map, rank);
    return (Part){expr_read(module, tensor, rank, subscripts, NULL, place), equation};
}

Part part_packed(Module *module, const Equation *user, Expr *part, Index *const *scope, int scope_count)
{
    Part made = part_new(module, user, tensor_name(module, user->result, "packed"), TYPE_F32, part, scope, scope_count);
    if (!made.read) return made;
    made.equation->value = guard_reads(module, made.equation->value);
    made.equation->packed = made.equation->result->packed = true;
    return made;
}

/* --- names and dead code ------------------------------------------------------------------------------------------ */
const char *tensor_name(Module *module, const Tensor *of, const char *word)
{
    return arena_printf(module->arena, "%s.%s%d", of->name, word, module->tensors.count);
}

typedef struct {
    bool *live;
} Liveness;

static void mark_read(Expr *node, void *context)
{
    Liveness *liveness = context;
    if (node->kind == EXPR_READ) liveness->live[node->tensor->id] = true;
}

void remove_dead(Module *module)
{
    Arena *scratch = arena_new();
    Liveness liveness = {arena_new_array(scratch, bool, module->tensors.count + 1)};
    for (int i = 0; i < module->outputs.count; i++) liveness.live[module->outputs.data[i].tensor->id] = true;
    int kept = module->equations.count;
    for (int i = module->equations.count - 1; i >= 0; i--) {
        Equation *equation = module->equations.data[i];
        if (!liveness.live[equation->result->id] && !equation->result->output_name) continue;
        expr_walk(equation->value, mark_read, &liveness);
        module->equations.data[--kept] = equation;
    }
    module->equations.count -= kept;
    if (module->equations.count)
        memmove(module->equations.data, module->equations.data + kept, (size_t)module->equations.count * sizeof(Equation *));
    arena_free(scratch);
}
