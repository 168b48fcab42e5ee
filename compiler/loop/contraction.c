/* Contraction kernels: result[b, m, n] = epilogue(sum[k](rows[b, m, k] * columns[b, k, n])).
 * In: the index groups and the two reads (plan.h).  Out: tasks, and loops over tiles; one tile is tile.c's.
 *
 *   for batch, outer n, column block (its columns stay in the caches), outer m, row tile: one tile
 *
 * Tile heights are balanced: M rows are cut into the fewest tiles that registers allow, whose heights differ by at most one, so there
 * are two micro-kernels at most, one more where the first tile copies the columns (copies.c), and as many for those left over at the
 * edge. Every result element is computed by the same code whatever the number of tasks or threads. */
#include "loop/tile.h"

#include "equation/index.h"
#include "support/bug.h"

/* --- geometry ------------------------------------------------------------------------------------------------------ */
static void add_extents(Text *shape, const char *name, Index *const *indices, int count)
{
    for (int i = 0; i < count; i++) {
        if (i) text_printf(shape, "x%lld", (long long)indices[i]->extent);
        else text_printf(shape, "%s%s=%lld", shape->length ? " " : "", name, (long long)indices[i]->extent);
    }
}

static const char *shape_of(Lowering *l, const Contraction *c)
{
    Text shape = text_new(l->arena);
    add_extents(&shape, "b", c->batch, c->batch_count);
    add_extents(&shape, "m", c->m, c->m_count);
    add_extents(&shape, "n", c->n, c->n_count);
    add_extents(&shape, "k", c->k, c->k_count);
    if (c->panels) text_add(&shape, " panels");
    return text_string(&shape);
}

/* What a schedule file says, where that can be built. */
static void choose_measured(Lowering *l, Tiling *t)
{
    t->shape = shape_of(l, t->contraction);
    TileChoice *choice = tiles_find(l->plan->tiles, l->target->name, t->shape);
    if (!choice) return;
    choice->used = true;
    if (choice->height && !choice->refused)
        choice->refused = why_no_tile(l->target, t->columns, t->contraction->panels ? t->panel : 0, choice->height, choice->width);
    t->choice = choice->refused ? NULL : choice;
}

static void choose_geometry(Lowering *l, Tiling *t)
{
    const Contraction *c = t->contraction;
    int lanes = l->target->lanes;
    choose_rows(l, t);
    t->column = c->n[c->n_count - 1];
    t->columns = t->column->extent;
    choose_edge(l, t);
    if (!t->inside) choose_measured(l, t);
    t->width = choose_width(l->target, t->rows, t->columns, contraction_steps(c), c->panels ? t->panel : 0);
    if (t->choice && t->choice->height) t->width = t->choice->width;
    choose_column_copies(l, t);
    bool measured = t->choice && t->choice->height && t->choice->width == t->width;
    t->cut = measured ? cut_evenly(t->rows, t->choice->height) : cut_rows(l->target, t->rows, t->width);
    int64_t block = (int64_t)t->width * lanes;
    t->full_blocks = t->columns / block;
    t->rest = (int)(t->columns - t->full_blocks * block);
    t->blocks = t->full_blocks + (t->rest > 0);
    if ((int64_t)t->cut.height * block < (int64_t)l->kernel->tile_rows * l->kernel->tile_columns) return;
    l->kernel->tile_rows = t->cut.height;
    l->kernel->tile_columns = (int)block;
}

/* --- tasks --------------------------------------------------------------------------------------------------------- */
/* Every column block reads all rows: where those exceed a cache and blocks are many, some rows at a time meet all columns. */
enum { WORTH_GROUPS = 256 * 1024, FEW_BLOCKS = 3 };

/* Of the rows of one batch: those that are read, once where rows overlap. */
static int64_t rows_bytes(Lowering *l, const Tiling *t)
{
    const Contraction *c = t->contraction;
    const Access *access = find_access(l, c->rows->tensor);
    int64_t elements = 1, read = extent_of(c->m, c->m_count) * contraction_steps(c);
    for (int axis = 0; axis < c->rows->count; axis++) elements += (c->rows->tensor->extents[axis] - 1) * access->strides[axis];
    elements /= t->batches;
    return (read < elements ? read : elements) * 4;
}

