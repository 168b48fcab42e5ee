/* Equations as text in the notation of the language. Two indices of one name get numbers; nodes that are shared are named first:
 *   m2 := sum[k](x[i, k]); y[i] = m2 * m2  for i < 4
 * In: a module or a part of one.  Out: text that is stable from run to run. */
#include "equation/print.h"

#include "equation/node_map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Text *out;
    NodeMap names;  /* Index or shared node → its text */
    NodeMap uses;   /* node → number of parents */
    LIST(const Index *) indices;
    LIST(Expr *) shared;
} Printer;

static void print_node(Printer *printer, const Expr *expr, int level);

static void printer_init(Printer *printer, Text *out)
{
    memset(printer, 0, sizeof *printer);
    printer->out = out;
    node_map_init(&printer->names);
    node_map_init(&printer->uses);
}

static void printer_free(Printer *printer)
{
    node_map_free(&printer->names);
    node_map_free(&printer->uses);
}

/* --- names -------------------------------------------------------------------------------------------------------- */
static void name_index(Printer *printer, const Index *index)
{
    if (node_map_get(&printer->names, index, NULL)) return;
    int same = 1;
    for (int i = 0; i < printer->indices.count; i++) same += strcmp(printer->indices.data[i]->name, index->name) == 0;
    list_push(printer->out->arena, &printer->indices, index);
    const char *name = same == 1 ? index->name : arena_printf(printer->out->arena, "%s'%d", index->name, same);
    node_map_put(&printer->names, index, (void *)name);
}

static void name_indices(Expr *node, void *context)
{
    Printer *printer = context;
    if (node->kind == EXPR_REDUCE)
        for (int i = 0; i < node->index_count; i++) name_index(printer, node->indices[i]);
    if (node->kind == EXPR_INDEX) name_index(printer, node->index);
}

static void count_use(Printer *printer, const Expr *node)
{
    node_map_put(&printer->uses, node, (char *)node_map_get(&printer->uses, node, NULL) + 1);
}

static void count_uses(Expr *node, void *context)
{
    for (int i = 0; i < node->count; i++) count_use(context, node->args[i]);
    if (node->otherwise) count_use(context, node->otherwise);
}

static void find_shared(Expr *node, void *context)
{
    Printer *printer = context;
    bool worth = node->kind == EXPR_REDUCE || (node->kind == EXPR_APPLY && !node->integer);
    if (worth && (uintptr_t)node_map_get(&printer->uses, node, NULL) > 1) list_push(printer->out->arena, &printer->shared, node);
}

/* --- exprs -------------------------------------------------------------------------------------------------------- */
static void print_number(const Expr *expr, Text *out)
{
    double number = expr->number;
    char text[40];
    if (number != number || isinf(number)) {
        text_add(out, number != number ? "nan" : number < 0 ? "-inf" : "inf");
        return;
    }
    if (number == floor(number) && fabs(number) < 1e15) {
        text_printf(out, "%s%lld%s", signbit(number) && number == 0 ? "-" : "", (long long)number, expr->integer ? "" : ".0");
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number) break;
    }
    text_add(out, text);
}

static void print_list(Printer *printer, Expr *const *args, int count)
{
    for (int i = 0; i < count; i++) {
        if (i) text_add(printer->out, ", ");
        print_node(printer, args[i], 0);
    }
}

enum { LEVEL_OR = 1, LEVEL_AND, LEVEL_COMPARE, LEVEL_SUM, LEVEL_PRODUCT, LEVEL_UNARY };

static int operator_level(Function function)
{
    static const char *const operators[][8] = {
        [LEVEL_OR] = {"||"},
        [LEVEL_AND] = {"&&"},
        [LEVEL_COMPARE] = {"<", ">", "<=", ">=", "==", "!="},
        [LEVEL_SUM] = {"+", "-"},
        [LEVEL_PRODUCT] = {"*", "/", "//", "%"},
        [LEVEL_UNARY] = {"neg", "!"},
    };
    for (int level = LEVEL_OR; level <= LEVEL_UNARY; level++)
        for (int i = 0; i < 8 && operators[level][i]; i++)
            if (strcmp(operators[level][i], function_table[function].name) == 0) return level;
    return 0;
}

static void print_apply(Printer *printer, const Expr *expr, int outer)
{
    const char *name = function_table[expr->function].name;
    int level = operator_level(expr->function);
    if (level == 0) {
        text_printf(printer->out, "%s(", name);
        print_list(printer, expr->args, expr->count);
        text_add(printer->out, ")");
        return;
    }
    if (level < outer) text_add(printer->out, "(");
    if (level == LEVEL_UNARY) {
        text_add(printer->out, expr->function == FN_NEG ? "-" : "!");
        print_node(printer, expr->args[0], LEVEL_UNARY + 1);
    } else {
        print_node(printer, expr->args[0], level + (level == LEVEL_COMPARE));
        text_printf(printer->out, " %s ", name);
        print_node(printer, expr->args[1], level + 1);
    }
    if (level < outer) text_add(printer->out, ")");
}

static void print_index(Printer *printer, const Index *index)
{
    const char *name = node_map_get(&printer->names, index, NULL);
    text_add(printer->out, name ? name : index->name);
}

