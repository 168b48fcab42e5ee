/* Borders: a tensor that a reduction reads through windows reaching past its ends gets a copy with the outside value around it, so that
 * the windows are plain reads.
 * In: run-time equations.  Out: the same; reads x[.., i + u - P or number] below reductions read x.padded[.., i + u] instead, a tensor
 * that an equation put before computes. Reads that ask for most elements once stay: a copy would cost as much as they do. */
#include "schedule/schedule.h"

#include "equation/index.h"

enum { LEAST_READS = 2, MOST_GROWTH = 3 };

typedef struct {
    const Tensor *tensor;
    double outside;
    int64_t before[MAX_RANK], after[MAX_RANK];
    Tensor *padded;
} Border;

typedef struct {
    Scheduler *s;
    Equation *user;
    LIST(Border) borders;
    LIST(Equation *) ordered;
} Padder;

/* How often each element is asked for, at least. */
static bool asked_often(const Expr *read)
{
    const Index *seen[MAX_RANK * 4];
    int count = 0;
    int64_t points = 1;
    for (int axis = 0; axis < read->count; axis++) {
        Linear linear;
        index_linear(read->args[axis], &linear);
        for (int i = 0; i < linear.count; i++) {
            int k = 0;
            while (k < count && seen[k] != linear.indices[i]) k++;
            if (k < count || count == MAX_RANK * 4) continue;
            seen[count++] = linear.indices[i];
            points *= linear.indices[i]->extent;
        }
    }
    return points >= LEAST_READS * tensor_count(read->tensor);
}

/* What lies outside is one number, and subscripts are linear: how far they reach. */
static bool find_border(const Expr *read, Border *border)
{
    int64_t size = 1;
    if (!read->otherwise || read->otherwise->kind != EXPR_NUMBER || read->tensor->type != TYPE_F32) return false;
    *border = (Border){.tensor = read->tensor, .outside = read->otherwise->number};
    for (int axis = 0; axis < read->count; axis++) {
        int64_t low, high, last = read->tensor->extents[axis] - 1;
        Linear linear;
        if (!index_linear(read->args[axis], &linear) || !index_range(read->args[axis], &low, &high)) return false;
        border->before[axis] = low < 0 ? -low : 0;
        border->after[axis] = high > last ? high - last : 0;
        size *= border->before[axis] + last + 1 + border->after[axis];
    }
    return size <= MOST_GROWTH * tensor_count(read->tensor) && asked_often(read);
}

static bool same_border(const Border *a, const Border *b)
{
    bool same = a->tensor == b->tensor && a->outside == b->outside;
    for (int axis = 0; axis < a->tensor->rank && same; axis++)
        same = a->before[axis] == b->before[axis] && a->after[axis] == b->after[axis];
    return same;
}

/* An equation of the copy over part of each axis: positions from `first` on, `extent` of them. */
static Equation *part_of_copy(Padder *padder, Tensor *padded, const int64_t *first, const int64_t *extent)
{
    Scheduler *s = padder->s;
    Module *module = s->module;
    Equation *part = equation_new(module, padded, padder->user->origin, padder->user->frame);
    for (int axis = 0; axis < padded->rank; axis++) {
        part->subscripts[axis] = expr_int(module, first[axis]);
        if (extent[axis] == 1) continue;
        Index *index = index_new(module, arena_printf(s->arena, "_%d", axis), extent[axis], padded->origin);
        part->free[part->free_count++] = index;
        part->subscripts[axis] = expr_apply(module, FN_ADD, expr_index(module, index, padded->origin), part->subscripts[axis], NULL, padded->origin);
    }
    list_push(s->arena, &padder->ordered, part);
    return part;
}

/* padded[a + before, b + before] = x[a, b] */
static Equation *copy_inside(Padder *padder, const Border *border, Tensor *padded)
{
    Module *module = padder->s->module;
    Tensor *x = (Tensor *)border->tensor;
    Expr *from[MAX_RANK];
    Equation *copy = part_of_copy(padder, padded, border->before, x->extents);
    for (int axis = 0; axis < x->rank; axis++) {
        Expr *before = expr_int(module, border->before[axis]);
        from[axis] = index_simplify(module, expr_apply(module, FN_SUB, copy->subscripts[axis], before, NULL, x->origin));
    }
    copy->value = expr_read(module, x, x->rank, from, NULL, x->origin);
    return copy;
}

