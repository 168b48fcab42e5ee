/* Kernels of reductions over windows: depthwise convolutions, pooling.
 * In: one equation whose operands are neighbours along its last free index (plan.h, Kernel.windows).  Out: tasks, and loops
 *
 *   for the outer free indices, for a block of vectors along the last one, for a tile of positions along the last that windows move along: accumulators
 *   for every position and vector; for the window: each operand of the block is loaded once and used for all positions that want it
 *
 * Where neighbouring positions lie far apart and windows are large, what a block of vectors reads for a group of rows is first copied close
 * together: otherwise every element of a window is on a page of its own. The copy has a border where windows reach past the tensor's ends.
 *
 * Every element is computed alone, in the order of the window, whatever the tile or the number of tasks. */
#include "loop/tile.h"

#include "equation/index.h"
#include "schedule/lines.h"
#include "support/bug.h"

#include <string.h>

enum { MOST_POSITIONS = 14, MOST_VECTORS = 4, BLOCK_VECTORS = 2, BLOCK_POSITIONS = 7, FEW_REGISTERS_POSITIONS = 6 };
enum { FAR_APART = 512, LARGE_WINDOW = 16 };

/* An operand that is copied: how, and where to. */
typedef struct {
    const LineRead *line;
    int64_t strides[MAX_RANK];
    Buffer *buffer;
} Copy;

typedef struct {
    const Expr *reduce;
    const Index *vector, *position; /* vectors run along the one, tiles along the other, which windows move along */
    int outer_count;
    const Index *outer[MAX_RANK * 2];
    int vectors;                    /* of a block */
    WindowLines lines;              /* with copies: what they hold */
    Index group, block;             /* number the groups of rows and the blocks of vectors */
    int copy_count;                 /* 0: operands are read where they lie */
    Copy copies[MOST_LINE_READS];
} Windows;

typedef struct {
    const Windows *windows;
    Value *block;                   /* first column of the copies */
    Value *column, *row;            /* of the first vector and position */
    int column_level, row_level;
    int width, height;              /* vectors, positions */
    int part;                       /* lanes of the last vector, 0: all */
} Patch;

static Value *part_of(Lowering *l, const Patch *patch, int vector)
{
    return patch->part && vector == patch->width - 1 ? build_int(l->build, patch->part) : NULL;
}

static void bind_vector(Lowering *l, const Patch *patch, int vector)
{
    int64_t offset = (int64_t)vector * l->target->lanes;
    scope_push(l, NULL);
    if (l->vector) scope_bind_vector(l, patch->windows->vector, patch->column, patch->column_level, offset, part_of(l, patch, vector));
    else scope_bind(l, patch->windows->vector, patch->column, patch->column_level, offset);
}

static void bind_position(Lowering *l, const Patch *patch, int position)
{
    scope_push(l, NULL);
    scope_bind(l, patch->windows->position, patch->row, patch->row_level, position);
}

/* --- copies -------------------------------------------------------------------------------------------------------- */
/* The place on an axis that the copy begins at: what outer indices say, and the first row of the group. */
static Value *copy_from(Lowering *l, const Windows *windows, const LineRead *line, int axis)
{
    Builder *build = l->build;
    Linear linear;
    index_linear(line->read->args[axis], &linear);
    Value *from = build_int(build, linear.constant);
    int level = 0;
    for (int k = 0; k < linear.count; k++) {
        const Index *index = linear.indices[k];
        bool row = index == windows->lines.row;
        if (!row && !line->outer[axis]) continue;
        const Binding *binding = scope_find(l, row ? &windows->group : index);
        int64_t step = linear.coefficients[k] * (row ? windows->lines.rows : 1);
        from = build_add(build, from, build_mul(build, binding->base, build_int(build, step)));
        if (binding->base_level > level) level = binding->base_level;
    }
    return scope_settle(l, (Lowered){from, level}, "first").value;
}

typedef struct {
    const Patch *patch;
    const Copy *copy;
    Value *from[MAX_RANK]; /* on each axis */
    bool outside;          /* in the border */
} Copying;

