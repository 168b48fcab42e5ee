/* Columns of a contraction that are read where they lie, but lie badly: rows far apart cost address translations, rows that start anywhere
 * split cache lines, and every row tile would pay again.
 * In: a contraction's tiling.  Out: whether a block of columns is copied to a dense array on the stack, before its row tiles or
 * by the first of them, and how many steps of the reduction at a time: what is copied stays in the first cache. Between two copies the sums
 * of all row tiles wait in another array, so each is added up in the order of the reduction, as without copies. */
#include "loop/tile.h"

enum { LEAST_COPY_ROWS = 48, LEAST_TASK_ROWS = 96, NEAR_BYTES = 256 * 1024, SCATTERED_BYTES = 256 * 1024, MOST_COPY_BYTES = 48 * 1024, CHUNK_BYTES = 24 * 1024, SUMS_BYTES = 26 * 1024 };

static int64_t step_bytes(const Lowering *l, int width)
{
    return (int64_t)width * l->target->lanes * 4;
}

void choose_column_copies(Lowering *l, Tiling *t)
{
    const Contraction *c = t->contraction;
    Reduced steps[MAX_RANK];
    if (t->inside || c->panels || l->target->lanes == 1 || t->rows < LEAST_COPY_ROWS || reduction_steps(l, c, steps) != 1) return;
    int64_t row_bytes = steps->column_stride * 4;
    if (row_bytes < 0 || (row_bytes % 64 == 0 && row_bytes * steps->extent < SCATTERED_BYTES)) return;
    t->chunks = 1;
    if (steps->extent * step_bytes(l, t->width) > MOST_COPY_BYTES) {
        if (c->m_count != 1) t->width = t->width > 2 ? 2 : t->width;
        else t->chunks = (int)((steps->extent * step_bytes(l, t->width) + CHUNK_BYTES - 1) / CHUNK_BYTES);
    }
    if (t->chunks == 1 && steps->extent * step_bytes(l, t->width) > MOST_COPY_BYTES) return;
    t->chunk_steps = (steps->extent + t->chunks - 1) / t->chunks;
    t->chunks = (int)((steps->extent + t->chunk_steps - 1) / t->chunk_steps);
    t->copies = true;
}

bool copies_allow_tasks(const Tiling *t, int64_t tasks, int64_t others)
{
    return !t->copies || t->rows >= tasks * LEAST_TASK_ROWS || (tasks == 2 && others == 1);
}

bool copies_are_near(Lowering *l, const Contraction *c)
{
    Reduced steps[MAX_RANK];
    return reduction_steps(l, c, steps) == 1 && steps->extent * steps->column_stride * 4 <= NEAR_BYTES;
}

/* Of one row tile. */
static int64_t sums_of_tile(const Lowering *l, const Cut *cut, int width)
{
    return (int64_t)cut->height * width * l->target->lanes;
}

int64_t copies_tiles(const Lowering *l, const Tiling *t)
{
    int64_t tiles = SUMS_BYTES / 4 / sums_of_tile(l, &t->cut, t->width);
    return tiles < 1 ? 1 : tiles;
}

static int rest_width(const Lowering *l, const Tiling *t)
{
    return (t->rest + l->target->lanes - 1) / l->target->lanes;
}

void declare_copies(Lowering *l, Tiling *t)
{
    int rest = rest_width(l, t), width = t->full_blocks > 0 && t->width > rest ? t->width : rest;
    if (!t->copies) return;
    t->copy = build_array(l->build, "columns", TYPE_F32, t->chunk_steps * width * l->target->lanes);
    if (t->chunks == 1) return;
    t->sums_count = sums_of_tile(l, &t->cut, width) * (t->group ? t->group_size : (t->cut.tiles + t->tile_tasks - 1) / t->tile_tasks);
    t->sums = build_array(l->build, "sums", TYPE_F32, t->sums_count);
}

void clear_sums(Lowering *l, const Tiling *t)
{
    Builder *build = l->build;
    Statement *loop = loop_open(l, "at", build_int(build, 0), build_int(build, t->sums_count), l->target->lanes);
    build_store(build, t->sums, loop_variable(l, loop), build_number(build, builder_vector_type(build), 0), NULL);
    loop_close(l, loop);
}

Value *sums_place(Lowering *l, const Tile *tile, int row, int vector)
{
    Builder *build = l->build;
    Value *before = build_sub(build, tile->number, tile->first_tile);
    Value *start = build_mul(build, before, build_int(build, sums_of_tile(l, &tile->cut, tile->width)));
    start = scope_settle(l, (Lowered){start, tile->row_level}, "kept").value;
    return build_add(build, start, build_int(build, ((int64_t)row * tile->width + vector) * l->target->lanes));
}

/* Whether the first row tile is to make the copy: there is one that is always the first, and it has multiply-adds to wait beside. */
static bool copies_in_passing(Lowering *l, const Tiling *t)
{
    Reduced steps[MAX_RANK];
    const Contraction *c = t->contraction;
    bool one_row = c->m_count == 1 && t->tile_tasks == 1 && !t->group && t->chunks == 1; /* in chunks it would be two more tiles of code */
    /* Columns without gaps would be a block that a compiler may copy by a call. */
    return one_row && reduction_steps(l, c, steps) == 1 && steps->column_stride != (int64_t)t->width * l->target->lanes;
}

void copy_columns(Lowering *l, Tile *tile, Value *first_step, int64_t steps)
{
    Builder *build = l->build;
    const Contraction *c = tile->tiling->contraction;
    int lanes = l->target->lanes, row = tile->width * lanes;
    Reduced step[MAX_RANK];
    Buffer *columns = find_access(l, c->columns->tensor)->buffer;
    reduction_steps(l, c, step);
    tile->copy = tile->tiling->copy;
    tile->first_step = first_step;
    tile->step_level = scope_level(l);
    tile->steps = steps;
    tile->fills_copy = copies_in_passing(l, tile->tiling);
    if (tile->fills_copy) return;
    Statement *loop = loop_open(l, step->name, build_int(build, 0), build_int(build, steps), 1);
    Address from = tile->columns, to = {0};
    address_add_term(&from, first_step, step->column_stride, scope_level(l));
    address_add_term(&from, loop_variable(l, loop), step->column_stride, scope_level(l));
    address_add_term(&to, loop_variable(l, loop), row, scope_level(l));
    for (int v = 0; v < tile->width; v++, from.constant += lanes, to.constant += lanes) {
        Value *part = tile->part && v == tile->width - 1 ? build_int(build, tile->part) : NULL;
        build_store(build, tile->copy, address_value(l, &to), build_load_vector(build, columns, address_value(l, &from), part), NULL);
    }
    loop_close(l, loop);
}
