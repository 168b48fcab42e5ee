/* Constructors of tree nodes. In: what the parser's actions pass.  Out: nodes.  Bind lines and paths are in ast_build_path.c. */
#include "dsl/ast_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Copies one list into another of the same element type. */
#define TAKE(to, from)                        \
    do {                                      \
        if (from) {                           \
            (to).data = (from)->data;         \
            (to).count = (from)->count;       \
            (to).capacity = (from)->capacity; \
        }                                     \
    } while (0)

#define DEFINE_LIST(function, ListType, ElementType)                                  \
    ListType *function(ParseState *state, ListType *list, ElementType element)        \
    {                                                                                 \
        if (!list) list = arena_new_object(state->arena, ListType);                   \
        list_push(state->arena, list, element);                                       \
        return list;                                                                  \
    }

DEFINE_LIST(ast_exprs, ExprList, AstExpr *)
DEFINE_LIST(ast_arguments, ArgumentList, AstArgument)
DEFINE_LIST(ast_shapes, ShapeList, AstShape)
DEFINE_LIST(ast_parameters, ParameterList, AstParameter)
DEFINE_LIST(ast_bounds, BoundList, AstBound)

LineList *ast_lines(ParseState *state, LineList *list, AstBindLine *line)
{
    if (!list) list = arena_new_object(state->arena, LineList);
    if (line) list_push(state->arena, list, line);
    return list;
}

AstBody *ast_body(ParseState *state, AstBody *list, AstStatement *statement)
{
    if (!list) list = arena_new_object(state->arena, AstBody);
    if (statement) list_push(state->arena, list, statement);
    return list;
}

WordList *ast_words(ParseState *state, WordList *list, const char *text, Place place)
{
    if (!list) list = arena_new_object(state->arena, WordList);
    list_push(state->arena, list, (Word){text, place});
    return list;
}

PieceList *ast_pieces(ParseState *state, PieceList *list, const char *tail, ExprList *dims, Place place)
{
    if (!list) list = arena_new_object(state->arena, PieceList);
    if (!tail && !dims) dims = arena_new_object(state->arena, ExprList);
    list_push(state->arena, list, (Piece){tail, dims, place});
    return list;
}

const char *ast_unquote(Arena *arena, const char *written)
{
    size_t length = strlen(written);
    char *text = arena_alloc(arena, length + 1), *to = text;
    for (size_t i = 1; i < length; i++) {
        if (written[i] == '"') break;
        if (written[i] == '\\' && i + 1 < length) {
            i++;
            *to++ = written[i] == 'n' ? '\n' : written[i] == 't' ? '\t' : written[i];
        } else {
            *to++ = written[i];
        }
    }
    *to = 0;
    return text;
}

static AstExpr *expr_new(ParseState *state, AstExprKind kind, Place place)
{
    AstExpr *expr = arena_new_object(state->arena, AstExpr);
    expr->kind = kind;
    expr->place = place;
    expr->name_place = place;
    expr->depth = 1;
    return expr;
}

/* Counts a child's depth; past the limit the parse ends, so that every later recursion is safe. */
static void deepen(ParseState *state, AstExpr *expr, const AstExpr *child)
{
    if (child && child->depth >= expr->depth) expr->depth = child->depth + 1;
    if (expr->depth <= AST_DEEPEST_EXPR || state->stopped) return;
    Diagnostic *d = diag_error(state->diags, GM006, (Place){expr->place.source, expr->place.end, expr->place.end},
                               "an expression of more than %d operations in one another", AST_DEEPEST_EXPR);
    diag_help(d, "name its parts, or use `repeat`");
    state->stopped = true;
}

AstExpr *ast_number(ParseState *state, const char *text, Place place)
{
    AstExpr *expr = expr_new(state, AST_NUMBER, place);
    expr->text = text;
    expr->number = strtod(text, NULL);
    if (strspn(text, "0123456789") == strlen(text)) {
        errno = 0;
        long long whole = strtoll(text, NULL, 10);
        expr->integer = errno == 0;
        expr->whole = expr->integer ? whole : 0;
    }
    return expr;
}

AstExpr *ast_flag(ParseState *state, bool flag, Place place)
{
    AstExpr *expr = expr_new(state, AST_FLAG, place);
    expr->flag = flag;
    return expr;
}

AstExpr *ast_string(ParseState *state, const char *written, Place place)
{
    AstExpr *expr = expr_new(state, AST_STRING, place);
    expr->text = ast_unquote(state->arena, written);
    return expr;
}

AstExpr *ast_name(ParseState *state, const char *text, Place place)
{
    AstExpr *expr = expr_new(state, AST_NAME, place);
    expr->text = text;
    return expr;
}

AstExpr *ast_dots(ParseState *state, Place place)
{
    return expr_new(state, AST_DOTS, place);
}