/* Whether tasks are groups of rows that each meet all columns: those are fewer bytes, and fetched ahead. */
static bool shares_rows(Lowering *l, const Tiling *t)
{
    const Contraction *c = t->contraction;
    int64_t bytes = rows_bytes(l, t);
    return t->row && t->batches == 1 && !t->copies && t->blocks >= FEW_BLOCKS && t->cut.tiles >= 2 * MOST_TASKS &&
           extent_of(c->m, c->m_count) == t->rows && bytes > CACHED_BYTES && bytes >= contraction_steps(c) * t->columns * 4;
}

/* Tasks along batch, column blocks and row tiles, at most MOST_TASKS in all, so that the largest is as small as can be. */
static void choose_tasks(Lowering *l, Tiling *t)
{
    const Contraction *c = t->contraction;
    t->batches = extent_of(c->batch, c->batch_count);
    int64_t work = extent_of(c->m, c->m_count) * contraction_steps(c) * extent_of(c->n, c->n_count) * t->batches;
    t->batch_tasks = t->block_tasks = t->tile_tasks = 1;
    int64_t most = work / LEAST_TASK_WORK, best = INT64_MAX;
    if (most > MOST_TASKS) most = MOST_TASKS;
    if (l->kernel->kernel->serial || work < LEAST_SHARED_WORK) return;
    if (shares_rows(l, t)) {
        t->tile_tasks = most;
        return;
    }
    for (int64_t b = 1; b <= most && b <= t->batches; b++)
        for (int64_t n = 1; b * n <= most && n <= t->blocks; n++)
            for (int64_t m = 1; b * n * m <= most && m <= t->cut.tiles; m++) {
                /* Groups of rows each read the columns again: only where there are too few of those to share. */
                if (m > 1 && (b < t->batches || n < t->blocks || !copies_allow_tasks(t, m, b * n))) break;
                int64_t load = ((t->batches + b - 1) / b) * ((t->blocks + n - 1) / n) * ((t->cut.tiles + m - 1) / m);
                if (load >= best) continue;
                best = load;
                t->batch_tasks = b, t->block_tasks = n, t->tile_tasks = m;
            }
}

/* With more than one thread, whether each has rows of its own: then most of what it reads and what reads its results is its own, but all threads
 * read all columns of the second operand, which are fetched ahead. Not where those are many more. */
enum { MOST_COLUMNS_A_ROW = 8 };
static bool divides_rows(const Tiling *t)
{
    const Contraction *c = t->contraction;
    if (!t->row || t->copies || t->batches > 1 || t->block_tasks == 1 || extent_of(c->m, c->m_count) != t->rows) return false;
    if (t->tile_tasks == 1 && (t->cut.tiles < 2 || t->block_tasks % 2 != 0)) return false;
    return is_computed(c->rows->tensor) && t->columns <= MOST_COLUMNS_A_ROW * t->rows;
}

/* --- groups of rows ------------------------------------------------------------------------------------------------ */
static void choose_groups(Lowering *l, Tiling *t)
{
    const Contraction *c = t->contraction;
    bool tasks = t->tile_tasks > 1 && t->block_tasks < t->blocks; /* are groups already */
    int64_t bytes = rows_bytes(l, t) / (tasks ? t->tile_tasks : 1);
    t->grouped = t->row && bytes > WORTH_GROUPS && t->blocks >= FEW_BLOCKS && (tasks || t->tile_tasks == 1);
    int64_t groups = (bytes + CACHED_BYTES - 1) / CACHED_BYTES;
    if (t->choice && t->choice->groups) groups = t->choice->groups;
    if (!t->grouped) groups = 1;
    int64_t tiles = (t->cut.tiles + t->tile_tasks - 1) / t->tile_tasks, most = t->chunks > 1 ? copies_tiles(l, t) : tiles;
    if (tiles > groups * most) groups = (tiles + most - 1) / most;
    t->groups = 1;
    t->together = tiles * extent_of(c->m, c->m_count) / t->rows;
    if (groups == 1) return;
    t->group = t->row;
    for (int k = c->m_count - 1; k >= 0; k--)
        if (c->m[k] != t->row && !is_joined(t, c->m[k])) t->group = c->m[k];
    int64_t extent = t->group == t->row ? tiles : t->group->extent;
    t->one_cut = t->group == t->row;
    t->group_size = (extent + groups - 1) / groups;
    t->groups = (int)((extent + t->group_size - 1) / t->group_size);
    t->together = t->together / extent * t->group_size;
}

