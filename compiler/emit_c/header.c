/* The header of a generated file: C99 and C++11, <stddef.h> and <stdint.h> only.
 * Out: the guarded shared types, sizes and shapes as macros, and the documented functions of one model. */
#include "emit_c/emit_private.h"

#include <inttypes.h>
#include <string.h>

static const char *extents_text(Arena *arena, const Tensor *tensor, const char *open, const char *close)
{
    Text text = text_new(arena);
    text_add(&text, open);
    for (int i = 0; i < tensor->rank; i++) text_printf(&text, "%s%" PRId64, i ? ", " : "", tensor->extents[i]);
    text_add(&text, close);
    return text_string(&text);
}

static void emit_shapes(const Emitter *emitter, Writer *writer, const Port *ports, int count, const char *const *macros)
{
    for (int i = 0; i < count; i++) {
        const Tensor *tensor = ports[i].tensor;
        if (tensor->rank) writer_directive(writer, "#define %s_SHAPE %s", macros[i], extents_text(emitter->arena, tensor, "{", "}"));
        writer_directive(writer, "#define %s_COUNT %" PRId64, macros[i], tensor_count(tensor));
    }
}

static void describe_ports(const Emitter *emitter, Text *text, const char *what, const Port *ports, int count, const char *const *names)
{
    for (int i = 0; i < count; i++) {
        const Tensor *tensor = ports[i].tensor;
        text_printf(text, "\n  %-7s %s: %s%s", what, names[i], element_type_name(tensor->type), extents_text(emitter->arena, tensor, "[", "]"));
        if (strcmp(names[i], ports[i].name) != 0) text_printf(text, " (\"%s\" in the model; that word is taken in C or here)", ports[i].name);
    }
}

static void emit_sizes(const Emitter *emitter, Writer *writer)
{
    const Plan *plan = emitter->plan;
    const char *macro = emitter->macro;
    writer_comment(writer, arena_printf(emitter->arena,
        "BATCH: inputs of one run; with more than one, the first axis of every input and output. "
        "ARENA_BYTES: memory of one run, exact, whatever the number of threads; it needs no clearing, and each concurrent run needs its own. "
        "ALIGN: of the arena and of the weights, in bytes. BLOB_BYTES: size of the weight file without self-test; 0: the model has no weights. "
        "SELFTEST_BYTES: what %s_selftest needs behind the arena.", emitter->prefix));
    writer_directive(writer, "#define %s_BATCH %" PRId64, macro, plan->module->batch);
    writer_directive(writer, "#define %s_ARENA_BYTES %" PRId64, macro, plan->arena_bytes);
    writer_directive(writer, "#define %s_ALIGN %d", macro, emitter->alignment);
    writer_directive(writer, "#define %s_BLOB_BYTES %" PRId64, macro, plan->blob_bytes ? plan->blob_bytes + BLOB_HEADER_BYTES : 0);
    if (emitter->options->profile)
        writer_directive(writer, "#define %s_STAMPS %" PRId64, macro, plan->calls.count * plan->turns + 1);
    writer_directive(writer, "#define %s_SELFTEST_BYTES %" PRId64, macro, selftest_memory(plan->module, emitter->alignment));
}

