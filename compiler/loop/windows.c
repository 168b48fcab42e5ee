/* Kernels of reductions over windows: depthwise convolutions, pooling.
 * In: one equation whose operands are neighbours along its last free index (plan.h, Kernel.windows).  Out: tasks, and loops
 *
 *   for the outer free indices, for a block of vectors along the last one, for a tile of positions along the last that windows move along: accumulators
 *   for every position and vector; for the window: each operand of the block is loaded once and used for all positions that want it
 *
 * Where neighbouring positions lie far apart and windows are large, what a block of vectors reads for a group of rows is first copied close
 * together: otherwise every element of a window is on a page of its own.
 *
 * Every element is computed alone, in the order of the window, whatever the tile or the number of tasks. */
#include "loop/tile.h"

#include "equation/index.h"
#include "support/bug.h"

#include <string.h>

enum { MOST_POSITIONS = 14, MOST_VECTORS = 4, BLOCK_VECTORS = 2, BLOCK_POSITIONS = 7, FEW_REGISTERS_POSITIONS = 6 };
enum { COPIED_LANES = 16, MOST_COPIES = 4, MOST_COPIED_BYTES = 54 * 1024, FAR_APART = 512, LARGE_WINDOW = 16 };

/* An operand that is copied: for each axis but the last, how many places from `from` on; 0: the one that outer indices name. */
typedef struct {
    const Expr *read;
    int64_t spans[MAX_RANK], strides[MAX_RANK]; /* of the copy */
    int64_t elements;                           /* of one vector's lane */
    Buffer *buffer;
} Copy;

typedef struct {
    const Expr *reduce;
    const Index *vector, *position; /* vectors run along the one, tiles along the other, which windows move along */
    int outer_count;
    const Index *outer[MAX_RANK * 2];
    int vectors;                    /* of a block */
    const Index *row;               /* with copies: the outer index that windows move along, in groups; NULL: there is none */
    Index group, block;             /* number the groups of rows and the blocks of vectors */
    int64_t group_rows;
    int copy_count;                 /* 0: operands are read where they lie */
    Copy copies[MOST_COPIES];
} Windows;

