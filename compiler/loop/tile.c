/* One tile of a contraction: see tile.h. Accumulators acc_r_v are variables, all operations written out, so that any compiler keeps
 * them in registers. A short epilogue is applied to them directly; a long one in a loop over a copy of the tile that is still in L1. */
#include "loop/tile.h"

#include "equation/index.h"
#include "support/bug.h"

typedef struct {
    Variable *accumulators[MOST_HEIGHT][MOST_WIDTH];
    Value *sums[MOST_HEIGHT][MOST_WIDTH];
    const Expr *summed; /* what they are: the sum, or the sum and what it started with */
} Registers;

/* Where a step of the reduction finds what it multiplies; `copy`: where a tile that fills the copy of the columns stores them. */
typedef struct {
    Address rows, columns, copy;
} Operands;

/* --- operands ------------------------------------------------------------------------------------------------------ */
/* The flat subscript of a read, without the indices of the reduction. */
static Address operand_address(Lowering *l, const Contraction *c, const Expr *read)
{
    scope_push(l, NULL);
    for (int k = 0; k < c->k_count; k++) scope_bind(l, c->k[k], build_int(l->build, 0), 0, 0);
    Address address = element_address(l, read->tensor, read->args, read->count);
    scope_pop(l);
    return address;
}

/* Panels: which one, and the column in it. */
static Address panel_address(Lowering *l, const Tile *tile)
{
    const Tiling *t = tile->tiling;
    const Contraction *c = t->contraction;
    const Access *access = find_access(l, c->columns->tensor);
    Builder *build = l->build;
    Address address = {0};
    scope_push(l, NULL);
    for (int k = 0; k < c->k_count; k++) scope_bind(l, c->k[k], build_int(build, 0), 0, 0);
    int rank = c->columns->count;
    uint64_t bit = index_bit(l, t->column);
    for (int axis = 0; axis < rank - 1; axis++)
        if (!(node_info(l, c->columns->args[axis])->deps & bit)) address_add(l, &address, c->columns->args[axis], access->strides[axis]);
    scope_pop(l);
    int panel_axis = -1;
    for (int axis = 0; axis < rank - 1; axis++)
        if (node_info(l, c->columns->args[axis])->deps & bit) panel_axis = axis;
    int64_t panel_stride = panel_axis >= 0 ? access->strides[panel_axis] : 0;
    Value *size = build_int(build, t->panel);
    Value *panel = scope_settle(l, (Lowered){build_op(build, OP_FLOORDIV, tile->column, size, NULL), tile->column_level}, "panel").value;
    address_add_term(&address, panel, panel_stride, tile->column_level);
    int64_t block = (int64_t)t->width * l->target->lanes;
    if (block % t->panel != 0) {
        Value *inside = scope_settle(l, (Lowered){build_op(build, OP_MOD, tile->column, size, NULL), tile->column_level}, "inside").value;
        address_add_term(&address, inside, 1, tile->column_level);
    }
    return address;
}

int64_t vector_offset(Lowering *l, const Tile *tile, int vector)
{
    const Tiling *t = tile->tiling;
    int64_t columns = (int64_t)vector * l->target->lanes;
    if (!t->contraction->panels || columns < t->panel) return columns;
    const Expr *read = t->contraction->columns;
    const Access *access = find_access(l, read->tensor);
    uint64_t bit = index_bit(l, t->column);
    int64_t stride = 0;
    for (int axis = 0; axis < read->count - 1; axis++)
        if (node_info(l, read->args[axis])->deps & bit) stride = access->strides[axis];
    return columns / t->panel * stride + columns % t->panel;
}

int64_t stride_along(Lowering *l, const Expr *read, const Index *index)
{
    const Access *access = find_access(l, read->tensor);
    int64_t stride = 0;
    for (int axis = 0; axis < read->count; axis++) {
        Linear linear;
        if (!(node_info(l, read->args[axis])->deps & index_bit(l, index))) continue;
        if (!index_linear(read->args[axis], &linear)) bug("lowering %s: an operand that is not linear", l->kernel->kernel->name);
        stride += linear_coefficient(&linear, index) * access->strides[axis];
    }
    return stride;
}

