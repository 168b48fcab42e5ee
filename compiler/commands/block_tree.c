/* The tree of block calls, its folding, and its edges. */
#include "commands/block_tree.h"

#include "commands/survey.h"
#include "equation/node_map.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

enum { MOST_PERIOD = 8, MOST_DEPTH = 128 };

typedef LIST(Equation *) Equations;

typedef struct {
    Arena *arena;
    const Module *module;
    long depth;
    BlockTree *tree;
    NodeMap parents;      /* frames with calls below them */
    NodeMap calls;        /* frame → node */
    NodeMap leaves;       /* equation → leaf */
    NodeMap weights;      /* counted */
    NodeMap writers;      /* tensor → Equations */
} Builder;

/* --- nodes -------------------------------------------------------------------------------------------------------- */
static BlockNode *node_new(Builder *b, BlockNodeKind kind, BlockNode *up)
{
    BlockNode *node = arena_new_object(b->arena, BlockNode);
    node->kind = kind;
    node->id = node->order = b->tree->node_count++;
    node->times = 1;
    node->up = up;
    node->path = node->last = "";
    if (up) list_push(b->arena, &up->children, node);
    return node;
}

static BlockNode *call_node(Builder *b, BlockNode *up, const Frame *frame)
{
    BlockNode *node = node_map_get(&b->calls, frame, NULL);
    if (node) return node;
    node = node_new(b, NODE_CALL, up);
    node->frame = frame;
    node->path = node->last = frame->path && *frame->path ? frame->path : frame->block ? frame->block : "";
    node_map_put(&b->calls, frame, node);
    return node;
}

/* The leaf of an equation: a call deep enough, or with nothing but equations in it; else equations between calls. */
static BlockNode *leaf_of(Builder *b, const Equation *equation)
{
    const Frame *chain[MOST_DEPTH];
    int count = 0;
    for (const Frame *f = frame_call(equation->frame); f && f->up && count < MOST_DEPTH; f = frame_call(f->up)) chain[count++] = f;
    BlockNode *node = b->tree->root;
    for (int level = 1; level <= count; level++) {
        const Frame *frame = chain[count - level];
        bool parent;
        node_map_get(&b->parents, frame, &parent);
        node = call_node(b, node, frame);
        if (b->depth && (level == b->depth || !parent)) return node;
    }
    BlockNode *before = node->children.count ? node->children.data[node->children.count - 1] : NULL;
    return b->depth && before && before->kind == NODE_EQUATIONS ? before : node_new(b, NODE_EQUATIONS, node);
}

static void count_weight(Expr *expr, void *context)
{
    void **both = context;
    Builder *b = both[0];
    if (expr->kind == EXPR_READ && expr->tensor->kind == TENSOR_WEIGHT && node_map_put(&b->weights, expr->tensor, NULL)) cost_add_weight(both[1], expr->tensor);
}

static void add_equation(Builder *b, Equation *equation)
{
    BlockNode *leaf = leaf_of(b, equation);
    Cost cost = equation_cost(equation);
    void *both[] = {b, &cost};
    expr_walk(equation->value, count_weight, both);
    node_map_put(&b->leaves, equation, leaf);
    Equations *writers = node_map_get(&b->writers, equation->result, NULL);
    if (!writers) node_map_put(&b->writers, equation->result, writers = arena_new_object(b->arena, Equations));
    list_push(b->arena, writers, equation);
    for (BlockNode *node = leaf; node; node = node->up) {
        list_push(b->arena, &node->equations, equation);
        node->cost.parameters += cost.parameters;
        node->cost.macs += cost.macs;
        node->cost.flops += cost.flops;
    }
}

static void add_ports(Builder *b, const Port *ports, int count, BlockNodeKind kind)
{
    for (int i = 0; i < count; i++) node_new(b, kind, b->tree->root)->port = &ports[i];
}

static void find_parents(Builder *b)
{
    for (int i = 0; i < b->module->equations.count; i++)
        for (const Frame *f = frame_call(b->module->equations.data[i]->frame); f && f->up; f = frame_call(f->up))
            node_map_put(&b->parents, frame_call(f->up), NULL);
}

/* --- likeness ----------------------------------------------------------------------------------------------------- */
/* Nodes are alike when they are called alike and their equations are, but for names and for single positions that are read or written
 * (row t in turn t). */
typedef struct {
    Text text;
    NodeMap names;        /* expr, tensor, index → number */
    uintptr_t count;
} Likeness;

