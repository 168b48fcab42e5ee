/* Shape patterns. x[N, C] binds N and C to the argument's extents, or checks them when they are bound already; `..` stands for any
 * axes, the same in every pattern of one signature. Result patterns are checked alike. */
#include "model/expand.h"

#include <string.h>

static bool dots_at(Call *call, const AstShape *shape, int *at)
{
    *at = -1;
    for (int k = 0; k < shape->dims.count; k++) {
        if (shape->dims.data[k]->kind != AST_DOTS) continue;
        if (*at >= 0) {
            diag_error(call->expander->diags, GM049, shape->dims.data[k]->place, "`..` stands once in a pattern");
            return false;
        }
        *at = k;
    }
    return true;
}

static bool check_type(Call *callee, Call *where, const AstShape *shape, const Tensor *tensor, const char *what, Place place)
{
    ElementType type;
    if (!shape->type) return true;
    if (!element_type_find(shape->type, &type)) {
        diag_error(callee->expander->diags, GM050, shape->type_place, "there is no element type %s: f32, i32, i64, u8", shape->type);
        return false;
    }
    if (tensor->type == type) return true;
    (void)where;
    Diagnostic *diag =
        diag_error(callee->expander->diags, GM050, place, "%s is %s, %s is needed", what, element_type_name(tensor->type), shape->type);
    diag_label(diag, shape->type_place, "declared here");
    return false;
}

static const char *argument_words(Expander *expander, const AstExpr *ast, const Tensor *tensor)
{
    if (ast && ast->kind == AST_NAME) return arena_printf(expander->arena, "%s %s", ast->text, extents_text(expander->arena, tensor));
    return arena_printf(expander->arena, "this %s", extents_text(expander->arena, tensor));
}

/* --- arguments ------------------------------------------------------------------------------------------------------------ */

static bool error_rank(Call *callee, const AstParameter *parameter, const Slot *slot, const char *shape)
{
    Expander *expander = callee->expander;
    const Tensor *tensor = slot->value.tensor;
    Diagnostic *diag =
        diag_error(expander->diags, GM043, slot->place, "%s does not fit %s%s of %s: %d %s", argument_words(expander, slot->ast, tensor),
                   parameter->name, shape, callee->block->ast->name, tensor->rank, tensor->rank == 1 ? "axis" : "axes");
    diag_label(diag, parameter->place, "the pattern");
    return false;
}

static bool error_size_differs(Call *callee, const AstParameter *parameter, const Slot *slot, int axis, const AstExpr *dim, int64_t wanted,
                               const Origin *origin)
{
    Expander *expander = callee->expander;
    const Tensor *tensor = slot->value.tensor;
    const char *text = expr_text(expander->arena, dim);
    Diagnostic *diag = diag_error(expander->diags, GM042, slot->place, "axis %d of %s is %lld, %s wants %s%s%lld", axis,
                                  argument_words(expander, slot->ast, tensor), (long long)tensor->extents[axis], callee->block->ast->name,
                                  dim->kind == AST_NUMBER ? "" : text, dim->kind == AST_NUMBER ? "" : " = ", (long long)wanted);
    const Origin *own = slot->value.axes ? slot->value.axes[axis] : NULL;
    if (own) diag_caret(diag, "%lld here%s", (long long)tensor->extents[axis], origin_story(expander->arena, own, slot->place.source));
    diag_label(diag, dim->place.source ? dim->place : parameter->place, dim->kind == AST_NUMBER ? "%.0s%lld here%s" : "%s = %lld%s", text,
               (long long)wanted, origin_story(expander->arena, origin, slot->place.source));
    return false;
}

