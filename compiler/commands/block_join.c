/* Where a tensor enters a node that reads it in several places (a residual: the norm and the sum), its edges become one.
 * In: a tree with edges.  Out: the same with JOIN nodes; turns that carry what enters the first one lead to the same JOIN. */
#include "commands/block_tree.h"

#include <limits.h>

typedef struct {
    BlockNode *node, *inside;
    BlockNodes targets;
} Join;

typedef struct {
    Arena *arena;
    BlockTree *tree;
    LIST(Join) joins;
} Joiner;

static bool holds(const BlockNode *node, const BlockNode *leaf)
{
    while (leaf && leaf != node) leaf = leaf->up;
    return leaf != NULL;
}

/* Whether what comes from `from` may meet in `node`: it comes from outside, or from an earlier turn of the node. */
static bool enters(const BlockNode *node, const BlockNode *from, bool carried)
{
    if (!node->up || node->kind == NODE_TURNS) return false;
    if (!holds(node, from)) return true;
    bool below = false;
    for (const BlockNode *up = node; up && carried && !below; up = up->up) below = up->times > 1;
    return below;
}

static int count_targets(const Joiner *j, const BlockEdge *like, const BlockNode *inside, BlockNodes *targets)
{
    int count = 0;
    for (int i = 0; i < j->tree->edges.count; i++) {
        const BlockEdge *e = &j->tree->edges.data[i];
        if (e->from != like->from || e->carried != like->carried || !holds(inside, e->to) || e->to->kind == NODE_JOIN) continue;
        if (targets) list_push(j->arena, targets, e->to);
        count++;
    }
    return count;
}

/* Where most of the edges with this one's origin meet, as far inside as can be; NULL: this one is alone. */
static BlockNode *meeting(const Joiner *j, const BlockEdge *edge)
{
    BlockNode *found = NULL;
    int most = 1;
    for (BlockNode *node = edge->to->up; node; node = node->up) {
        int count = enters(node, edge->from, edge->carried) ? count_targets(j, edge, node, NULL) : 0;
        if (count > most) {
            most = count;
            found = node;
        }
    }
    return found;
}

static bool same_targets(const BlockNodes *a, const BlockNodes *b)
{
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++) {
        bool found = false;
        for (int k = 0; k < b->count; k++) found = found || a->data[i] == b->data[k];
        if (!found) return false;
    }
    return true;
}

static BlockNode *join_for(Joiner *j, BlockNode *inside, const BlockNodes *targets)
{
    for (int i = 0; i < j->joins.count; i++)
        if (j->joins.data[i].inside == inside && same_targets(&j->joins.data[i].targets, targets)) return j->joins.data[i].node;
    BlockNode *node = arena_new_object(j->arena, BlockNode);
    *node = (BlockNode){.id = j->tree->node_count++, .order = INT_MAX, .kind = NODE_JOIN, .up = inside, .path = "", .last = "", .times = 1};
    list_push(j->arena, &inside->children, node);
    list_push(j->arena, &j->joins, (Join){node, inside, *targets});
    for (int i = 0; i < targets->count; i++) {
        if (targets->data[i]->order < node->order) node->order = targets->data[i]->order;
        list_push(j->arena, &j->tree->edges, (BlockEdge){.from = node, .to = targets->data[i]});
    }
    return node;
}

static void add_tensors(Arena *arena, BlockEdge *into, const BlockEdge *from)
{
    for (int i = 0; i < from->tensors.count; i++) {
        bool known = false;
        for (int k = 0; k < into->tensors.count; k++) known = known || same_shape(into->tensors.data[k], from->tensors.data[i]);
        if (!known) list_push(arena, &into->tensors, from->tensors.data[i]);
    }
}

/* Edges before `at` have met already, so it stays where it is. */
static void join_edge(Joiner *j, int at)
{
    BlockEdge edge = j->tree->edges.data[at];
    BlockNode *inside = edge.to->kind == NODE_JOIN ? NULL : meeting(j, &edge);
    if (!inside) return;
    BlockNodes targets = {0};
    count_targets(j, &edge, inside, &targets);
    BlockNode *node = join_for(j, inside, &targets);
    int kept = 0;
    for (int i = 0; i < j->tree->edges.count; i++) {
        const BlockEdge *e = &j->tree->edges.data[i];
        bool goes = e->from == edge.from && e->carried == edge.carried && holds(inside, e->to) && e->to->kind != NODE_JOIN;
        if (goes && i != at) add_tensors(j->arena, &edge, e);
        else j->tree->edges.data[kept++] = *e;
    }
    j->tree->edges.count = kept;
    edge.to = node;
    j->tree->edges.data[at] = edge;
}

void block_tree_join(Arena *arena, BlockTree *tree)
{
    Joiner joiner = {.arena = arena, .tree = tree};
    for (int i = 0; i < tree->edges.count; i++) join_edge(&joiner, i);
}
