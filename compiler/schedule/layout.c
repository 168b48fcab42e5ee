/* Where tensors live and how.
 * In: calls in order.  Out: storage, strides and a region for every tensor used at run time; results that take the place of an operand
 * which is read for the last time. Leaves addresses to memory.c.
 *
 * A result may lie over (part of) an operand when the equation reads that operand at exactly the element it writes, and nothing
 * reads those elements later: the residual stream, a normalised half, a gate. */
#include "schedule/schedule.h"

#include "equation/index.h"

/* --- storage and strides ------------------------------------------------------------------------------------------- */
enum { LINE = 16, LONG_ROW = 128, WORTH_PADDING = 64 };

/* Long rows get an odd number of 64-byte lines, so that neighbouring rows fall into different cache sets. */
static int64_t padded_row(const Scheduler *s, const Tensor *tensor, int64_t row, bool whole)
{
    const TensorPlan *plan = tensor_plan(tensor);
    bool may = plan->layout.storage == STORE_ARENA || (plan->layout.storage == STORE_BLOB && plan->contracted);
    if (s->family == FAMILY_SCALAR || !may || plan->panels || whole || tensor->type != TYPE_F32 || row < LINE) return row;
    if (!plan->contracted && row < WORTH_PADDING) return row;
    int64_t lines = (row + LINE - 1) / LINE;
    if (row >= LONG_ROW && lines % 2 == 0) lines++;
    return lines * LINE;
}

static void set_bytes(const Tensor *tensor, Layout *layout)
{
    int64_t last = 0;
    for (int axis = 0; axis < tensor->rank; axis++) last += (tensor->extents[axis] - 1) * layout->strides[axis];
    layout->bytes = (last + 1) * element_type_size(tensor->type);
}

static void set_strides(const Scheduler *s, const Tensor *tensor)
{
    Layout *layout = tensor_layout(tensor);
    int row_axes = tensor_plan(tensor)->row_axes ? tensor_plan(tensor)->row_axes : 1;
    int64_t dense = 1;
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        layout->strides[axis] = dense;
        dense *= tensor->extents[axis];
        if (axis == tensor->rank - row_axes) dense = padded_row(s, tensor, dense, axis == 0);
    }
    set_bytes(tensor, layout);
}

static int find_port(const Port *ports, int count, const Tensor *tensor)
{
    for (int i = 0; i < count; i++)
        if (ports[i].tensor == tensor) return i;
    return -1;
}

static void choose_storage(Scheduler *s, Tensor *tensor)
{
    TensorPlan *plan = tensor_plan(tensor);
    Layout *layout = &plan->layout;
    if (tensor->kind == TENSOR_INPUT) {
        layout->storage = STORE_INPUT;
        layout->port = find_port(s->module->inputs.data, s->module->inputs.count, tensor);
    } else if (!plan->used || plan->in_row) {
        return;
    } else if (tensor->kind != TENSOR_LOCAL || tensor->packed) {
        layout->storage = STORE_BLOB;
    } else if (tensor->output_name) {
        layout->storage = STORE_OUTPUT;
        layout->port = find_port(s->module->outputs.data, s->module->outputs.count, tensor);
    } else {
        layout->storage = STORE_ARENA;
    }
    set_strides(s, tensor);
}

typedef struct {
    const Contraction *contraction;
} RowContext;

/* The last indices of n stand alone on the last axes: they are one row, so that lowering may run through it as one. */
static void mark_row(const Contraction *c, Tensor *tensor, Expr *const *subscripts)
{
    int axes = 0;
    while (axes < c->n_count && axes < tensor->rank && subscript_is(subscripts[tensor->rank - 1 - axes], c->n[c->n_count - 1 - axes]) &&
           tensor->extents[tensor->rank - 1 - axes] == c->n[c->n_count - 1 - axes]->extent)
        axes++;
    if (axes > tensor_plan(tensor)->row_axes) tensor_plan(tensor)->row_axes = axes;
}

/* Weights that only an epilogue reads stay dense; activations of contractions are padded wherever they stand. */
static void mark_read(Expr *read, bool inside, void *context)
{
    const RowContext *row = context;
    if (inside || !expr_is_weight_only(read)) tensor_plan(read->tensor)->contracted = true;
    if (row->contraction->n_count > 1) mark_row(row->contraction, read->tensor, read->args);
}

