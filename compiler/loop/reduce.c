/* The reduction of an equation, for one combination of its free indices or for several neighbours at a time.
 * In: a REDUCE whose free indices are bound.  Out: its value in a variable, remembered under the node; loops over the reduced indices.
 * Partial sums are kept in several accumulators, in an order that depends on nothing but the extents.
 *
 * Where the plan is reproducible, it does not depend on the target either. A reduction along vectors has 16 partial results, of the
 * elements with the same number modulo 16, whether they are lanes or variables; in the end 8 are joined to 8, 4 to 4, 2 to 2, 1 to 1.
 * A reduction for several neighbours has one, in the order of its indices. Products are rounded before they are added. */
#include "loop/lowering.h"

#include "equation/index.h"
#include "support/bug.h"

#include <math.h>

double reduction_identity(Reduction reduction)
{
    switch (reduction) {
    case REDUCE_SUM: case REDUCE_MEAN: return 0;
    case REDUCE_PROD: return 1;
    case REDUCE_MAX: case REDUCE_ARGMAX: return -INFINITY;
    case REDUCE_MIN: return INFINITY;
    }
    bug("lowering: reduction %d", (int)reduction);
}

static int64_t reduced_count(const Expr *reduce)
{
    int64_t count = 1;
    for (int k = 0; k < reduce->index_count; k++) count *= reduce->indices[k]->extent;
    return count;
}

/* total (+) x, where x may be a tree: named when it is needed twice. */
Value *reduction_combine(Lowering *l, Reduction reduction, Value *total, Value *x)
{
    Builder *build = l->build;
    switch (reduction) {
    case REDUCE_SUM: case REDUCE_MEAN:
        if (x->op == OP_MUL && x->type != VALUE_INT && !l->plan->reproducible) return build_op(build, OP_FMA, x->operands[0], x->operands[1], total);
        return build_add(build, total, x);
    case REDUCE_PROD: return build_mul(build, total, x);
    case REDUCE_MAX: case REDUCE_MIN:
        x = scope_settle(l, (Lowered){x, scope_level(l)}, "x").value;
        return build_extreme(build, reduction == REDUCE_MIN, x, total);
    case REDUCE_ARGMAX: break;
    }
    bug("lowering: reduction %d", (int)reduction);
}

static Value *horizontal(Lowering *l, Reduction reduction, Value *x)
{
    if (x->type != VALUE_VECTOR) return x;
    Op op = reduction == REDUCE_PROD ? OP_REDUCE_MUL
            : reduction == REDUCE_MAX ? OP_REDUCE_MAX
            : reduction == REDUCE_MIN ? OP_REDUCE_MIN : OP_REDUCE_ADD;
    return build_op(l->build, op, x, NULL, NULL);
}

/* The final value, remembered. */
static Value *finish(Lowering *l, const Expr *reduce, Value *total)
{
    Builder *build = l->build;
    if (reduce->reduction == REDUCE_MEAN) {
        if (total->type == VALUE_INT) total = build_op(build, OP_TO_FLOAT, total, NULL, NULL);
        total = build_op(build, OP_DIV, total, build_number(build, total->type, (double)reduced_count(reduce)), NULL);
    }
    Value *named = build_let(build, reduction_name(reduce->reduction), total);
    scope_remember(l, reduce, (Lowered){named, scope_level(l)});
    return named;
}

/* --- triangles ----------------------------------------------------------------------------------------------------- */
/* Where the body is where(s <= t, x, identity), or with another comparison and a linear form for t, only part of the loop over s
 * counts, and there the body is x. */
typedef struct {
    const Index *index; /* NULL: none */
    const Expr *low, *high; /* the condition is low <= high - strict */
    int strict, direction; /* of index in high - low: 1 or -1 */
} Triangle;

