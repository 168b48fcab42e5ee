/* gmlpc info MODEL.gm: a row for each block with its shape, parameters, multiply-adds, operations and bytes; totals; what a run needs.
 * Counts are those of the model as written, before anything is fused; arena and weight file are those of the compiled one. */
#include "commands/commands.h"
#include "commands/info_print.h"
#include "commands/options.h"
#include "commands/report.h"
#include "pipeline.h"

#include <stdio.h>

/* --- the command -------------------------------------------------------------------------------------------------- */
typedef struct {
    ModelOptions model;
    long depth;
    bool json, csv, markdown;
} InfoOptions;

static PipelineRequest pipeline_request(Arena *arena, const InfoOptions *options, const char *path, Stage stop)
{
    PipelineRequest request = {.target = options->model.target, .stop = stop};
    request.model = model_request(arena, &options->model, path);
    return request;
}

/* The largest of any kernel in any form. */
static int64_t stack_bound(const LoopProgram *loops)
{
    int64_t most = 0;
    for (int f = 0; f < loops->forms.count; f++) {
        const LoopForm *form = loops->forms.data[f];
        for (int i = 0; i < form->kernels.count; i++)
            if (form->kernels.data[i]->stack_bytes > most) most = form->kernels.data[i]->stack_bytes;
    }
    return most;
}

/* Costs are taken from the model as written; the compiled one is made from a second expansion, because passes change it. */
static void show(Arena *arena, const InfoOptions *options, const char *path, Diagnostics *diags)
{
    Pipeline written, compiled;
    PipelineRequest request = pipeline_request(arena, options, path, STAGE_EQUATIONS);
    if (!pipeline_run(arena, &request, &written, diags)) return;
    Rows rows = survey_module(arena, options->depth, written.module);
    Summary summary = {.module = written.module, .rows = &rows, .total = module_cost(written.module)};
    request = pipeline_request(arena, options, path, STAGE_LOOPS);
    if (!pipeline_run(arena, &request, &compiled, diags)) return;
    summary.plan = compiled.plan;
    summary.stack_bytes = stack_bound(compiled.loops);
    Text text = text_new(arena);
    if (options->json) info_json(&summary, &text);
    else if (options->csv) info_csv(&summary, &text);
    else if (options->markdown) info_markdown(&summary, &text);
    else info_text(&summary, &text);
    fputs(text_string(&text), stdout);
}

int command_info(int argc, char **argv)
{
    Arena *arena = arena_new();
    InfoOptions o = {.model = {.batch = 1}, .depth = 1};
    Words files = {0};
    const Option rows[] = {
        MODEL_OPTIONS(o.model),
        BATCH_OPTION(o.model),
        TARGET_OPTION(o.model),
        {"depth", 'd', OPTION_INT, &o.depth, "N", "rows for blocks N calls deep (default 1)"},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "as data"},
        {"csv", 0, OPTION_FLAG, &o.csv, NULL, "the rows as comma-separated values"},
        {"markdown", 0, OPTION_FLAG, &o.markdown, NULL, "as Markdown"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm [OPTION…]", "Shapes, parameters, multiply-adds, operations and bytes, a row a block; arena and weight file.", rows,
                             sizeof rows / sizeof rows[0], &files);
    if (code < 0 && files.count != 1) code = wrong_call("info", files.count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (code < 0 && (o.depth < 0 || o.depth > 100)) code = wrong_call("info", "--depth is 0 to 100, not %ld", o.depth);
    if (code < 0 && o.json + o.csv + o.markdown > 1) code = wrong_call("info", "one of --json, --csv and --markdown");
    if (code < 0) code = check_batch("info", &o.model);
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        show(arena, &o, files.data[0], diags);
        code = report(diags);
    }
    arena_free(arena);
    return code;
}
