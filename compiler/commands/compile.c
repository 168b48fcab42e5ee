/* gmlpc compile MODEL.gm -o MODEL.c: the main job. Writes the C file, its header beside it, and with --weights the packed weights. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/report.h"
#include "emit_c/blob.h"
#include "pipeline.h"
#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    ModelOptions model;
    const char *output, *emit, *weights_mode;
    WeightRequest weights;
} CompileOptions;

static const char *with_extension(Arena *arena, const char *path, const char *extension)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    size_t stem = dot && (!slash || dot > slash) ? (size_t)(dot - path) : strlen(path);
    return arena_printf(arena, "%.*s%s", (int)stem, path, extension);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void write_or_report(const char *path, const void *data, size_t size, Diagnostics *diags)
{
    const char *error = NULL;
    if (!file_write(path, data, size, &error)) diag_error(diags, GM171, (Place){0}, "%s can't be written: %s", path, error);
}

/* The whole .gmw image of a checkpoint; NULL after errors. */
static unsigned char *build_image(Arena *arena, const Pipeline *pipeline, const WeightRequest *request, size_t *size, Diagnostics *diags)
{
    WeightValues *values = weights_load(arena, pipeline->model, request, diags);
    unsigned char *payload = values ? weights_pack(pipeline->plan, values, diags) : NULL;
    unsigned char *image = payload ? blob_build(pipeline->plan, payload, NULL, 0, size) : NULL;
    free(payload);
    return image;
}

static bool find_weights_mode(const char *word, WeightsMode *mode)
{
    static const char *const words[] = {"file", "incbin", "inline"};
    for (int i = 0; word && i < 3; i++)
        if (strcmp(words[i], word) == 0) {
            *mode = (WeightsMode)i;
            return true;
        }
    *mode = WEIGHTS_FILE;
    return !word;
}

static void print_stage(Arena *arena, PipelineRequest *request, const CompileOptions *options, Diagnostics *diags)
{
    Pipeline pipeline;
    if (!pipeline_run(arena, request, &pipeline, diags)) return;
    Text text = text_new(arena);
    pipeline_print(&pipeline, request->stop, &text);
    write_or_report(options->output ? options->output : "-", text_string(&text), text.length, diags);
}

static void warn_of_names(Arena *arena, const Module *module, Diagnostics *diags)
{
    const char *const *names = emit_c_port_names(arena, module);
    int inputs = module->inputs.count;
    for (int i = 0; i < inputs + module->outputs.count; i++) {
        const Port *port = i < inputs ? &module->inputs.data[i] : &module->outputs.data[i - inputs];
        if (strcmp(names[i], port->name) != 0)
            diag_warning(diags, GM179, port->place, "%s %s is called %s in the C file", i < inputs ? "input" : "output", port->name, names[i]);
    }
}

static void compile(Arena *arena, PipelineRequest *request, const CompileOptions *options, Diagnostics *diags)
{
    Pipeline pipeline;
    bool embed = request->emit.weights_mode != WEIGHTS_FILE;
    const char *gmw = with_extension(arena, options->output, ".gmw");
    request->emit.header_name = base_name(with_extension(arena, options->output, ".h"));
    request->emit.incbin_path = base_name(gmw);
    request->stop = options->weights.path || embed ? STAGE_LOOPS : STAGE_C;
    if (!pipeline_run(arena, request, &pipeline, diags)) return;
    warn_of_names(arena, pipeline.module, diags);
    unsigned char *image = NULL;
    size_t size = 0;
    if (options->weights.path) {
        image = build_image(arena, &pipeline, &options->weights, &size, diags);
        if (!image) return;
    }
    if (request->stop == STAGE_LOOPS) {
        request->emit.prefix = c_identifier(arena, pipeline.module->name);
        request->emit.blob = image;
        request->emit.blob_size = size;
        pipeline.source = text_new(arena);
        pipeline.header = text_new(arena);
        emit_c(pipeline.loops, &request->emit, &pipeline.source, &pipeline.header);
    }
    if (image && request->emit.weights_mode != WEIGHTS_INLINE) write_or_report(gmw, image, size, diags);
    free(image);
    if (!diags->error_count) write_or_report(with_extension(arena, options->output, ".h"), text_string(&pipeline.header), pipeline.header.length, diags);
    if (!diags->error_count) write_or_report(options->output, text_string(&pipeline.source), pipeline.source.length, diags);
}

int command_compile(int argc, char **argv)
{
    Arena *arena = arena_new();
    CompileOptions o = {.model = {.batch = 1}};
    PipelineRequest request = {0};
    Words files = {0};
    const Option rows[] = {
        {"output", 'o', OPTION_TEXT, &o.output, "FILE.c", "the C file; its header and weights go beside it"},
        MODEL_OPTIONS(o.model),
        BATCH_OPTION(o.model),
        TARGET_OPTION(o.model),
        REPRODUCIBLE_OPTION(o.model),
        SCHEDULE_OPTION(o.model),
        {"emit", 0, OPTION_TEXT, &o.emit, "STAGE", "print a stage instead: ast, equations, passes, after:PASS, schedule, loops, c, llvm"},
        {"weights", 'w', OPTION_TEXT, &o.weights.path, "FILE", "also pack this checkpoint (needed for --weights-mode=inline)"},
        BIND_OPTIONS(o.weights),
        {"profile", 0, OPTION_FLAG, &request.emit.profile, NULL, "with a run that takes the time of every kernel call by a clock of the host's"},
        {"weights-mode", 0, OPTION_TEXT, &o.weights_mode, "MODE", "file (default), incbin or inline"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm -o MODEL.c [OPTION…]", "Compiles a model to one C file and its header.", rows,
                             sizeof rows / sizeof rows[0], &files);
    request.target = o.model.target;
    if (code < 0 && files.count != 1) code = wrong_call("compile", files.count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (code < 0 && !o.output && !o.emit) code = wrong_call("compile", "where to? (-o MODEL.c is missing)");
    if (code < 0 && !find_weights_mode(o.weights_mode, &request.emit.weights_mode))
        code = wrong_call("compile", "--weights-mode is file, incbin or inline, not \"%s\"", o.weights_mode);
    if (code < 0 && request.emit.weights_mode == WEIGHTS_INLINE && !o.weights.path) code = wrong_call("compile", "--weights-mode=inline needs --weights FILE");
    if (code < 0 && !o.emit && with_extension(arena, o.output, ".h") && strcmp(with_extension(arena, o.output, ".h"), o.output) == 0)
        code = wrong_call("compile", "-o names the C file, not its header");
    if (code < 0) code = check_batch("compile", &o.model);
    request.plan.reproducible = o.model.reproducible;
    request.schedule = o.model.schedule;
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        request.model = model_request(arena, &o.model, files.data[0]);
        if (!o.emit) {
            compile(arena, &request, &o, diags);
        } else if (stage_find(o.emit, &request.stop, &request.last_pass)) {
            if (stage_built(request.stop)) print_stage(arena, &request, &o, diags);
            else diag_help(diag_error(diags, GM178, (Place){0}, "this gmlpc has no LLVM back end, or its module is not found"), "--emit=loops shows the same code one stage earlier");
        } else {
            diag_help(diag_error(diags, GM172, (Place){0}, "there is no stage \"%s\"", o.emit), "stages are ast, equations, passes, after:PASS, schedule, loops, c and llvm");
        }
        code = report(diags);
    }
    arena_free(arena);
    return code;
}
