/* gmlpc run MODEL.gm: compile (or evaluate), feed files, show and store what comes out. */
#include "commands/commands.h"
#include "commands/input_files.h"
#include "commands/inputs.h"
#include "commands/compiled.h"
#include "commands/options.h"
#include "commands/output_files.h"
#include "commands/report.h"
#include "emit_c/blob.h"
#include "equation/evaluate.h"
#include "hosted/gm_map.h"
#include "hosted/gm_pool.h"
#include "pipeline.h"
#include "weights/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    ModelOptions model;
    WeightRequest weights;
    const char *gmw, *output, *labels;
    Words inputs;
    long threads, top, seed;
    bool batched, reference, random;
} RunOptions;

typedef struct {
    Arena *arena;
    const RunOptions *options;
    Diagnostics *diags;
    Pipeline pipeline;
    Module *module;           /* for one sample, whatever the batch of the compiled one */
    InputArrays inputs;
    unsigned char **outputs;  /* by output, all samples */
    int64_t *output_bytes;    /* of one sample */
    Backend backend;
} RunState;

/* --- progress ----------------------------------------------------------------------------------------------------- */

/* A line on the terminal that is overwritten; nothing when standard error is a file. */
static void progress(const char *what, long long done, long long total)
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

/* --- running ------------------------------------------------------------------------------------------------------ */

static WeightValues *get_values(RunState *state)
{
    const RunOptions *o = state->options;
    if (o->weights.path) return weights_load(state->arena, state->pipeline.model, &o->weights, state->diags);
    return weights_random(state->arena, state->pipeline.module, (uint64_t)o->seed);
}

/* A status above 0 names the input whose value was no valid subscript, in one of `samples` from `first` on. */
static void report_range(RunState *state, int status, int64_t first, int64_t samples)
{
    const Port *port = &state->module->inputs.data[status - 1];
    int64_t count = tensor_count(port->tensor), step = state->inputs.sample_bytes[status - 1];
    const unsigned char *data = state->inputs.data[status - 1] + first * step;
    double low = array_element(data, port->tensor->type, 0), high = low;
    for (int64_t i = 1; i < count * (step ? samples : 1); i++) {
        double value = array_element(data, port->tensor->type, i);
        if (value < low) low = value;
        if (value > high) high = value;
    }
    const char *where = "";
    if (samples > 1) where = arena_printf(state->arena, " in samples %lld to %lld", (long long)first, (long long)(first + samples - 1));
    else if (state->inputs.samples > 1) where = arena_printf(state->arena, " in sample %lld", (long long)first);
    diag_error(state->diags, GM154, port->place, "a value of input %s lies outside the tensor it selects from: its values run from %.15g to %.15g%s", port->name, low, high,
               where);
}

static void allocate_outputs(RunState *state)
{
    int count = state->module->outputs.count;
    state->outputs = arena_new_array(state->arena, unsigned char *, count + 1);
    state->output_bytes = arena_new_array(state->arena, int64_t, count + 1);
    for (int i = 0; i < count; i++) {
        const Tensor *tensor = state->module->outputs.data[i].tensor;
        state->output_bytes[i] = tensor_count(tensor) * element_type_size(tensor->type);
        state->outputs[i] = arena_alloc_array(state->arena, (size_t)state->inputs.samples, (size_t)state->output_bytes[i]);
    }
}

/* The arrays of one run. Samples lie one after the other, so a full batch is where it is; else the last sample stands for what is missing, in
 * `copies`. Outputs that no sample belongs to go there too. */
typedef struct {
    const void **inputs;
    void **outputs;
    unsigned char **input_copies, **output_copies;
} Chunk;

static Chunk chunk_new(RunState *state, int64_t batch)
{
    const Module *module = state->module;
    Chunk chunk = {arena_new_array(state->arena, const void *, module->inputs.count + 1), arena_new_array(state->arena, void *, module->outputs.count + 1),
                   arena_new_array(state->arena, unsigned char *, module->inputs.count + 1), arena_new_array(state->arena, unsigned char *, module->outputs.count + 1)};
    for (int i = 0; i < module->inputs.count; i++) {
        const Tensor *tensor = module->inputs.data[i].tensor;
        bool shared = !state->inputs.sample_bytes[i];
        if (batch > 1 && (shared || state->inputs.samples % batch != 0))
            chunk.input_copies[i] = arena_alloc_array(state->arena, (size_t)batch, (size_t)(tensor_count(tensor) * element_type_size(tensor->type)));
    }
    for (int i = 0; i < module->outputs.count; i++)
        if (state->inputs.samples % batch != 0) chunk.output_copies[i] = arena_alloc_array(state->arena, (size_t)batch, (size_t)state->output_bytes[i]);
    return chunk;
}

