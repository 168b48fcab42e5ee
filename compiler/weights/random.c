/* Random weights for tests and for timing without a checkpoint: non-identity everywhere, the same on every machine.
 * What a param statement says is only a hint here; `gmlpc init` (initialise.c) does what it says. */
#include "weights/draw.h"
#include "weights/weights.h"

#include <math.h>
#include <string.h>

/* In [-1, 1), from 24 bits, so that every value is exact in f32. */
static float uniform(Draw *draw)
{
    return (float)((double)(draw_bits(draw) >> 40) * 0x1p-23 - 1);
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
    } else if (strcmp(how, "constant") == 0 || strcmp(how, "measured") == 0) {
        double value = weight->initial.arguments[0];
        *centre = value == 0 ? 0 : fabs(value) < 0.1 ? 0.5f : (float)value; /* a layer scale of 1e-5 would hide its block */
    } else if (strcmp(how, "zeros") != 0 && long_axes > 1) {
        if (first == 1) fan = weight->extents[weight->rank - 1];
        *width = (float)sqrt(3.0 / (double)fan);
    }
}

WeightValues *weights_random(Arena *arena, const Module *module, uint64_t seed)
{
    WeightValues *values = weight_values_new(arena, module);
    for (int i = 0; i < module->weights.count; i++) {
        const Tensor *weight = module->weights.data[i];
        int64_t count = tensor_count(weight);
        if (weight->type != TYPE_F32) {
            values->integers[weight->id] = arena_new_array(arena, int64_t, count); /* zero is in range whatever it selects */
            continue;
        }
        float centre, width, *out = values->f32[weight->id] = arena_new_array(arena, float, count);
        shape_of_draw(weight, &centre, &width);
        Draw draw = draw_start(seed, weight->path);
        for (int64_t e = 0; e < count; e++) out[e] = (float)((double)centre + (double)width * uniform(&draw)); /* the product is exact in double */
    }
    return values;
}
