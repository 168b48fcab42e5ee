/* Kernels and element functions of one form as C functions.
 * In: LoopKernels.  Out: `static void MODEL_KERNEL_FORM(void *arguments, int task)`, itself the body that an executor calls.
 * What nothing reads is left out, so that no compiler warns about it. */
#include "emit_c/emit_private.h"

#include "equation/print.h"
#include "support/bug.h"

#include <inttypes.h>
#include <string.h>

const char *form_attribute(const Emitter *emitter, const Target *target)
{
    return target->lanes > 1 ? arena_printf(emitter->arena, "GM_%s ", upper_case(emitter->arena, target->name)) : "";
}

/* --- what is read ------------------------------------------------------------------------------------------------- */

typedef struct {
    Arena *arena;
    int *variable_reads; /* by variable id */
    int variable_count;
    int *buffer_uses;    /* by buffer id */
    int buffer_count;
} Reads;

static int *counter(Arena *arena, int **counts, int *size, int id)
{
    if (id < 0) bug("a variable or buffer has id %d", id);
    if (id >= *size) {
        int bigger = *size * 2 > id + 64 ? *size * 2 : id + 64;
        int *grown = arena_new_array(arena, int, bigger);
        if (*size) memcpy(grown, *counts, (size_t)*size * sizeof **counts);
        *counts = grown;
        *size = bigger;
    }
    return &(*counts)[id];
}

static int *variable_reads(Reads *reads, const Variable *variable)
{
    return counter(reads->arena, &reads->variable_reads, &reads->variable_count, variable->id);
}

static int *buffer_uses(Reads *reads, const Buffer *buffer)
{
    return counter(reads->arena, &reads->buffer_uses, &reads->buffer_count, buffer->id);
}

static void count_value(Reads *reads, const Value *value)
{
    if (!value) return;
    if (value->op == OP_VARIABLE) ++*variable_reads(reads, value->variable);
    if (value->buffer) ++*buffer_uses(reads, value->buffer);
    for (int i = 0; i < 4; i++) count_value(reads, value->operands[i]);
}

static bool is_assignment(const Statement *statement)
{
    return statement->kind == LOOP_LET || statement->kind == LOOP_DECLARE || statement->kind == LOOP_SET;
}

/* Counts the reads in every statement whose own variable was read in the round before (`last` NULL: in all). */
static void count_block(Reads *reads, const Block *block, Reads *last)
{
    for (int i = 0; i < block->count; i++) {
        const Statement *statement = block->data[i];
        if (last && is_assignment(statement) && *variable_reads(last, statement->variable) == 0) continue;
        count_value(reads, statement->from);
        count_value(reads, statement->to);
        count_value(reads, statement->step);
        count_value(reads, statement->value);
        count_value(reads, statement->subscript);
        count_value(reads, statement->part);
        if (statement->buffer && statement->kind != LOOP_ARRAY) ++*buffer_uses(reads, statement->buffer);
        count_block(reads, &statement->body, last);
        count_block(reads, &statement->otherwise, last);
    }
}

static int total(const Reads *reads)
{
    int sum = 0;
    for (int i = 0; i < reads->variable_count; i++) sum += reads->variable_reads[i];
    return sum;
}

