/* Invariants of a plan; bug() names what is broken. What a plan computes is checked by running it (execute.h). */
#include "schedule/schedule.h"

#include "support/bug.h"

#include <ctype.h>
#include <string.h>

static bool in_group(Index *const *group, int count, const Index *index)
{
    for (int i = 0; i < count; i++)
        if (group[i] == index) return true;
    return false;
}

static void verify_groups(const Kernel *kernel)
{
    const Contraction *c = &kernel->contraction;
    const Equation *equation = kernel->equations.data[0];
    if (kernel->equations.count != 1) bug("kernel %s: a contraction of %d equations", kernel->name, kernel->equations.count);
    if (c->n_count < 1 || c->k_count < 1) bug("kernel %s: no n or no k", kernel->name);
    if (c->panels && c->n_count != 1) bug("kernel %s: %d n indices over panels", kernel->name, c->n_count);
    if (c->batch_count + c->m_count + c->n_count != equation->free_count) bug("kernel %s: free indices without a group", kernel->name);
    for (int i = 0; i < equation->free_count; i++) {
        const Index *index = equation->free[i];
        int found = in_group(c->batch, c->batch_count, index) + in_group(c->m, c->m_count, index) + in_group(c->n, c->n_count, index);
        if (found != 1) bug("kernel %s: index %s is in %d groups", kernel->name, index->name, found);
        if (in_group(c->m, c->m_count, index) && expr_uses(c->columns, index)) bug("kernel %s: columns vary with m", kernel->name);
        if (in_group(c->n, c->n_count, index) && expr_uses(c->rows, index)) bug("kernel %s: rows vary with n", kernel->name);
    }
    if (c->reduce->kind != EXPR_REDUCE || c->reduce->reduction != REDUCE_SUM || c->reduce->index_count != c->k_count)
        bug("kernel %s: no sum over its k", kernel->name);
    const Expr *body = c->reduce->args[0];
    if (body->kind != EXPR_APPLY || body->function != FN_MUL || body->args[0] != c->rows || body->args[1] != c->columns)
        bug("kernel %s: its body is not rows times columns", kernel->name);
    if (c->rows->kind != EXPR_READ || c->columns->kind != EXPR_READ || c->rows->otherwise || c->columns->otherwise)
        bug("kernel %s: an operand is no plain read", kernel->name);
}

static void verify_rows(const Kernel *kernel)
{
    const Equation *first = kernel->equations.data[0];
    for (int i = 0; i < kernel->equations.count; i++) {
        const Equation *equation = kernel->equations.data[i];
        if (equation->free_count < kernel->row_count) bug("kernel %s: %s has too few indices", kernel->name, equation->result->name);
        for (int row = 0; row < kernel->row_count; row++)
            if (equation->free[row]->extent != first->free[row]->extent) bug("kernel %s: rows differ in extent", kernel->name);
    }
}

static void verify_name(const char *name)
{
    if (!name || !name[0] || isdigit((unsigned char)name[0])) bug("kernel without a proper name");
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_') bug("kernel %s: not an identifier", name);
}

typedef struct {
    const Kernel *kernel;
} Known;

static void visit_known(Expr *read, bool inside, void *context)
{
    (void)inside;
    const Kernel *kernel = ((const Known *)context)->kernel;
    for (int i = 0; i < kernel->parameters.count; i++)
        if (kernel->parameters.data[i].tensor == read->tensor) return;
    for (int i = 0; i < kernel->scratch.count; i++)
        if (kernel->scratch.data[i] == read->tensor) return;
    bug("kernel %s reads %s, which is no parameter", kernel->name, read->tensor->name);
}