typedef struct {
    Value *from, *to;
} Range;

/* Of all shares, those that a task has. */
typedef struct {
    Value *first, *count;
    int64_t of;
} Share;

/* The part of [0, total) that they are. */
static Range task_range(Lowering *l, const Share *share, int64_t total, const char *name)
{
    Builder *build = l->build;
    Range range = {build_int(build, 0), build_int(build, total)};
    int64_t shares = share->of;
    if (shares == 1) return range;
    Value *ends[2];
    for (int k = 0; k < 2; k++) {
        Value *number = k == 0 ? share->first : build_add(build, share->first, share->count);
        if (total % shares == 0) ends[k] = build_mul(build, number, build_int(build, total / shares));
        else ends[k] = build_op(build, OP_FLOORDIV, build_mul(build, number, build_int(build, total)), build_int(build, shares), NULL);
        ends[k] = scope_settle(l, (Lowered){ends[k], 0}, arena_printf(l->arena, "%s_%s", name, k ? "end" : "begin")).value;
    }
    return (Range){ends[0], ends[1]};
}

static Value *part_of_task(Lowering *l, int64_t below, int64_t count)
{
    Builder *build = l->build;
    if (count == 1) return build_int(build, 0);
    Value *part = build_op(build, OP_FLOORDIV, build_variable(build, l->kernel->task), build_int(build, below), NULL);
    if (below * count < l->kernel->tasks) part = build_op(build, OP_MOD, part, build_int(build, count), NULL);
    return scope_settle(l, (Lowered){part, 0}, "part").value;
}

static Share share_of_task(Lowering *l, int64_t below, int64_t count)
{
    return (Share){part_of_task(l, below, count), build_int(l->build, 1), count};
}

/* Row tiles and column blocks of a task. Where threads divide the rows, the first tasks have the first rows: of two shares, or of those that a single
 * thread has too. */
static void divide(Lowering *l, Tiling *t, Share *tiles, Share *blocks)
{
    Builder *build = l->build;
    *tiles = share_of_task(l, 1, t->tile_tasks);
    *blocks = share_of_task(l, t->tile_tasks, t->block_tasks);
    if (!divides_rows(t)) return;
    Value *one = build_int(build, 1), *two = build_int(build, 2), *divided = build_op(build, OP_LT, one, threads_of_kernel(l), NULL);
    bool halves = t->tile_tasks == 1;
    int64_t parts = halves ? 2 : t->tile_tasks, below = l->kernel->tasks / parts;
    divided = t->by_rows = scope_settle(l, (Lowered){divided, 0}, "by_rows").value;
    Value *part = part_of_task(l, below, parts), *rest = build_op(build, OP_MOD, build_variable(build, l->kernel->task), build_int(build, below), NULL);
    Value *part_of_one = halves ? build_int(build, 0) : tiles->first;
    *tiles = (Share){build_op(build, OP_SELECT, divided, part, part_of_one), halves ? build_op(build, OP_SELECT, divided, one, two) : one, parts};
    if (halves) rest = build_mul(build, rest, two);
    *blocks = (Share){build_op(build, OP_SELECT, divided, rest, blocks->first), halves ? build_op(build, OP_SELECT, divided, two, one) : one, t->block_tasks};
    Value **settled[] = {&tiles->first, &tiles->count, &blocks->first, &blocks->count};
    static const char *const names[] = {"tile_share", "tile_shares", "block_share", "block_shares"};
    for (int k = 0; k < 4; k++) *settled[k] = scope_settle(l, (Lowered){*settled[k], 0}, names[k]).value;
}

