/* From an equation to a program of the reference evaluator; see program.h. */
#include "equation/program.h"

#include "equation/node_map.h"
#include "support/bug.h"

#include <string.h>

enum { SET_WORDS = 4, MAX_LOOPS = SET_WORDS * 64 };
typedef struct {
    uint64_t bits[SET_WORDS];
} IndexSet;

typedef struct {
    Arena *arena;
    Program *program;
    double *const *values;
    bool point;        /* one combination only */
    NodeMap positions; /* Index → its number + 1 */
    NodeMap sets;      /* node → IndexSet of what it depends on */
    NodeMap registers; /* node → Register */
    NodeMap plain;     /* nodes reached without passing a branch or an otherwise */
    Loop *loops[MAX_LOOPS]; /* by number of the index */
    int count;
    LIST(const Expr *) reductions;
} Compiler;

/* --- dependence --------------------------------------------------------------------------------------------------- */
static int position_of(Compiler *compiler, const Index *index)
{
    uintptr_t position = (uintptr_t)node_map_get(&compiler->positions, index, NULL);
    if (!position) {
        if (compiler->count == MAX_LOOPS) bug("an equation for %s has more than %d indices", compiler->program->equation->result->name, MAX_LOOPS);
        position = (uintptr_t)++compiler->count;
        node_map_put(&compiler->positions, index, (void *)position);
    }
    return (int)position - 1;
}

static bool set_has(const IndexSet *set, int position)
{
    return set->bits[position / 64] >> (position % 64) & 1;
}

static const IndexSet *depends(Compiler *compiler, const Expr *expr)
{
    IndexSet *set = node_map_get(&compiler->sets, expr, NULL);
    if (set) return set;
    set = arena_new_object(compiler->arena, IndexSet);
    node_map_put(&compiler->sets, expr, set);
    if (expr->kind == EXPR_INDEX) {
        int position = position_of(compiler, expr->index);
        set->bits[position / 64] |= (uint64_t)1 << (position % 64);
    }
    for (int i = 0; i <= expr->count; i++) {
        const Expr *child = i < expr->count ? expr->args[i] : expr->otherwise;
        if (!child) continue;
        const IndexSet *more = depends(compiler, child);
        for (int w = 0; w < SET_WORDS; w++) set->bits[w] |= more->bits[w];
    }
    if (expr->kind == EXPR_REDUCE) {
        list_push(compiler->arena, &compiler->reductions, expr);
        for (int i = 0; i < expr->index_count; i++) {
            int position = position_of(compiler, expr->indices[i]);
            set->bits[position / 64] &= ~((uint64_t)1 << (position % 64));
        }
    }
    return set;
}

/* Nodes that surely matter: not only below a branch of a where or an otherwise. */
static void mark_plain(Compiler *compiler, const Expr *expr)
{
    if (!node_map_put(&compiler->plain, expr, (void *)1)) return;
    int count = expr->kind == EXPR_APPLY && expr->function == FN_WHERE ? 1 : expr->count;
    for (int i = 0; i < count; i++) mark_plain(compiler, expr->args[i]);
}

/* --- loops -------------------------------------------------------------------------------------------------------- */
static Loop *loop_new(Compiler *compiler, const Index *index, const Loop *parent, int depth)
{
    Loop *loop = arena_new_object(compiler->arena, Loop);
    loop->index = index;
    loop->end = index->extent;
    loop->parent = parent;
    loop->depth = depth;
    compiler->loops[position_of(compiler, index)] = loop;
    return loop;
}

/* The innermost loop that a set depends on, or NULL. */
static Loop *innermost(const Compiler *compiler, const IndexSet *set)
{
    Loop *best = NULL;
    for (int i = 0; i < compiler->count; i++) {
        if (!set_has(set, i)) continue;
        Loop *loop = compiler->loops[i];
        if (!loop) bug("an index of the equation for %s is used out of its scope", compiler->program->equation->result->name);
        if (!best || loop->depth > best->depth) best = loop;
    }
    return best;
}