static Triangle find_triangle(Lowering *l, const Expr *reduce, const Index *along)
{
    const Expr *body = reduce->args[0];
    Triangle none = {0};
    if (body->kind != EXPR_APPLY || body->function != FN_WHERE || body->integer || node_info(l, body)->data) return none;
    const Expr *condition = body->args[0], *outside = body->args[2];
    bool less = condition->kind == EXPR_APPLY && (condition->function == FN_LE || condition->function == FN_LT);
    bool greater = condition->kind == EXPR_APPLY && (condition->function == FN_GE || condition->function == FN_GT);
    if ((!less && !greater) || outside->kind != EXPR_NUMBER || outside->number != reduction_identity(reduce->reduction)) return none;
    Triangle triangle = {.low = condition->args[greater], .high = condition->args[less]};
    triangle.strict = condition->function == FN_LT || condition->function == FN_GT;
    Linear low, high;
    if (!triangle.low->integer || !triangle.high->integer || !index_linear(triangle.low, &low) || !index_linear(triangle.high, &high)) return none;
    if (l->vector && node_info(l, condition)->deps & l->vector_bit) return none;
    for (int k = 0; k < reduce->index_count; k++) {
        const Index *index = reduce->indices[k];
        int64_t step = linear_coefficient(&high, index) - linear_coefficient(&low, index);
        if (!(node_info(l, condition)->deps & index_bit(l, index))) continue;
        if (triangle.index || index == along || (step != 1 && step != -1)) return none;
        triangle.index = index;
        triangle.direction = (int)step;
    }
    return triangle.index ? triangle : none;
}

/* Opens the loop over the part that counts. */
static Statement *loop_triangle(Lowering *l, const Triangle *triangle)
{
    Builder *build = l->build;
    const Index *index = triangle->index;
    Address rest = {.constant = -triangle->strict}; /* high - low - strict where the index is 0 */
    Value *extent = build_int(build, index->extent), *zero = build_int(build, 0);
    scope_push(l, NULL);
    scope_bind(l, index, zero, 0, 0);
    address_add(l, &rest, triangle->high, 1);
    address_add(l, &rest, triangle->low, -1);
    Value *from = zero, *to = extent, *edge = address_value(l, &rest);
    scope_pop(l);
    if (triangle->direction < 0) to = build_op(build, OP_MIN, build_add(build, edge, build_int(build, 1)), extent, NULL);
    else from = build_op(build, OP_MAX, build_op(build, OP_NEG, edge, NULL, NULL), zero, NULL);
    Statement *loop = loop_open(l, index->name, from, to, 1);
    scope_bind(l, index, loop_variable(l, loop), scope_level(l), 0);
    return loop;
}

/* Opens loops over the reduced indices but `along`, outermost first; returns the body to reduce inside. */
static const Expr *open_others(Lowering *l, const Expr *reduce, const Index *along, Statement **loops, int *count)
{
    Triangle triangle = find_triangle(l, reduce, along);
    *count = 0;
    for (int k = 0; k < reduce->index_count; k++) {
        const Index *index = reduce->indices[k];
        if (index != along) loops[(*count)++] = index == triangle.index ? loop_triangle(l, &triangle) : loop_over(l, index);
    }
    return triangle.index ? reduce->args[0]->args[1] : reduce->args[0];
}

static void close_all(Lowering *l, Statement **loops, int count)
{
    while (count > 0) loop_close(l, loops[--count]);
}

/* --- one at a time ------------------------------------------------------------------------------------------------- */
static void reduce_argmax(Lowering *l, const Expr *reduce)
{
    Builder *build = l->build;
    const Index *index = reduce->indices[0];
    const Expr *body = reduce->args[0];
    scope_push(l, NULL);
    Value *least = body->integer ? build_int(build, INT64_MIN / 2) : build_number(build, VALUE_FLOAT, -INFINITY);
    Variable *best = build_declare(build, "best", least), *at = build_declare(build, "at", build_int(build, 0));
    Statement *loop = loop_over(l, index);
    Lowered x = lower_expr(l, body);
    x = body->integer ? to_int(l, x) : to_real(l, x);
    x.level = scope_level(l);
    x = scope_settle(l, x, "x");
    Statement *larger = build_if(build, build_op(build, OP_LT, build_variable(build, best), x.value, NULL));
    build_append(build, larger);
    Block *here = build->block;
    build->block = &larger->body;
    build_set(build, best, x.value);
    build_set(build, at, scope_find(l, index)->base);
    build->block = here;
    loop_close(l, loop);
    scope_pop(l);
    finish(l, reduce, build_variable(build, at));
}

