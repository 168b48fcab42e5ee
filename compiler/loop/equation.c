/* The loops of one equation of a row kernel, for one row.
 * In: an equation whose row indices have values.  Out: loops over its other free indices, as vectors where its reads allow.
 *
 * A reduction is computed several neighbours at a time where the result's fastest index runs through it, else along a reduced index,
 * else one element after the other; always before the free indices that it does not depend on. */
#include "loop/lowering.h"

#include <string.h>

typedef struct {
    const Index *free[MAX_RANK * 2]; /* without the row */
    int free_count;
    const Expr *reduce;
    const Index *vector;     /* of the map, or of reductions of neighbours; NULL: scalars */
    const Index *along;      /* reduced index with vectors, or NULL */
    bool neighbours;         /* the reduction runs for vectors of `vector` */
    bool in_order;           /* the reduction has one sum, as those of neighbours have */
} Shape;

/* --- choices ------------------------------------------------------------------------------------------------------- */
/* Whether gathering is worth it: only where real work is left for vectors. */
static bool worth(Lowering *l, const Expr *expr, const Index *index, int limit_extent)
{
    if (index->extent < limit_extent) return false;
    int gathers = vector_cost(l, expr, index);
    return gathers == 0 || (gathers > 0 && gathers <= 4 && calls_functions(l, expr));
}

static const Index *dense_index(Lowering *l, const Shape *shape)
{
    for (int k = shape->free_count - 1; k >= 0; k--)
        if (shape->free[k]->extent > 1 && result_is_dense(l, shape->free[k])) return shape->free[k];
    return NULL;
}

static const Index *reduced_index(Lowering *l, const Expr *reduce)
{
    const Index *best = NULL;
    if (reduce->reduction == REDUCE_ARGMAX || reduce->args[0]->integer) return NULL;
    for (int k = 0; k < reduce->index_count; k++) {
        const Index *index = reduce->indices[k];
        if (worth(l, reduce->args[0], index, 4) && (!best || index->extent >= best->extent)) best = index;
    }
    return best;
}

/* A reproducible plan chooses once for all targets, as if vectors had 16 lanes. */
enum { COMMON_LANES = 16 };
static Shape choose(Lowering *l, int row_count)
{
    int lanes = l->plan->reproducible ? COMMON_LANES : l->target->lanes;
    const Equation *equation = l->equation;
    Shape shape = {.reduce = find_reduce(equation->value)};
    for (int k = row_count; k < equation->free_count; k++) shape.free[shape.free_count++] = equation->free[k];
    bool vectors = lanes > 1;
    const Index *dense = vectors ? dense_index(l, &shape) : NULL;
    if (!shape.reduce) {
        if (dense && worth(l, equation->value, dense, 2)) shape.vector = dense;
        return shape;
    }
    bool inside = dense && (node_info(l, shape.reduce)->deps & index_bit(l, dense));
    if (dense && !worth(l, equation->value, dense, 2)) dense = NULL;
    shape.along = vectors ? reduced_index(l, shape.reduce) : NULL;
    if (dense && !inside) shape.vector = dense;
    bool real = shape.reduce->reduction != REDUCE_ARGMAX && !shape.reduce->args[0]->integer;
    if (!dense || !inside || !real || !worth(l, shape.reduce->args[0], dense, 2)) return shape;
    /* A few neighbours only, and a long run to reduce: vectors along the run. */
    if (shape.along && dense->extent * 2 < lanes && shape.along->extent > dense->extent) return shape;
    shape.neighbours = true;
    shape.vector = dense;
    return shape;
}

/* --- maps ---------------------------------------------------------------------------------------------------------- */
static int open_loops(Lowering *l, const Shape *shape, uint64_t mask, bool wanted, Statement **loops)
{
    int count = 0;
    for (int k = 0; k < shape->free_count; k++) {
        const Index *index = shape->free[k];
        if (index != shape->vector && ((index_bit(l, index) & mask) != 0) == wanted) loops[count++] = loop_over(l, index);
    }
    return count;
}

static void close_loops(Lowering *l, Statement **loops, int count)
{
    while (count > 0) loop_close(l, loops[--count]);
}

static void store_vector(Lowering *l, const Shape *shape, Value *base, int base_level, int64_t offset, Value *part, Value *total)
{
    scope_push(l, NULL);
    scope_bind_vector(l, shape->vector, base, base_level, offset, part);
    if (total) scope_remember(l, shape->reduce, (Lowered){total, scope_level(l)});
    store_result(l, lower_vector(l, l->equation->value));
    scope_pop(l);
}

/* Short of what a turn of a loop costs. */
enum { TURNS = 4 };
static bool is_quick(Lowering *l, const Shape *shape)
{
    const Expr *value = l->equation->value;
    return !shape->reduce && !calls_functions(l, value) && vector_cost(l, value, shape->vector) == 0;
}

