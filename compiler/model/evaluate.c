/* Expressions. In: a tree, the call whose names it uses, and the equation it stands in, if any. Out: a Value.
 * What is known now is computed now; what stands in an equation becomes an expr; whole tensors go to elementwise.c. */
#include "model/expand.h"

#include <math.h>
#include <string.h>

/* --- limits --------------------------------------------------------------------------------------------------------- */

static void error_too_large(Expander *expander, DiagnosticCode code, Place place, const char *what)
{
    if (!expander->too_large) diag_error(expander->diags, code, place, "%s", what);
    expander->too_large = true;
}

bool expander_enter(Expander *expander, Place place)
{
    char here;
    const char *address = &here;
    size_t used = address < expander->stack ? (size_t)(expander->stack - address) : (size_t)(address - expander->stack);
    if (used > MAX_STACK_BYTES) error_too_large(expander, GM028, place, "blocks call each other too deeply here");
    return !expander->too_large;
}

bool expander_count(Expander *expander, int steps, Place place)
{
    expander->statements += steps;
    if (expander->statements > MAX_STATEMENTS) error_too_large(expander, GM035, place, "the repeats of this model are too many to expand");
    if (expander->module->equations.count > MAX_EQUATIONS)
        error_too_large(expander, GM035, place, "this model expands to more than 200000 equations");
    return !expander->too_large;
}

/* --- operators ------------------------------------------------------------------------------------------------------ */

static Function operator_function(AstOperator op)
{
    switch (op) {
    case AST_ADD:
        return FN_ADD;
    case AST_SUB:
        return FN_SUB;
    case AST_MUL:
        return FN_MUL;
    case AST_DIV:
        return FN_DIV;
    case AST_FLOORDIV:
        return FN_FLOORDIV;
    case AST_MOD:
        return FN_MOD;
    case AST_LT:
        return FN_LT;
    case AST_GT:
        return FN_GT;
    case AST_LE:
        return FN_LE;
    case AST_GE:
        return FN_GE;
    case AST_EQ:
        return FN_EQ;
    case AST_NE:
        return FN_NE;
    case AST_AND:
        return FN_AND;
    case AST_OR:
        return FN_OR;
    case AST_NEG:
        return FN_NEG;
    case AST_NOT:
        return FN_NOT;
    }
    return FN_ADD;
}

static bool is_poison(const Value *value)
{
    return value->kind == VALUE_POISON;
}

static const char *side_name(const AstExpr *side)
{
    return side && side->kind == AST_NAME ? side->text : NULL;
}

/* `/` of two integers one of which is an index says the wrong thing in a value and is never exact in brackets. */
static bool check_division(Call *call, EquationContext *equation, const AstExpr *expr, const Value *left, const Value *right)
{
    bool integers = left->expr->integer && right->expr->integer;
    bool brackets = equation && equation->subscript_depth;
    if (!brackets && !(integers && (left->indexed || right->indexed))) return true;
    Diagnostic *diag = diag_error(call->expander->diags, GM067, expr->op_place.source ? expr->op_place : expr->place,
                                  brackets ? "`/` of indices in brackets" : "`/` of two integers, one of which is an index");
    diag_help(diag, "`//` rounds down%s", brackets ? "" : "; for a real quotient write 1.0 * i / n");
    return false;
}

/* A product of two indices in brackets is not affine: nothing could be proved about it. */
static bool check_product(Call *call, EquationContext *equation, const AstExpr *expr, const Value *left, const Value *right)
{
    if (!equation || !equation->subscript_depth || !left->indexed || !right->indexed) return true;
    Diagnostic *diag = diag_error(call->expander->diags, GM066, expr->op_place.source ? expr->op_place : expr->place,
                                  "a product of two indices in brackets");
    diag_help(diag, "make it a table and read that: t[i, j] = i * j, then x[t[i, j]]");
    return false;
}

