/* Operands that are no plain reads get tensors of their own.
 * In: an expression over some indices.  Out: an equation that computes it into a new tensor, and the READ that stands for it.
 * Weight-only ones are packed equations: evaluated once, when weights are packed; an earlier one that computes the same serves again. */
#include "schedule/schedule.h"

#include "equation/index.h"

typedef struct {
    Substitution map[MAX_RANK * 2];
    int count;
} Renaming;

static Tensor *operand_tensor(Scheduler *s, const Equation *user, const char *suffix, bool packed, int rank, const int64_t *extents)
{
    Tensor *tensor =
        tensor_new(s->module, TENSOR_LOCAL, arena_printf(s->arena, "%s.%s%d", user->result->name, suffix, s->module->tensors.count),
                   TYPE_F32, rank, extents, user->result->origin);
    TensorPlan *plan = tensor_plan_new(s, tensor);
    tensor->packed = packed;
    plan->contracted = plan->operand = true;
    return tensor;
}

static Equation *operand_equation(Scheduler *s, const Equation *user, Tensor *tensor)
{
    Equation *equation = equation_new(s->module, tensor, user->origin, user->frame);
    equation->packed = tensor->packed;
    tensor_plan(tensor)->writer = equation;
    return equation;
}

static void find_tensor(Expr *read, bool inside, void *context)
{
    (void)inside;
    const Tensor **first = context;
    if (!*first) *first = read->tensor;
}

static const Tensor *first_read(const Equation *equation)
{
    const Tensor *first = NULL;
    expr_reads(equation->value, NULL, find_tensor, &first);
    return first;
}

/* Whether another packed equation computes the same: weights that several products share, as the steps of a recurrence do. */
static bool computes_the_same(Scheduler *s, const Equation *a, const Equation *b)
{
    const Tensor *x = a->result, *y = b->result;
    Substitution map[MAX_RANK * 2];
    if (x->rank != y->rank || a->free_count != b->free_count || tensor_plan(x)->panels != tensor_plan(y)->panels || first_read(a) != first_read(b)) return false;
    for (int axis = 0; axis < x->rank; axis++)
        if (x->extents[axis] != y->extents[axis]) return false;
    for (int k = 0; k < a->free_count; k++) {
        if (a->free[k]->extent != b->free[k]->extent) return false;
        map[k] = (Substitution){a->free[k], expr_index(s->module, b->free[k], b->origin)};
    }
    for (int axis = 0; axis < x->rank; axis++)
        if (!expr_equal(expr_substitute(s->module, a->subscripts[axis], map, a->free_count), b->subscripts[axis])) return false;
    return expr_equal(expr_substitute(s->module, a->value, map, a->free_count), b->value);
}

/* The tensor that holds the value: the equation's own, or an earlier one with the same in it. */
static Tensor *finish(Scheduler *s, Equation *equation, Expr *value)
{
    if (value->integer) value = expr_apply(s->module, FN_MUL, value, expr_number(s->module, 1, false, value->place), NULL, value->place);
    equation->value = index_simplify(s->module, value);
    if (!equation->packed) {
        list_push(s->arena, &s->order, equation);
        list_push(s->arena, &s->contractions, NULL);
        return equation->result;
    }
    for (int i = 0; i < s->packed.count; i++) {
        Tensor *other = s->packed.data[i]->result;
        if (!tensor_plan(other)->operand || !computes_the_same(s, s->packed.data[i], equation)) continue;
        s->module->tensors.count--; /* both were made last */
        s->module->equations.count--;
        return other;
    }
    list_push(s->arena, &s->packed, equation);
    return equation->result;
}

static Expr *fresh_index(Scheduler *s, Equation *equation, Renaming *renaming, const Index *old)
{
    Index *fresh = index_new(s->module, old->name, old->extent, old->origin);
    Expr *expr = expr_index(s->module, fresh, old->origin);
    equation->free[equation->free_count++] = fresh;
    renaming->map[renaming->count++] = (Substitution){old, expr};
    return expr;
}

static Expr *flatten(Scheduler *s, Expr *above, Expr *next, int64_t extent)
{
    if (!above) return next;
    Expr *scaled = expr_apply(s->module, FN_MUL, above, expr_int(s->module, extent), NULL, next->place);
    return expr_apply(s->module, FN_ADD, scaled, next, NULL, next->place);
}

static int64_t axis_extent(const Axis *axis)
{
    int64_t extent = 1;
    for (int i = 0; i < axis->count; i++) extent *= axis->indices[i]->extent;
    return extent;
}

/* The subscript on the left: fresh indices for the leaves, flattened. */
static Expr *left_subscript(Scheduler *s, Equation *equation, Renaming *renaming, const Axis *axis)
{
    Expr *left = NULL;
    for (int i = 0; i < axis->leaf_count; i++)
        left = flatten(s, left, fresh_index(s, equation, renaming, axis->leaves[i]), axis->leaves[i]->extent);
    return left;
}

static Expr *read_subscript(Scheduler *s, const Axis *axis)
{
    Expr *read = NULL;
    for (int i = 0; i < axis->count; i++) {
        Index *index = axis->indices[i];
        read = flatten(s, read, expr_index(s->module, index, index->origin), index->extent);
    }
    return read;
}

