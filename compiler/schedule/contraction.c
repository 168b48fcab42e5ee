/* Contractions: recognised, not named.
 * In: run-time equations in normal form.  Out: for each that is a sum of products of two groups of factors its index groups and two plain
 * reads; what was no plain read is computed by equations put before it (operands.c), or packed.  Leaves tiles to lowering.
 *
 *   result[b, m, n] = epilogue(sum[k](rows[b, m, k] * columns[b, k, n]))
 *
 * Columns are what varies with the result's fastest index: they are loaded as vectors, rows as scalars. */
#include "schedule/contraction.h"

#include "equation/index.h"

#include <inttypes.h>
#include <string.h>

enum { LEAST_MACS = 4096, LEAST_COLUMNS = 4, WORTH_COPYING = 32, SHORT_STEPS = 3, SHORT_ROWS = 6 };

/* --- factors ------------------------------------------------------------------------------------------------------- */
static uint64_t index_mask(const Work *work, const Expr *expr)
{
    uint64_t mask = 0;
    for (int i = 0; i < work->index_count; i++)
        if (expr_uses(expr, work->indices[i])) mask |= (uint64_t)1 << i;
    return mask;
}

static uint64_t reduced_mask(const Work *work)
{
    return ~(((uint64_t)1 << work->free_count) - 1);
}

/* Takes the body's product apart. What does not vary with a reduced index moves out of the sum, into *outer. */
static bool collect_factors(Work *work, Expr *expr, Expr **outer)
{
    Module *module = work->s->module;
    if (expr->kind == EXPR_APPLY && expr->function == FN_MUL)
        return collect_factors(work, expr->args[0], outer) && collect_factors(work, expr->args[1], outer);
    if (expr->kind == EXPR_APPLY && expr->function == FN_NEG && !expr->integer) {
        *outer = expr_apply(module, FN_NEG, *outer ? *outer : expr_number(module, 1, false, expr->place), NULL, NULL, expr->place);
        return collect_factors(work, expr->args[0], outer);
    }
    uint64_t mask = index_mask(work, expr);
    if (expr->kind == EXPR_APPLY && expr->function == FN_DIV && !(index_mask(work, expr->args[1]) & reduced_mask(work))) {
        Expr *above = *outer ? *outer : expr_number(module, 1, false, expr->place);
        *outer = expr_apply(module, FN_DIV, above, expr->args[1], NULL, expr->place);
        return collect_factors(work, expr->args[0], outer);
    }
    if (!(mask & reduced_mask(work))) {
        *outer = *outer ? expr_apply(module, FN_MUL, *outer, expr, NULL, expr->place) : expr;
        return true;
    }
    if (work->factor_count == MAX_FACTORS) return false;
    work->factors[work->factor_count] = expr;
    work->masks[work->factor_count++] = mask;
    return true;
}

/* --- which factors are rows, which are columns --------------------------------------------------------------------- */
static bool is_plain(const Expr *expr)
{
    if (expr->kind != EXPR_READ || expr->otherwise || expr->tensor->type != TYPE_F32) return false;
    for (int axis = 0; axis < expr->count; axis++) {
        Linear linear;
        if (!index_linear(expr->args[axis], &linear)) return false;
    }
    return true;
}

static int64_t mask_size(const Work *work, uint64_t mask)
{
    int64_t size = 1;
    for (int i = 0; i < work->index_count; i++)
        if (mask >> i & 1) size *= work->indices[i]->extent;
    return size;
}

static Operand make_operand(Work *work, unsigned chosen, bool wanted)
{
    Operand operand = {.weights = true};
    for (int i = 0; i < work->factor_count; i++) {
        if ((chosen >> i & 1) != (unsigned)wanted) continue;
        operand.mask |= work->masks[i];
        Expr *factor = work->factors[i];
        operand.weights = operand.weights && expr_is_weight_only(factor);
        operand.expr = operand.expr ? expr_apply(work->s->module, FN_MUL, operand.expr, factor, NULL, factor->place) : factor;
    }
    operand.plain = is_plain(operand.expr);
    return operand;
}