/* True when it is new; its number is written in any case. */
static bool name_it(Likeness *l, const void *what)
{
    uintptr_t number = (uintptr_t)node_map_get(&l->names, what, NULL);
    bool fresh = number == 0;
    if (fresh) node_map_put(&l->names, what, (void *)(number = ++l->count));
    text_printf(&l->text, "%" PRIuPTR "%s", number, fresh ? ":" : " ");
    return fresh;
}

static void write_tensor(Likeness *l, const Tensor *tensor)
{
    text_add(&l->text, "t");
    if (!name_it(l, tensor)) return;
    text_printf(&l->text, "%d,%d", tensor->kind == TENSOR_INPUT ? TENSOR_LOCAL : (int)tensor->kind, (int)tensor->type);
    for (int axis = 0; axis < tensor->rank; axis++) text_printf(&l->text, "x%" PRId64, tensor->extents[axis]);
    if (tensor->kind == TENSOR_CONSTANT)
        text_printf(&l->text, "=%" PRIx64, (uint64_t)XXH3_64bits(tensor->values, (size_t)tensor_count(tensor) * sizeof *tensor->values));
}

static void write_expr(Likeness *l, const Expr *expr);

static void write_subscript(Likeness *l, const Expr *expr)
{
    if (expr->kind == EXPR_NUMBER) text_add(&l->text, "#");
    else write_expr(l, expr);
}

static void write_expr(Likeness *l, const Expr *expr)
{
    text_add(&l->text, "e");
    if (!name_it(l, expr)) return;
    text_printf(&l->text, "%d,%d(", (int)expr->kind, expr->kind == EXPR_APPLY ? (int)expr->function : expr->kind == EXPR_REDUCE ? (int)expr->reduction : 0);
    if (expr->kind == EXPR_NUMBER) text_printf(&l->text, "%.17g", expr->number);
    if (expr->kind == EXPR_INDEX && name_it(l, expr->index)) text_printf(&l->text, "%" PRId64, expr->index->extent);
    if (expr->kind == EXPR_READ) write_tensor(l, expr->tensor);
    for (int i = 0; i < expr->index_count; i++)
        if (name_it(l, expr->indices[i])) text_printf(&l->text, "%" PRId64, expr->indices[i]->extent);
    for (int i = 0; i < expr->count; i++)
        if (expr->kind == EXPR_READ) write_subscript(l, expr->args[i]);
        else write_expr(l, expr->args[i]);
    if (expr->otherwise) write_expr(l, expr->otherwise);
    text_add(&l->text, ")");
}

static const char *below(const char *path, const char *up)
{
    size_t length = strlen(up);
    return length && strncmp(path, up, length) == 0 && path[length] == '.' ? path + length + 1 : path;
}

/* The call that a node stands in. */
static const BlockNode *parent_call(const BlockNode *node)
{
    const BlockNode *up = node->up;
    while (up && up->kind == NODE_TURNS) up = up->up;
    return up;
}

static void write_node(Likeness *l, const BlockNode *node)
{
    text_printf(&l->text, "(%d %s ", (int)node->kind, node->frame && node->frame->block ? node->frame->block : "");
    const BlockNode *up = parent_call(node);
    for (const char *c = below(node->path, up ? up->path : ""); *c; c++)
        if (!isdigit((unsigned char)*c)) text_add_bytes(&l->text, c, 1);
    for (int i = 0; i < node->children.count; i++) write_node(l, node->children.data[i]);
    for (int i = 0; i < node->equations.count && !node->children.count; i++) {
        const Equation *equation = node->equations.data[i];
        text_add(&l->text, ";");
        write_tensor(l, equation->result);
        for (int axis = 0; axis < equation->rank; axis++) write_subscript(l, equation->subscripts[axis]);
        write_expr(l, equation->value);
    }
    text_add(&l->text, ")");
}

static uint64_t likeness(BlockNode *const *nodes, int count)
{
    Likeness l = {.text = text_new(arena_new())};
    node_map_init(&l.names);
    for (int i = 0; i < count; i++) write_node(&l, nodes[i]);
    uint64_t hash = XXH3_64bits(text_string(&l.text), l.text.length);
    node_map_free(&l.names);
    arena_free(l.text.arena);
    return hash;
}

static int count_turns(const BlockNodes *nodes, int at, int period)
{
    int turns = 1;
    uint64_t first = period > 1 && at + 2 * period <= nodes->count ? likeness(nodes->data + at, period) : 0;
    for (int next = at + period; next + period <= nodes->count; next += period) {
        for (int i = 0; i < period; i++)
            if (nodes->data[at + i]->shape != nodes->data[next + i]->shape) return turns;
        if (period > 1 && likeness(nodes->data + next, period) != first) return turns;
        turns++;
    }
    return turns;
}