static void print_fresh(Printer *printer, const Expr *expr, int level)
{
    switch (expr->kind) {
    case EXPR_NUMBER: print_number(expr, printer->out); break;
    case EXPR_INDEX: print_index(printer, expr->index); break;
    case EXPR_READ:
        text_add(printer->out, expr->tensor->name);
        if (expr->count == 0) break;
        text_add(printer->out, "[");
        print_list(printer, expr->args, expr->count);
        if (expr->otherwise) {
            text_add(printer->out, " or ");
            print_node(printer, expr->otherwise, 0);
        }
        text_add(printer->out, "]");
        break;
    case EXPR_APPLY: print_apply(printer, expr, level); break;
    case EXPR_REDUCE:
        text_printf(printer->out, "%s[", reduction_name(expr->reduction));
        for (int i = 0; i < expr->index_count; i++) {
            if (i) text_add(printer->out, ", ");
            print_index(printer, expr->indices[i]);
        }
        text_add(printer->out, "](");
        print_node(printer, expr->args[0], 0);
        text_add(printer->out, ")");
        break;
    }
}

static void print_node(Printer *printer, const Expr *expr, int level)
{
    const char *name = node_map_get(&printer->names, expr, NULL);
    if (name) text_add(printer->out, name);
    else print_fresh(printer, expr, level);
}

void expr_print(const Expr *expr, Text *out)
{
    Printer printer;
    printer_init(&printer, out);
    print_node(&printer, expr, 0);
    printer_free(&printer);
}

/* --- equations ---------------------------------------------------------------------------------------------------- */
/* `shared` holds parents before children: named backwards, so that each text uses names that stand before it. */
static void print_shared(Printer *printer)
{
    for (int i = printer->shared.count - 1; i >= 0; i--) {
        const Expr *node = printer->shared.data[i];
        const char *name = arena_printf(printer->out->arena, "t%d", printer->shared.count - i);
        text_printf(printer->out, "%s := ", name);
        print_fresh(printer, node, 0);
        text_add(printer->out, "; ");
        node_map_put(&printer->names, node, (void *)name);
    }
}

static void print_extents(Printer *printer)
{
    for (int i = 0; i < printer->indices.count; i++) {
        text_add(printer->out, i ? ", " : "  for ");
        print_index(printer, printer->indices.data[i]);
        text_printf(printer->out, " < %lld", (long long)printer->indices.data[i]->extent);
    }
}

void equation_print(const Equation *equation, Text *out)
{
    Printer printer;
    printer_init(&printer, out);
    for (int i = 0; i < equation->free_count; i++) name_index(&printer, equation->free[i]);
    if (equation->value) {
        expr_walk(equation->value, name_indices, &printer);
        expr_walk(equation->value, count_uses, &printer);
        expr_walk(equation->value, find_shared, &printer);
    }
    print_shared(&printer);
    text_add(out, equation->result->name);
    if (equation->rank) {
        text_add(out, "[");
        print_list(&printer, equation->subscripts, equation->rank);
        text_add(out, "]");
    }
    text_add(out, " = ");
    if (equation->value) print_node(&printer, equation->value, 0);
    else text_add(out, "?");
    print_extents(&printer);
    printer_free(&printer);
}

void tensor_print(const Tensor *tensor, Text *out)
{
    text_printf(out, "%s: %s", tensor->name, element_type_name(tensor->type));
    for (int axis = 0; axis < tensor->rank; axis++)
        text_printf(out, "%s%lld", axis ? ", " : "[", (long long)tensor->extents[axis]);
    if (tensor->rank) text_add(out, "]");
}

static void print_tensors(const Module *module, TensorKind kind, const char *word, Text *out)
{
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.data[i];
        if (tensor->kind != kind) continue;
        text_printf(out, "  %s ", word);
        tensor_print(tensor, out);
        if (tensor->path && strcmp(tensor->path, tensor->name) != 0) text_printf(out, " @ %s", tensor->path);
        text_add(out, "\n");
    }
}

void module_print(const Module *module, Text *out)
{
    text_printf(out, "model %s(%s) {\n", module->name, module->parameters ? module->parameters : "");
    print_tensors(module, TENSOR_INPUT, "input", out);
    print_tensors(module, TENSOR_WEIGHT, "param", out);
    print_tensors(module, TENSOR_CONSTANT, "const", out);
    const Frame *frame = NULL;
    for (int i = 0; i < module->equations.count; i++) {
        const Equation *equation = module->equations.data[i];
        if (equation->frame != frame) {
            frame = equation->frame;
            if (frame) text_printf(out, "  # %s%s%s\n", frame->call ? frame->call : frame->block, frame->path && *frame->path ? " @ " : "", frame->path ? frame->path : "");
        }
        text_add(out, equation->packed ? "  packed " : "  ");
        equation_print(equation, out);
        text_add(out, "\n");
    }
    for (int i = 0; i < module->outputs.count; i++) {
        text_printf(out, "  output %s = ", module->outputs.data[i].name);
        tensor_print(module->outputs.data[i].tensor, out);
        text_add(out, "\n");
    }
    text_add(out, "}\n");
}
