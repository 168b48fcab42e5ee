/* One tile of a contraction: accumulators in registers over the whole reduction, then the epilogue. */
#ifndef GM_LOOP_TILE_H
#define GM_LOOP_TILE_H

#include "loop/lowering.h"

/* Rows cut into tiles of two heights. */
typedef struct {
    int height;                /* rows of the taller tiles; the others have one less */
    int64_t tiles, tall;       /* all, and the taller ones, which come first */
} Cut;
Cut cut_rows(const Target *target, int64_t rows, int width);
Cut cut_evenly(int64_t rows, int most);

/* --- geometry.c ---------------------------------------------------------------------------------------------------- */
enum { MOST_HEIGHT = 16, MOST_WIDTH = 8 };
/* Vectors of a tile; panel: columns of a packed panel, 0: the columns are not packed. */
int choose_width(const Target *target, int64_t rows, int64_t columns, int64_t steps, int panel);
/* The most rows that a tile of so many vectors holds in registers. */
int most_rows(const Target *target, int width);
/* NULL, or why a tile can't have this size. */
const char *why_no_tile(const Target *target, int64_t columns, int panel, int height, int width);
/* The sizes that the cost model ranks best, its own choice first; returns how many, `most` at most. */
typedef struct {
    int height, width;
    double cycles;
} TileSize;
int tile_candidates(const Target *target, int64_t rows, int64_t columns, int64_t steps, int panel, TileSize *sizes, int most);
/* The rows of a tile whose scalars are memory operands of their multiply-adds; the others are spread into a register first. */
int spread_rows(const Target *target, int height, int width);

/* How a contraction is cut into tiles. */
typedef struct {
    const Contraction *contraction;
    int panel;                 /* columns of a packed panel */
    const Index *row, *column; /* the two that tiles run along; row NULL: a single row */
    int64_t rows, columns;     /* their extents, of the row's with the joined ones' */
    Index *const *joined;      /* indices that lie as one with `row`, which runs over all of them while they are 0 */
    int joined_count;
    int width;                 /* vectors of a tile */
    Cut cut;                   /* for that width */
    bool one_cut;              /* it serves every width */
    const Index *group;        /* rows too many for a cache are taken in groups, each with all columns: parts of this index; NULL: all at once */
    int64_t group_size;        /* of its extent, or row tiles where it is `row` */
    int64_t together;          /* row tiles that meet a block of columns one after the other, of all outer rows: they fetch the next block */
    int64_t full_blocks, blocks; /* of width * lanes columns; and with the rest */
    int rest;                  /* columns left over */
    int edge;                  /* behind those, too few for a vector: edge.c */
    TileChoice *choice;        /* of a schedule file; or NULL */
    const char *shape;
    bool inside;               /* of a row kernel, which cuts rows itself: measurements don't count */
    bool grouped;              /* rows could be taken in groups */
    int groups;
    bool copies;               /* direct columns are copied, block by block, to a dense array on the stack: copies.c */
    int chunks;                /* copies of a block, one after the other */
    int64_t chunk_steps;       /* steps of the reduction in a copy; fewer in the last */
    int64_t sums_count;
    Buffer *copy, *sums;       /* of a block's columns, [steps, width * lanes]; of row tiles, [tiles, height, width * lanes], where chunks > 1 */
    int64_t batches, batch_tasks, block_tasks, tile_tasks;
    Value *by_rows;            /* FLAG: each thread has rows of its own, as far as tasks go; NULL: never */
} Tiling;

typedef struct {
    const Tiling *tiling;
    Value *column, *row;       /* the first column and row: constants or variables */
    int column_level, row_level; /* scopes that know them */
    Cut cut;
    Value *number, *first_tile;/* of this tile among the rows, known at row_level; of the first one that shares the columns at hand */
    Value *passed;             /* turns of the outer row indices that these columns have met before */
    int width, height;         /* vectors, rows */
    int part;                  /* lanes of the last vector, 0: all */
    Address columns;           /* of the columns at k = 0 */
    Buffer *copy;              /* of this block's columns, [k, width * lanes]; NULL: none. Then: */
    bool fills_copy;           /* this row tile reads the columns where they lie, and stores them in `copy` for those after it */
    Value *first_step;         /* of the reduction, that the copy starts at */
    int step_level;
    int64_t steps;             /* in the copy */
    bool more;                 /* follow: the sums are kept */
    bool edge;                 /* its columns are those behind the last whole vector; `copy` is then [part, steps] */
    int rows_in_turn;          /* of the result, that are prefetched in each turn of the reduction; 0: all before it */
    bool new_rows;             /* the next tile's rows may be met for the first time, and then are fetched ahead: */
    Value *fresh;              /* FLAG: they are; NULL: always */
} Tile;

/* contraction.c: parts of a contraction. Starts an equation and chooses its tiles; false: not of a form it knows. */
bool contraction_tiling(Lowering *l, const Equation *equation, const Contraction *contraction, Tiling *tiling);
/* All columns of the row tiles [from, to), for the bound batches; the equation is the one at hand. */
void contraction_tiles(Lowering *l, Tiling *tiling, Value *from, Value *to);

/* The rows operand at the bound row, at step 0. */
Address row_address(Lowering *l, const Tile *tile);
/* Of the rows operand, from one row to the next. */
int64_t row_stride(Lowering *l, const Tiling *t);
/* Of an operand, along one of its indices. */
int64_t stride_along(Lowering *l, const Expr *read, const Index *index);