static void copy_axes(Lowering *l, const Copying *copying, int axis, Value *from, Value *to);

/* The places [begin, end) of the copy's axis. */
static void copy_places(Lowering *l, const Copying *copying, int axis, Value *begin, Value *end, Value *from, Value *to)
{
    Builder *build = l->build;
    const Copy *copy = copying->copy;
    const Access *access = find_access(l, copy->line->read->tensor);
    int64_t first, last;
    if (value_is_int(begin, &first) && value_is_int(end, &last) && first == last) return;
    Statement *loop = loop_open(l, "p", begin, end, 1);
    Value *p = loop_variable(l, loop);
    copy_axes(l, copying, axis + 1, build_add(build, from, build_mul(build, p, build_int(build, access->strides[axis]))),
              build_add(build, to, build_mul(build, p, build_int(build, copy->strides[axis]))));
    loop_close(l, loop);
}

static Value *within(Lowering *l, Value *place, int64_t span)
{
    Builder *build = l->build;
    int64_t whole;
    if (value_is_int(place, &whole)) return build_int(build, whole < 0 ? 0 : whole > span ? span : whole);
    Value *clamped = build_op(build, OP_MIN, build_op(build, OP_MAX, place, build_int(build, 0), NULL), build_int(build, span), NULL);
    return scope_settle(l, (Lowered){clamped, scope_level(l)}, "edge").value;
}

static void copy_lanes(Lowering *l, const Copying *copying, Value *from, Value *to)
{
    Builder *build = l->build;
    const Patch *patch = copying->patch;
    const Expr *read = copying->copy->line->read;
    from = scope_settle(l, (Lowered){build_add(build, from, patch->column), scope_level(l)}, "from").value;
    to = scope_settle(l, (Lowered){to, scope_level(l)}, "to").value;
    for (int v = 0; v < patch->width; v++) {
        Value *offset = build_int(build, (int64_t)v * l->target->lanes);
        Value *x = copying->outside ? build_number(build, builder_vector_type(build), read->otherwise->number)
                                    : build_load_vector(build, find_access(l, read->tensor)->buffer, build_add(build, from, offset), part_of(l, patch, v));
        build_store(build, copying->copy->buffer, build_add(build, to, offset), x, NULL);
    }
}

/* Each axis: what lies before the tensor, the tensor, what lies behind it. */
static void copy_axes(Lowering *l, const Copying *copying, int axis, Value *from, Value *to)
{
    Builder *build = l->build;
    const LineRead *line = copying->copy->line;
    if (axis == line->read->count - 1) {
        copy_lanes(l, copying, from, to);
        return;
    }
    int64_t span = line->spans[axis];
    if (copying->outside || !line->bordered || line->outer[axis] || subscript_proved(line->read->args[axis], line->read->tensor->extents[axis])) {
        if (span > 1) copy_places(l, copying, axis, build_int(build, 0), build_int(build, span), from, to);
        else copy_axes(l, copying, axis + 1, from, to);
        return;
    }
    Copying border = *copying;
    border.outside = true;
    Value *begin = within(l, build_sub(build, build_int(build, 0), copying->from[axis]), span);
    Value *end = within(l, build_sub(build, build_int(build, line->read->tensor->extents[axis]), copying->from[axis]), span);
    copy_places(l, &border, axis, build_int(build, 0), begin, from, to);
    copy_places(l, copying, axis, begin, end, from, to);
    copy_places(l, &border, axis, end, build_int(build, span), from, to);
}