static void mark_contraction(const Equation *equation, const Contraction *contraction)
{
    RowContext row = {contraction};
    tensor_plan(equation->result)->contracted = true;
    if (contraction->n_count > 1) mark_row(contraction, equation->result, equation->subscripts);
    expr_reads(equation->value, contraction->reduce, mark_read, &row);
}

static void mark_contractions(Scheduler *s)
{
    for (int i = 0; i < s->calls.count; i++) {
        const Call *call = s->calls.data[i];
        const Kernel *kernel = call->kernel;
        if (kernel->form == KERNEL_CONTRACTION) mark_contraction(call->equations.data[0], &kernel->contraction);
        if (!kernel->chain) continue;
        mark_contraction(call->equations.data[0], &kernel->chain->first);
        mark_contraction(call->equations.data[call->equations.count - 1], &kernel->chain->second);
    }
}

/* --- who reads what ------------------------------------------------------------------------------------------------ */
typedef struct {
    Scheduler *s;
    const Call *call;
    int equation;
} AccessContext;

static void record_access(Expr *read, bool inside, void *context)
{
    AccessContext *at = context;
    TensorPlan *plan = tensor_plan(read->tensor);
    if (plan->layout.storage != STORE_ARENA) return;
    Access access = {.call = at->call, .equation = at->equation, .read = read, .inside = inside};
    for (int axis = 0; axis < read->count; axis++) {
        int64_t low, high, end = read->tensor->extents[axis] - 1;
        if (!index_range(read->args[axis], &low, &high)) low = 0, high = end;
        access.low[axis] = low < 0 ? 0 : low > end ? end : low;
        access.high[axis] = high > end ? end : high < 0 ? 0 : high;
    }
    list_push(at->s->scratch, &plan->reads_of, access);
}

static void record_accesses(Scheduler *s)
{
    for (int i = 0; i < s->calls.count; i++) {
        const Call *call = s->calls.data[i];
        for (int j = 0; j < call->equations.count; j++) {
            AccessContext context = {s, call, j};
            const Equation *equation = call->equations.data[j];
            expr_reads(equation->value, equation_reduce(equation), record_access, &context);
        }
    }
}

/* --- in place ------------------------------------------------------------------------------------------------------ */
/* The part of a tensor that a result would cover: which of the equation's free indices moves along each axis, from where. */
typedef struct {
    const Index *index[MAX_RANK]; /* NULL: one position */
    int64_t first[MAX_RANK], last[MAX_RANK];
} Slice;

static bool slice_of(const Equation *equation, const Expr *read, Slice *slice)
{
    int moving = 0;
    int64_t elements = 1, all = tensor_count(read->tensor);
    if (read->otherwise) return false;
    for (int axis = 0; axis < read->count; axis++) {
        Linear linear;
        if (!index_linear(read->args[axis], &linear) || linear.count > 1) return false;
        if (linear.count == 1 && linear.coefficients[0] != 1) return false;
        slice->index[axis] = linear.count ? linear.indices[0] : NULL;
        slice->first[axis] = linear.constant;
        slice->last[axis] = linear.constant + (linear.count ? linear.indices[0]->extent - 1 : 0);
        if (slice->first[axis] < 0 || slice->last[axis] >= read->tensor->extents[axis])
            return false; /* read in a branch not always taken */
        elements *= slice->last[axis] - slice->first[axis] + 1;
        moving += linear.count;
        for (int other = 0; other < axis; other++)
            if (slice->index[axis] && slice->index[other] == slice->index[axis]) return false;
        bool free = linear.count == 0;
        for (int i = 0; i < equation->free_count; i++) free |= equation->free[i] == slice->index[axis];
        if (!free) return false;
    }
    return moving == equation->free_count && elements * 4 >= all;
}

static bool slice_is_apart(const Slice *slice, const Access *access, int rank)
{
    for (int axis = 0; axis < rank; axis++)
        if (access->high[axis] < slice->first[axis] || access->low[axis] > slice->last[axis]) return true;
    return false;
}

