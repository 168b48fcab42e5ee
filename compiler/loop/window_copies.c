/* Windows whose operands are copied close together, a block of channels at a time.
 * In: an equation's operands (schedule/lines.h) and a block of channels.  Out: arrays on the stack that are read in the tensors' place: of the axis
 * that rows of windows move along only the places that one row reads, as a ring; each row copies what it is the first to read. Behind the tensor's
 * ends is a border. Rows to come are fetched from far tensors while windows are summed. */
#include "loop/windows.h"

#include "equation/index.h"

#include <string.h>

enum { FAR_APART = 512, LARGE_WINDOW = 16, MOST_COPIED = 4, ROWS_AHEAD = 2, FAR_BYTES = 1 << 20, ENOUGH_TASKS = 8 };

/* The place on an axis that what a row reads begins at: what outer indices and the row say. */
static Value *first_place(Lowering *l, const Windows *windows, const LineRead *line, int axis)
{
    Builder *build = l->build;
    Linear linear;
    index_linear(line->read->args[axis], &linear);
    Value *place = build_int(build, linear.constant);
    for (int k = 0; k < linear.count; k++) {
        if (linear.indices[k] != windows->lines.row && !line->outer[axis]) continue;
        const Binding *binding = scope_find(l, linear.indices[k]);
        place = build_add(build, place, build_mul(build, binding->base, build_int(build, linear.coefficients[k])));
    }
    return scope_settle(l, (Lowered){place, scope_level(l)}, "first").value;
}

typedef struct {
    const Patch *patch;
    const Copy *copy;
    Value *from, *to; /* on the row's axis: places of the tensor */
    bool outside;     /* in the border */
} Copying;

static void copy_axes(Lowering *l, const Copying *copying, int axis, Value *from, Value *to);

/* The places [begin, end) of the axis; in the copy they begin at `first`, or lie in a ring. */
static void copy_places(Lowering *l, const Copying *copying, int axis, Value *first, Value *begin, Value *end, Value *from, Value *to)
{
    Builder *build = l->build;
    const Copy *copy = copying->copy;
    const LineRead *line = copy->line;
    const Access *access = find_access(l, line->read->tensor);
    int64_t low, high;
    if (value_is_int(begin, &low) && value_is_int(end, &high) && low >= high) return;
    Statement *loop = loop_open(l, "p", begin, end, 1);
    Value *p = loop_variable(l, loop);
    Value *place = build_sub(build, p, first);
    if (axis == line->row_axis) place = scope_settle(l, (Lowered){build_op(build, OP_MOD, p, build_int(build, row_span(line)), NULL), scope_level(l)}, "place").value;
    copy_axes(l, copying, axis + 1, build_add(build, from, build_mul(build, p, build_int(build, access->strides[axis]))),
              build_add(build, to, build_mul(build, place, build_int(build, copy->strides[axis]))));
    loop_close(l, loop);
}

static Value *within(Lowering *l, int64_t place, Value *begin, Value *end)
{
    Builder *build = l->build;
    int64_t low, high;
    if (value_is_int(begin, &low) && value_is_int(end, &high)) return build_int(build, place < low ? low : place > high ? high : place);
    Value *clamped = build_op(build, OP_MIN, build_op(build, OP_MAX, begin, build_int(build, place), NULL), end, NULL);
    return scope_settle(l, (Lowered){clamped, scope_level(l)}, "edge").value;
}

/* The block's channels, in as few statements as there are vectors, or in a loop. */
static void copy_channels(Lowering *l, const Copying *copying, Value *from, Value *to)
{
    Builder *build = l->build;
    const Windows *windows = copying->patch->windows;
    const Expr *read = copying->copy->line->read;
    int64_t channels = windows->lines.channels, lanes = l->target->lanes, turn = channels <= MOST_COPIED * lanes ? channels : MOST_COPIED * lanes;
    from = build_add(build, from, copying->patch->block);
    Statement *loop = turn < channels ? loop_open(l, "channel", build_int(build, 0), build_int(build, channels), turn) : NULL;
    if (loop) {
        from = build_add(build, from, loop_variable(l, loop));
        to = build_add(build, to, loop_variable(l, loop));
    }
    from = scope_settle(l, (Lowered){from, scope_level(l)}, "from").value;
    to = scope_settle(l, (Lowered){to, scope_level(l)}, "to").value;
    for (int64_t c = 0; c < turn; c += lanes) {
        Value *offset = build_int(build, c);
        Value *x = copying->outside ? build_number(build, builder_vector_type(build), read->otherwise->number)
                                    : build_load_vector(build, find_access(l, read->tensor)->buffer, build_add(build, from, offset), NULL);
        build_store(build, copying->copy->buffer, build_add(build, to, offset), x, NULL);
    }
    loop_close(l, loop);
}