/* Copies what a block of vectors reads for the group of rows at hand. */
static void make_copies(Lowering *l, Windows *windows, const Patch *patch)
{
    Builder *build = l->build;
    for (int k = 0; k < windows->copy_count; k++) {
        Copy *copy = &windows->copies[k];
        const LineRead *line = copy->line;
        const Access *access = find_access(l, line->read->tensor);
        Copying copying = {.patch = patch, .copy = copy};
        copy->buffer = build_array(build, "lines", TYPE_F32, line->elements * patch->width * l->target->lanes);
        int64_t stride = (int64_t)patch->width * l->target->lanes;
        Value *from = build_int(build, 0);
        for (int axis = line->read->count - 2; axis >= 0; axis--) {
            copy->strides[axis] = line->spans[axis] ? stride : 0;
            if (line->spans[axis]) stride *= line->spans[axis];
            copying.from[axis] = copy_from(l, windows, line, axis);
            from = build_add(build, from, build_mul(build, copying.from[axis], build_int(build, access->strides[axis])));
        }
        copy->strides[line->read->count - 1] = 1;
        scope_push(l, NULL);
        copy_axes(l, &copying, 0, from, build_int(build, 0));
        scope_pop(l);
    }
}

/* From here on the copy is read in its tensor's place. Returns how to read the tensor itself. */
static Access read_copy(Lowering *l, const Patch *patch, const Copy *copy)
{
    Builder *build = l->build;
    const LineRead *line = copy->line;
    Access *access = find_access(l, line->read->tensor), lying = *access;
    Value *before = patch->block;
    for (int axis = 0; axis < line->read->count - 1; axis++)
        if (copy->strides[axis])
            before = build_add(build, before, build_mul(build, copy_from(l, patch->windows, line, axis), build_int(build, copy->strides[axis])));
    access->buffer = copy->buffer;
    access->bordered = line->bordered;
    memcpy(access->strides, copy->strides, sizeof access->strides);
    access->origin_level = scope_level(l);
    access->origin = scope_settle(l, (Lowered){before, scope_level(l)}, "before").value;
    access->origin_step = 1;
    copy->buffer->written = false; /* not while it is read */
    return lying;
}

/* Copies where windows need a border, or are large and positions far apart. */
static void choose_copies(Lowering *l, Windows *windows)
{
    const WindowLines *lines = &windows->lines;
    int64_t window = 1, stride = 0, farthest = 0;
    bool bordered = false;
    if (l->target->lanes > LINE_CHANNELS || !window_lines(l->equation, windows->reduce, &windows->lines)) return;
    for (int k = 0; k < windows->reduce->index_count; k++) window *= windows->reduce->indices[k]->extent;
    for (int k = 0; k < lines->count; k++) {
        bordered |= lines->reads[k].bordered;
        if (read_stride(l, lines->reads[k].read, windows->position, &stride) && stride > farthest) farthest = stride;
        windows->copies[k].line = &lines->reads[k];
    }
    if (!bordered && (window < LARGE_WINDOW || farthest < FAR_APART || l->target->lanes == 1)) return;
    windows->copy_count = lines->count;
    windows->vectors = LINE_CHANNELS / l->target->lanes;
    windows->block = (Index){.name = "block", .extent = windows->vector->extent / LINE_CHANNELS};
    windows->group = (Index){.name = "group", .extent = lines->row ? lines->row->extent / lines->rows : 1};
    for (int k = 0; k < windows->outer_count; k++)
        if (windows->outer[k] == lines->row) windows->outer[k] = &windows->group;
    windows->outer[windows->outer_count++] = &windows->block;
}

/* --- a patch ------------------------------------------------------------------------------------------------------- */
/* One place of the window, for all positions and vectors of the patch. */
static void accumulate(Lowering *l, const Patch *patch, Variable *totals[MOST_POSITIONS][MOST_VECTORS])
{
    const Expr *reduce = patch->windows->reduce;
    for (int v = 0; v < patch->width; v++) {
        bind_vector(l, patch, v);
        for (int r = 0; r < patch->height; r++) {
            bind_position(l, patch, r);
            Value *x = lower_vector(l, reduce->args[0]);
            build_set(l->build, totals[r][v], reduction_combine(l, reduce->reduction, build_variable(l->build, totals[r][v]), x));
            scope_pop(l);
        }
        scope_pop(l);
    }
}

