/* gmlpc pack MODEL.gm: a checkpoint into a .gmw file, in the layout of a target family; with --selftest, the answers of the reference
 * evaluator to a seeded input go along. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/report.h"
#include "emit_c/blob.h"
#include "equation/evaluate.h"
#include "pipeline.h"
#include "weights/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    ModelOptions model;
    WeightRequest weights;
    const char *output;
    long seed;
    bool random, selftest;
} PackOptions;

#define SELFTEST_SEED 1
#define SELFTEST_TOLERANCE 1e-4

static void show_progress(void *context, int done, int total)
{
    (void)context;
    if (!isatty(2)) return;
    fprintf(stderr, "\rself-test: equation %d of %d\033[K%s", done, total, done == total ? "\r\033[K" : "");
    fflush(stderr);
}

/* Evaluates the module as the plan has it, packed equations included: the oracle shares no code with the compiled model. */
static unsigned char *make_selftest(Arena *arena, Module *module, const WeightValues *values, size_t *size, Diagnostics *diags)
{
    Evaluation *evaluation = evaluation_new(arena, module);
    evaluation->outputs_only = true;
    evaluation->progress = show_progress;
    for (int i = 0; i < module->weights.count; i++) {
        const Tensor *weight = module->weights.data[i];
        evaluation->values[weight->id] = weight_doubles(arena, values, weight);
    }
    for (int i = 0; i < module->inputs.count; i++) {
        const Tensor *tensor = module->inputs.data[i].tensor;
        evaluation->values[tensor->id] = arena_new_array(arena, double, tensor_count(tensor));
        selftest_input(module, i, SELFTEST_SEED, evaluation->values[tensor->id]);
    }
    int status = evaluation_run(evaluation);
    if (status > 0) {
        diag_error(diags, GM154, (Place){0}, "no self-test can be made: values of input %s can't be chosen so that every subscript is valid", module->inputs.data[status - 1].name);
        return NULL;
    }
    double **outputs = arena_new_array(arena, double *, module->outputs.count + 1);
    for (int i = 0; i < module->outputs.count; i++) outputs[i] = evaluation->values[module->outputs.data[i].tensor->id];
    return selftest_build(arena, module, SELFTEST_SEED, SELFTEST_TOLERANCE, outputs, size);
}

static WeightValues *load_values(Arena *arena, const Model *model, const PackOptions *o, Diagnostics *diags)
{
    return o->weights.path ? weights_load(arena, model, &o->weights, diags) : weights_random(arena, model->module, (uint64_t)o->seed);
}

/* A plan that takes a batch in turns has equations for one turn alone: all of it is evaluated as expanded. */
static unsigned char *make_selftest_of_turns(Arena *arena, const ModelRequest *request, const PackOptions *o, size_t *size, Diagnostics *diags)
{
    Model *model = model_load(arena, request, diagnostics_new(arena));
    WeightValues *values = load_values(arena, model, o, diagnostics_new(arena));
    return values ? make_selftest(arena, model->module, values, size, diags) : NULL;
}

static void pack(Arena *arena, const char *path, const PackOptions *o, Diagnostics *diags)
{
    PipelineRequest request = {.target = o->model.target, .stop = STAGE_SCHEDULE};
    Pipeline pipeline;
    request.model = model_request(arena, &o->model, path);
    if (!pipeline_run(arena, &request, &pipeline, diags)) return;
    WeightValues *values = load_values(arena, pipeline.model, o, diags);
    if (!values) return;
    unsigned char *payload = weights_pack(pipeline.plan, values, diags), *selftest = NULL;
    size_t selftest_bytes = 0, size = 0;
    if (payload && o->selftest) selftest = pipeline.turns > 1 ? make_selftest_of_turns(arena, &request.model, o, &selftest_bytes, diags)
                                                              : make_selftest(arena, pipeline.module, values, &selftest_bytes, diags);
    if (payload && (selftest || !o->selftest)) {
        unsigned char *image = blob_build(pipeline.plan, payload, selftest, selftest_bytes, &size);
        const char *error = "out of memory";
        if (!image || !file_write(o->output, image, size, &error)) diag_error(diags, GM171, (Place){0}, "%s can't be written: %s", o->output, error);
        free(image);
    }
    free(payload);
}

int command_pack(int argc, char **argv)
{
    Arena *arena = arena_new();
    PackOptions o = {.model = {.batch = 1}, .seed = -1};
    Words files = {0};
    const Option rows[] = {
        MODEL_OPTIONS(o.model),
        BATCH_OPTION(o.model),
        TARGET_OPTION(o.model),
        {"weights", 'w', OPTION_TEXT, &o.weights.path, "FILE", "the checkpoint: .safetensors, an index or directory of shards, .npz"},
        BIND_OPTIONS(o.weights),
        {"random", 0, OPTION_INT, &o.seed, "SEED", "random weights instead of a checkpoint"},
        {"selftest", 0, OPTION_FLAG, &o.selftest, NULL, "store the reference's answers to a seeded input, for the model's selftest()"},
        {"output", 'o', OPTION_TEXT, &o.output, "FILE.gmw", "the packed weights"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm --weights FILE -o MODEL.gmw [OPTION…]", "Packs a checkpoint for a compiled model.", rows,
                             sizeof rows / sizeof rows[0], &files);
    o.random = o.seed >= 0;
    if (code < 0 && files.count != 1) code = wrong_call("pack", files.count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (code < 0 && !o.output) code = wrong_call("pack", "where to? (-o FILE.gmw is missing)");
    if (code < 0 && (o.weights.path != NULL) + o.random != 1) code = wrong_call("pack", o.random ? "--weights and --random exclude each other" : "which weights? (--weights FILE is missing)");
    if (code < 0) code = check_batch("pack", &o.model);
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        pack(arena, files.data[0], &o, diags);
        code = report(diags);
    }
    arena_free(arena);
    return code;
}