/* --- folding ------------------------------------------------------------------------------------------------------ */
static void link_turn(BlockNode *node, BlockNode *first)
{
    node->first = first;
    for (int i = 0; i < node->children.count; i++) link_turn(node->children.data[i], first->children.data[i]);
}

static void name_last(BlockNode *first, const BlockNode *last)
{
    first->last = last->path;
    for (int i = 0; i < first->children.count; i++) name_last(first->children.data[i], last->children.data[i]);
}

static BlockNode *turns_node(Builder *b, BlockNode *up, BlockNode *const *nodes, int period)
{
    BlockNode *group = node_new(b, NODE_TURNS, NULL);
    group->up = up;
    for (int i = 0; i < period; i++) {
        BlockNode *node = nodes[i];
        node->up = group;
        list_push(b->arena, &group->children, node);
        for (int e = 0; e < node->equations.count; e++) list_push(b->arena, &group->equations, node->equations.data[e]);
        group->cost.parameters += node->cost.parameters;
        group->cost.macs += node->cost.macs;
        group->cost.flops += node->cost.flops;
    }
    return group;
}

/* `nodes` holds turns of `period` nodes each. Returns what is drawn for all of them: the first turn. */
static BlockNode *fold_turns(Builder *b, BlockNode *up, BlockNode *const *nodes, int period, int turns)
{
    int64_t first_weights = 0, later_weights = 0;
    for (int i = 0; i < period; i++) first_weights += nodes[i]->cost.parameters;
    for (int i = 0; i < period * turns; i++) {
        nodes[i]->group = nodes[0];
        nodes[i]->turn = i / period;
        if (i < period) continue;
        link_turn(nodes[i], nodes[i % period]);
        later_weights += nodes[i]->cost.parameters;
    }
    for (int i = 0; i < period; i++) name_last(nodes[i], nodes[(turns - 1) * period + i]);
    BlockNode *drawn = period == 1 ? nodes[0] : turns_node(b, up, nodes, period);
    drawn->times = turns;
    drawn->shared = first_weights > 0 && later_weights == 0;
    return drawn;
}

static void fold(Builder *b, BlockNode *up)
{
    BlockNodes folded = {0};
    const BlockNodes *nodes = &up->children;
    for (int i = 0; i < nodes->count; i++) nodes->data[i]->shape = likeness(&nodes->data[i], 1);
    for (int at = 0; at < nodes->count;) {
        int period = 1, turns = count_turns(nodes, at, 1);
        bool port = nodes->data[at]->port != NULL;
        for (int p = 2; p <= MOST_PERIOD && turns == 1 && !port; p++) {
            turns = count_turns(nodes, at, p);
            if (turns > 1) period = p;
        }
        if (port || turns == 1) {
            list_push(b->arena, &folded, nodes->data[at++]);
            continue;
        }
        list_push(b->arena, &folded, fold_turns(b, up, nodes->data + at, period, turns));
        at += period * turns;
    }
    up->children.data = folded.data;
    up->children.count = folded.count;
    up->children.capacity = folded.capacity;
    for (int i = 0; i < folded.count; i++) {
        BlockNode *node = folded.data[i];
        if (node->kind != NODE_TURNS) fold(b, node);
        for (int j = 0; j < node->children.count && node->kind == NODE_TURNS; j++) fold(b, node->children.data[j]);
    }
}

static int count_leaves(const BlockNode *node)
{
    int count = node->children.count == 0;
    for (int i = 0; i < node->children.count; i++) count += count_leaves(node->children.data[i]);
    return count;
}

/* --- edges -------------------------------------------------------------------------------------------------------- */
static BlockNode *drawn(BlockNode *leaf)
{
    while (leaf->first) leaf = leaf->first;
    return leaf;
}

bool same_shape(const Tensor *a, const Tensor *b)
{
    return a->type == b->type && a->rank == b->rank && memcmp(a->extents, b->extents, (size_t)a->rank * sizeof *a->extents) == 0;
}

static void edge_add(Builder *b, BlockNode *from, BlockNode *to, bool carried, const Tensor *tensor)
{
    int at = 0;
    while (at < b->tree->edges.count) {
        const BlockEdge *e = &b->tree->edges.data[at];
        if (e->from == from && e->to == to && e->carried == carried) break;
        at++;
    }
    if (at == b->tree->edges.count) list_push(b->arena, &b->tree->edges, (BlockEdge){.from = from, .to = to, .carried = carried});
    BlockEdge *edge = &b->tree->edges.data[at];
    for (int i = 0; i < edge->tensors.count; i++)
        if (same_shape(edge->tensors.data[i], tensor)) return;
    list_push(b->arena, &edge->tensors, tensor);
}