static void chunk_fill(RunState *state, Chunk *chunk, int64_t first, int64_t count, int64_t batch)
{
    for (int i = 0; i < state->module->inputs.count; i++) {
        const Tensor *tensor = state->module->inputs.data[i].tensor;
        int64_t step = state->inputs.sample_bytes[i], bytes = tensor_count(tensor) * element_type_size(tensor->type);
        const unsigned char *data = state->inputs.data[i] + first * step;
        chunk->inputs[i] = data;
        if (batch == 1 || (count == batch && step)) continue;
        for (int64_t k = 0; k < batch; k++) memcpy(chunk->input_copies[i] + k * bytes, data + (k < count ? k : count - 1) * step, (size_t)bytes);
        chunk->inputs[i] = chunk->input_copies[i];
    }
    for (int i = 0; i < state->module->outputs.count; i++)
        chunk->outputs[i] = count == batch ? state->outputs[i] + first * state->output_bytes[i] : chunk->output_copies[i];
}

static bool run_samples(RunState *state, const gm_model *model, void *weights, void *memory, gm_pool *pool)
{
    int64_t batch = state->pipeline.module->batch, samples = state->inputs.samples;
    Chunk chunk = chunk_new(state, batch);
    bool good = true;
    for (int64_t first = 0; first < samples && good; first += batch) {
        int64_t count = samples - first < batch ? samples - first : batch;
        chunk_fill(state, &chunk, first, count, batch);
        int status = pool ? model->run_on(weights, memory, gm_pool_executor(pool), chunk.inputs, chunk.outputs)
                          : model->run(weights, memory, chunk.inputs, chunk.outputs);
        if (status > 0) report_range(state, status, first, count);
        good = status <= 0;
        for (int i = 0; i < state->module->outputs.count && count < batch; i++)
            memcpy(state->outputs[i] + first * state->output_bytes[i], chunk.outputs[i], (size_t)(count * state->output_bytes[i]));
        if (samples > 1) progress("samples", first + count, samples);
    }
    return good;
}

static bool bind_and_run(RunState *state, const gm_model *model, const void *image, size_t size)
{
    void *weights = arena_alloc(state->arena, model->weights_bytes + 1);
    int status = model->bind(weights, image, size);
    if (status != GM_OK) {
        diag_error(state->diags, GM158, (Place){0}, "%s: %s", state->options->gmw ? state->options->gmw : "the compiled model refuses its weights", gm_status_text(status));
        return false;
    }
    size_t alignment = model->alignment < 64 ? 64 : model->alignment;
    void *memory = aligned_alloc(alignment, (model->arena_bytes + alignment) / alignment * alignment);
    gm_pool *pool = state->options->threads != 1 ? gm_pool_new((int)state->options->threads) : NULL;
    bool good = memory != NULL;
    if (!good) diag_error(state->diags, GM158, (Place){0}, "out of memory: the model needs an arena of %zu bytes", model->arena_bytes);
    good = good && run_samples(state, model, weights, memory, pool);
    gm_pool_free(pool);
    free(memory);
    return good;
}

