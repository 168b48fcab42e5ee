/* gmlpc run MODEL.gm: compile (or evaluate), feed files and text, show and store what comes out. */
#include "commands/commands.h"
#include "commands/input_files.h"
#include "commands/inputs.h"
#include "commands/language.h"
#include "commands/options.h"
#include "commands/output_files.h"
#include "commands/report.h"
#include "commands/runner.h"
#include "commands/text_input.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    ModelOptions model;
    RunnerRequest runner;
    LanguageOptions language;
    const char *output, *labels;
    Words inputs, texts, pairs;
    long top, random_seed;
    bool batched, random;
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

/* --- running ------------------------------------------------------------------------------------------------------ */

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

static bool run_samples(RunState *state, Runner *runner)
{
    int64_t batch = state->pipeline.module->batch, samples = state->inputs.samples;
    Chunk chunk = chunk_new(state, batch);
    bool good = true;
    runner->quiet = samples > 1;
    for (int64_t first = 0; first < samples && good; first += batch) {
        int64_t count = samples - first < batch ? samples - first : batch;
        chunk_fill(state, &chunk, first, count, batch);
        int status = runner_run(runner, chunk.inputs, chunk.outputs);
        if (status > 0) report_range(state, status, first, count);
        good = status <= 0;
        for (int i = 0; i < state->module->outputs.count && count < batch; i++)
            memcpy(state->outputs[i] + first * state->output_bytes[i], chunk.outputs[i], (size_t)(count * state->output_bytes[i]));
        if (samples > 1) progress("samples", first + count, samples);
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
    if (read && labels->count == 0) *labels = input_entries(state->arena, &state->inputs, tensor);
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
        for (int64_t s = 0; rank && s < state->inputs.samples; s++) {
            Labels rows = input_rows(state->arena, &state->inputs, state->module->outputs.data[i].tensor, s);
            print_top(&text, &outputs, i, s, o->top > 0 ? (int)o->top : 5, &labels, &rows);
        }
    }
    if (o->output && !output_files_write(state->arena, o->output, &outputs, state->diags)) return;
    fputs(text_string(&text), o->output && strcmp(o->output, "-") == 0 ? stderr : stdout);
}

static bool weights_given(RunState *state)
{
    const RunOptions *o = state->options;
    if (!state->module->weights.count || o->runner.weights.path || o->runner.gmw || o->random) return true;
    diag_help(diag_error(state->diags, GM120, (Place){0}, "%s has weights, and none are given", state->module->name),
              "--weights FILE, --gmw FILE, or --random SEED for values that mean nothing");
    return false;
}

static bool read_inputs(RunState *state)
{
    const RunOptions *o = state->options;
    InputWords words = {&o->inputs, &o->texts, &o->pairs, o->batched, state->pipeline.model->files.data[0]->source->name};
    return input_files_read(state->arena, state->module, &words, &state->inputs, state->diags);
}

/* The model that one sample's ports are those of. */
static bool module_of_one(RunState *state, ModelRequest request)
{
    state->module = state->pipeline.module;
    if (request.batch <= 1) return true;
    request.batch = 1;
    Model *one = model_load(state->arena, &request, state->diags);
    if (one) state->module = one->module;
    return one && one->module;
}

static void run(RunState *state, const char *path)
{
    const RunOptions *o = state->options;
    if (!backend_find(o->model.backend, &state->backend, state->diags)) return;
    PipelineRequest request = {.target = o->model.target ? o->model.target : target_native(), .stop = o->runner.reference ? STAGE_EQUATIONS : backend_stage(state->backend)};
    request.plan.reproducible = o->model.reproducible;
    request.schedule = o->model.schedule;
    request.model = model_request(state->arena, &o->model, path);
    if (o->runner.reference) request.model.batch = 1;
    if (!pipeline_run(state->arena, &request, &state->pipeline, state->diags)) return;
    if (!module_of_one(state, request.model)) return;
    bool language = language_wanted(&o->language);
    if (!language && !read_inputs(state)) return;
    if (!weights_given(state)) return;
    Runner runner;
    bool good = runner_open(state->arena, &state->pipeline, state->backend, &o->runner, &runner, state->diags);
    if (good && language) {
        language_run(state->arena, &runner, &o->language, o->top > 0 ? (int)o->top : 0, path, state->diags);
    } else if (good) {
        allocate_outputs(state);
        good = run_samples(state, &runner);
    }
    runner_close(&runner);
    if (good && !language) show(state);
    input_files_close(&state->inputs);
}