/* --- loops --------------------------------------------------------------------------------------------------------- */
typedef struct {
    Tiling *tiling;
    Range batches, blocks;
    const Range *tiles; /* those to compute; NULL: this task's share */
    Range group;        /* of Tiling.group, where that is not the row */
    Share tiles_of_task;
    Value *block;       /* the number of the one at hand; NULL: the last */
    bool new_rows;    /* those of the first block may be met first … */
    Value *first;     /* … in the tasks of this FLAG; NULL: in all */
} Nest;

static Value *larger(Lowering *l, Value *a, Value *b)
{
    return build_op(l->build, OP_MAX, a, b, NULL);
}

static Value *smaller(Lowering *l, Value *a, Value *b)
{
    return build_op(l->build, OP_MIN, a, b, NULL);
}

/* Tiles [from, to) of one height; the first of that kind is number `first`, at row `start`. */
static void tile_loop(Lowering *l, Nest *nest, Tile *tile, Range range, int64_t first, int64_t start)
{
    Builder *build = l->build;
    int64_t begin = 0, end = 0;
    bool known = value_is_int(range.from, &begin) && value_is_int(range.to, &end);
    if (known && begin >= end) return;
    Tiling *t = nest->tiling;
    Statement *loop = NULL;
    if (known && end == begin + 1) scope_push(l, NULL);
    else loop = loop_open(l, "tile", range.from, range.to, 1);
    Value *number = loop ? loop_variable(l, loop) : range.from;
    tile->row_level = scope_level(l);
    tile->number = number;
    if (t->row) {
        Value *row = build_scaled(build, number, tile->height, start - first * tile->height);
        tile->row = scope_settle(l, (Lowered){row, loop ? scope_level(l) : 0}, t->row->name).value;
    }
    if (tile->edge) lower_edge_tile(l, tile);
    else lower_tile(l, tile);
    if (loop) loop_close(l, loop);
    else scope_pop(l);
}

/* Of halves, those of an odd number of tiles: `middle` is the first of the second half. The odd one is in the first half for half of the blocks. */
static Range odd_halves(Lowering *l, const Share *share, int64_t tiles, Value *middle, Value *second)
{
    Builder *build = l->build;
    Value *first_alone = build_op(build, OP_EQ, build_add(build, share->first, share->count), build_int(build, 1), NULL);
    Value *from = build_mul(build, share->first, middle), *to = build_op(build, OP_SELECT, first_alone, second, build_int(build, tiles));
    from = scope_settle(l, (Lowered){from, scope_level(l)}, "tile_begin").value;
    return (Range){from, scope_settle(l, (Lowered){to, scope_level(l)}, "tile_end").value};
}

static bool has_odd_halves(const Tiling *t, int64_t tiles)
{
    return t->by_rows && t->tile_tasks == 1 && tiles % 2 != 0;
}

/* This task's tiles, of those of the block at hand. */
static Range tiles_of_block(Lowering *l, const Nest *nest, int64_t tiles)
{
    Builder *build = l->build;
    if (!has_odd_halves(nest->tiling, tiles)) return nest->tiles ? *nest->tiles : task_range(l, &nest->tiles_of_task, tiles, "tile");
    Value *middle = build_int(build, tiles / 2);
    if (nest->block) {
        Value *early = build_op(build, OP_LT, nest->block, build_int(build, nest->tiling->blocks / 2), NULL);
        middle = build_op(build, OP_SELECT, early, build_int(build, tiles / 2 + 1), middle);
        middle = scope_settle(l, (Lowered){middle, scope_level(l)}, "middle").value;
    }
    Range range = odd_halves(l, &nest->tiles_of_task, tiles, middle, middle);
    if (nest->tiles) range = (Range){larger(l, range.from, nest->tiles->from), smaller(l, range.to, nest->tiles->to)};
    return range;
}

static void row_tiles(Lowering *l, Nest *nest, Tile *tile)
{
    const Cut *cut = &tile->cut;
    Value *edge = build_int(l->build, cut->tall);
    Range range = tiles_of_block(l, nest, cut->tiles);
    tile->height = cut->height;
    tile->first_tile = range.from;
    if (tile->fills_copy) {
        Value *second = build_int(l->build, 1);
        tile_loop(l, nest, tile, (Range){range.from, second}, 0, 0);
        tile->fills_copy = false;
        range.from = second;
    }
    tile_loop(l, nest, tile, (Range){range.from, smaller(l, range.to, edge)}, 0, 0);
    tile->height = cut->height - 1;
    Range shorter = {larger(l, range.from, edge), range.to};
    if (cut->tall < cut->tiles) tile_loop(l, nest, tile, shorter, cut->tall, cut->tall * cut->height);
}