Value apply_operator(Call *call, EquationContext *equation, const AstExpr *expr, Value left, Value right)
{
    bool unary = expr->kind == AST_UNARY;
    Value sides[2];
    Place places[2] = {expr->left->place, unary ? expr->left->place : expr->right->place};
    sides[0] = as_element(call, equation, left, places[0], side_name(expr->left));
    if (!unary) sides[1] = as_element(call, equation, right, places[1], side_name(expr->right));
    if (is_poison(&sides[0]) || (!unary && is_poison(&sides[1]))) return value_poison();
    bool logical = expr->op == AST_AND || expr->op == AST_OR || expr->op == AST_NOT;
    for (int k = 0; k < (unary ? 1 : 2); k++) {
        if (sides[k].condition == logical) continue;
        diag_error(call->expander->diags, GM071, places[k],
                   logical ? "`&&`, `||` and `!` take flags, this is a number"
                           : "this is a flag, a number is needed; where(flag, 1, 0) is one");
        return value_poison();
    }
    if (!unary && expr->op == AST_DIV && !check_division(call, equation, expr, &sides[0], &sides[1])) return value_poison();
    if (!unary && expr->op == AST_MUL && !check_product(call, equation, expr, &sides[0], &sides[1])) return value_poison();
    if (!unary && !align_elements(call, 2, sides, places)) return value_poison();
    return apply_element(call, operator_function(expr->op), unary ? 1 : 2, sides, expr->place);
}

static Value error_arithmetic(Call *call, const AstExpr *expr, const char *error)
{
    diag_error(call->expander->diags, GM033, expr->op_place.source ? expr->op_place : expr->place, "%s", error);
    return value_poison();
}

/* Callables compare too: `if ACT == gelu`. */
static bool known_now(const Value *value)
{
    return value_is_constant(value) || value->kind == VALUE_CALLABLE;
}

static Value evaluate_operator(Call *call, EquationContext *equation, const AstExpr *expr)
{
    Value left = evaluate_expr(call, equation, expr->left), right = {0}, result;
    const char *error = "";
    if (is_poison(&left)) return left;
    bool unary = expr->kind == AST_UNARY;
    if (left.kind == VALUE_FLAG && expr->op == AST_AND && !left.flag) return left;
    if (left.kind == VALUE_FLAG && expr->op == AST_OR && left.flag) return left;
    if (!unary) right = evaluate_expr(call, equation, expr->right);
    if (!unary && is_poison(&right)) return right;
    if (unary && known_now(&left)) return value_unary(expr->op, &left, &result, &error) ? result : error_arithmetic(call, expr, error);
    bool tensor_list =
        !unary && ((left.kind == VALUE_LIST && right.kind == VALUE_NUMBER) || (left.kind == VALUE_NUMBER && right.kind == VALUE_LIST) ||
                   (left.kind == VALUE_LIST && right.kind == VALUE_LIST && expr->op != AST_EQ && expr->op != AST_NE));
    if (!unary && known_now(&left) && known_now(&right) && !tensor_list)
        return value_binary(expr->op, &left, &right, &result, &error) ? result : error_arithmetic(call, expr, error);
    return apply_operator(call, equation, expr, left, right);
}

/* --- calls of element functions -------------------------------------------------------------------------------------- */

static bool check_arity(Call *call, const AstExpr *expr, const char *name, int wanted, int given)
{
    for (int k = 0; k < expr->arguments.count; k++) {
        if (!expr->arguments.data[k].name) continue;
        diag_error(call->expander->diags, GM024, expr->arguments.data[k].place, "%s has no named arguments", name);
        return false;
    }
    if (wanted == given) return true;
    diag_error(call->expander->diags, GM023, expr->place, "%s takes %d argument%s, not %d", name, wanted, wanted == 1 ? "" : "s", given);
    return false;
}

static Value where_known(Call *call, EquationContext *equation, const AstExpr *expr, bool *known)
{
    Value condition = evaluate_expr(call, equation, expr->arguments.data[0].value);
    *known = condition.kind == VALUE_FLAG || is_poison(&condition);
    if (condition.kind == VALUE_FLAG) return evaluate_expr(call, equation, expr->arguments.data[condition.flag ? 1 : 2].value);
    return condition;
}

