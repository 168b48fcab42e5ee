/* Kernels of reductions over windows: depthwise convolutions, pooling.
 * In: one equation whose operands are neighbours along its last free index (plan.h, Kernel.windows).  Out: tasks, and loops
 *
 *   for the outer free indices, for a block of vectors along the last one, for a tile of positions along the last that windows move along: accumulators
 *   for every position and vector; for the window: each operand of the block is loaded once and used for all positions that want it
 *
 * Where windows of neighbouring positions share elements, some places of the window's last index are written side by side, and an element that
 * several positions want is loaded once for all of them. Where neighbouring positions lie far apart and windows are large, or windows reach past the
 * tensor's ends, operands are first copied close together (window_copies.c): otherwise every element of a window is on a page of its own.
 *
 * Every element is computed alone, in the order of the window, whatever the tile or the number of tasks. */
#include "loop/windows.h"

#include "equation/index.h"
#include "support/bug.h"

enum { MOST_POSITIONS = 16, MOST_VECTORS = 4, BLOCK_VECTORS = 2, BLOCK_POSITIONS = 7, FEW_REGISTERS_POSITIONS = 6, FEW_REGISTERS_COPIED = 10 };
enum { MOST_PLACES = 14, OPERAND_REGISTERS = 2 };

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

/* --- a patch ------------------------------------------------------------------------------------------------------- */
/* What the window's last index stands for: base + first, and as many places from there on as are computed at once. */
typedef struct {
    const Index *index; /* NULL: the window is a single place */
    Value *base;
    int base_level, first, count;
} Places;

typedef struct {
    int position, place;
    int64_t at; /* what they read, in elements from the patch's first */
} Pair;

static bool can_be_kept(Lowering *l, const Expr *expr)
{
    if (expr->kind == EXPR_READ && expr->otherwise && !find_access(l, expr->tensor)->bordered) return false;
    for (int k = 0; k < expr->count; k++)
        if (!can_be_kept(l, expr->args[k])) return false;
    return true;
}

/* Elements from one position to the next and from one place to the next, of the first read that both move along. */
static bool find_steps(Lowering *l, const Windows *windows, const Index *place, const Expr *expr, int64_t *position_step, int64_t *place_step)
{
    if (expr->kind != EXPR_READ) {
        for (int k = 0; k < expr->count; k++)
            if (find_steps(l, windows, place, expr->args[k], position_step, place_step)) return true;
        return false;
    }
    return read_stride(l, expr, windows->position, position_step) && read_stride(l, expr, place, place_step) && *position_step != 0 && *place_step > 0;
}

/* As many places of the window's last index as registers hold operands for, beside the totals, where the windows of neighbouring positions share
 * elements. */
static int places_at_once(Lowering *l, const Patch *patch)
{
    const Expr *reduce = patch->windows->reduce;
    if (l->target->lanes == 1 || calls_functions(l, reduce->args[0]) || !can_be_kept(l, reduce->args[0])) return 1;
    const Index *last = reduce->indices[reduce->index_count - 1];
    int64_t position_step = 0, place_step = 0;
    if (!find_steps(l, patch->windows, last, reduce->args[0], &position_step, &place_step)) return 1;
    if (position_step < 0 || position_step % place_step != 0 || position_step >= place_step * last->extent) return 1;
    int64_t most = (l->target->registers - OPERAND_REGISTERS - patch->width * patch->height) / patch->width;
    if (most < 2) return 1;
    if (most > MOST_PLACES) most = MOST_PLACES;
    int64_t parts = (last->extent + most - 1) / most;
    return (int)((last->extent + parts - 1) / parts);
}

/* Those that read the same elements follow each other, places in order for each position. */
static void order_pairs(Lowering *l, const Patch *patch, const Places *places, Pair *pairs)
{
    int64_t position_step = 0, place_step = 0;
    if (places->count > 1) find_steps(l, patch->windows, places->index, patch->windows->reduce->args[0], &position_step, &place_step);
    for (int count = 0; count < places->count * patch->height; count++) {
        Pair pair = {.position = count % patch->height, .place = count / patch->height};
        pair.at = pair.position * position_step + pair.place * place_step;
        int k = count;
        for (; k > 0 && pairs[k - 1].at > pair.at; k--) pairs[k] = pairs[k - 1];
        pairs[k] = pair;
    }
}

