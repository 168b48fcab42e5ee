/* Calls: each contraction is one; the other equations are grouped into row kernels.
 * In: run-time equations in order.  Out: calls in an order that keeps dependencies; tensors that live within one row only.
 *
 * A group runs its equations one after the other for each row (layernorm: mean, variance, normalise). Two groups may become one when
 * their leading free indices agree, when each reads the other's results in its own row alone, and when no call between needs the
 * one and is needed by the other. */
#include "schedule/schedule.h"

#include "equation/count.h"
#include "equation/index.h"
#include "schedule/lines.h"

enum { WINDOW = 256, SMALL_WORK = 8192, LEAST_ROWS = 8 };

/* --- rows of one equation ------------------------------------------------------------------------------------------ */
typedef struct {
    const Index *last;
    int along, across; /* reads in the reduction whose neighbours lie along the last free index, or along a reduced one */
} Direction;

static void visit_direction(Expr *read, bool inside, void *context)
{
    Direction *direction = context;
    Linear linear;
    if (!inside || read->count == 0 || !index_linear(read->args[read->count - 1], &linear)) return;
    if (linear_coefficient(&linear, direction->last))
        direction->along++;
    else if (linear.count)
        direction->across++;
}

/* How many leading free indices may be rows, so that what remains is worth a loop of its own. */
static int row_limit(const Equation *equation)
{
    int count = equation->free_count;
    if (count == 0) return 0;
    const Expr *reduce = equation_reduce(equation);
    if (reduce) {
        Direction direction = {.last = equation->free[count - 1]};
        expr_reads(equation->value, reduce, visit_direction, &direction);
        return direction.along > direction.across ? count - 1 : count;
    }
    return count - 1;
}

typedef struct {
    const Equation *equation;
    const Index *last;
    bool along, plain, moving; /* some operand varies along the last index, all are plain, one moves in windows */
    bool bordered;             /* some have a border of one number */
} Windows;

static bool is_free(const Equation *equation, const Index *index)
{
    for (int i = 0; i < equation->free_count; i++)
        if (equation->free[i] == index) return true;
    return false;
}

static void visit_windows(Expr *read, bool inside, void *context)
{
    Windows *windows = context;
    if (!inside) return;
    if (read->tensor->type != TYPE_F32) windows->plain = false;
    windows->bordered |= read->otherwise != NULL;
    for (int axis = 0; axis < read->count; axis++) {
        Linear linear;
        int free = 0, reduced = 0;
        if (!index_linear(read->args[axis], &linear)) {
            windows->plain = false;
            return;
        }
        int64_t step = linear_coefficient(&linear, windows->last);
        if (step && (axis < read->count - 1 || step != 1)) windows->plain = false;
        windows->along |= step != 0;
        for (int i = 0; i < linear.count; i++) *(is_free(windows->equation, linear.indices[i]) ? &free : &reduced) += 1;
        windows->moving |= free && reduced;
    }
}

bool is_windows(const Scheduler *s, const Equation *equation)
{
    const Expr *reduce = equation_reduce(equation);
    if (!reduce || reduce->reduction == REDUCE_ARGMAX || reduce->args[0]->integer || equation->free_count < 2) return false;
    const Index *last = equation->free[equation->free_count - 1];
    Linear linear;
    if (equation->rank == 0 || !index_linear(equation->subscripts[equation->rank - 1], &linear) || linear_coefficient(&linear, last) != 1) return false;
    Windows windows = {.equation = equation, .last = last, .plain = true};
    expr_reads(equation->value, reduce, visit_windows, &windows);
    if (!windows.plain || !windows.along || !windows.moving) return false;
    WindowLines lines;
    return !windows.bordered || (s->family == FAMILY_VECTOR && window_lines(equation, reduce, &lines));
}

/* A map alone runs over as many inner indices as make a vector loop worth it. */
static int map_rows(const Equation *equation)
{
    int64_t inner = 1;
    int rows = equation->free_count;
    do inner *= equation->free[--rows]->extent;
    while (rows > 1 && inner < 32);
    return rows;
}

/* --- same row ------------------------------------------------------------------------------------------------------ */
static bool other_axes_use(Expr *const *subscripts, int rank, int axis, const Index *index)
{
    for (int other = 0; other < rank; other++)
        if (other != axis && expr_uses(subscripts[other], index)) return true;
    return false;
}

