/* The C back end: the order of a generated file.
 *
 *   comment, includes, macros
 *   static constants, argument structures          shared by all forms
 *   hooks, element functions, kernels              once for each form, best first
 *   table of forms, steps, run, run_on
 *   weights compiled in, bind, self-test, table
 */
#include "emit_c/emit_private.h"

#include "support/bug.h"

#include <inttypes.h>
#include <string.h>

const char *element_c_type(ElementType type)
{
    switch (type) {
    case TYPE_F32: return "float";
    case TYPE_I32: return "int32_t";
    case TYPE_I64: return "int64_t";
    case TYPE_U8: return "uint8_t";
    }
    bug("element type %d", (int)type);
}

const char *c_float(Emitter *emitter, double number)
{
    const char *literal = float_literal(emitter->arena, number);
    if (strchr(literal, 'N')) emitter->uses_math = true; /* NAN, INFINITY */
    return literal;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

const char *const *emit_c_port_names(Arena *arena, const Module *module)
{
    Names names = {{0}};
    int inputs = module->inputs.count, count = inputs + module->outputs.count;
    const char **result = arena_new_array(arena, const char *, count + 1);
    for (int i = 0; i < count; i++) result[i] = names_take(arena, &names, i < inputs ? module->inputs.data[i].name : module->outputs.data[i - inputs].name);
    return result;
}

static const char **port_macros(Emitter *emitter, Names *names, const Port *ports, int count)
{
    const char **result = arena_new_array(emitter->arena, const char *, count + 1);
    for (int i = 0; i < count; i++)
        result[i] = names_take(emitter->arena, names, arena_printf(emitter->arena, "%s_%s", emitter->macro, upper_case(emitter->arena, ports[i].name)));
    return result;
}

static void name_kernels(Emitter *emitter)
{
    Arena *arena = emitter->arena;
    const Plan *plan = emitter->plan;
    Names members = {{0}};
    names_take(arena, &members, "name");
    emitter->kernels = arena_new_array(arena, KernelNames, plan->kernels.count + 1);
    for (int k = 0; k < plan->kernels.count; k++) {
        const Kernel *kernel = plan->kernels.data[k];
        if (kernel->id != k) bug("kernel %s has id %d at position %d", kernel->name, kernel->id, k);
        KernelNames *names = &emitter->kernels[k];
        names->base = names_take(arena, &emitter->names, arena_printf(arena, "%s_%s", emitter->prefix, kernel->name));
        names->member = names_take(arena, &members, kernel->name);
        names->fields = arena_new_array(arena, const char *, kernel->parameters.count + 1);
        Names fields = {{0}};
        names_take(arena, &fields, "status_code");
        names_take(arena, &fields, "threads");
        const LoopKernel *loops = emitter->program->forms.data[0]->kernels.data[k];
        for (int b = 0; b < loops->buffers.count; b++) {
            const Buffer *buffer = loops->buffers.data[b];
            if (!buffer->local) names->fields[buffer->parameter] = names_take(arena, &fields, buffer->name);
        }
        for (int p = 0; p < kernel->parameters.count; p++)
            if (!names->fields[p]) names->fields[p] = names_take(arena, &fields, arena_printf(arena, "unused_%d", p));
    }
}

/* Names of the file's own functions, which kernels must not take. */
static void reserve_api(Emitter *emitter)
{
    static const char *const words[] = {"weights",  "bind",    "run",       "run_on",    "selftest",   "model",       "blob",       "blob_data",
                                        "blob_end", "steps",   "call",      "serial",    "forms",      "form",        "task_set",   "read32",
                                        "read64",   "round",   "hash",      "cpuid",     "runs",       "check",       "elements",   "tensor_bytes",
                                        "fill",     "error",   "take",      "inputs",    "outputs",    "blob_words",  "table_bind", "table_run",
                                        "table_run_on",        "table_selftest",         "table_form", "table_choose_form"};
    static const char *const profile_words[] = {"run_profiled", "table_run_profiled", "profiled", "calls", "stamp"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        names_take(emitter->arena, &emitter->names, arena_printf(emitter->arena, "%s_%s", emitter->prefix, words[i]));
    for (size_t i = 0; emitter->options->profile && i < sizeof profile_words / sizeof profile_words[0]; i++)
        names_take(emitter->arena, &emitter->names, arena_printf(emitter->arena, "%s_%s", emitter->prefix, profile_words[i]));
}

static void emitter_start(Emitter *emitter, const LoopProgram *program, const EmitOptions *options, Arena *arena)
{
    *emitter = (Emitter){.arena = arena, .program = program, .plan = program->plan, .options = options, .prefix = options->prefix};
    const Module *module = program->plan->module;
    emitter->macro = upper_case(arena, options->prefix);
    emitter->alignment = 4;
    for (int f = 0; f < program->forms.count; f++) {
        const Target *target = program->forms.data[f]->target;
        if (*target->machine) emitter->machines |= machine_bit(target);
        if (target->alignment > emitter->alignment) emitter->alignment = target->alignment;
    }
    for (int k = 0; k < program->plan->kernels.count; k++)
        if (program->plan->kernels.data[k]->status_input) emitter->data_dependent = true;
    reserve_api(emitter);
    Names macros = {{0}};
    emitter->inputs = emit_c_port_names(arena, module);
    emitter->outputs = emitter->inputs + module->inputs.count;
    emitter->input_macros = port_macros(emitter, &macros, module->inputs.data, module->inputs.count);
    emitter->output_macros = port_macros(emitter, &macros, module->outputs.data, module->outputs.count);
    name_kernels(emitter);
}

/* --- static constants --------------------------------------------------------------------------------------------- */

/* The element of a row-major tensor that lies at each place of its layout; -1: padding. */
static int64_t *places_of(Arena *arena, const Tensor *tensor, const Layout *layout, int64_t places)
{
    int64_t *elements = arena_new_array(arena, int64_t, places + 1);
    for (int64_t p = 0; p < places; p++) elements[p] = -1;
    int64_t count = tensor_count(tensor);
    for (int64_t e = 0; e < count; e++) {
        int64_t place = layout_place(tensor, layout, e);
        if (place < 0 || place >= places) bug("element %" PRId64 " of %s lies outside its %" PRId64 " bytes", e, tensor->name, layout->bytes);
        elements[place] = e;
    }
    return elements;
}

static const char *constant_literal(Emitter *emitter, ElementType type, double value)
{
    if (!element_type_is_integer(type)) return c_float(emitter, value);
    if (type == TYPE_I32 && value == INT32_MIN) return "-2147483647 - 1";
    if (type == TYPE_I64) return arena_printf(emitter->arena, "INT64_C(%.0f)", value);
    return arena_printf(emitter->arena, "%.0f", value);
}

static void print_c_statics(Emitter *emitter, Writer *writer)
{
    Arena *arena = emitter->arena;
    const Plan *plan = emitter->plan;
    emitter->statics = arena_new_array(arena, const char *, plan->statics.count + 1);
    for (int i = 0; i < plan->statics.count; i++) {
        const Tensor *tensor = plan->statics.data[i];
        const Layout *layout = tensor_layout(tensor);
        if (!tensor->values) bug("the static constant %s has no values", tensor->name);
        int64_t places = layout->bytes / element_type_size(tensor->type);
        if (places < 1) places = 1;
        const int64_t *elements = places_of(arena, tensor, layout, places);
        const char *name = emitter->statics[i] = names_take(arena, &emitter->names, arena_printf(arena, "%s_%s", emitter->prefix, tensor->name));
        Text list = text_new(arena);
        for (int64_t p = 0; p < places; p++)
            text_printf(&list, "%s%s", p ? ", " : "", elements[p] < 0 ? "0" : constant_literal(emitter, tensor->type, tensor->values[elements[p]]));
        writer_comment(writer, tensor->name);
        writer_line(writer, "static const %s %s[%" PRId64 "]%s = {%s};", element_c_type(tensor->type), name, places, emitter->machines ? " GM_ALIGN" : "",
                    text_string(&list));
        writer_blank(writer);
    }
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

/* Products and sums stay as they are written. */
static const char reproducible_text[] =
    "/* The same bits on every machine: no fused multiply-add but those written as such. */\n"
    "#if defined(__FAST_MATH__)\n"
    "#error \"a reproducible model can't be compiled with -ffast-math\"\n"
    "#endif\n"
    "#if defined(__clang__)\n"
    "#pragma STDC FP_CONTRACT OFF\n"
    "#elif defined(__GNUC__)\n"
    "#pragma GCC optimize(\"fp-contract=off\")\n"
    "#endif\n"
    "\n";

static void print_c_prologue(const Emitter *emitter, Writer *writer, bool runs_anywhere)
{
    const Module *module = emitter->plan->module;
    bool parameters = module->parameters && *module->parameters;
    writer_comment(writer, arena_printf(emitter->arena,
        "Model %s of %s%s%s%s, compiled by gmlpc %s for target %s. A generated file: change the .gm file instead. %s says how to use it.",
        module->name, module->file ? base_name(module->file) : "a .gm file", parameters ? " (" : "", parameters ? module->parameters : "",
        parameters ? ")" : "", GMLPC_VERSION, emitter->program->targets.name, emitter->options->header_name));
    writer_directive(writer, "#include %s", string_literal(emitter->arena, emitter->options->header_name));
    writer_blank(writer);
    if (emitter->uses_math || emitter->helpers[HELPER_SQRT] || emitter->helpers[HELPER_FMA]) writer_directive(writer, "#include <math.h>");
    writer_directive(writer, "#include <string.h>");
    writer_blank(writer);
    print_c_machines(emitter, writer, runs_anywhere);
    if (emitter->plan->reproducible) writer_text(writer, reproducible_text);
}

static void print_c_forms(Emitter *emitter, Writer *writer)
{
    const LoopProgram *program = emitter->program;
    for (int f = 0; f < program->forms.count; f++) {
        const LoopForm *form = program->forms.data[f];
        bool vectors = form->target->lanes > 1;
        if (form->kernels.count != emitter->plan->kernels.count) bug("form %s has %d kernels", form->target->name, form->kernels.count);
        writer_comment(writer, arena_printf(emitter->arena, "---- %s: %s", form->target->name, form->target->help));
        if (vectors) writer_directive(writer, "#if defined(%s)", form->target->machine);
        if (vectors) print_c_hooks(form->target, writer);
        writer_blank(writer);
        print_c_form(emitter, form, writer);
        if (vectors) {
            writer_directive(writer, "#endif");
            writer_blank(writer);
        }
    }
}

void emit_c(const LoopProgram *program, const EmitOptions *options, Text *source, Text *header)
{
    Arena *arena = source->arena;
    Emitter emitter;
    emitter_start(&emitter, program, options, arena);
    Writer header_writer = {header, 0};
    print_c_header(&emitter, &header_writer);

    bool runs_anywhere = false;
    for (int f = 0; f < program->forms.count; f++) runs_anywhere = runs_anywhere || program->forms.data[f]->target->lanes == 1;

    /* Kernels first, into texts of their own: they say which helpers the file needs. */
    Text statics = text_new(arena), forms = text_new(arena);
    Writer statics_writer = {&statics, 0}, forms_writer = {&forms, 0};
    print_c_statics(&emitter, &statics_writer);
    print_c_forms(&emitter, &forms_writer);

    Writer writer = {source, 0};
    print_c_prologue(&emitter, &writer, runs_anywhere);
    print_c_helpers(&emitter, &writer);
    writer_text(&writer, text_string(&statics));
    for (int k = 0; k < program->plan->kernels.count; k++) {
        print_c_argument_struct(&emitter, k, &writer);
        writer_blank(&writer);
    }
    writer_text(&writer, text_string(&forms));
    print_c_forms_table(&emitter, &writer);
    emit_run_steps(&emitter, &writer);
    print_c_run(&emitter, &writer);
    print_c_bind(&emitter, &writer);
    print_c_selftest(&emitter, &writer);
    print_c_model_table(&emitter, &writer);
    if (options->profile) print_c_profiled(&emitter, &writer);
}