int64_t row_stride(Lowering *l, const Tiling *t)
{
    return t->row ? stride_along(l, t->contraction->rows, t->row) : 0;
}

Address row_address(Lowering *l, const Tile *tile)
{
    const Tiling *t = tile->tiling;
    scope_push(l, NULL);
    if (t->row) scope_bind(l, t->row, tile->row, tile->row_level, 0);
    Address address = operand_address(l, t->contraction, t->contraction->rows);
    scope_pop(l);
    return address;
}

int reduction_steps(Lowering *l, const Contraction *c, Reduced *steps)
{
    int count = 0;
    for (int k = 0; k < c->k_count; k++) {
        const Index *index = c->k[k];
        Reduced step = {index->name, index->extent, stride_along(l, c->rows, index), stride_along(l, c->columns, index)};
        if (step.extent == 1) continue;
        Reduced *outer = count ? &steps[count - 1] : NULL;
        if (outer && outer->row_stride == step.row_stride * step.extent && outer->column_stride == step.column_stride * step.extent) {
            step.extent *= outer->extent;
            *outer = step;
        } else
            steps[count++] = step;
    }
    return count;
}

int64_t extent_of(Index *const *indices, int count)
{
    int64_t extent = 1;
    for (int k = 0; k < count; k++) extent *= indices[k]->extent;
    return extent;
}

int64_t contraction_steps(const Contraction *c)
{
    return extent_of(c->k, c->k_count);
}

void tile_columns(Lowering *l, Tile *tile)
{
    const Tiling *t = tile->tiling;
    scope_push(l, NULL);
    scope_bind(l, t->column, tile->column, tile->column_level, 0);
    tile->columns = t->contraction->panels ? panel_address(l, tile) : operand_address(l, t->contraction, t->contraction->columns);
    scope_pop(l);
}

/* --- multiply and add ---------------------------------------------------------------------------------------------- */
/* One step of the reduction: every row's scalar times every vector of columns. */
static void multiply_add(Lowering *l, const Tile *tile, Registers *registers, const Operands *operands)
{
    Builder *build = l->build;
    const Tiling *t = tile->tiling;
    const Contraction *c = t->contraction;
    Buffer *row_buffer = find_access(l, c->rows->tensor)->buffer;
    bool from_copy = tile->copy && !tile->fills_copy;
    Buffer *column_buffer = from_copy ? tile->copy : find_access(l, c->columns->tensor)->buffer;
    int64_t stride = row_stride(l, t);
    Value *vectors[MOST_WIDTH];
    for (int v = 0; v < tile->width; v++) {
        Address address = operands->columns, copy = operands->copy;
        address.constant += vector_offset(l, tile, v);
        Value *part = tile->part && v == tile->width - 1 && !c->panels && !from_copy ? build_int(build, tile->part) : NULL;
        vectors[v] = build_let(build, arena_printf(l->arena, "b_%d", v),
                               build_load_vector(build, column_buffer, address_value(l, &address), part));
        copy.constant += (int64_t)v * l->target->lanes;
        if (tile->fills_copy) build_store(build, tile->copy, address_value(l, &copy), vectors[v], NULL);
    }
    int spread = spread_rows(l->target, tile->height, tile->width);
    for (int r = 0; r < tile->height; r++) {
        Address address = operands->rows;
        address.constant += r * stride;
        Value *scalar = build_splat(build, build_load(build, row_buffer, address_value(l, &address)));
        bool operand = r * spread / tile->height != (r + 1) * spread / tile->height; /* evenly among the others */
        if (tile->width > 1 && !operand) scalar = build_let(build, arena_printf(l->arena, "a_%d", r), scalar);
        for (int v = 0; v < tile->width; v++) {
            Variable *accumulator = registers->accumulators[r][v];
            build_set(build, accumulator, build_op(build, OP_FMA, scalar, vectors[v], build_variable(build, accumulator)));
        }
    }
}