static Value apply_function(Call *call, EquationContext *equation, const AstExpr *expr, Function function, Value *arguments, int count)
{
    Place places[3];
    for (int k = 0; k < count; k++) {
        const AstExpr *argument = expr->arguments.data[k].value;
        places[k] = argument->place;
        arguments[k] = as_element(call, equation, arguments[k], argument->place, side_name(argument));
        if (is_poison(&arguments[k])) return value_poison();
        bool flag = function == FN_WHERE && k == 0;
        if (arguments[k].condition == flag) continue;
        diag_error(call->expander->diags, GM071, argument->place,
                   flag ? "the first argument of where is a flag, this is a number" : "this is a flag, a number is needed");
        return value_poison();
    }
    if (!align_elements(call, count, arguments, places)) return value_poison();
    return apply_element(call, function, count, arguments, expr->place);
}

static Value call_function(Call *call, EquationContext *equation, const AstExpr *expr, Function function)
{
    const FunctionInfo *info = &function_table[function];
    if (!check_arity(call, expr, info->name, info->arity, expr->arguments.count)) return value_poison();
    if (expr->path) {
        diag_error(call->expander->diags, GM083, expr->path->place, "%s owns no parameters: it has no path", info->name);
        return value_poison();
    }
    Value arguments[3];
    bool known = true;
    int first = 0;
    if (function == FN_WHERE) {
        bool decided;
        arguments[0] = where_known(call, equation, expr, &decided);
        if (decided) return arguments[0];
        known = known_now(&arguments[0]);
        first = 1;
    }
    for (int k = first; k < info->arity; k++) {
        arguments[k] = evaluate_expr(call, equation, expr->arguments.data[k].value);
        if (is_poison(&arguments[k])) return arguments[k];
        known = known && (arguments[k].kind == VALUE_NUMBER || arguments[k].kind == VALUE_FLAG);
    }
    if (!known) return apply_function(call, equation, expr, function, arguments, info->arity);
    Value result;
    const char *error = "";
    return value_apply(function, info->arity, arguments, &result, &error) ? result : error_arithmetic(call, expr, error);
}

static Value call_len(Call *call, EquationContext *equation, const AstExpr *expr)
{
    if (!check_arity(call, expr, "len", 1, expr->arguments.count)) return value_poison();
    Value list = evaluate_expr(call, equation, expr->arguments.data[0].value);
    if (is_poison(&list)) return list;
    if (list.kind == VALUE_LIST) return value_int(list.count);
    diag_error(call->expander->diags, GM022, expr->arguments.data[0].place, "len takes a list, this is %s", value_kind_name(&list));
    return value_poison();
}

static Value evaluate_call(Call *call, EquationContext *equation, const AstExpr *expr)
{
    const char *name = expr->text;
    Binding *binding = names_find(call, name);
    Value value;
    if (binding && is_poison(&binding->value)) return value_poison();
    if (binding && binding->value.kind == VALUE_CALLABLE) {
        const Callable *callable = binding->value.callable;
        return callable->block ? call_block(call, equation, expr, callable, true) : call_function(call, equation, expr, callable->function);
    }
    Block *block = names_block(call->expander, call->file, name, expr->name_place);
    if (block && block->ast->is_model) {
        Diagnostic *diag = diag_error(call->expander->diags, GM037, expr->name_place, "%s is a model, models cannot be called", name);
        diag_label(diag, block->ast->name_place, "declared here");
        diag_help(diag, "move what both need into a block");
        return value_poison();
    }
    if (block) {
        Callable callable = {.name = block->ast->name, .block = block, .place = expr->name_place};
        return call_block(call, equation, expr, &callable, false);
    }
    if (!strcmp(name, "len")) return call_len(call, equation, expr);
    Function function;
    if (function_find(name, &function)) return call_function(call, equation, expr, function);
    if (names_constant(call->expander, call->file, name) && names_lookup(call, name, expr->name_place, &value) && is_poison(&value))
        return value;
    error_unknown_block(call, name, expr->name_place);
    return value_poison();
}

/* --- names, reads, lists --------------------------------------------------------------------------------------------- */

static Value evaluate_index(EquationContext *equation, IndexVariable *variable, const AstExpr *expr)
{
    variable->used = true;
    return (Value){.kind = VALUE_ELEMENT,
                   .expr = expr_index(equation->call->expander->module, variable->index, expr->place),
                   .indexed = true,
                   .size = 1,
                   .depth = 1};
}