/* The axis of the result on which the row index stands alone; -1: none. */
static int row_axis(const Equation *writer, int row)
{
    const Index *index = writer->free[row];
    for (int axis = 0; axis < writer->rank; axis++)
        if (subscript_is(writer->subscripts[axis], index))
            return writer->result->extents[axis] == index->extent && !other_axes_use(writer->subscripts, writer->rank, axis, index) ? axis
                                                                                                                                    : -1;
    return -1;
}

typedef struct {
    const Call *producer;
    const Equation *reader;
    int rows;
    bool reads, same;
} SameRow;

static void visit_same_row(Expr *read, bool inside, void *context)
{
    (void)inside;
    SameRow *check = context;
    const TensorPlan *plan = tensor_plan(read->tensor);
    if (!plan->writer || plan->call != check->producer) return;
    check->reads = true;
    if (plan->writer_count != 1) check->same = false;
    for (int row = 0; row < check->rows && check->same; row++) {
        int axis = row_axis(plan->writer, row);
        check->same = axis >= 0 && subscript_is(read->args[axis], check->reader->free[row]);
    }
}

bool reads_same_row(const Call *producer, const Call *consumer, int rows, bool *reads)
{
    *reads = false;
    for (int i = 0; i < consumer->equations.count; i++) {
        const Equation *equation = consumer->equations.data[i];
        SameRow check = {producer, equation, rows, false, true};
        expr_reads(equation->value, NULL, visit_same_row, &check);
        *reads |= check.reads;
        if (!check.same) return false;
    }
    return true;
}

static int64_t call_work(const Call *call)
{
    int64_t work = 0;
    for (int i = 0; i < call->equations.count; i++) work += equation_iterations(call->equations.data[i]);
    return work;
}

/* What one gives the other is a single value (the mean of a vector, its softmax' sum): worth one task when small. */
static bool share_value(const Call *a, const Call *b)
{
    if (call_work(a) + call_work(b) > SMALL_WORK) return false;
    if (b->equations.count == 1 && b->equations.data[0]->free_count == 0) return true;
    for (int i = 0; i < a->equations.count; i++)
        if (a->equations.data[i]->free_count == 0) return true;
    return false;
}

/* The number of row axes under which both could be one kernel; -1: none. */
static int common_rows(const Call *a, const Call *b)
{
    const Equation *first = a->equations.data[0], *second = b->equations.data[0];
    int limit = 0;
    int64_t rows = 1;
    bool reads;
    while (limit < a->row_limit && limit < b->row_limit && first->free[limit]->extent == second->free[limit]->extent) limit++;
    for (int i = 0; i < limit; i++) rows *= first->free[i]->extent;
    bool fewer = limit < a->row_limit || limit < b->row_limit;
    for (; limit > 0; limit--) {
        if (fewer && rows < LEAST_ROWS) break;
        if (reads_same_row(a, b, limit, &reads)) return reads ? limit : -1;
        rows /= first->free[limit - 1]->extent;
        fewer = true;
    }
    return share_value(a, b) && reads_same_row(a, b, 0, &reads) && reads ? 0 : -1;
}

/* --- order of calls ------------------------------------------------------------------------------------------------ */
static bool reads_marked(const Call *call, int stamp)
{
    for (int i = 0; i < call->reads.count; i++) {
        const TensorPlan *plan = tensor_plan(call->reads.data[i]);
        if (plan->stamp == stamp) return true;
    }
    return false;
}

static void mark_writes(const Call *call, int stamp)
{
    for (int i = 0; i < call->writes.count; i++) tensor_plan(call->writes.data[i])->stamp = stamp;
}

void calls_renumber(Scheduler *s, int from)
{
    for (int i = from; i < s->calls.count; i++) s->calls.data[i]->position = i;
}

/* Moves the call at `from` next to the one at `to` > from and what depends on it behind. False: some call between depends on the
 * first and is needed by the second. */
static bool bring_together(Scheduler *s, int from, int to)
{
    Call *first = s->calls.data[from], *second = s->calls.data[to];
    int stamp = ++s->stamp, count = 0;
    Call *after[WINDOW];
    if (to - from >= WINDOW) return false;
    mark_writes(first, stamp);
    for (int i = from + 1; i < to; i++) {
        Call *call = s->calls.data[i];
        if (!reads_marked(call, stamp)) continue;
        after[count++] = call;
        mark_writes(call, stamp);
    }
    for (int i = 0; i < first->writes.count; i++) tensor_plan(first->writes.data[i])->stamp = 0;
    if (reads_marked(second, stamp)) return false;
    int kept = from, taken = 0;
    for (int i = from + 1; i < to; i++) {
        if (taken < count && s->calls.data[i] == after[taken])
            taken++;
        else
            s->calls.data[kept++] = s->calls.data[i];
    }
    s->calls.data[kept++] = first;
    s->calls.data[kept++] = second;
    for (int i = 0; i < count; i++) s->calls.data[kept++] = after[i];
    calls_renumber(s, from);
    return true;
}

