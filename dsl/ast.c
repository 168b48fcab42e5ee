/* The tree as text: expressions in the notation of the language, files as indented lines (--emit=ast).
 * In: nodes.  Out: text without places, so that two trees that mean the same print alike. */
#include "dsl/ast.h"

#include "support/text.h"

#include <string.h>

static const char *operator_text(AstOperator op)
{
    static const char *const texts[] = {
        [AST_ADD] = "+", [AST_SUB] = "-",  [AST_MUL] = "*",  [AST_DIV] = "/",  [AST_FLOORDIV] = "//", [AST_MOD] = "%", [AST_LT] = "<",  [AST_GT] = ">",
        [AST_LE] = "<=", [AST_GE] = ">=",  [AST_EQ] = "==",  [AST_NE] = "!=",  [AST_AND] = "&&",      [AST_OR] = "||", [AST_NEG] = "-", [AST_NOT] = "!",
    };
    return texts[op];
}

static void print_string(const char *text, Text *out)
{
    text_add(out, "\"");
    for (; *text; text++) {
        if (*text == '\n') text_add(out, "\\n");
        else if (*text == '\t') text_add(out, "\\t");
        else {
            if (*text == '"' || *text == '\\') text_add(out, "\\");
            text_add_bytes(out, text, 1);
        }
    }
    text_add(out, "\"");
}

static void print_list(AstExpr *const *items, int count, Text *out)
{
    for (int i = 0; i < count; i++) {
        if (i) text_add(out, ", ");
        ast_print_expr(items[i], out);
    }
}

static void print_arguments(const AstArgument *arguments, int from, int count, Text *out)
{
    for (int i = from; i < count; i++) {
        if (i > from) text_add(out, ", ");
        if (arguments[i].name) text_printf(out, "%s = ", arguments[i].name);
        ast_print_expr(arguments[i].value, out);
    }
}

/* Whether a component can stand in a path without quotes. */
static bool plain_part(const char *name)
{
    return name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")] == 0;
}

static void print_path(const AstPath *path, Text *out)
{
    if (path->shared) text_add(out, "shared ");
    if (path->here) text_add(out, ".");
    bool quoted = false;
    for (int i = 0; i < path->parts.count; i++) quoted = quoted || (path->parts.data[i].name && !plain_part(path->parts.data[i].name));
    if (quoted) text_add(out, "\"");
    for (int i = 0; i < path->parts.count; i++) {
        const AstPathPart *part = &path->parts.data[i];
        if (part->index) {
            text_add(out, quoted ? "\"[" : "[");
            ast_print_expr(part->index, out);
            text_add(out, "]");
            quoted = false;
            continue;
        }
        if (i) text_add(out, ".");
        text_add(out, part->name);
    }
    if (quoted) text_add(out, "\"");
}

static void print_call(const AstExpr *expr, Text *out)
{
    if (expr->chained) {
        ast_print_expr(expr->arguments.data[0].value, out);
        text_add(out, " |> ");
    }
    text_printf(out, "%s(", expr->text);
    print_arguments(expr->arguments.data, expr->chained, expr->arguments.count, out);
    text_add(out, ")");
    if (expr->path) {
        text_add(out, " @ ");
        print_path(expr->path, out);
    }
}

void ast_print_expr(const AstExpr *expr, Text *out)
{
    switch (expr->kind) {
    case AST_NUMBER:
    case AST_NAME: text_add(out, expr->text); break;
    case AST_FLAG: text_add(out, expr->flag ? "true" : "false"); break;
    case AST_STRING: print_string(expr->text, out); break;
    case AST_DOTS: text_add(out, ".."); break;
    case AST_LIST:
        text_add(out, "[");
        print_list(expr->items.data, expr->items.count, out);
        text_add(out, "]");
        break;
    case AST_PARENS:
        text_add(out, "(");
        ast_print_expr(expr->left, out);
        text_add(out, ")");
        break;
    case AST_UNARY:
        text_add(out, operator_text(expr->op));
        ast_print_expr(expr->left, out);
        break;
    case AST_BINARY:
        ast_print_expr(expr->left, out);
        text_printf(out, " %s ", operator_text(expr->op));
        ast_print_expr(expr->right, out);
        break;
    case AST_CALL: print_call(expr, out); break;
    case AST_READ:
    case AST_REDUCE:
        if (expr->string_name) print_string(expr->text, out);
        else text_add(out, expr->text);
        text_add(out, "[");
        print_list(expr->items.data, expr->items.count, out);
        if (expr->otherwise) {
            text_add(out, " or ");
            ast_print_expr(expr->otherwise, out);
        }
        text_add(out, "]");
        if (expr->kind == AST_READ) break;
        text_add(out, "(");
        ast_print_expr(expr->left, out);
        text_add(out, ")");
        break;
    }
}

static void indent(Text *out, int depth)
{
    for (int i = 0; i < depth; i++) text_add(out, "  ");
}

static void print_shape(const AstShape *shape, Text *out)
{
    if (shape->type) text_printf(out, ": %s", shape->type);
    if (!shape->present) return;
    text_add(out, "[");
    print_list(shape->dims.data, shape->dims.count, out);
    text_add(out, "]");
}

static void print_initial(const AstInitial *initial, Text *out)
{
    if (!initial->name) return;
    text_printf(out, " ~ %s", initial->name);
    if (!initial->parens) return;
    text_add(out, "(");
    print_arguments(initial->arguments.data, 0, initial->arguments.count, out);
    text_add(out, ")");
}