static bool bind_dots(Call *callee, const AstParameter *parameter, const Slot *slot, int first, int count)
{
    Expander *expander = callee->expander;
    const Tensor *tensor = slot->value.tensor;
    if (!callee->dots_bound) {
        callee->dots_bound = true;
        callee->dots_rank = count;
        callee->dots_from = parameter->name;
        callee->dots_place = slot->place;
        for (int k = 0; k < count; k++) {
            callee->dots_extents[k] = tensor->extents[first + k];
            callee->dots_axes[k] = slot->value.axes ? slot->value.axes[first + k] : NULL;
        }
        return true;
    }
    bool same = callee->dots_rank == count;
    for (int k = 0; k < count && same; k++) same = callee->dots_extents[k] == tensor->extents[first + k];
    if (same) return true;
    Diagnostic *diag = diag_error(expander->diags, GM042, slot->place, "`..` of %s stands for other axes of %s than of %s",
                                  callee->block->ast->name, parameter->name, callee->dots_from);
    diag_caret(diag, "%s here", extents_text(expander->arena, tensor));
    diag_label(diag, callee->dots_place, "and these");
    return false;
}

/* One axis against one entry of the pattern. Expressions wait until every name is bound. */
static bool bind_axis(Call *callee, const AstParameter *parameter, const Slot *slot, int axis, const AstExpr *dim, const Origin *origin)
{
    int64_t extent = slot->value.tensor->extents[axis], bound;
    if (dim->kind != AST_NAME) return true;
    Binding *binding = names_find(callee, dim->text);
    if (!binding) {
        Value value = value_int(extent);
        value.origin = origin;
        names_bind(callee, dim->text, value, slot->place);
        return true;
    }
    if (binding->value.kind == VALUE_NUMBER && number_is_integer(binding->value.number, &bound)) {
        if (bound == extent) return true;
        return error_size_differs(callee, parameter, slot, axis, dim, bound, binding->value.origin);
    }
    diag_error(callee->expander->diags, GM022, dim->place, "%s in a pattern is a number, this is %s", dim->text,
               value_kind_name(&binding->value));
    return false;
}

static bool bind_pattern(Call *callee, const AstParameter *parameter, Slot *slot)
{
    Expander *expander = callee->expander;
    const AstShape *shape = &parameter->shape;
    const Tensor *tensor = slot->value.tensor;
    const char *text = shape_text(expander->arena, shape);
    int dots;
    if (!dots_at(callee, shape, &dots)) return false;
    int fixed = shape->dims.count - (dots >= 0);
    if (dots >= 0 ? tensor->rank < fixed : tensor->rank != fixed) return error_rank(callee, parameter, slot, text);
    if (!check_type(callee, callee->up, shape, tensor, argument_words(expander, slot->ast, tensor), slot->place)) return false;
    const Origin **axes = arena_new_array(expander->arena, const Origin *, tensor->rank + 1);
    const char *words = arena_printf(expander->arena, "%s%s", parameter->name, text);
    bool right = true;
    for (int k = 0, axis = 0; k < shape->dims.count; k++) {
        const AstExpr *dim = shape->dims.data[k];
        if (k == dots) {
            right = bind_dots(callee, parameter, slot, axis, tensor->rank - fixed) && right;
            for (int i = 0; i < tensor->rank - fixed; i++, axis++) axes[axis] = slot->value.axes ? slot->value.axes[axis] : NULL;
            continue;
        }
        Origin *origin = origin_new(callee, ORIGIN_PATTERN, dim->kind == AST_NAME ? dim->text : NULL, words, NULL, parameter->place, NULL);
        origin->caller = slot->value.axes ? slot->value.axes[axis] : NULL;
        axes[axis] = origin;
        right = bind_axis(callee, parameter, slot, axis, dim, origin) && right;
        axis++;
    }
    slot->value.axes = axes;
    names_bind(callee, parameter->name, slot->value, parameter->place);
    return right;
}

/* C/2, 3 and other expressions in patterns, when all names are bound. */
static bool check_expressions(Call *callee, const AstParameter *parameter, const Slot *slot)
{
    const AstShape *shape = &parameter->shape;
    const Tensor *tensor = slot->value.tensor;
    int axis = 0;
    for (int k = 0; k < shape->dims.count; k++) {
        const AstExpr *dim = shape->dims.data[k];
        if (dim->kind == AST_DOTS) {
            axis += tensor->rank - (shape->dims.count - 1);
            continue;
        }
        int64_t wanted;
        const Origin *origin = NULL;
        if (dim->kind != AST_NAME) {
            if (!evaluate_size(callee, dim, "this size", 1, &wanted, &origin)) return false;
            if (wanted != tensor->extents[axis]) return error_size_differs(callee, parameter, slot, axis, dim, wanted, origin);
        }
        axis++;
    }
    return true;
}

