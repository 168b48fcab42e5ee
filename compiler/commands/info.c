/* gmlpc info MODEL.gm: a row for each block with its shape, parameters, multiply-adds, operations and bytes; totals; what a run needs.
 * Counts are those of the model as written, before anything is fused; arena and weight file are those of the compiled one. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/report.h"
#include "commands/survey.h"
#include "emit_c/blob.h"
#include "equation/print.h"
#include "pipeline.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- printing ----------------------------------------------------------------------------------------------------- */
static const char *grouped(Arena *arena, int64_t number)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRId64, number);
    Text text = text_new(arena);
    for (int i = 0; i < length; i++) {
        if (i && digits[i - 1] != '-' && (length - i) % 3 == 0) text_add(&text, ",");
        text_add_bytes(&text, &digits[i], 1);
    }
    return text_string(&text);
}

typedef struct {
    const Module *module;
    const Rows *rows;
    Cost total;
    const Plan *plan;
    int64_t stack_bytes;
} Summary;

static void print_port(const char *word, const Port *port)
{
    Text text = text_new(arena_new());
    tensor_print(port->tensor, &text);
    const char *type = strchr(text_string(&text), ':');
    printf("%-9s%s%s\n", word, port->name, type ? type : "");
    arena_free(text.arena);
}

static void print_row(Arena *arena, const Row *row)
{
    printf("  %-34s %-16s %14s %16s %16s %14s\n", row_name(arena, row), row->shape, grouped(arena, row->cost.parameters), grouped(arena, row->cost.macs),
           grouped(arena, row->cost.flops), grouped(arena, row->cost.bytes));
}

static void print_text(Arena *arena, const Summary *summary)
{
    const Module *module = summary->module;
    printf("%s(%s)\n", module->name, module->parameters ? module->parameters : "");
    for (int i = 0; i < module->inputs.count; i++) print_port("input", &module->inputs.data[i]);
    for (int i = 0; i < module->outputs.count; i++) print_port("output", &module->outputs.data[i]);
    printf("\n  %-34s %-16s %14s %16s %16s %14s\n", "block", "result", "parameters", "multiply-adds", "operations", "bytes");
    for (int i = 0; i < summary->rows->count; i++) print_row(arena, &summary->rows->data[i]);
    printf("  %-34s %-16s %14s %16s %16s\n", "in all", "", grouped(arena, summary->total.parameters), grouped(arena, summary->total.macs),
           grouped(arena, summary->total.flops));
    printf("\nEach row is one turn (xN: N turns alike). Operations count a multiply-add as two; bytes go into and out of the block.\n");
    printf("In all %.4g M parameters, %.4g G multiply-adds, %.4g GFLOP.\n", 1e-6 * (double)summary->total.parameters, 1e-9 * (double)summary->total.macs,
           1e-9 * (double)summary->total.flops);
    if (summary->total.measured) printf("Beside the parameters: %s numbers measured while training.\n", grouped(arena, summary->total.measured));
    printf("\n");
    printf("arena       %s bytes\n", grouped(arena, summary->plan->arena_bytes));
    printf("weight file %s bytes\n", grouped(arena, summary->plan->blob_bytes + BLOB_HEADER_BYTES));
    printf("stack       at most %s bytes a thread of tile scratch\n", grouped(arena, summary->stack_bytes));
    printf("kernels     %d\n", summary->plan->kernels.count);
}

static void json_string(const char *string)
{
    putchar('"');
    for (const char *c = string; *c; c++) {
        if (*c == '"' || *c == '\\') printf("\\%c", *c);
        else if ((unsigned char)*c < 32) printf("\\u%04x", (unsigned char)*c);
        else putchar(*c);
    }
    putchar('"');
}

static void json_ports(const char *key, const Port *ports, int count)
{
    printf("\"%s\": [", key);
    for (int i = 0; i < count; i++) {
        const Tensor *tensor = ports[i].tensor;
        printf("%s{\"name\": ", i ? ", " : "");
        json_string(ports[i].name);
        printf(", \"type\": \"%s\", \"shape\": [", element_type_name(tensor->type));
        for (int axis = 0; axis < tensor->rank; axis++) printf("%s%" PRId64, axis ? ", " : "", tensor->extents[axis]);
        printf("]}");
    }
    printf("], ");
}

static void json_cost(const Cost *cost)
{
    printf("\"parameters\": %" PRId64 ", \"measured\": %" PRId64 ", \"macs\": %" PRId64 ", \"flops\": %" PRId64, cost->parameters, cost->measured, cost->macs, cost->flops);
}

static void print_json(Arena *arena, const Summary *summary)
{
    const Module *module = summary->module;
    printf("{\"model\": ");
    json_string(module->name);
    printf(", ");
    json_ports("inputs", module->inputs.data, module->inputs.count);
    json_ports("outputs", module->outputs.data, module->outputs.count);
    printf("\"blocks\": [");
    for (int i = 0; i < summary->rows->count; i++) {
        const Row *row = &summary->rows->data[i];
        printf("%s{\"name\": ", i ? ", " : "");
        json_string(row_path(arena, row));
        printf(", \"block\": ");
        json_string(row->frame && row->frame->block ? row->frame->block : "");
        printf(", \"times\": %d, \"shape\": %s, ", row->times, row->shape);
        json_cost(&row->cost);
        printf(", \"bytes\": %" PRId64 "}", row->cost.bytes);
    }
    printf("], ");
    json_cost(&summary->total);
    printf(", \"arena_bytes\": %" PRId64 ", \"weight_file_bytes\": %" PRId64 ", \"stack_bytes\": %" PRId64 ", \"kernels\": %d}\n", summary->plan->arena_bytes,
           summary->plan->blob_bytes + BLOB_HEADER_BYTES, summary->stack_bytes, summary->plan->kernels.count);
}

/* --- the command -------------------------------------------------------------------------------------------------- */
typedef struct {
    ModelOptions model;
    long depth;
    bool json;
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
    if (options->json) print_json(arena, &summary);
    else print_text(arena, &summary);
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
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm [OPTION…]", "Shapes, parameters, multiply-adds, operations and bytes, a row a block; arena and weight file.", rows,
                             sizeof rows / sizeof rows[0], &files);
    if (code < 0 && files.count != 1) code = wrong_call("info", files.count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (code < 0 && (o.depth < 0 || o.depth > 100)) code = wrong_call("info", "--depth is 0 to 100, not %ld", o.depth);
    if (code < 0) code = check_batch("info", &o.model);
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        show(arena, &o, files.data[0], diags);
        code = report(diags);
    }
    arena_free(arena);
    return code;
}
