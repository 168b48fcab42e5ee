/* What the parts of windows share: windows.c, window_copies.c. */
#ifndef GM_LOOP_WINDOWS_H
#define GM_LOOP_WINDOWS_H

#include "loop/lowering.h"
#include "schedule/lines.h"

/* An operand that is copied: how, and where to. */
typedef struct {
    const LineRead *line;
    int64_t strides[MAX_RANK];
    Buffer *buffer;
    Value *ahead;           /* where rows to come read the tensor, without channel and position; NULL: not fetched */
} Copy;

typedef struct {
    const Expr *reduce;
    const Index *vector, *position; /* vectors run along the one, tiles along the other, which windows move along */
    int outer_count;
    const Index *outer[MAX_RANK * 2];
    int vectors;                    /* of a block */
    WindowLines lines;              /* with copies: what they hold */
    Index group, block;             /* number the groups of rows and the blocks of vectors */
    int copy_count;                 /* 0: operands are read where they lie */
    Copy copies[MOST_LINE_READS];
} Windows;

typedef struct {
    const Windows *windows;
    Value *block;                   /* first channel of the copies */
    Value *column, *row;            /* of the first vector and position */
    int column_level, row_level;
    int width, height;              /* vectors, positions */
    int part;                       /* lanes of the last vector, 0: all */
} Patch;

/* --- window_copies.c ----------------------------------------------------------------------------------------------- */
/* Copies where windows need a border, or are large and positions far apart; shared: by tasks. */
void choose_window_copies(Lowering *l, Windows *windows, bool shared);
/* Declares the copies of a block of channels. What no row moves along is copied now, of the others what the first row doesn't meet as new. */
void begin_window_copies(Lowering *l, Windows *windows, const Patch *patch);
/* What the bound row is the first to read. */
void copy_new_places(Lowering *l, Windows *windows, const Patch *patch);
/* A share of what rows to come will copy, in turn number `turn` of `turns` over the patch. */
void fetch_places_ahead(Lowering *l, const Patch *patch, const Copy *copy, Value *turn, int64_t turns);
/* From here on the copy is read in its tensor's place. Returns how to read the tensor itself. */
Access read_window_copy(Lowering *l, const Patch *patch, const Copy *copy);

#endif
