/* Chains: a contraction, a row kernel and another contraction, each of which hands the next one nothing but rows: softmax(q k) v.
 * In: calls in order.  Out: such three calls are one row kernel that computes a block of rows of the first contraction, then the row
 * equations, then the rows of the second one, so that what lies between them never leaves the caches.
 *
 *   s[b, i, j] = sum[d](q[b, i, d] * k[b, j, d]);  p[b, i, j] = f(s[b, i, ..]);  o[b, i, e] = sum[j](p[b, i, j] * v[b, j, e]) */
#include "schedule/contraction.h"

#include <string.h>

enum { LEAST_BYTES = 16 * 1024, MOST_COLUMN_BYTES = 1024 * 1024 };

typedef struct {
    Scheduler *s;
    Call *first, *rows, *second;
    Tensor *between, *last; /* the first contraction's result, the second one's operand */
    int row_count;
} Links;

/* No other call than `reader` reads the tensor, and one equation writes it. */
static bool handed_over(const Scheduler *s, const Tensor *tensor, const Call *reader, const Call *writer)
{
    const TensorPlan *plan = tensor_plan(tensor);
    if (tensor->kind != TENSOR_LOCAL || tensor->packed || tensor->output_name || plan->writer_count != 1 || plan->panels) return false;
    for (int i = 0; i < s->calls.count; i++) {
        const Call *call = s->calls.data[i];
        for (int j = 0; j < call->reads.count; j++)
            if (call->reads.data[j] == tensor && call != reader && call != writer) return false;
    }
    return true;
}

/* Batches, one index of rows, one of columns, each alone on an axis of the result in that order. */
static bool writes_rows(const Equation *equation, const Contraction *c)
{
    if (c->m_count != 1 || c->n_count != 1 || equation->free_count != c->batch_count + 2 || equation->rank != equation->free_count) return false;
    if (equation->free[c->batch_count] != c->m[0] || equation->free[c->batch_count + 1] != c->n[0]) return false;
    for (int axis = 0; axis < equation->rank; axis++)
        if (!subscript_is(equation->subscripts[axis], equation->free[axis])) return false;
    return true;
}

typedef struct {
    const Tensor *tensor;
    int count;
} ReadCount;

static void count_read(Expr *read, bool inside, void *context)
{
    (void)inside;
    ReadCount *reads = context;
    reads->count += read->tensor == reads->tensor;
}

/* The second contraction reads its rows once, at [batch…, m, k]: those become its leading free indices. */
static bool reads_rows(const Links *links, Index **leading)
{
    const Contraction *c = &links->second->kernel->contraction;
    const Equation *equation = links->second->equations.data[0];
    ReadCount reads = {.tensor = links->last};
    expr_reads(equation->value, NULL, count_read, &reads);
    if (reads.count != 1 || c->m_count != 1 || c->k_count != 1 || c->rows->count != c->batch_count + 2 || c->rows->tensor != links->last) return false;
    for (int axis = 0; axis < c->batch_count; axis++) {
        int k = 0;
        while (k < c->batch_count && !subscript_is(c->rows->args[axis], c->batch[k])) k++;
        if (k == c->batch_count) return false;
        leading[axis] = c->batch[k];
    }
    leading[c->batch_count] = c->m[0];
    return subscript_is(c->rows->args[c->batch_count], c->m[0]) && subscript_is(c->rows->args[c->batch_count + 1], c->k[0]);
}

static void bring_forward(Equation *equation, Index *const *leading, int count)
{
    Index *ordered[MAX_RANK * 2];
    int at = count;
    memcpy(ordered, leading, (size_t)count * sizeof *ordered);
    for (int i = 0; i < equation->free_count; i++) {
        bool leads = false;
        for (int k = 0; k < count; k++) leads |= leading[k] == equation->free[i];
        if (!leads) ordered[at++] = equation->free[i];
    }
    memcpy(equation->free, ordered, (size_t)at * sizeof *ordered);
}

/* The rows that lie between fit the stack: enough of them for a tile. */
static bool rows_fit(const Links *links)
{
    int64_t row = 0;
    for (int i = 0; i < links->rows->equations.count; i++) {
        const Equation *equation = links->rows->equations.data[i];
        int64_t size = 4;
        for (int k = links->row_count; k < equation->free_count; k++) size *= equation->free[k]->extent;
        row += size;
    }
    int64_t length = links->between->extents[links->row_count];
    return row + length * 4 <= ROW_SCRATCH_LIMIT && (length + links->last->extents[links->row_count]) * 4 * CHAIN_ROWS <= CHAIN_BYTES;
}