static void emit_prototypes(const Emitter *emitter, Writer *writer)
{
    Arena *arena = emitter->arena;
    const char *prefix = emitter->prefix, *parameters = run_parameters(emitter), *type = emitter->data_dependent ? "int" : "void";
    const char *where = emitter->options->weights_mode != WEIGHTS_FILE ? arena_printf(arena, "what %s_blob returns", prefix)
                      : emitter->plan->blob_bytes ? "the packed file, mapped or read at an address that is a multiple of ALIGN"
                                                  : "NULL, 0 will do: this model has no weights";
    if (emitter->options->weights_mode != WEIGHTS_FILE) {
        writer_comment(writer, "The weights, compiled in, and their size.");
        writer_line(writer, "const void *%s_blob(size_t *bytes);", prefix);
        writer_blank(writer);
    }
    writer_comment(writer, arena_printf(arena,
        "Checks the weights (%s), copies nothing, and chooses the form for this processor. Returns GM_OK or a GM_ERROR_ code below 0; then "
        "*weights must not be used. The blob stays in use as long as *weights is; both may be shared between threads.", where));
    writer_line(writer, "int %s_bind(%s_weights *weights, const void *blob, size_t bytes);", prefix, prefix);
    writer_blank(writer);
    writer_comment(writer, arena_printf(arena,
        "Runs the model on one thread, or on an executor's. Arrays are dense, the last axis fastest, with the alignment of their elements; outputs "
        "must not overlap inputs. No allocation, lock or system call; cannot fail.%s",
        emitter->data_dependent ? " Inputs that are used as subscripts are clamped into range: returns 0, or 1 + the number of an input that was "
                                  "out of range." : ""));
    writer_line(writer, "%s %s_run(const %s_weights *weights, void *arena%s);", type, prefix, prefix, parameters);
    writer_line(writer, "%s %s_run_on(const %s_weights *weights, void *arena, const gm_executor *executor%s);", type, prefix, prefix, parameters);
    writer_blank(writer);
    if (emitter->options->profile) {
        writer_comment(writer, arena_printf(arena,
            "The same, with the time of every kernel call taken by the host's clock, into profile->stamps (%s_STAMPS of them). executor NULL: on one "
            "thread. profile NULL: as %s_run_on.", emitter->macro, prefix));
        writer_line(writer, "%s %s_run_profiled(const %s_weights *weights, void *arena, const gm_executor *executor, const gm_profile *profile%s);", type,
                    prefix, prefix, parameters);
        writer_comment(writer, "The calls that the stamps belong to, and the same function for programs that know the model at run time only.");
        writer_line(writer, "const gm_profiled *%s_profiled(void);", prefix);
        writer_blank(writer);
    }
    writer_comment(writer, "Runs the self-test of the weight file in an arena of ARENA_BYTES + SELFTEST_BYTES. *worst (may be NULL) becomes the largest error "
                           "of an output, max|ours - expected| / max(1, max|expected|). Returns GM_OK, GM_ERROR_SELFTEST, or "
                           "GM_ERROR_NO_SELFTEST where the file has none.");
    writer_line(writer, "int %s_selftest(const %s_weights *weights, void *arena, double *worst);", prefix, prefix);
    writer_blank(writer);
    writer_comment(writer, "All of this as a table.");
    writer_line(writer, "const gm_model *%s_model(void);", prefix);
}

void print_c_header(const Emitter *emitter, Writer *writer)
{
    Arena *arena = emitter->arena;
    const Module *module = emitter->plan->module;
    const char *guard = upper_case(arena, names_take(arena, &(Names){0}, emitter->options->header_name));
    Text about = text_new(arena);
    text_printf(&about, "%s: model %s of %s%s%s%s, compiled by gmlpc %s for target %s.", emitter->options->header_name, module->name,
                module->file ? base_name(module->file) : "a .gm file", module->parameters && *module->parameters ? " (" : "",
                module->parameters ? module->parameters : "", module->parameters && *module->parameters ? ")" : "", GMLPC_VERSION,
                emitter->program->targets.name);
    describe_ports(emitter, &about, "input", module->inputs.data, module->inputs.count, emitter->inputs);
    describe_ports(emitter, &about, "output", module->outputs.data, module->outputs.count, emitter->outputs);
    writer_comment(writer, text_string(&about));
    writer_directive(writer, "#ifndef GM_MODEL_%s", guard);
    writer_directive(writer, "#define GM_MODEL_%s", guard);
    writer_blank(writer);
    writer_directive(writer, "#include <stddef.h>");
    writer_directive(writer, "#include <stdint.h>");
    writer_blank(writer);
    writer_directive(writer, "#ifdef __cplusplus");
    writer_directive(writer, "extern \"C\" {");
    writer_directive(writer, "#endif");
    writer_blank(writer);
    writer_text(writer, shared_executor_text);
    writer_text(writer, shared_status_text);
    writer_text(writer, shared_model_text);
    if (emitter->options->profile) writer_text(writer, shared_profile_text);
    writer_blank(writer);
    writer_comment(writer, "What bind makes; the fields are its own.");
    writer_open(writer, "typedef struct");
    writer_line(writer, "const unsigned char *base;");
    writer_line(writer, "int form;");
    writer_close(writer, arena_printf(arena, " %s_weights;", emitter->prefix));
    writer_blank(writer);
    emit_sizes(emitter, writer);
    emit_shapes(emitter, writer, module->inputs.data, module->inputs.count, emitter->input_macros);
    emit_shapes(emitter, writer, module->outputs.data, module->outputs.count, emitter->output_macros);
    writer_blank(writer);
    emit_prototypes(emitter, writer);
    writer_blank(writer);
    writer_directive(writer, "#ifdef __cplusplus");
    writer_directive(writer, "}");
    writer_directive(writer, "#endif");
    writer_directive(writer, "#endif");
}