/* Each axis: what lies before the tensor, the tensor, what lies behind it. */
static void copy_axes(Lowering *l, const Copying *copying, int axis, Value *from, Value *to)
{
    Builder *build = l->build;
    const LineRead *line = copying->copy->line;
    if (axis == line->read->count - 1) {
        copy_channels(l, copying, from, to);
        return;
    }
    int64_t extent = line->read->tensor->extents[axis];
    Value *first = first_place(l, copying->patch->windows, line, axis), *begin = first, *end;
    if (line->outer[axis]) {
        copy_axes(l, copying, axis + 1, build_add(build, from, build_mul(build, first, build_int(build, find_access(l, line->read->tensor)->strides[axis]))), to);
        return;
    }
    if (axis == line->row_axis) begin = copying->from, end = copying->to;
    else end = build_add(build, first, build_int(build, line->spans[axis]));
    if (copying->outside || !line->bordered || subscript_proved(line->read->args[axis], extent)) {
        copy_places(l, copying, axis, first, begin, end, from, to);
        return;
    }
    Copying border = *copying;
    border.outside = true;
    Value *low = within(l, 0, begin, end), *high = within(l, extent, begin, end);
    copy_places(l, &border, axis, first, begin, low, from, to);
    copy_places(l, copying, axis, first, low, high, from, to);
    copy_places(l, &border, axis, first, high, end, from, to);
}

/* Places of the row's axis that a row reads and the row before doesn't. */
static int64_t new_places(const LineRead *line)
{
    return line->row_step < row_span(line) ? line->row_step : row_span(line);
}

void begin_window_copies(Lowering *l, Windows *windows, const Patch *patch)
{
    Builder *build = l->build;
    for (int k = 0; k < windows->copy_count; k++) {
        Copy *copy = &windows->copies[k];
        const LineRead *line = copy->line;
        int64_t stride = windows->lines.channels;
        copy->buffer = build_array(build, "lines", TYPE_F32, line->elements * stride);
        copy->strides[line->read->count - 1] = 1;
        for (int axis = line->read->count - 2; axis >= 0; axis--) {
            copy->strides[axis] = line->spans[axis] ? stride : 0;
            if (line->spans[axis]) stride *= line->spans[axis];
        }
        Copying copying = {.patch = patch, .copy = copy};
        if (line->row_axis >= 0 && new_places(line) == row_span(line)) continue;
        scope_push(l, NULL);
        if (line->row_axis >= 0) {
            copying.from = first_place(l, windows, line, line->row_axis);
            copying.to = build_add(build, copying.from, build_int(build, row_span(line) - new_places(line)));
        }
        copy_axes(l, &copying, 0, build_int(build, 0), build_int(build, 0));
        scope_pop(l);
    }
}

/* Where rows to come will read, in this block of channels or, behind the last row, in the next one; places from `from` on are copied now. */
static Value *rows_to_come(Lowering *l, const Windows *windows, const LineRead *line, Value *from)
{
    Builder *build = l->build;
    const Expr *read = line->read;
    const Access *access = find_access(l, read->tensor);
    int64_t extent = read->tensor->extents[line->row_axis];
    if (tensor_count(read->tensor) * 4 < FAR_BYTES || l->target->lanes == 1) return NULL;
    Value *ahead = scope_settle(l, (Lowered){build_add(build, from, build_int(build, ROWS_AHEAD * line->row_step)), scope_level(l)}, "ahead").value;
    Value *over = scope_settle(l, (Lowered){build_op(build, OP_FLOORDIV, ahead, build_int(build, extent), NULL), scope_level(l)}, "over").value;
    Value *place = build_sub(build, ahead, build_mul(build, over, build_int(build, extent)));
    Value *at = build_mul(build, over, build_int(build, windows->lines.channels));
    at = build_add(build, at, build_mul(build, place, build_int(build, access->strides[line->row_axis])));
    for (int axis = 0; axis < read->count - 1; axis++)
        if (line->outer[axis]) at = build_add(build, at, build_mul(build, first_place(l, windows, line, axis), build_int(build, access->strides[axis])));
    return scope_settle(l, (Lowered){at, scope_level(l)}, "next").value;
}

void copy_new_places(Lowering *l, Windows *windows, const Patch *patch)
{
    Builder *build = l->build;
    for (int k = 0; k < windows->copy_count; k++) {
        Copy *copy = &windows->copies[k];
        const LineRead *line = copy->line;
        copy->ahead = NULL;
        if (line->row_axis < 0) continue;
        Copying copying = {.patch = patch, .copy = copy};
        Value *from = build_add(build, first_place(l, windows, line, line->row_axis), build_int(build, row_span(line) - new_places(line)));
        copying.from = scope_settle(l, (Lowered){from, scope_level(l)}, "from").value;
        copying.to = build_add(build, copying.from, build_int(build, new_places(line)));
        scope_push(l, NULL);
        copy_axes(l, &copying, 0, build_int(build, 0), build_int(build, 0));
        scope_pop(l);
        copy->ahead = rows_to_come(l, windows, line, copying.from);
    }
}

