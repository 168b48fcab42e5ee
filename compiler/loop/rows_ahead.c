/* Row kernels of several equations (norms, softmax) ask for the lines of rows to come: the kernel before has often pushed them out of
 * the near caches, and a row is read again and again while its statistics are computed, so that one row's loads overlap little.
 * In: a row kernel, its row indices bound.  Out: prefetches; they change no result. Those of a row come one by one with the loads of its first
 * loop: more at once than a core can wait for would hold those up. */
#include "loop/lowering.h"

#include "equation/index.h"

/* Elements of f32: a line; rows worth asking for, and too long to be; how far ahead is far enough; a tensor that a near cache holds. */
enum { LINE = 16, LEAST_SPAN = 64, MOST_SPAN = 4096, AHEAD = 1024, MOST_ROWS_AHEAD = 8, NEAR = 8192, MOST_SPANS = 8 };

/* What a row touches of a tensor: elements [address, address + length). */
typedef struct {
    const Tensor *tensor;
    Buffer *buffer;
    Address address;
    int64_t length, row_stride, rows_ahead;
    bool written;
} Span;

struct RowsAhead {
    Span spans[MOST_SPANS];
    int count;
    const Block *block; /* of the row */
};

typedef struct {
    Lowering *l;
    const Index *row;  /* the innermost row index, of the equation at hand */
    const Equation *equation;
    int row_count;
    Span spans[MOST_SPANS];
    int count;
} Spans;

static bool is_row_index(const Spans *s, const Index *index)
{
    for (int k = 0; k < s->row_count; k++)
        if (s->equation->free[k] == index) return true;
    return false;
}

/* Adds one subscript; its indices other than the row's run from 0 to their ends. */
static bool add_subscript(Spans *s, Span *span, const Expr *subscript, int64_t stride)
{
    Linear linear;
    if (!index_linear(subscript, &linear)) return false;
    span->address.constant += linear.constant * stride;
    for (int k = 0; k < linear.count; k++) {
        const Index *index = linear.indices[k];
        int64_t step = linear.coefficients[k] * stride;
        if (is_row_index(s, index)) {
            const Binding *binding = scope_find(s->l, index);
            address_add_term(&span->address, binding->base, step, binding->base_level);
            if (index == s->row) span->row_stride += step;
            continue;
        }
        if (step < 0) span->address.constant += step * (index->extent - 1);
        span->length += (step < 0 ? -step : step) * (index->extent - 1);
    }
    return true;
}

/* In bytes from where its storage starts; terms aside. */
static int64_t place_of(const Span *span)
{
    return tensor_layout(span->tensor)->offset_bytes + 4 * span->address.constant;
}

/* What is computed in place is asked for once, to be written. */
static bool is_same_place(const Span *a, const Span *b)
{
    Storage storage = tensor_layout(a->tensor)->storage;
    return (a->tensor == b->tensor || (storage == STORE_ARENA && tensor_layout(b->tensor)->storage == storage)) && place_of(a) == place_of(b) &&
           a->row_stride == b->row_stride;
}

static void add_span(Spans *s, const Tensor *tensor, Expr *const *subscripts, bool written)
{
    if (tensor->type != TYPE_F32 || tensor_layout(tensor)->storage == STORE_NONE || s->count == MOST_SPANS) return;
    const Access *access = find_access(s->l, tensor);
    Span span = {.tensor = tensor, .buffer = access->buffer, .length = 1, .written = written};
    for (int axis = 0; axis < tensor->rank; axis++)
        if (access->strides[axis] && !add_subscript(s, &span, subscripts[axis], access->strides[axis])) return;
    address_origin(&span.address, access);
    if (span.length < LEAST_SPAN || span.length > MOST_SPAN || span.row_stride < span.length) return;
    if (span.row_stride * s->row->extent <= NEAR) return;
    for (int k = 0; k < s->count; k++) {
        Span *other = &s->spans[k];
        if (!is_same_place(other, &span)) continue;
        int64_t length = span.length > other->length ? span.length : other->length;
        if (written && !other->written) *other = span;
        other->length = length;
        return;
    }
    s->spans[s->count++] = span;
}

static void add_reads(Expr *node, void *context)
{
    Spans *s = context;
    if (node->kind == EXPR_READ && !node->otherwise && !node_info(s->l, node)->data) add_span(s, node->tensor, node->args, false);
}

/* The line of each span at element `at` of it. */
static void fetch(Lowering *l, const Span *span, Value *at, int64_t line)
{
    Address address = span->address;
    address.constant += span->rows_ahead * span->row_stride + LINE - 1 + line;
    address_add_term(&address, at, 1, scope_level(l));
    prefetch(l, span->buffer, address_value(l, &address));
}

void fetch_rows_in_loop(Lowering *l, const Block *around, int64_t length, Value *at, int64_t turn)
{
    RowsAhead *ahead = l->rows_ahead;
    if (!ahead || ahead->block != around || turn % LINE != 0) return;
    int left = 0;
    for (int k = 0; k < ahead->count; k++) {
        const Span *span = &ahead->spans[k];
        if (span->length != length) ahead->spans[left++] = *span;
        else
            for (int64_t line = 0; line < turn; line += LINE) fetch(l, span, at, line);
    }
    ahead->count = left;
}

void fetch_rows_ahead(Lowering *l)
{
    RowsAhead *ahead = l->rows_ahead;
    l->rows_ahead = NULL;
    for (int k = 0; ahead && k < ahead->count; k++) {
        Statement *loop = loop_open(l, "ahead", build_int(l->build, 0), build_int(l->build, ahead->spans[k].length), LINE);
        fetch(l, &ahead->spans[k], loop_variable(l, loop), 0);
        loop_close(l, loop);
    }
}

void find_rows_ahead(Lowering *l, int row, int row_count, Value *const *rows, int row_level)
{
    const Kernel *kernel = l->kernel->kernel;
    if (l->target->lanes == 1 || kernel->form != KERNEL_ROWS || kernel->equations.count < 2) return;
    Spans s = {.l = l, .row_count = row_count};
    for (int k = 0; k < kernel->equations.count; k++) {
        const Equation *equation = s.equation = kernel->equations.data[k];
        s.row = equation->free[row];
        lowering_equation(l, equation);
        scope_push(l, NULL);
        for (int i = 0; i < row_count; i++) scope_bind(l, equation->free[i], rows[i], row_level, 0);
        expr_walk(equation->value, add_reads, &s);
        add_span(&s, equation->result, equation->subscripts, true);
        scope_pop(l);
    }
    int64_t longest = 0;
    for (int k = 0; k < s.count; k++)
        if (s.spans[k].length > longest) longest = s.spans[k].length;
    if (!longest) return;
    int64_t rows_ahead = longest >= AHEAD ? 1 : (AHEAD + longest / 2) / longest;
    if (rows_ahead > MOST_ROWS_AHEAD) rows_ahead = MOST_ROWS_AHEAD;
    l->rows_ahead = arena_new_object(l->arena, RowsAhead);
    l->rows_ahead->count = s.count;
    l->rows_ahead->block = l->build->block;
    for (int k = 0; k < s.count; k++) {
        l->rows_ahead->spans[k] = s.spans[k];
        l->rows_ahead->spans[k].rows_ahead = rows_ahead;
    }
}
