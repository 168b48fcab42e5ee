/* Invariants of the equation form; see equation.h. Every fault here is the compiler's. */
#include "equation/verify.h"

#include "equation/index.h"
#include "equation/node_map.h"
#include "equation/print.h"
#include "support/bug.h"

#include <stdarg.h>

typedef struct {
    const Module *module;
    const Equation *equation;
    NodeMap written;  /* tensor → equations that write it and are still to come + 1, or 1 when all have come */
    NodeMap bound;    /* index → the equation it belongs to */
    NodeMap scope;    /* index → in scope here */
    NodeMap seen;     /* node checked in this equation */
    int reductions;
} Verifier;

static _Noreturn void fault(const Verifier *verifier, const char *format, ...)
{
    Text text = text_new(verifier->module->arena);
    va_list arguments;
    va_start(arguments, format);
    const char *what = arena_vprintf(verifier->module->arena, format, arguments);
    va_end(arguments);
    if (verifier->equation) equation_print(verifier->equation, &text);
    bug("%s, in: %s", what, text_string(&text));
}

static void bind_index(Verifier *verifier, const Index *index)
{
    if (index->extent < 1) fault(verifier, "index %s has extent %lld", index->name, (long long)index->extent);
    if (!node_map_put(&verifier->bound, index, NULL)) fault(verifier, "index %s (%d) is bound twice", index->name, index->id);
}

/* What an equation reads must be computed before it. */
static void check_tensor(const Verifier *verifier, const Tensor *tensor)
{
    if (tensor->id >= verifier->module->tensors.count || verifier->module->tensors.data[tensor->id] != tensor)
        fault(verifier, "tensor %s is not in the module", tensor->name);
    if (tensor->kind == TENSOR_CONSTANT && !tensor->values) fault(verifier, "constant %s has no values", tensor->name);
    if (tensor->kind != TENSOR_LOCAL) return;
    if ((uintptr_t)node_map_get(&verifier->written, tensor, NULL) != 1) fault(verifier, "%s is read before it is all written", tensor->name);
    if (verifier->equation && verifier->equation->packed && !tensor->packed)
        fault(verifier, "a packed equation reads %s, which is not packed", tensor->name);
}

static void check_node(Verifier *verifier, const Expr *node);

static void check_subscript(Verifier *verifier, const Expr *read, int axis)
{
    int64_t low, high;
    const Expr *subscript = read->args[axis];
    if (!subscript->integer) fault(verifier, "a subscript of %s is not an integer", read->tensor->name);
    if (read->otherwise || expr_is_data_dependent(subscript)) return;
    if (index_range(subscript, &low, &high) && (high < 0 || low >= read->tensor->extents[axis]))
        fault(verifier, "axis %d of %s is always read outside: %lld to %lld", axis, read->tensor->name, (long long)low, (long long)high);
}

static void check_read(Verifier *verifier, const Expr *node)
{
    check_tensor(verifier, node->tensor);
    if (node->count != node->tensor->rank) fault(verifier, "%s has rank %d", node->tensor->name, node->tensor->rank);
    for (int axis = 0; axis < node->count; axis++) check_subscript(verifier, node, axis);
}

static void check_reduce(Verifier *verifier, const Expr *node)
{
    verifier->reductions++;
    if (node->count != 1 || node->index_count < 1) fault(verifier, "a malformed reduction");
    for (int i = 0; i < node->index_count; i++) {
        bind_index(verifier, node->indices[i]);
        node_map_put(&verifier->scope, node->indices[i], (void *)1);
    }
    check_node(verifier, node->args[0]);
    for (int i = 0; i < node->index_count; i++) node_map_put(&verifier->scope, node->indices[i], NULL);
}