void fetch_places_ahead(Lowering *l, const Patch *patch, const Copy *copy, Value *turn, int64_t turns)
{
    Builder *build = l->build;
    const LineRead *line = copy->line;
    const Access *access = find_access(l, line->read->tensor);
    int64_t step = 0, stride = 0;
    for (int axis = 0; axis < line->read->count - 1; axis++) {
        Linear linear;
        if (axis == line->row_axis || !index_linear(line->read->args[axis], &linear) || !linear_coefficient(&linear, patch->windows->position)) continue;
        step = linear_coefficient(&linear, patch->windows->position);
        stride = access->strides[axis];
    }
    if (!copy->ahead || !step) return;
    int64_t count = (step * patch->height + turns - 1) / turns;
    Value *place = build_add(build, build_mul(build, patch->row, build_int(build, step)), build_mul(build, turn, build_int(build, count)));
    Value *at = build_add(build, build_add(build, copy->ahead, patch->column), build_mul(build, place, build_int(build, stride)));
    at = scope_settle(l, (Lowered){at, scope_level(l)}, "at").value;
    for (int row = 0; row < new_places(line); row++)
        for (int k = 0; k < count; k++) prefetch(l, access->buffer, build_add(build, at, build_int(build, row * access->strides[line->row_axis] + k * stride)));
}

Access read_window_copy(Lowering *l, const Patch *patch, const Copy *copy)
{
    Builder *build = l->build;
    const LineRead *line = copy->line;
    Access *access = find_access(l, line->read->tensor), lying = *access;
    Value *before = patch->block;
    for (int axis = 0; axis < line->read->count - 1; axis++)
        if (copy->strides[axis] && axis != line->row_axis)
            before = build_add(build, before, build_mul(build, first_place(l, patch->windows, line, axis), build_int(build, copy->strides[axis])));
    access->buffer = copy->buffer;
    access->bordered = line->bordered;
    access->ring = row_span(line);
    access->ring_axis = line->row_axis;
    memcpy(access->strides, copy->strides, sizeof access->strides);
    access->origin_level = scope_level(l);
    access->origin = scope_settle(l, (Lowered){before, scope_level(l)}, "before").value;
    access->origin_step = 1;
    copy->buffer->written = false; /* not while it is read */
    return lying;
}

/* Rows are taken in groups where blocks of channels alone make too few tasks: a group's first row copies all that it reads. */
static int64_t row_groups(const Windows *windows, int64_t others)
{
    const WindowLines *lines = &windows->lines;
    int64_t rows = lines->row->extent, span = 1;
    for (int k = 0; k < lines->count; k++)
        if (row_span(&lines->reads[k]) > span) span = row_span(&lines->reads[k]);
    for (int64_t groups = 1; rows / groups >= span; groups++)
        if (rows % groups == 0 && groups * others >= ENOUGH_TASKS) return groups;
    return 1;
}

void choose_window_copies(Lowering *l, Windows *windows, bool shared)
{
    WindowLines *lines = &windows->lines;
    int64_t window = 1, stride = 0, farthest = 0, others = 1;
    bool bordered = false;
    if (l->target->lanes > LINE_CHANNELS || !window_lines(l->equation, windows->reduce, lines)) return;
    for (int k = 0; k < windows->reduce->index_count; k++) window *= windows->reduce->indices[k]->extent;
    for (int k = 0; k < lines->count; k++) {
        bordered |= lines->reads[k].bordered;
        if (read_stride(l, lines->reads[k].read, windows->position, &stride) && stride > farthest) farthest = stride;
        windows->copies[k].line = &lines->reads[k];
    }
    if (!bordered && (window < LARGE_WINDOW || farthest < FAR_APART || l->target->lanes == 1)) return;
    windows->copy_count = lines->count;
    windows->vectors = 1;
    windows->block = (Index){.name = "block", .extent = windows->vector->extent / lines->channels};
    for (int k = 0; k < windows->outer_count; k++)
        if (windows->outer[k] != lines->row) others *= windows->outer[k]->extent;
    windows->group = (Index){.name = "group", .extent = lines->row && shared ? row_groups(windows, others * windows->block.extent) : 1};
    for (int k = 0; k < windows->outer_count; k++)
        if (windows->outer[k] == lines->row) windows->outer[k] = windows->group.extent > 1 ? &windows->group : windows->outer[--windows->outer_count];
    windows->outer[windows->outer_count++] = &windows->block;
}