/* The vector loop around a block, or NULL. */
static const Loop *vector_around(const Loop *loop)
{
    while (loop && !loop->vector) loop = loop->parent;
    return loop;
}

static const Index *largest_index(const Expr *reduce)
{
    const Index *best = reduce->indices[reduce->index_count - 1];
    for (int i = reduce->index_count - 1; i >= 0; i--)
        if (reduce->indices[i]->extent > best->extent) best = reduce->indices[i];
    return best;
}

/* Free indices that more reductions depend on come first, so that a reduction stands outside the loops it doesn't need. */
static void order_free(Compiler *compiler, const Index **order)
{
    const Equation *equation = compiler->program->equation;
    int weights[MAX_RANK * 2];
    for (int i = 0; i < equation->free_count; i++) {
        int weight = 0, position = position_of(compiler, equation->free[i]);
        for (int r = 0; r < compiler->reductions.count; r++)
            weight += set_has(depends(compiler, compiler->reductions.data[r]), position);
        int j = i;
        for (; j > 0 && weights[j - 1] < weight; j--) {
            weights[j] = weights[j - 1];
            order[j] = order[j - 1];
        }
        weights[j] = weight;
        order[j] = equation->free[i];
    }
}

typedef struct {
    const Index *index;
    int strided; /* reads in which it stands in another axis than the last */
} StrideCount;

static void count_strided(Expr *node, void *context)
{
    StrideCount *count = context;
    if (node->kind != EXPR_READ) return;
    for (int axis = 0; axis + 1 < node->count; axis++)
        if (expr_uses(node->args[axis], count->index)) {
            count->strided++;
            return;
        }
}

static int strided_reads(const Expr *reduce, const Index *index)
{
    StrideCount count = {index, 0};
    expr_walk(reduce->args[0], count_strided, &count);
    return count.strided;
}

/* The last free index runs in lanes unless a reduction below it has longer runs of its own, or runs that lie closer in memory. */
static bool free_vector(Compiler *compiler, const Index *last)
{
    if (compiler->point) return false;
    int position = position_of(compiler, last);
    for (int r = 0; r < compiler->reductions.count; r++) {
        const Expr *reduce = compiler->reductions.data[r];
        const Index *own = largest_index(reduce);
        if (!set_has(depends(compiler, reduce), position)) continue;
        if (own->extent < 32 && last->extent > own->extent) continue;
        int difference = strided_reads(reduce, own) - strided_reads(reduce, last);
        if (last->extent < 32 ? own->extent > last->extent : difference < 0 || (difference == 0 && own->extent > last->extent)) return false;
    }
    return true;
}

static void make_free_loops(Compiler *compiler, const int64_t *at)
{
    const Equation *equation = compiler->program->equation;
    const Index *order[MAX_RANK * 2];
    order_free(compiler, order);
    Loop *last = NULL;
    for (int i = 0; i < equation->free_count; i++) {
        Loop *loop = loop_new(compiler, order[i], last, i + 1);
        for (int k = 0; at && k < equation->free_count; k++) {
            if (equation->free[k] != order[i]) continue;
            loop->begin = at[k];
            loop->end = at[k] + 1;
        }
        if (last) last->inner = loop;
        else compiler->program->nest = loop;
        last = loop;
    }
    if (last) last->vector = free_vector(compiler, last->index);
}

/* --- nodes -------------------------------------------------------------------------------------------------------- */
static Register *compile_node(Compiler *compiler, const Expr *expr);

static Register *register_new(Compiler *compiler, const Loop *loop, bool varies, bool bad)
{
    Register *result = arena_new_object(compiler->arena, Register);
    (void)loop;
    result->varies = varies;
    int lanes = varies ? LANES : 1;
    result->values = arena_new_array(compiler->arena, double, lanes);
    if (bad) result->bad = arena_new_array(compiler->arena, unsigned char, lanes);
    return result;
}

