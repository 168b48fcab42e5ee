/* Random weights for tests and for timing without a checkpoint: non-identity everywhere, the same on every machine.
 * The generator is splitmix64, seeded by the seed and the weight's path, so that the order of weights doesn't matter. */
#include "weights/weights.h"

#include <math.h>
#include <string.h>

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* In [-1, 1), from 24 bits, so that every value is exact in f32. */
static float uniform(uint64_t *state)
{
    return (float)((double)(next(state) >> 40) * 0x1p-23 - 1);
}

static uint64_t state_of(uint64_t seed, const char *path)
{
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (; *path; path++) state = (state ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
    return state;
}

/* How a weight is drawn: centre + width * uniform. */
static void shape_of_draw(const Tensor *weight, float *centre, float *width)
{
    const char *how = weight->initial.name ? weight->initial.name : "";
    int64_t first = 1, fan = 1;
    int long_axes = 0;
    for (int d = 0; d < weight->rank; d++) {
        if (d == 0) first = weight->extents[0];
        else fan *= weight->extents[d];
        long_axes += weight->extents[d] > 1;
    }
    *centre = 0;
    *width = 0.1f;
    if (strcmp(how, "ones") == 0) {
        *centre = 1;
    } else if (strcmp(how, "constant") == 0) {
        double value = weight->initial.arguments[0];
        *centre = value == 0 ? 0 : fabs(value) < 0.1 ? 0.5f : (float)value; /* a layer scale of 1e-5 would hide its block */
    } else if (strcmp(how, "zeros") != 0 && long_axes > 1) {
        if (first == 1) fan = weight->extents[weight->rank - 1];
        *width = (float)sqrt(3.0 / (double)fan);
    }
}

WeightValues *weights_random(Arena *arena, const Module *module, uint64_t seed)
{
    WeightValues *values = arena_new_object(arena, WeightValues);
    values->arena = arena;
    values->module = module;
    values->f32 = arena_new_array(arena, float *, module->tensors.count + 1);
    values->integers = arena_new_array(arena, int64_t *, module->tensors.count + 1);
    for (int i = 0; i < module->weights.count; i++) {
        const Tensor *weight = module->weights.data[i];
        int64_t count = tensor_count(weight);
        if (weight->type != TYPE_F32) {
            values->integers[weight->id] = arena_new_array(arena, int64_t, count); /* zero is in range whatever it selects */
            continue;
        }
        float centre, width, *out = values->f32[weight->id] = arena_new_array(arena, float, count);
        shape_of_draw(weight, &centre, &width);
        uint64_t state = state_of(seed, weight->path);
        for (int64_t e = 0; e < count; e++) out[e] = (float)((double)centre + (double)width * uniform(&state)); /* the product is exact in double */
    }
    return values;
}
