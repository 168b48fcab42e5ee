/* Row kernels: the equations of a kernel one after the other, for each row.
 * In: the kernel's equations and how many leading free indices are the row.  Out: tasks of whole rows; scratch tensors as arrays. */
#include "loop/lowering.h"

#include "support/bug.h"

typedef struct {
    int count;                 /* row indices */
    const Index *indices[MAX_RANK * 2]; /* of the first equation: extents and names */
    Value *values[MAX_RANK * 2];
    int levels;                /* the scope that knows them all */
} Rows;

/* --- scratch ------------------------------------------------------------------------------------------------------- */
/* Whether an axis of a scratch tensor is dropped: everywhere written by row indices alone. */
static bool is_row_axis(const Kernel *kernel, const Tensor *tensor, int axis)
{
    bool row = false;
    for (int k = 0; k < kernel->equations.count; k++) {
        const Equation *equation = kernel->equations.data[k];
        if (equation->result != tensor) continue;
        const Expr *subscript = equation->subscripts[axis];
        if (subscript->kind != EXPR_INDEX) return false;
        row = false;
        for (int i = 0; i < kernel->row_count; i++) row |= equation->free[i] == subscript->index;
        if (!row) return false;
    }
    return row;
}

Access scratch_access(const Lowering *l, const Tensor *tensor, int64_t rows, int64_t *elements)
{
    const Kernel *kernel = l->kernel->kernel;
    Access access = {.tensor = tensor};
    int64_t count = 1;
    int last = -1;
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        if (is_row_axis(kernel, tensor, axis)) {
            if (last < 0) last = axis;
            continue;
        }
        access.strides[axis] = count;
        count *= tensor->extents[axis];
    }
    if (rows > 1) {
        access.origin_step = access.strides[last] = count == 1 ? 1 : (count + 15) / 16 * 16;
        count = access.origin_step * rows;
    }
    *elements = count;
    return access;
}

Access *declare_scratch(Lowering *l, const Tensor *tensor, int64_t rows)
{
    int64_t count;
    Access access = scratch_access(l, tensor, rows, &count);
    const char *dot = strrchr(tensor->name, '.');
    access.buffer = build_array(l->build, dot ? dot + 1 : tensor->name, tensor->type, count);
    list_push(l->arena, &l->accesses, access);
    return &l->accesses.data[l->accesses.count - 1];
}

/* --- rows ---------------------------------------------------------------------------------------------------------- */
static int64_t equation_work(const Equation *equation)
{
    int64_t work = ELEMENT_WORK;
    for (int k = 0; k < equation->free_count; k++) work *= equation->free[k]->extent;
    const Expr *reduce = find_reduce(equation->value);
    for (int k = 0; reduce && k < reduce->index_count; k++) work *= reduce->indices[k]->extent;
    return work;
}

static int64_t row_total(const Rows *rows)
{
    int64_t total = 1;
    for (int k = 0; k < rows->count; k++) total *= rows->indices[k]->extent;
    return total;
}

static int64_t choose_tasks(const Kernel *kernel, const Rows *rows)
{
    int64_t work = 0, total = row_total(rows);
    for (int k = 0; k < kernel->equations.count; k++) work += equation_work(kernel->equations.data[k]);
    return share_tasks(kernel->serial ? 0 : work, total);
}

static void lower_body(Lowering *l, const Rows *rows)
{
    const Kernel *kernel = l->kernel->kernel;
    int innermost = rows->count - 1;
    while (innermost > 0 && rows->indices[innermost]->extent == 1) innermost--;
    if (innermost >= 0) find_rows_ahead(l, innermost, rows->count, rows->values, scope_level(l));
    for (int k = 0; k < kernel->equations.count; k++)
        lower_equation(l, kernel->equations.data[k], rows->count, rows->values, scope_level(l));
    fetch_rows_ahead(l);
}

/* All rows by loops, the row indices from `from` on. */
static void nest_rows(Lowering *l, Rows *rows, int from)
{
    if (from == rows->count) {
        lower_body(l, rows);
        return;
    }
    const Index *index = rows->indices[from];
    if (index->extent == 1) {
        rows->values[from] = build_int(l->build, 0);
        nest_rows(l, rows, from + 1);
        return;
    }
    Statement *loop = loop_open(l, index->name, build_int(l->build, 0), build_int(l->build, index->extent), 1);
    rows->values[from] = loop_variable(l, loop);
    nest_rows(l, rows, from + 1);
    loop_close(l, loop);
}