/* Elements to compute at run time before the contraction can start; -1: the split is none. */
static int64_t split_cost(Work *work, unsigned chosen, Operand *rows, Operand *columns)
{
    uint64_t all = ((uint64_t)1 << work->index_count) - 1, reduced = all & reduced_mask(work);
    uint64_t row_mask = 0, column_mask = 0, last = (uint64_t)1 << (work->free_count - 1);
    for (int i = 0; i < work->factor_count; i++) *(chosen >> i & 1 ? &column_mask : &row_mask) |= work->masks[i];
    if (!(column_mask & last) || (row_mask & last)) return -1;
    if ((row_mask & column_mask & reduced) != reduced || (row_mask | column_mask) != all) return -1;
    *rows = make_operand(work, chosen, false);
    *columns = make_operand(work, chosen, true);
    if (!(row_mask & ~column_mask) && !columns->weights) return -1;
    int64_t cost = 0;
    if (!rows->weights && !rows->plain) cost += mask_size(work, row_mask);
    if (!columns->weights && !columns->plain) cost += mask_size(work, column_mask);
    return cost;
}

static bool choose_split(Work *work)
{
    int64_t best = -1;
    for (unsigned chosen = 1; chosen + 1 < 1u << work->factor_count; chosen++) {
        Operand rows, columns;
        int64_t cost = split_cost(work, chosen, &rows, &columns);
        if (cost < 0 || (best >= 0 && cost >= best)) continue;
        best = cost;
        work->rows = rows;
        work->columns = columns;
    }
    return best >= 0;
}

/* --- groups -------------------------------------------------------------------------------------------------------- */
/* Reduced indices in the order in which the rows lie in memory. */
static void order_reduced(Work *work)
{
    const Expr *read = work->rows.expr;
    Contraction *out = work->out;
    int64_t strides[MAX_RANK] = {0};
    if (!work->rows.plain) return;
    for (int k = 0; k < out->k_count; k++) {
        int64_t dense = 1;
        for (int axis = read->count - 1; axis >= 0; axis--) {
            Linear linear;
            if (index_linear(read->args[axis], &linear)) strides[k] += dense * linear_coefficient(&linear, out->k[k]);
            dense *= read->tensor->extents[axis];
        }
    }
    for (int i = 1; i < out->k_count; i++)
        for (int j = i; j > 0 && strides[j] > strides[j - 1]; j--) {
            int64_t stride = strides[j];
            Index *index = out->k[j];
            strides[j] = strides[j - 1], out->k[j] = out->k[j - 1];
            strides[j - 1] = stride, out->k[j - 1] = index;
        }
}

static void sort_indices(Work *work)
{
    Contraction *out = work->out;
    for (int i = 0; i < work->index_count; i++) {
        bool in_rows = work->rows.mask >> i & 1, in_columns = work->columns.mask >> i & 1;
        Index *index = work->indices[i];
        if (i >= work->free_count)
            out->k[out->k_count++] = index;
        else if (in_rows && in_columns)
            out->batch[out->batch_count++] = index;
        else if (in_rows)
            out->m[out->m_count++] = index;
        else
            out->n[out->n_count++] = index;
    }
    order_reduced(work);
}

int64_t group_size(Index *const *group, int count)
{
    int64_t size = 1;
    for (int i = 0; i < count; i++) size *= group[i]->extent;
    return size;
}

/* The columns' elements for neighbouring n are neighbours. */
static bool has_unit_stride(const Expr *read, const Index *n)
{
    for (int axis = 0; axis < read->count; axis++) {
        Linear linear;
        if (!index_linear(read->args[axis], &linear)) return false;
        if (linear_coefficient(&linear, n) != (axis == read->count - 1)) return false;
    }
    return read->count > 0;
}