/* Steps of the reduction in one turn of its innermost loop: with every instruction of a step counting where a neighbour on the same core
 * takes half of them, those of the loop itself and of fetching ahead are shared by some steps. */
enum { WORTH_TURNS = 16 };
int steps_a_turn(const Lowering *l, int64_t extent)
{
    return l->target->lanes > 1 && extent >= WORTH_TURNS ? STEPS_A_TURN : 1;
}

/* The operands some steps on: a constant, or a variable that this scope knows. */
static Operands operands_after(const Lowering *l, const Tile *tile, const Operands *operands, const Reduced *step, Value *variable, int64_t constant)
{
    Operands after = *operands;
    Address *addresses[] = {&after.rows, &after.columns, &after.copy};
    int64_t strides[] = {step->row_stride, step->column_stride, (int64_t)tile->width * l->target->lanes};
    for (int k = 0; k < (tile->fills_copy ? 3 : 2); k++) {
        addresses[k]->constant += constant * strides[k];
        if (variable) address_add_term(addresses[k], variable, strides[k], scope_level(l));
    }
    return after;
}

/* `count` steps of the reduction, to be written one after the other. */
static void multiply_add_steps(Lowering *l, const Tile *tile, Registers *registers, const Operands *operands, const Reduced *step, int64_t count)
{
    if (count == 0) return;
    Builder *build = l->build;
    Statement *loop = loop_open(l, "turn", build_int(build, 0), build_int(build, count), 1);
    loop->unrolled = true;
    Operands turn = operands_after(l, tile, operands, step, loop_variable(l, loop), 0);
    multiply_add(l, tile, registers, &turn);
    loop_close(l, loop);
}

/* A row's lines of the result, or those of a few rows, in each of the loop's first turns. */
static void fetch_rows(Lowering *l, const Tile *tile, Value *step, int64_t extent, int turn)
{
    Builder *build = l->build;
    int64_t last = (int64_t)(tile->height + tile->rows_in_turn - 1) / tile->rows_in_turn * turn;
    Statement *first = last < extent / turn * turn ? build_if(build, build_op(build, OP_LT, step, build_int(build, last), NULL)) : NULL;
    scope_push(l, first ? &first->body : NULL);
    Value *turns = build_op(build, OP_FLOORDIV, step, build_int(build, turn), NULL);
    Value *row = build_add(build, tile->row, build_mul(build, turns, build_int(build, tile->rows_in_turn)));
    row = scope_settle(l, (Lowered){row, scope_level(l)}, tile->tiling->row->name).value;
    for (int r = 0; r < tile->rows_in_turn; r++) prefetch_row(l, tile, row, scope_level(l), r);
    scope_pop(l);
    if (first) build_append(build, first);
}

/* The steps of the outermost index left. */
static void reduce_tile(Lowering *l, const Tile *tile, Registers *registers, const Operands *operands, const Reduced *steps, int count,
                        const Ahead *ahead)
{
    if (count == 0) {
        multiply_add(l, tile, registers, operands);
        return;
    }
    Builder *build = l->build;
    int turn = count == 1 ? steps_a_turn(l, steps->extent) : 1;
    int64_t whole = steps->extent / turn * turn;
    Statement *loop = loop_open(l, steps->name, build_int(build, 0), build_int(build, whole), turn);
    Value *step = loop_variable(l, loop);
    Operands inner = operands_after(l, tile, operands, steps, step, 0);
    Ahead inner_ahead = *ahead;
    if (tile->rows_in_turn) fetch_rows(l, tile, step, steps->extent, turn);
    int64_t distance = tile->new_rows && count == 1 ? next_rows(l, tile->tiling, &tile->cut, tile->height, steps) : 0;
    if (distance) prefetch_next_rows(l, tile, &inner.rows, distance, step, turn);
    if (ahead->start && count == 1) prefetch_ahead(l, ahead, step, turn);
    else if (ahead->start) inner_ahead.start = ahead_from(l, ahead, step, steps + 1, count - 1);
    if (turn > 1) multiply_add_steps(l, tile, registers, &inner, steps, turn);
    else reduce_tile(l, tile, registers, &inner, steps + 1, count - 1, &inner_ahead);
    loop_close(l, loop);
    Operands last = operands_after(l, tile, operands, steps, NULL, whole);
    multiply_add_steps(l, tile, registers, &last, steps, steps->extent - whole);
}

