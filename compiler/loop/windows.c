/* Kernels of reductions over windows: depthwise convolutions, pooling.
 * In: one equation whose operands are neighbours along its last free index (plan.h, Kernel.windows).  Out: tasks, and loops
 *
 *   for the outer free indices, for a block of vectors along the last one, for a tile of positions along the last that windows move along: accumulators
 *   for every position and vector; for the window: each operand of the block is loaded once and used for all positions that want it
 *
 * Every element is computed alone, in the order of the window, whatever the tile or the number of tasks. */
#include "loop/tile.h"

#include "equation/index.h"
#include "support/bug.h"

enum { MOST_POSITIONS = 7, MOST_VECTORS = 2 };

typedef struct {
    const Expr *reduce;
    const Index *vector, *position; /* vectors run along the one, tiles along the other, which windows move along */
    int outer_count;
    const Index *outer[MAX_RANK * 2];
    int vectors;                    /* of a block */
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
    const Expr *reduce = patch->windows->reduce;
    Statement *loops[MAX_RANK * 2];
    scope_push(l, NULL);
    for (int k = 0; k < reduce->index_count; k++) loops[k] = loop_over(l, reduce->indices[k]);
    accumulate(l, patch, totals);
    for (int k = reduce->index_count; k > 0; k--) loop_close(l, loops[k - 1]);
    scope_pop(l);
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

static void vector_block(Lowering *l, const Windows *windows, Value *column, int level, int width, int part)
{
    Patch patch = {.windows = windows, .column = column, .column_level = level, .width = width, .part = part};
    int64_t positions = windows->position->extent, most = l->target->lanes > 1 && l->target->registers < 32 ? 6 : MOST_POSITIONS;
    int64_t tiles = (positions + most - 1) / most;
    int height = (int)((positions + tiles - 1) / tiles);
    int64_t tall = positions - tiles * (height - 1);
    patch.height = height;
    position_tiles(l, &patch, 0, tall);
    patch.height = height - 1;
    position_tiles(l, &patch, tall * height, tiles - tall);
}

static void vector_blocks(Lowering *l, const Windows *windows)
{
    Builder *build = l->build;
    int lanes = l->target->lanes;
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
static void outer_loops(Lowering *l, const Windows *windows)
{
    int64_t total = outer_total(windows);
    if (total == 1) {
        vector_blocks(l, windows);
        return;
    }
    Statement *loop = open_share(l, windows->outer_count == 1 ? windows->outer[0]->name : "outer", total);
    bind_digits(l, loop_variable(l, loop), total, windows->outer, windows->outer_count);
    vector_blocks(l, windows);
    loop_close(l, loop);
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
    windows.vectors = l->target->lanes == 1 || vectors == 1 ? 1 : MOST_VECTORS;
    l->kernel->tasks = share_tasks(l->kernel->kernel->serial ? 0 : window_work(&windows), outer_total(&windows));
    int outer_pin = l->pin;
    l->pin = scope_level(l);
    outer_loops(l, &windows);
    l->pin = outer_pin;
    return true;
}
