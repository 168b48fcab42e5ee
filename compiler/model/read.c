/* Reads x[i, j or v] and reductions sum[j](…) inside an equation, or alone in a whole-tensor expression.
 * In: the tree and the equation it stands in. Out: an element; the indices and reads it met are noted in the equation, to be solved and
 * proved when all of it is known. */
#include "model/expand.h"

#include <string.h>

static bool dots_open(EquationContext *equation, Dots *dots, int count, const char *tensor_name, Place place)
{
    Expander *expander = equation->call->expander;
    if (dots->known) {
        if (dots->count == count) return true;
        Diagnostic *diag = diag_error(expander->diags, GM049, place, "`..` stands for %d axes of %s, but for %d of %s", count, tensor_name,
                                      dots->count, dots->tensor_name);
        diag_label(diag, dots->place, "%d here", dots->count);
        return false;
    }
    dots->known = true;
    dots->count = count;
    dots->tensor_name = tensor_name;
    dots->place = place;
    IndexScope hidden = {0};
    for (int k = 0; k < count; k++) dots->variables[k] = index_variable(equation, &hidden, arena_printf(expander->arena, "_%d", k), place);
    return true;
}

/* --- reads -------------------------------------------------------------------------------------------------------------- */

static bool count_subscripts(Call *call, const AstExpr *expr, const Tensor *tensor, int *dots)
{
    int count = 0;
    *dots = 0;
    for (int k = 0; k < expr->items.count; k++) {
        if (expr->items.data[k]->kind != AST_DOTS)
            count++;
        else if (++*dots > 1) {
            diag_error(call->expander->diags, GM049, expr->items.data[k]->place, "`..` stands once in brackets");
            return false;
        }
    }
    if (*dots ? tensor->rank >= count : tensor->rank == count) return true;
    Diagnostic *diag =
        diag_error(call->expander->diags, GM041, expr->place, "%s has %d %s, %s%d subscript%s given", expr->text, tensor->rank,
                   tensor->rank == 1 ? "axis" : "axes", *dots ? "at least " : "", count, count == 1 ? "" : "s");
    diag_caret(diag, "%s is %s", expr->text, extents_text(call->expander->arena, tensor));
    diag_label(diag, tensor->origin, tensor->kind == TENSOR_LOCAL ? "computed here" : "declared here");
    return false;
}

Value subscript_value(Call *call, EquationContext *equation, const AstExpr *item)
{
    Expander *expander = call->expander;
    equation->subscript_depth++;
    Value value = evaluate_expr(call, equation, item);
    int64_t whole;
    if (value.kind == VALUE_NUMBER && number_is_integer(value.number, &whole)) {
        value = value_int(whole);
    } else if (value.kind == VALUE_NUMBER) {
        Text text = text_new(expander->arena);
        value_print(&value, &text);
        Diagnostic *diag = diag_error(expander->diags, GM044, item->place, "this subscript is %s, not a whole number", text_string(&text));
        const Origin *origin = origin_of_names(call, item);
        if (origin) diag_caret(diag, "%s", origin_story(expander->arena, origin, item->place.source) + 2);
        value = value_poison();
    }
    value = as_element(call, equation, value, item->place, item->kind == AST_NAME ? item->text : NULL);
    equation->subscript_depth--;
    if (value.kind == VALUE_POISON || (value.expr->integer && !value.condition)) return value;
    Diagnostic *diag =
        diag_error(expander->diags, GM068, item->place, "a subscript is an integer, this is %s", value.condition ? "a flag" : "f32");
    if (!value.condition) diag_help(diag, "only integer tensors index: i32, i64, u8, and tables made of integers");
    return value_poison();
}

static void note_alone(EquationContext *equation, const Value *subscript, const char *name, const Value *source, int axis, Place place)
{
    if (subscript->expr->kind != EXPR_INDEX) return;
    for (int k = 0; k < equation->variables.count; k++) {
        IndexVariable *variable = equation->variables.data[k];
        if (variable->index != subscript->expr->index) continue;
        Occurrence occurrence = {.tensor_name = name, .tensor = *source, .axis = axis, .place = place};
        list_push(equation->call->expander->arena, &variable->alone, occurrence);
    }
}