static void print_bounds(const AstBound *bounds, int count, Text *out)
{
    for (int i = 0; i < count; i++) {
        text_printf(out, "%s%s < ", i ? ", " : " for ", bounds[i].name);
        ast_print_expr(bounds[i].extent, out);
    }
}

static void print_assignment(const AstAssignment *assignment, Text *out)
{
    text_add(out, assignment->name);
    if (assignment->subscripted) {
        text_add(out, "[");
        print_list(assignment->subscripts.data, assignment->subscripts.count, out);
        text_add(out, "]");
    }
    text_add(out, " = ");
    ast_print_expr(assignment->value, out);
    print_bounds(assignment->bounds.data, assignment->bounds.count, out);
}

static void print_body(const AstBody *body, int depth, Text *out);

static void print_if(const AstStatement *statement, int depth, Text *out)
{
    text_add(out, "if ");
    ast_print_expr(statement->condition, out);
    text_add(out, "\n");
    print_body(&statement->body, depth + 1, out);
    if (!statement->has_else) return;
    indent(out, depth);
    text_add(out, statement->else_if ? "else-if\n" : "else\n");
    print_body(&statement->else_body, depth + 1, out);
}

static void print_statement(const AstStatement *statement, int depth, Text *out)
{
    indent(out, depth);
    switch (statement->kind) {
    case AST_ASSIGN:
    case AST_OUTPUT:
    case AST_CONST:
        text_add(out, statement->kind == AST_OUTPUT ? "output " : statement->kind == AST_CONST ? "const " : "assign ");
        print_assignment(&statement->assignment, out);
        print_initial(&statement->initial, out);
        break;
    case AST_DESTRUCT:
        text_add(out, "assign ");
        for (int i = 0; i < statement->names.count; i++) text_printf(out, "%s%s", i ? ", " : "", statement->names.data[i]);
        text_add(out, " = ");
        ast_print_expr(statement->value, out);
        break;
    case AST_INPUT:
    case AST_PARAM:
        text_printf(out, "%s %s", statement->kind == AST_INPUT ? "input" : "param", statement->name);
        print_shape(&statement->shape, out);
        print_initial(&statement->initial, out);
        break;
    case AST_RETURN:
        text_add(out, "return ");
        print_list(statement->values.data, statement->values.count, out);
        break;
    case AST_REPEAT:
        text_printf(out, "repeat %s < ", statement->name);
        ast_print_expr(statement->extent, out);
        text_add(out, "\n");
        print_body(&statement->body, depth + 1, out);
        return;
    case AST_IF: print_if(statement, depth, out); return;
    }
    text_add(out, "\n");
}

static void print_body(const AstBody *body, int depth, Text *out)
{
    for (int i = 0; i < body->count; i++) print_statement(body->data[i], depth, out);
}

static void print_callable(const AstCallable *callable, Text *out)
{
    text_printf(out, "%s %s\n", callable->is_model ? "model" : "block", callable->name);
    for (int i = 0; i < callable->parameters.count; i++) {
        const AstParameter *parameter = &callable->parameters.data[i];
        text_printf(out, "  %s %s", parameter->is_tensor ? "tensor" : "value", parameter->name);
        if (parameter->is_tensor) print_shape(&parameter->shape, out);
        if (parameter->value) {
            text_add(out, " = ");
            ast_print_expr(parameter->value, out);
        }
        text_add(out, "\n");
    }
    for (int i = 0; i < callable->results.count; i++) {
        text_add(out, "  result");
        print_shape(&callable->results.data[i], out);
        text_add(out, "\n");
    }
    print_body(&callable->body, 1, out);
}

static void print_line(const AstBindLine *line, int depth, Text *out)
{
    indent(out, depth);
    switch (line->kind) {
    case BIND_TENSOR:
        text_add(out, "tensor ");
        print_path(&line->path, out);
        if (line->subscripted) {
            text_add(out, " [");
            print_list(line->subscripts.data, line->subscripts.count, out);
            text_add(out, "]");
        }
        text_add(out, " = ");
        if (line->value) ast_print_expr(line->value, out);
        print_bounds(line->bounds.data, line->bounds.count, out);
        break;
    case BIND_SUBTREE:
        text_add(out, "subtree ");
        print_path(&line->path, out);
        text_add(out, " = ");
        print_string(line->pattern, out);
        break;
    case BIND_IGNORE:
        text_add(out, "ignore");
        for (int i = 0; i < line->globs.count; i++) {
            text_add(out, " ");
            print_string(line->globs.data[i], out);
        }
        break;
    case BIND_IF:
        text_add(out, "if ");
        ast_print_expr(line->condition, out);
        text_add(out, "\n");
        for (int i = 0; i < line->lines.count; i++) print_line(line->lines.data[i], depth + 1, out);
        return;
    }
    text_add(out, "\n");
}

void ast_print(const AstFile *file, Text *out)
{
    for (int i = 0; i < file->declarations.count; i++) {
        const AstDeclaration *declaration = file->declarations.data[i];
        switch (declaration->kind) {
        case DECLARE_IMPORT:
            text_add(out, "import ");
            print_string(declaration->import, out);
            text_add(out, "\n");
            break;
        case DECLARE_CONST:
            text_add(out, "const ");
            print_assignment(&declaration->constant, out);
            text_add(out, "\n");
            break;
        case DECLARE_CALLABLE: print_callable(declaration->callable, out); break;
        case DECLARE_BIND:
            text_printf(out, "bind %s for %s\n", declaration->bind->name, declaration->bind->target);
            for (int j = 0; j < declaration->bind->lines.count; j++) print_line(declaration->bind->lines.data[j], 1, out);
            break;
        }
    }
}