typedef struct {
    const Windows *windows;
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

static bool moves(const Expr *subscript, const Expr *reduce, const Index *index)
{
    Linear linear;
    if (!index_linear(subscript, &linear) || !linear_coefficient(&linear, index)) return false;
    for (int k = 0; k < reduce->index_count; k++)
        if (linear_coefficient(&linear, reduce->indices[k])) return true;
    return false;
}

static bool windows_move(const Expr *expr, const Expr *reduce, const Index *index)
{
    for (int k = 0; k < expr->count; k++)
        if (expr->kind == EXPR_READ ? moves(expr->args[k], reduce, index) : windows_move(expr->args[k], reduce, index)) return true;
    return false;
}

/* --- copies -------------------------------------------------------------------------------------------------------- */
/* The place on an axis that the copy begins at: what outer indices say, and the first row of the group. */
static Value *copy_from(Lowering *l, const Windows *windows, const Expr *subscript)
{
    Builder *build = l->build;
    Linear linear;
    index_linear(subscript, &linear);
    Value *from = build_int(build, 0);
    for (int k = 0; k < linear.count; k++) {
        const Index *index = linear.indices[k];
        bool outer = index == windows->row;
        for (int n = 0; n < windows->outer_count; n++) outer |= index == windows->outer[n];
        if (!outer) continue;
        const Binding *binding = scope_find(l, index == windows->row ? &windows->group : index);
        int64_t step = linear.coefficients[k] * (index == windows->row ? windows->group_rows : 1);
        from = build_add(build, from, build_mul(build, binding->base, build_int(build, step)));
    }
    return from;
}

static void copy_axes(Lowering *l, const Patch *patch, const Copy *copy, int axis, Value *from, Value *to)
{
    Builder *build = l->build;
    const Access *access = find_access(l, copy->read->tensor);
    if (axis < copy->read->count - 1) {
        if (copy->spans[axis] <= 1) {
            copy_axes(l, patch, copy, axis + 1, from, to);
            return;
        }
        Statement *loop = loop_open(l, "p", build_int(build, 0), build_int(build, copy->spans[axis]), 1);
        Value *p = loop_variable(l, loop);
        copy_axes(l, patch, copy, axis + 1, build_add(build, from, build_mul(build, p, build_int(build, access->strides[axis]))),
                  build_add(build, to, build_mul(build, p, build_int(build, copy->strides[axis]))));
        loop_close(l, loop);
        return;
    }
    from = scope_settle(l, (Lowered){build_add(build, from, patch->column), scope_level(l)}, "from").value;
    to = scope_settle(l, (Lowered){to, scope_level(l)}, "to").value;
    for (int v = 0; v < patch->width; v++) {
        Value *offset = build_int(build, (int64_t)v * l->target->lanes);
        Value *x = build_load_vector(build, access->buffer, build_add(build, from, offset), part_of(l, patch, v));
        build_store(build, copy->buffer, build_add(build, to, offset), x, NULL);
    }
}

/* Copies what a block of vectors reads for the group of rows at hand. */
static void make_copies(Lowering *l, Windows *windows, const Patch *patch)
{
    Builder *build = l->build;
    for (int k = 0; k < windows->copy_count; k++) {
        Copy *copy = &windows->copies[k];
        const Access *access = find_access(l, copy->read->tensor);
        copy->buffer = build_array(build, "lines", TYPE_F32, copy->elements * patch->width * l->target->lanes);
        int64_t stride = (int64_t)patch->width * l->target->lanes;
        Value *from = build_int(build, 0);
        for (int axis = copy->read->count - 2; axis >= 0; axis--) {
            copy->strides[axis] = copy->spans[axis] ? stride : 0;
            if (copy->spans[axis]) stride *= copy->spans[axis];
            from = build_add(build, from, build_mul(build, copy_from(l, windows, copy->read->args[axis]), build_int(build, access->strides[axis])));
        }
        copy->strides[copy->read->count - 1] = 1;
        scope_push(l, NULL);
        copy_axes(l, patch, copy, 0, from, build_int(build, 0));
        scope_pop(l);
    }
}

/* From here on the copy is read in its tensor's place. Returns how to read the tensor itself. */
static Access read_copy(Lowering *l, const Patch *patch, const Copy *copy)
{
    Builder *build = l->build;
    Access *access = find_access(l, copy->read->tensor), lying = *access;
    Value *before = patch->column;
    for (int axis = 0; axis < copy->read->count - 1; axis++)
        if (copy->strides[axis])
            before = build_add(build, before, build_mul(build, copy_from(l, patch->windows, copy->read->args[axis]), build_int(build, copy->strides[axis])));
    access->buffer = copy->buffer;
    memcpy(access->strides, copy->strides, sizeof access->strides);
    access->origin_level = scope_level(l);
    access->origin = scope_settle(l, (Lowered){before, scope_level(l)}, "before").value;
    access->origin_step = 1;
    copy->buffer->written = false; /* not while it is read */
    return lying;
}

static bool is_outer(const Windows *windows, const Index *index)
{
    for (int k = 0; k < windows->outer_count; k++)
        if (windows->outer[k] == index) return true;
    return false;
}

/* The spans of a read for groups of `rows`; false: it can't be copied. */
static bool copy_spans(const Windows *windows, Copy *copy, int64_t rows)
{
    copy->elements = 1;
    for (int axis = 0; axis < copy->read->count - 1; axis++) {
        Linear linear;
        int64_t span = 1;
        bool outer = false;
        if (!index_linear(copy->read->args[axis], &linear) || linear.constant < 0) return false;
        for (int k = 0; k < linear.count; k++) {
            const Index *index = linear.indices[k];
            if (linear.coefficients[k] < 0) return false;
            if (index != windows->row && is_outer(windows, index)) outer = true;
            else span += linear.coefficients[k] * ((index == windows->row ? rows : index->extent) - 1);
        }
        if (outer && linear.count > 1) return false;
        copy->spans[axis] = outer ? 0 : span + linear.constant;
        if (!outer) copy->elements *= copy->spans[axis];
    }
    return true;
}

/* The reads that run along the vectors; the others are left where they lie. False: some can't be copied. */
static bool find_copies(Windows *windows, const Expr *expr)
{
    if (expr->kind != EXPR_READ) {
        for (int k = 0; k < expr->count; k++)
            if (!find_copies(windows, expr->args[k])) return false;
        return true;
    }
    bool along = false;
    for (int axis = 0; axis < expr->count; axis++) {
        Linear linear;
        if (!index_linear(expr->args[axis], &linear)) return false;
        along |= linear_coefficient(&linear, windows->vector) != 0;
    }
    if (!along) return true;
    Linear last;
    index_linear(expr->args[expr->count - 1], &last);
    if (expr->otherwise || last.count != 1 || last.constant || last.indices[0] != windows->vector || windows->copy_count == MOST_COPIES) return false;
    for (int k = 0; k < windows->copy_count; k++)
        if (windows->copies[k].read->tensor == expr->tensor) return false;
    windows->copies[windows->copy_count++] = (Copy){.read = expr};
    return true;
}

/* Positions far apart, windows large: copies, for as many rows as fit. */
static void choose_copies(Lowering *l, Windows *windows)
{
    int64_t window = 1, stride = 0, farthest = 0;
    for (int k = 0; k < windows->reduce->index_count; k++) window *= windows->reduce->indices[k]->extent;
    if (l->target->lanes == 1 || window < LARGE_WINDOW || windows->vector->extent % COPIED_LANES || l->target->lanes > COPIED_LANES) return;
    if (!find_copies(windows, windows->reduce->args[0])) windows->copy_count = 0;
    for (int k = 0; k < windows->copy_count; k++)
        if (read_stride(l, windows->copies[k].read, windows->position, &stride) && stride > farthest) farthest = stride;
    for (int k = windows->outer_count - 1; k >= 0 && !windows->row; k--)
        if (windows_move(windows->reduce->args[0], windows->reduce, windows->outer[k])) windows->row = windows->outer[k];
    int64_t rows = windows->row ? windows->row->extent : 1, bytes = MOST_COPIED_BYTES + 1;
    if (farthest < FAR_APART) windows->copy_count = 0;
    for (rows++; windows->copy_count && rows > 1 && bytes > MOST_COPIED_BYTES;) {
        do rows--;
        while (windows->row && windows->row->extent % rows);
        bytes = 0;
        for (int k = 0; k < windows->copy_count; k++) {
            if (!copy_spans(windows, &windows->copies[k], rows)) windows->copy_count = 0;
            bytes += windows->copies[k].elements * COPIED_LANES * 4;
        }
    }
    if (bytes > MOST_COPIED_BYTES) windows->copy_count = 0;
    if (!windows->copy_count) return;
    windows->vectors = COPIED_LANES / l->target->lanes;
    if (windows->vectors > MOST_VECTORS) bug("%d vectors in a block of windows", windows->vectors);
    windows->block = (Index){.name = "block", .extent = windows->vector->extent / COPIED_LANES};
    windows->group_rows = rows;
    windows->group = (Index){.name = "group", .extent = windows->row ? windows->row->extent / rows : 1};
    for (int k = 0; k < windows->outer_count; k++)
        if (windows->outer[k] == windows->row) windows->outer[k] = &windows->group;
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
    Access lying[MOST_COPIES];
    for (int k = 0; k < windows->copy_count; k++) lying[k] = read_copy(l, patch, &windows->copies[k]);
    scope_push(l, NULL);
    for (int k = 0; k < reduce->index_count; k++) loops[k] = loop_over(l, reduce->indices[k]);
    accumulate(l, patch, totals);
    for (int k = reduce->index_count; k > 0; k--) loop_close(l, loops[k - 1]);
    scope_pop(l);
    for (int k = 0; k < windows->copy_count; k++) {
        windows->copies[k].buffer->written = true;
        *find_access(l, windows->copies[k].read->tensor) = lying[k];
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

static void patches(Lowering *l, Windows *windows, Value *column, int level, int width, int part)
{
    Patch patch = {.windows = windows, .column = column, .column_level = level, .width = width, .part = part};
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

/* With copies: the rows of the group meet them in turn. */
static void vector_block(Lowering *l, Windows *windows, Value *column, int level, int width, int part)
{
    Builder *build = l->build;
    if (!windows->copy_count) {
        patches(l, windows, column, level, width, part);
        return;
    }
    Patch patch = {.windows = windows, .column = column, .column_level = level, .width = width, .part = part};
    make_copies(l, windows, &patch);
    if (!windows->row) {
        patches(l, windows, column, level, width, part);
        return;
    }
    Value *first = build_mul(build, scope_find(l, &windows->group)->base, build_int(build, windows->group_rows));
    Statement *loop = loop_open(l, windows->row->name, first, build_add(build, first, build_int(build, windows->group_rows)), 1);
    scope_bind(l, windows->row, loop_variable(l, loop), scope_level(l), 0);
    patches(l, windows, column, level, width, part);
    loop_close(l, loop);
}

static void vector_blocks(Lowering *l, Windows *windows)
{
    Builder *build = l->build;
    int lanes = l->target->lanes;
    if (windows->copy_count) {
        Value *column = build_mul(build, scope_find(l, &windows->block)->base, build_int(build, COPIED_LANES));
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

/* Of the free indices but the vectors', the innermost that windows move along. */
static int find_position(const Expr *reduce, const Equation *equation)
{
    int position = equation->free_count - 2;
    while (position > 0 && !windows_move(reduce->args[0], reduce, equation->free[position])) position--;
    return position;
}

bool lower_windows(Lowering *l)
{
    const Equation *equation = l->kernel->kernel->equations.data[0];
    lowering_equation(l, equation);
    Windows windows = {.reduce = find_reduce(equation->value), .vector = equation->free[equation->free_count - 1]};
    if (!result_is_dense(l, windows.vector)) return false;
    if (l->target->lanes > 1 && (vector_cost(l, equation->value, windows.vector) != 0 || vector_cost(l, windows.reduce->args[0], windows.vector) != 0))
        return false;
    int position = find_position(windows.reduce, equation);
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