/* task * total / tasks. */
static Value *share(Lowering *l, int64_t total, int64_t more)
{
    Builder *build = l->build;
    int64_t tasks = l->kernel->tasks;
    Value *task = build_add(build, build_variable(build, l->kernel->task), build_int(build, more));
    if (tasks == 1) return build_int(build, more * total);
    if (total % tasks == 0) return build_mul(build, task, build_int(build, total / tasks));
    return build_op(build, OP_FLOORDIV, build_mul(build, task, build_int(build, total)), build_int(build, tasks), NULL);
}

int64_t share_tasks(int64_t work, int64_t total)
{
    if (work < LEAST_SHARED_WORK) return 1;
    int64_t tasks = work / LEAST_TASK_WORK;
    if (tasks > MOST_TASKS) tasks = MOST_TASKS;
    return tasks > total ? total : tasks;
}

Statement *open_share(Lowering *l, const char *name, int64_t total)
{
    return loop_open(l, name, share(l, total, 0), share(l, total, 1), 1);
}

void bind_digits(Lowering *l, Value *number, int64_t total, const Index *const *indices, int count)
{
    Builder *build = l->build;
    int64_t below = total;
    for (int k = 0; k < count; k++) {
        below /= indices[k]->extent;
        Value *place = build_op(build, OP_FLOORDIV, number, build_int(build, below), NULL);
        if (k > 0) place = build_op(build, OP_MOD, place, build_int(build, indices[k]->extent), NULL);
        place = scope_settle(l, (Lowered){place, scope_level(l)}, indices[k]->name).value;
        scope_bind(l, indices[k], place, scope_level(l), 0);
    }
}

/* This task's share of the first row index, or of all flattened where the first is short. */
static void share_rows(Lowering *l, Rows *rows, int64_t tasks)
{
    Builder *build = l->build;
    int flat = 1;
    int64_t total = rows->indices[0]->extent;
    while (flat < rows->count && total < 4 * tasks && total % tasks != 0) total *= rows->indices[flat++]->extent;
    Statement *loop = loop_open(l, flat == 1 ? rows->indices[0]->name : "row", share(l, total, 0), share(l, total, 1), 1);
    Value *row = loop_variable(l, loop);
    int64_t below = total;
    for (int k = 0; k < flat; k++) {
        int64_t extent = rows->indices[k]->extent;
        below /= extent;
        Value *place = build_op(build, OP_FLOORDIV, row, build_int(build, below), NULL);
        if (k > 0) place = build_op(build, OP_MOD, place, build_int(build, extent), NULL);
        rows->values[k] = scope_settle(l, (Lowered){place, scope_level(l)}, rows->indices[k]->name).value;
    }
    nest_rows(l, rows, flat);
    loop_close(l, loop);
}

/* Whether the only equation's last free index, alone left to be a row, is better computed as vectors: sums of neighbours over what does
 * not lie in a row (the mean over tokens). One choice for all targets where their bits are to be the same. */
static bool is_vector_of_sums(Lowering *l, const Rows *rows)
{
    const Kernel *kernel = l->kernel->kernel;
    const Equation *equation = kernel->equations.data[0];
    const Expr *reduce = find_reduce(equation->value);
    if (kernel->equations.count > 1 || rows->count != equation->free_count || !reduce || reduce->reduction == REDUCE_ARGMAX) return false;
    if (reduce->args[0]->integer || (l->target->lanes == 1 && !l->plan->reproducible)) return false;
    const Index *last = equation->free[rows->count - 1];
    lowering_equation(l, equation);
    if (last->extent < 16 || !result_is_dense(l, last) || !(node_info(l, reduce)->deps & index_bit(l, last))) return false;
    for (int k = 0; k < reduce->index_count; k++)
        if (reduce->indices[k]->extent > 1 && vector_cost(l, reduce->args[0], reduce->indices[k]) == 0) return false;
    return vector_cost(l, reduce->args[0], last) == 0 && vector_cost(l, equation->value, last) == 0;
}

void lower_rows(Lowering *l)
{
    const Kernel *kernel = l->kernel->kernel;
    const Equation *first = kernel->equations.data[0];
    Rows rows = {.count = kernel->form == KERNEL_ROWS ? kernel->row_count : 0};
    if (kernel->equations.count == 1 && rows.count == 0 && first->free_count > 1) rows.count = first->free_count - 1;
    for (int k = 0; k < rows.count; k++) rows.indices[k] = first->free[k];
    if (rows.count > 0 && is_vector_of_sums(l, &rows)) rows.count--;
    for (int k = 0; k < kernel->scratch.count; k++) declare_scratch(l, kernel->scratch.data[k], 1);
    int64_t tasks = choose_tasks(kernel, &rows);
    l->kernel->tasks = tasks;
    if (tasks > 1) share_rows(l, &rows, tasks);
    else nest_rows(l, &rows, 0);
}