/* Every element that the bound indices read, in a variable of scope `level`: the same one where another pair has read it. */
static void keep_reads(Lowering *l, const Expr *expr, int level)
{
    if (expr->kind == EXPR_READ) {
        Lowered read = expr->tensor->type == TYPE_F32 ? to_vector(l, lower_expr(l, expr)) : lower_expr(l, expr);
        if (read.level > level) read.level = level;
        scope_remember(l, expr, (Lowered){scope_settle(l, read, "x").value, scope_level(l)});
        return;
    }
    for (int k = 0; k < expr->count; k++) keep_reads(l, expr->args[k], level);
}

/* These places of the window, for all positions and vectors of the patch. */
static void accumulate(Lowering *l, const Patch *patch, const Places *places, Variable *totals[MOST_POSITIONS][MOST_VECTORS])
{
    const Expr *reduce = patch->windows->reduce;
    Pair pairs[MOST_POSITIONS * MOST_PLACES];
    int level = scope_level(l);
    order_pairs(l, patch, places, pairs);
    for (int v = 0; v < patch->width; v++) {
        bind_vector(l, patch, v);
        for (int k = 0; k < places->count * patch->height; k++) {
            Variable *total = totals[pairs[k].position][v];
            bind_position(l, patch, pairs[k].position);
            if (places->index) scope_bind(l, places->index, places->base, places->base_level, places->first + pairs[k].place);
            if (places->count > 1) keep_reads(l, reduce->args[0], level);
            Value *x = lower_vector(l, reduce->args[0]);
            build_set(l->build, total, reduction_combine(l, reduce->reduction, build_variable(l->build, total), x));
            scope_pop(l);
        }
        scope_pop(l);
    }
}

static void reduce_last(Lowering *l, const Patch *patch, Variable *totals[MOST_POSITIONS][MOST_VECTORS])
{
    Builder *build = l->build;
    const Expr *reduce = patch->windows->reduce;
    if (reduce->index_count == 0) {
        accumulate(l, patch, &(Places){.count = 1}, totals);
        return;
    }
    const Index *last = reduce->indices[reduce->index_count - 1];
    int count = places_at_once(l, patch), rest = (int)(last->extent % count);
    int64_t full = last->extent - rest;
    Places places = {.index = last, .base = build_int(build, 0), .count = count};
    Statement *loop = full > count ? loop_open(l, last->name, build_int(build, 0), build_int(build, full), count) : NULL;
    if (loop) places.base = loop_variable(l, loop), places.base_level = scope_level(l);
    accumulate(l, patch, &places, totals);
    loop_close(l, loop);
    if (rest) accumulate(l, patch, &(Places){.index = last, .base = build_int(build, 0), .first = (int)full, .count = rest}, totals);
}

