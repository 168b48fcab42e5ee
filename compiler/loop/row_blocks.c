/* Chains: a contraction, row equations, another contraction (plan.h, RowChain), one block of rows after the other.
 * In: a row kernel with a chain.  Out: tasks of whole blocks; in each the first contraction's tiles into an array on the stack, the row
 * equations one after the other (or row by row, where results between them need arrays of their own), and the second contraction's tiles
 * from there. A block is some row tiles of both contractions, which share
 * their heights; every element is computed as it would be by kernels of their own. */
#include "loop/tile.h"

#include "support/bug.h"

typedef struct {
    const Kernel *kernel;
    Tiling first, second;
    Cut cut;
    bool passes;                /* each row equation takes all rows of a block, not each row all equations */
    int64_t block_tiles, blocks, batches;
    Value *batch[MAX_RANK];     /* of the block at hand */
    Value *tile_from, *tile_to; /* its row tiles */
    Value *row_from, *row_to;   /* and rows */
} Blocks;

/* --- geometry ------------------------------------------------------------------------------------------------------ */
static int64_t row_length(const Equation *equation)
{
    return (equation->result->extents[equation->rank - 1] + 15) / 16 * 16;
}

/* The choice looks at strides alone: scratch is declared when the blocks are known. */
static bool choose_tilings(Lowering *l, Blocks *b)
{
    const Kernel *kernel = b->kernel;
    int known = l->accesses.count;
    int64_t count;
    for (int k = 0; k < kernel->scratch.count; k++) list_push(l->arena, &l->accesses, scratch_access(l, kernel->scratch.data[k], 2, &count));
    bool suitable = contraction_tiling(l, kernel->equations.data[kernel->equations.count - 1], &kernel->chain->second, &b->second) &&
                    contraction_tiling(l, kernel->equations.data[0], &kernel->chain->first, &b->first);
    l->accesses.count = known;
    return suitable;
}

static bool choose_blocks(Lowering *l, Blocks *b)
{
    const Kernel *kernel = b->kernel;
    const Equation *first = kernel->equations.data[0];
    if (!choose_tilings(l, b)) return false;
    int height = b->first.cut.height < b->second.cut.height ? b->first.cut.height : b->second.cut.height;
    int64_t bytes = (row_length(first) + (kernel->chain->second.k[0]->extent + 15) / 16 * 16) * 4;
    if (height > CHAIN_BYTES / bytes) height = (int)(CHAIN_BYTES / bytes); /* at least CHAIN_ROWS: the schedule has seen to it */
    b->cut = cut_evenly(b->first.rows, height);
    Tiling *tilings[] = {&b->first, &b->second};
    for (int k = 0; k < 2; k++) tilings[k]->cut = b->cut, tilings[k]->one_cut = true, tilings[k]->copies = false;
    int64_t most = CHAIN_BYTES / (bytes * b->cut.height);
    if (most < 1) most = 1;
    b->blocks = (b->cut.tiles + most - 1) / most;
    b->block_tiles = (b->cut.tiles + b->blocks - 1) / b->blocks;
    b->blocks = (b->cut.tiles + b->block_tiles - 1) / b->block_tiles;
    for (int k = 0; k < 2; k++) tilings[k]->together = b->block_tiles;
    b->batches = 1;
    for (int k = 0; k + 1 < kernel->row_count; k++) b->batches *= first->free[k]->extent;
    return true;
}

static int64_t chain_work(const Blocks *b)
{
    const Contraction *parts[] = {&b->kernel->chain->first, &b->kernel->chain->second};
    int64_t work = 0;
    for (int p = 0; p < 2; p++) {
        int64_t macs = b->batches * b->first.rows;
        for (int k = 0; k < parts[p]->n_count; k++) macs *= parts[p]->n[k]->extent;
        for (int k = 0; k < parts[p]->k_count; k++) macs *= parts[p]->k[k]->extent;
        work += macs;
    }
    return work;
}

/* --- one block ----------------------------------------------------------------------------------------------------- */
/* The row at which tile number `tile` starts. */
static Value *row_of(Lowering *l, const Blocks *b, Value *tile, const char *name)
{
    Builder *build = l->build;
    Value *row = build_mul(build, tile, build_int(build, b->cut.height));
    if (b->cut.tall < b->cut.tiles) {
        Value *shorter = build_sub(build, tile, build_int(build, b->cut.tall));
        row = build_sub(build, row, build_op(build, OP_MAX, shorter, build_int(build, 0), NULL));
    }
    return scope_settle(l, (Lowered){row, scope_level(l)}, name).value;
}

static void place_block(Lowering *l, Blocks *b, Value *item)
{
    Builder *build = l->build;
    const Equation *first = b->kernel->equations.data[0], *second = b->kernel->equations.data[b->kernel->equations.count - 1];
    bind_digits(l, item, b->batches * b->blocks, (const Index *const *)first->free, b->kernel->row_count - 1);
    for (int k = 0; k + 1 < b->kernel->row_count; k++) {
        b->batch[k] = scope_find(l, first->free[k])->base;
        scope_bind(l, second->free[k], b->batch[k], scope_level(l), 0);
    }
    Value *block = build_op(build, OP_MOD, item, build_int(build, b->blocks), NULL);
    b->tile_from = scope_settle(l, (Lowered){build_mul(build, block, build_int(build, b->block_tiles)), scope_level(l)}, "from").value;
    Value *to = build_add(build, b->tile_from, build_int(build, b->block_tiles));
    if (b->cut.tiles % b->block_tiles != 0) to = build_op(build, OP_MIN, to, build_int(build, b->cut.tiles), NULL);
    b->tile_to = scope_settle(l, (Lowered){to, scope_level(l)}, "to").value;
    b->row_from = row_of(l, b, b->tile_from, "row_from");
    b->row_to = row_of(l, b, b->tile_to, "row_to");
}