/* An op in the block where the node belongs, with its register. */
static Op *emit(Compiler *compiler, const Expr *expr, OpKind kind, bool bad)
{
    Op *op = arena_new_object(compiler->arena, Op);
    const IndexSet *set = depends(compiler, expr);
    Loop *loop = innermost(compiler, set);
    const Loop *vector = vector_around(loop);
    bool varies = vector && set_has(set, position_of(compiler, vector->index));
    op->kind = kind;
    op->result = register_new(compiler, loop, varies, bad);
    Block *block = loop ? &loop->block : &compiler->program->outer;
    list_push(compiler->arena, block, op);
    return op;
}

static void address_add(Address *address, const Linear *linear, int64_t scale, const Compiler *compiler)
{
    address->constant += linear->constant * scale;
    for (int i = 0; i < linear->count; i++) {
        uintptr_t position = (uintptr_t)node_map_get(&compiler->positions, linear->indices[i], NULL);
        const Loop *loop = compiler->loops[position - 1];
        int k = 0;
        while (k < address->count && address->terms[k].loop != loop) k++;
        if (k == MAX_TERMS) bug("an address of more than %d terms", MAX_TERMS);
        if (k == address->count) {
            address->terms[k].loop = loop;
            address->terms[k].coefficient = 0;
            address->count++;
        }
        address->terms[k].coefficient += linear->coefficients[i] * scale;
    }
}

/* All subscripts as linear forms; *inside: they are proved inside the tensor. */
static bool linear_subscripts(Compiler *compiler, const Expr *expr, Address *flat, Address *axes, bool *inside)
{
    Linear linear[MAX_RANK];
    *inside = true;
    for (int axis = 0; axis < expr->count; axis++) {
        int64_t low, high;
        if (!index_linear(expr->args[axis], &linear[axis])) return false;
        *inside = *inside && index_range(expr->args[axis], &low, &high) && low >= 0 && high < expr->tensor->extents[axis];
        (void)depends(compiler, expr->args[axis]);
    }
    int64_t stride = 1;
    for (int axis = expr->count - 1; axis >= 0; axis--) {
        address_add(flat, &linear[axis], stride, compiler);
        address_add(&axes[axis], &linear[axis], 1, compiler);
        stride *= expr->tensor->extents[axis];
    }
    return true;
}

static Register *compile_read(Compiler *compiler, const Expr *expr)
{
    Address flat = {0}, axes[MAX_RANK] = {{0}};
    bool inside, bad = false;
    bool linear = linear_subscripts(compiler, expr, &flat, axes, &inside);
    Register *subscripts[MAX_RANK] = {0};
    bool data[MAX_RANK] = {0};
    for (int axis = 0; !linear && axis < expr->count; axis++) {
        subscripts[axis] = compile_node(compiler, expr->args[axis]);
        data[axis] = expr_is_data_dependent(expr->args[axis]);
        bad |= data[axis] || subscripts[axis]->bad;
    }
    Register *otherwise = NULL;
    if (expr->otherwise && !(linear && inside)) {
        otherwise = compile_node(compiler, expr->otherwise);
        bad |= otherwise->bad != NULL;
    }
    Op *op = emit(compiler, expr, linear ? inside ? OP_READ : OP_READ_CLIPPED : OP_READ_GENERAL, bad);
    op->tensor = expr->tensor;
    op->values = expr->tensor->kind == TENSOR_CONSTANT ? expr->tensor->values : compiler->values ? compiler->values[expr->tensor->id] : NULL;
    if (compiler->values && !op->values) bug("%s is read but has no values", expr->tensor->name);
    op->count = expr->count;
    op->otherwise = otherwise;
    op->guarded = !node_map_get(&compiler->plain, expr, NULL);
    op->address = flat;
    memcpy(op->args, subscripts, sizeof op->args);
    memcpy(op->data, data, sizeof op->data);
    if (op->kind == OP_READ_CLIPPED) {
        op->axes = arena_new_array(compiler->arena, Address, expr->count);
        memcpy(op->axes, axes, (size_t)expr->count * sizeof *axes);
    }
    return op->result;
}

