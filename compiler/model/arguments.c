/* The arguments of a call: which parameter each belongs to, and the defaults of the others.
 * In: evaluated arguments. Out: one slot a parameter. */
#include "model/expand.h"

#include <string.h>

static int parameter_find(const Block *block, const char *name)
{
    for (int k = 0; k < block->ast->parameters.count; k++)
        if (!strcmp(block->ast->parameters.data[k].name, name)) return k;
    return -1;
}

static bool is_tensor_like(const Value *value)
{
    return value->kind == VALUE_TENSOR || value->kind == VALUE_ELEMENT || value->kind == VALUE_TUPLE || value->kind == VALUE_POISON;
}

static bool is_given(const AstExpr *expr, const Callable *callable, const char *name)
{
    for (int k = 0; k < expr->arguments.count; k++)
        if (expr->arguments.data[k].name && !strcmp(expr->arguments.data[k].name, name)) return true;
    for (int k = 0; k < callable->given_count; k++)
        if (!strcmp(callable->given[k].name, name)) return true;
    return false;
}

/* Whether a call leaves a tensor for later: none by position, and no number or list in place of one. */
static bool looks_partial(const AstExpr *expr, const Callable *callable, const Value *values)
{
    int positional = 0, numbers = 0;
    bool missing = false;
    for (int k = 0; k < expr->arguments.count; k++) {
        bool named = expr->arguments.data[k].name != NULL;
        if (!named && is_tensor_like(&values[k])) return false;
        positional += !named;
    }
    for (int k = 0; k < callable->block->ast->parameters.count; k++) {
        const AstParameter *parameter = &callable->block->ast->parameters.data[k];
        numbers += !parameter->is_tensor;
        missing = missing || (parameter->is_tensor && !is_given(expr, callable, parameter->name));
    }
    return missing && positional <= numbers;
}

static bool error_named(Call *call, const Block *block, const char *name, Place place)
{
    Diagnostic *diag = diag_error(call->expander->diags, GM024, place, "%s has no parameter %s", block->ast->name, name);
    const char *names[64];
    int count = 0;
    for (int k = 0; k < block->ast->parameters.count && count < 64; k++) names[count++] = block->ast->parameters.data[k].name;
    const char *nearest = nearest_name(name, names, count);
    if (nearest) diag_help(diag, "did you mean %s?", nearest);
    diag_label(diag, block->ast->name_place, "declared here");
    return false;
}

static bool fill(Call *call, const Block *block, Slot *slots, int k, Value value, Place place, const AstExpr *ast)
{
    if (slots[k].present) {
        Diagnostic *diag = diag_error(call->expander->diags, GM025, place, "%s is given twice", block->ast->parameters.data[k].name);
        diag_label(diag, slots[k].place, "already given here");
        return false;
    }
    slots[k] = (Slot){.value = value, .present = true, .place = place, .ast = ast};
    return true;
}

static bool fill_given(Call *call, const Callable *callable, Slot *slots)
{
    for (int k = 0; k < callable->given_count; k++) {
        const GivenArgument *given = &callable->given[k];
        int at = parameter_find(callable->block, given->name);
        if (at < 0) return error_named(call, callable->block, given->name, given->place);
        if (!fill(call, callable->block, slots, at, *given->value, given->place, NULL)) return false;
    }
    return true;
}

/* The parameter that the next positional argument belongs to, or -1. */
static int next_parameter(const Block *block, const Slot *slots, int from, bool partial)
{
    for (int k = from; k < block->ast->parameters.count; k++)
        if (!slots[k].present && !(partial && block->ast->parameters.data[k].is_tensor)) return k;
    return -1;
}

static bool error_too_many(Call *call, const AstExpr *expr, const Block *block, Place place)
{
    Diagnostic *diag = diag_error(call->expander->diags, GM023, place, "%s takes at most %d argument%s", block->ast->name,
                                  block->ast->parameters.count, block->ast->parameters.count == 1 ? "" : "s");
    diag_label(diag, block->ast->name_place, "declared here");
    (void)expr;
    return false;
}

static bool fill_positional(Call *call, const AstExpr *expr, const Block *block, Value *values, Slot *slots, bool partial)
{
    int next = 0, numbers = 0;
    for (int k = 0; k < expr->arguments.count; k++) {
        const AstArgument *argument = &expr->arguments.data[k];
        if (argument->name) continue;
        int at = next_parameter(block, slots, next, partial);
        if (at < 0) return error_too_many(call, expr, block, argument->place);
        /* a tensor in place of a number, or the other way round, is reported by the slot */
        if (!fill(call, block, slots, at, values[k], argument->place, argument->value)) return false;
        if (!block->ast->parameters.data[at].is_tensor && ++numbers == 3) {
            Diagnostic *diag =
                diag_warning(call->expander->diags, GM026, argument->place, "more than two compile-time arguments by position");
            diag_help(diag, "name it: %s = %s", block->ast->parameters.data[at].name, expr_text(call->expander->arena, argument->value));
        }
        next = at + 1;
    }
    return true;
}

static bool fill_named(Call *call, const AstExpr *expr, const Block *block, Value *values, Slot *slots)
{
    for (int k = 0; k < expr->arguments.count; k++) {
        const AstArgument *argument = &expr->arguments.data[k];
        if (!argument->name) continue;
        int at = parameter_find(block, argument->name);
        if (at < 0) return error_named(call, block, argument->name, argument->place);
        if (!fill(call, block, slots, at, values[k], argument->place, argument->value)) return false;
    }
    return true;
}