/* --- merging ------------------------------------------------------------------------------------------------------- */
static void push_tensor(Scheduler *s, Call *call, Tensor *tensor, bool written)
{
    for (int i = 0; i < (written ? call->writes.count : call->reads.count); i++)
        if ((written ? call->writes.data : call->reads.data)[i] == tensor) return;
    if (written)
        list_push(s->arena, &call->writes, tensor);
    else
        list_push(s->arena, &call->reads, tensor);
}

void call_absorb(Scheduler *s, Call *into, const Call *from)
{
    for (int i = 0; i < from->equations.count; i++) {
        Equation *equation = from->equations.data[i];
        list_push(s->arena, &into->equations, equation);
        if (tensor_plan(equation->result)->writer == equation) tensor_plan(equation->result)->call = into;
    }
    for (int i = 0; i < from->reads.count; i++) push_tensor(s, into, from->reads.data[i], false);
    for (int i = 0; i < from->writes.count; i++) push_tensor(s, into, from->writes.data[i], true);
}

static void absorb(Scheduler *s, Call *into, Call *from, int rows)
{
    call_absorb(s, into, from);
    into->row_limit = rows;
    int at = from->position;
    memmove(s->calls.data + at, s->calls.data + at + 1, (size_t)(s->calls.count - at - 1) * sizeof *s->calls.data);
    s->calls.count--;
    calls_renumber(s, at);
}

static bool is_rows(const Call *call)
{
    return call->kernel->form == KERNEL_ROWS && !call->gathers && !call->windows;
}

/* Joins `call` with one of the groups it reads, the latest that can be. */
static bool join_producer(Scheduler *s, Call **call)
{
    int limit = (*call)->position;
    for (;;) {
        Call *producer = NULL;
        for (int i = 0; i < (*call)->reads.count; i++) {
            const TensorPlan *plan = tensor_plan((*call)->reads.data[i]);
            if (!plan->writer || plan->writer_count != 1 || !plan->call || plan->call == *call || !is_rows(plan->call)) continue;
            if (plan->call->position < limit && (!producer || plan->call->position > producer->position)) producer = plan->call;
        }
        if (!producer) return false;
        limit = producer->position;
        int rows = common_rows(producer, *call);
        if (rows < 0 || !bring_together(s, producer->position, (*call)->position)) continue;
        absorb(s, producer, *call, rows);
        *call = producer;
        return true;
    }
}

/* --- scratch ------------------------------------------------------------------------------------------------------- */
/* Lays a tensor out as one row of it; false when some row index does not stand alone. */
static bool row_layout(const Equation *writer, int rows, Layout *layout)
{
    const Tensor *tensor = writer->result;
    bool is_row[MAX_RANK] = {false};
    for (int row = 0; row < rows; row++) {
        int axis = row_axis(writer, row);
        if (axis < 0) return false;
        is_row[axis] = true;
    }
    int64_t dense = 1;
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        layout->strides[axis] = is_row[axis] ? 0 : dense;
        if (!is_row[axis]) dense *= tensor->extents[axis];
    }
    layout->storage = STORE_NONE;
    layout->bytes = dense * element_type_size(tensor->type);
    return true;
}

static void find_scratch(Scheduler *s, Call *call)
{
    int64_t total = 0;
    if (call->kernel->form != KERNEL_ROWS || call->equations.count < 2) return;
    for (int i = 0; i < call->equations.count; i++) {
        Tensor *tensor = call->equations.data[i]->result;
        TensorPlan *plan = tensor_plan(tensor);
        Layout layout = {0};
        if (plan->writer_count != 1 || tensor->output_name || plan->last_read > call->position) continue;
        if (!row_layout(plan->writer, call->row_limit, &layout) || total + layout.bytes > ROW_SCRATCH_LIMIT) continue;
        total += layout.bytes;
        plan->layout = layout;
        plan->in_row = true;
        list_push(s->arena, &call->kernel->scratch, tensor);
    }
}

/* --- status -------------------------------------------------------------------------------------------------------- */
typedef struct {
    Scheduler *s;
    int input; /* 1 + position, 0: not found yet */
    int depth;
} Origin;