/* Some index of rows fills a tile by itself. */
static bool any_long(Index *const *group, int count)
{
    for (int i = 0; i < count; i++)
        if (group[i]->extent >= SHORT_ROWS) return true;
    return false;
}

/* Which operands are read where they are. A copy costs one element each; it pays where every element is used often. */
static void choose_direct(Work *work)
{
    Contraction *out = work->out;
    int64_t m_size = group_size(out->m, out->m_count), n_size = group_size(out->n, out->n_count), last;
    work->rows.direct = work->rows.plain;
    work->columns.direct = !work->columns.weights && work->columns.plain && has_unit_stride(work->columns.expr, out->n[out->n_count - 1]);
    int k_count = merged_count(work, out->k, out->k_count, true, false, &last);
    bool short_k = k_count > 1 && last < 16;
    bool short_steps = k_count > 1 && last < SHORT_STEPS;
    bool short_m = merged_count(work, out->m, out->m_count, false, false, &last) > 1 && last < SHORT_ROWS && !any_long(out->m, out->m_count);
    bool short_n = merged_count(work, out->n, out->n_count, false, true, &last) > 1 && last < 32;
    if (work->rows.direct && work->rows.weights && k_count > 1) work->rows.direct = false;
    if (work->rows.direct && (short_steps || short_m) && (work->rows.weights || n_size >= WORTH_COPYING)) work->rows.direct = false;
    if (work->columns.direct && (short_k || short_n) && m_size >= WORTH_COPYING) work->columns.direct = false;
}

/* --- operands ------------------------------------------------------------------------------------------------------ */
static void add_index(const Work *work, Axis *axis, Index *index)
{
    axis->indices[axis->count++] = index;
    axis->leaf_count += unmerged(work, index, axis->leaves + axis->leaf_count);
}

static bool operand_uses(const Work *work, const Operand *operand, Index *index)
{
    Axis axis = {0};
    add_index(work, &axis, index);
    for (int i = 0; i < axis.leaf_count; i++)
        if (expr_uses(operand->expr, axis.leaves[i])) return true;
    return false;
}

static int batch_axes(const Work *work, const Operand *operand, Axis *axes)
{
    int rank = 0;
    for (int i = 0; i < work->out->batch_count; i++)
        if (operand_uses(work, operand, work->out->batch[i])) add_index(work, &axes[rank++], work->out->batch[i]);
    return rank;
}

static Expr *copy_operand(Work *work, const char *suffix, Operand *operand, Index *const *group, int count, bool columns)
{
    const Contraction *c = work->out;
    Axis axes[MAX_RANK] = {0}, k = {0}, other = {0};
    int rank = batch_axes(work, operand, axes);
    for (int i = 0; i < c->k_count; i++) add_index(work, &k, c->k[i]);
    for (int i = 0; i < count; i++) add_index(work, &other, group[i]);
    if (columns) axes[rank++] = k;
    if (other.count) axes[rank++] = other;
    if (!columns) axes[rank++] = k;
    return materialise(work->s, work->equation, suffix, operand->expr, rank, axes);
}

static void prepare_rows(Work *work)
{
    Contraction *out = work->out;
    out->rows = work->rows.direct ? work->rows.expr : copy_operand(work, "rows", &work->rows, out->m, out->m_count, false);
}

/* Columns in panels have one n index; the others become batches of the columns alone. */
static void prepare_panels(Work *work)
{
    Contraction *out = work->out;
    while (out->n_count > 1) {
        out->batch[out->batch_count++] = out->n[0];
        memmove(out->n, out->n + 1, (size_t)--out->n_count * sizeof *out->n);
    }
    Axis batch[MAX_RANK] = {0}, k[MAX_RANK] = {0}, n = {0};
    int batch_count = batch_axes(work, &work->columns, batch);
    add_index(work, &n, out->n[0]);
    for (int i = 0; i < out->k_count; i++) add_index(work, &k[i], out->k[i]);
    out->panels = true;
    out->columns = materialise_panels(work->s, work->equation, work->columns.expr, batch_count, batch, &n, out->k_count, k);
}

