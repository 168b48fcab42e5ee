/* Lines fetched before they are needed: those of the result that a tile will write, and the next block of columns while this one is used.
 * In: a tile and the loops of its reduction.  Out: prefetches, and where in the reduction they stand; they change no result. */
#include "loop/tile.h"

enum { WORTH_PREFETCHING = 16, LINE_FLOATS = 16, MOST_LINES = 4, CHAIN_COLUMN_BYTES = 256 * 1024 };

void prefetch(Lowering *l, Buffer *buffer, Value *subscript)
{
    Statement *statement = build_statement(l->build, LOOP_PREFETCH);
    statement->buffer = buffer;
    statement->subscript = subscript;
}

void prefetch_element(Lowering *l, const Tensor *tensor, Expr *const *subscripts, int rank)
{
    Address address = element_address(l, tensor, subscripts, rank);
    prefetch(l, find_access(l, tensor)->buffer, address_value(l, &address));
}

/* The lines that the tile will write in one row, but the first where rows are not aligned: the block before wrote that. */
void prefetch_row(Lowering *l, const Tile *tile, Value *row, int row_level, int64_t offset)
{
    const Tiling *t = tile->tiling;
    const Equation *equation = l->equation;
    const Access *access = find_access(l, equation->result);
    scope_push(l, NULL);
    if (t->row) scope_bind(l, t->row, row, row_level, offset);
    scope_bind(l, t->column, tile->column, tile->column_level, 0);
    Address address = element_address(l, equation->result, equation->subscripts, equation->rank);
    scope_pop(l);
    int columns = tile->width * l->target->lanes;
    for (int c = 0; c < columns; c += LINE_FLOATS) {
        Address line = address;
        line.constant += tile->part ? c : c + LINE_FLOATS <= columns ? c + LINE_FLOATS - 1 : columns - 1;
        prefetch(l, access->buffer, address_value(l, &line));
    }
}

/* Few lines are asked for at once. More of them would hold up the loads of the reduction's first steps: then a row's, or those of as
 * few rows as the reduction has turns for, are asked for in each of its turns. */
enum { MOST_AT_ONCE = 16, LEAST_TURNS = 4 };
void prefetch_result(Lowering *l, Tile *tile, const Reduced *steps, int step_count)
{
    if (l->target->lanes == 1 || contraction_steps(tile->tiling->contraction) < WORTH_PREFETCHING) return;
    if (find_access(l, l->equation->result)->buffer->local) return; /* it was used for the rows before */
    int64_t lines = ((int64_t)tile->width * l->target->lanes + LINE_FLOATS - 1) / LINE_FLOATS * tile->height;
    int64_t turns = step_count == 1 ? steps->extent / STEPS_A_TURN : 0;
    tile->rows_in_turn = lines > MOST_AT_ONCE && turns >= LEAST_TURNS ? (int)((tile->height + turns - 1) / turns) : 0;
    for (int r = 0; r < tile->height && !tile->rows_in_turn; r++) prefetch_row(l, tile, tile->row, tile->row_level, r);
}

/* Elements of the weights that follow this product's, up to the first panel of the next product over panels, where products that meet their weights as
 * rows lie between: those need them soon, all in their first block of columns, and fetch no panel. 0: none does, or there is no room beside rows
 * and result. */
static int64_t weights_after(Lowering *l, const Contraction *at_hand, int64_t panel)
{
    const Plan *plan = l->plan;
    int64_t beside = extent_of(at_hand->m, at_hand->m_count) * (contraction_steps(at_hand) + extent_of(at_hand->n, at_hand->n_count)), elements = 0;
    int call = 0;
    while (call < plan->calls.count && plan->calls.data[call].kernel != l->kernel->kernel) call++;
    while (++call < plan->calls.count) {
        const Kernel *kernel = plan->calls.data[call].kernel;
        const Contraction *c = &kernel->contraction;
        if (kernel->form != KERNEL_CONTRACTION) continue;
        if (c->panels && elements) elements += contraction_steps(c) * panel;
        if (c->panels) break;
        const Layout *rows = tensor_layout(c->rows->tensor);
        if (rows->storage == STORE_BLOB) elements += rows->bytes / 4;
    }
    return (elements + beside) * 4 <= CACHED_BYTES ? elements : 0;
}