static void outer_rows(Lowering *l, Nest *nest, Tile *tile, int at)
{
    Builder *build = l->build;
    const Contraction *c = nest->tiling->contraction;
    if (at == c->m_count) {
        row_tiles(l, nest, tile);
        return;
    }
    const Index *index = c->m[at];
    Statement *loop = NULL;
    Value *passed = tile->passed;
    if (is_joined(nest->tiling, index)) scope_bind(l, index, build_int(build, 0), 0, 0);
    else if (index == nest->tiling->group && index != nest->tiling->row) {
        loop = loop_open(l, index->name, nest->group.from, nest->group.to, 1);
        scope_bind(l, index, loop_variable(l, loop), scope_level(l), 0);
    } else if (index != nest->tiling->row)
        loop = loop_over(l, index);
    if (loop) {
        bool group = index == nest->tiling->group;
        Value *turn = build_sub(build, loop_variable(l, loop), group ? nest->group.from : build_int(build, 0));
        tile->passed = build_add(build, build_mul(build, passed, build_int(build, group ? nest->tiling->group_size : index->extent)), turn);
    }
    outer_rows(l, nest, tile, at + 1);
    tile->passed = passed;
    loop_close(l, loop);
}

/* The columns are copied, some steps of the reduction at a time. */
static void copied_block(Lowering *l, Nest *nest, Tile *tile)
{
    Builder *build = l->build;
    const Tiling *t = nest->tiling;
    int64_t last = (t->chunks - 1) * t->chunk_steps;
    if (t->chunks > 1) {
        clear_sums(l, t);
        Statement *chunks = loop_open(l, "chunk", build_int(build, 0), build_int(build, last), t->chunk_steps);
        copy_columns(l, tile, loop_variable(l, chunks), t->chunk_steps);
        tile->more = true;
        outer_rows(l, nest, tile, 0);
        tile->more = false;
        loop_close(l, chunks);
    }
    copy_columns(l, tile, build_int(build, last), contraction_steps(t->contraction) - last);
    outer_rows(l, nest, tile, 0);
}

/* Whether a thread is at the first block of its share: a FLAG; NULL: always. */
static Value *first_block(Lowering *l, const Nest *nest, Value *block)
{
    if (!block || value_equal(block, nest->blocks.from)) return nest->first;
    Value *flag = build_op(l->build, OP_EQ, block, nest->blocks.from, NULL);
    if (nest->first) flag = build_op(l->build, OP_AND, nest->first, flag, NULL);
    return scope_settle(l, (Lowered){flag, scope_level(l)}, "fresh").value;
}

/* One column block: `width` vectors from `column` on, the last of `part` lanes; `block`: its number, NULL: the last. */
static void column_block(Lowering *l, Nest *nest, Value *block, Value *column, int column_level, int width, int part)
{
    Tile tile = {.tiling = nest->tiling, .column = column, .column_level = column_level, .width = width, .part = part};
    tile.cut = width == nest->tiling->width || nest->tiling->one_cut ? nest->tiling->cut : cut_rows(l->target, nest->tiling->rows, width);
    nest->block = block;
    tile.passed = build_int(l->build, 0);
    tile.new_rows = nest->new_rows && (block || nest->tiling->blocks == 1);
    tile.fresh = tile.new_rows ? first_block(l, nest, block) : NULL;
    tile_columns(l, &tile);
    if (nest->tiling->copies) copied_block(l, nest, &tile);
    else outer_rows(l, nest, &tile, 0);
}