/* Both leaves' nodes below the one that holds both; turns are those of the tree before it was folded. */
static void part_ways(BlockNode **from, BlockNode **to)
{
    BlockNode *path[MOST_DEPTH + 2];
    int count = 0;
    for (BlockNode *node = *from; node && count < MOST_DEPTH + 2; node = node->up)
        if (node->kind != NODE_TURNS) path[count++] = node;
    for (BlockNode *node = *to, *below_it = *to; node; node = node->up) {
        if (node->kind == NODE_TURNS) continue;
        for (int i = 1; i < count; i++) {
            if (path[i] != node) continue;
            *from = path[i - 1];
            *to = below_it;
            return;
        }
        below_it = node;
    }
}

static void connect(Builder *b, BlockNode *from, BlockNode *to, const Tensor *tensor)
{
    if (from == to) return;
    BlockNode *one = from, *other = to;
    part_ways(&one, &other);
    for (const BlockNode *node = one->up; node; node = node->up)
        if (node->turn > 0) return; /* inside a later turn: as in the first */
    bool same = one->group && one->group == other->group;
    if (same && one->turn == other->turn && one->turn > 0) return;
    edge_add(b, drawn(from), drawn(to), same && one->turn != other->turn, tensor);
}

typedef struct {
    Builder *builder;
    BlockNode *to;
} Reader;

static BlockNode *port_node(const Builder *b, const Tensor *tensor)
{
    for (int i = 0; i < b->tree->root->children.count; i++) {
        BlockNode *node = b->tree->root->children.data[i];
        if (node->kind == NODE_INPUT && node->port->tensor == tensor) return node;
    }
    return NULL;
}

static void connect_tensor(Builder *b, const Tensor *tensor, BlockNode *to)
{
    BlockNode *input = tensor->kind == TENSOR_INPUT ? port_node(b, tensor) : NULL;
    const Equations *writers = node_map_get(&b->writers, tensor, NULL);
    if (input) connect(b, input, to, tensor);
    for (int i = 0; writers && i < writers->count; i++) connect(b, node_map_get(&b->leaves, writers->data[i], NULL), to, tensor);
}

static void visit_read(Expr *expr, void *context)
{
    const Reader *reader = context;
    if (expr->kind == EXPR_READ) connect_tensor(reader->builder, expr->tensor, reader->to);
}

static void connect_all(Builder *b)
{
    for (int i = 0; i < b->module->equations.count; i++) {
        Equation *equation = b->module->equations.data[i];
        Reader reader = {b, node_map_get(&b->leaves, equation, NULL)};
        expr_walk(equation->value, visit_read, &reader);
    }
    for (int i = 0; i < b->tree->root->children.count; i++) {
        BlockNode *node = b->tree->root->children.data[i];
        if (node->kind == NODE_OUTPUT) connect_tensor(b, node->port->tensor, node);
    }
}

/* ------------------------------------------------------------------------------------------------------------------ */
BlockTree block_tree(Arena *arena, const Module *module, long depth)
{
    BlockTree tree = {0};
    Builder b = {.arena = arena, .module = module, .depth = depth, .tree = &tree};
    NodeMap *const maps[] = {&b.parents, &b.calls, &b.leaves, &b.weights, &b.writers};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) node_map_init(maps[i]);
    tree.root = node_new(&b, NODE_CALL, NULL);
    find_parents(&b);
    add_ports(&b, module->inputs.data, module->inputs.count, NODE_INPUT);
    for (int i = 0; i < module->equations.count; i++) add_equation(&b, module->equations.data[i]);
    add_ports(&b, module->outputs.data, module->outputs.count, NODE_OUTPUT);
    fold(&b, tree.root);
    tree.leaf_count = count_leaves(tree.root);
    connect_all(&b);
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) node_map_free(maps[i]);
    return tree;
}

const char *block_node_name(Arena *arena, const BlockNode *node)
{
    if (node->port) return node->port->name;
    if (node->kind != NODE_CALL) return "";
    const BlockNode *up = parent_call(node);
    if (!up) return "";
    const char *first = below(node->path, up->path), *last = below(node->last, up->last);
    if (last == node->last) last = below(last, up->path);
    return path_range(arena, first, last);
}
