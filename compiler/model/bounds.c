/* Every read is inside its tensor, or says with `or` what lies outside.
 * In: an equation whose extents are known. Out: proofs; errors with the interval that was proved; `or`s that are never needed.
 * A read inside the VALUE of `or VALUE` is proved only for the positions outside the outer read: each way to be outside is a case,
 * and what is known in it is kept as facts about sums of indices. */
#include "model/expand.h"

#include "equation/index.h"

enum { MAX_FACTS = 6, MAX_PROOFS = 20000 };

typedef struct {
    Linear sum;
    int64_t low, high;
} Fact;

typedef struct {
    EquationContext *equation;
    Fact facts[MAX_FACTS];
    int count, proofs;
    bool failed;
} Prover;

static bool range_of_linear(const Linear *linear, int64_t *low, int64_t *high)
{
    *low = *high = linear->constant;
    for (int k = 0; k < linear->count; k++) {
        int64_t reach;
        if (__builtin_mul_overflow(linear->coefficients[k], linear->indices[k]->extent - 1, &reach)) return false;
        if (__builtin_add_overflow(reach < 0 ? *low : *high, reach, reach < 0 ? low : high)) return false;
    }
    return true;
}

/* a - b */
static bool linear_difference(const Linear *a, const Linear *b, Linear *difference)
{
    *difference = *a;
    if (__builtin_sub_overflow(a->constant, b->constant, &difference->constant)) return false;
    for (int k = 0; k < b->count; k++) {
        int at = 0;
        while (at < difference->count && difference->indices[at] != b->indices[k]) at++;
        if (at == difference->count) {
            if (at == MAX_TERMS) return false;
            difference->indices[at] = b->indices[k];
            difference->coefficients[at] = 0;
            difference->count++;
        }
        if (__builtin_sub_overflow(difference->coefficients[at], b->coefficients[k], &difference->coefficients[at])) return false;
    }
    return true;
}

/* The interval of a subscript under the facts of this case. */
static bool subscript_range(Prover *prover, Expr *subscript, int64_t extent, int64_t *low, int64_t *high)
{
    bool known = index_range(subscript, low, high);
    if (!known || *low < 0 || *high >= extent) {
        int64_t lower, higher;
        Expr *simple = index_simplify(prover->equation->call->expander->module, subscript);
        if (index_range(simple, &lower, &higher)) {
            *low = known && *low > lower ? *low : lower;
            *high = known && *high < higher ? *high : higher;
            known = true;
        }
    }
    Linear linear, rest;
    if (!prover->count || !index_linear(subscript, &linear)) return known;
    for (int k = 0; k < prover->count; k++) {
        const Fact *fact = &prover->facts[k];
        int64_t lower, higher;
        if (!linear_difference(&linear, &fact->sum, &rest) || !range_of_linear(&rest, &lower, &higher)) continue;
        if (__builtin_add_overflow(lower, fact->low, &lower) || __builtin_add_overflow(higher, fact->high, &higher)) continue;
        *low = known && *low > lower ? *low : lower;
        *high = known && *high < higher ? *high : higher;
        known = true;
    }
    return known;
}

static void error_outside(Prover *prover, const ReadCheck *check, int axis, bool known, int64_t low, int64_t high)
{
    prover->failed = true;
    const Tensor *tensor = check->source.tensor;
    Arena *arena = prover->equation->call->expander->arena;
    Diagnostics *diags = prover->equation->call->expander->diags;
    long long last = (long long)tensor->extents[axis] - 1;
    const char *story = origin_story(arena, check->source.axes ? check->source.axes[axis] : NULL, check->place.source);
    Diagnostic *diag;
    if (!known) {
        diag = diag_error(diags, GM062, check->places[axis], "%s may be read outside: nothing is known about this subscript", check->name);
        diag_caret(diag, "axis %d of %s has 0 to %lld%s", axis, check->name, last, story);
        return;
    }
    diag = diag_error(diags, GM062, check->places[axis], "%s may be read outside", check->name);
    diag_caret(diag, "%lld to %lld here, axis %d of %s has 0 to %lld%s", (long long)low, (long long)high, axis, check->name, last, story);
    if (check->read->otherwise) return;
    if (high > last && low >= 0 && check->read->args[axis]->kind == EXPR_INDEX)
        diag_help(diag, "for %s < %lld stays inside, or say what lies outside: %s[… or 0]", check->read->args[axis]->index->name, last + 1,
                  check->name);
    else
        diag_help(diag, "say what lies outside: %s[… or 0]", check->name);
}