/* One index of the reduction, or neighbours that both operands step through alike. */
typedef struct {
    const char *name;
    int64_t extent, row_stride, column_stride;
} Reduced;
/* The loops of the reduction, outermost first. */
int reduction_steps(Lowering *l, const Contraction *c, Reduced *steps);
int64_t extent_of(Index *const *indices, int count); /* of a group of them */
int64_t contraction_steps(const Contraction *c);     /* all of them */

/* long_rows.c: the row, its length, what it is joined with; the equation is the one at hand. */
void choose_rows(Lowering *l, Tiling *tiling);
bool is_joined(const Tiling *tiling, const Index *index);

/* Steps of the reduction in one turn of its innermost loop over `extent` of them. */
enum { STEPS_A_TURN = 4 };
int steps_a_turn(const Lowering *l, int64_t extent);
/* Elements from the first vector of a tile's columns to number `vector`. */
int64_t vector_offset(Lowering *l, const Tile *tile, int vector);

/* In the scope of the column block: the address of its columns. */
void tile_columns(Lowering *l, Tile *tile);
/* In the scope of the row tile. */
void lower_tile(Lowering *l, Tile *tile);

/* Of a tile whose sums are in `copy`, [height, width * lanes]; summed: the node of the equation that they are. */
void lower_epilogue(Lowering *l, const Tile *tile, const Expr *summed, Buffer *copy);

/* --- edge.c -------------------------------------------------------------------------------------------------------- */
void choose_edge(Lowering *l, Tiling *t);                      /* takes it from the columns */
Cut cut_edge(const Lowering *l, const Tiling *t);
/* In the scope of the edge, and of one of its row tiles. */
void copy_edge(Lowering *l, Tile *tile);
void lower_edge_tile(Lowering *l, const Tile *tile);

/* --- copies.c ------------------------------------------------------------------------------------------------------ */
void choose_column_copies(Lowering *l, Tiling *t);                    /* may narrow the tile */
/* Whether rows shared out among so many tasks are worth a copy for each; others: tasks along what else there is. */
bool copies_allow_tasks(const Tiling *t, int64_t tasks, int64_t others);
bool copies_are_near(Lowering *l, const Contraction *c);       /* in the second cache: nothing is to be fetched before it is copied */
int64_t copies_tiles(const Lowering *l, const Tiling *t);      /* chunks > 1: the most row tiles that share a copy */
void declare_copies(Lowering *l, Tiling *t);                   /* where the column blocks begin */
void clear_sums(Lowering *l, const Tiling *t);
Value *sums_place(Lowering *l, const Tile *tile, int row, int vector);
/* In the scope of the column block, or of its chunk: `steps` of the reduction from `first_step` on are copied, now or by the first row
 * tile (tile->fills_copy). */
void copy_columns(Lowering *l, Tile *tile, Value *first_step, int64_t steps);

/* --- prefetch.c ---------------------------------------------------------------------------------------------------- */
/* The lines that the tile will write: now, or some rows in each turn of the reduction by prefetch_row. */
void prefetch_result(Lowering *l, Tile *tile, const Reduced *steps, int step_count);
void prefetch_row(Lowering *l, const Tile *tile, Value *row, int row_level, int64_t offset);

/* What stays in a core's second cache. */
enum { CACHED_BYTES = 1024 * 1024 };

/* The next block of columns comes while this one is used: each row tile fetches its share, a few lines a step of the reduction. */
typedef struct {
    Buffer *buffer;
    Value *start;       /* subscript of the first line at step 0; NULL: not worth it */
    int64_t step;       /* elements from one step to the next … */
    Value *stride;      /* … INT: where fewer tiles share a block they are more */
    int64_t needed;     /* elements of those of a step that are fetched */
    Value *fetches;     /* FLAG: this tile does; NULL: all do */
    int apart;          /* so many tiles share out the steps of the next columns: each fetches those of its part, one every `apart` of its own */
} Ahead;
/* Whether a kernel computes it: not an input or weights. */
bool is_computed(const Tensor *tensor);
/* INT: how many share the kernel's tasks, 0: unknown. */
Value *threads_of_kernel(Lowering *l);
/* Whether rows of a contraction are worth fetching ahead where a thread meets them first. Out: where that is, a FLAG; NULL: in every task. */
bool meets_new_rows(Lowering *l, const Tiling *t, int64_t bytes, Value **first);
/* From the rows of a tile of that height to those of the next, in elements; 0: there are none, or they don't lie step by step. */
int64_t next_rows(Lowering *l, const Tiling *t, const Cut *cut, int height, const Reduced *last_step);
/* In a turn of the reduction's innermost loop: its share of the next tile's rows, `rows` being where this turn finds this tile's. */
void prefetch_next_rows(Lowering *l, const Tile *tile, const Address *rows, int64_t distance, Value *step, int turn);
Ahead look_ahead(Lowering *l, const Tile *tile, const Reduced *steps, int step_count);
/* The lines of `turns` steps from `step` on. */
void prefetch_ahead(Lowering *l, const Ahead *ahead, Value *step, int turns);
/* Where the steps of the loops inside begin, in turn `outer` of the loop around them. */
Value *ahead_from(Lowering *l, const Ahead *ahead, Value *outer, const Reduced *inner, int count);

#endif
