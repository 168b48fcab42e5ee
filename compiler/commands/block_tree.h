/* A model as a tree of its block calls, equal turns folded, and what flows between them. For pictures.
 * In: a module as written (before passes).  Out: nodes, each drawn once, and edges between leaves. */
#ifndef GM_COMMANDS_BLOCK_TREE_H
#define GM_COMMANDS_BLOCK_TREE_H

#include "equation/count.h"

typedef struct BlockNode BlockNode;
typedef LIST(BlockNode *) BlockNodes;

typedef enum {
    NODE_CALL,      /* a call; a leaf when it has no children */
    NODE_EQUATIONS, /* a leaf: equations that stand in the parent itself */
    NODE_TURNS,     /* several nodes that are repeated one after the other */
    NODE_INPUT,
    NODE_OUTPUT,
    NODE_JOIN       /* where a tensor that several below a node read enters it */
} BlockNodeKind;

struct BlockNode {
    int id, order;              /* order: of its first equation; a JOIN's is that of its first reader */
    BlockNodeKind kind;
    BlockNode *up;
    const Frame *frame;         /* CALL */
    const Port *port;           /* INPUT, OUTPUT */
    BlockNodes children;
    LIST(Equation *) equations; /* all below, in order */
    Cost cost;                  /* of them; weights count where they are first used */
    uint64_t shape;             /* equal for nodes that are built alike */
    const char *path, *last;    /* of the first and the last of the turns that this node stands for */
    int times;                  /* turns folded here; 1: none */
    bool shared;                /* turns after the first bring no weights of their own */
    BlockNode *first;           /* of a later turn: its likeness in the first one; else NULL */
    const BlockNode *group;     /* of a turn: its first node in the first turn, the same for all turns; else NULL */
    int turn;
};

typedef struct {
    BlockNode *from, *to;       /* leaves that are drawn */
    bool carried;               /* from one turn to the next */
    LIST(const Tensor *) tensors; /* of unlike shapes or types; none behind a JOIN */
} BlockEdge;

typedef struct {
    BlockNode *root;            /* the model; inputs and outputs are among its children */
    LIST(BlockEdge) edges;
    int node_count, leaf_count; /* leaves: those that are drawn */
} BlockTree;

/* `depth`: calls that are drawn as a whole, counted from the model; 0: every equation is a leaf. */
BlockTree block_tree(Arena *arena, const Module *module, long depth);
/* Edges from one node to several inside another meet in a JOIN there. */
void block_tree_join(Arena *arena, BlockTree *tree);
bool same_shape(const Tensor *a, const Tensor *b); /* and type */
/* Its name below its parent: "mlp_channels", "blocks[0..29]"; "" for EQUATIONS, TURNS and JOINs. */
const char *block_node_name(Arena *arena, const BlockNode *node);

#endif