static void visit_origin(Expr *read, bool inside, void *context);

static void find_origin(Origin *origin, Expr *expr)
{
    if (origin->input || origin->depth > 32) return;
    origin->depth++;
    expr_reads(expr, NULL, visit_origin, origin);
    origin->depth--;
}

static void visit_origin(Expr *read, bool inside, void *context)
{
    (void)inside;
    Origin *origin = context;
    for (int i = 0; !origin->input && read->tensor->kind == TENSOR_INPUT && i < origin->s->module->inputs.count; i++)
        if (origin->s->module->inputs.data[i].tensor == read->tensor) origin->input = i + 1;
    const TensorPlan *plan = tensor_plan(read->tensor);
    if (plan->writer && !read->tensor->packed) find_origin(origin, plan->writer->value);
}

static void visit_gather(Expr *read, bool inside, void *context)
{
    (void)inside;
    for (int i = 0; i < read->count; i++)
        if (expr_is_data_dependent(read->args[i])) find_origin(context, read->args[i]);
}

/* ------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    Scheduler *s;
    Call *call;
} ReadList;

static void visit_read(Expr *read, bool inside, void *context)
{
    (void)inside;
    ReadList *list = context;
    push_tensor(list->s, list->call, read->tensor, false);
}

static Call *call_new(Scheduler *s, Equation *equation, const Contraction *contraction)
{
    Call *call = arena_new_object(s->arena, Call);
    call->kernel = arena_new_object(s->arena, Kernel);
    call->kernel->form = contraction ? KERNEL_CONTRACTION : KERNEL_ROWS;
    if (contraction) call->kernel->contraction = *contraction;
    list_push(s->arena, &call->equations, equation);
    call->row_limit = contraction ? 0 : row_limit(equation);
    call->gathers = expr_gathers(equation->value);
    call->windows = !contraction && !call->gathers && is_windows(s, equation);
    ReadList list = {s, call};
    expr_reads(equation->value, NULL, visit_read, &list);
    push_tensor(s, call, equation->result, true);
    TensorPlan *plan = tensor_plan(equation->result);
    plan->writer = equation;
    plan->writer_count++;
    plan->call = call;
    call->position = s->calls.count;
    list_push(s->arena, &s->calls, call);
    return call;
}

static void note_live_range(Call *call)
{
    for (int i = 0; i < call->reads.count; i++) {
        TensorPlan *plan = tensor_plan(call->reads.data[i]);
        plan->used = true;
        if (plan->last_read < call->position) plan->last_read = call->position;
    }
    for (int i = 0; i < call->writes.count; i++) {
        TensorPlan *plan = tensor_plan(call->writes.data[i]);
        plan->used = true;
        if (plan->first_write < 0) plan->first_write = call->position;
        plan->last_write = call->position;
    }
}

static void finish_call(Scheduler *s, Call *call)
{
    Kernel *kernel = call->kernel;
    for (int i = 0; i < call->equations.count; i++) {
        Equation *equation = call->equations.data[i];
        Cost cost = equation_cost(equation);
        list_push(s->arena, &kernel->equations, equation);
        kernel->macs += cost.macs;
        kernel->flops += cost.flops;
        if (!call->gathers) continue;
        Origin origin = {.s = s};
        expr_reads(equation->value, NULL, visit_gather, &origin);
        kernel->serial = true;
        kernel->status_input = origin.input;
    }
    kernel->row_count = call->row_limit;
    kernel->windows = call->windows;
    const Equation *only = call->equations.data[0];
    if (kernel->form == KERNEL_ROWS && call->equations.count == 1 && only->free_count && !equation_reduce(only))
        kernel->row_count = map_rows(only);
    find_scratch(s, call);
}

void form_calls(Scheduler *s)
{
    for (int i = 0; i < s->module->equations.count; i++) {
        Equation *equation = s->module->equations.data[i];
        if (equation->packed) tensor_plan(equation->result)->writer = equation;
    }
    for (int i = 0; i < s->order.count; i++) {
        Call *call = call_new(s, s->order.data[i], s->contractions.data[i]);
        if (!is_rows(call)) continue;
        while (join_producer(s, &call)) continue;
    }
    form_chains(s);
    for (int i = 0; i < s->calls.count; i++) note_live_range(s->calls.data[i]);
    for (int i = 0; i < s->calls.count; i++) finish_call(s, s->calls.data[i]);
}