static bool same_slice(const Equation *equation, const Slice *slice, const Expr *read)
{
    Slice other;
    if (!slice_of(equation, read, &other)) return false;
    for (int axis = 0; axis < read->count; axis++)
        if (slice->index[axis] != other.index[axis] || slice->first[axis] != other.first[axis]) return false;
    return true;
}

/* An earlier equation of the same row kernel reads the row about to be overwritten, and no other. */
static bool same_row(const Call *call, const Equation *writer, const Slice *slice, const Access *access)
{
    const Equation *reader = call->equations.data[access->equation];
    for (int row = 0; row < call->kernel->row_count; row++) {
        int axis = 0;
        while (axis < access->read->count && slice->index[axis] != writer->free[row]) axis++;
        Linear linear;
        if (axis == access->read->count || !index_linear(access->read->args[axis], &linear)) return false;
        if (linear.count != 1 || linear.indices[0] != reader->free[row] || linear.coefficients[0] != 1) return false;
        if (linear.constant != slice->first[axis]) return false;
    }
    return true;
}

static bool may_overwrite(const Call *call, int position, const Slice *slice, const Tensor *operand)
{
    const TensorPlan *plan = tensor_plan(operand);
    const Equation *writer = call->equations.data[position];
    for (int i = 0; i < plan->reads_of.count; i++) {
        const Access *access = &plan->reads_of.data[i];
        if (slice_is_apart(slice, access, operand->rank)) continue;
        if (!access->call || access->call->position > call->position) return false;
        if (access->call->position < call->position) continue;
        if (access->equation > position) return false;
        if (access->equation == position && (access->inside || !same_slice(writer, slice, access->read))) return false;
        if (access->equation < position && !same_row(call, writer, slice, access)) return false;
    }
    return true;
}

static bool result_is_plain(const Equation *equation)
{
    int moving = 0;
    for (int axis = 0; axis < equation->rank; axis++) {
        Linear linear;
        if (!index_linear(equation->subscripts[axis], &linear) || linear.constant != 0 || linear.count > 1) return false;
        if (linear.count == 0 && equation->result->extents[axis] > 1) return false;
        if (linear.count == 1 && (linear.coefficients[0] != 1 || linear.indices[0]->extent != equation->result->extents[axis]))
            return false;
        moving += linear.count;
    }
    return moving == equation->free_count;
}

/* Strides of the result are those of the operand; false when rows would lose their alignment. */
static bool take_place(Scheduler *s, const Equation *equation, const Slice *slice, const Tensor *operand)
{
    TensorPlan *plan = tensor_plan(equation->result), *source = tensor_plan(operand);
    Layout layout = plan->layout;
    int64_t shift = source->shift_bytes;
    for (int axis = 0; axis < equation->rank; axis++) {
        Linear linear;
        layout.strides[axis] = 0;
        index_linear(equation->subscripts[axis], &linear);
        for (int other = 0; other < operand->rank && linear.count; other++)
            if (slice->index[other] == linear.indices[0]) layout.strides[axis] = source->layout.strides[other];
        bool contiguous = axis >= equation->rank - (plan->row_axes ? plan->row_axes : 1) || linear.count == 0;
        if (plan->contracted && s->family == FAMILY_VECTOR && !contiguous && layout.strides[axis] % LINE != 0) return false;
    }
    for (int axis = 0; axis < operand->rank; axis++) shift += slice->first[axis] * source->layout.strides[axis] * 4;
    int last = equation->rank - 1;
    if (shift % s->alignment != 0 || (equation->rank && equation->result->extents[last] > 1 && layout.strides[last] != 1)) return false;
    set_bytes(equation->result, &layout);
    plan->layout = layout;
    plan->region = source->region;
    plan->shift_bytes = shift;
    Access given = {.call = NULL, .read = NULL};
    for (int axis = 0; axis < operand->rank; axis++) given.low[axis] = slice->first[axis], given.high[axis] = slice->last[axis];
    list_push(s->scratch, &source->reads_of, given);
    return true;
}

typedef struct {
    Scheduler *s;
    const Call *call;
    int position;
    const Equation *reader; /* the writer itself, or an earlier equation of the same row */
    bool done;
} Candidate;

