/* The values of a module's weights, wherever they come from. */
#include "weights/weights.h"

WeightValues *weight_values_new(Arena *arena, const Module *module)
{
    WeightValues *values = arena_new_object(arena, WeightValues);
    *values = (WeightValues){.arena = arena, .module = module};
    values->f32 = arena_new_array(arena, float *, module->tensors.count + 1);
    values->integers = arena_new_array(arena, int64_t *, module->tensors.count + 1);
    values->f64 = arena_new_array(arena, double *, module->tensors.count + 1);
    return values;
}

double *weight_doubles(Arena *arena, const WeightValues *values, const Tensor *weight)
{
    if (values->f64 && values->f64[weight->id]) return values->f64[weight->id];
    int64_t count = tensor_count(weight);
    double *out = arena_new_array(arena, double, count);
    for (int64_t e = 0; e < count; e++) out[e] = weight->type == TYPE_F32 ? (double)values->f32[weight->id][e] : (double)values->integers[weight->id][e];
    return out;
}