static void reduce_patch(Lowering *l, const Patch *patch, Variable *totals[MOST_POSITIONS][MOST_VECTORS])
{
    const Windows *windows = patch->windows;
    const Expr *reduce = windows->reduce;
    Statement *loops[MAX_RANK * 2];
    Access lying[MOST_LINE_READS];
    for (int k = 0; k < windows->copy_count; k++) lying[k] = read_copy(l, patch, &windows->copies[k]);
    scope_push(l, NULL);
    for (int k = 0; k < reduce->index_count; k++) loops[k] = loop_over(l, reduce->indices[k]);
    accumulate(l, patch, totals);
    for (int k = reduce->index_count; k > 0; k--) loop_close(l, loops[k - 1]);
    scope_pop(l);
    for (int k = 0; k < windows->copy_count; k++) {
        windows->copies[k].buffer->written = true;
        *find_access(l, windows->copies[k].line->read->tensor) = lying[k];
    }
}

static void store_total(Lowering *l, const Patch *patch, Value *total)
{
    scope_remember(l, patch->windows->reduce, (Lowered){total, scope_level(l)});
    store_result(l, lower_vector(l, l->equation->value));
}

static void store_patch(Lowering *l, const Patch *patch, Variable *totals[MOST_POSITIONS][MOST_VECTORS])
{
    for (int v = 0; v < patch->width; v++) {
        bind_vector(l, patch, v);
        for (int r = 0; r < patch->height; r++) {
            bind_position(l, patch, r);
            store_total(l, patch, build_variable(l->build, totals[r][v]));
            scope_pop(l);
        }
        scope_pop(l);
    }
}

/* A long epilogue is written once a vector, in a loop over the positions. */
static void store_patch_in_loop(Lowering *l, const Patch *patch, Variable *totals[MOST_POSITIONS][MOST_VECTORS])
{
    Builder *build = l->build;
    int lanes = l->target->lanes, row = patch->width * lanes;
    Buffer *copy = build_array(build, "totals", TYPE_F32, (int64_t)row * patch->height);
    for (int r = 0; r < patch->height; r++)
        for (int v = 0; v < patch->width; v++)
            build_store(build, copy, build_int(build, r * row + v * lanes), build_variable(build, totals[r][v]), NULL);
    Statement *loop = loop_open(l, "r", build_int(build, 0), build_int(build, patch->height), 1);
    Value *r = loop_variable(l, loop);
    Value *position = scope_settle(l, (Lowered){build_add(build, patch->row, r), scope_level(l)}, patch->windows->position->name).value;
    scope_bind(l, patch->windows->position, position, scope_level(l), 0);
    for (int v = 0; v < patch->width; v++) {
        bind_vector(l, patch, v);
        Value *at = build_add(build, build_mul(build, r, build_int(build, row)), build_int(build, (int64_t)v * lanes));
        store_total(l, patch, build_let(build, "total", build_load_vector(build, copy, at, NULL)));
        scope_pop(l);
    }
    loop_close(l, loop);
}

/* Where operands lie far apart, so do the results and what the epilogue adds: their lines are fetched while the window is summed. */
static void prefetch_line(Lowering *l, const Tensor *tensor, Expr *const *subscripts, int rank)
{
    const Access *access = find_access(l, tensor);
    Address address = {0};
    for (int axis = 0; axis < rank; axis++)
        if (access->strides[axis]) address_add(l, &address, subscripts[axis], access->strides[axis]);
    address_origin(&address, access);
    prefetch(l, access->buffer, address_value(l, &address));
}

static void prefetch_reads(Lowering *l, const Patch *patch, const Expr *expr)
{
    int64_t along = 0, across = 0;
    if (expr == patch->windows->reduce) return;
    if (expr->kind != EXPR_READ) {
        for (int k = 0; k < expr->count; k++) prefetch_reads(l, patch, expr->args[k]);
    } else if (read_stride(l, expr, patch->windows->vector, &along) && along == 1 && read_stride(l, expr, patch->windows->position, &across) && across &&
               !expr->otherwise && !find_access(l, expr->tensor)->buffer->local) {
        prefetch_line(l, expr->tensor, expr->args, expr->count);
    }
}

