/* The extent of every index of an equation: what `for` says, else what the axes on which it stands alone agree on.
 * In: occurrences noted while the equation was read. Out: Index.extent, or the error that shows both sides. */
#include "model/expand.h"

#include "equation/index.h"

#include <stdlib.h>
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

/* Does every read stay inside when the index runs so far? Reads with an `or` always do. *used: the index matters to some. */
static bool stays_inside(const EquationContext *equation, IndexVariable *variable, int64_t extent, bool *used)
{
    int64_t low, high;
    variable->index->extent = extent;
    for (int k = 0; k < equation->reads.count; k++) {
        const ReadCheck *check = equation->reads.data[k];
        if (check->outer || check->read->otherwise) continue;
        for (int axis = 0; axis < check->read->count; axis++) {
            const Expr *subscript = check->read->args[axis];
            if (!expr_uses(subscript, variable->index) || expr_is_data_dependent(subscript)) continue;
            *used = true;
            if (!index_range(subscript, &low, &high) || low < 0 || high >= check->source.tensor->extents[axis]) return false;
        }
    }
    return true;
}

/* "(N + 1) // 2" for x[2 * i] of x[N]: where the subscript that ends first has no other index and its axis a name. */
static const char *bound_text(const EquationContext *equation, const IndexVariable *variable, int64_t extent)
{
    Arena *arena = equation->call->expander->arena;
    for (int k = 0; k < equation->reads.count; k++) {
        const ReadCheck *check = equation->reads.data[k];
        for (int axis = 0; axis < check->read->count && !check->outer && !check->read->otherwise; axis++) {
            const Origin *origin = check->source.axes ? check->source.axes[axis] : NULL;
            Linear linear;
            if (!origin || !origin->size || !index_linear(check->read->args[axis], &linear)) continue;
            if (linear.count != 1 || linear.indices[0] != variable->index || linear.coefficients[0] < 1) continue;
            int64_t step = linear.coefficients[0], more = step - 1 - linear.constant;
            if ((check->source.tensor->extents[axis] + more) / step != extent) continue;
            if (!names_find(equation->call, origin->size)) continue;
            const char *size = more ? arena_printf(arena, "%s %c %lld", origin->size, more < 0 ? '-' : '+', llabs((long long)more)) : origin->size;
            return step == 1 ? size : arena_printf(arena, more ? "(%s) // %lld" : "%s // %lld", size, (long long)step);
        }
    }
    return arena_printf(arena, "%lld", (long long)extent);
}

/* The most that the index may run so that every read stays inside; "…" where that does not follow from the reads. */
static const char *bound_wanted(const EquationContext *equation, IndexVariable *variable)
{
    for (int k = 0; k < equation->variables.count; k++) {
        const IndexVariable *other = equation->variables.data[k];
        if (other != variable && !other->bounded && !other->alone.count) return "…";
    }
    int64_t most = 1, beyond = MAX_ELEMENTS;
    bool used = false;
    if (!stays_inside(equation, variable, 1, &used) || !used || stays_inside(equation, variable, beyond, &used)) return "…";
    while (beyond - most > 1) {
        int64_t middle = most + (beyond - most) / 2;
        if (stays_inside(equation, variable, middle, &used)) most = middle;
        else beyond = middle;
    }
    return bound_text(equation, variable, most);
}

static bool error_unbounded(EquationContext *equation, IndexVariable *variable)
{
    Diagnostic *diag = diag_error(equation->call->expander->diags, GM060, variable->place,
                                  variable->used ? "nothing says how far index %s runs"
                                                 : "index %s is not used on the right side, so nothing says how far it runs",
                                  variable->name);
    if (variable->used) diag_caret(diag, "it stands alone on no axis");
    diag_help(diag, "say it after the equation: for %s < %s", variable->name, bound_wanted(equation, variable));
    variable->index->extent = 1;
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

static bool solve_and_tell(EquationContext *equation, IndexVariable *variable)
{
    bool right = solve(equation, variable);
    Value extent = value_int(variable->index->extent);
    extent.origin = variable->origin;
    if (right && variable->name[0] != '_') observe_bound(equation->call, variable->name, &extent, variable->place, true);
    return right;
}

bool extents_solve(EquationContext *equation)
{
    bool right = true;
    for (int known = 1; known >= 0; known--) /* first those that are: what is proposed for the others follows from them */
        for (int k = 0; k < equation->variables.count; k++) {
            IndexVariable *variable = equation->variables.data[k];
            bool now = !known || variable->bounded || variable->alone.count;
            if (now && !variable->solved) right = solve_and_tell(equation, variable) && right;
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
