/* Maps that turn their operands: the result's neighbours along one index are, in some reads, neighbours along another.
 * In: a row kernel of one equation without a reduction.  Out: tasks, and loops over square blocks of the two indices: each block of such
 * a read goes through a small array on the stack, read along its own neighbours, and comes out as vectors along the result's.
 *
 *   y[a, b] = f(x[b, a], z[a, b])
 *
 * Reads that are neighbours along neither index stay lane-by-lane gathers, unless there are no others: then it is no such map. */
#include "loop/lowering.h"

#include "equation/index.h"

#include <string.h>

enum { MOST_TURNED = 4, LEAST_EXTENT = 4, MOST_LANES = 16, BLOCKS_AHEAD = 2, LEAST_FETCHED = 4 };

typedef struct {
    const Index *vector, *other;     /* the result's neighbours lie along the one, the turned reads' along the other */
    const Expr *reads[MOST_TURNED];
    Buffer *blocks[MOST_TURNED];     /* [other, vector] */
    int read_count;
    int64_t extent, other_extent;    /* theirs, with those of the indices that lie as one with them */
    int outer_count, joined_count;
    const Index *outer[MAX_RANK * 2], *joined[MAX_RANK * 2];
    bool possible;
} Turn;

/* --- which reads --------------------------------------------------------------------------------------------------- */
static const Index *neighbour_index(Lowering *l, const Expr *read, const Turn *turn)
{
    const Equation *equation = l->equation;
    int64_t stride = 0;
    for (int k = 0; k < equation->free_count; k++) {
        const Index *index = equation->free[k];
        if (index == turn->vector || index->extent < LEAST_EXTENT) continue;
        if (read_stride(l, read, index, &stride) && stride == 1) return index;
    }
    return NULL;
}

static void visit(Lowering *l, const Expr *expr, Turn *turn)
{
    int64_t stride = 0;
    if (!turn->possible || !(node_info(l, expr)->deps & index_bit(l, turn->vector))) return;
    if (expr->kind == EXPR_APPLY)
        for (int k = 0; k < expr->count; k++) visit(l, expr->args[k], turn);
    if (expr->kind != EXPR_READ) return;
    bool plain = read_stride(l, expr, turn->vector, &stride);
    if (plain && (stride == 0 || (stride == 1 && expr->tensor->type == TYPE_F32))) return;
    for (int k = 0; k < turn->read_count; k++)
        if (turn->reads[k] == expr) return;
    const Index *other = expr->tensor->type == TYPE_F32 && !node_info(l, expr)->data ? neighbour_index(l, expr, turn) : NULL;
    bool worth = plain && !expr->otherwise; /* element by element too */
    turn->possible = other && (worth || vector_cost(l, expr, other) == 0) && (!turn->other || turn->other == other) && turn->read_count < MOST_TURNED;
    if (!turn->possible) return;
    turn->other = other;
    turn->reads[turn->read_count++] = expr;
}

static bool find_turn(Lowering *l, Turn *turn)
{
    const Equation *equation = l->equation;
    for (int k = equation->free_count - 1; k >= 0 && !turn->vector; k--)
        if (equation->free[k]->extent >= LEAST_EXTENT && result_is_dense(l, equation->free[k])) turn->vector = equation->free[k];
    if (!turn->vector || vector_cost(l, equation->value, turn->vector) <= 0) return false;
    turn->possible = true;
    visit(l, equation->value, turn);
    if (!turn->possible || !turn->read_count) return false;
    for (int k = 0; k < equation->free_count; k++)
        if (equation->free[k] != turn->vector && equation->free[k] != turn->other) turn->outer[turn->outer_count++] = equation->free[k];
    return true;
}

/* Outer indices, innermost first, that lie as one with `inner`: it runs over all of them while they are 0. */
static int64_t join(Lowering *l, Turn *turn, const Index *inner)
{
    int64_t extent = inner->extent;
    for (int k = turn->outer_count - 1; k >= 0; k--) {
        const Index *index = turn->outer[k];
        if (!lie_as_one(l, index, inner)) continue;
        inner = turn->joined[turn->joined_count++] = index;
        extent *= index->extent;
        memmove(turn->outer + k, turn->outer + k + 1, (size_t)(--turn->outer_count - k) * sizeof *turn->outer);
    }
    return extent;
}

