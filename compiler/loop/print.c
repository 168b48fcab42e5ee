/* Loop programs as text (--emit=loops): one line a statement, C-like, stable. */
#include "loop/build.h"

#include <math.h>

static void print_number(double number, Text *out)
{
    if (isnan(number)) text_add(out, "nan");
    else if (isinf(number)) text_add(out, number < 0 ? "-inf" : "inf");
    else text_printf(out, "%.9g", number);
}

static void print_value(const Value *value, Text *out);

static void print_binary(const Value *value, const char *sign, Text *out)
{
    text_add(out, "(");
    print_value(value->operands[0], out);
    text_printf(out, " %s ", sign);
    print_value(value->operands[1], out);
    text_add(out, ")");
}

static const char *sign_of(Op op)
{
    static const struct {
        Op op;
        const char *sign;
    } signs[] = {{OP_ADD, "+"}, {OP_SUB, "-"}, {OP_MUL, "*"}, {OP_DIV, "/"},  {OP_FLOORDIV, "//"}, {OP_MOD, "%"},
                 {OP_LT, "<"},  {OP_LE, "<="}, {OP_EQ, "=="}, {OP_NE, "!="}, {OP_AND, "&"},       {OP_OR, "|"}};
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++)
        if (signs[k].op == op) return signs[k].sign;
    return NULL;
}

static void print_value(const Value *value, Text *out)
{
    if (value->op == OP_NUMBER) {
        print_number(value->number, out);
        return;
    }
    if (value->op == OP_INT) {
        text_printf(out, "%lld", (long long)value->whole);
        return;
    }
    if (value->op == OP_VARIABLE) {
        text_add(out, value->variable->name);
        return;
    }
    const char *sign = sign_of(value->op);
    if (sign) {
        print_binary(value, sign, out);
        return;
    }
    text_add(out, value->op != OP_CALL ? op_name(value->op)
                  : value->function < FUNCTION_COUNT ? function_table[value->function].name
                  : value->function == SOFTMAX_POWER ? "softmax_power" : "fitted");
    if (value->op == OP_CALL && value->function >= FUNCTION_COUNT && value->function != SOFTMAX_POWER) text_printf(out, "_%d", value->function - FUNCTION_COUNT);
    bool load = value->op == OP_LOAD || value->op == OP_LOAD_VECTOR || value->op == OP_LOAD_PART;
    if (load) text_printf(out, " %s[", value->buffer->name);
    else text_add(out, "(");
    for (int k = 0; k < 4 && value->operands[k]; k++) {
        if (k) text_add(out, ", ");
        print_value(value->operands[k], out);
    }
    if (value->op == OP_LOOKUP) text_printf(out, ", table[%d; %lld]", value->first, (long long)value->whole);
    if (value->op == OP_SHIFT_LEFT || value->op == OP_SHIFT_RIGHT) text_printf(out, ", %lld", (long long)value->whole);
    text_add(out, load ? "]" : ")");
}

static void print_block(const Block *block, int depth, Text *out);

static void indent(int depth, Text *out)
{
    for (int k = 0; k < depth; k++) text_add(out, "  ");
}

static void print_assignment(const char *word, const Statement *statement, Text *out)
{
    text_printf(out, "%s%s", word, statement->variable->name);
    if (statement->kind != LOOP_SET) text_printf(out, ": %s", value_type_name(statement->variable->type));
    text_add(out, " = ");
    print_value(statement->value, out);
}

static void print_for(const Statement *statement, int depth, Text *out)
{
    text_printf(out, "for %s = ", statement->variable->name);
    print_value(statement->from, out);
    text_add(out, " to ");
    print_value(statement->to, out);
    if (statement->step->whole != 1) text_printf(out, " step %lld", (long long)statement->step->whole);
    if (statement->unrolled) text_add(out, " unrolled");
    text_add(out, "\n");
    print_block(&statement->body, depth + 1, out);
}

