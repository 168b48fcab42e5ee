/* How sizes came about, in words. In: where names were given, patterns matched, tensors declared. Out: text for messages. */
#include "model/expand.h"

#include <inttypes.h>
#include <string.h>

Origin *origin_new(Call *call, OriginKind kind, const char *size, const char *text, const AstExpr *expr, Place place, const Origin *from)
{
    Origin *origin = arena_new_object(call->expander->arena, Origin);
    *origin = (Origin){.kind = kind, .size = size, .text = text, .expr = expr, .place = place, .from = from, .depth = call->depth};
    return origin;
}

const Origin *origin_of_names(Call *call, const AstExpr *expr)
{
    if (!expr) return NULL;
    if (expr->kind == AST_NAME) {
        const Binding *binding = names_find(call, expr->text);
        return binding && binding->value.kind == VALUE_NUMBER ? binding->value.origin : NULL;
    }
    const Origin *found = NULL;
    if (expr->left && (expr->kind == AST_BINARY || expr->kind == AST_UNARY || expr->kind == AST_PARENS))
        found = origin_of_names(call, expr->left);
    if (!found && expr->kind == AST_BINARY) found = origin_of_names(call, expr->right);
    return found;
}

const Origin **origin_outward(Arena *arena, const Origin **axes, int rank, int depth)
{
    if (!axes) return NULL;
    const Origin **outward = arena_new_array(arena, const Origin *, rank + 1);
    for (int axis = 0; axis < rank; axis++) {
        outward[axis] = axes[axis];
        while (outward[axis] && outward[axis]->depth > depth && outward[axis]->caller) outward[axis] = outward[axis]->caller;
    }
    return outward;
}

const char *origin_place(Arena *arena, Place place, const Source *near)
{
    if (!place.source) return NULL;
    int line, column;
    source_position(place.source, place.begin, &line, &column);
    bool same = place.source == near || (near && !strcmp(place.source->name, near->name)); /* another reading of the same file */
    return same ? arena_printf(arena, "%d:%d", line, column)
                                : arena_printf(arena, "%s:%d:%d", place.source->name, line, column);
}

const char *origin_story(Arena *arena, const Origin *origin, const Source *near)
{
    Text text = text_new(arena);
    for (int depth = 0; origin && depth < 3; origin = origin->from, depth++) {
        const char *place = origin_place(arena, origin->place, near);
        const char *word = origin->kind == ORIGIN_PATTERN    ? "from "
                           : origin->kind == ORIGIN_DECLARED ? "declared "
                           : origin->kind == ORIGIN_FOR      ? "for "
                                                             : "";
        const char *end = origin->kind == ORIGIN_GIVEN ? " given" : origin->kind == ORIGIN_SET ? " given by --set" : "";
        text_printf(&text, ", %s%s", word, origin->text);
        if (origin->expr) text_printf(&text, " %s %s", origin->kind == ORIGIN_FOR ? "<" : "=", expr_text(arena, origin->expr));
        text_add(&text, end);
        if (place && origin->kind != ORIGIN_SET) text_printf(&text, " at %s", place);
    }
    return text_string(&text);
}

const char *expr_text(Arena *arena, const AstExpr *expr)
{
    Text text = text_new(arena);
    if (expr) ast_print_expr(expr, &text);
    const char *string = text_string(&text);
    return text.length > 60 ? arena_printf(arena, "%.57s...", string) : string;
}

const char *shape_text(Arena *arena, const AstShape *shape)
{
    Text text = text_new(arena);
    text_add(&text, "[");
    for (int axis = 0; axis < shape->dims.count; axis++)
        text_printf(&text, "%s%s", axis ? ", " : "", expr_text(arena, shape->dims.data[axis]));
    text_add(&text, "]");
    return text_string(&text);
}

const char *extents_text(Arena *arena, const Tensor *tensor)
{
    Text text = text_new(arena);
    text_add(&text, "[");
    for (int axis = 0; axis < tensor->rank; axis++) text_printf(&text, "%s%" PRId64, axis ? ", " : "", tensor->extents[axis]);
    text_add(&text, "]");
    return text_string(&text);
}