/* --- blocks -------------------------------------------------------------------------------------------------------- */
/* Fills the block of a read: `rows` positions of the other index, `columns` of the vectors' index. */
static void fill_block(Lowering *l, const Turn *turn, int which, Value *row, int row_level, Value *rows, Value *column, int column_level, int columns)
{
    Builder *build = l->build;
    int lanes = l->target->lanes;
    Statement *c = loop_open(l, turn->vector->name, build_int(build, 0), build_int(build, columns), 1);
    Value *place = build_add(build, column, loop_variable(l, c));
    place = scope_settle(l, (Lowered){place, column_level > scope_level(l) ? column_level : scope_level(l)}, turn->vector->name).value;
    scope_bind(l, turn->vector, place, scope_level(l), 0);
    Statement *r = loop_open(l, turn->other->name, build_int(build, 0), rows, 1);
    place = build_add(build, row, loop_variable(l, r));
    place = scope_settle(l, (Lowered){place, row_level > scope_level(l) ? row_level : scope_level(l)}, turn->other->name).value;
    scope_bind(l, turn->other, place, scope_level(l), 0);
    Value *element = lower_real(l, turn->reads[which]);
    Value *to = build_add(build, build_mul(build, loop_variable(l, r), build_int(build, lanes)), loop_variable(l, c));
    build_store(build, turn->blocks[which], to, element, NULL);
    loop_close(l, r);
    loop_close(l, c);
}

/* The same in vectors along the other index, of which `part` lanes count (NULL: all). A round of zips takes the highest bit of the row's number
 * to the lowest of the column's, and that of the column's to the lowest of the row's; after as many as they have bits, rows and columns have
 * changed places. */
static void turn_block(Lowering *l, const Turn *turn, int which, Value *row, int row_level, Value *part, Value *column, int column_level, int columns)
{
    Builder *build = l->build;
    int lanes = l->target->lanes;
    Value *lines[MOST_LANES], *zipped[MOST_LANES];
    lowering_vector(l, turn->other);
    for (int c = columns; c < lanes; c++) lines[c] = build_number(build, builder_vector_type(build), 0);
    for (int c = 0; c < columns; c++) {
        scope_push(l, NULL);
        scope_bind(l, turn->vector, column, column_level, c);
        scope_bind_vector(l, turn->other, row, row_level, 0, part);
        lines[c] = build_let(build, "line", lower_vector(l, turn->reads[which]));
        scope_pop(l);
    }
    lowering_vector(l, NULL);
    for (int round = lanes; round > 1; round /= 2) {
        for (int k = 0; k < lanes; k++) {
            Value *a = lines[k / 2], *b = lines[k / 2 + lanes / 2];
            zipped[k] = build_let(build, "zip", build_op(build, k % 2 ? OP_ZIP_HIGH : OP_ZIP_LOW, a, b, NULL));
        }
        memcpy(lines, zipped, sizeof lines);
    }
    for (int r = 0; r < lanes; r++) build_store(build, turn->blocks[which], build_int(build, r * lanes), lines[r], NULL);
}

/* Each row of the result is written on a page of its own: its lines are fetched some blocks ahead. */
static void fetch_result(Lowering *l, const Turn *turn, Value *row, int row_level, Value *column, int column_level)
{
    int lanes = l->target->lanes;
    if (turn->extent < LEAST_FETCHED * lanes) return;
    for (int r = 0; r < lanes; r++) {
        scope_push(l, NULL);
        scope_bind(l, turn->other, row, row_level, r);
        scope_bind(l, turn->vector, column, column_level, (int64_t)BLOCKS_AHEAD * lanes);
        prefetch_element(l, l->equation->result, l->equation->subscripts, l->equation->rank);
        scope_pop(l);
    }
}