Expr *materialise(Scheduler *s, const Equation *user, const char *suffix, Expr *value, int rank, const Axis *axes)
{
    int64_t extents[MAX_RANK];
    Expr *read[MAX_RANK];
    Renaming renaming = {.count = 0};
    bool packed = expr_is_weight_only(value);
    for (int axis = 0; axis < rank; axis++) extents[axis] = axis_extent(&axes[axis]);
    Tensor *tensor = operand_tensor(s, user, suffix, packed, rank, extents);
    Equation *equation = operand_equation(s, user, tensor);
    for (int axis = 0; axis < rank; axis++) {
        equation->subscripts[axis] = left_subscript(s, equation, &renaming, &axes[axis]);
        read[axis] = read_subscript(s, &axes[axis]);
    }
    tensor = finish(s, equation, expr_substitute(s->module, value, renaming.map, renaming.count));
    plan_note(s, user, "%s computed %s: %s", suffix, packed ? "when weights are packed" : "first", tensor->name);
    return expr_read(s->module, tensor, rank, read, NULL, value->place);
}

/* --- panels -------------------------------------------------------------------------------------------------------- */
/* A plain read of the whole of an axis by n alone: positions past its end are outside. */
static bool ends_at_extent(const Expr *value, const Axis *n)
{
    if (value->kind != EXPR_READ || value->otherwise || n->leaf_count != 1) return false;
    bool found = false;
    for (int axis = 0; axis < value->count; axis++) {
        if (!expr_uses(value->args[axis], n->leaves[0])) continue;
        if (found || !subscript_is(value->args[axis], n->leaves[0]) || value->tensor->extents[axis] != n->leaves[0]->extent) return false;
        found = true;
    }
    return found;
}

/* The value where the leaves of n are the digits of `position`. */
static Expr *value_at(Scheduler *s, Expr *value, const Renaming *renaming, const Axis *n, Expr *position)
{
    Module *module = s->module;
    Renaming all = *renaming;
    int64_t inner = 1;
    for (int i = n->leaf_count - 1; i >= 0; i--) {
        Expr *digit = expr_apply(module, FN_FLOORDIV, position, expr_int(module, inner), NULL, value->place);
        if (i > 0) digit = expr_apply(module, FN_MOD, digit, expr_int(module, n->leaves[i]->extent), NULL, value->place);
        all.map[all.count++] = (Substitution){n->leaves[i], digit};
        inner *= n->leaves[i]->extent;
    }
    return expr_substitute(module, value, all.map, all.count);
}

/* The value at n = panel * columns + column, 0 past the end of n. */
static Expr *panel_value(Scheduler *s, Expr *value, const Renaming *renaming, const Axis *n, Expr *position, int64_t padded)
{
    Module *module = s->module;
    Expr *zero = expr_number(module, 0, false, value->place);
    int64_t extent = axis_extent(n);
    if (padded == extent) return value_at(s, value, renaming, n, position);
    if (ends_at_extent(value, n)) {
        Expr *read = value_at(s, value, renaming, n, position);
        return expr_read(module, read->tensor, read->count, read->args, zero, read->place);
    }
    Expr *last = expr_apply(module, FN_MIN, position, expr_int(module, extent - 1), NULL, value->place);
    Expr *inside = expr_apply(module, FN_LT, position, expr_int(module, extent), NULL, value->place);
    return expr_apply(module, FN_WHERE, inside, value_at(s, value, renaming, n, last), zero, value->place);
}

static Expr *panel_index(Scheduler *s, Equation *equation, const char *name, int64_t extent)
{
    Index *index = index_new(s->module, name, extent, equation->origin);
    equation->free[equation->free_count++] = index;
    return expr_index(s->module, index, equation->origin);
}

Expr *materialise_panels(Scheduler *s, const Equation *user, Expr *value, int batch_count, const Axis *batch, const Axis *n, int k_count,
                         const Axis *k)
{
    Module *module = s->module;
    int columns = family_panel_columns(s->family), rank = 0;
    int64_t panels = (axis_extent(n) + columns - 1) / columns, extents[MAX_RANK];
    for (int i = 0; i < batch_count; i++) extents[rank++] = axis_extent(&batch[i]);
    extents[rank++] = panels;
    for (int i = 0; i < k_count; i++) extents[rank++] = axis_extent(&k[i]);
    extents[rank++] = columns;
    bool packed = expr_is_weight_only(value);
    Tensor *tensor = operand_tensor(s, user, "panels", packed, rank, extents);
    tensor_plan(tensor)->panels = true;

    Equation *equation = operand_equation(s, user, tensor);
    Renaming renaming = {.count = 0};
    Expr *read[MAX_RANK], *n_expr = read_subscript(s, n);
    int axis = 0;
    for (int i = 0; i < batch_count; i++, axis++) {
        equation->subscripts[axis] = left_subscript(s, equation, &renaming, &batch[i]);
        read[axis] = read_subscript(s, &batch[i]);
    }
    equation->subscripts[axis] = panel_index(s, equation, "panel", panels);
    read[axis++] = expr_apply(module, FN_FLOORDIV, n_expr, expr_int(module, columns), NULL, value->place);
    for (int i = 0; i < k_count; i++, axis++) {
        equation->subscripts[axis] = left_subscript(s, equation, &renaming, &k[i]);
        read[axis] = read_subscript(s, &k[i]);
    }
    equation->subscripts[axis] = panel_index(s, equation, "column", columns);
    read[axis++] = expr_apply(module, FN_MOD, n_expr, expr_int(module, columns), NULL, value->place);

    Expr *position = flatten(s, equation->subscripts[batch_count], equation->subscripts[rank - 1], columns);
    tensor = finish(s, equation, panel_value(s, value, &renaming, n, position, panels * columns));
    if (!packed) plan_note(s, user, "columns rearranged into panels first: %s", tensor->name);
    return expr_read(module, tensor, rank, read, NULL, value->place);
}
