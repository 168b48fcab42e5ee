/* The extent of every index of an equation: what `for` says, else what the axes on which it stands alone agree on.
 * In: occurrences noted while the equation was read. Out: Index.extent, or the error that shows both sides. */
#include "model/expand.h"

#include <string.h>

static int64_t occurrence_extent(const Occurrence *occurrence)
{
    return occurrence->tensor.tensor->extents[occurrence->axis];
}

static const Origin *occurrence_origin(const Occurrence *occurrence)
{
    return occurrence->tensor.axes ? occurrence->tensor.axes[occurrence->axis] : NULL;
}

/* "axis 1 of weight, declared [TOKENS, TOKENS] at 6:9, TOKENS = 16 * 16 given at 2:24" */
static const char *occurrence_story(Arena *arena, const Occurrence *occurrence, const Source *near)
{
    const Origin *origin = occurrence_origin(occurrence);
    const char *story = origin_story(arena, origin, near);
    if (origin && origin->kind == ORIGIN_DECLARED)
        return arena_printf(arena, "axis %d of %s%s", occurrence->axis, occurrence->tensor_name, story);
    return arena_printf(arena, "axis %d of %s %s%s", occurrence->axis, occurrence->tensor_name,
                        extents_text(arena, occurrence->tensor.tensor), story);
}

/* The size a user could change: a name that was given a value and is a whole axis. */
static const Origin *changeable(const Origin *origin)
{
    if (origin && origin->kind == ORIGIN_DECLARED && origin->size) origin = origin->from;
    return origin && origin->size && (origin->kind == ORIGIN_GIVEN || origin->kind == ORIGIN_SET) ? origin : NULL;
}

static void help_agree(Arena *arena, Diagnostic *diag, const Occurrence *a, const Occurrence *b)
{
    const Origin *change = changeable(occurrence_origin(a));
    const Occurrence *other = b;
    if (!change) {
        change = changeable(occurrence_origin(b));
        other = a;
    }
    const Origin *pattern = occurrence_origin(other);
    const char *size = pattern && pattern->kind == ORIGIN_PATTERN ? pattern->size : NULL;
    if (change)
        diag_help(diag, "%s",
                  arena_printf(arena, "%s = %lld would agree%s%s", change->size, (long long)occurrence_extent(other),
                               size ? ", or use " : "", size ? size : ""));
}

static bool error_two_sizes(EquationContext *equation, const IndexVariable *variable, const Occurrence *a, const Occurrence *b)
{
    Arena *arena = equation->call->expander->arena;
    Diagnostics *diags = equation->call->expander->diags;
    if (variable->name[0] == '_') {
        Diagnostic *diag = diag_error(diags, GM040, a->place, "an axis that `..` stands for has two sizes");
        diag_caret(diag, "%lld here, %s", (long long)occurrence_extent(a), occurrence_story(arena, a, a->place.source));
        diag_label(diag, b->place, "%lld here, %s", (long long)occurrence_extent(b), occurrence_story(arena, b, a->place.source));
        return false;
    }
    Diagnostic *diag = diag_error(diags, GM040, a->place, "index %s has two sizes", variable->name);
    diag_caret(diag, "%lld here, %s", (long long)occurrence_extent(a), occurrence_story(arena, a, a->place.source));
    diag_label(diag, b->place, "%lld here, %s", (long long)occurrence_extent(b), occurrence_story(arena, b, a->place.source));
    help_agree(arena, diag, a, b);
    return false;
}

static bool error_unbounded(EquationContext *equation, const IndexVariable *variable)
{
    Diagnostic *diag = diag_error(equation->call->expander->diags, GM060, variable->place,
                                  variable->used ? "nothing says how far index %s runs"
                                                 : "index %s is not used on the right side, so nothing says how far it runs",
                                  variable->name);
    if (variable->used) diag_caret(diag, "it stands alone on no axis");
    diag_help(diag, "say it after the equation: for %s < …", variable->name);
    return false;
}

static bool solve(EquationContext *equation, IndexVariable *variable)
{
    variable->solved = true;
    if (variable->bounded) return true;
    if (!variable->alone.count) return error_unbounded(equation, variable);
    const Occurrence *first = &variable->alone.data[0];
    variable->index->extent = occurrence_extent(first);
    variable->origin = occurrence_origin(first);
    for (int k = 1; k < variable->alone.count; k++)
        if (occurrence_extent(&variable->alone.data[k]) != variable->index->extent)
            return error_two_sizes(equation, variable, first, &variable->alone.data[k]);
    return true;
}

bool extents_solve(EquationContext *equation)
{
    bool right = true;
    for (int k = 0; k < equation->variables.count; k++)
        if (!equation->variables.data[k]->solved) {
            const IndexVariable *variable = equation->variables.data[k];
            right = solve(equation, equation->variables.data[k]) && right;
            Value extent = value_int(variable->index->extent);
            extent.origin = variable->origin;
            if (variable->name[0] != '_') observe_bound(equation->call, variable->name, &extent, variable->place, true);
        }
    for (int k = 0; k < equation->bounds.count; k++) {
        const BoundInfo *bound = &equation->bounds.data[k];
        if (bound->used) continue;
        Diagnostic *diag = diag_error(equation->call->expander->diags, GM061, bound->ast->place, "index %s occurs nowhere in this equation",
                                      bound->ast->name);
        const char *names[64];
        int count = 0;
        for (int i = 0; i < equation->variables.count && count < 64; i++)
            if (!equation->variables.data[i]->bounded) names[count++] = equation->variables.data[i]->name;
        const char *nearest = nearest_name(bound->ast->name, names, count);
        if (nearest) diag_help(diag, "did you mean %s?", nearest);
        right = false;
    }
    return right;
}
