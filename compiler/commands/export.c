/* gmlpc export MODEL.gm: a checkpoint of any naming and layout, read through its binding, as .safetensors under the model's own paths.
 * Packing folds weights together and can't be undone in general, so it is a checkpoint that is exported, never a .gmw file. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/report.h"
#include "pipeline.h"
#include "weights/weights.h"

#include <stdio.h>

static void export(Arena *arena, const ModelOptions *options, const char *path, const WeightRequest *weights, const char *output, Diagnostics *diags)
{
    PipelineRequest request = {.model = model_request(arena, options, path), .stop = STAGE_EQUATIONS};
    Pipeline pipeline;
    if (!pipeline_run(arena, &request, &pipeline, diags)) return;
    WeightValues *values = weights_load(arena, pipeline.model, weights, diags);
    if (values) weights_write(output, values, diags);
}

int command_export(int argc, char **argv)
{
    Arena *arena = arena_new();
    ModelOptions model = {0};
    WeightRequest weights = {0};
    const char *output = NULL;
    Words files = {0};
    const Option rows[] = {
        MODEL_OPTIONS(model),
        {"weights", 'w', OPTION_TEXT, &weights.path, "FILE", "the checkpoint: .safetensors, an index or directory of shards, .npz"},
        BIND_OPTIONS(weights),
        {"output", 'o', OPTION_TEXT, &output, "FILE.safetensors", "the checkpoint under the model's own paths"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm --weights FILE [--bind NAME] -o FILE.safetensors [OPTION…]",
                             "Writes a checkpoint again under the model's own names and shapes, as f32.", rows, sizeof rows / sizeof rows[0], &files);
    if (code < 0 && files.count != 1) code = wrong_call("export", files.count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (code < 0 && !weights.path) code = wrong_call("export", "which weights? (--weights FILE is missing)");
    if (code < 0 && !output) code = wrong_call("export", "where to? (-o FILE.safetensors is missing)");
    if (code < 0 && (text_ends_with(output, ".npz") || text_ends_with(output, ".npy"))) code = wrong_call("export", "-o names a .safetensors file, not %s", output);
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        export(arena, &model, files.data[0], &weights, output, diags);
        code = report(diags);
    }
    arena_free(arena);
    return code;
}
