/* A picture of a model in the language of Graphviz.
 * In: a tree of blocks.  Out: dot text, the same for the same model. */
#ifndef GM_COMMANDS_GRAPH_DOT_H
#define GM_COMMANDS_GRAPH_DOT_H

#include "commands/block_tree.h"
#include "support/text.h"

typedef struct {
    bool equations;  /* leaves are single equations: write them out */
    bool sideways;   /* from left to right */
} GraphStyle;

void graph_dot(const Module *module, const BlockTree *tree, const GraphStyle *style, Text *out);

#endif