static bool read_subscripts(Call *call, EquationContext *equation, const AstExpr *expr, ReadCheck *check, Expr **subscripts, Value *result)
{
    Expander *expander = call->expander;
    Tensor *tensor = check->source.tensor;
    int dots, axis = 0;
    if (!count_subscripts(call, expr, tensor, &dots)) return false;
    bool right = true;
    for (int k = 0; k < expr->items.count; k++) {
        const AstExpr *item = expr->items.data[k];
        if (item->kind == AST_DOTS) {
            int count = tensor->rank - (expr->items.count - 1);
            if (!dots_open(equation, equation->scope->dots, count, expr->text, item->place)) return false;
            for (int i = 0; i < count; i++, axis++) {
                IndexVariable *variable = equation->scope->dots->variables[i];
                variable->used = true;
                Value value = {.kind = VALUE_ELEMENT, .expr = expr_index(expander->module, variable->index, item->place)};
                subscripts[axis] = value.expr;
                check->places[axis] = item->place;
                note_alone(equation, &value, expr->text, &check->source, axis, item->place);
                result->size++;
            }
            continue;
        }
        Value value = subscript_value(call, equation, item);
        if (value.kind == VALUE_POISON) {
            right = false;
            axis++;
            continue;
        }
        note_alone(equation, &value, expr->text, &check->source, axis, item->place);
        check->places[axis] = item->place;
        result->size += value.size;
        if (value.depth >= result->depth) result->depth = value.depth + 1;
        subscripts[axis++] = value.expr;
    }
    return right;
}

static Value read_otherwise(Call *call, EquationContext *equation, const AstExpr *expr, ReadCheck *check)
{
    ReadCheck *outer = equation->outer;
    int depth = equation->subscript_depth;
    equation->outer = check;
    equation->subscript_depth = 0;
    Value value = as_element(call, equation, evaluate_expr(call, equation, expr->otherwise), expr->otherwise->place, NULL);
    equation->outer = outer;
    equation->subscript_depth = depth;
    if (value.kind != VALUE_ELEMENT || !value.condition) return value;
    diag_error(call->expander->diags, GM071, expr->otherwise->place, "this is a flag, a number is needed");
    return value_poison();
}

static Value read_in_equation(Call *call, EquationContext *equation, const AstExpr *expr, Value source)
{
    Expander *expander = call->expander;
    ReadCheck *check = arena_new_object(expander->arena, ReadCheck);
    *check = (ReadCheck){.name = expr->text, .source = source, .place = expr->place, .outer = equation->outer};
    check->places = arena_new_array(expander->arena, Place, source.tensor->rank + 1);
    Value result = {.kind = VALUE_ELEMENT, .size = 1, .depth = 1}, otherwise = {0};
    Expr *subscripts[MAX_RANK];
    bool right = read_subscripts(call, equation, expr, check, subscripts, &result);
    if (expr->otherwise) {
        check->otherwise_place = expr->otherwise->place;
        otherwise = read_otherwise(call, equation, expr, check);
        right = right && otherwise.kind != VALUE_POISON;
        result.size += otherwise.size;
        if (otherwise.depth >= result.depth) result.depth = otherwise.depth + 1;
    }
    if (!right || result.size > MAX_ELEMENT_SIZE || result.depth > MAX_ELEMENT_DEPTH) {
        if (right) diag_error(expander->diags, GM075, expr->place, "this value is too large for one equation");
        equation->failed = true;
        return value_poison();
    }
    check->read = expr_read(expander->module, source.tensor, source.tensor->rank, subscripts, otherwise.expr, expr->place);
    result.expr = check->read;
    if (source.tensor->rank) list_push(expander->arena, &equation->reads, check);
    return result;
}

Value read_tensor(Call *call, EquationContext *equation, const AstExpr *expr, Value source)
{
    if (source.kind == VALUE_ELEMENT) {
        bool plain = expr->items.count == 0 || (expr->items.count == 1 && expr->items.data[0]->kind == AST_DOTS);
        if (plain && !expr->otherwise) return source;
        diag_error(call->expander->diags, GM032, expr->place, "%s is one element here: an element function sees nothing else of its tensor",
                   expr->text);
        return value_poison();
    }
    if (equation) return read_in_equation(call, equation, expr, source);
    EquationContext own = equation_context(call, NULL);
    Value value = read_in_equation(call, &own, expr, source);
    if (value.kind == VALUE_POISON || !equation_solve(&own)) return value_poison();
    return value;
}

/* --- reductions ----------------------------------------------------------------------------------------------------------- */

