/* A memo table from nodes to anything, for one walk over a graph of exprs. Starts on the stack, spills into an arena of its own.
 * In: node addresses.  Out: what was put under them.  node_map_free after use. */
#ifndef GM_EQUATION_NODE_MAP_H
#define GM_EQUATION_NODE_MAP_H

#include "equation/equation.h"

enum { NODE_MAP_INLINE = 32 };

typedef struct {
    const void *key;
    void *value;
} NodeMapSlot;

typedef struct {
    NodeMapSlot *slots;
    int count, capacity; /* capacity is a power of two */
    Arena *arena;        /* NULL until it spills */
    NodeMapSlot few[NODE_MAP_INLINE];
} NodeMap;

void node_map_init(NodeMap *map);
void node_map_free(NodeMap *map);
/* The value under `key`; *found says whether there is one (found may be NULL: a missing one is NULL). */
void *node_map_get(const NodeMap *map, const void *key, bool *found);
/* Sets it; returns false when the key was there before (its value is replaced). */
bool node_map_put(NodeMap *map, const void *key, void *value);

#endif