/* How far ahead of their own weights the tiles of a block are, where a block gains some elements: nothing at first, and `lead` at the end. */
static Value *gained_lead(Lowering *l, const Tile *tile, int64_t lead, Value *gain)
{
    Builder *build = l->build;
    int64_t last = tile->tiling->blocks - 1;
    Value *number = build_op(build, OP_FLOORDIV, tile->column, build_int(build, (int64_t)tile->width * l->target->lanes), NULL);
    Value *missing = build_mul(build, build_sub(build, build_int(build, last), number), gain);
    Value *far = build_op(build, OP_MIN, build_sub(build, build_int(build, lead), missing), build_mul(build, number, gain), NULL);
    return build_op(build, OP_MAX, far, build_int(build, 0), NULL);
}

/* Panels: the next ones are one stretch of memory, a part of it for each tile; where that is less than a line a turn, for one tile of several. Where a thread has half of the tiles their
 * parts are twice as long, for as many requests: some lines are left out then, but a single thread would make all those of two for nothing. Parts overlap
 * the next block's; in the last blocks they don't, and reach what follows. */
static void next_panels(Lowering *l, const Tile *tile, const Reduced *last_step, int64_t count, Ahead *ahead)
{
    const Tiling *t = tile->tiling;
    Builder *build = l->build;
    int64_t block = (int64_t)tile->width * l->target->lanes, tiles = t->together, lead = weights_after(l, t->contraction, t->panel);
    if (block % t->panel != 0 && t->panel % block != 0) return;
    int64_t line_part = LINE_FLOATS / steps_a_turn(l, last_step->extent), one_of = 1;
    while (2 * one_of < tiles && (2 * one_of * block + tiles - 1) / tiles <= line_part) one_of *= 2;
    int64_t share = (one_of * block + tiles - 1) / tiles, parts = (tiles + one_of - 1) / one_of;
    if (share < line_part && (share * parts - block) * count * t->blocks < lead) share = line_part; /* for as many requests */
    ahead->step = ahead->needed = share;
    ahead->stride = build_int(build, share);
    Value *gain = build_int(build, (share * parts - block) * count);
    if (t->by_rows && t->tile_tasks == 1 && !t->group) {
        int64_t twice = (2 * one_of * block + tiles - 1) / tiles, gain_twice = (parts / 2 * twice - block) * count;
        ahead->stride = scope_settle(l, (Lowered){build_op(build, OP_SELECT, t->by_rows, build_int(build, twice), ahead->stride), 0}, "ahead").value;
        gain = build_op(build, OP_SELECT, t->by_rows, build_int(build, gain_twice < 0 ? 0 : gain_twice), gain);
    }
    Address next = tile->columns;
    next.constant += vector_offset(l, tile, t->panel / l->target->lanes) * (block > t->panel ? block / t->panel : 1);
    /* Blocks of part of a panel share the next one. */
    for (int k = 0; k < next.count; k++)
        if (next.terms[k].coefficient == 1) next.terms[k].coefficient = count;
    Value *before = build_add(build, build_mul(build, tile->passed, build_int(build, t->cut.tiles)), build_sub(build, tile->number, tile->first_tile));
    if (one_of > 1) {
        Value *fetches = build_op(build, OP_EQ, build_op(build, OP_MOD, before, build_int(build, one_of), NULL), build_int(build, 0), NULL);
        ahead->fetches = scope_settle(l, (Lowered){fetches, scope_level(l)}, "fetches").value;
        before = build_op(build, OP_FLOORDIV, before, build_int(build, one_of), NULL);
    }
    ahead->start = build_add(build, address_value(l, &next), build_mul(build, build_mul(build, before, build_int(build, count)), ahead->stride));
    if (!lead) return;
    gain = scope_settle(l, (Lowered){gain, 0}, "gain").value;
    ahead->start = build_add(build, ahead->start, gained_lead(l, tile, lead, gain));
}

/* Rows of columns: the lines beside this block, in turns, each only once where there are tiles enough: another request for it costs
 * another translation of its address. */
