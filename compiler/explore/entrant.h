/* Variants ready to run.
 * In: variants.  Out: machine code, random weights and inputs of each. Leaves timing to measure.c. */
#ifndef GM_EXPLORE_ENTRANT_H
#define GM_EXPLORE_ENTRANT_H

#include "explore/explore.h"

struct Entrant {
    Variant *variant;
    bool again;             /* the second entry of the variant that is measured twice */
    int done;               /* slots, of this run and earlier ones */
    Arena *arena;
    Pipeline pipeline;
    CompiledModel compiled; /* model NULL: not prepared, or it failed */
    unsigned char *image, *memory;
    void *weights;
    void **inputs, **outputs;
};

/* Several at a time, as --jobs says. One that fails is released, and its variant says why. */
void entrants_prepare(Exploration *exploration, Entrant *list, int count);
void entrants_release(Entrant *list, int count); /* what is released already stays so */

#endif