/* How many vectors a turn of the main loop takes. */
static int unrolling(int64_t vectors)
{
    if (vectors < 4) return vectors > 0 ? (int)vectors : 1;
    return vectors % 4 != 0 && vectors % 3 == 0 ? 3 : 4;
}

enum { PARTIAL_RESULTS = 16 };

typedef struct {
    const Expr *reduce, *body;
    const Index *along;
    Variable *totals[PARTIAL_RESULTS];
    int count;
    bool peak; /* of a softmax */
} Accumulators;

static Value *combine(Lowering *l, const Accumulators *a, Value *total, Value *x)
{
    return a->peak ? build_op(l->build, OP_MAX, x, total, NULL) : reduction_combine(l, a->reduce->reduction, total, x);
}

/* total[which] (+)= the body at base + offset; a part leaves the other lanes as they are. */
static void accumulate(Lowering *l, Accumulators *a, int which, Value *base, int base_level, int64_t offset, Value *part)
{
    Builder *build = l->build;
    scope_push(l, NULL);
    if (l->vector == a->along && l->vector) scope_bind_vector(l, a->along, base, base_level, offset, part);
    else scope_bind(l, a->along, base, base_level, offset);
    Lowered x = lower_expr(l, a->body);
    Value *total = build_variable(build, a->totals[which]);
    x = total->type == VALUE_INT ? to_int(l, x) : total->type == VALUE_VECTOR ? to_vector(l, x) : to_real(l, x);
    if (part && total->type == VALUE_VECTOR) {
        Value *lanes = to_vector(l, (Lowered){part, 0}).value;
        Value *inside = build_op(build, OP_LT, build_op(build, OP_LANES, NULL, NULL, NULL), lanes, NULL);
        Value *none = build_number(build, VALUE_VECTOR, reduction_identity(a->reduce->reduction));
        x.value = build_op(build, OP_SELECT, inside, x.value, none);
    }
    build_set(build, a->totals[which], combine(l, a, total, x.value));
    scope_pop(l);
}

/* All of `along` into the accumulators. */
static void accumulate_along(Lowering *l, Accumulators *a, int lanes)
{
    Builder *build = l->build;
    int64_t extent = a->along->extent, vectors = extent / lanes;
    int64_t blocked = vectors / a->count * a->count, step = (int64_t)lanes * a->count;
    if (blocked == a->count && blocked > 0)
        for (int k = 0; k < a->count; k++) accumulate(l, a, k, build_int(build, 0), 0, (int64_t)k * lanes, NULL);
    else if (blocked > 0) {
        const Block *around = build->block;
        Statement *loop = loop_open(l, a->along->name, build_int(build, 0), build_int(build, blocked * lanes), step);
        fetch_rows_in_loop(l, around, blocked * lanes, loop_variable(l, loop), step);
        for (int k = 0; k < a->count; k++) accumulate(l, a, k, loop_variable(l, loop), scope_level(l), (int64_t)k * lanes, NULL);
        loop_close(l, loop);
    }
    for (int64_t k = blocked; k < vectors; k++) accumulate(l, a, (int)(k - blocked), build_int(build, k * lanes), 0, 0, NULL);
    int last = l->plan->reproducible ? (int)(vectors - blocked) : 0;
    if (vectors * lanes < extent) accumulate(l, a, last, build_int(build, vectors * lanes), 0, 0, build_int(build, extent - vectors * lanes));
}

/* Halves joined as lanes are joined: of equal values (zeros of either sign) the second one stays. */
static Value *join_halves(Lowering *l, const Accumulators *a)
{
    Value *totals[PARTIAL_RESULTS];
    for (int k = 0; k < a->count; k++) totals[k] = build_variable(l->build, a->totals[k]);
    for (int half = a->count / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++) totals[k] = build_let(l->build, "both", reduction_combine(l, a->reduce->reduction, totals[k + half], totals[k]));
    return totals[0];
}