static void reduce_patch(Lowering *l, const Patch *patch, Variable *totals[MOST_POSITIONS][MOST_VECTORS])
{
    const Windows *windows = patch->windows;
    const Expr *reduce = windows->reduce;
    Statement *loops[MAX_RANK * 2];
    Access lying[MOST_LINE_READS];
    Value *turn = build_int(l->build, 0);
    int64_t turns = 1;
    scope_push(l, NULL);
    for (int k = 0; k + 1 < reduce->index_count; k++) {
        loops[k] = loop_over(l, reduce->indices[k]);
        if (k == 0) turn = scope_find(l, reduce->indices[0])->base, turns = reduce->indices[0]->extent;
        for (int n = 0; k == 0 && n < windows->copy_count; n++) fetch_places_ahead(l, patch, &windows->copies[n], turn, turns);
    }
    for (int k = 0; k < windows->copy_count; k++) lying[k] = read_window_copy(l, patch, &windows->copies[k]);
    reduce_last(l, patch, totals);
    for (int k = reduce->index_count - 1; k > 0; k--) loop_close(l, loops[k - 1]);
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
static void prefetch_reads(Lowering *l, const Patch *patch, const Expr *expr)
{
    int64_t along = 0, across = 0;
    if (expr == patch->windows->reduce) return;
    if (expr->kind != EXPR_READ) {
        for (int k = 0; k < expr->count; k++) prefetch_reads(l, patch, expr->args[k]);
    } else if (read_stride(l, expr, patch->windows->vector, &along) && along == 1 && read_stride(l, expr, patch->windows->position, &across) && across &&
               !expr->otherwise && !find_access(l, expr->tensor)->buffer->local) {
        prefetch_element(l, expr->tensor, expr->args, expr->count);
    }
}

static void prefetch_patch(Lowering *l, const Patch *patch)
{
    const Equation *equation = l->equation;
    if (!patch->windows->copy_count) return;
    for (int r = 0; r < patch->height; r++) {
        bind_vector(l, patch, 0);
        bind_position(l, patch, r);
        prefetch_element(l, equation->result, equation->subscripts, equation->rank);
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
    bool few = l->target->lanes > 1 && l->target->registers < 32, copied = l->target->lanes > 1 && windows->copy_count;
    int64_t most = few ? copied ? FEW_REGISTERS_COPIED : FEW_REGISTERS_POSITIONS : copied ? MOST_POSITIONS : BLOCK_POSITIONS;
    int64_t tiles = (positions + most - 1) / most;
    int height = (int)((positions + tiles - 1) / tiles);
    int64_t tall = positions - tiles * (height - 1);
    patch.height = height;
    position_tiles(l, &patch, 0, tall);
    patch.height = height - 1;
    position_tiles(l, &patch, tall * height, tiles - tall);
}

/* All positions, for the block's vectors in turn. */
static void block_patches(Lowering *l, Windows *windows, const Patch *block)
{
    Builder *build = l->build;
    Patch patch = *block;
    if (windows->lines.channels == l->target->lanes) {
        patches(l, windows, &patch);
        return;
    }
    Value *end = build_add(build, block->block, build_int(build, windows->lines.channels));
    Statement *loop = loop_open(l, windows->vector->name, block->block, end, l->target->lanes);
    patch.column = loop_variable(l, loop);
    patch.column_level = scope_level(l);
    patches(l, windows, &patch);
    loop_close(l, loop);
}

/* A block of channels with copies: the rows of the group meet it in turn. */
static void copied_block(Lowering *l, Windows *windows)
{
    Builder *build = l->build;
    const Index *row = windows->lines.row;
    Value *block = build_mul(build, scope_find(l, &windows->block)->base, build_int(build, windows->lines.channels));
    block = scope_settle(l, (Lowered){block, scope_level(l)}, windows->vector->name).value;
    Patch patch = {.windows = windows, .block = block, .column = block, .column_level = scope_level(l), .width = 1};
    if (!row) {
        begin_window_copies(l, windows, &patch);
        block_patches(l, windows, &patch);
        return;
    }
    int64_t rows = row->extent / windows->group.extent;
    Value *group = windows->group.extent > 1 ? scope_find(l, &windows->group)->base : build_int(build, 0);
    Value *first = scope_settle(l, (Lowered){build_mul(build, group, build_int(build, rows)), scope_level(l)}, "first").value;
    scope_push(l, NULL);
    scope_bind(l, row, first, scope_level(l), 0);
    begin_window_copies(l, windows, &patch);
    scope_pop(l);
    Statement *loop = loop_open(l, row->name, first, build_add(build, first, build_int(build, rows)), 1);
    scope_bind(l, row, loop_variable(l, loop), scope_level(l), 0);
    copy_new_places(l, windows, &patch);
    block_patches(l, windows, &patch);
    loop_close(l, loop);
}

static void vector_block(Lowering *l, Windows *windows, Value *column, int level, int width, int part)
{
    Patch patch = {.windows = windows, .block = column, .column = column, .column_level = level, .width = width, .part = part};
    patches(l, windows, &patch);
}

static void vector_blocks(Lowering *l, Windows *windows)
{
    Builder *build = l->build;
    int lanes = l->target->lanes;
    if (windows->copy_count) {
        copied_block(l, windows);
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
    choose_window_copies(l, &windows, !l->kernel->kernel->serial && work >= LEAST_SHARED_WORK);
    l->kernel->tasks = share_tasks(l->kernel->kernel->serial ? 0 : work, outer_total(&windows));
    int outer_pin = l->pin;
    l->pin = scope_level(l);
    outer_loops(l, &windows);
    l->pin = outer_pin;
    return true;
}