/* Vectors of [from, to), `width` elements in a turn. */
static void map_vectors(Lowering *l, const Shape *shape, int64_t from, int64_t to, int64_t width)
{
    if (from == to) return;
    Builder *build = l->build;
    Statement *loop = to - from > width ? loop_open(l, shape->vector->name, build_int(build, from), build_int(build, to), width) : NULL;
    Value *base = loop ? loop_variable(l, loop) : build_int(build, from);
    for (int64_t offset = 0; offset < width; offset += l->target->lanes) store_vector(l, shape, base, loop ? scope_level(l) : 0, offset, NULL, NULL);
    loop_close(l, loop);
}

/* Stores for all of the vector index, or once where there is none. */
static void map_innermost(Lowering *l, const Shape *shape)
{
    Builder *build = l->build;
    lowering_vector(l, shape->vector);
    if (!l->vector) {
        store_result(l, lower_expr(l, l->equation->value).value);
        return;
    }
    int lanes = l->target->lanes;
    int64_t extent = shape->vector->extent, full = extent / lanes * lanes;
    int64_t most = is_quick(l, shape) ? TURNS * lanes : lanes, done = full / most * most;
    map_vectors(l, shape, 0, done, most);
    map_vectors(l, shape, done, full, lanes);
    if (full < extent) store_vector(l, shape, build_int(build, full), 0, 0, build_int(build, extent - full), NULL);
    lowering_vector(l, NULL);
}

/* --- reductions of neighbours -------------------------------------------------------------------------------------- */
static void neighbour_block(Lowering *l, const Shape *shape, int count, Value *base, int base_level, Value *part)
{
    Value *totals[8];
    scope_push(l, NULL);
    lower_reduce_vectors(l, shape->reduce, count, base, base_level, part, totals);
    for (int k = 0; k < count; k++) store_vector(l, shape, base, base_level, (int64_t)k * l->target->lanes, part, totals[k]);
    scope_pop(l);
}

static void reduce_neighbours(Lowering *l, const Shape *shape)
{
    Builder *build = l->build;
    Statement *loops[MAX_RANK * 2];
    int opened = open_loops(l, shape, 0, false, loops);
    lowering_vector(l, shape->vector);
    int64_t lanes = l->target->lanes, extent = shape->vector->extent, vectors = extent / lanes, done = 0;
    static const int widths[] = {4, 1};
    for (int k = 0; k < 2; k++) {
        int64_t width = widths[k] * lanes, end = done + (vectors * lanes - done) / width * width;
        if (end == done + width) neighbour_block(l, shape, widths[k], build_int(build, done), 0, NULL);
        else if (end > done) {
            Statement *loop = loop_open(l, shape->vector->name, build_int(build, done), build_int(build, end), width);
            neighbour_block(l, shape, widths[k], loop_variable(l, loop), scope_level(l), NULL);
            loop_close(l, loop);
        }
        done = end;
    }
    if (done < extent) neighbour_block(l, shape, 1, build_int(build, done), 0, build_int(build, extent - done));
    lowering_vector(l, NULL);
    close_loops(l, loops, opened);
}

/* --- the equation -------------------------------------------------------------------------------------------------- */
static void lower_shape(Lowering *l, const Shape *shape)
{
    Statement *outer[MAX_RANK * 2], *inner[MAX_RANK * 2];
    if (shape->neighbours) {
        reduce_neighbours(l, shape);
        return;
    }
    uint64_t needed = shape->reduce ? node_info(l, shape->reduce)->deps : 0;
    int outer_count = 0;
    if (shape->reduce) {
        outer_count = open_loops(l, shape, needed, true, outer);
        scope_push(l, NULL);
        lower_reduce_scalar(l, shape->reduce, shape->along, shape->in_order);
    }
    int inner_count = open_loops(l, shape, needed, false, inner);
    map_innermost(l, shape);
    close_loops(l, inner, inner_count);
    if (shape->reduce) scope_pop(l);
    close_loops(l, outer, outer_count);
}

void lower_equation(Lowering *l, const Equation *equation, int row_count, Value *const *rows, int row_level)
{
    lowering_equation(l, equation);
    scope_push(l, NULL);
    int outer_pin = l->pin;
    l->pin = scope_level(l);
    for (int k = 0; k < row_count; k++) scope_bind(l, equation->free[k], rows[k], row_level, 0);
    Shape shape = choose(l, row_count);
    if (l->target->lanes == 1) {
        shape.in_order = shape.neighbours;
        shape.vector = NULL;
        shape.neighbours = false;
    }
    lower_shape(l, &shape);
    l->pin = outer_pin;
    scope_pop(l);
}
