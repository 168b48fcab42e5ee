/* Fresh weights, as their param statements say.
 * In: a module and a seed.  Out: values, the same bits on every machine: own mathematics in double, one rounding to f32.
 * A weight's fans are those of weight[OUT, IN, ...]: fan_out its first axis, fan_in the product of the others. */
#include "support/bug.h"
#include "weights/draw.h"
#include "weights/weights.h"

#include <math.h>
#include <string.h>

static double truncated_normal(Draw *draw)
{
    double value;
    do value = draw_normal(draw);
    while (fabs(value) > 2);
    return value;
}

/* One element. a and b are the initialiser's arguments, or what its fans make of them. */
typedef struct {
    enum { SAME, NORMAL, TRUNCATED, UNIFORM } kind;
    double a, b; /* SAME: a. NORMAL, TRUNCATED: mean a, deviation b. UNIFORM: from a up to b */
} Distribution;

static Distribution distribution_of(const Tensor *weight)
{
    const char *name = weight->initial.name ? weight->initial.name : "zeros";
    const double *arguments = weight->initial.arguments;
    double fan_out = weight->rank ? (double)weight->extents[0] : 1, fan_in = (double)tensor_count(weight) / fan_out;
    double reach = sqrt(6 / (fan_in + fan_out));
    if (strcmp(name, "zeros") == 0) return (Distribution){SAME, 0, 0};
    if (strcmp(name, "ones") == 0) return (Distribution){SAME, 1, 0};
    if (strcmp(name, "constant") == 0 || strcmp(name, "measured") == 0) return (Distribution){SAME, arguments[0], 0};
    if (strcmp(name, "normal") == 0) return (Distribution){NORMAL, arguments[0], arguments[1]};
    if (strcmp(name, "trunc_normal") == 0) return (Distribution){TRUNCATED, 0, arguments[0]};
    if (strcmp(name, "uniform") == 0) return (Distribution){UNIFORM, arguments[0], arguments[1]};
    if (strcmp(name, "xavier") == 0) return (Distribution){UNIFORM, -reach, reach};
    if (strcmp(name, "kaiming") == 0) return (Distribution){NORMAL, 0, sqrt(2 / fan_in)};
    bug("initialise: no initialiser %s", name);
}

static double draw_one(const Distribution *distribution, Draw *draw)
{
    switch (distribution->kind) {
    case SAME: return distribution->a;
    case NORMAL: return distribution->a + distribution->b * draw_normal(draw);
    case TRUNCATED: return distribution->a + distribution->b * truncated_normal(draw);
    case UNIFORM: return distribution->a + (distribution->b - distribution->a) * draw_unit(draw);
    }
    return 0;
}

WeightValues *weights_initialise(Arena *arena, const Module *module, uint64_t seed)
{
    WeightValues *values = weight_values_new(arena, module);
    for (int i = 0; i < module->weights.count; i++) {
        const Tensor *weight = module->weights.data[i];
        Distribution distribution = distribution_of(weight);
        Draw draw = draw_start(seed, weight->path);
        int64_t count = tensor_count(weight);
        if (weight->type == TYPE_F32) {
            float *out = values->f32[weight->id] = arena_new_array(arena, float, count);
            for (int64_t e = 0; e < count; e++) out[e] = (float)draw_one(&distribution, &draw);
        } else {
            int64_t *out = values->integers[weight->id] = arena_new_array(arena, int64_t, count);
            for (int64_t e = 0; e < count; e++) out[e] = (int64_t)floor(draw_one(&distribution, &draw));
        }
    }
    return values;
}