static int check_call(const RunOptions *o, const Words *files)
{
    if (files->count != 1) return wrong_call("run", files->count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if ((o->runner.weights.path != NULL) + (o->runner.gmw != NULL) + o->random > 1) return wrong_call("run", "--weights, --gmw and --random exclude each other");
    if (o->runner.gmw && o->runner.reference) return wrong_call("run", "the reference evaluator reads a checkpoint (--weights), not packed weights");
    if (o->runner.gmw && o->runner.weights.bind) return wrong_call("run", "--bind belongs to --weights: a .gmw file is bound already");
    if (o->runner.threads < 0 || o->runner.threads > 256) return wrong_call("run", "--threads is 1 to 256, or 0 for as many as there are processors, not %ld", o->runner.threads);
    if (o->top < 1 && o->top != LONG_MIN) return wrong_call("run", "--top is at least 1, not %ld", o->top);
    if (o->model.batch > 1 && language_wanted(&o->language)) return wrong_call("run", "--perplexity and --prompt take one window at a time, no --batch");
    return language_call(&o->language, o->inputs.count + o->texts.count > 0, o->output != NULL);
}

int command_run(int argc, char **argv)
{
    Arena *arena = arena_new();
    RunOptions o = {.model = {.batch = 1}, .runner = {.threads = 1}, .top = LONG_MIN, .random_seed = -1, .language = LANGUAGE_DEFAULTS};
    Words files = {0};
    const Option rows[] = {
        MODEL_OPTIONS(o.model),
        BATCH_OPTION(o.model),
        TARGET_OPTION(o.model),
        REPRODUCIBLE_OPTION(o.model),
        SCHEDULE_OPTION(o.model),
        BACKEND_OPTION(o.model),
        {"weights", 'w', OPTION_TEXT, &o.runner.weights.path, "FILE", "the checkpoint: .safetensors, an index or directory of shards, .npz"},
        BIND_OPTIONS(o.runner.weights),
        {"gmw", 0, OPTION_TEXT, &o.runner.gmw, "FILE", "packed weights instead of a checkpoint"},
        {"random", 0, OPTION_INT, &o.random_seed, "SEED", "random weights instead of a checkpoint"},
        {"input", 'i', OPTION_LIST, &o.inputs, "NAME=FILE", ".npy, .npz[:MEMBER], .safetensors[:MEMBER], PNG, JPEG, PPM, a text file (again for more)"},
        {"text", 0, OPTION_LIST, &o.texts, "TEXT", "text for the input that takes it (with --batched again for more samples)"},
        {"pair", 0, OPTION_LIST, &o.pairs, "TEXT", "a second text beside the --text before it"},
        {"batched", 0, OPTION_FLAG, &o.batched, NULL, "arrays have one more axis in front: run every sample"},
        {"threads", 0, OPTION_INT, &o.runner.threads, "N", "threads to run on (default 1; 0: all processors)"},
        {"output", 'o', OPTION_TEXT, &o.output, "OUT.npz", "write every output by name (.npy when there is one)"},
        {"top", 'k', OPTION_INT, &o.top, "K", "print the K largest values of each output vector"},
        {"labels", 0, OPTION_TEXT, &o.labels, "FILE", "names of the classes, one a line"},
        LANGUAGE_OPTIONS(o.language)
        {"reference", 0, OPTION_FLAG, &o.runner.reference, NULL, "evaluate in double precision instead of compiling"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm --weights FILE --input NAME=FILE… [OPTION…]",
                             "Compiles a model, runs it on pictures or arrays, prints and stores what comes out.", rows, sizeof rows / sizeof rows[0], &files);
    o.random = o.random_seed >= 0;
    o.runner.seed = (uint64_t)o.random_seed;
    o.runner.weights.exact = o.runner.reference;
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