/* A node is checked where it is met first; an index out of its reduction would show there or in the evaluator. */
static void check_node(Verifier *verifier, const Expr *node)
{
    if (!node) fault(verifier, "a missing operand");
    if (!node_map_put(&verifier->seen, node, NULL)) return;
    switch (node->kind) {
    case EXPR_NUMBER: break;
    case EXPR_INDEX:
        if (!node_map_get(&verifier->scope, node->index, NULL)) fault(verifier, "index %s (%d) is out of scope", node->index->name, node->index->id);
        break;
    case EXPR_READ: check_read(verifier, node); break;
    case EXPR_APPLY:
        if (node->function >= FUNCTION_COUNT || node->count != function_table[node->function].arity)
            fault(verifier, "a function with %d arguments", node->count);
        break;
    case EXPR_REDUCE: check_reduce(verifier, node); return;
    }
    for (int i = 0; i < node->count; i++) check_node(verifier, node->args[i]);
    if (node->otherwise) check_node(verifier, node->otherwise);
}

/* Left sides are linear, inside the tensor, and as many combinations as they can reach. */
static void check_left(Verifier *verifier)
{
    const Equation *equation = verifier->equation;
    int64_t points = 1;
    for (int i = 0; i < equation->free_count; i++) points *= equation->free[i]->extent;
    if (points > tensor_count(equation->result)) fault(verifier, "more combinations than elements");
    for (int axis = 0; axis < equation->rank; axis++) {
        Linear linear;
        int64_t low, high;
        const Expr *subscript = equation->subscripts[axis];
        if (!subscript || !index_linear(subscript, &linear)) fault(verifier, "axis %d of the left side is not a sum of indices", axis);
        for (int i = 0; i < linear.count; i++)
            if (!node_map_get(&verifier->scope, linear.indices[i], NULL)) fault(verifier, "the left side uses an index that is not free");
        if (!index_range(subscript, &low, &high) || low < 0 || high >= equation->result->extents[axis])
            fault(verifier, "axis %d of the left side leaves its tensor", axis);
    }
}

static void check_equation(Verifier *verifier, bool normal)
{
    const Equation *equation = verifier->equation;
    if (equation->result->kind != TENSOR_LOCAL) fault(verifier, "the result is not a local tensor");
    if (equation->rank != equation->result->rank) fault(verifier, "the result has rank %d", equation->result->rank);
    if (equation->free_count > MAX_RANK * 2) fault(verifier, "%d free indices", equation->free_count);
    if (!equation->value) fault(verifier, "no value");
    if (element_type_is_integer(equation->result->type) && !equation->value->integer) fault(verifier, "an integer result of a real value");
    if (equation->packed != equation->result->packed) fault(verifier, "packed equation and result differ");
    node_map_init(&verifier->seen);
    node_map_init(&verifier->scope);
    verifier->reductions = 0;
    for (int i = 0; i < equation->free_count; i++) {
        bind_index(verifier, equation->free[i]);
        node_map_put(&verifier->scope, equation->free[i], (void *)1);
    }
    check_left(verifier);
    check_node(verifier, equation->value);
    if (normal && verifier->reductions > 1) fault(verifier, "%d reductions in normal form", verifier->reductions);
    node_map_free(&verifier->seen);
    node_map_free(&verifier->scope);
}

void module_verify(const Module *module, bool normal)
{
    Verifier verifier = {.module = module};
    node_map_init(&verifier.written);
    node_map_init(&verifier.bound);
    for (int i = 0; i < module->equations.count; i++) {
        const Tensor *tensor = module->equations.data[i]->result;
        uintptr_t writers = (uintptr_t)node_map_get(&verifier.written, tensor, NULL);
        node_map_put(&verifier.written, tensor, (void *)(writers ? writers + 1 : 2));
    }
    for (int i = 0; i < module->equations.count; i++) {
        verifier.equation = module->equations.data[i];
        check_equation(&verifier, normal);
        const Tensor *tensor = verifier.equation->result;
        node_map_put(&verifier.written, tensor, (char *)node_map_get(&verifier.written, tensor, NULL) - 1);
    }
    verifier.equation = NULL;
    for (int i = 0; i < module->outputs.count; i++) check_tensor(&verifier, module->outputs.data[i].tensor);
    node_map_free(&verifier.written);
    node_map_free(&verifier.bound);
}