/* The weights as bind wants them: a mapped .gmw, or packed now. */
static bool run_compiled(RunState *state)
{
    CompiledModel compiled;
    progress("compiling", 0, 0);
    if (!compiled_load(state->arena, &state->pipeline, state->backend, &compiled, state->diags)) return false;
    progress("compiling", 1, 1);
    bool good = false;
    if (state->options->gmw) {
        gm_mapping mapping;
        if (gm_map(&mapping, state->options->gmw) != GM_OK) {
            diag_error(state->diags, GM158, (Place){0}, "%s: %s", state->options->gmw, mapping.error);
        } else {
            good = bind_and_run(state, compiled.model, mapping.data, mapping.bytes);
            gm_unmap(&mapping);
        }
    } else {
        WeightValues *values = get_values(state);
        unsigned char *payload = values ? weights_pack(state->pipeline.plan, values, state->diags) : NULL;
        size_t size = 0;
        unsigned char *image = payload ? blob_build(state->pipeline.plan, payload, NULL, 0, &size) : NULL;
        free(payload);
        good = image && bind_and_run(state, compiled.model, image, size);
        free(image);
    }
    compiled_unload(&compiled);
    return good;
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

static double **reference_weights(RunState *state, const WeightValues *values)
{
    const Module *module = state->module;
    double **result = arena_new_array(state->arena, double *, module->tensors.count + 1);
    for (int i = 0; i < module->weights.count; i++) {
        const Tensor *weight = module->weights.data[i];
        int64_t count = tensor_count(weight);
        double *out = result[weight->id] = arena_new_array(state->arena, double, count);
        for (int64_t e = 0; e < count; e++) out[e] = weight->type == TYPE_F32 ? (double)values->f32[weight->id][e] : (double)values->integers[weight->id][e];
    }
    return result;
}

static bool run_reference(RunState *state)
{
    WeightValues *values = get_values(state);
    if (!values) return false;
    Module *module = state->module;
    double **weights = reference_weights(state, values);
    bool good = true;
    for (int64_t s = 0; s < state->inputs.samples && good; s++) {
        Arena *scratch = arena_new();
        Evaluation *evaluation = evaluation_new(scratch, module);
        evaluation->outputs_only = true;
        if (state->inputs.samples == 1) evaluation->progress = equation_progress;
        for (int i = 0; i < module->weights.count; i++) evaluation->values[module->weights.data[i]->id] = weights[module->weights.data[i]->id];
        for (int i = 0; i < module->inputs.count; i++) {
            const Tensor *tensor = module->inputs.data[i].tensor;
            int64_t count = tensor_count(tensor);
            const unsigned char *data = state->inputs.data[i] + s * state->inputs.sample_bytes[i];
            double *out = evaluation->values[tensor->id] = arena_new_array(scratch, double, count);
            for (int64_t e = 0; e < count; e++) out[e] = array_element(data, tensor->type, e);
        }
        int status = evaluation_run(evaluation);
        if (status > 0) report_range(state, status, s, 1);
        good = status <= 0;
        for (int i = 0; i < module->outputs.count; i++)
            store_output(module->outputs.data[i].tensor, evaluation->values[module->outputs.data[i].tensor->id], state->outputs[i] + s * state->output_bytes[i]);
        arena_free(scratch);
        if (state->inputs.samples > 1) progress("samples", s + 1, state->inputs.samples);
    }
    return good;
}

/* --- what is shown ------------------------------------------------------------------------------------------------ */

static bool has_class_hint(const Port *port)
{
    return port->hint && strcmp(port->hint->name, "classes") == 0;
}

/* Ranked: outputs with `~ classes`, else the only output, else those of one axis. */
static bool ranked(const RunState *state, int output)
{
    const Module *module = state->module;
    const Port *port = &module->outputs.data[output];
    bool hinted = false;
    for (int i = 0; i < module->outputs.count; i++) hinted = hinted || has_class_hint(&module->outputs.data[i]);
    if (hinted) return has_class_hint(port);
    return port->tensor->rank >= 1 && (module->outputs.count == 1 || port->tensor->rank == 1);
}

static bool get_labels(RunState *state, int output, Labels *labels)
{
    const Port *port = &state->module->outputs.data[output];
    const Tensor *tensor = port->tensor;
    bool read = state->options->labels ? labels_read(state->arena, state->options->labels, labels, state->diags)
                                       : labels_of_port(state->arena, port, state->pipeline.model->files.data[0]->source->name, labels, state->diags);
    int64_t classes = tensor->rank ? tensor->extents[tensor->rank - 1] : 1;
    if (!read || labels->count == 0 || labels->count == classes) return read;
    diag_error(state->diags, GM155, (Place){0}, "there are %d labels, and output %s has %lld classes", labels->count, port->name, (long long)classes);
    return false;
}

static void show(RunState *state)
{
    const RunOptions *o = state->options;
    OutputArrays outputs = {state->module, state->inputs.samples, o->batched, state->outputs};
    Text text = text_new(state->arena);
    for (int i = 0; i < state->module->outputs.count; i++) {
        bool rank = ranked(state, i) && (o->top > 0 || has_class_hint(&state->module->outputs.data[i]));
        Labels labels = {0};
        if (rank && !get_labels(state, i, &labels)) return;
        if (!rank && !o->output) print_summary(&text, &outputs, i);
        for (int64_t s = 0; rank && s < state->inputs.samples; s++) print_top(&text, &outputs, i, s, o->top > 0 ? (int)o->top : 5, &labels);
    }
    if (o->output && !output_files_write(state->arena, o->output, &outputs, state->diags)) return;
    fputs(text_string(&text), o->output && strcmp(o->output, "-") == 0 ? stderr : stdout);
}

static void run(RunState *state, const char *path)
{
    const RunOptions *o = state->options;
    if (!backend_find(o->model.backend, &state->backend, state->diags)) return;
    PipelineRequest request = {.target = o->model.target ? o->model.target : target_native(), .stop = o->reference ? STAGE_EQUATIONS : backend_stage(state->backend)};
    request.plan.reproducible = o->model.reproducible;
    request.model = model_request(state->arena, &o->model, path);
    if (o->reference) request.model.batch = 1;
    if (!pipeline_run(state->arena, &request, &state->pipeline, state->diags)) return;
    state->module = state->pipeline.module;
    if (request.model.batch > 1) {
        request.model.batch = 1;
        Model *one = model_load(state->arena, &request.model, state->diags);
        if (!one || !one->module) return;
        state->module = one->module;
    }
    if (!input_files_read(state->arena, state->module, &o->inputs, o->batched, &state->inputs, state->diags)) return;
    if (state->module->weights.count && !o->weights.path && !o->gmw && !o->random) {
        diag_help(diag_error(state->diags, GM120, (Place){0}, "%s has weights, and none are given", state->module->name),
                  "--weights FILE, --gmw FILE, or --random SEED for values that mean nothing");
        return;
    }
    allocate_outputs(state);
    if (o->reference ? run_reference(state) : run_compiled(state)) show(state);
}

static int check_call(const RunOptions *o, const Words *files)
{
    if (files->count != 1) return wrong_call("run", files->count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if ((o->weights.path != NULL) + (o->gmw != NULL) + o->random > 1) return wrong_call("run", "--weights, --gmw and --random exclude each other");
    if (o->gmw && o->reference) return wrong_call("run", "the reference evaluator reads a checkpoint (--weights), not packed weights");
    if (o->gmw && o->weights.bind) return wrong_call("run", "--bind belongs to --weights: a .gmw file is bound already");
    if (o->threads < 0 || o->threads > 256) return wrong_call("run", "--threads is 1 to 256, or 0 for as many as there are processors, not %ld", o->threads);
    if (o->top < 0) return wrong_call("run", "--top is at least 1");
    return -1;
}

int command_run(int argc, char **argv)
{
    Arena *arena = arena_new();
    RunOptions o = {.model = {.batch = 1}, .threads = 1, .seed = -1};
    Words files = {0};
    const Option rows[] = {
        MODEL_OPTIONS(o.model),
        BATCH_OPTION(o.model),
        TARGET_OPTION(o.model),
        REPRODUCIBLE_OPTION(o.model),
        BACKEND_OPTION(o.model),
        {"weights", 'w', OPTION_TEXT, &o.weights.path, "FILE", "the checkpoint: .safetensors, an index or directory of shards, .npz"},
        BIND_OPTIONS(o.weights),
        {"gmw", 0, OPTION_TEXT, &o.gmw, "FILE", "packed weights instead of a checkpoint"},
        {"random", 0, OPTION_INT, &o.seed, "SEED", "random weights instead of a checkpoint"},
        {"input", 'i', OPTION_LIST, &o.inputs, "NAME=FILE", ".npy, .npz[:MEMBER], .safetensors[:MEMBER], PNG, JPEG, PPM (again for more)"},
        {"batched", 0, OPTION_FLAG, &o.batched, NULL, "arrays have one more axis in front: run every sample"},
        {"threads", 0, OPTION_INT, &o.threads, "N", "threads to run on (default 1; 0: all processors)"},
        {"output", 'o', OPTION_TEXT, &o.output, "OUT.npz", "write every output by name (.npy when there is one)"},
        {"top", 'k', OPTION_INT, &o.top, "K", "print the K largest values of each output vector"},
        {"labels", 0, OPTION_TEXT, &o.labels, "FILE", "names of the classes, one a line"},
        {"reference", 0, OPTION_FLAG, &o.reference, NULL, "evaluate in double precision instead of compiling"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm --weights FILE --input NAME=FILE… [OPTION…]",
                             "Compiles a model, runs it on pictures or arrays, prints and stores what comes out.", rows, sizeof rows / sizeof rows[0], &files);
    o.random = o.seed >= 0;
    if (code < 0) code = check_call(&o, &files);
    if (code < 0) code = check_batch("run", &o.model);
    if (code < 0) {
        RunState state = {.arena = arena, .options = &o, .diags = diagnostics_new(arena)};
        run(&state, files.data[0]);
        code = report(state.diags);
    }
    arena_free(arena);
    return code;
}
