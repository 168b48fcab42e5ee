/* Operands that are no plain reads get tensors of their own.
 * In: an expression over some indices.  Out: an equation that computes it into a new tensor, and the READ that stands for it.
 * Weight-only ones are packed equations: evaluated once, when weights are packed. */
#include "schedule/schedule.h"

#include "equation/index.h"

typedef struct {
    Substitution map[MAX_RANK * 2];
    int count;
} Renaming;

static Tensor *operand_tensor(Scheduler *s, const Equation *user, const char *suffix, bool packed, int rank, const int64_t *extents)
{
    Tensor *tensor = tensor_new(s->module, TENSOR_LOCAL,
                                arena_printf(s->arena, "%s.%s%d", user->result->name, suffix, s->module->tensors.count), TYPE_F32, rank,
                                extents, user->result->origin);
    TensorPlan *plan = tensor_plan_new(s, tensor);
    tensor->packed = packed;
    plan->contracted = true;
    return tensor;
}

static Equation *operand_equation(Scheduler *s, const Equation *user, Tensor *tensor)
{
    Equation *equation = equation_new(s->module, tensor, user->origin, user->frame);
    equation->packed = tensor->packed;
    return equation;
}

static void finish(Scheduler *s, Equation *equation, Expr *value)
{
    equation->value = index_simplify(s->module, value);
    if (equation->packed) {
        list_push(s->arena, &s->packed, equation);
    } else {
        list_push(s->arena, &s->order, equation);
        list_push(s->arena, &s->contractions, NULL);
    }
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

Expr *materialise(Scheduler *s, const Equation *user, const char *suffix, Expr *value, int rank, const Axis *axes)
{
    int64_t extents[MAX_RANK];
    Expr *read[MAX_RANK];
    Renaming renaming = {.count = 0};
    for (int axis = 0; axis < rank; axis++) {
        extents[axis] = 1;
        for (int i = 0; i < axes[axis].count; i++) extents[axis] *= axes[axis].indices[i]->extent;
    }
    bool packed = expr_is_weight_only(value);
    Tensor *tensor = operand_tensor(s, user, suffix, packed, rank, extents);
    Equation *equation = operand_equation(s, user, tensor);
    for (int axis = 0; axis < rank; axis++) {
        Expr *left = NULL;
        read[axis] = NULL;
        for (int i = 0; i < axes[axis].count; i++) {
            Index *index = axes[axis].indices[i];
            left = flatten(s, left, fresh_index(s, equation, &renaming, index), index->extent);
            read[axis] = flatten(s, read[axis], expr_index(s->module, index, index->origin), index->extent);
        }
        equation->subscripts[axis] = left;
    }
    finish(s, equation, expr_substitute(s->module, value, renaming.map, renaming.count));
    plan_note(s, user, "%s computed %s: %s", suffix, packed ? "when weights are packed" : "first", tensor->name);
    return expr_read(s->module, tensor, rank, read, NULL, value->place);
}

/* --- panels -------------------------------------------------------------------------------------------------------- */
/* A plain read of the whole of an axis by n alone: positions past its end are outside. */
static bool ends_at_extent(const Expr *value, const Index *n)
{
    if (value->kind != EXPR_READ || value->otherwise) return false;
    bool found = false;
    for (int axis = 0; axis < value->count; axis++) {
        if (!expr_uses(value->args[axis], n)) continue;
        if (found || !subscript_is(value->args[axis], n) || value->tensor->extents[axis] != n->extent) return false;
        found = true;
    }
    return found;
}

/* The value at n = panel * columns + column, 0 past the end of n. */
static Expr *panel_value(Scheduler *s, Expr *value, Renaming *renaming, Index *n, Expr *position, int64_t padded)
{
    Module *module = s->module;
    Substitution *slot = &renaming->map[renaming->count];
    Expr *zero = expr_number(module, 0, false, value->place);
    *slot = (Substitution){n, position};
    if (padded == n->extent) return expr_substitute(module, value, renaming->map, renaming->count + 1);
    if (ends_at_extent(value, n)) {
        Expr *read = expr_substitute(module, value, renaming->map, renaming->count + 1);
        return expr_read(module, read->tensor, read->count, read->args, zero, read->place);
    }
    slot->value = expr_apply(module, FN_MIN, position, expr_int(module, n->extent - 1), NULL, value->place);
    Expr *clamped = expr_substitute(module, value, renaming->map, renaming->count + 1);
    Expr *inside = expr_apply(module, FN_LT, position, expr_int(module, n->extent), NULL, value->place);
    return expr_apply(module, FN_WHERE, inside, clamped, zero, value->place);
}

Expr *materialise_panels(Scheduler *s, const Equation *user, Expr *value, int batch_count, Index *const *batch, Index *n, int k_count,
                         Index *const *k)
{
    Module *module = s->module;
    int columns = family_panel_columns(s->family), rank = 0;
    int64_t panels = (n->extent + columns - 1) / columns, extents[MAX_RANK];
    for (int i = 0; i < batch_count; i++) extents[rank++] = batch[i]->extent;
    extents[rank++] = panels;
    for (int i = 0; i < k_count; i++) extents[rank++] = k[i]->extent;
    extents[rank++] = columns;
    bool packed = expr_is_weight_only(value);
    Tensor *tensor = operand_tensor(s, user, "panels", packed, rank, extents);
    tensor_plan(tensor)->panels = true;

    Equation *equation = operand_equation(s, user, tensor);
    Renaming renaming = {.count = 0};
    Expr *read[MAX_RANK], *n_expr = expr_index(module, n, n->origin);
    int axis = 0;
    for (int i = 0; i < batch_count; i++, axis++) {
        equation->subscripts[axis] = fresh_index(s, equation, &renaming, batch[i]);
        read[axis] = expr_index(module, batch[i], batch[i]->origin);
    }
    Index *panel = index_new(module, "panel", panels, n->origin), *column = index_new(module, "column", columns, n->origin);
    equation->free[equation->free_count++] = panel;
    equation->subscripts[axis] = expr_index(module, panel, n->origin);
    read[axis++] = expr_apply(module, FN_FLOORDIV, n_expr, expr_int(module, columns), NULL, n->origin);
    for (int i = 0; i < k_count; i++, axis++) {
        equation->subscripts[axis] = fresh_index(s, equation, &renaming, k[i]);
        read[axis] = expr_index(module, k[i], k[i]->origin);
    }
    equation->free[equation->free_count++] = column;
    equation->subscripts[axis] = expr_index(module, column, n->origin);
    read[axis++] = expr_apply(module, FN_MOD, n_expr, expr_int(module, columns), NULL, n->origin);

    Expr *position = flatten(s, equation->subscripts[batch_count], equation->subscripts[rank - 1], columns);
    finish(s, equation, panel_value(s, value, &renaming, n, position, panels * columns));
    if (!packed) plan_note(s, user, "columns rearranged into panels first: %s", tensor->name);
    return expr_read(module, tensor, rank, read, NULL, value->place);
}
