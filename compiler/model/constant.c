/* Compile-time expressions for others: bind lines and hints, with names looked up by a callback. */
#include "model/model.h"
#include "model/value.h"

#include <math.h>
#include <string.h>

typedef struct {
    Arena *arena;
    ConstantLookup *lookup;
    void *context;
    Diagnostics *diags;
    int depth;
} Evaluator;

static Value from_constant(Arena *arena, const ConstantValue *constant)
{
    switch (constant->kind) {
    case CONSTANT_NUMBER:
        return value_number(constant->integer && fabs(constant->number) < 9007199254740992.0 ? number_int((int64_t)constant->number)
                                                                                             : number_real(constant->number));
    case CONSTANT_FLAG:
        return value_flag(constant->flag);
    case CONSTANT_STRING:
        return (Value){.kind = VALUE_STRING, .text = constant->text};
    case CONSTANT_LIST:
        break;
    }
    Value list = {.kind = VALUE_LIST, .count = constant->count, .items = arena_new_array(arena, Value, constant->count + 1)};
    for (int k = 0; k < constant->count; k++) list.items[k] = from_constant(arena, &constant->items[k]);
    return list;
}

static void to_constant(Arena *arena, const Value *value, ConstantValue *constant)
{
    int64_t whole;
    *constant = (ConstantValue){0};
    if (value->kind == VALUE_NUMBER) {
        constant->kind = CONSTANT_NUMBER;
        constant->number = number_double(value->number);
        constant->integer = !value->number.decimal && number_is_integer(value->number, &whole);
    } else if (value->kind == VALUE_FLAG) {
        constant->kind = CONSTANT_FLAG;
        constant->flag = value->flag;
    } else if (value->kind == VALUE_STRING) {
        constant->kind = CONSTANT_STRING;
        constant->text = value->text;
    } else {
        constant->kind = CONSTANT_LIST;
        constant->count = value->count;
        constant->items = arena_new_array(arena, ConstantValue, value->count + 1);
        for (int k = 0; k < value->count; k++) to_constant(arena, &value->items[k], &constant->items[k]);
    }
}

static bool evaluate_constant(Evaluator *evaluator, const AstExpr *expr, Value *value);

static bool fail(Evaluator *evaluator, Place place, const char *error)
{
    diag_error(evaluator->diags, GM033, place, "%s", error);
    return false;
}

static bool constant_name(Evaluator *evaluator, const AstExpr *expr, Value *value)
{
    ConstantValue constant = {0};
    if (evaluator->lookup && evaluator->lookup(evaluator->context, expr->text, &constant)) {
        *value = from_constant(evaluator->arena, &constant);
        return true;
    }
    if (!strcmp(expr->text, "pi") || !strcmp(expr->text, "inf")) {
        *value = value_number(number_real(expr->text[0] == 'p' ? 3.14159265358979323846 : INFINITY));
        return true;
    }
    diag_error(evaluator->diags, GM020, expr->place, "%s is not known here", expr->text);
    return false;
}

static bool constant_call(Evaluator *evaluator, const AstExpr *expr, Value *value)
{
    Value arguments[3];
    const char *error = "";
    Function function;
    bool len = !strcmp(expr->text, "len");
    if (!len && !function_find(expr->text, &function)) {
        diag_error(evaluator->diags, GM021, expr->name_place, "there is no function %s", expr->text);
        return false;
    }
    int wanted = len ? 1 : function_table[function].arity;
    if (expr->arguments.count != wanted) {
        diag_error(evaluator->diags, GM023, expr->place, "%s takes %d argument%s, not %d", expr->text, wanted, wanted == 1 ? "" : "s",
                   expr->arguments.count);
        return false;
    }
    for (int k = 0; k < wanted; k++)
        if (!evaluate_constant(evaluator, expr->arguments.data[k].value, &arguments[k])) return false;
    if (len && arguments[0].kind != VALUE_LIST) return fail(evaluator, expr->place, "len takes a list");
    if (len) {
        *value = value_int(arguments[0].count);
        return true;
    }
    return value_apply(function, wanted, arguments, value, &error) || fail(evaluator, expr->place, error);
}

static bool constant_compound(Evaluator *evaluator, const AstExpr *expr, Value *value)
{
    const char *error = "";
    Value left, right;
    if (expr->kind == AST_LIST) {
        *value = (Value){
            .kind = VALUE_LIST, .count = expr->items.count, .items = arena_new_array(evaluator->arena, Value, expr->items.count + 1)};
        for (int k = 0; k < expr->items.count; k++)
            if (!evaluate_constant(evaluator, expr->items.data[k], &value->items[k])) return false;
        return true;
    }
    if (expr->kind == AST_READ) {
        if (!constant_name(evaluator, expr, &left)) return false;
        if (left.kind != VALUE_LIST || expr->items.count != 1 || expr->otherwise)
            return fail(evaluator, expr->place, "only lists have elements here");
        if (!evaluate_constant(evaluator, expr->items.data[0], &right)) return false;
        return value_element(evaluator->arena, &left, &right, value, &error) || fail(evaluator, expr->place, error);
    }
    if (!evaluate_constant(evaluator, expr->left, &left)) return false;
    if (expr->kind == AST_UNARY) return value_unary(expr->op, &left, value, &error) || fail(evaluator, expr->place, error);
    if (left.kind == VALUE_FLAG && ((expr->op == AST_AND && !left.flag) || (expr->op == AST_OR && left.flag))) {
        *value = left;
        return true;
    }
    if (!evaluate_constant(evaluator, expr->right, &right)) return false;
    return value_binary(expr->op, &left, &right, value, &error) || fail(evaluator, expr->place, error);
}

static bool evaluate_constant(Evaluator *evaluator, const AstExpr *expr, Value *value)
{
    if (!expr) return false;
    if (++evaluator->depth > 300) return fail(evaluator, expr->place, "this is nested too deeply");
    bool right = false;
    switch (expr->kind) {
    case AST_NUMBER:
        *value = value_number(number_parse(expr));
        right = true;
        break;
    case AST_FLAG:
        *value = value_flag(expr->flag);
        right = true;
        break;
    case AST_STRING:
        *value = (Value){.kind = VALUE_STRING, .text = expr->text};
        right = true;
        break;
    case AST_NAME:
        right = constant_name(evaluator, expr, value);
        break;
    case AST_CALL:
        right = constant_call(evaluator, expr, value);
        break;
    case AST_PARENS:
        right = evaluate_constant(evaluator, expr->left, value);
        break;
    case AST_LIST:
    case AST_UNARY:
    case AST_BINARY:
    case AST_READ:
        right = constant_compound(evaluator, expr, value);
        break;
    case AST_REDUCE:
    case AST_DOTS:
        right = fail(evaluator, expr->place, "this is not known at compile time");
        break;
    }
    evaluator->depth--;
    return right;
}

bool constant_evaluate(Arena *arena, const AstExpr *expr, ConstantLookup *lookup, void *context, ConstantValue *value, Diagnostics *diags)
{
    Evaluator evaluator = {.arena = arena, .lookup = lookup, .context = context, .diags = diags};
    Value result = {0};
    if (!evaluate_constant(&evaluator, expr, &result)) return false;
    to_constant(arena, &result, value);
    return true;
}