/* One `..` a bracket. */
static void check_dots(ParseState *state, const ExprList *dims)
{
    const AstExpr *first = NULL;
    for (int i = 0; dims && i < dims->count; i++) {
        if (dims->data[i]->kind != AST_DOTS) continue;
        if (first) diag_label(diag_error(state->diags, GM013, dims->data[i]->place, "`..` twice in one bracket"), first->place, "the first one");
        else first = dims->data[i];
    }
}

static void set_items(ParseState *state, AstExpr *expr, const ExprList *items)
{
    check_dots(state, items);
    TAKE(expr->items, items);
    for (int i = 0; i < expr->items.count; i++) deepen(state, expr, expr->items.data[i]);
}

AstExpr *ast_list(ParseState *state, ExprList *items, Place place)
{
    AstExpr *expr = expr_new(state, AST_LIST, place);
    set_items(state, expr, items);
    return expr;
}

AstExpr *ast_parens(ParseState *state, AstExpr *inner, Place place)
{
    AstExpr *expr = expr_new(state, AST_PARENS, place);
    expr->left = inner;
    deepen(state, expr, inner);
    return expr;
}

AstExpr *ast_unary(ParseState *state, AstOperator op, Place op_place, AstExpr *operand, Place place)
{
    AstExpr *expr = expr_new(state, AST_UNARY, place);
    expr->op = op;
    expr->op_place = op_place;
    expr->left = operand;
    deepen(state, expr, operand);
    return expr;
}

AstExpr *ast_binary(ParseState *state, AstOperator op, Place op_place, AstExpr *left, AstExpr *right, Place place)
{
    AstExpr *expr = expr_new(state, AST_BINARY, place);
    expr->op = op;
    expr->op_place = op_place;
    expr->left = left;
    expr->right = right;
    deepen(state, expr, left);
    deepen(state, expr, right);
    return expr;
}

AstArgument ast_argument(const char *name, AstExpr *value, Place place)
{
    return (AstArgument){name, value, place};
}

AstExpr *ast_call(ParseState *state, const char *name, Place name_place, ArgumentList *arguments, AstPath *path, Place place)
{
    AstExpr *expr = expr_new(state, AST_CALL, place);
    expr->text = name;
    expr->name_place = name_place;
    expr->path = path;
    TAKE(expr->arguments, arguments);
    for (int i = 0; i < expr->arguments.count; i++) deepen(state, expr, expr->arguments.data[i].value);
    for (int i = 0; path && i < path->parts.count; i++) deepen(state, expr, path->parts.data[i].index);
    return expr;
}

AstExpr *ast_chain(ParseState *state, AstExpr *first, const char *name, Place name_place, ArgumentList *arguments, AstPath *path, Place place)
{
    ArgumentList *all = ast_arguments(state, NULL, ast_argument(NULL, first, first->place));
    for (int i = 0; arguments && i < arguments->count; i++) ast_arguments(state, all, arguments->data[i]);
    AstExpr *expr = ast_call(state, name, name_place, all, path, place);
    expr->chained = true;
    return expr;
}

AstExpr *ast_read(ParseState *state, const char *name, Place name_place, bool string_name, Reads reads, Place place)
{
    AstExpr *expr = expr_new(state, AST_READ, place);
    expr->text = string_name ? ast_unquote(state->arena, name) : name;
    expr->string_name = string_name;
    expr->name_place = name_place;
    set_items(state, expr, reads.dims);
    expr->otherwise = reads.otherwise;
    deepen(state, expr, reads.otherwise);
    return expr;
}

AstExpr *ast_reduce(ParseState *state, const char *name, Place name_place, Reads reads, AstExpr *body, Place place)
{
    AstExpr *expr = expr_new(state, AST_REDUCE, place);
    expr->text = name;
    expr->name_place = name_place;
    set_items(state, expr, reads.dims);
    expr->left = body;
    deepen(state, expr, body);
    if (reads.otherwise) {
        Diagnostic *d = diag_error(state->diags, GM001, reads.otherwise->place, "`or` in the brackets of a reduction");
        diag_help(d, "`or VALUE` says what lies outside a tensor: %s[j](x[j or 0])", name);
    }
    return expr;
}

AstShape ast_shape(ParseState *state, const char *type, Place type_place, ExprList *dims, Place place)
{
    AstShape shape = {.present = true, .type = type, .type_place = type_place, .place = place};
    check_dots(state, dims);
    TAKE(shape.dims, dims);
    return shape;
}

AstShape ast_no_shape(Place place)
{
    return (AstShape){.place = place};
}

AstInitial ast_initial(const char *name, ArgumentList *arguments, bool parens, Place place)
{
    AstInitial initial = {.name = name, .parens = parens, .place = place};
    TAKE(initial.arguments, arguments);
    return initial;
}

AstParameter ast_value_parameter(const char *name, Place name_place, AstExpr *value)
{
    return (AstParameter){.name = name, .place = name_place, .value = value};
}

AstParameter ast_tensor_parameter(const char *name, Place name_place, AstShape shape)
{
    return (AstParameter){.name = name, .place = name_place, .is_tensor = true, .shape = shape};
}