static void prefetch_patch(Lowering *l, const Patch *patch)
{
    const Equation *equation = l->equation;
    if (!patch->windows->copy_count) return;
    for (int r = 0; r < patch->height; r++) {
        bind_vector(l, patch, 0);
        bind_position(l, patch, r);
        prefetch_line(l, equation->result, equation->subscripts, equation->rank);
        prefetch_reads(l, patch, equation->value);
        scope_pop(l);
        scope_pop(l);
    }
}

static void lower_patch(Lowering *l, const Patch *patch)
{
    Builder *build = l->build;
    Variable *totals[MOST_POSITIONS][MOST_VECTORS];
    if (patch->height > MOST_POSITIONS || patch->width > MOST_VECTORS) bug("%d x %d windows at a time", patch->height, patch->width);
    Reduction reduction = patch->windows->reduce->reduction;
    int outer_floor = l->vector_floor;
    l->vector_floor = scope_level(l);
    lowering_vector(l, patch->windows->vector);
    for (int r = 0; r < patch->height; r++)
        for (int v = 0; v < patch->width; v++)
            totals[r][v] = build_declare(build, arena_printf(l->arena, "total_%d_%d", r, v),
                                         build_number(build, builder_vector_type(build), reduction_identity(reduction)));
    prefetch_patch(l, patch);
    reduce_patch(l, patch, totals);
    if (patch->height > 1 && calls_functions(l, l->equation->value)) store_patch_in_loop(l, patch, totals);
    else store_patch(l, patch, totals);
    lowering_vector(l, NULL);
    l->vector_floor = outer_floor;
}

/* --- loops --------------------------------------------------------------------------------------------------------- */
/* `count` tiles of one height from position `start` on. */
static void position_tiles(Lowering *l, Patch *patch, int64_t start, int64_t count)
{
    Builder *build = l->build;
    if (count == 0) return;
    int64_t end = start + count * patch->height;
    Statement *loop = count == 1 ? NULL : loop_open(l, patch->windows->position->name, build_int(build, start), build_int(build, end), patch->height);
    if (!loop) scope_push(l, NULL);
    patch->row = loop ? loop_variable(l, loop) : build_int(build, start);
    patch->row_level = loop ? scope_level(l) : 0;
    lower_patch(l, patch);
    if (loop) loop_close(l, loop);
    else scope_pop(l);
}

static void patches(Lowering *l, Windows *windows, const Patch *columns)
{
    Patch patch = *columns;
    int64_t positions = windows->position->extent;
    int64_t most = l->target->lanes > 1 && l->target->registers < 32 ? FEW_REGISTERS_POSITIONS : windows->vectors == 1 && windows->copy_count ? MOST_POSITIONS : BLOCK_POSITIONS;
    int64_t tiles = (positions + most - 1) / most;
    int height = (int)((positions + tiles - 1) / tiles);
    int64_t tall = positions - tiles * (height - 1);
    patch.height = height;
    position_tiles(l, &patch, 0, tall);
    patch.height = height - 1;
    position_tiles(l, &patch, tall * height, tiles - tall);
}

/* Without vectors the columns of a block follow each other. */
static void column_patches(Lowering *l, Windows *windows, const Patch *block)
{
    if (l->target->lanes > 1) {
        patches(l, windows, block);
        return;
    }
    Builder *build = l->build;
    Patch patch = *block;
    Statement *loop = loop_open(l, windows->vector->name, block->column, build_add(build, block->column, build_int(build, block->width)), 1);
    patch.column = loop_variable(l, loop);
    patch.column_level = scope_level(l);
    patch.width = 1;
    patches(l, windows, &patch);
    loop_close(l, loop);
}

/* With copies: the rows of the group meet them in turn. */
static void vector_block(Lowering *l, Windows *windows, Value *column, int level, int width, int part)
{
    Builder *build = l->build;
    Patch patch = {.windows = windows, .block = column, .column = column, .column_level = level, .width = width, .part = part};
    if (!windows->copy_count) {
        patches(l, windows, &patch);
        return;
    }
    make_copies(l, windows, &patch);
    const Index *row = windows->lines.row;
    if (!row) {
        column_patches(l, windows, &patch);
        return;
    }
    Value *first = build_mul(build, scope_find(l, &windows->group)->base, build_int(build, windows->lines.rows));
    Statement *loop = loop_open(l, row->name, first, build_add(build, first, build_int(build, windows->lines.rows)), 1);
    scope_bind(l, row, loop_variable(l, loop), scope_level(l), 0);
    column_patches(l, windows, &patch);
    loop_close(l, loop);
}

