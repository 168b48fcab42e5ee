/* random_checkpoint MODEL.gm OUT.safetensors [SEED]: a checkpoint of seeded random values under the model's own names. */
#include "pipeline.h"
#include "weights/weights.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: random_checkpoint MODEL.gm OUT.safetensors [SEED]\n");
        return 2;
    }
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    ModelRequest request = {.path = argv[1]};
    Model *model = model_load(arena, &request, diags);
    if (!model || !model->module) {
        fprintf(stderr, "%s has errors\n", argv[1]);
        return 1;
    }
    Module *module = model->module;
    WeightValues *values = weights_random(arena, module, argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
    json_t *header = json_object();
    int64_t offset = 0;
    for (int i = 0; i < module->weights.count; i++) {
        const Tensor *tensor = module->weights.data[i];
        json_t *shape = json_array();
        for (int axis = 0; axis < tensor->rank; axis++) json_array_append_new(shape, json_integer(tensor->extents[axis]));
        int64_t end = offset + tensor_count(tensor) * 4;
        json_object_set_new(header, tensor->path, json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)offset, (json_int_t)end));
        offset = end;
    }
    char *text = json_dumps(header, JSON_COMPACT);
    uint64_t size = strlen(text);
    FILE *out = fopen(argv[2], "wb");
    if (!out) {
        perror(argv[2]);
        return 1;
    }
    fwrite(&size, 8, 1, out);
    fwrite(text, 1, size, out);
    for (int i = 0; i < module->weights.count; i++) {
        const Tensor *tensor = module->weights.data[i];
        fwrite(values->f32[tensor->id], 4, (size_t)tensor_count(tensor), out);
    }
    return fclose(out) == 0 ? 0 : 1;
}
