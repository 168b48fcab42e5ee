/* Functions of one variable as piecewise polynomials over equal intervals, whose coefficients are looked up.
 *
 *   y = slopes(x) + centre + P(x)     P given by a table over [low, high], constant beyond
 *
 * Folded in the middle, P is even or odd and the table is about |x| only. Where P is 0 at 0 the table may give P(x) / x instead, which
 * keeps small results exact. */
#ifndef GM_LOOP_FIT_H
#define GM_LOOP_FIT_H

#include "loop/chain.h"
#include "target/target.h"

/* An error of max(absolute, ulps * distance between neighbouring floats at the result) is allowed. */
typedef struct {
    double absolute, ulps;
} ErrorBound;

typedef enum { FOLD_NONE, FOLD_EVEN, FOLD_ODD } Fold;
enum { MOST_ENTRIES = 32, MOST_DEGREE = 10 };

typedef struct {
    Fold fold;
    bool times;             /* the table gives P(x) / |x|, NONE: P(x) / x */
    float below, above;     /* slopes of y for x < 0 and x > 0; equal when ODD: 0 */
    float centre;           /* ODD: y(0); else 0 */
    bool negative;          /* ODD: P(x) < 0 for x > 0 */
    float limit;            /* ODD and times: |P| never exceeds it; 0: no such limit */
    float low, high;        /* x is clamped to this (folded: |x| to high); the centres of the first and the last interval */
    float width, inverse;   /* of an interval; few bits, so that products with small integers are exact */
    int entries, degree;
    bool shifted;           /* folded: all polynomials are in |x| - shift, not in its distance from the interval's centre: an operation less */
    float shift;
    int first;              /* number of the first interval; 0 has its centre (folded) or its start at 0 */
    float coefficients[(MOST_DEGREE + 1) * MOST_ENTRIES]; /* [power][interval modulo entries], in x - its centre or the shift */
    int one_sided;          /* 1, -1: y is a line for x > 0, < 0, 0 on the other side, but NaN at that side's infinity: the line is
                             * slope * (x - min(x, 0)), slope * (x - max(x, 0)), which are NaN there; 0: no such line */
    bool exception[2];      /* at -infinity, infinity: the form above is wrong there, y is … */
    float y_infinite[2];    /* … this */
    double worst;           /* measured error, as a part of the bound */
} Fit;

/* Samples of a function, and what was found out about it; they serve every table size. */
typedef struct FitProblem FitProblem;
/* NULL: no table serves (no straight lines far out, no numbers). */
FitProblem *fit_problem(Arena *arena, const Chain *chain, ErrorBound bound);
/* The cheapest table within the bound for a target; target NULL: the same for all. NULL: none within `most` vector instructions. */
Fit *fit_table(Arena *arena, const FitProblem *problem, const Target *target, int most);

#endif