/* Every block of rows reads all columns of both contractions again: they stay in a cache. */
static bool columns_fit(const Call *call)
{
    const Contraction *c = &call->kernel->contraction;
    return group_size(c->k, c->k_count) * group_size(c->n, c->n_count) * 4 <= MOST_COLUMN_BYTES;
}

static bool find_first(Links *links)
{
    const Scheduler *s = links->s;
    for (int i = 0; i < links->rows->reads.count; i++) {
        Tensor *tensor = links->rows->reads.data[i];
        Call *call = tensor_plan(tensor)->call;
        if (!call || call == links->rows || call->kernel->form != KERNEL_CONTRACTION || call->gathers) continue;
        if (!writes_rows(call->equations.data[0], &call->kernel->contraction) || !handed_over(s, tensor, links->rows, call)) continue;
        links->first = call;
        links->between = tensor;
        links->row_count = call->kernel->contraction.batch_count + 1;
        return tensor_count(tensor) * 4 >= LEAST_BYTES;
    }
    return false;
}

/* Whether the row kernel runs over the same rows and hands over nothing but `last`. */
static bool rows_match(const Links *links)
{
    const Call *rows = links->rows;
    const Equation *first = links->first->equations.data[0];
    if (rows->row_limit < links->row_count || links->last->rank != links->row_count + 1) return false;
    for (int i = 0; i < rows->equations.count; i++) {
        const Equation *equation = rows->equations.data[i];
        if (equation->free_count < links->row_count) return false;
        for (int k = 0; k < links->row_count; k++)
            if (equation->free[k]->extent != first->free[k]->extent) return false;
        if (!handed_over(links->s, equation->result, equation->result == links->last ? links->second : rows, rows)) return false;
    }
    return true;
}

static bool find_chain(Links *links)
{
    Index *leading[MAX_RANK];
    bool reads;
    const Call *second = links->second;
    if (second->kernel->form != KERNEL_CONTRACTION || second->gathers) return false;
    links->last = second->kernel->contraction.rows->tensor;
    links->rows = tensor_plan(links->last)->call;
    if (!links->rows || links->rows == second || links->rows->kernel->form != KERNEL_ROWS || links->rows->gathers || links->rows->windows) return false;
    if (!find_first(links) || !rows_match(links) || !reads_rows(links, leading)) return false;
    Equation *equation = second->equations.data[0];
    if (second->kernel->contraction.batch_count + 1 != links->row_count) return false;
    for (int k = 0; k < links->row_count; k++)
        if (leading[k]->extent != links->first->equations.data[0]->free[k]->extent) return false;
    if (!reads_same_row(links->first, links->rows, links->row_count, &reads)) return false;
    if (!rows_fit(links)) {
        plan_note(links->s, equation, "%s is stored whole: a block of its rows would not fit the stack", links->between->name);
        return false;
    }
    if (!columns_fit(links->first) || !columns_fit(links->second)) {
        plan_note(links->s, equation, "%s is stored whole: each block of its rows would read too many columns again", links->between->name);
        return false;
    }
    bring_forward(equation, leading, links->row_count);
    return true;
}

static void make_chain(Links *links)
{
    Scheduler *s = links->s;
    Call *call = arena_new_object(s->arena, Call);
    Call *const parts[] = {links->first, links->rows, links->second};
    RowChain *chain = arena_new_object(s->arena, RowChain);
    chain->first = links->first->kernel->contraction;
    chain->second = links->second->kernel->contraction;
    call->kernel = arena_new_object(s->arena, Kernel);
    call->kernel->form = KERNEL_ROWS;
    call->kernel->chain = chain;
    call->row_limit = links->row_count;
    for (int i = 0; i < 3; i++) call_absorb(s, call, parts[i]);
    int kept = 0;
    for (int i = 0; i < s->calls.count; i++) {
        Call *other = s->calls.data[i];
        if (other == links->first || other == links->rows) continue;
        s->calls.data[kept++] = other == links->second ? call : other;
    }
    s->calls.count = kept;
    calls_renumber(s, 0);
    plan_note(s, call->equations.data[0], "%s and %s never leave a block of rows", links->between->name, links->last->name);
}

void form_chains(Scheduler *s)
{
    if (s->options.keep_all || s->options.reproducible) return;
    for (int i = 0; i < s->calls.count; i++) {
        Links links = {.s = s, .second = s->calls.data[i]};
        if (!find_chain(&links)) continue;
        make_chain(&links);
        i -= 2;
    }
}
