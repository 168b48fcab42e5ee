/* A row for each block of a model: what it gives, computes and moves. Used by `info`, `graph` and `explore`.
 * In: a module as written (before passes).  Out: rows in order, equal turns of a repeat merged. */
#ifndef GM_COMMANDS_SURVEY_H
#define GM_COMMANDS_SURVEY_H

#include "equation/count.h"

/* What one block computes. Bytes: weights and tensors that come in, and its last result, once each. */
typedef struct {
    const Frame *frame;
    const char *path, *shape;
    const Tensor *result;
    Cost cost;            /* of one turn */
    int times;            /* turns that are alike */
    const char *last;     /* path in the last of them */
} Row;
typedef LIST(Row) Rows;

/* Rows for blocks `depth` calls deep; 1: those that the model itself calls. */
Rows survey_module(Arena *arena, long depth, const Module *module);
/* The call that a frame stands in. Turns of a repeat, and calls that add no level to paths (@ .), are none themselves. */
const Frame *frame_call(const Frame *frame);
/* The call around a frame that is `depth` calls deep, or the frame's own where that is less. */
const Frame *frame_at_depth(const Frame *frame, long depth);
bool alike_paths(const char *a, const char *b); /* the same but for their numbers */
/* "blocks.0.mlp", "blocks.29.mlp" → "blocks[0..29].mlp". */
const char *path_range(Arena *arena, const char *first, const char *last);
/* "blocks[0..29].mlp", and with " x30" behind it. */
const char *row_path(Arena *arena, const Row *row);
const char *row_name(Arena *arena, const Row *row);

#endif