/* --- start --------------------------------------------------------------------------------------------------------- */
static Value *part_of(Lowering *l, const Tile *tile, int vector)
{
    return tile->part && vector == tile->width - 1 ? build_int(l->build, tile->part) : NULL;
}

static void bind_column(Lowering *l, const Tile *tile, Value *base, int level, int64_t offset, Value *part)
{
    if (l->target->lanes > 1) scope_bind_vector(l, tile->tiling->column, base, level, offset, part);
    else scope_bind(l, tile->tiling->column, base, level, offset);
}

/* In: the nodes that have `reduce` as an operand, counted; the last of them. */
static int users_of(const Expr *expr, const Expr *reduce, const Expr **user)
{
    int count = 0;
    if (expr->kind == EXPR_READ && expr->otherwise) count += users_of(expr->otherwise, reduce, user);
    for (int k = 0; k < expr->count; k++) {
        if (expr->args[k] == reduce) {
            count += *user != expr;
            *user = expr;
        } else
            count += users_of(expr->args[k], reduce, user);
    }
    return count;
}

/* Weights, or an input, that are added to nothing but the sum, as a bias is: the sum starts with them, which saves an addition. NULL: none. With --reproducible all
 * sums start with 0: those of the last columns are of another form in each target. */
static const Expr *added_weights(Lowering *l, const Tile *tile, const Expr **summed)
{
    const Tiling *t = tile->tiling;
    const Expr *reduce = t->contraction->reduce, *user = NULL;
    *summed = reduce;
    if (t->sums || tile->more || l->plan->reproducible || users_of(l->equation->value, reduce, &user) != 1) return NULL;
    if (user->kind != EXPR_APPLY || user->function != FN_ADD) return NULL;
    const Expr *added = user->args[user->args[0] == reduce];
    if (added->kind != EXPR_READ || added->otherwise || added->tensor->type != TYPE_F32 || node_info(l, added)->data || is_computed(added->tensor)) return NULL;
    if (l->target->lanes > 1 && vector_cost(l, added, t->column) > 0) return NULL;
    *summed = user;
    return added;
}

/* What the accumulators of one vector of columns start with. */
static void start_sums(Lowering *l, const Tile *tile, Registers *registers, const Expr *added, int v)
{
    Builder *build = l->build;
    const Tiling *t = tile->tiling;
    scope_push(l, NULL);
    if (added) {
        lowering_vector(l, t->column);
        bind_column(l, tile, tile->column, tile->column_level, (int64_t)v * l->target->lanes, part_of(l, tile, v));
    }
    for (int r = 0; r < tile->height; r++) {
        Value *start = t->sums ? build_load_vector(build, t->sums, sums_place(l, tile, r, v), NULL) : build_number(build, builder_vector_type(build), 0);
        scope_push(l, NULL);
        if (added && t->row) scope_bind(l, t->row, tile->row, tile->row_level, r);
        if (added) start = lower_vector(l, added);
        scope_pop(l);
        registers->accumulators[r][v] = build_accumulator(build, arena_printf(l->arena, "acc_%d_%d", r, v), start);
    }
    lowering_vector(l, NULL);
    scope_pop(l);
}