/* What lies before or after x along one axis: within x on the axes before that one, everywhere on those behind it. */
static void fill_border(Padder *padder, const Border *border, Tensor *padded, int axis, bool after)
{
    int64_t first[MAX_RANK] = {0}, extent[MAX_RANK];
    for (int other = 0; other < padded->rank; other++) {
        extent[other] = other < axis ? border->tensor->extents[other] : padded->extents[other];
        if (other < axis) first[other] = border->before[other];
    }
    extent[axis] = after ? border->after[axis] : border->before[axis];
    if (after) first[axis] = border->before[axis] + border->tensor->extents[axis];
    if (extent[axis] == 0) return;
    Equation *fill = part_of_copy(padder, padded, first, extent);
    fill->value = expr_number(padder->s->module, border->outside, false, padded->origin);
}

static Tensor *padded_copy(Padder *padder, const Border *border)
{
    Scheduler *s = padder->s;
    Module *module = s->module;
    const Tensor *x = border->tensor;
    int64_t extents[MAX_RANK];
    for (int axis = 0; axis < x->rank; axis++) extents[axis] = border->before[axis] + x->extents[axis] + border->after[axis];
    const char *name = arena_printf(s->arena, "%s.padded%d", x->name, module->tensors.count);
    Tensor *padded = tensor_new(module, TENSOR_LOCAL, name, TYPE_F32, x->rank, extents, x->origin);
    tensor_plan_new(s, padded);
    for (int axis = 0; axis < x->rank; axis++) {
        fill_border(padder, border, padded, axis, false);
        fill_border(padder, border, padded, axis, true);
    }
    tensor_plan(padded)->outside = border->outside;
    tensor_plan(padded)->inside = copy_inside(padder, border, padded);
    plan_note(s, padder->user, "%s gets a border first: %s", x->name, name);
    return padded;
}

static const Border *border_of(Padder *padder, const Expr *read)
{
    Border border;
    if (!find_border(read, &border)) return NULL;
    for (int i = 0; i < padder->borders.count; i++)
        if (same_border(&padder->borders.data[i], &border)) return &padder->borders.data[i];
    border.padded = padded_copy(padder, &border);
    list_push(padder->s->scratch, &padder->borders, border);
    return &padder->borders.data[padder->borders.count - 1];
}

static void visit_read(Expr *read, bool inside, void *context)
{
    Padder *padder = context;
    Module *module = padder->s->module;
    bool run_time = read->tensor->kind == TENSOR_INPUT || (read->tensor->kind == TENSOR_LOCAL && !read->tensor->packed);
    const Border *border = inside && run_time ? border_of(padder, read) : NULL;
    if (!border) return;
    Expr **args = arena_new_array(module->arena, Expr *, read->count);
    for (int axis = 0; axis < read->count; axis++) {
        Expr *moved = expr_apply(module, FN_ADD, read->args[axis], expr_int(module, border->before[axis]), NULL, read->place);
        args[axis] = index_simplify(module, moved);
    }
    read->tensor = border->padded;
    read->args = args;
    read->otherwise = NULL;
}

void pad_windows(Scheduler *s)
{
    Padder padder = {.s = s};
    Module *module = s->module;
    int count = module->equations.count;
    for (int i = 0; i < count; i++) {
        padder.user = module->equations.data[i];
        Expr *reduce = padder.user->packed ? NULL : equation_reduce(padder.user);
        if (reduce) expr_reads(padder.user->value, reduce, visit_read, &padder);
        list_push(s->arena, &padder.ordered, padder.user);
    }
    module->equations.count = 0;
    for (int i = 0; i < padder.ordered.count; i++) list_push(s->arena, &module->equations, padder.ordered.data[i]);
}
