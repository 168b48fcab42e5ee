/* The order of kernel calls, and the functions that a host calls to run a model.
 * In: the plan's steps.  Out: MODEL_steps (loops over turns, argument structures, one call of the executor a kernel), run, run_on, and
 * the table of forms with each kernel's function and number of tasks. */
#include "emit_c/emit_private.h"

#include "support/bug.h"

#include <inttypes.h>
#include <string.h>

enum { MAX_TURNS = 4 };

typedef struct {
    const Emitter *emitter;
    Writer *writer;
    const char *turns[MAX_TURNS];
    int depth;
} Steps;

const char *place_text(Arena *arena, Place place)
{
    if (!place.source) return "";
    int line, column;
    source_position(place.source, place.begin, &line, &column);
    return arena_printf(arena, "%s:%d", base_name(place.source->name), line);
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */

static const char *static_name(const Emitter *emitter, const Tensor *tensor)
{
    for (int i = 0; i < emitter->plan->statics.count; i++)
        if (emitter->plan->statics.data[i] == tensor) return emitter->statics[i];
    bug("%s is no static constant", tensor->name);
}

static const char *base_address(const Emitter *emitter, const Tensor *tensor, const Layout *layout)
{
    switch (layout->storage) {
    case STORE_INPUT: return emitter->inputs[layout->port];
    case STORE_OUTPUT: return emitter->outputs[layout->port];
    case STORE_ARENA: return "memory";
    case STORE_BLOB: return "base";
    case STORE_STATIC: return static_name(emitter, tensor);
    case STORE_NONE: break;
    }
    bug("%s is passed to a kernel but stored nowhere", tensor->name);
}

/* The address of an argument in the current turns, typed. */
static const char *argument_address(const Steps *steps, const CallArgument *argument, bool written)
{
    Arena *arena = steps->emitter->arena;
    const Tensor *tensor = argument->tensor;
    const Layout *layout = tensor_layout(tensor);
    if (!layout) bug("%s has no layout", tensor->name);
    bool bytes = layout->storage == STORE_ARENA || layout->storage == STORE_BLOB;
    Text moves = text_new(arena);
    if (bytes && layout->offset_bytes) text_printf(&moves, " + %" PRId64, layout->offset_bytes);
    for (int i = 0; i < steps->depth; i++)
        if (argument->step_bytes[i]) text_printf(&moves, " + %s * %" PRId64, steps->turns[i], argument->step_bytes[i]);
    const char *base = base_address(steps->emitter, tensor, layout);
    if (!bytes && !moves.length) return base;
    const char *qualifier = written ? "" : "const ";
    if (!bytes) base = arena_printf(arena, "(%sunsigned char *)%s", qualifier, base);
    return arena_printf(arena, "(%s%s *)%s%s%s%s", qualifier, element_c_type(tensor->type), moves.length ? "(" : "", base, text_string(&moves),
                        moves.length ? ")" : "");
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

static const char *frame_text(Arena *arena, const Frame *frame)
{
    if (!frame) return NULL;
    const char *call = frame->call ? frame->call : frame->block;
    if (!call) return NULL;
    return frame->path && *frame->path ? arena_printf(arena, "%s: %s", frame->path, call) : call;
}

static void print_call(const Steps *steps, const Step *step)
{
    const Emitter *emitter = steps->emitter;
    Writer *writer = steps->writer;
    const Kernel *kernel = step->kernel;
    const KernelNames *names = &emitter->kernels[kernel->id];
    writer_brace(writer);
    writer_line(writer, "%s_arguments call;", names->base);
    if (step->arguments.count != kernel->parameters.count) bug("%s is called with %d arguments", kernel->name, step->arguments.count);
    for (int i = 0; i < step->arguments.count; i++)
        writer_line(writer, "call.%s = %s;", names->fields[i],
                    argument_address(steps, &step->arguments.data[i], kernel->parameters.data[i].written));
    if (kernel->status_input) {
        writer_line(writer, "call.status = &status;");
        writer_line(writer, "call.status_code = %d;", kernel->status_input);
    }
    if (asks_for_threads(emitter, kernel->id)) writer_line(writer, "call.threads = executor->threads;");
    writer_line(writer, "%s_call(executor, &form->%s, &call);", emitter->prefix, names->member);
    if (emitter->options->profile) writer_line(writer, "%s_stamp(profile, &stamp);", emitter->prefix);
    writer_close(writer, "");
}

static void print_steps(Steps *steps, Step *const *list, int count)
{
    const char *last = NULL;
    Writer *writer = steps->writer;
    for (int i = 0; i < count; i++) {
        const Step *step = list[i];
        if (step->kind == STEP_CALL) {
            const char *frame = frame_text(steps->emitter->arena, step->frame);
            if (frame && (!last || strcmp(frame, last) != 0)) writer_comment(writer, frame);
            last = frame;
            print_call(steps, step);
            continue;
        }
        if (steps->depth == MAX_TURNS) bug("steps are nested more than %d deep", MAX_TURNS);
        const char *turn = steps->depth ? arena_printf(steps->emitter->arena, "turn_%d", steps->depth) : "turn";
        steps->turns[steps->depth++] = turn;
        writer_comment(writer, arena_printf(steps->emitter->arena, "%" PRId64 " times; the comments are those of the first turn", step->count));
        writer_open(writer, "for (ptrdiff_t %s = 0; %s < %" PRId64 "; %s++)", turn, turn, step->count, turn);
        print_steps(steps, step->steps.data, step->steps.count);
        writer_close(writer, "");
        steps->depth--;
        last = NULL;
    }
}

void emit_run_steps(Emitter *emitter, Writer *writer)
{
    const char *prefix = emitter->prefix;
    if (emitter->plan->kernels.count) {
        writer_line(writer, "static void %s_call(const gm_executor *executor, const %s_task_set *kernel, void *arguments)", prefix, prefix);
        writer_brace(writer);
        writer_line(writer, "if (kernel->tasks == 1) kernel->run(arguments, 0);");
        writer_line(writer, "else executor->parallel_for(executor->context, kernel->tasks, kernel->run, arguments);");
        writer_close(writer, "");
        writer_blank(writer);
    }
    bool profile = emitter->options->profile;
    if (profile) {
        writer_line(writer, "static void %s_stamp(const gm_profile *profile, uint64_t **stamp)", prefix);
        writer_brace(writer);
        writer_line(writer, "if (profile) *(*stamp)++ = profile->clock(profile->context);");
        writer_close(writer, "");
        writer_blank(writer);
    }
    writer_comment(writer, "The model, kernel by kernel.");
    writer_line(writer, "static int %s_steps(const %s_weights *weights, void *arena, const gm_executor *executor%s%s)", prefix, prefix,
                profile ? ", const gm_profile *profile" : "", run_parameters(emitter));
    writer_brace(writer);
    writer_line(writer, "const %s_form *const form = &%s_forms[weights->form];", prefix, prefix);
    writer_line(writer, "const unsigned char *const base = weights->base;");
    writer_line(writer, "unsigned char *const memory = (unsigned char *)arena;");
    if (emitter->data_dependent) writer_line(writer, "int status = 0;");
    if (profile) writer_line(writer, "uint64_t *stamp = profile ? profile->stamps : NULL;");
    writer_line(writer, "(void)form, (void)base, (void)memory, (void)executor;");
    for (int i = 0; i < emitter->plan->module->inputs.count; i++) writer_line(writer, "(void)%s;", emitter->inputs[i]);
    if (profile) writer_line(writer, "%s_stamp(profile, &stamp);", prefix);
    Steps steps = {.emitter = emitter, .writer = writer};
    print_steps(&steps, emitter->plan->steps.data, emitter->plan->steps.count);
    writer_line(writer, emitter->data_dependent ? "return status;" : "return 0;");
    writer_close(writer, "");
    writer_blank(writer);
}

/* --- run ---------------------------------------------------------------------------------------------------------- */

static void add_ports(const Emitter *emitter, Text *text, bool types)
{
    const Module *module = emitter->plan->module;
    for (int i = 0; i < module->inputs.count; i++) {
        text_add(text, ", ");
        if (types) text_printf(text, "const %s *", element_c_type(module->inputs.data[i].tensor->type));
        text_add(text, emitter->inputs[i]);
    }
    for (int i = 0; i < module->outputs.count; i++) {
        text_add(text, ", ");
        if (types) text_printf(text, "%s *", element_c_type(module->outputs.data[i].tensor->type));
        text_add(text, emitter->outputs[i]);
    }
}

const char *run_parameters(const Emitter *emitter)
{
    Text text = text_new(emitter->arena);
    add_ports(emitter, &text, true);
    return text_string(&text);
}

const char *run_names(const Emitter *emitter)
{
    Text text = text_new(emitter->arena);
    add_ports(emitter, &text, false);
    return text_string(&text);
}

void print_c_run(const Emitter *emitter, Writer *writer)
{
    const char *prefix = emitter->prefix, *type = emitter->data_dependent ? "int" : "void";
    const char *parameters = run_parameters(emitter), *names = run_names(emitter);
    const char *keep = emitter->data_dependent ? "return " : "(void)", *none = emitter->options->profile ? ", NULL" : "";
    writer_comment(writer, "One thread: every task in turn.");
    writer_line(writer, "static void %s_serial(void *context, int count, void (*body)(void *argument, int index), void *argument)", prefix);
    writer_brace(writer);
    writer_line(writer, "(void)context;");
    writer_line(writer, "for (int i = 0; i < count; i++) body(argument, i);");
    writer_close(writer, "");
    writer_blank(writer);
    writer_line(writer, "%s %s_run(const %s_weights *weights, void *arena%s)", type, prefix, prefix, parameters);
    writer_brace(writer);
    writer_line(writer, "static const gm_executor serial = {NULL, %s_serial, 1};", prefix);
    writer_line(writer, "%s%s_steps(weights, arena, &serial%s%s);", keep, prefix, none, names);
    writer_close(writer, "");
    writer_blank(writer);
    writer_line(writer, "%s %s_run_on(const %s_weights *weights, void *arena, const gm_executor *executor%s)", type, prefix, prefix, parameters);
    writer_brace(writer);
    writer_line(writer, "%s%s_steps(weights, arena, executor%s%s);", keep, prefix, none, names);
    writer_close(writer, "");
    writer_blank(writer);
    if (!emitter->options->profile) return;
    writer_line(writer, "%s %s_run_profiled(const %s_weights *weights, void *arena, const gm_executor *executor, const gm_profile *profile%s)", type, prefix,
                prefix, parameters);
    writer_brace(writer);
    writer_line(writer, "static const gm_executor serial = {NULL, %s_serial, 1};", prefix);
    writer_line(writer, "%s%s_steps(weights, arena, executor ? executor : &serial, profile%s);", keep, prefix, names);
    writer_close(writer, "");
    writer_blank(writer);
}

/* --- forms -------------------------------------------------------------------------------------------------------- */

void print_c_forms_table(const Emitter *emitter, Writer *writer)
{
    const char *prefix = emitter->prefix;
    const LoopProgram *program = emitter->program;
    int kernels = emitter->plan->kernels.count;
    writer_comment(writer, "The forms of this file, best first; bind chooses one.");
    writer_open(writer, "typedef struct");
    writer_line(writer, "void (*run)(void *arguments, int task_index);");
    writer_line(writer, "int tasks;");
    writer_close(writer, arena_printf(emitter->arena, " %s_task_set;", prefix));
    writer_open(writer, "typedef struct");
    writer_line(writer, "const char *name;");
    for (int k = 0; k < kernels; k++) writer_line(writer, "%s_task_set %s;", prefix, emitter->kernels[k].member);
    writer_close(writer, arena_printf(emitter->arena, " %s_form;", prefix));
    writer_open(writer, "static const %s_form %s_forms[] =", prefix, prefix);
    for (int f = 0; f < program->forms.count; f++) {
        const LoopForm *form = program->forms.data[f];
        if (form->target->lanes > 1) writer_directive(writer, "#if defined(%s)", form->target->machine);
        writer_brace(writer);
        writer_line(writer, "\"%s\",", form->target->name);
        for (int k = 0; k < kernels; k++) {
            int64_t tasks = form->kernels.data[k]->tasks;
            if (tasks < 1 || tasks > INT32_MAX) bug("%s has %" PRId64 " tasks", emitter->kernels[k].base, tasks);
            writer_line(writer, "{%s_%s, %" PRId64 "},", emitter->kernels[k].base, form->target->name, tasks);
        }
        writer_close(writer, ",");
        if (form->target->lanes > 1) writer_directive(writer, "#endif");
    }
    writer_close(writer, ";");
    writer_blank(writer);
}
