/* gmlpc check MODEL.gm: parses and expands a model and reports every mistake. Exit code 0: none, 1: some, 2: a wrong call. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/report.h"
#include "model/model.h"

#include <stdio.h>

static int check(Arena *arena, const char *path, const ModelOptions *options, bool json)
{
    Diagnostics *diags = diagnostics_new(arena);
    ModelRequest request = model_request(arena, options, path);
    model_load(arena, &request, diags);
    if (!json) return report(diags);
    Text text = text_new(arena);
    diagnostics_json(diags, &text);
    fputs(text_string(&text), stdout);
    return diags->error_count ? 1 : 0;
}

int command_check(int argc, char **argv)
{
    Arena *arena = arena_new();
    ModelOptions model = {0};
    bool json = false;
    const Option options[] = {
        MODEL_OPTIONS(model),
        {"json", 0, OPTION_FLAG, &json, NULL, "print the diagnostics as JSON on standard output"},
    };
    Words words = {0};
    int code = options_parse(arena, argc, argv, "MODEL.gm [OPTION...]", "Reports every mistake in a model file, located and explained.",
                             options, sizeof options / sizeof *options, &words);
    if (code < 0 && words.count != 1) code = wrong_call("check", "one model file is needed");
    if (code < 0) code = check(arena, words.data[0], &model, json);
    arena_free(arena);
    return code;
}