static void prepare_columns(Work *work)
{
    Contraction *out = work->out;
    if (work->columns.direct)
        out->columns = work->columns.expr;
    else if (work->columns.weights || (work->columns.plain && out->n_count == 1))
        prepare_panels(work);
    else
        out->columns = copy_operand(work, "columns", &work->columns, out->n, out->n_count, true);
}

/* --- the equation -------------------------------------------------------------------------------------------------- */
static bool fastest_is_last(const Equation *equation)
{
    const Index *last = equation->free[equation->free_count - 1];
    int64_t stride = 0, dense = 1;
    for (int axis = equation->rank - 1; axis >= 0; axis--) {
        Linear linear;
        if (!index_linear(equation->subscripts[axis], &linear)) return false;
        stride += dense * linear_coefficient(&linear, last);
        dense *= equation->result->extents[axis];
    }
    return stride == 1;
}

static void visit_epilogue(Expr *read, bool inside, void *context)
{
    bool *gathers = context;
    for (int i = 0; !inside && i < read->count; i++)
        if (expr_is_data_dependent(read->args[i])) *gathers = true;
}

/* A local tensor with the extents of `equation`'s free indices, and an equation for it that still lacks a value: its own indices stand for
 * those in fresh[]. */
static Equation *equation_beside(Scheduler *s, const Equation *equation, const char *name, Substitution *fresh)
{
    Module *module = s->module;
    int64_t extents[MAX_RANK];
    for (int i = 0; i < equation->free_count; i++) extents[i] = equation->free[i]->extent;
    Tensor *tensor = tensor_new(module, TENSOR_LOCAL, name, TYPE_F32, equation->free_count, extents, equation->result->origin);
    tensor_plan_new(s, tensor);
    Equation *made = equation_new(module, tensor, equation->origin, equation->frame);
    for (int i = 0; i < equation->free_count; i++) {
        Index *old = equation->free[i], *index = index_new(module, old->name, old->extent, old->origin);
        made->free[made->free_count++] = index;
        made->subscripts[i] = expr_index(module, index, old->origin);
        fresh[i] = (Substitution){old, made->subscripts[i]};
    }
    return made;
}

/* `tensor` at the free indices of `equation`. */
static Expr *read_beside(Module *module, const Equation *equation, Tensor *tensor, Place place)
{
    Expr *subscripts[MAX_RANK];
    for (int i = 0; i < equation->free_count; i++) subscripts[i] = expr_index(module, equation->free[i], equation->free[i]->origin);
    return expr_read(module, tensor, equation->free_count, subscripts, NULL, place);
}

/* Computes the sum alone, into a tensor of its own; `equation` becomes a map of it. Returns the new equation, which precedes it. */
static Equation *split_epilogue(Scheduler *s, Equation *equation, Expr *reduce)
{
    Substitution fresh[MAX_RANK * 2];
    Equation *first = equation_beside(s, equation, arena_printf(s->arena, "%s.sum", equation->result->name), fresh);
    first->value = expr_substitute(s->module, reduce, fresh, equation->free_count);
    *reduce = *read_beside(s->module, equation, first->result, reduce->place);
    return first;
}

/* --- long sums ----------------------------------------------------------------------------------------------------- */
/* Every block of columns reads all rows. Where a row is long they don't stay in a cache near the core, nor does the block: the sum is
 * taken some steps at a time, all columns each time, and each part adds to the one before. 196 x 3072 -> 768: 174 instead of 156
 * GFLOP/s where the second cache has 2 MB. */
enum { LONG_STEPS = 2048, PART_STEPS = 768, MANY_ROW_BYTES = 1 << 20, MANY_COLUMNS = 256 };

