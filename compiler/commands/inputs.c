/* Seeded inputs. Which integers are valid is read off the equations that use them as subscripts. */
#include "commands/inputs.h"

#include <string.h>

static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* The sum of four uniform numbers, scaled to variance 1. */
static double normal(uint64_t *state)
{
    uint64_t bits = next(state);
    double sum = 0;
    for (int i = 0; i < 4; i++) sum += (double)((bits >> (16 * i)) & 0xFFFF) / 65535.0 - 0.5;
    return sum * 1.7320508;
}

typedef struct {
    int64_t *limits; /* by tensor id: values must be below; 0: no subscript */
    int64_t extent;  /* of the axis whose subscript is being walked */
} Limits;

static void limit_reads(Expr *node, void *context)
{
    Limits *limits = context;
    if (node->kind != EXPR_READ || !element_type_is_integer(node->tensor->type)) return;
    int64_t *limit = &limits->limits[node->tensor->id];
    if (*limit == 0 || *limit > limits->extent) *limit = limits->extent;
}

static void limit_subscripts(Expr *node, void *context)
{
    Limits *limits = context;
    if (node->kind != EXPR_READ) return;
    for (int i = 0; i < node->count; i++) {
        limits->extent = node->tensor->extents[i];
        if (expr_is_data_dependent(node->args[i])) expr_walk(node->args[i], limit_reads, limits);
    }
}

/* Limits pass from a local integer tensor to what it is computed from. */
static void find_limits(const Module *module, Limits *limits)
{
    for (int i = module->equations.count - 1; i >= 0; i--) {
        Equation *equation = module->equations.data[i];
        expr_walk(equation->value, limit_subscripts, limits);
        int64_t own = limits->limits[equation->result->id];
        if (own && element_type_is_integer(equation->result->type)) {
            limits->extent = own;
            expr_walk(equation->value, limit_reads, limits);
        }
    }
}

static void fill(void *array, const Tensor *tensor, int64_t limit, uint64_t *state)
{
    int64_t count = tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) {
        if (tensor->type == TYPE_F32) {
            ((float *)array)[i] = (float)normal(state);
            continue;
        }
        int64_t value = (int64_t)(next(state) % (uint64_t)(limit ? limit : 2));
        switch (tensor->type) {
        case TYPE_U8: ((uint8_t *)array)[i] = (uint8_t)value; break;
        case TYPE_I32: ((int32_t *)array)[i] = (int32_t)value; break;
        case TYPE_I64: ((int64_t *)array)[i] = value; break;
        case TYPE_F32: break;
        }
    }
}

void **random_inputs(Arena *arena, const Module *module, uint64_t seed)
{
    Limits limits = {.limits = arena_new_array(arena, int64_t, module->tensors.count)};
    find_limits(module, &limits);
    void **arrays = arena_new_array(arena, void *, module->inputs.count + 1);
    for (int i = 0; i < module->inputs.count; i++) {
        const Tensor *tensor = module->inputs.data[i].tensor;
        uint64_t state = seed * 1000003u + (uint64_t)i;
        arrays[i] = arena_alloc_array(arena, (size_t)tensor_count(tensor), (size_t)element_type_size(tensor->type));
        fill(arrays[i], tensor, limits.limits[tensor->id], &state);
    }
    return arrays;
}

void **output_arrays(Arena *arena, const Module *module)
{
    void **arrays = arena_new_array(arena, void *, module->outputs.count + 1);
    for (int i = 0; i < module->outputs.count; i++) {
        const Tensor *tensor = module->outputs.data[i].tensor;
        arrays[i] = arena_alloc_array(arena, (size_t)tensor_count(tensor), (size_t)element_type_size(tensor->type));
    }
    return arrays;
}

double array_element(const void *array, ElementType type, int64_t i)
{
    switch (type) {
    case TYPE_F32: return (double)((const float *)array)[i];
    case TYPE_I32: return (double)((const int32_t *)array)[i];
    case TYPE_I64: return (double)((const int64_t *)array)[i];
    case TYPE_U8: return (double)((const uint8_t *)array)[i];
    }
    return 0;
}