/* The indices a reduction lists, declared in its own scope. */
static bool reduction_indices(Call *call, EquationContext *equation, const AstExpr *expr, IndexScope *scope)
{
    Diagnostics *diags = call->expander->diags;
    for (int k = 0; k < expr->items.count; k++) {
        const AstExpr *item = expr->items.data[k];
        if (item->kind == AST_DOTS) {
            if (scope->dots->reduced) {
                diag_error(diags, GM049, item->place, "`..` stands once in brackets");
                return false;
            }
            scope->dots = arena_new_object(call->expander->arena, Dots);
            scope->dots->reduced = true;
            continue;
        }
        if (item->kind != AST_NAME) {
            diag_error(diags, GM072, item->place, "a reduction lists the indices it runs over");
            return false;
        }
        if (!check_shadow(call, item->text, item->place)) return false;
        for (int i = 0; i < scope->variables.count; i++)
            if (!strcmp(scope->variables.data[i]->name, item->text)) {
                diag_error(diags, GM072, item->place, "%s is listed twice", item->text);
                return false;
            }
        index_variable(equation, scope, item->text, item->place);
    }
    return true;
}

static Value reduce_body(Call *call, EquationContext *equation, const AstExpr *expr, Reduction reduction, IndexScope *scope)
{
    Expander *expander = call->expander;
    int depth = equation->subscript_depth;
    equation->scope = scope;
    equation->subscript_depth = 0;
    Value body = as_element(call, equation, evaluate_expr(call, equation, expr->left), expr->left->place,
                            expr->left->kind == AST_NAME ? expr->left->text : NULL);
    equation->subscript_depth = depth;
    equation->scope = scope->up;
    if (body.kind == VALUE_POISON) {
        equation->failed = true;
        return body;
    }
    if (body.condition) {
        diag_error(expander->diags, GM071, expr->left->place, "this is a flag, a number is needed; where(flag, 1, 0) is one");
        return value_poison();
    }
    Index *indices[MAX_RANK * 4];
    int count = 0;
    for (int k = 0; k < scope->variables.count && count < MAX_RANK; k++) indices[count++] = scope->variables.data[k]->index;
    if (scope->dots->reduced && !scope->dots->known) {
        diag_error(expander->diags, GM049, expr->place, "nothing says what `..` stands for here");
        return value_poison();
    }
    for (int k = 0; scope->dots->reduced && k < scope->dots->count; k++) indices[count++] = scope->dots->variables[k]->index;
    if (reduction == REDUCE_ARGMAX && count != 1) {
        diag_error(expander->diags, GM072, expr->place, "argmax runs over one index, not %d", count);
        return value_poison();
    }
    if (count == 0) return body;
    body.expr = expr_reduce(expander->module, reduction, count, indices, body.expr, expr->place);
    body.indexed = body.indexed && body.expr->integer && reduction != REDUCE_ARGMAX;
    body.size++;
    body.depth++;
    return body;
}

Value evaluate_reduction(Call *call, EquationContext *equation, const AstExpr *expr)
{
    Expander *expander = call->expander;
    Reduction reduction;
    if (!reduction_find(expr->text, &reduction)) {
        static const char *const names[] = {"sum", "mean", "max", "min", "prod", "argmax"};
        Diagnostic *diag = diag_error(expander->diags, GM021, expr->name_place, "there is no reduction %s", expr->text);
        const char *nearest = nearest_name(expr->text, names, 6);
        if (nearest) diag_help(diag, "did you mean %s?", nearest);
        return value_poison();
    }
    if (expr->items.count > MAX_RANK) {
        diag_error(expander->diags, GM041, expr->place, "a reduction runs over at most %d indices", MAX_RANK);
        return value_poison();
    }
    EquationContext own;
    bool alone = !equation;
    if (alone) {
        own = equation_context(call, NULL);
        equation = &own;
    }
    IndexScope *scope = arena_new_object(expander->arena, IndexScope);
    *scope = (IndexScope){.up = equation->scope, .dots = equation->scope->dots, .own = equation->scope->own};
    Dots *outer = scope->dots;
    bool reduced = outer->reduced;
    outer->reduced = false; /* `..` of an enclosing reduction is not ours */
    Value value = reduction_indices(call, equation, expr, scope) ? reduce_body(call, equation, expr, reduction, scope) : value_poison();
    outer->reduced = reduced;
    if (value.kind == VALUE_POISON) equation->failed = true;
    if (alone && value.kind != VALUE_POISON && !equation_solve(equation)) return value_poison();
    return value;
}
