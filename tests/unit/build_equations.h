/* Tensors and equations of hand-built modules, scheduled and lowered afterwards. */
#ifndef GM_TESTS_BUILD_EQUATIONS_H
#define GM_TESTS_BUILD_EQUATIONS_H

#include "build_module.h"

static inline Expr *rd(Tensor *t, Expr *otherwise, Expr *a, Expr *b, Expr *c)
{
    Expr *subscripts[] = {a, b, c};
    return expr_read(module, t, t->rank, subscripts, otherwise, NOWHERE);
}

static inline Tensor *tensor(TensorKind kind, ElementType type, const char *name, int rank, const int64_t *extents)
{
    Tensor *result =
        tensor_new(module, kind, arena_printf(module->arena, "%s.%d", name, module->tensors.count), type, rank, extents, NOWHERE);
    if (kind == TENSOR_WEIGHT) {
        result->path = result->name;
        list_push(module->arena, &module->weights, result);
    }
    if (kind == TENSOR_INPUT) {
        result->input_name = result->name;
        list_push(module->arena, &module->inputs, (Port){.name = result->name, .tensor = result});
    }
    return result;
}

static inline Tensor *input(int rank, int64_t a, int64_t b, int64_t c)
{
    return tensor(TENSOR_INPUT, TYPE_F32, "x", rank, (int64_t[]){a, b, c});
}

static inline Tensor *weight(int rank, int64_t a, int64_t b, int64_t c)
{
    return tensor(TENSOR_WEIGHT, TYPE_F32, "w", rank, (int64_t[]){a, b, c});
}

/* result[free...] = value. */
static inline Tensor *equation(const char *name, int rank, Index *const *free, Expr *value)
{
    int64_t extents[MAX_RANK] = {0};
    for (int i = 0; i < rank; i++) extents[i] = free[i]->extent;
    Tensor *result = tensor(TENSOR_LOCAL, value->integer ? TYPE_I32 : TYPE_F32, name, rank, extents);
    Equation *made = equation_new(module, result, NOWHERE, NULL);
    made->free_count = rank;
    for (int i = 0; i < rank; i++) made->free[i] = free[i], made->subscripts[i] = ei(free[i]);
    made->value = value;
    return result;
}

static inline void output(Tensor *result)
{
    result->output_name = result->name;
    list_push(module->arena, &module->outputs, (Port){.name = result->name, .tensor = result});
}

static inline void start(void) { module = module_new(arena, "test"); }

#endif
