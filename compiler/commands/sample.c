/* Sampling. A tensor without storage is evaluated from its equation and remembered, element by element. */
#include "commands/sample.h"

#include "commands/inputs.h"
#include "equation/evaluate.h"
#include "equation/index.h"
#include "support/bug.h"

#include <math.h>

typedef struct {
    LIST(Equation *) writers;
    double *values;       /* of a tensor without storage; allocated when first needed */
    unsigned char *known;
} TensorState;

struct Sampler {
    Arena *arena;
    FinishedRun run;
    TensorState *states;  /* by tensor id */
};

Sampler *sampler_new(Arena *arena, const FinishedRun *run)
{
    Sampler *sampler = arena_new_object(arena, Sampler);
    const Module *module = run->plan->module;
    sampler->arena = arena;
    sampler->run = *run;
    sampler->states = arena_new_array(arena, TensorState, module->tensors.count);
    for (int i = 0; i < module->equations.count; i++) {
        Equation *equation = module->equations.data[i];
        list_push(arena, &sampler->states[equation->result->id].writers, equation);
    }
    return sampler;
}

static void decode(const Tensor *tensor, int64_t element, int64_t *coordinates)
{
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        coordinates[axis] = element % tensor->extents[axis];
        element /= tensor->extents[axis];
    }
}

/* The free values for which an equation writes these coordinates; false: it writes others. */
static bool solve(const Equation *equation, const int64_t *coordinates, int64_t *free_values)
{
    for (int i = 0; i < equation->free_count; i++) free_values[i] = 0;
    for (int axis = 0; axis < equation->rank; axis++) {
        Linear linear;
        if (!index_linear(equation->subscripts[axis], &linear)) bug("the left side of %s isn't linear", equation->result->name);
        int64_t rest = coordinates[axis] - linear.constant;
        bool used[MAX_TERMS] = {false};
        for (int n = 0; n < linear.count; n++) {
            int largest = -1;
            for (int k = 0; k < linear.count; k++)
                if (!used[k] && (largest < 0 || linear.coefficients[k] > linear.coefficients[largest] ||
                                 (linear.coefficients[k] == linear.coefficients[largest] && linear.indices[k]->extent > linear.indices[largest]->extent)))
                    largest = k;
            used[largest] = true;
            int64_t value = rest < 0 ? 0 : rest / linear.coefficients[largest];
            if (value >= linear.indices[largest]->extent) value = linear.indices[largest]->extent - 1;
            rest -= value * linear.coefficients[largest];
            for (int f = 0; f < equation->free_count; f++)
                if (equation->free[f] == linear.indices[largest]) free_values[f] = value;
        }
        if (rest != 0) return false;
    }
    return true;
}

static double read_tensor(void *context, const Tensor *tensor, int64_t element);

static double computed(Sampler *sampler, const Tensor *tensor, int64_t element)
{
    TensorState *state = &sampler->states[tensor->id];
    int64_t count = tensor_count(tensor), coordinates[MAX_RANK], free_values[MAX_RANK * 2];
    if (!state->values) {
        state->values = arena_new_array(sampler->arena, double, count);
        state->known = arena_new_array(sampler->arena, unsigned char, count);
    }
    if (state->known[element]) return state->values[element];
    decode(tensor, element, coordinates);
    for (int i = 0; i < state->writers.count; i++) {
        if (!solve(state->writers.data[i], coordinates, free_values)) continue;
        bool clamped = false;
        state->values[element] = equation_evaluate_at(state->writers.data[i], free_values, read_tensor, sampler, &clamped);
        state->known[element] = 1;
        return state->values[element];
    }
    bug("no equation writes element %lld of %s", (long long)element, tensor->name);
}

static const unsigned char *storage(const Sampler *sampler, const Layout *layout)
{
    switch (layout->storage) {
    case STORE_INPUT: return sampler->run.inputs[layout->port];
    case STORE_OUTPUT: return sampler->run.outputs[layout->port];
    case STORE_ARENA: return sampler->run.arena + layout->offset_bytes;
    case STORE_BLOB: return sampler->run.payload + layout->offset_bytes;
    case STORE_NONE:
    case STORE_STATIC: break;
    }
    return NULL;
}

static double read_tensor(void *context, const Tensor *tensor, int64_t element)
{
    Sampler *sampler = context;
    if (tensor->kind == TENSOR_CONSTANT) return tensor->type == TYPE_F32 ? (double)(float)tensor->values[element] : tensor->values[element];
    if (tensor->kind == TENSOR_WEIGHT) {
        const WeightValues *values = sampler->run.values;
        return tensor->type == TYPE_F32 ? (double)values->f32[tensor->id][element] : (double)values->integers[tensor->id][element];
    }
    const Layout *layout = tensor_layout(tensor);
    const unsigned char *base = layout ? storage(sampler, layout) : NULL;
    if (!base) return computed(sampler, tensor, element);
    int64_t coordinates[MAX_RANK], offset = 0;
    decode(tensor, element, coordinates);
    for (int axis = 0; axis < tensor->rank; axis++) offset += coordinates[axis] * layout->strides[axis];
    return array_element(base, tensor->type, offset);
}

SampleError sampler_check(Sampler *sampler, const Equation *equation, int64_t samples, uint64_t seed)
{
    int64_t combinations = 1, free_values[MAX_RANK * 2];
    for (int i = 0; i < equation->free_count; i++) combinations *= equation->free[i]->extent;
    bool all = combinations <= samples;
    double worst = 0, largest = 1;
    SampleError result = {0, all ? combinations : samples};
    uint64_t state = seed ^ (uint64_t)equation->id * 0x9E3779B97F4A7C15u;
    for (int64_t n = 0; n < result.compared; n++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        int64_t which = all ? n : (int64_t)((state >> 11) % (uint64_t)combinations);
        for (int i = equation->free_count - 1; i >= 0; i--) {
            free_values[i] = which % equation->free[i]->extent;
            which /= equation->free[i]->extent;
        }
        bool clamped = false;
        double expected = equation_evaluate_at(equation, free_values, read_tensor, sampler, &clamped);
        double ours = read_tensor(sampler, equation->result, equation_element_at(equation, free_values));
        if (isnan(expected) && isnan(ours)) continue;
        if (isinf(expected) && ours == expected) continue;
        double difference = fabs(ours - expected);
        if (isnan(difference)) difference = INFINITY;
        if (difference > worst) worst = difference;
        if (!isinf(expected) && fabs(expected) > largest) largest = fabs(expected);
    }
    result.error = worst / largest;
    return result;
}