static Register *compile_apply(Compiler *compiler, const Expr *expr)
{
    Register *args[3];
    bool bad = false;
    for (int i = 0; i < expr->count; i++) {
        args[i] = compile_node(compiler, expr->args[i]);
        bad |= args[i]->bad != NULL;
    }
    Op *op = emit(compiler, expr, OP_APPLY, bad);
    op->function = expr->function;
    op->count = expr->count;
    memcpy(op->args, args, (size_t)expr->count * sizeof *args);
    return op->result;
}

static Register *compile_reduce(Compiler *compiler, const Expr *expr)
{
    const Loop *parent = innermost(compiler, depends(compiler, expr));
    const Index *lanes = largest_index(expr);
    Loop *first = NULL, *last = NULL;
    int depth = parent ? parent->depth : 0;
    int64_t points = 1;
    for (int i = 0; i <= expr->index_count; i++) {
        const Index *index = i < expr->index_count ? expr->indices[i] : lanes;
        if (i < expr->index_count && index == lanes) continue;
        Loop *loop = loop_new(compiler, index, last ? last : parent, ++depth);
        points *= index->extent;
        if (last) last->inner = loop;
        else first = loop;
        last = loop;
    }
    last->vector = vector_around(parent) == NULL;
    Register *body = compile_node(compiler, expr->args[0]);
    Op *op = emit(compiler, expr, OP_REDUCE, body->bad != NULL);
    op->reduction = expr->reduction;
    op->nest = first;
    op->body = body;
    op->points = points;
    return op->result;
}

static Register *compile_number(Compiler *compiler, double number)
{
    Register *result = register_new(compiler, NULL, false, false);
    result->values[0] = number;
    return result;
}

static Register *compile_node(Compiler *compiler, const Expr *expr)
{
    Register *result = node_map_get(&compiler->registers, expr, NULL);
    if (result) return result;
    switch (expr->kind) {
    case EXPR_NUMBER: result = compile_number(compiler, expr->number); break;
    case EXPR_INDEX: {
        Op *op = emit(compiler, expr, OP_INDEX, false);
        op->loop = compiler->loops[position_of(compiler, expr->index)];
        result = op->result;
        break;
    }
    case EXPR_READ: result = compile_read(compiler, expr); break;
    case EXPR_APPLY: result = compile_apply(compiler, expr); break;
    case EXPR_REDUCE: result = compile_reduce(compiler, expr); break;
    }
    node_map_put(&compiler->registers, expr, result);
    return result;
}

static void compile_store(Compiler *compiler)
{
    const Equation *equation = compiler->program->equation;
    int64_t stride = 1;
    for (int axis = equation->rank - 1; axis >= 0; axis--) {
        Linear linear;
        if (!index_linear(equation->subscripts[axis], &linear)) bug("the left side of %s is not linear", equation->result->name);
        address_add(&compiler->program->store, &linear, stride, compiler);
        stride *= equation->result->extents[axis];
    }
}

Program *program_compile(Arena *arena, const Equation *equation, double *const *values, const int64_t *at)
{
    Program *program = arena_new_object(arena, Program);
    program->arena = arena;
    program->equation = equation;
    Compiler compiler = {.arena = arena, .program = program, .values = values, .point = at != NULL};
    node_map_init(&compiler.positions);
    node_map_init(&compiler.sets);
    node_map_init(&compiler.registers);
    node_map_init(&compiler.plain);
    for (int i = 0; i < equation->free_count; i++) position_of(&compiler, equation->free[i]);
    depends(&compiler, equation->value);
    mark_plain(&compiler, equation->value);
    make_free_loops(&compiler, at);
    program->value = compile_node(&compiler, equation->value);
    compile_store(&compiler);
    node_map_free(&compiler.positions);
    node_map_free(&compiler.sets);
    node_map_free(&compiler.registers);
    node_map_free(&compiler.plain);
    return program;
}