/* Pairs of accumulators until one is left. */
static Value *gather_totals(Lowering *l, const Accumulators *a)
{
    Value *totals[PARTIAL_RESULTS];
    for (int k = 0; k < a->count; k++) totals[k] = build_variable(l->build, a->totals[k]);
    for (int count = a->count; count > 1; count = (count + 1) / 2)
        for (int k = 0; k < count / 2; k++) totals[k] = combine(l, a, totals[k], totals[count - 1 - k]);
    return totals[0];
}

/* How many accumulators, of `lanes` each. */
static int accumulators(const Lowering *l, const Index *vectors, int64_t extent, int lanes, bool in_order)
{
    if (!l->plan->reproducible) return unrolling(extent / lanes);
    return in_order ? 1 : vectors ? PARTIAL_RESULTS / lanes : unrolling(extent);
}

void lower_reduce_scalar(Lowering *l, const Expr *reduce, const Index *along, bool in_order)
{
    if (reduce->reduction == REDUCE_ARGMAX) {
        reduce_argmax(l, reduce);
        return;
    }
    const Index *outer_vector = l->vector;
    Builder *build = l->build;
    Accumulators a = {.reduce = reduce, .along = along ? along : reduce->indices[reduce->index_count - 1]};
    a.peak = is_softmax_peak(l, reduce);
    lowering_vector(l, along);
    int lanes = l->vector ? l->target->lanes : 1;
    a.count = accumulators(l, along, a.along->extent, lanes, in_order);
    bool whole = reduce->args[0]->integer;
    ValueType type = whole && !l->vector ? VALUE_INT : l->vector ? VALUE_VECTOR : VALUE_FLOAT;
    double start = reduction_identity(reduce->reduction);
    int64_t whole_start = isinf(start) ? (start < 0 ? INT64_MIN / 2 : INT64_MAX / 2) : (int64_t)start;
    scope_push(l, NULL);
    for (int k = 0; k < a.count; k++)
        a.totals[k] = build_declare(build, arena_printf(l->arena, "%s_%d", reduction_name(reduce->reduction), k),
                                    type == VALUE_INT ? build_int(build, whole_start) : build_number(build, type, start));
    Statement *loops[MAX_RANK * 2];
    int count;
    a.body = open_others(l, reduce, a.along, loops, &count);
    accumulate_along(l, &a, lanes);
    close_all(l, loops, count);
    Value *total = horizontal(l, reduce->reduction, l->plan->reproducible && along ? join_halves(l, &a) : gather_totals(l, &a));
    scope_pop(l);
    lowering_vector(l, outer_vector);
    finish(l, reduce, total);
}

/* --- several neighbours at a time ---------------------------------------------------------------------------------- */
void lower_reduce_vectors(Lowering *l, const Expr *reduce, int count, Value *base, int base_level, Value *part, Value **results)
{
    Builder *build = l->build;
    int lanes = l->target->lanes;
    Variable *totals[8];
    for (int k = 0; k < count; k++)
        totals[k] = build_declare(build, arena_printf(l->arena, "%s_%d", reduction_name(reduce->reduction), k),
                                  build_number(build, VALUE_VECTOR, reduction_identity(reduce->reduction)));
    Statement *loops[MAX_RANK * 2];
    scope_push(l, NULL);
    int opened;
    const Expr *body = open_others(l, reduce, NULL, loops, &opened);
    for (int k = 0; k < count; k++) {
        scope_push(l, NULL);
        scope_bind_vector(l, l->vector, base, base_level, (int64_t)k * lanes, part);
        Value *x = lower_vector(l, body);
        build_set(build, totals[k], reduction_combine(l, reduce->reduction, build_variable(build, totals[k]), x));
        scope_pop(l);
    }
    close_all(l, loops, opened);
    scope_pop(l);
    for (int k = 0; k < count; k++) {
        results[k] = build_variable(build, totals[k]);
        if (reduce->reduction == REDUCE_MEAN)
            results[k] = build_op(build, OP_DIV, results[k], build_number(build, VALUE_VECTOR, (double)reduced_count(reduce)), NULL);
        results[k] = build_let(build, reduction_name(reduce->reduction), results[k]);
    }
}