/* One block: `columns` lanes of vectors from `column` on, for `rows` positions from `row` on. */
static void lower_block(Lowering *l, Turn *turn, Value *row, int row_level, Value *rows, Value *column, int column_level, int columns)
{
    Builder *build = l->build;
    int lanes = l->target->lanes;
    Value *part = columns < lanes ? build_int(build, columns) : NULL;
    int64_t count = 0;
    if (columns == lanes) fetch_result(l, turn, row, row_level, column, column_level);
    for (int k = 0; k < turn->read_count; k++) {
        turn->blocks[k] = build_array(build, "block", TYPE_F32, (int64_t)lanes * lanes);
        bool whole = value_is_int(rows, &count) && count == lanes;
        if (vector_cost(l, turn->reads[k], turn->other) == 0) turn_block(l, turn, k, row, row_level, whole ? NULL : rows, column, column_level, columns);
        else fill_block(l, turn, k, row, row_level, rows, column, column_level, columns);
    }
    Statement *loop = loop_open(l, turn->other->name, build_int(build, 0), rows, 1);
    Value *r = loop_variable(l, loop);
    Value *place = scope_settle(l, (Lowered){build_add(build, row, r), scope_level(l)}, turn->other->name).value;
    scope_bind(l, turn->other, place, scope_level(l), 0);
    lowering_vector(l, turn->vector);
    scope_push(l, NULL);
    scope_bind_vector(l, turn->vector, column, column_level, 0, part);
    for (int k = 0; k < turn->read_count; k++) {
        Value *loaded = build_load_vector(build, turn->blocks[k], build_mul(build, r, build_int(build, lanes)), part);
        scope_remember(l, turn->reads[k], (Lowered){build_let(build, "turned", loaded), scope_level(l)});
    }
    store_result(l, lower_vector(l, l->equation->value));
    scope_pop(l);
    lowering_vector(l, NULL);
    loop_close(l, loop);
}

/* All vectors of the positions [row, row + rows). */
static void lower_columns(Lowering *l, Turn *turn, Value *row, int row_level, Value *rows)
{
    Builder *build = l->build;
    int lanes = l->target->lanes;
    int64_t extent = turn->extent, full = extent / lanes * lanes;
    if (full > 0) {
        Statement *loop = loop_open(l, turn->vector->name, build_int(build, 0), build_int(build, full), lanes);
        lower_block(l, turn, row, row_level, rows, loop_variable(l, loop), scope_level(l), lanes);
        loop_close(l, loop);
    }
    if (full == extent) return;
    scope_push(l, NULL);
    lower_block(l, turn, row, row_level, rows, build_int(build, full), 0, (int)(extent - full));
    scope_pop(l);
}

/* --- tasks --------------------------------------------------------------------------------------------------------- */
bool lower_turned(Lowering *l)
{
    Builder *build = l->build;
    const Kernel *kernel = l->kernel->kernel;
    if (kernel->equations.count != 1 || kernel->scratch.count || l->target->lanes == 1) return false;
    lowering_equation(l, kernel->equations.data[0]);
    Turn turn = {0};
    if (find_reduce(l->equation->value) || !find_turn(l, &turn)) return false;
    int lanes = l->target->lanes;
    turn.extent = join(l, &turn, turn.vector);
    turn.other_extent = join(l, &turn, turn.other);
    int64_t blocks = (turn.other_extent + lanes - 1) / lanes, outer = 1, work = turn.extent * turn.other_extent;
    for (int k = 0; k < turn.outer_count; k++) outer *= turn.outer[k]->extent;
    int64_t total = outer * blocks;
    l->kernel->tasks = share_tasks(kernel->serial ? 0 : work * outer * ELEMENT_WORK, total);
    int outer_pin = l->pin;
    l->pin = scope_level(l);
    Statement *loop = open_share(l, "block", total);
    Value *item = loop_variable(l, loop);
    bind_digits(l, item, total, turn.outer, turn.outer_count);
    for (int k = 0; k < turn.joined_count; k++) scope_bind(l, turn.joined[k], build_int(build, 0), 0, 0);
    Value *row = build_mul(build, turn.outer_count ? build_op(build, OP_MOD, item, build_int(build, blocks), NULL) : item, build_int(build, lanes));
    row = scope_settle(l, (Lowered){row, scope_level(l)}, turn.other->name).value;
    Value *rest = build_sub(build, build_int(build, turn.other_extent), row);
    Value *rows = turn.other_extent % lanes == 0 ? build_int(build, lanes) : build_op(build, OP_MIN, rest, build_int(build, lanes), NULL);
    rows = scope_settle(l, (Lowered){rows, scope_level(l)}, "rows").value;
    lower_columns(l, &turn, row, scope_level(l), rows);
    loop_close(l, loop);
    l->pin = outer_pin;
    return true;
}
