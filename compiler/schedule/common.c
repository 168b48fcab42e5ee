/* Questions about equations that several parts of scheduling ask. */
#include "schedule/schedule.h"

#include "equation/index.h"
#include "equation/node_map.h"

#include <string.h>

TensorPlan *tensor_plan_new(Scheduler *s, Tensor *tensor)
{
    TensorPlan *plan = arena_new_object(s->arena, TensorPlan);
    plan->last_read = plan->first_write = plan->last_write = -1;
    plan->layout.storage = STORE_NONE;
    tensor->extra = plan;
    return plan;
}

typedef struct {
    bool run_time, gathers;
} Facts;

static void visit_facts(Expr *node, void *context)
{
    Facts *facts = context;
    if (node->kind != EXPR_READ) return;
    const Tensor *tensor = node->tensor;
    if (tensor->kind == TENSOR_INPUT || (tensor->kind == TENSOR_LOCAL && !tensor->packed)) facts->run_time = true;
    for (int i = 0; i < node->count; i++)
        if (expr_is_data_dependent(node->args[i])) facts->gathers = true;
}

static Facts facts_of(const Expr *expr)
{
    Facts facts = {0};
    expr_walk((Expr *)expr, visit_facts, &facts);
    return facts;
}

bool expr_is_weight_only(const Expr *expr)
{
    return !facts_of(expr).run_time;
}

bool expr_gathers(const Expr *expr)
{
    return facts_of(expr).gathers;
}

static void visit_reduce(Expr *node, void *context)
{
    Expr **reduce = context;
    if (node->kind == EXPR_REDUCE && !*reduce) *reduce = node;
}

Expr *equation_reduce(const Equation *equation)
{
    Expr *reduce = NULL;
    expr_walk(equation->value, visit_reduce, &reduce);
    return reduce;
}

bool subscript_is(const Expr *subscript, const Index *index)
{
    Linear linear;
    if (subscript->kind == EXPR_INDEX) return subscript->index == index;
    return index_linear(subscript, &linear) && linear.constant == 0 && linear.count == 1 && linear.coefficients[0] == 1 &&
           linear.indices[0] == index;
}

typedef struct {
    NodeMap seen;
    const Expr *reduce;
    ReadVisitor *visit;
    void *context;
} Reader;

static void reads_below(Reader *reader, Expr *node, bool inside)
{
    if (!node_map_put(&reader->seen, node, NULL)) return;
    if (node == reader->reduce) inside = true;
    if (node->kind == EXPR_READ) reader->visit(node, inside, reader->context);
    for (int i = 0; i < node->count; i++) reads_below(reader, node->args[i], inside);
    if (node->otherwise) reads_below(reader, node->otherwise, inside);
}

/* A node that stands both inside and outside the reduction cannot depend on the reduced indices; it counts as inside when met
 * there first, which only makes its users more careful. */
void expr_reads(Expr *root, const Expr *reduce, ReadVisitor *visit, void *context)
{
    Reader reader = {.reduce = reduce, .visit = visit, .context = context};
    node_map_init(&reader.seen);
    reads_below(&reader, root, false);
    node_map_free(&reader.seen);
}

void plan_note(Scheduler *s, const Equation *equation, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PlanNote note = {arena_vprintf(s->arena, format, arguments), equation};
    va_end(arguments);
    list_push(s->arena, &s->plan->notes, note);
}

int64_t equation_iterations(const Equation *equation)
{
    int64_t count = 1;
    for (int i = 0; i < equation->free_count; i++) count *= equation->free[i]->extent;
    const Expr *reduce = equation_reduce(equation);
    for (int i = 0; reduce && i < reduce->index_count; i++) count *= reduce->indices[i]->extent;
    return count;
}

const char *tensor_last_name(const Tensor *tensor)
{
    const char *dot = strrchr(tensor->name, '.');
    return dot && dot[1] ? dot + 1 : tensor->name;
}
