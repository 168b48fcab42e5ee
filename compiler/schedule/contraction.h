/* One equation on its way to a contraction: shared by contraction.c (what it is) and merge.c (which indices become one). */
#ifndef GM_SCHEDULE_CONTRACTION_H
#define GM_SCHEDULE_CONTRACTION_H

#include "schedule/schedule.h"

enum { MAX_FACTORS = 8 };

typedef struct {
    Expr *expr;  /* product of its factors */
    bool weights, direct;
    bool plain;  /* a READ with linear subscripts */
    uint64_t mask; /* indices it uses: free ones, then reduced ones */
} Operand;

typedef struct {
    Scheduler *s;
    Equation *equation;
    Expr *reduce;
    Index *indices[64]; /* free, then reduced */
    int free_count, index_count;
    Expr *factors[MAX_FACTORS];
    uint64_t masks[MAX_FACTORS];
    int factor_count;
    Operand rows, columns;
    Contraction *out;
    int merge_count;    /* operands that get tensors of their own keep the indices they had */
    struct {
        Index *merged, *outer, *inner;
    } merges[MAX_RANK * 2];
} Work;

/* The product of the extents. */
int64_t group_size(Index *const *group, int count);
/* How many indices a group would have (loosely: what lies in one row counts as one), and the extent of the last one. */
int merged_count(Work *work, Index *const *group, int count, bool reduced, bool loosely, int64_t *last_extent);
/* Merges neighbours of a group, in the equation and its direct operands, as far as their subscripts compose. */
void merge_group(Work *work, Index **group, int *count, bool reduced);
/* The indices that a merged one stands for, outermost first; returns how many. */
int unmerged(const Work *work, Index *index, Index **leaves);

#endif