static int parts_of_sum(const Work *work)
{
    const Expr *reduce = work->reduce;
    if (work->s->options.reproducible || reduce->reduction != REDUCE_SUM || reduce->index_count != 1) return 1;
    if (!work->columns.weights || work->rows.weights || !work->rows.plain) return 1;
    int64_t steps = reduce->indices[0]->extent, columns = mask_size(work, work->columns.mask & ~work->rows.mask);
    if (steps < LONG_STEPS || columns < MANY_COLUMNS || mask_size(work, work->rows.mask) * 4 <= MANY_ROW_BYTES) return 1;
    return (int)((steps + PART_STEPS - 1) / PART_STEPS);
}

/* sum[j](body) over [from, from + steps), its free indices replaced by `fresh` ones. */
static Expr *part_of_sum(Work *work, const Expr *reduce, int64_t from, int64_t steps, const Substitution *fresh)
{
    Module *module = work->s->module;
    Substitution map[MAX_RANK * 2];
    Index *old = reduce->indices[0], *index = index_new(module, old->name, steps, old->origin);
    for (int i = 0; i < work->free_count; i++) map[i] = fresh[i];
    Expr *step = expr_index(module, index, old->origin);
    if (from) step = expr_apply(module, FN_ADD, step, expr_int(module, from), NULL, reduce->place);
    map[work->free_count] = (Substitution){old, step};
    return expr_reduce(module, REDUCE_SUM, 1, &index, expr_substitute(module, reduce->args[0], map, work->free_count + 1), reduce->place);
}

/* Puts equations before `equation` for all parts but the last, which it keeps. */
static void split_sum(Work *work, int parts)
{
    Scheduler *s = work->s;
    Module *module = s->module;
    Equation *equation = work->equation;
    Expr *reduce = work->reduce;
    Substitution fresh[MAX_RANK];
    int64_t steps = reduce->indices[0]->extent, share = ((steps + parts - 1) / parts + 15) / 16 * 16, from = 0;
    Tensor *before = NULL;
    for (; from + share < steps; from += share) {
        const char *name = arena_printf(s->arena, "%s.sum%d", equation->result->name, (int)(from / share));
        Equation *part = equation_beside(s, equation, name, fresh);
        part->value = part_of_sum(work, reduce, from, share, fresh);
        if (before) part->value = expr_apply(module, FN_ADD, read_beside(module, part, before, reduce->place), part->value, NULL, reduce->place);
        Contraction *contraction = arena_new_object(s->arena, Contraction);
        bool is_contraction = contraction_prepare(s, part, contraction);
        list_push(s->arena, &s->order, part);
        list_push(s->arena, &s->contractions, is_contraction ? contraction : NULL);
        before = part->result;
    }
    for (int i = 0; i < equation->free_count; i++) fresh[i] = (Substitution){equation->free[i], expr_index(module, equation->free[i], reduce->place)};
    Expr *last = part_of_sum(work, reduce, from, steps - from, fresh);
    *reduce = *expr_apply(module, FN_ADD, read_beside(module, equation, before, reduce->place), last, NULL, reduce->place);
    plan_note(s, equation, "its sum of %" PRId64 " steps is taken %" PRId64 " at a time: rows of that length stay in a cache", steps, share);
}

/* Whether the sum is large enough, and of a form at all. */
static bool recognise(Work *work, Expr **outer)
{
    Equation *equation = work->equation;
    Expr *reduce = work->reduce;
    if (!reduce || reduce->integer || (reduce->reduction != REDUCE_SUM && reduce->reduction != REDUCE_MEAN)) return false;
    if (equation->result->type != TYPE_F32 || equation->free_count == 0) return false;
    if (equation->free_count + reduce->index_count + 1 > MAX_RANK) return false; /* an operand may need an axis for each */
    for (int i = 0; i < equation->free_count; i++) work->indices[work->index_count++] = equation->free[i];
    work->free_count = work->index_count;
    for (int i = 0; i < reduce->index_count; i++) work->indices[work->index_count++] = reduce->indices[i];
    if (equation_iterations(equation) < LEAST_MACS) return false;
    if (!collect_factors(work, reduce->args[0], outer) || work->factor_count < 2 || !choose_split(work)) return false;
    uint64_t n_mask = work->columns.mask & ~work->rows.mask;
    return mask_size(work, n_mask) >= LEAST_COLUMNS;
}