static Value evaluate_name(Call *call, EquationContext *equation, const AstExpr *expr)
{
    Value value;
    if (equation) {
        IndexVariable *variable = index_find(equation, expr->text);
        if (variable) return evaluate_index(equation, variable, expr);
        Binding *binding = equation->left ? names_find(call, expr->text) : NULL;
        if (binding && binding->loop)
            return (Value){.kind = VALUE_ELEMENT,
                           .expr = expr_index(call->expander->module, binding->loop->index, expr->place),
                           .indexed = true,
                           .size = 1,
                           .depth = 1};
    }
    if (names_lookup(call, expr->text, expr->place, &value)) return value;
    error_unknown_name(call, equation, expr->text, expr->place);
    return value_poison();
}

static Value list_read(Call *call, EquationContext *equation, const AstExpr *expr, Value list, bool *done)
{
    *done = false;
    if (expr->items.count < 1 || expr->otherwise) return list;
    Value current = list;
    for (int k = 0; k < expr->items.count; k++) {
        const AstExpr *item = expr->items.data[k];
        if (item->kind == AST_DOTS) return list;
        Value subscript = evaluate_expr(call, equation, item);
        if (is_poison(&subscript) || subscript.kind != VALUE_NUMBER) {
            *done = is_poison(&subscript);
            return *done ? subscript : list;
        }
        const char *error = "";
        if (current.kind != VALUE_LIST) error = "too many subscripts for this list";
        if (current.kind != VALUE_LIST || !value_element(call->expander->arena, &current, &subscript, &current, &error)) {
            diag_error(call->expander->diags, GM033, item->place, "%s", error);
            *done = true;
            return value_poison();
        }
    }
    *done = true;
    return current;
}

static Value evaluate_read(Call *call, EquationContext *equation, const AstExpr *expr)
{
    Value source;
    if (!names_lookup(call, expr->text, expr->name_place, &source)) {
        if (equation && index_find(equation, expr->text))
            diag_error(call->expander->diags, GM022, expr->name_place, "%s is an index here, it has no elements", expr->text);
        else
            error_unknown_name(call, NULL, expr->text, expr->name_place);
        return value_poison();
    }
    if (is_poison(&source)) return source;
    if (source.kind == VALUE_LIST) {
        bool done;
        Value element = list_read(call, equation, expr, source, &done);
        if (done) return element;
        Tensor *tensor = list_tensor(call, &source, expr->name_place);
        if (!tensor) return value_poison();
        source = tensor_value(tensor, NULL);
    }
    if (source.kind == VALUE_TENSOR || source.kind == VALUE_ELEMENT) return read_tensor(call, equation, expr, source);
    if (source.kind == VALUE_NUMBER && call->element &&
        (expr->items.count == 0 || (expr->items.count == 1 && expr->items.data[0]->kind == AST_DOTS)))
        return source;
    diag_error(call->expander->diags, GM022, expr->name_place, "%s is %s, it has no elements", expr->text, value_kind_name(&source));
    return value_poison();
}

static Value evaluate_list(Call *call, EquationContext *equation, const AstExpr *expr)
{
    Value list = {.kind = VALUE_LIST, .count = expr->items.count};
    list.items = arena_new_array(call->expander->arena, Value, expr->items.count + 1);
    for (int k = 0; k < expr->items.count; k++) {
        list.items[k] = evaluate_expr(call, equation, expr->items.data[k]);
        if (is_poison(&list.items[k])) return value_poison();
        if (value_is_constant(&list.items[k]) || list.items[k].kind == VALUE_CALLABLE) continue;
        diag_error(call->expander->diags, GM022, expr->items.data[k]->place, "a list holds what is known now, this is %s",
                   value_kind_name(&list.items[k]));
        return value_poison();
    }
    return list;
}

