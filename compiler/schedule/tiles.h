/* Schedule files: tiles that measurements chose over the cost model, to check in beside a model. One a line, by target and shape, so
 * that they survive edits of the model:
 *
 *   gmlpc schedule 1
 *   # what --emit=schedule calls batch, m, n and k; panels: the weights are packed by columns
 *   avx512 m=196 n=1536 k=256 panels tile=14x2 groups=1
 *
 * A tile is rows x vectors of columns that one loop holds in registers; groups: how often rows are cut so that all columns meet some of them.
 * In: the file.  Out: choices; lowering looks them up, and says which it used or had to refuse. */
#ifndef GM_SCHEDULE_TILES_H
#define GM_SCHEDULE_TILES_H

#include "support/diagnostics.h"
#include "support/list.h"
#include "target/target.h"

typedef struct {
    const char *target;  /* "avx512" */
    const char *shape;   /* "m=196 n=1536 k=256 panels" */
    int height, width;   /* at most so many rows, and vectors; 0: as the cost model has it */
    int groups;          /* of rows; 0: as the cost model has it */
    Place place;
    bool used;
    const char *refused; /* why such a tile can't be built; or NULL */
} TileChoice;

typedef struct Tiles {
    LIST(TileChoice) list;
} Tiles;

/* NULL after an error. */
Tiles *tiles_parse(Arena *arena, const Source *source, Diagnostics *diags);
Tiles *tiles_read(Arena *arena, const char *path, Diagnostics *diags);
TileChoice *tiles_find(const Tiles *tiles, const char *target, const char *shape); /* tiles may be NULL */
/* After lowering: errors for what was refused, a warning for each choice of these targets that nothing asked for. */
void tiles_report(const Tiles *tiles, const TargetSet *targets, Diagnostics *diags);
void tiles_print_choice(const TileChoice *choice, Text *out); /* its line, without what ends it */

#endif