static Reads reads_of(Arena *arena, const Block *body, const Value *result)
{
    Reads reads = {.arena = arena};
    count_block(&reads, body, NULL);
    count_value(&reads, result);
    for (;;) {
        Reads next = {.arena = arena};
        count_block(&next, body, &reads);
        count_value(&next, result);
        bool settled = total(&next) == total(&reads);
        reads = next;
        if (settled) return reads;
    }
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static const char **name_slot(Arena *arena, const char ***names, int *count, int id)
{
    if (id >= *count) {
        int bigger = *count * 2 > id + 64 ? *count * 2 : id + 64;
        const char **grown = arena_new_array(arena, const char *, bigger);
        if (*count) memcpy(grown, *names, (size_t)*count * sizeof **names);
        *names = grown;
        *count = bigger;
    }
    return &(*names)[id];
}

const char *variable_name(KernelPrinter *printer, const Variable *variable)
{
    Arena *arena = printer->emitter->arena;
    const char **slot = name_slot(arena, &printer->variables, &printer->variable_count, variable->id);
    if (!*slot) *slot = names_take(arena, &printer->names, variable->name);
    return *slot;
}

const char *buffer_name(KernelPrinter *printer, const Buffer *buffer)
{
    Arena *arena = printer->emitter->arena;
    const char **slot = name_slot(arena, &printer->buffers, &printer->buffer_count, buffer->id);
    if (!*slot) *slot = names_take(arena, &printer->names, buffer->name);
    return *slot;
}

/* --- statements --------------------------------------------------------------------------------------------------- */

static void print_block(KernelPrinter *printer, Reads *reads, const Block *block, Writer *writer);

static void print_for(KernelPrinter *printer, Reads *reads, const Statement *statement, Writer *writer)
{
    Arena *arena = printer->emitter->arena;
    const char *name = variable_name(printer, statement->variable);
    if (statement->step->op != OP_INT || statement->step->whole < 1) bug("the step of loop %s is no positive constant", name);
    int64_t step = statement->step->whole;
    const char *move = step == 1 ? arena_printf(arena, "%s++", name) : arena_printf(arena, "%s += %" PRId64, name, step);
    if (statement->unrolled && printer->form->target->lanes > 1) writer_line(writer, "_Pragma(\"GCC unroll 32\")");
    writer_open(writer, "for (ptrdiff_t %s = %s; %s < %s; %s)", name, value_text(printer, statement->from), name,
                value_text(printer, statement->to), move);
    print_block(printer, reads, &statement->body, writer);
    writer_close(writer, "");
}

static const char *narrowed(KernelPrinter *printer, const Buffer *buffer, const Value *value)
{
    const char *text = value_text(printer, value);
    if (buffer->type == TYPE_F32) return text;
    return arena_printf(printer->emitter->arena, "(%s)(%s)", element_c_type(buffer->type), text);
}

static void print_store(KernelPrinter *printer, const Statement *statement, Writer *writer)
{
    const char *buffer = buffer_name(printer, statement->buffer);
    int lanes = printer->form->target->lanes;
    if (statement->value->type != VALUE_VECTOR || lanes == 1) {
        writer_line(writer, "%s[%s] = %s;", buffer, value_text(printer, statement->subscript),
                    narrowed(printer, statement->buffer, statement->value));
        return;
    }
    const char *subscript = addend_text(printer, statement->subscript);
    const char *value = value_text(printer, statement->value);
    if (statement->part)
        writer_line(writer, "gm_v%d_store_part(%s + %s, %s, %s);", lanes, buffer, subscript, value_text(printer, statement->part), value);
    else
        writer_line(writer, "gm_v%d_store%s(%s + %s, %s);", lanes, statement->aligned ? "_aligned" : "", buffer, subscript, value);
}

static void print_array(KernelPrinter *printer, const Statement *statement, Writer *writer)
{
    const Buffer *buffer = statement->buffer;
    writer_line(writer, "%s%s %s[%" PRId64 "];", printer->emitter->machines ? "GM_ALIGN " : "", element_c_type(buffer->type),
                buffer_name(printer, buffer), buffer->count);
}

static void print_prefetch(KernelPrinter *printer, const Statement *statement, Writer *writer)
{
    if (printer->form->target->lanes == 1) return;
    writer_line(writer, "__builtin_prefetch(%s + %s, %d, %d);", buffer_name(printer, statement->buffer),
                addend_text(printer, statement->subscript), statement->buffer->written ? 1 : 0, statement->buffer->written ? 3 : 2);
}

static void print_if(KernelPrinter *printer, Reads *reads, const Statement *statement, Writer *writer)
{
    writer_open(writer, "if (%s)", value_text(printer, statement->value));
    print_block(printer, reads, &statement->body, writer);
    if (statement->otherwise.count) {
        writer_close(writer, " else {");
        writer->depth++;
        print_block(printer, reads, &statement->otherwise, writer);
    }
    writer_close(writer, "");
}

/* Accumulators take registers from the last one down; those of a block are free again after it, or where its rest has no use of them. */
static void print_accumulator(KernelPrinter *printer, const Statement *statement, Writer *writer)
{
    if (statement->kind == LOOP_SET) {
        writer_line(writer, "%s;", accumulate_text(printer, statement->variable, statement->value));
        return;
    }
    enum { LEFT = 3 }; /* registers, for everything else */
    int number = printer->form->target->registers - ++printer->accumulators;
    const char *name = variable_name(printer, statement->variable), *start = value_text(printer, statement->value);
    if (number < LEFT) writer_line(writer, "gm_v%d %s = %s;", printer->lanes, name, start);
    else writer_line(writer, "GM_V%d_ACCUMULATOR(%s, %d, %s);", printer->lanes, name, number, start);
}

static void print_statement(KernelPrinter *printer, Reads *reads, const Statement *statement, Writer *writer)
{
    const Variable *variable = statement->variable;
    if (is_assignment(statement) && *variable_reads(reads, variable) == 0) return;
    if (is_assignment(statement) && variable->accumulator && accumulates(printer)) {
        print_accumulator(printer, statement, writer);
        return;
    }
    switch (statement->kind) {
    case LOOP_FOR: print_for(printer, reads, statement, writer); break;
    case LOOP_LET:
    case LOOP_DECLARE:
        writer_line(writer, "%s%s %s = %s;", statement->kind == LOOP_LET ? "const " : "", value_c_type(printer, variable->type),
                    variable_name(printer, variable), value_text(printer, statement->value));
        break;
    case LOOP_SET: writer_line(writer, "%s = %s;", variable_name(printer, variable), value_text(printer, statement->value)); break;
    case LOOP_STORE: print_store(printer, statement, writer); break;
    case LOOP_ARRAY:
        if (*buffer_uses(reads, statement->buffer)) print_array(printer, statement, writer);
        break;
    case LOOP_IF: print_if(printer, reads, statement, writer); break;
    case LOOP_PREFETCH: print_prefetch(printer, statement, writer); break;
    case LOOP_STATUS:
        printer->status_used = true;
        writer_line(writer, "if (*status == 0) *status = argument->status_code;");
        break;
    case LOOP_COMMENT: writer_comment(writer, statement->text); break;
    }
}

static bool is_accumulator(const Statement *statement)
{
    return statement->kind == LOOP_DECLARE && statement->variable->accumulator;
}

/* Statement `at` may need registers of its own. */
static bool takes_registers(const Block *block, int at)
{
    const Statement *here = block->data[at];
    return here->body.count || here->otherwise.count || (is_accumulator(here) && at > 0 && !is_accumulator(block->data[at - 1]));
}

/* Whether accumulators that the block declares before statement `at` are read from there on. */
static bool uses_accumulators(const KernelPrinter *printer, const Block *block, int at)
{
    const Block rest = {.data = block->data + at, .count = block->count - at};
    Reads reads = {.arena = printer->emitter->arena};
    count_block(&reads, &rest, NULL);
    for (int i = 0; i < at; i++)
        if (is_accumulator(block->data[i]) && *variable_reads(&reads, block->data[i]->variable)) return true;
    return false;
}

static void print_block(KernelPrinter *printer, Reads *reads, const Block *block, Writer *writer)
{
    int outside = printer->accumulators;
    for (int i = 0; i < block->count; i++) {
        if (printer->accumulators > outside && takes_registers(block, i) && !uses_accumulators(printer, block, i)) printer->accumulators = outside;
        print_statement(printer, reads, block->data[i], writer);
    }
    printer->accumulators = outside;
}

/* --- functions ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *names[2][MOST_FUNCTIONS];
    bool used[2][MOST_FUNCTIONS];
} FormFunctions;

static KernelPrinter printer_new(Emitter *emitter, const LoopForm *form, FormFunctions *functions)
{
    return (KernelPrinter){.emitter = emitter, .form = form, .lanes = form->target->lanes, .functions = {functions->names[0], functions->names[1]},
                           .used = functions->used};
}

static void print_table(Emitter *emitter, const LoopFunction *function, Writer *writer)
{
    enum { ACROSS = 4 };
    if (!function->table_count) return;
    writer_open(writer, "%sstatic const float table[%d] =", emitter->machines ? "GM_ALIGN " : "", function->table_count);
    for (int k = 0; k < function->table_count; k += ACROSS) {
        Text line = text_new(emitter->arena);
        for (int i = k; i < k + ACROSS; i++) text_printf(&line, "%s%s", i > k ? ", " : "", c_float(emitter, (double)function->table[i]));
        writer_line(writer, "%s%s", text_string(&line), k + ACROSS < function->table_count ? "," : "");
    }
    writer_close(writer, ";");
}

/* One element function; `row` 1: the FLOAT form beside vectors. */
static void print_function(Emitter *emitter, const LoopForm *form, FormFunctions *functions, int row, const LoopFunction *function, Writer *writer)
{
    KernelPrinter printer = printer_new(emitter, form, functions);
    if (row == 1) printer.lanes = 1;
    Reads reads = reads_of(emitter->arena, &function->body, function->result);
    const char *type = row == 1 ? "float" : value_c_type(&printer, VALUE_VECTOR);
    Text parameters = text_new(emitter->arena);
    for (int i = 0; i < function->parameter_count; i++)
        text_printf(&parameters, "%s%s %s", i ? ", " : "", type, variable_name(&printer, function->parameters[i]));
    if (function->comment) writer_comment(writer, function->comment);
    writer_line(writer, "static inline %s%s %s(%s)", form_attribute(emitter, form->target), type, functions->names[row][function->function],
                text_string(&parameters));
    writer_brace(writer);
    for (int i = 0; i < function->parameter_count; i++)
        if (*variable_reads(&reads, function->parameters[i]) == 0) writer_line(writer, "(void)%s;", variable_name(&printer, function->parameters[i]));
    print_table(emitter, function, writer);
    print_block(&printer, &reads, &function->body, writer);
    writer_line(writer, "return %s;", value_text(&printer, function->result));
    writer_close(writer, "");
    writer_blank(writer);
}

/* The functions of one row that kernels or later functions call, callees first. */
static void print_functions(Emitter *emitter, const LoopForm *form, FormFunctions *functions, int row, LoopFunction *const *list, int count,
                            Text *out)
{
    Text *texts = arena_new_array(emitter->arena, Text, count + 1);
    for (int i = count - 1; i >= 0; i--) {
        texts[i] = text_new(emitter->arena);
        if (!functions->used[row][list[i]->function]) continue;
        Writer writer = {&texts[i], 0};
        print_function(emitter, form, functions, row, list[i], &writer);
    }
    for (int i = 0; i < count; i++) text_add(out, text_string(&texts[i]));
}

/* Where a kernel comes from: the block and line, and its equations. */
static void print_origin(const Emitter *emitter, const Kernel *kernel, const LoopKernel *loops, Writer *writer)
{
    Text text = text_new(emitter->arena);
    const Equation *first = kernel->equations.count ? kernel->equations.data[0] : NULL;
    text_printf(&text, "%s", kernel->name);
    if (first && first->frame && first->frame->block) text_printf(&text, ", of %s", first->frame->block);
    if (first && first->origin.source) text_printf(&text, " (%s)", place_text(emitter->arena, first->origin));
    text_printf(&text, ": %" PRId64 " task%s", loops->tasks, loops->tasks == 1 ? "" : "s");
    for (int i = 0; i < kernel->equations.count; i++) {
        text_add(&text, "\n  ");
        equation_print(kernel->equations.data[i], &text);
    }
    writer_comment(writer, text_string(&text));
}

bool asks_for_threads(const Emitter *emitter, int index)
{
    for (int f = 0; f < emitter->program->forms.count; f++)
        if (emitter->program->forms.data[f]->kernels.data[index]->threads) return true;
    return false;
}

void print_c_argument_struct(const Emitter *emitter, int index, Writer *writer)
{
    const Kernel *kernel = emitter->plan->kernels.data[index];
    const KernelNames *names = &emitter->kernels[index];
    writer_open(writer, "typedef struct");
    for (int i = 0; i < kernel->parameters.count; i++) {
        const KernelParameter *parameter = &kernel->parameters.data[i];
        writer_line(writer, "%s%s *%s;", parameter->written ? "" : "const ", element_c_type(parameter->tensor->type), names->fields[i]);
    }
    if (kernel->status_input) {
        writer_line(writer, "int *status;");
        writer_line(writer, "int status_code;");
    }
    if (asks_for_threads(emitter, index)) writer_line(writer, "int threads;");
    else if (!kernel->parameters.count && !kernel->status_input) writer_line(writer, "int unused;");
    writer_close(writer, arena_printf(emitter->arena, " %s_arguments;", names->base));
}

static void print_kernel(Emitter *emitter, const LoopForm *form, FormFunctions *functions, int index, Writer *writer)
{
    const LoopKernel *loops = form->kernels.data[index];
    const Kernel *kernel = emitter->plan->kernels.data[index];
    const KernelNames *names = &emitter->kernels[index];
    KernelPrinter printer = printer_new(emitter, form, functions);
    Reads reads = reads_of(emitter->arena, &loops->body, NULL);
    bool task_read = loops->task && *variable_reads(&reads, loops->task) > 0;
    if (task_read) variable_name(&printer, loops->task);
    bool threads_read = loops->threads && *variable_reads(&reads, loops->threads) > 0;
    if (threads_read) variable_name(&printer, loops->threads);
    for (int i = 0; i < loops->buffers.count; i++) buffer_name(&printer, loops->buffers.data[i]);

    Text body = text_new(emitter->arena);
    Writer inside = {&body, 1};
    print_block(&printer, &reads, &loops->body, &inside);

    print_origin(emitter, kernel, loops, writer);
    writer_line(writer, "static %svoid %s_%s(void *arguments, int task_index)", form_attribute(emitter, form->target), names->base,
                form->target->name);
    writer_brace(writer);
    writer_line(writer, "const %s_arguments *const argument = (const %s_arguments *)arguments;", names->base, names->base);
    bool argument_used = printer.status_used;
    for (int i = 0; i < loops->buffers.count; i++) {
        const Buffer *buffer = loops->buffers.data[i];
        if (buffer->local || *buffer_uses(&reads, buffer) == 0) continue;
        argument_used = true;
        const KernelParameter *parameter = &kernel->parameters.data[buffer->parameter];
        writer_line(writer, "%s%s *const %s = argument->%s;", parameter->written ? "" : "const ", element_c_type(parameter->tensor->type),
                    buffer_name(&printer, buffer), names->fields[buffer->parameter]);
    }
    if (printer.status_used) writer_line(writer, "int *const status = argument->status;");
    if (task_read) writer_line(writer, "const ptrdiff_t %s = task_index;", variable_name(&printer, loops->task));
    if (threads_read) writer_line(writer, "const ptrdiff_t %s = argument->threads;", variable_name(&printer, loops->threads));
    if (!argument_used && !threads_read) writer_line(writer, "(void)argument;");
    if (!task_read) writer_line(writer, "(void)task_index;");
    writer_text(writer, text_string(&body));
    writer_close(writer, "");
    writer_blank(writer);
}

static void name_functions(Emitter *emitter, const LoopForm *form, int row, LoopFunction *const *list, int count, FormFunctions *functions)
{
    for (int i = 0; i < count; i++) {
        const char *name = list[i]->name;
        if (strncmp(name, "gm_", 3) == 0) name += 3;
        const char *wanted = arena_printf(emitter->arena, "%s_%s_%s%s", emitter->prefix, name, form->target->name, row ? "_one" : "");
        functions->names[row][list[i]->function] = names_take(emitter->arena, &emitter->names, wanted);
    }
}

void print_c_form(Emitter *emitter, const LoopForm *form, Writer *writer)
{
    FormFunctions *functions = arena_new_object(emitter->arena, FormFunctions);
    name_functions(emitter, form, 0, form->functions.data, form->functions.count, functions);
    name_functions(emitter, form, 1, form->scalar_functions.data, form->scalar_functions.count, functions);
    Text kernels = text_new(emitter->arena);
    Writer below = {&kernels, 0};
    for (int i = 0; i < form->kernels.count; i++) print_kernel(emitter, form, functions, i, &below);
    Text above = text_new(emitter->arena);
    print_functions(emitter, form, functions, 0, form->functions.data, form->functions.count, &above);
    Text scalars = text_new(emitter->arena);
    print_functions(emitter, form, functions, 1, form->scalar_functions.data, form->scalar_functions.count, &scalars);
    writer_text(writer, text_string(&scalars));
    writer_text(writer, text_string(&above));
    writer_text(writer, text_string(&kernels));
}