Value evaluate_expr(Call *call, EquationContext *equation, const AstExpr *expr)
{
    if (!expr || !expander_enter(call->expander, expr->place)) return value_poison();
    switch (expr->kind) {
    case AST_NUMBER:
        return value_number(number_parse(expr));
    case AST_FLAG:
        return value_flag(expr->flag);
    case AST_STRING:
        return (Value){.kind = VALUE_STRING, .text = expr->text};
    case AST_NAME:
        return evaluate_name(call, equation, expr);
    case AST_LIST:
        return evaluate_list(call, equation, expr);
    case AST_UNARY:
    case AST_BINARY:
        return evaluate_operator(call, equation, expr);
    case AST_CALL:
        return evaluate_call(call, equation, expr);
    case AST_READ:
        return evaluate_read(call, equation, expr);
    case AST_REDUCE:
        return evaluate_reduction(call, equation, expr);
    case AST_PARENS:
        return evaluate_expr(call, equation, expr->left);
    case AST_DOTS:
        break;
    }
    diag_error(call->expander->diags, GM049, expr->place, "`..` stands only in brackets");
    return value_poison();
}

/* --- sizes and flags ------------------------------------------------------------------------------------------------- */

static void error_size(Call *call, const AstExpr *expr, const char *what, const Value *value)
{
    Expander *expander = call->expander;
    Text text = text_new(expander->arena);
    value_print(value, &text);
    if (value->kind != VALUE_NUMBER) {
        Diagnostic *diag =
            diag_error(expander->diags, GM022, expr->place, "%s must be a number known now, this is %s", what, value_kind_name(value));
        if (value->kind == VALUE_TENSOR) diag_help(diag, "a tensor's sizes are named in the block's signature: x[N, C]");
        return;
    }
    bool huge = !value->number.exact && isfinite(value->number.real) && fabs(value->number.real) > 0x1p53;
    Diagnostic *diag = diag_error(expander->diags, huge ? GM046 : GM044, expr->place, "%s is %s, %s", what, text_string(&text),
                                  huge ? "which is too large" : "not a whole number");
    const Origin *origin = origin_of_names(call, expr);
    if (origin && origin->size) {
        const Binding *binding = names_find(call, origin->size);
        const char *story = origin_story(expander->arena, origin, expr->place.source);
        Text size = text_new(expander->arena);
        if (binding) value_print(&binding->value, &size);
        bool told = origin->kind == ORIGIN_SET || (origin->expr && strcmp(text_string(&size), expr_text(expander->arena, origin->expr)) == 0);
        if (told) diag_caret(diag, "%s", story + strlen(", "));
        else diag_caret(diag, "%s = %s%s", origin->size, text_string(&size), story);
    }
}

bool evaluate_size(Call *call, const AstExpr *expr, const char *what, int64_t minimum, int64_t *size, const Origin **origin)
{
    Value value = evaluate_expr(call, NULL, expr);
    if (is_poison(&value)) return false;
    if (value.kind != VALUE_NUMBER || !number_is_integer(value.number, size)) {
        error_size(call, expr, what, &value);
        return false;
    }
    if (origin) *origin = origin_of_names(call, expr);
    if (*size < minimum || *size > MAX_ELEMENTS) {
        DiagnosticCode code = *size < minimum ? GM045 : GM046;
        Diagnostic *diag =
            diag_error(call->expander->diags, code, expr->place, "%s is %lld, %s", what, (long long)*size,
                       *size < minimum ? minimum == 1 ? "sizes are at least 1" : "it cannot be negative" : "which is too large");
        const Origin *from = origin_of_names(call, expr);
        if (from) diag_caret(diag, "%s", origin_story(call->expander->arena, from, expr->place.source) + 2);
        return false;
    }
    return true;
}

bool evaluate_flag(Call *call, const AstExpr *expr, bool *flag)
{
    Value value = evaluate_expr(call, NULL, expr);
    if (is_poison(&value)) return false;
    *flag = value.flag;
    if (value.kind == VALUE_FLAG) return true;
    Diagnostic *diag =
        diag_error(call->expander->diags, GM031, expr->place, "`if` takes a flag known now, this is %s", value_kind_name(&value));
    if (value.kind == VALUE_ELEMENT && value.condition) diag_help(diag, "where(condition, then, else) chooses at run time");
    if (value.kind == VALUE_NUMBER) diag_help(diag, "compare it: %s != 0", expr_text(call->expander->arena, expr));
    return false;
}