static void vector_blocks(Lowering *l, Windows *windows)
{
    Builder *build = l->build;
    int lanes = l->target->lanes;
    if (windows->copy_count) {
        Value *column = build_mul(build, scope_find(l, &windows->block)->base, build_int(build, LINE_CHANNELS));
        vector_block(l, windows, scope_settle(l, (Lowered){column, scope_level(l)}, windows->vector->name).value, scope_level(l), windows->vectors, 0);
        return;
    }
    int64_t extent = windows->vector->extent, block = (int64_t)windows->vectors * lanes, full = extent / block * block;
    if (full == block) {
        scope_push(l, NULL);
        vector_block(l, windows, build_int(build, 0), 0, windows->vectors, 0);
        scope_pop(l);
    } else if (full > 0) {
        Statement *loop = loop_open(l, windows->vector->name, build_int(build, 0), build_int(build, full), block);
        vector_block(l, windows, loop_variable(l, loop), scope_level(l), windows->vectors, 0);
        loop_close(l, loop);
    }
    int rest = (int)(extent - full);
    if (!rest) return;
    scope_push(l, NULL);
    vector_block(l, windows, build_int(build, full), 0, (rest + lanes - 1) / lanes, rest % lanes);
    scope_pop(l);
}

static int64_t outer_total(const Windows *windows)
{
    int64_t total = 1;
    for (int k = 0; k < windows->outer_count; k++) total *= windows->outer[k]->extent;
    return total;
}

static int64_t window_work(const Windows *windows)
{
    int64_t work = outer_total(windows) * windows->vector->extent * windows->position->extent;
    for (int k = 0; k < windows->reduce->index_count; k++) work *= windows->reduce->indices[k]->extent;
    return work;
}

/* This task's share of the outer indices, flattened, and taken apart again. */
static void outer_loops(Lowering *l, Windows *windows)
{
    int64_t total = outer_total(windows);
    if (total == 1) {
        scope_push(l, NULL);
        for (int k = 0; k < windows->outer_count; k++) scope_bind(l, windows->outer[k], build_int(l->build, 0), 0, 0);
        vector_blocks(l, windows);
        scope_pop(l);
        return;
    }
    Statement *loop = open_share(l, windows->outer_count == 1 ? windows->outer[0]->name : "outer", total);
    bind_digits(l, loop_variable(l, loop), total, windows->outer, windows->outer_count);
    vector_blocks(l, windows);
    loop_close(l, loop);
}

bool lower_windows(Lowering *l)
{
    const Equation *equation = l->kernel->kernel->equations.data[0];
    lowering_equation(l, equation);
    Windows windows = {.reduce = find_reduce(equation->value), .vector = equation->free[equation->free_count - 1]};
    if (!result_is_dense(l, windows.vector)) return false;
    if (l->target->lanes > 1 && (vector_cost(l, equation->value, windows.vector) != 0 || vector_cost(l, windows.reduce->args[0], windows.vector) != 0))
        return false;
    int position = window_position(equation, windows.reduce);
    windows.position = equation->free[position];
    for (int k = 0; k + 1 < equation->free_count; k++)
        if (k != position) windows.outer[windows.outer_count++] = equation->free[k];
    int64_t vectors = (windows.vector->extent + l->target->lanes - 1) / l->target->lanes;
    windows.vectors = l->target->lanes == 1 || vectors == 1 ? 1 : BLOCK_VECTORS;
    int64_t work = window_work(&windows);
    choose_copies(l, &windows);
    l->kernel->tasks = share_tasks(l->kernel->kernel->serial ? 0 : work, outer_total(&windows));
    int outer_pin = l->pin;
    l->pin = scope_level(l);
    outer_loops(l, &windows);
    l->pin = outer_pin;
    return true;
}
