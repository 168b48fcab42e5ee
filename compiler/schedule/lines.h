/* What a reduction over windows reads of its operands, where a block of channels may be copied close together, line by line.
 * In: an equation whose windows move along its free indices, neighbours in memory along the last one (plan.h, Kernel.windows).
 * Out: for each operand how many places of each axis a row of windows reads; copying is left to lowering. */
#ifndef GM_SCHEDULE_LINES_H
#define GM_SCHEDULE_LINES_H

#include "equation/equation.h"

enum { MOST_LINE_READS = 4, LINE_CHANNELS = 16, MOST_BLOCK_CHANNELS = 64 };

typedef struct {
    const Expr *read;
    bool bordered;               /* windows reach past its ends; its `otherwise` is a number */
    bool outer[MAX_RANK];        /* the axis is named by an outer index alone: one place, which that index says */
    int row_axis;                /* the axis that the row moves along; -1: none */
    int64_t row_step;            /* and how far */
    int64_t spans[MAX_RANK];     /* places of each axis but the last that a row reads; 0 where `outer` */
    int64_t elements;            /* of all axes but the last */
} LineRead;

/* Places of the row's axis that a row reads; 0: it moves along none. */
static inline int64_t row_span(const LineRead *line) { return line->row_axis < 0 ? 0 : line->spans[line->row_axis]; }

typedef struct {
    const Expr *reduce;
    const Index *vector, *position; /* channels, and the innermost of the others that windows move along */
    const Index *row;               /* the next one that they move along; NULL: there is none */
    int64_t channels;               /* of a block */
    int count;
    LineRead reads[MOST_LINE_READS]; /* those that vary with the channels */
} WindowLines;

/* Of the free indices but the last, the innermost that windows move along (the first, where they move along none). */
int window_position(const Equation *equation, const Expr *reduce);
/* Whether what a row reads of LINE_CHANNELS channels fits into the first cache; and of how many at most MOST_BLOCK_CHANNELS it does. */
bool window_lines(const Equation *equation, const Expr *reduce, WindowLines *lines);

#endif