static void next_columns(Lowering *l, const Tile *tile, const Reduced *step, Ahead *ahead)
{
    Builder *build = l->build;
    int64_t block = (int64_t)tile->width * l->target->lanes, lines = (block + LINE_FLOATS - 1) / LINE_FLOATS, tiles = tile->tiling->together;
    int64_t steps = tile->copy ? tile->steps : step->extent;
    int64_t fetched = (lines + tiles - 1) / tiles;
    if (lines % fetched != 0) fetched = lines;
    ahead->needed = fetched * LINE_FLOATS;
    ahead->step = step->column_stride;
    ahead->stride = build_int(build, ahead->step);
    int64_t turns = lines / fetched;
    while (steps_a_turn(l, steps) % (2 * ahead->apart) == 0 && 2 * ahead->apart * turns <= tiles) ahead->apart *= 2;
    Address next = tile->columns;
    next.constant += block + LINE_FLOATS - 1; /* the last line of each vector: the first of all is here already */
    if (tile->copy) address_add_term(&next, tile->first_step, ahead->step, tile->step_level);
    Value *part = build_op(build, OP_MOD, tile->number, build_int(build, ahead->apart), NULL);
    Value *turn = build_op(build, OP_FLOORDIV, tile->number, build_int(build, ahead->apart), NULL);
    turn = build_op(build, OP_MOD, turn, build_int(build, turns), NULL);
    ahead->start = build_add(build, address_value(l, &next), build_mul(build, turn, build_int(build, ahead->needed)));
    ahead->start = build_add(build, ahead->start, build_mul(build, part, build_int(build, (steps + ahead->apart - 1) / ahead->apart * ahead->step)));
}

/* The columns of one step follow those of the step before, in all loops of the reduction. */
static bool steps_follow(const Reduced *steps, int count)
{
    for (int k = 0; k + 1 < count; k++)
        if (steps[k].column_stride != steps[k + 1].column_stride * steps[k + 1].extent) return false;
    return count > 0;
}

Ahead look_ahead(Lowering *l, const Tile *tile, const Reduced *steps, int step_count)
{
    const Contraction *c = tile->tiling->contraction;
    Ahead ahead = {.buffer = find_access(l, c->columns->tensor)->buffer, .apart = 1};
    if (l->target->lanes == 1 || !steps_follow(steps, step_count) || contraction_steps(c) < WORTH_PREFETCHING) return ahead;
    if (tile->part || tile->tiling->full_blocks < 2 || (tile->copy && copies_are_near(l, c))) return ahead;
    if (tile->tiling->inside && contraction_steps(c) * tile->tiling->columns * 4 <= CHAIN_COLUMN_BYTES) return ahead; /* the rows before used them */
    if (c->panels) next_panels(l, tile, &steps[step_count - 1], contraction_steps(c), &ahead);
    else if (step_count == 1) next_columns(l, tile, steps, &ahead);
    if (ahead.needed > MOST_LINES * LINE_FLOATS) ahead.start = NULL;
    if (ahead.start) ahead.start = scope_settle(l, (Lowered){ahead.start, scope_level(l)}, "next").value;
    return ahead;
}

void prefetch_ahead(Lowering *l, const Ahead *ahead, Value *step, int turns)
{
    Builder *build = l->build;
    Statement *some = ahead->fetches ? build_if(build, ahead->fetches) : NULL;
    scope_push(l, some ? &some->body : NULL);
    if (ahead->apart > 1) step = build_op(build, OP_FLOORDIV, step, build_int(build, ahead->apart), NULL);
    Value *place = build_add(build, ahead->start, build_mul(build, step, ahead->stride));
    for (int64_t q = 0, at = 0; q < turns / ahead->apart; q++) {
        if (at < q * ahead->step) at = q * ahead->step;
        for (; at < q * ahead->step + ahead->needed; at += LINE_FLOATS) prefetch(l, ahead->buffer, build_add(build, place, build_int(build, at)));
    }
    scope_pop(l);
    if (some) build_append(build, some);
}

Value *ahead_from(Lowering *l, const Ahead *ahead, Value *outer, const Reduced *inner, int count)
{
    Builder *build = l->build;
    int64_t steps = 1;
    for (int k = 0; k < count; k++) steps *= inner[k].extent;
    Value *far = build_mul(build, build_mul(build, outer, build_int(build, steps)), ahead->stride);
    return scope_settle(l, (Lowered){build_add(build, ahead->start, far), scope_level(l)}, "next").value;
}

