/* Columns left over behind the last whole vector, so few that a vector of them would be mostly empty: 3 of 67.
 * In: a contraction's tiling.  Out: how many columns are taken from it; their sums as dot products, vectors running along the steps of the
 * reduction, where rows lie close together. The columns are copied first, each to a stretch of its own. Each sum has an order of its own
 * (reproducible plans keep theirs, and so have no edge), the same whatever the number of tasks. */
#include "loop/tile.h"

enum { EDGE_BYTES = 8 * 1024, STEPS_OF_A_SUM = 8, LEAST_ROWS = 16, MOST_AT_ONCE = 8 };

void choose_edge(Lowering *l, Tiling *t)
{
    const Contraction *c = t->contraction;
    Reduced steps[MAX_RANK];
    int64_t lanes = l->target->lanes, edge = t->columns % lanes;
    if (t->inside || c->panels || l->plan->reproducible || lanes == 1 || !edge || t->columns < lanes || t->rows < LEAST_ROWS) return;
    if (reduction_steps(l, c, steps) != 1 || steps->row_stride != 1 || edge * steps->extent * 4 > EDGE_BYTES) return;
    int64_t dots = edge * ((steps->extent + lanes - 1) / lanes + STEPS_OF_A_SUM);
    if (4 * dots > 3 * steps->extent) return; /* not clearly fewer multiply-adds than those of the vector */
    t->edge = (int)edge;
    t->columns -= edge;
}

/* Rows whose sums fit into registers beside the operands. */
static int rows_at_once(const Lowering *l, int edge)
{
    int most = l->target->registers / 3 / edge;
    return most < 1 ? 1 : most > MOST_AT_ONCE ? MOST_AT_ONCE : most;
}

Cut cut_edge(const Lowering *l, const Tiling *t)
{
    return cut_evenly(t->rows, rows_at_once(l, t->edge));
}

static int64_t edge_steps(Lowering *l, const Tile *tile, Reduced *step)
{
    Reduced steps[MAX_RANK];
    reduction_steps(l, tile->tiling->contraction, steps);
    *step = *steps;
    return (step->extent + 15) / 16 * 16;
}

void copy_edge(Lowering *l, Tile *tile)
{
    Builder *build = l->build;
    const Contraction *c = tile->tiling->contraction;
    Reduced step;
    int64_t length = edge_steps(l, tile, &step);
    Buffer *columns = find_access(l, c->columns->tensor)->buffer;
    tile->copy = build_array(build, "edge", TYPE_F32, length * tile->part);
    Statement *loop = loop_open(l, step.name, build_int(build, 0), build_int(build, step.extent), 1);
    Address from = tile->columns, to = {0};
    address_add_term(&from, loop_variable(l, loop), step.column_stride, scope_level(l));
    address_add_term(&to, loop_variable(l, loop), 1, scope_level(l));
    for (int q = 0; q < tile->part; q++, from.constant++, to.constant += length)
        build_store(build, tile->copy, address_value(l, &to), build_load(build, columns, address_value(l, &from)), NULL);
    loop_close(l, loop);
}

/* Some rows of the tile, from `first` on. */
typedef struct {
    const Tile *tile;
    int first, count;
    int64_t stride, length; /* of a row; of a column's stretch */
    Variable *sums[MOST_AT_ONCE][MOST_AT_ONCE];
} Dots;

static void add_products(Lowering *l, Dots *d, const Address *rows, Value *step, int level, Value *part)
{
    Builder *build = l->build;
    const Contraction *c = d->tile->tiling->contraction;
    Buffer *row_buffer = find_access(l, c->rows->tensor)->buffer;
    Value *columns[MOST_AT_ONCE];
    for (int q = 0; q < d->tile->part; q++)
        columns[q] = build_let(build, arena_printf(l->arena, "b_%d", q),
                               build_load_vector(build, d->tile->copy, build_add(build, step, build_int(build, q * d->length)), part));
    for (int r = 0; r < d->count; r++) {
        Address address = *rows;
        address.constant += (d->first + r) * d->stride;
        address_add_term(&address, step, 1, level);
        Value *row = build_let(build, arena_printf(l->arena, "a_%d", r), build_load_vector(build, row_buffer, address_value(l, &address), part));
        for (int q = 0; q < d->tile->part; q++)
            build_set(build, d->sums[r][q], build_op(build, OP_FMA, row, columns[q], build_variable(build, d->sums[r][q])));
    }
}

static void sum_rows(Lowering *l, Dots *d, const Address *rows, const Reduced *step, Buffer *sums)
{
    Builder *build = l->build;
    int lanes = l->target->lanes;
    int64_t whole = step->extent / lanes * lanes;
    for (int r = 0; r < d->count; r++)
        for (int q = 0; q < d->tile->part; q++)
            d->sums[r][q] = build_declare(build, arena_printf(l->arena, "dot_%d_%d", r, q), build_number(build, VALUE_VECTOR, 0));
    if (whole > 0) {
        Statement *loop = loop_open(l, step->name, build_int(build, 0), build_int(build, whole), lanes);
        add_products(l, d, rows, loop_variable(l, loop), scope_level(l), NULL);
        loop_close(l, loop);
    }
    if (whole < step->extent) {
        scope_push(l, NULL);
        add_products(l, d, rows, build_int(build, whole), 0, build_int(build, step->extent - whole));
        scope_pop(l);
    }
    for (int r = 0; r < d->count; r++)
        for (int q = 0; q < d->tile->part; q++) {
            Value *sum = build_op(build, OP_REDUCE_ADD, build_variable(build, d->sums[r][q]), NULL, NULL);
            build_store(build, sums, build_int(build, (int64_t)(d->first + r) * lanes + q), sum, NULL);
        }
}

void lower_edge_tile(Lowering *l, const Tile *tile)
{
    Builder *build = l->build;
    Reduced step;
    Dots dots = {.tile = tile, .stride = row_stride(l, tile->tiling)};
    dots.length = edge_steps(l, tile, &step);
    int most = rows_at_once(l, tile->part);
    Address rows = row_address(l, tile);
    Buffer *sums = build_array(build, "tile", TYPE_F32, (int64_t)tile->height * l->target->lanes);
    for (int r = 0; r < tile->height; r++)
        build_store(build, sums, build_int(build, (int64_t)r * l->target->lanes), build_number(build, VALUE_VECTOR, 0), NULL);
    for (; dots.first < tile->height; dots.first += dots.count) {
        dots.count = tile->height - dots.first < most ? tile->height - dots.first : most;
        sum_rows(l, &dots, &rows, &step, sums);
    }
    lower_epilogue(l, tile, tile->tiling->contraction->reduce, sums);
}
