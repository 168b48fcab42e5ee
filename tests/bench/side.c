/* One side of a comparison. In: a request.  Out: code, weights and arrays in place. */
#include "bench/side.h"

#include "commands/inputs.h"
#include "commands/peak.h"
#include "emit_c/blob.h"
#include "gm_memory.h"
#include "support/bug.h"
#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

bool side_prepare(Arena *arena, const PipelineRequest *request, Backend backend, Side *side, Diagnostics *diags)
{
    Model *written = model_load(arena, &request->model, diags); /* inputs that are subscripts know their bounds there */
    double begin = now_ns();
    PipelineRequest whole = *request;
    whole.stop = backend_stage(backend);
    if (!written || !written->module || !pipeline_run(arena, &whole, &side->pipeline, diags) || !compiled_load(arena, &side->pipeline, backend, &side->compiled, diags)) return false;
    side->compile_ms = 1e-6 * (now_ns() - begin);
    size_t size = 0;
    unsigned char *payload = weights_pack(side->pipeline.plan, weights_random(arena, side->pipeline.module, 1), diags);
    unsigned char *built = payload ? blob_build(side->pipeline.plan, payload, NULL, 0, &size) : NULL, *image = gm_memory_new(size);
    if (image) memcpy(image, built, size);
    free(built);
    free(payload);
    const gm_model *code = side->compiled.model;
    side->weights = arena_alloc(arena, code->weights_bytes + 1);
    side->memory = gm_memory_new(code->arena_bytes + 64);
    if (!image || !side->memory || code->bind(side->weights, image, size) != GM_OK) bug("the code refuses its weights");
    side->inputs = random_inputs(arena, written->module, 1);
    side->outputs = output_arrays(arena, side->pipeline.module);
    return true;
}

double side_run(const Side *side)
{
    double begin = now_ns();
    const gm_model *model = side->compiled.model;
    if (side->pool) model->run_on(side->weights, side->memory, side->pool, (const void *const *)side->inputs, side->outputs);
    else model->run(side->weights, side->memory, (const void *const *)side->inputs, side->outputs);
    return 1e-6 * (now_ns() - begin);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}