static void print_statement(const Statement *statement, int depth, Text *out)
{
    indent(depth, out);
    switch (statement->kind) {
    case LOOP_FOR: print_for(statement, depth, out); return;
    case LOOP_IF:
        text_add(out, "if ");
        print_value(statement->value, out);
        text_add(out, "\n");
        print_block(&statement->body, depth + 1, out);
        if (!statement->otherwise.count) return;
        indent(depth, out);
        text_add(out, "else\n");
        print_block(&statement->otherwise, depth + 1, out);
        return;
    case LOOP_LET: print_assignment("let ", statement, out); break;
    case LOOP_DECLARE: print_assignment("var ", statement, out); break;
    case LOOP_SET: print_assignment("", statement, out); break;
    case LOOP_STORE:
        text_printf(out, "%s[", statement->buffer->name);
        print_value(statement->subscript, out);
        text_add(out, statement->part ? "; " : "");
        if (statement->part) print_value(statement->part, out);
        text_add(out, "] = ");
        print_value(statement->value, out);
        break;
    case LOOP_ARRAY:
        text_printf(out, "array %s: %s[%lld]", statement->buffer->name, element_type_name(statement->buffer->type),
                    (long long)statement->buffer->count);
        break;
    case LOOP_PREFETCH:
        text_printf(out, "prefetch %s[", statement->buffer->name);
        print_value(statement->subscript, out);
        text_add(out, "]");
        break;
    case LOOP_STATUS: text_add(out, "status"); break;
    case LOOP_COMMENT: text_printf(out, "# %s", statement->text); break;
    }
    text_add(out, "\n");
}

static void print_block(const Block *block, int depth, Text *out)
{
    for (int k = 0; k < block->count; k++) print_statement(block->data[k], depth, out);
}

static void print_kernel(const LoopKernel *kernel, Text *out)
{
    text_printf(out, "kernel %s(", kernel->kernel ? kernel->kernel->name : "kernel");
    const char *comma = "";
    for (int k = 0; k < kernel->buffers.count; k++) {
        const Buffer *buffer = kernel->buffers.data[k];
        if (buffer->local) continue;
        text_printf(out, "%s%s: %s%s", comma, buffer->name, element_type_name(buffer->type), buffer->written ? " written" : "");
        comma = ", ";
    }
    text_printf(out, ") task %s of %lld", kernel->task->name, (long long)kernel->tasks);
    if (kernel->threads) text_printf(out, ", %s", kernel->threads->name);
    if (kernel->stack_bytes) text_printf(out, ", stack %lld bytes", (long long)kernel->stack_bytes);
    text_add(out, "\n");
    print_block(&kernel->body, 1, out);
}

static void print_function(const LoopFunction *function, Text *out)
{
    text_printf(out, "function %s(", function->name);
    for (int k = 0; k < function->parameter_count; k++) text_printf(out, "%s%s", k ? ", " : "", function->parameters[k]->name);
    text_printf(out, ") of %d lanes\n", function->lanes);
    if (function->comment) text_printf(out, "  # %s\n", function->comment);
    for (int k = 0; k < function->table_count; k += 8) {
        text_printf(out, "  table[%d] =", k);
        for (int i = k; i < k + 8; i++) text_printf(out, " %.9g", (double)function->table[i]);
        text_add(out, "\n");
    }
    print_block(&function->body, 1, out);
    text_add(out, "  return ");
    print_value(function->result, out);
    text_add(out, "\n");
}

void loop_print(const LoopProgram *program, Text *out)
{
    for (int f = 0; f < program->forms.count; f++) {
        const LoopForm *form = program->forms.data[f];
        text_printf(out, "%sform %s: %d lanes\n", f ? "\n" : "", form->target->name, form->target->lanes);
        for (int k = 0; k < form->functions.count; k++) text_add(out, "\n"), print_function(form->functions.data[k], out);
        for (int k = 0; k < form->scalar_functions.count; k++) text_add(out, "\n"), print_function(form->scalar_functions.data[k], out);
        for (int k = 0; k < form->kernels.count; k++) text_add(out, "\n"), print_kernel(form->kernels.data[k], out);
    }
}
