/* What a reduction over windows reads of its operands, where a block of channels may be copied close together, line by line.
 * In: an equation whose windows move along its free indices, neighbours in memory along the last one (plan.h, Kernel.windows).
 * Out: for each operand how many places of each axis a group of rows reads; copying is left to lowering. */
#ifndef GM_SCHEDULE_LINES_H
#define GM_SCHEDULE_LINES_H

#include "equation/equation.h"

enum { MOST_LINE_READS = 4, LINE_CHANNELS = 16, MOST_LINE_BYTES = 54 * 1024 };

typedef struct {
    const Expr *read;
    bool bordered;               /* windows reach past its ends; its `otherwise` is a number */
    bool outer[MAX_RANK];        /* the axis is named by an outer index alone: one place, which that index says */
    int64_t constants[MAX_RANK]; /* the first place, but for what outer indices and the row add */
    int64_t spans[MAX_RANK];     /* places of each axis but the last, from the first on; 0 where `outer` */
    int64_t elements;            /* of all axes but the last */
} LineRead;

typedef struct {
    const Expr *reduce;
    const Index *vector, *position; /* channels, and the innermost of the others that windows move along */
    const Index *row;               /* the next one that they move along; NULL: there is none */
    int64_t rows;                   /* of a group: divides the row's extent */
    int count;
    LineRead reads[MOST_LINE_READS]; /* those that vary with the channels */
} WindowLines;

/* Of the free indices but the last, the innermost that windows move along (the first, where they move along none). */
int window_position(const Equation *equation, const Expr *reduce);
/* Whether LINE_CHANNELS channels of all such reads fit into MOST_LINE_BYTES for one row, and for how many. */
bool window_lines(const Equation *equation, const Expr *reduce, WindowLines *lines);

#endif