/* --- rows ---------------------------------------------------------------------------------------------------------- */
/* Every column block of a task reads the same rows. The first block finds them far away where another core computed them, or nobody did:
 * weights and inputs; but the first task's of a thread alone pay for it. Fewer bytes than a near cache holds are there soon. */
enum { NEAR_BYTES = 32 * 1024 };

bool is_computed(const Tensor *tensor)
{
    Storage storage = tensor_layout(tensor)->storage;
    return storage == STORE_ARENA || storage == STORE_OUTPUT || storage == STORE_NONE;
}

Value *threads_of_kernel(Lowering *l)
{
    LoopKernel *kernel = l->kernel;
    if (!kernel->threads) kernel->threads = build_name(l->build, VALUE_INT, "threads");
    return build_variable(l->build, kernel->threads);
}

/* Thread k of n begins with task T k / n; a task is among the `m` from there on when a multiple of T / n lies in the last m. */
static Value *is_first_of_thread(Lowering *l, int64_t m)
{
    Builder *build = l->build;
    LoopKernel *kernel = l->kernel;
    Value *threads = threads_of_kernel(l);
    Value *past = build_mul(build, build_sub(build, build_int(build, m - 1), build_variable(build, kernel->task)), threads);
    past = build_op(build, OP_MOD, past, build_int(build, kernel->tasks), NULL);
    return build_op(build, OP_LT, past, build_mul(build, threads, build_int(build, m)), NULL);
}

int64_t next_rows(Lowering *l, const Tiling *t, const Cut *cut, int height, const Reduced *last_step)
{
    const Contraction *c = t->contraction;
    if (last_step->row_stride != 1 || last_step->extent < LINE_FLOATS || steps_a_turn(l, last_step->extent) == 1 || !t->row) return 0;
    if (cut->tiles > 1) return height * row_stride(l, t);
    for (int k = c->m_count - 1; k >= 0; k--)
        if (c->m[k] != t->row && !is_joined(t, c->m[k])) return stride_along(l, c->rows, c->m[k]);
    return 0;
}

bool meets_new_rows(Lowering *l, const Tiling *t, int64_t bytes, Value **first)
{
    const Contraction *c = t->contraction;
    Reduced steps[MAX_RANK];
    int count = reduction_steps(l, c, steps);
    *first = NULL;
    if (l->target->lanes == 1 || t->batches > 1 || bytes <= NEAR_BYTES || count == 0) return false;
    if (!next_rows(l, t, &t->cut, t->cut.height, &steps[count - 1])) return false;
    if (t->tile_tasks > 1 && t->block_tasks == 1) return true; /* other rows in each */
    bool computed = is_computed(c->rows->tensor);
    if (l->kernel->tasks == 1) return !computed;
    Builder *build = l->build;
    Value *flag = is_first_of_thread(l, t->by_rows ? 1 : t->tile_tasks);
    if (computed) flag = build_op(build, OP_AND, build_op(build, OP_LT, build_int(build, 1), threads_of_kernel(l), NULL), flag, NULL);
    *first = scope_settle(l, (Lowered){flag, 0}, "first").value;
    return true;
}

/* A line of each row in as many turns as use one. */
void prefetch_next_rows(Lowering *l, const Tile *tile, const Address *rows, int64_t distance, Value *step, int turn)
{
    Builder *build = l->build;
    int64_t stride = row_stride(l, tile->tiling), count = (tile->height * turn + LINE_FLOATS - 1) / LINE_FLOATS;
    Statement *fresh = tile->fresh ? build_if(build, tile->fresh) : NULL;
    scope_push(l, fresh ? &fresh->body : NULL);
    Value *turns = build_op(build, OP_FLOORDIV, build_op(build, OP_MOD, step, build_int(build, LINE_FLOATS), NULL), build_int(build, turn), NULL);
    Address address = *rows;
    address.constant += distance;
    turns = scope_settle(l, (Lowered){turns, scope_level(l)}, "turn").value;
    address_add_term(&address, turns, count * stride - turn, scope_level(l));
    Value *place = scope_settle(l, (Lowered){address_value(l, &address), scope_level(l)}, "row").value;
    Buffer *buffer = find_access(l, tile->tiling->contraction->rows->tensor)->buffer;
    for (int64_t r = 0; r < count; r++) prefetch(l, buffer, build_add(build, place, build_int(build, r * stride)));
    scope_pop(l);
    if (fresh) build_append(build, fresh);
}