static void note_or(Prover *prover, const ReadCheck *check, bool needed)
{
    Expander *expander = prover->equation->call->expander;
    const char *key = arena_printf(expander->arena, "%p:%zu", (const void *)check->place.source, check->otherwise_place.begin);
    OrUse *use = map_get(&expander->alternatives, key);
    if (!use) {
        use = arena_new_object(expander->arena, OrUse);
        use->place = check->otherwise_place;
        map_put(expander->arena, &expander->alternatives, key, use);
    }
    use->needed = use->needed || needed;
}

static void prove(Prover *prover, ReadCheck *check);

static void prove_inner(Prover *prover, const ReadCheck *check)
{
    for (int k = 0; k < prover->equation->reads.count; k++)
        if (prover->equation->reads.data[k]->outer == check) prove(prover, prover->equation->reads.data[k]);
}

/* The reads in the `or` of this one, where its subscript on `axis` is in [low, high]. */
static void prove_case(Prover *prover, const ReadCheck *check, int axis, int64_t low, int64_t high)
{
    Fact *fact = &prover->facts[prover->count < MAX_FACTS ? prover->count : 0];
    bool kept = prover->count < MAX_FACTS && index_linear(check->read->args[axis], &fact->sum);
    if (kept) {
        fact->low = low;
        fact->high = high;
        prover->count++;
    }
    prove_inner(prover, check);
    if (kept) prover->count--;
}

static void prove(Prover *prover, ReadCheck *check)
{
    if (++prover->proofs > MAX_PROOFS) {
        if (!prover->failed)
            diag_error(prover->equation->call->expander->diags, GM075, check->place, "the alternatives of this read are too many to prove");
        prover->failed = true;
        return;
    }
    bool needed = false;
    for (int axis = 0; axis < check->read->count; axis++) {
        Expr *subscript = check->read->args[axis];
        if (expr_is_data_dependent(subscript)) continue;
        int64_t extent = check->source.tensor->extents[axis], low = 0, high = 0;
        bool known = subscript_range(prover, subscript, extent, &low, &high);
        if (known && (low > high || (low >= 0 && high < extent))) continue; /* inside, or a case that cannot be */
        if (!check->read->otherwise) {
            error_outside(prover, check, axis, known, low, high);
            return;
        }
        needed = true;
        if (!known) low = -MAX_ELEMENTS, high = MAX_ELEMENTS;
        if (low < 0) prove_case(prover, check, axis, low, high < 0 ? high : -1);
        if (high >= extent) prove_case(prover, check, axis, low > extent ? low : extent, high);
    }
    if (!check->read->otherwise) return;
    note_or(prover, check, needed);
    check->needed = check->needed || needed;
}

bool bounds_prove(EquationContext *equation)
{
    Prover prover = {.equation = equation};
    for (int k = 0; k < equation->reads.count; k++)
        if (!equation->reads.data[k]->outer) prove(&prover, equation->reads.data[k]);
    for (int k = 0; k < equation->reads.count; k++)
        if (!equation->reads.data[k]->needed) equation->reads.data[k]->read->otherwise = NULL;
    return !prover.failed;
}

void bounds_warn(Expander *expander)
{
    for (int k = 0; k < expander->alternatives.count; k++) {
        const OrUse *use = expander->alternatives.entries[k].value;
        if (use->needed || !use->place.source || use->place.source->embedded) continue;
        Diagnostic *diag = diag_warning(expander->diags, GM063, use->place, "this `or` is never used: the read stays inside");
        diag_help(diag, "leave it out; a subscript that is data is checked at run time, `or` does not cover it");
    }
}
