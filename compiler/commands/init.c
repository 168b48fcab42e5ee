/* gmlpc init MODEL.gm: a fresh checkpoint, every weight drawn as its param statement says. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/report.h"
#include "pipeline.h"
#include "weights/weights.h"

#include <stdio.h>

static void init(Arena *arena, const ModelOptions *options, const char *path, uint64_t seed, const char *output, Diagnostics *diags)
{
    PipelineRequest request = {.model = model_request(arena, options, path), .stop = STAGE_EQUATIONS};
    Pipeline pipeline;
    if (pipeline_run(arena, &request, &pipeline, diags)) weights_write(output, weights_initialise(arena, pipeline.module, seed), diags);
}

int command_init(int argc, char **argv)
{
    Arena *arena = arena_new();
    ModelOptions model = {0};
    const char *output = NULL;
    long seed = 0;
    Words files = {0};
    const Option rows[] = {
        MODEL_OPTIONS(model),
        {"seed", 0, OPTION_INT, &seed, "N", "of the generator (default 0); the same on every machine"},
        {"output", 'o', OPTION_TEXT, &output, "FILE.safetensors", "the checkpoint"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm --seed N -o FILE.safetensors [OPTION…]",
                             "Writes a fresh checkpoint: every weight drawn as its param statement says.", rows, sizeof rows / sizeof rows[0], &files);
    if (code < 0 && files.count != 1) code = wrong_call("init", files.count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (code < 0 && !output) code = wrong_call("init", "where to? (-o FILE.safetensors is missing)");
    if (code < 0 && (text_ends_with(output, ".npz") || text_ends_with(output, ".npy"))) code = wrong_call("init", "-o names a .safetensors file, not %s", output);
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        init(arena, &model, files.data[0], (uint64_t)seed, output, diags);
        code = report(diags);
    }
    arena_free(arena);
    return code;
}