/* --- epilogue ------------------------------------------------------------------------------------------------------ */
static int count_operations(const Expr *expr)
{
    if (expr->kind == EXPR_READ) return expr->otherwise ? count_operations(expr->otherwise) : 0;
    if (expr->kind == EXPR_REDUCE) return 0;
    int count = expr->kind == EXPR_APPLY;
    for (int k = 0; k < expr->count; k++) count += count_operations(expr->args[k]);
    return count;
}

enum { SHORT_EPILOGUE = 4 };
static bool is_short(Lowering *l, const Tile *tile)
{
    const Expr *value = l->equation->value;
    if (l->target->lanes > 1 && vector_cost(l, value, tile->tiling->column) > 0) return false;
    return count_operations(value) <= SHORT_EPILOGUE && !calls_functions(l, value) && !node_info(l, value)->data;
}

/* Stores epilogue(sum) for the bound row and columns. */
static void store_sum(Lowering *l, const Expr *summed, Value *sum)
{
    scope_remember(l, summed, (Lowered){sum, scope_level(l)});
    store_result(l, lower_vector(l, l->equation->value));
}

static void epilogue_in_registers(Lowering *l, const Tile *tile, Registers *registers)
{
    const Tiling *t = tile->tiling;
    lowering_vector(l, t->column);
    for (int v = 0; v < tile->width; v++) {
        scope_push(l, NULL);
        bind_column(l, tile, tile->column, tile->column_level, (int64_t)v * l->target->lanes, part_of(l, tile, v));
        for (int r = 0; r < tile->height; r++) {
            scope_push(l, NULL);
            if (t->row) scope_bind(l, t->row, tile->row, tile->row_level, r);
            store_sum(l, registers->summed, registers->sums[r][v]);
            scope_pop(l);
        }
        scope_pop(l);
    }
    lowering_vector(l, NULL);
}

/* One vector of the copy, `at` elements into its row. */
static void epilogue_vector(Lowering *l, const Tile *tile, const Expr *summed, Buffer *copy, Value *row_start, Value *column, Value *at, Value *part)
{
    Builder *build = l->build;
    scope_push(l, NULL);
    bind_column(l, tile, column, scope_level(l), 0, part);
    Value *sum = build_load_vector(build, copy, build_add(build, row_start, at), NULL);
    sum = build_let(build, "total", sum);
    store_sum(l, summed, sum);
    scope_pop(l);
}

static void epilogue_in_loops(Lowering *l, const Tile *tile, Registers *registers)
{
    Builder *build = l->build;
    int lanes = l->target->lanes, row_size = tile->width * lanes;
    Buffer *copy = build_array(build, "tile", TYPE_F32, (int64_t)row_size * tile->height);
    for (int r = 0; r < tile->height; r++)
        for (int v = 0; v < tile->width; v++)
            build_store(build, copy, build_int(build, r * row_size + v * lanes), registers->sums[r][v], NULL);
    lower_epilogue(l, tile, registers->summed, copy);
}