/* Columns at the end, for the task that has the last block. */
static void last_columns(Lowering *l, Nest *nest, int64_t first, int width, int part, bool edge)
{
    Builder *build = l->build;
    const Tiling *t = nest->tiling;
    Value *column = build_int(build, first);
    Statement *last = t->block_tasks > 1 ? build_if(build, build_op(build, OP_EQ, nest->blocks.to, build_int(build, t->blocks), NULL)) : NULL;
    scope_push(l, last ? &last->body : NULL);
    if (edge) {
        Tile tile = {.tiling = t, .column = column, .width = width, .part = part, .edge = true, .passed = build_int(build, 0)};
        tile.cut = t->one_cut ? t->cut : cut_edge(l, t);
        nest->block = NULL;
        tile_columns(l, &tile);
        copy_edge(l, &tile);
        outer_rows(l, nest, &tile, 0);
    } else
        column_block(l, nest, NULL, column, 0, width, part);
    scope_pop(l);
    if (last) build_append(build, last);
}

static void column_blocks(Lowering *l, Nest *nest)
{
    Builder *build = l->build;
    Tiling *t = nest->tiling;
    int lanes = l->target->lanes;
    int64_t block = (int64_t)t->width * lanes;
    declare_copies(l, t);
    if (t->full_blocks == 1 && t->block_tasks == 1) {
        scope_push(l, NULL);
        column_block(l, nest, build_int(build, 0), build_int(build, 0), 0, t->width, 0);
        scope_pop(l);
    } else if (t->full_blocks > 0) {
        Value *to = t->rest ? smaller(l, nest->blocks.to, build_int(build, t->full_blocks)) : nest->blocks.to;
        Statement *loop = loop_open(l, "block", nest->blocks.from, to, 1);
        Value *column = build_mul(build, loop_variable(l, loop), build_int(build, block));
        column = scope_settle(l, (Lowered){column, scope_level(l)}, t->column->name).value;
        column_block(l, nest, loop_variable(l, loop), column, scope_level(l), t->width, 0);
        loop_close(l, loop);
    }
    int part = t->rest % lanes;
    if (t->rest) last_columns(l, nest, t->full_blocks * block, (t->rest + lanes - 1) / lanes, part, false);
    if (t->edge) last_columns(l, nest, t->columns, 1, t->edge, true);
}

static void outer_columns(Lowering *l, Nest *nest, int at)
{
    const Contraction *c = nest->tiling->contraction;
    if (at == c->n_count - 1) {
        column_blocks(l, nest);
        return;
    }
    Statement *loop = loop_over(l, c->n[at]);
    outer_columns(l, nest, at + 1);
    loop_close(l, loop);
}

static void row_groups(Lowering *l, Nest *nest)
{
    Builder *build = l->build;
    const Tiling *t = nest->tiling;
    if (!t->group) {
        outer_columns(l, nest, 0);
        return;
    }
    int64_t extent = t->group == t->row ? t->cut.tiles : t->group->extent;
    Range all = {build_int(build, 0), build_int(build, extent)};
    if (t->group == t->row) {
        bool odd = has_odd_halves(t, extent);
        Value *half = build_int(build, extent / 2), *more = build_int(build, (extent + 1) / 2);
        all = odd ? odd_halves(l, &nest->tiles_of_task, extent, half, more) : task_range(l, &nest->tiles_of_task, extent, "tile");
    }
    Statement *loop = loop_open(l, "group", all.from, all.to, t->group_size);
    Value *end = build_add(build, loop_variable(l, loop), build_int(build, t->group_size));
    if (extent % t->group_size != 0 || nest->tiles_of_task.of > 1) end = smaller(l, end, all.to);
    nest->group = (Range){loop_variable(l, loop), scope_settle(l, (Lowered){end, scope_level(l)}, "group_end").value};
    if (t->group == t->row) nest->tiles = &nest->group;
    outer_columns(l, nest, 0);
    loop_close(l, loop);
}

/* Batches one after the other, the batch number taken apart into its indices. */
static void batches(Lowering *l, Nest *nest)
{
    Builder *build = l->build;
    Tiling *t = nest->tiling;
    const Contraction *c = t->contraction;
    if (t->batches == 1) {
        for (int k = 0; k < c->batch_count; k++) scope_bind(l, c->batch[k], build_int(build, 0), 0, 0);
        row_groups(l, nest);
        return;
    }
    Statement *loop = loop_open(l, c->batch_count == 1 ? c->batch[0]->name : "batch", nest->batches.from, nest->batches.to, 1);
    Value *rest = loop_variable(l, loop);
    int64_t below = t->batches;
    for (int k = 0; k < c->batch_count; k++) {
        below /= c->batch[k]->extent;
        Value *place = build_op(build, OP_FLOORDIV, rest, build_int(build, below), NULL);
        if (k > 0) place = build_op(build, OP_MOD, place, build_int(build, c->batch[k]->extent), NULL);
        place = scope_settle(l, (Lowered){place, scope_level(l)}, c->batch[k]->name).value;
        scope_bind(l, c->batch[k], place, scope_level(l), 0);
    }
    row_groups(l, nest);
    loop_close(l, loop);
}