bool bind_patterns(Call *callee, Call *caller, Slot *slots, Place place)
{
    (void)caller;
    (void)place;
    const AstCallable *ast = callee->block->ast;
    bool right = true;
    for (int k = 0; k < ast->parameters.count; k++)
        if (!ast->parameters.data[k].is_tensor && slots[k].present) {
            Value value = slots[k].value;
            if (value.kind == VALUE_NUMBER) value.origin = slots[k].origin;
            names_bind(callee, ast->parameters.data[k].name, value, slots[k].place);
        }
    for (int k = 0; k < ast->parameters.count; k++)
        if (ast->parameters.data[k].is_tensor) right = bind_pattern(callee, &ast->parameters.data[k], &slots[k]) && right;
    if (!right || !bind_defaults(callee, slots)) return false;
    for (int k = 0; k < ast->parameters.count && right; k++)
        if (ast->parameters.data[k].is_tensor) right = check_expressions(callee, &ast->parameters.data[k], &slots[k]);
    return right;
}

/* --- results --------------------------------------------------------------------------------------------------------------- */

static bool error_result(Call *callee, const Tensor *tensor, const AstShape *shape, Place place, const char *why)
{
    Expander *expander = callee->expander;
    Diagnostic *diag = diag_error(expander->diags, GM048, place, "this result %s does not fit %s: %s",
                                  extents_text(expander->arena, tensor), shape_text(expander->arena, shape), why);
    diag_label(diag, shape->place, "declared here");
    return false;
}

static bool check_result(Call *callee, const Value *value, const AstShape *shape, Place place)
{
    Expander *expander = callee->expander;
    const Tensor *tensor = value->tensor;
    int dots;
    if (!dots_at(callee, shape, &dots)) return false;
    int fixed = shape->dims.count - (dots >= 0);
    if (dots >= 0 ? tensor->rank < fixed : tensor->rank != fixed)
        return error_result(callee, tensor, shape, place,
                            arena_printf(expander->arena, "it has %d %s", tensor->rank, tensor->rank == 1 ? "axis" : "axes"));
    if (!check_type(callee, callee, shape, tensor, "this result", place)) return false;
    for (int k = 0, axis = 0; k < shape->dims.count; k++) {
        const AstExpr *dim = shape->dims.data[k];
        if (k == dots) {
            int count = tensor->rank - fixed;
            bool same = !callee->dots_bound || callee->dots_rank == count;
            for (int i = 0; i < count && same && callee->dots_bound; i++) same = callee->dots_extents[i] == tensor->extents[axis + i];
            if (!same)
                return error_result(callee, tensor, shape, place,
                                    arena_printf(expander->arena, "`..` stands for other axes in %s", callee->dots_from));
            axis += count;
            continue;
        }
        int64_t wanted;
        const Origin *origin = NULL;
        if (!evaluate_size(callee, dim, "this size", 1, &wanted, &origin)) return false;
        if (wanted != tensor->extents[axis])
            return error_result(callee, tensor, shape, place,
                                arena_printf(expander->arena, "axis %d is %lld, %s is %lld%s", axis, (long long)tensor->extents[axis],
                                             expr_text(expander->arena, dim), (long long)wanted,
                                             origin_story(expander->arena, origin, place.source)));
        axis++;
    }
    return true;
}

bool check_results(Call *callee, Value *results, int count, Place place)
{
    const AstCallable *ast = callee->block->ast;
    if (count != ast->results.count) {
        Diagnostic *diag = diag_error(callee->expander->diags, GM027, place, "%s returns %d tensor%s, its signature says %d", ast->name,
                                      count, count == 1 ? "" : "s", ast->results.count);
        diag_label(diag, ast->name_place, "declared here");
        return false;
    }
    bool right = true;
    for (int k = 0; k < count; k++)
        if (results[k].kind == VALUE_TENSOR) right = check_result(callee, &results[k], &ast->results.data[k], place) && right;
    return right;
}