static void verify_kernel(const Kernel *kernel)
{
    verify_name(kernel->name);
    if (kernel->equations.count < 1) bug("kernel %s: empty", kernel->name);
    if (kernel->form == KERNEL_CONTRACTION)
        verify_groups(kernel);
    else
        verify_rows(kernel);
    Known known = {kernel};
    int64_t scratch = 0;
    for (int i = 0; i < kernel->equations.count; i++) expr_reads(kernel->equations.data[i]->value, NULL, visit_known, &known);
    for (int i = 0; i < kernel->scratch.count; i++) {
        const Layout *layout = tensor_layout(kernel->scratch.data[i]);
        if (layout->storage != STORE_NONE) bug("kernel %s: scratch %s has a place", kernel->name, kernel->scratch.data[i]->name);
        scratch += layout->bytes;
    }
    if (scratch > ROW_SCRATCH_LIMIT) bug("kernel %s: %lld bytes of scratch", kernel->name, (long long)scratch);
}

static void verify_extent(const Plan *plan, const Step *step, const CallArgument *argument, const int64_t *counts, int depth)
{
    const Layout *layout = tensor_layout(argument->tensor);
    int64_t low = layout->offset_bytes, high = low + layout->bytes;
    for (int i = 0; i < depth; i++) {
        int64_t reach = argument->step_bytes[i] * (counts[i] - 1);
        *(reach < 0 ? &low : &high) += reach;
    }
    bool inside = true;
    if (layout->storage == STORE_ARENA) inside = low >= 0 && high <= plan->arena_bytes + layout->bytes;
    if (layout->storage == STORE_BLOB) inside = low >= 0 && high <= plan->blob_bytes + layout->bytes;
    if (layout->storage == STORE_NONE) inside = false;
    if (!inside) bug("kernel %s: argument %s is outside its memory", step->kernel->name, argument->tensor->name);
}

static void verify_step(const Plan *plan, const Step *step, int64_t *counts, int depth)
{
    if (step->kind == STEP_LOOP) {
        if (depth >= 4) bug("loops nested deeper than 4");
        if (step->count < 2) bug("a loop of %lld turns", (long long)step->count);
        counts[depth] = step->count;
        for (int i = 0; i < step->steps.count; i++) verify_step(plan, step->steps.data[i], counts, depth + 1);
        return;
    }
    if (step->arguments.count != step->kernel->parameters.count)
        bug("kernel %s: call with %d arguments", step->kernel->name, step->arguments.count);
    for (int i = 0; i < step->arguments.count; i++) {
        const Tensor *given = step->arguments.data[i].tensor, *wanted = step->kernel->parameters.data[i].tensor;
        if (given->type != wanted->type || given->rank != wanted->rank)
            bug("kernel %s: argument %s does not fit", step->kernel->name, given->name);
        for (int axis = 0; axis < given->rank; axis++)
            if (tensor_layout(given)->strides[axis] != tensor_layout(wanted)->strides[axis] ||
                given->extents[axis] != wanted->extents[axis])
                bug("kernel %s: argument %s lies differently", step->kernel->name, given->name);
        verify_extent(plan, step, &step->arguments.data[i], counts, depth);
    }
}

void plan_verify(const Plan *plan)
{
    int64_t end = 0, counts[4];
    for (int i = 0; i < plan->kernels.count; i++) {
        const Kernel *kernel = plan->kernels.data[i];
        if (kernel->id != i) bug("kernel %s: wrong id", kernel->name);
        verify_kernel(kernel);
        for (int j = 0; j < i; j++)
            if (strcmp(plan->kernels.data[j]->name, kernel->name) == 0) bug("two kernels named %s", kernel->name);
    }
    for (int i = 0; i < plan->steps.count; i++) verify_step(plan, plan->steps.data[i], counts, 0);
    for (int i = 0; i < plan->blob.count; i++) {
        const Layout *layout = tensor_layout(plan->blob.data[i]);
        if (layout->storage != STORE_BLOB || layout->offset_bytes < end || layout->offset_bytes % BLOB_ALIGNMENT)
            bug("blob: %s overlaps", plan->blob.data[i]->name);
        end = layout->offset_bytes + layout->bytes;
    }
    if (end > plan->blob_bytes || plan->arena_bytes < plan->arena_bound || plan->arena_bound < plan->arena_live) bug("plan: sizes are wrong");
}