/* --- the kernel ---------------------------------------------------------------------------------------------------- */
static bool plain_read(Lowering *l, const Expr *read)
{
    if (read->kind != EXPR_READ || read->otherwise || read->tensor->type != TYPE_F32 || node_info(l, read)->data) return false;
    return true;
}

/* What this lowering relies on; anything else is lowered as rows. */
static bool is_suitable(Lowering *l, const Tiling *t)
{
    const Contraction *c = t->contraction;
    const Equation *equation = l->equation;
    int64_t stride = 0;
    if (c->n_count < 1 || c->k_count < 1 || c->reduce->reduction != REDUCE_SUM || equation->result->type != TYPE_F32) return false;
    if (!plain_read(l, c->rows) || !plain_read(l, c->columns)) return false;
    const Index *column = c->n[c->n_count - 1];
    if (!result_is_dense(l, column)) return false;
    bool vectors = l->target->lanes > 1 || l->plan->reproducible; /* then all targets lower it alike */
    if (vectors && vector_cost(l, equation->value, column) < 0) return false;
    if (c->panels) return c->n_count == 1;
    return read_stride(l, c->columns, column, &stride) && stride == 1;
}

bool contraction_tiling(Lowering *l, const Equation *equation, const Contraction *contraction, Tiling *tiling)
{
    *tiling = (Tiling){.contraction = contraction, .inside = true, .panel = family_panel_columns(l->plan->family)};
    lowering_equation(l, equation);
    if (!is_suitable(l, tiling)) return false;
    choose_geometry(l, tiling);
    tiling->batches = tiling->batch_tasks = tiling->block_tasks = tiling->tile_tasks = 1;
    tiling->together = tiling->cut.tiles;
    return true;
}

void contraction_tiles(Lowering *l, Tiling *tiling, Value *from, Value *to)
{
    Range tiles = {from, to};
    Nest nest = {.tiling = tiling, .tiles = &tiles, .tiles_of_task = {.of = 1}, .blocks = {build_int(l->build, 0), build_int(l->build, tiling->blocks)}};
    outer_columns(l, &nest, 0);
}

bool lower_contraction(Lowering *l)
{
    const Kernel *kernel = l->kernel->kernel;
    Tiling tiling = {.contraction = &kernel->contraction, .panel = family_panel_columns(l->plan->family)};
    lowering_equation(l, kernel->equations.data[0]);
    if (!is_suitable(l, &tiling)) return false;
    choose_geometry(l, &tiling);
    choose_tasks(l, &tiling);
    choose_groups(l, &tiling);
    LoopTile *tile = arena_new_object(l->arena, LoopTile);
    *tile = (LoopTile){tiling.shape, tiling.rows, tiling.columns, contraction_steps(tiling.contraction), tiling.contraction->panels ? tiling.panel : 0,
                       tiling.cut.height, tiling.width, tiling.groups, tiling.grouped};
    l->kernel->tile = tile;
    l->kernel->tasks = tiling.batch_tasks * tiling.block_tasks * tiling.tile_tasks;
    Nest nest = {.tiling = &tiling};
    Share block_share, batch_share = share_of_task(l, tiling.tile_tasks * tiling.block_tasks, tiling.batch_tasks);
    divide(l, &tiling, &nest.tiles_of_task, &block_share);
    nest.blocks = task_range(l, &block_share, tiling.blocks, "block");
    nest.batches = task_range(l, &batch_share, tiling.batches, "batch");
    nest.new_rows = meets_new_rows(l, &tiling, rows_bytes(l, &tiling), &nest.first);
    batches(l, &nest);
    return true;
}