/* A loop of many turns ends with a branch that no processor expects. */
enum { VECTORS_A_TURN = 4 };
void lower_epilogue(Lowering *l, const Tile *tile, const Expr *summed, Buffer *copy)
{
    Builder *build = l->build;
    const Tiling *t = tile->tiling;
    int lanes = l->target->lanes, row_size = tile->width * lanes, full = tile->part ? tile->width - 1 : tile->width;
    int outer_floor = l->vector_floor;
    l->vector_floor = scope_level(l);
    int together = tile->width < VECTORS_A_TURN && tile->height % (VECTORS_A_TURN / tile->width) == 0 ? VECTORS_A_TURN / tile->width : 1;
    Statement *rows = loop_open(l, "r", build_int(build, 0), build_int(build, tile->height), together), *turns = NULL;
    Value *r = loop_variable(l, rows);
    if (together > 1) {
        turns = loop_open(l, "turn", build_int(build, 0), build_int(build, together), 1);
        turns->unrolled = true;
        r = build_add(build, r, loop_variable(l, turns));
    }
    if (t->row) {
        Value *row = scope_settle(l, (Lowered){build_add(build, tile->row, r), scope_level(l)}, t->row->name).value;
        scope_bind(l, t->row, row, scope_level(l), 0);
    }
    Value *row_start = scope_settle(l, (Lowered){build_mul(build, r, build_int(build, row_size)), scope_level(l)}, "at").value;
    lowering_vector(l, t->column);
    if (full > 0) {
        Statement *vectors = loop_open(l, "c", build_int(build, 0), build_int(build, (int64_t)full * lanes), lanes);
        vectors->unrolled = true;
        Value *c = loop_variable(l, vectors);
        Value *column = scope_settle(l, (Lowered){build_add(build, tile->column, c), scope_level(l)}, t->column->name).value;
        epilogue_vector(l, tile, summed, copy, row_start, column, c, NULL);
        loop_close(l, vectors);
    }
    if (tile->part) {
        Value *c = build_int(build, (int64_t)full * lanes);
        Value *column = scope_settle(l, (Lowered){build_add(build, tile->column, c), tile->column_level}, t->column->name).value;
        epilogue_vector(l, tile, summed, copy, row_start, column, c, build_int(build, tile->part));
    }
    lowering_vector(l, NULL);
    if (turns) loop_close(l, turns);
    loop_close(l, rows);
    l->vector_floor = outer_floor;
}

/* More steps of the reduction follow, after tiles of other rows. */
static void keep_sums(Lowering *l, const Tile *tile, const Registers *registers)
{
    for (int r = 0; r < tile->height; r++)
        for (int v = 0; v < tile->width; v++) build_store(l->build, tile->tiling->sums, sums_place(l, tile, r, v), registers->sums[r][v], NULL);
}

/* --- the tile ------------------------------------------------------------------------------------------------------ */
void lower_tile(Lowering *l, Tile *tile)
{
    Builder *build = l->build;
    const Tiling *t = tile->tiling;
    const Contraction *c = t->contraction;
    if (tile->height > MOST_HEIGHT || tile->width > MOST_WIDTH) bug("lowering: a tile of %d x %d", tile->height, tile->width);
    Registers registers;
    Reduced steps[MAX_RANK];
    int step_count = reduction_steps(l, c, steps);
    Operands operands = {.rows = row_address(l, tile), .columns = tile->columns};
    const Expr *added = added_weights(l, tile, &registers.summed);
    for (int v = 0; v < tile->width; v++) start_sums(l, tile, &registers, added, v);
    Ahead ahead = look_ahead(l, tile, steps, step_count);
    if (tile->copy) {
        address_add_term(&operands.rows, tile->first_step, steps->row_stride, tile->step_level);
        steps->extent = tile->steps;
    }
    if (tile->fills_copy) address_add_term(&operands.columns, tile->first_step, steps->column_stride, tile->step_level);
    else if (tile->copy) {
        operands.columns = (Address){0};
        steps->column_stride = (int64_t)tile->width * l->target->lanes;
    }
    tile->rows_in_turn = 0;
    if (!tile->more) prefetch_result(l, tile, steps, step_count);
    reduce_tile(l, tile, &registers, &operands, steps, step_count, &ahead);
    for (int r = 0; r < tile->height; r++)
        for (int v = 0; v < tile->width; v++) registers.sums[r][v] = build_variable(build, registers.accumulators[r][v]);
    if (tile->more) {
        keep_sums(l, tile, &registers);
        return;
    }
    int outer_floor = l->vector_floor;
    l->vector_floor = scope_level(l);
    if (is_short(l, tile)) epilogue_in_registers(l, tile, &registers);
    else epilogue_in_loops(l, tile, &registers);
    l->vector_floor = outer_floor;
}