typedef struct {
    const Equation *equation;
    const Tensor *tensor;
    bool elsewhere;
} Places;

static void compare_place(Expr *node, void *context)
{
    Places *p = context;
    if (node->kind != EXPR_READ || node->tensor != p->tensor) return;
    for (int axis = 0; axis < node->count; axis++)
        if (!expr_equal(node->args[axis], p->equation->subscripts[axis])) p->elsewhere = true;
}

/* Scratch that an equation reads at the element it computes and nobody reads after it: its result may take that array. NULL: none. */
static const Tensor *given_up(const Kernel *kernel, int number)
{
    const Equation *equation = kernel->equations.data[number];
    for (int s = 0; s < kernel->scratch.count; s++) {
        const Tensor *tensor = kernel->scratch.data[s];
        Places places = {equation, tensor, tensor->rank != equation->rank};
        for (int axis = 0; axis < tensor->rank && !places.elsewhere; axis++) places.elsewhere = tensor->extents[axis] != equation->result->extents[axis];
        if (!places.elsewhere) expr_walk(equation->value, compare_place, &places);
        bool free = expr_read_count(equation->value, tensor) > 0 && !places.elsewhere;
        for (int later = number + 1; later < kernel->equations.count; later++) free = free && expr_read_count(kernel->equations.data[later]->value, tensor) == 0;
        if (free) return tensor;
    }
    return NULL;
}

/* Statistics of a row wait for one another; those of other rows meanwhile keep a core busy, where a block's rows stay in one array. */
static bool takes_passes(const Kernel *kernel)
{
    for (int k = 1; k + 1 < kernel->equations.count; k++) {
        const Equation *equation = kernel->equations.data[k];
        int64_t elements = 1;
        for (int axis = kernel->row_count; axis < equation->rank; axis++) elements *= equation->result->extents[axis];
        if (elements > 1 && !given_up(kernel, k)) return false;
    }
    return true;
}

static void declare_between(Lowering *l, const Blocks *b)
{
    const Kernel *kernel = b->kernel;
    int64_t rows = b->block_tiles * b->cut.height;
    for (int k = 0; k + 1 < kernel->equations.count; k++) {
        const Tensor *tensor = kernel->equations.data[k]->result, *other = b->passes && k > 0 ? given_up(kernel, k) : NULL;
        bool block = b->passes || k == 0 || tensor == kernel->chain->second.rows->tensor;
        if (other) {
            Access access = *find_access(l, other);
            access.tensor = tensor;
            list_push(l->arena, &l->accesses, access);
            continue;
        }
        Access *access = declare_scratch(l, tensor, block ? rows : 1);
        if (!block) continue;
        access->origin = b->row_from;
        access->origin_level = scope_level(l);
    }
}

static void row_equations(Lowering *l, const Blocks *b)
{
    const Kernel *kernel = b->kernel;
    const char *name = kernel->equations.data[0]->free[kernel->row_count - 1]->name;
    Value *rows[MAX_RANK];
    for (int k = 0; k + 1 < kernel->row_count; k++) rows[k] = b->batch[k];
    int count = kernel->equations.count - 1;
    for (int from = 1, to; from < count; from = to) {
        to = b->passes ? from + 1 : count;
        Statement *loop = loop_open(l, name, b->row_from, b->row_to, 1);
        rows[kernel->row_count - 1] = loop_variable(l, loop);
        for (int k = from; k < to; k++) lower_equation(l, kernel->equations.data[k], kernel->row_count, rows, scope_level(l));
        loop_close(l, loop);
    }
}

static void contraction_part(Lowering *l, const Blocks *b, const Equation *equation, Tiling *tiling)
{
    scope_push(l, NULL);
    lowering_equation(l, equation);
    contraction_tiles(l, tiling, b->tile_from, b->tile_to);
    scope_pop(l);
}

bool lower_row_blocks(Lowering *l)
{
    const Kernel *kernel = l->kernel->kernel;
    Blocks b = {.kernel = kernel};
    if (!choose_blocks(l, &b)) return false;
    b.passes = takes_passes(kernel);
    int64_t total = b.batches * b.blocks;
    l->kernel->tasks = share_tasks(kernel->serial ? 0 : chain_work(&b), total);
    Statement *loop = open_share(l, "block", total);
    int outer_pin = l->pin;
    l->pin = scope_level(l);
    place_block(l, &b, loop_variable(l, loop));
    declare_between(l, &b);
    contraction_part(l, &b, kernel->equations.data[0], &b.first);
    row_equations(l, &b);
    contraction_part(l, &b, kernel->equations.data[kernel->equations.count - 1], &b.second);
    l->pin = outer_pin;
    loop_close(l, loop);
    return true;
}
