/* Weights, memory and threads around one model. The compiled model's arena is malloc'ed, as a host would. */
#include "commands/runner.h"

#include "commands/inputs.h"
#include "emit_c/blob.h"
#include "equation/evaluate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void progress(const char *what, long long done, long long total)
{
    if (!isatty(2)) return;
    if (total > 0) fprintf(stderr, "\r%s: %lld of %lld\033[K", what, done, total);
    else fprintf(stderr, "\r%s\033[K", what);
    if (done == total) fprintf(stderr, "\r\033[K");
    fflush(stderr);
}

static void equation_progress(void *context, int done, int total)
{
    (void)context;
    progress("evaluating equations", done, total);
}

static WeightValues *get_values(Runner *runner)
{
    const RunnerRequest *request = runner->request;
    if (request->weights.path) return weights_load(runner->arena, runner->pipeline->model, &request->weights, runner->diags);
    return weights_random(runner->arena, runner->pipeline->module, request->seed);
}

/* --- compiled ----------------------------------------------------------------------------------------------------- */

static bool bind_weights(Runner *runner, const void *image, size_t size)
{
    const gm_model *model = runner->compiled.model;
    runner->bound = arena_alloc(runner->arena, model->weights_bytes + 1);
    int status = model->bind(runner->bound, image, size);
    if (status != GM_OK) {
        diag_error(runner->diags, GM158, (Place){0}, "%s: %s", runner->request->gmw ? runner->request->gmw : "the compiled model refuses its weights",
                   gm_status_text(status));
        return false;
    }
    size_t alignment = model->alignment < 64 ? 64 : model->alignment;
    runner->memory = aligned_alloc(alignment, (model->arena_bytes + alignment) / alignment * alignment);
    if (!runner->memory) {
        diag_error(runner->diags, GM158, (Place){0}, "out of memory: the model needs an arena of %zu bytes", model->arena_bytes);
        return false;
    }
    if (runner->request->threads != 1) runner->pool = gm_pool_new((int)runner->request->threads);
    return true;
}

/* The weights as bind wants them: a mapped .gmw, or packed now. */
static bool open_compiled(Runner *runner)
{
    progress("compiling", 0, 0);
    bool compiled = compiled_load(runner->arena, runner->pipeline, runner->backend, &runner->compiled, runner->diags);
    progress("compiling", 1, 1);
    if (!compiled) return false;
    if (runner->request->gmw) {
        if (gm_map(&runner->mapping, runner->request->gmw) == GM_OK) return bind_weights(runner, runner->mapping.data, runner->mapping.bytes);
        diag_error(runner->diags, GM158, (Place){0}, "%s: %s", runner->request->gmw, runner->mapping.error);
        return false;
    }
    WeightValues *values = get_values(runner);
    unsigned char *payload = values ? weights_pack(runner->pipeline->plan, values, runner->diags) : NULL;
    size_t size = 0;
    if (payload) runner->image = blob_build(runner->pipeline->plan, payload, NULL, 0, &size);
    free(payload);
    return runner->image && bind_weights(runner, runner->image, size);
}

/* --- reference ---------------------------------------------------------------------------------------------------- */

static bool open_reference(Runner *runner)
{
    const Module *module = runner->pipeline->module;
    WeightValues *values = get_values(runner);
    if (!values) return false;
    runner->reference = arena_new_array(runner->arena, double *, module->tensors.count + 1);
    for (int i = 0; i < module->weights.count; i++) runner->reference[module->weights.data[i]->id] = weight_doubles(runner->arena, values, module->weights.data[i]);
    return true;
}

static void store_output(const Tensor *tensor, const double *values, unsigned char *out)
{
    int64_t count = tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) {
        if (tensor->type == TYPE_F32) ((float *)out)[i] = (float)values[i];
        else if (tensor->type == TYPE_I32) ((int32_t *)out)[i] = (int32_t)values[i];
        else if (tensor->type == TYPE_I64) ((int64_t *)out)[i] = (int64_t)values[i];
        else out[i] = (unsigned char)values[i];
    }
}

static int run_reference(Runner *runner, const void *const *inputs, void *const *outputs)
{
    Module *module = runner->pipeline->module;
    Arena *scratch = arena_new();
    Evaluation *evaluation = evaluation_new(scratch, module);
    evaluation->outputs_only = true;
    if (!runner->quiet) evaluation->progress = equation_progress;
    for (int i = 0; i < module->weights.count; i++) evaluation->values[module->weights.data[i]->id] = runner->reference[module->weights.data[i]->id];
    for (int i = 0; i < module->inputs.count; i++) {
        const Tensor *tensor = module->inputs.data[i].tensor;
        int64_t count = tensor_count(tensor);
        double *out = evaluation->values[tensor->id] = arena_new_array(scratch, double, count);
        for (int64_t e = 0; e < count; e++) out[e] = array_element(inputs[i], tensor->type, e);
    }
    int status = evaluation_run(evaluation);
    for (int i = 0; i < module->outputs.count; i++) {
        const Tensor *tensor = module->outputs.data[i].tensor;
        store_output(tensor, evaluation->values[tensor->id], outputs[i]);
    }
    arena_free(scratch);
    return status;
}

/* --- both --------------------------------------------------------------------------------------------------------- */

bool runner_open(Arena *arena, const Pipeline *pipeline, Backend backend, const RunnerRequest *request, Runner *runner, Diagnostics *diags)
{
    *runner = (Runner){.arena = arena, .request = request, .pipeline = pipeline, .backend = backend, .diags = diags};
    return request->reference ? open_reference(runner) : open_compiled(runner);
}

int runner_run(Runner *runner, const void *const *inputs, void *const *outputs)
{
    if (runner->reference) return run_reference(runner, inputs, outputs);
    const gm_model *model = runner->compiled.model;
    if (runner->pool) return model->run_on(runner->bound, runner->memory, gm_pool_executor(runner->pool), inputs, outputs);
    return model->run(runner->bound, runner->memory, inputs, outputs);
}

void runner_close(Runner *runner)
{
    gm_pool_free(runner->pool);
    free(runner->memory);
    free(runner->image);
    if (runner->mapping.data) gm_unmap(&runner->mapping);
    compiled_unload(&runner->compiled);
    *runner = (Runner){0};
}
