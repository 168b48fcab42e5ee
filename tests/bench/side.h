/* A model compiled, loaded and given random weights and inputs: one side of a comparison inside one process, taking turns with others.
 * Left to its users: who runs when, and what is made of the times. */
#ifndef GM_BENCH_SIDE_H
#define GM_BENCH_SIDE_H

#include "commands/compiled.h"
#include "gm_pool.h"

typedef struct {
    Pipeline pipeline;
    CompiledModel compiled;
    double compile_ms;       /* from the text of the model to code that can be called */
    unsigned char *memory;
    void *weights, **inputs, **outputs;
    const gm_executor *pool; /* NULL: one thread. Not owned */
} Side;

/* The request but for its stage; that is the back end's. False after a diagnostic. */
bool side_prepare(Arena *arena, const PipelineRequest *request, Backend backend, Side *side, Diagnostics *diags);

/* Milliseconds of one run. */
double side_run(const Side *side);

/* Sorts. Of an even number the mean of the two in the middle. */
double median(double *values, int count);

#endif