AstBound ast_bound(const char *name, Place name_place, AstExpr *extent)
{
    return (AstBound){name, extent, name_place};
}

AstAssignment *ast_assignment(ParseState *state, const char *name, Place name_place, bool subscripted, ExprList *subscripts, AstExpr *value,
                              BoundList *bounds)
{
    AstAssignment *assignment = arena_new_object(state->arena, AstAssignment);
    assignment->name = name;
    assignment->place = name_place;
    assignment->subscripted = subscripted;
    check_dots(state, subscripts);
    TAKE(assignment->subscripts, subscripts);
    assignment->value = value;
    TAKE(assignment->bounds, bounds);
    return assignment;
}

static AstStatement *statement_new(ParseState *state, AstStatementKind kind, Place place)
{
    AstStatement *statement = arena_new_object(state->arena, AstStatement);
    statement->kind = kind;
    statement->place = place;
    statement->depth = 1;
    return statement;
}

AstStatement *ast_assign(ParseState *state, AstStatementKind kind, AstAssignment *assignment, AstInitial initial, Place place)
{
    AstStatement *statement = statement_new(state, kind, place);
    statement->assignment = *assignment;
    statement->name = assignment->name;
    statement->name_place = assignment->place;
    statement->initial = initial;
    return statement;
}

AstStatement *ast_tensor(ParseState *state, AstStatementKind kind, const char *name, Place name_place, Word type, AstShape shape, AstInitial initial,
                         Place place)
{
    AstStatement *statement = statement_new(state, kind, place);
    statement->name = name;
    statement->name_place = name_place;
    statement->shape = shape;
    if (type.text) {
        statement->shape.type = type.text;
        statement->shape.type_place = type.place;
    }
    statement->initial = initial;
    return statement;
}

/* The grammar meets the first name last. */
AstStatement *ast_destruct(ParseState *state, WordList *names, AstExpr *value, Place place)
{
    AstStatement *statement = statement_new(state, AST_DESTRUCT, place);
    for (int i = 0; i < names->count; i++) {
        const Word *word = &names->data[i == 0 ? names->count - 1 : i - 1];
        list_push(state->arena, &statement->names, word->text);
        list_push(state->arena, &statement->name_places, word->place);
    }
    statement->value = value;
    return statement;
}

AstStatement *ast_return(ParseState *state, ExprList *values, Place place)
{
    AstStatement *statement = statement_new(state, AST_RETURN, place);
    TAKE(statement->values, values);
    return statement;
}

static void deepen_statement(ParseState *state, AstStatement *statement, const AstBody *body)
{
    for (int i = 0; i < body->count; i++)
        if (body->data[i]->depth >= statement->depth) statement->depth = body->data[i]->depth + 1;
    if (statement->depth <= AST_DEEPEST_STATEMENT || state->stopped) return;
    Place begin = {statement->place.source, statement->place.begin, statement->place.begin + 1};
    diag_error(state->diags, GM006, begin, "more than %d statements in one another", AST_DEEPEST_STATEMENT);
    state->stopped = true;
}

AstStatement *ast_repeat(ParseState *state, const char *counter, Place counter_place, AstExpr *extent, AstBody *body, Place place)
{
    AstStatement *statement = statement_new(state, AST_REPEAT, place);
    statement->name = counter;
    statement->name_place = counter_place;
    statement->extent = extent;
    TAKE(statement->body, body);
    deepen_statement(state, statement, &statement->body);
    return statement;
}

AstStatement *ast_if(ParseState *state, AstExpr *condition, AstBody *body, Place place)
{
    AstStatement *statement = statement_new(state, AST_IF, place);
    statement->condition = condition;
    TAKE(statement->body, body);
    deepen_statement(state, statement, &statement->body);
    return statement;
}

AstStatement *ast_if_else(ParseState *state, AstExpr *condition, AstBody *body, AstBody *else_body, bool else_if, Place place)
{
    AstStatement *statement = ast_if(state, condition, body, place);
    statement->has_else = true;
    statement->else_if = else_if;
    TAKE(statement->else_body, else_body);
    deepen_statement(state, statement, &statement->else_body);
    return statement;
}

AstCallable *ast_callable(ParseState *state, bool is_model, const char *name, Place name_place, ParameterList *parameters, ShapeList *results,
                          AstBody *body, Place place)
{
    AstCallable *callable = arena_new_object(state->arena, AstCallable);
    callable->is_model = is_model;
    callable->name = name;
    callable->name_place = name_place;
    callable->place = place;
    TAKE(callable->parameters, parameters);
    callable->has_results = results != NULL;
    TAKE(callable->results, results);
    TAKE(callable->body, body);
    if (!is_model && !results) {
        Diagnostic *d = diag_error(state->diags, GM012, name_place, "block %s does not say what it returns", name);
        diag_help(d, "write the shapes of its results before the body: block %s(…) -> [N, C] {", name);
    }
    return callable;
}