static bool check_kind(Call *call, const Block *block, const AstParameter *parameter, const Slot *slot)
{
    const Value *value = &slot->value;
    if (value->kind == VALUE_POISON) return true;
    bool tensor = value->kind == VALUE_TENSOR || value->kind == VALUE_ELEMENT;
    if (parameter->is_tensor ? tensor || value->kind == VALUE_LIST || value->kind == VALUE_NUMBER : !tensor && value->kind != VALUE_TUPLE)
        return true;
    Diagnostic *diag = diag_error(call->expander->diags, GM022, slot->place, "%s of %s is %s, this is %s", parameter->name,
                                  block->ast->name, parameter->is_tensor ? "a tensor" : "known at compile time", value_kind_name(value));
    diag_label(diag, parameter->place, "declared here");
    if (value->kind == VALUE_TUPLE) diag_help(diag, "give each result a name first: a, b = …");
    if (value->kind == VALUE_CALLABLE && value->callable->partial) diag_help(diag, "%s is given %s here", value->callable->name, callable_tensors(value->callable));
    return false;
}

static const Origin *argument_origin(Call *call, const AstParameter *parameter, const Slot *slot)
{
    if (slot->value.kind != VALUE_NUMBER) return NULL;
    if (!slot->ast) return slot->value.origin;
    return origin_new(call, ORIGIN_GIVEN, parameter->name, parameter->name, slot->ast, slot->place, origin_of_names(call, slot->ast));
}

const char *callable_tensors(const Callable *callable)
{
    for (int k = 0; k < callable->given_count; k++)
        if (callable->block->ast->parameters.data[parameter_find(callable->block, callable->given[k].name)].is_tensor)
            return "not all its tensors";
    return "no tensor";
}

bool bind_arguments(Call *call, const AstExpr *expr, const Callable *callable, Value *values, Slot *slots, bool *partial)
{
    const Block *block = callable->block;
    *partial = looks_partial(expr, callable, values);
    if (!fill_given(call, callable, slots) || !fill_positional(call, expr, block, values, slots, *partial) ||
        !fill_named(call, expr, block, values, slots))
        return false;
    bool right = true;
    for (int k = 0; k < block->ast->parameters.count; k++) {
        const AstParameter *parameter = &block->ast->parameters.data[k];
        if (!slots[k].present) {
            if (!parameter->is_tensor || *partial) continue;
            Diagnostic *diag =
                diag_error(call->expander->diags, GM023, expr->place, "%s needs the tensor %s", block->ast->name, parameter->name);
            diag_label(diag, parameter->place, "declared here");
            right = false;
            continue;
        }
        right = check_kind(call, block, parameter, &slots[k]) && right;
        slots[k].origin = argument_origin(call, parameter, &slots[k]);
    }
    return right;
}

/* In order, so that one default may use the sizes and numbers before it. */
bool bind_defaults(Call *callee, Slot *slots)
{
    Expander *expander = callee->expander;
    const AstCallable *ast = callee->block->ast;
    for (int k = 0; k < ast->parameters.count; k++) {
        const AstParameter *parameter = &ast->parameters.data[k];
        if (parameter->is_tensor || slots[k].present || names_find(callee, parameter->name)) continue;
        if (!parameter->value) {
            Diagnostic *diag = diag_error(expander->diags, GM023, callee->frame->at, "%s needs %s", ast->name, parameter->name);
            diag_label(diag, parameter->place, "it has no default");
            diag_help(diag, "give it by name: %s = …", parameter->name);
            return false;
        }
        Value value = evaluate_expr(callee, NULL, parameter->value);
        if (value.kind == VALUE_POISON) return false;
        if (!value_is_constant(&value) && value.kind != VALUE_CALLABLE) {
            diag_error(expander->diags, GM022, parameter->value->place, "a default is known at compile time, this is %s",
                       value_kind_name(&value));
            return false;
        }
        slots[k] = (Slot){.value = value, .present = true, .defaulted = true, .place = parameter->place, .ast = parameter->value};
        if (value.kind == VALUE_NUMBER)
            value.origin = origin_new(callee, ORIGIN_GIVEN, parameter->name, parameter->name, parameter->value, parameter->place,
                                      origin_of_names(callee, parameter->value));
        slots[k].value = value;
        names_bind(callee, parameter->name, value, parameter->place);
    }
    return true;
}

/* spatial_gate(x[196, 1536], TOKENS = 256); with `all` the defaults too. */
const char *arguments_text(Expander *expander, const Block *block, const Slot *slots, bool all)
{
    Text text = text_new(expander->arena);
    text_printf(&text, "%s(", block->ast->name);
    bool first = true;
    for (int k = 0; k < block->ast->parameters.count; k++) {
        const AstParameter *parameter = &block->ast->parameters.data[k];
        if (!slots[k].present || (slots[k].defaulted && !all)) continue;
        if (!first) text_add(&text, ", ");
        first = false;
        text_add(&text, parameter->name);
        if (!parameter->is_tensor) text_add(&text, " = ");
        value_print(&slots[k].value, &text);
        if (text.length > 200) break;
    }
    text_add(&text, text.length > 200 ? ", ...)" : ")");
    return text_string(&text);
}