/* Moves what left the sum, and the division of a mean, behind it. */
static void rewrite_sum(Work *work, Expr *outer)
{
    Module *module = work->s->module;
    Expr *reduce = work->reduce;
    if (reduce->reduction == REDUCE_MEAN) {
        double count = (double)group_size(reduce->indices, reduce->index_count);
        Expr *scale = expr_number(module, 1 / count, false, reduce->place);
        outer = outer ? expr_apply(module, FN_MUL, outer, scale, NULL, reduce->place) : scale;
    }
    Contraction *c = work->out;
    Expr *body = expr_apply(module, FN_MUL, c->rows, c->columns, NULL, reduce->place);
    Expr *sum = expr_reduce(module, REDUCE_SUM, c->k_count, c->k, body, reduce->place);
    c->reduce = sum;
    if (outer)
        *reduce = *expr_apply(module, FN_MUL, sum, outer, NULL, reduce->place);
    else {
        *reduce = *sum;
        c->reduce = reduce;
    }
}

/* An index group whose operands carry merged indices; the factors that left the sum are part of the epilogue from the start, so
 * that merging sees their subscripts. */
static void attach_outer(Work *work, Expr *outer)
{
    if (!outer) return;
    Expr *inner = arena_new_object(work->s->arena, Expr);
    *inner = *work->reduce;
    *work->reduce = *expr_apply(work->s->module, FN_MUL, inner, outer, NULL, inner->place);
    work->reduce = inner;
}

bool contraction_prepare(Scheduler *s, Equation *equation, Contraction *contraction)
{
    Work work = {.s = s, .equation = equation, .reduce = equation_reduce(equation), .out = contraction};
    Expr *outer = NULL;
    memset(contraction, 0, sizeof *contraction);
    if (!recognise(&work, &outer)) return false;
    bool gathers = false;
    expr_reads(equation->value, work.reduce, visit_epilogue, &gathers);
    if (outer) expr_reads(outer, NULL, visit_epilogue, &gathers);
    if ((gathers || !fastest_is_last(equation)) && equation->free_count <= MAX_RANK) {
        if (equation->value == work.reduce && fastest_is_last(equation)) return false;
        Equation *first = split_epilogue(s, equation, work.reduce);
        plan_note(s, equation, "its sum is a kernel of its own: %s",
                  gathers ? "the epilogue reads at positions that are data" : "the result's fastest axis is not its last index");
        Contraction *inner = arena_new_object(s->arena, Contraction);
        bool is_contraction = contraction_prepare(s, first, inner);
        list_push(s->arena, &s->order, first);
        list_push(s->arena, &s->contractions, is_contraction ? inner : NULL);
        return false;
    }
    int parts = parts_of_sum(&work);
    if (parts > 1) {
        split_sum(&work, parts);
        return contraction_prepare(s, equation, contraction);
    }
    attach_outer(&work, outer);
    sort_indices(&work);
    choose_direct(&work);
    merge_group(&work, contraction->batch, &contraction->batch_count, false);
    merge_group(&work, contraction->m, &contraction->m_count, false);
    merge_group(&work, contraction->n, &contraction->n_count, false);
    merge_group(&work, contraction->k, &contraction->k_count, true);
    prepare_rows(&work);
    prepare_columns(&work);
    rewrite_sum(&work, NULL);
    return true;
}

void prepare_contractions(Scheduler *s)
{
    int count = s->module->equations.count;
    for (int i = 0; i < count; i++) {
        Equation *equation = s->module->equations.data[i];
        if (equation->packed) continue;
        Contraction *contraction = arena_new_object(s->arena, Contraction);
        bool is_contraction = contraction_prepare(s, equation, contraction);
        list_push(s->arena, &s->order, equation);
        list_push(s->arena, &s->contractions, is_contraction ? contraction : NULL);
    }
}