/* The slice in terms of the writer's indices: the reader's at the same positions. */
static bool translate(const Equation *reader, const Equation *writer, Slice *slice, int rank)
{
    if (reader == writer) return true;
    if (reader->free_count != writer->free_count) return false;
    for (int i = 0; i < reader->free_count; i++)
        if (reader->free[i]->extent != writer->free[i]->extent) return false;
    for (int axis = 0; axis < rank; axis++) {
        int at = 0;
        while (slice->index[axis] && reader->free[at] != slice->index[axis]) at++;
        if (slice->index[axis]) slice->index[axis] = writer->free[at];
    }
    return true;
}

static void visit_candidate(Expr *read, bool inside, void *context)
{
    Candidate *candidate = context;
    const Equation *equation = candidate->call->equations.data[candidate->position];
    const TensorPlan *plan = tensor_plan(read->tensor);
    Slice slice = {0};
    if (candidate->done || inside || plan->layout.storage != STORE_ARENA || read->tensor->type != TYPE_F32) return;
    if (plan->last_write >= candidate->call->position || !plan->region) return;
    if (!slice_of(candidate->reader, read, &slice) || !translate(candidate->reader, equation, &slice, read->tensor->rank)) return;
    if (!may_overwrite(candidate->call, candidate->position, &slice, read->tensor)) return;
    if (!take_place(candidate->s, equation, &slice, read->tensor)) return;
    candidate->done = true;
    plan_note(candidate->s, equation, "%s is written over %s", equation->result->name, read->tensor->name);
}

static void find_place(Scheduler *s, const Call *call, int position)
{
    Candidate candidate = {.s = s, .call = call, .position = position};
    for (int i = position; i >= 0 && !candidate.done; i--) {
        candidate.reader = call->equations.data[i];
        expr_reads(candidate.reader->value, equation_reduce(candidate.reader), visit_candidate, &candidate);
    }
}

static void place_results(Scheduler *s, const Call *call)
{
    for (int i = 0; i < call->equations.count; i++) {
        const Equation *equation = call->equations.data[i];
        TensorPlan *plan = tensor_plan(equation->result);
        if (plan->layout.storage != STORE_ARENA || plan->region) continue;
        if (!s->options.keep_all && !call->gathers && plan->writer_count == 1 && !plan->panels && equation->result->type == TYPE_F32 &&
            result_is_plain(equation))
            find_place(s, call, i);
        if (!plan->region) plan->region = region_new(s, REGION_ARENA, plan->layout.bytes);
    }
}

/* --- regions ------------------------------------------------------------------------------------------------------- */
static void give_region(Scheduler *s, Tensor *tensor)
{
    TensorPlan *plan = tensor_plan(tensor);
    switch (plan->layout.storage) {
    case STORE_INPUT:
        plan->region = region_new(s, REGION_INPUT, plan->layout.bytes);
        break;
    case STORE_OUTPUT:
        plan->region = region_new(s, REGION_OUTPUT, plan->layout.bytes);
        break;
    case STORE_BLOB:
    case STORE_STATIC:
        plan->region = region_new(s, REGION_BLOB, plan->layout.bytes);
        plan->region->only = tensor;
        break;
    case STORE_ARENA:
    case STORE_NONE:
        break;
    }
}

static void note_life(Scheduler *s, const Tensor *tensor)
{
    const TensorPlan *plan = tensor_plan(tensor);
    if (plan->layout.storage != STORE_ARENA) return;
    int last = plan->last_read > plan->last_write ? plan->last_read : plan->last_write;
    list_push(s->arena, &plan->region->live, (Interval){plan->first_write, last});
}

void lay_out(Scheduler *s)
{
    mark_contractions(s);
    for (int i = 0; i < s->module->tensors.count; i++) choose_storage(s, s->module->tensors.data[i]);
    if (!s->options.keep_all) record_accesses(s);
    for (int i = 0; i < s->module->tensors.count; i++) give_region(s, s->module->tensors.data[i]);
    for (int i = 0; i < s->calls.count; i++) place_results(s, s->calls.data[i]);
    for (int i = 0; i < s->module->tensors.count; i++) note_life(s, s->module->tensors.data[i]);
    for (int i = 0; i < s->regions.count; i++) life_settle(s->regions.data[i]);
}
