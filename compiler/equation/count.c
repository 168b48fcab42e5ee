/* Costs of equations: every node counts once for each combination of the indices it depends on, shared nodes once. */
#include "equation/count.h"

#include "equation/node_map.h"

#include <string.h>

/* A set of indices of one equation, by position in a table. */
enum { SET_WORDS = 4 };
typedef struct {
    uint64_t bits[SET_WORDS];
} IndexSet;

typedef struct {
    Arena *arena;
    NodeMap positions; /* index → position + 1 */
    NodeMap sets;      /* node → IndexSet */
    int64_t extents[SET_WORDS * 64];
    int count;
    Cost cost;
} Counter;

static void set_add(Counter *counter, IndexSet *set, const Index *index)
{
    uintptr_t position = (uintptr_t)node_map_get(&counter->positions, index, NULL);
    if (!position) {
        if (counter->count == SET_WORDS * 64) return;
        counter->extents[counter->count++] = index->extent;
        position = (uintptr_t)counter->count;
        node_map_put(&counter->positions, index, (void *)position);
    }
    set->bits[(position - 1) / 64] |= (uint64_t)1 << ((position - 1) % 64);
}

static int64_t set_size(const Counter *counter, const IndexSet *set)
{
    int64_t size = 1;
    for (int i = 0; i < counter->count; i++)
        if (set->bits[i / 64] >> (i % 64) & 1) size *= counter->extents[i];
    return size;
}

/* Reads in its value, not only in its subscripts. */
static bool has_reads(const Expr *expr)
{
    if (expr->kind == EXPR_READ) return true;
    if (expr->kind != EXPR_APPLY) return false;
    for (int i = 0; i < expr->count; i++)
        if (has_reads(expr->args[i])) return true;
    return false;
}

enum { MAX_FACTORS = 8 };

/* Distinct factors with reads; a square counts once. */
static int collect_factors(const Expr *expr, const Expr **factors, int count)
{
    if (expr->kind == EXPR_APPLY && expr->function == FN_MUL) return collect_factors(expr->args[1], factors, collect_factors(expr->args[0], factors, count));
    if (count == MAX_FACTORS || !has_reads(expr)) return count;
    for (int i = 0; i < count; i++)
        if (expr_equal(factors[i], expr)) return count;
    factors[count] = expr;
    return count + 1;
}

bool is_multiply_add(const Expr *reduce)
{
    const Expr *factors[MAX_FACTORS];
    if (!reduce || reduce->kind != EXPR_REDUCE || (reduce->reduction != REDUCE_SUM && reduce->reduction != REDUCE_MEAN)) return false;
    return collect_factors(reduce->args[0], factors, 0) >= 2;
}

static const IndexSet *visit(Counter *counter, const Expr *expr);

static void visit_reduce(Counter *counter, const Expr *expr, IndexSet *set)
{
    const IndexSet *body = visit(counter, expr->args[0]);
    int64_t steps = set_size(counter, body), own = 1;
    for (int i = 0; i < expr->index_count; i++) {
        IndexSet one = {0};
        set_add(counter, &one, expr->indices[i]);
        bool used = false;
        for (int w = 0; w < SET_WORDS; w++) used |= (body->bits[w] & one.bits[w]) != 0;
        if (!used) own *= expr->indices[i]->extent; /* summed all the same */
        for (int w = 0; w < SET_WORDS; w++) set->bits[w] &= ~one.bits[w];
    }
    for (int w = 0; w < SET_WORDS; w++) set->bits[w] |= body->bits[w];
    for (int i = 0; i < expr->index_count; i++) {
        IndexSet one = {0};
        set_add(counter, &one, expr->indices[i]);
        for (int w = 0; w < SET_WORDS; w++) set->bits[w] &= ~one.bits[w];
    }
    counter->cost.flops += steps * own;
    if (is_multiply_add(expr)) counter->cost.macs += steps * own;
    if (expr->reduction == REDUCE_MEAN) counter->cost.flops += set_size(counter, set);
}

static const IndexSet *visit(Counter *counter, const Expr *expr)
{
    IndexSet *set = node_map_get(&counter->sets, expr, NULL);
    if (set) return set;
    set = arena_new_object(counter->arena, IndexSet);
    node_map_put(&counter->sets, expr, set);
    if (expr->kind == EXPR_INDEX) set_add(counter, set, expr->index);
    if (expr->kind == EXPR_REDUCE) {
        visit_reduce(counter, expr, set);
        return set;
    }
    for (int i = 0; i < expr->count; i++) {
        const IndexSet *child = visit(counter, expr->args[i]);
        for (int w = 0; w < SET_WORDS; w++) set->bits[w] |= child->bits[w];
    }
    if (expr->otherwise) {
        const IndexSet *child = visit(counter, expr->otherwise);
        for (int w = 0; w < SET_WORDS; w++) set->bits[w] |= child->bits[w];
    }
    if (expr->kind == EXPR_APPLY && !expr->integer) counter->cost.flops += function_table[expr->function].cost * set_size(counter, set);
    return set;
}

typedef struct {
    NodeMap *seen;
    int64_t bytes;
} Traffic;

static void add_tensor(Traffic *traffic, const Tensor *tensor)
{
    if (node_map_put(traffic->seen, tensor, NULL)) traffic->bytes += tensor_count(tensor) * element_type_size(tensor->type);
}

static void add_read(Expr *node, void *context)
{
    if (node->kind == EXPR_READ) add_tensor(context, node->tensor);
}

Cost equation_cost(const Equation *equation)
{
    Counter counter = {.arena = arena_new()};
    node_map_init(&counter.positions);
    node_map_init(&counter.sets);
    for (int i = 0; i < equation->free_count; i++) {
        IndexSet one = {0};
        set_add(&counter, &one, equation->free[i]);
    }
    visit(&counter, equation->value);
    node_map_free(&counter.positions);
    node_map_free(&counter.sets);
    arena_free(counter.arena);
    NodeMap seen;
    node_map_init(&seen);
    Traffic traffic = {&seen, 0};
    expr_walk(equation->value, add_read, &traffic);
    /* of several writers each counts what it writes */
    int64_t written = 1;
    for (int i = 0; i < equation->free_count; i++) written *= equation->free[i]->extent;
    traffic.bytes += written * element_type_size(equation->result->type);
    node_map_free(&seen);
    counter.cost.bytes = traffic.bytes;
    return counter.cost;
}

void cost_add_weight(Cost *cost, const Tensor *weight)
{
    bool measured = weight->initial.name && strcmp(weight->initial.name, "measured") == 0;
    if (measured) cost->measured += tensor_count(weight);
    else cost->parameters += tensor_count(weight);
}

Cost module_cost(const Module *module)
{
    Cost total = {0};
    NodeMap seen;
    node_map_init(&seen);
    Traffic traffic = {&seen, 0};
    for (int i = 0; i < module->equations.count; i++) {
        const Equation *equation = module->equations.data[i];
        if (equation->packed) continue;
        Cost cost = equation_cost(equation);
        total.macs += cost.macs;
        total.flops += cost.flops;
        expr_walk(equation->value, add_read, &traffic);
        add_tensor(&traffic, equation->result);
    }
    total.bytes = traffic.bytes;
    for (int i = 0; i < module->weights.count; i++) cost_add_weight(&total, module->weights.data[i]);
    node_map_free(&seen);
    return total;
}
