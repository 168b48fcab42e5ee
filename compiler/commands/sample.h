/* Reads any tensor of a run that kept every materialised tensor (PlanOptions.keep_all), and computes the ones that were never
 * materialised from those that were: so each kernel is checked against the reference from its own inputs.
 * In: a plan, the arena, the payload, inputs and outputs of a finished run.  Out: elements, and errors of sampled elements. */
#ifndef GM_COMMANDS_SAMPLE_H
#define GM_COMMANDS_SAMPLE_H

#include "schedule/plan.h"
#include "weights/weights.h"

typedef struct {
    const Plan *plan;
    const WeightValues *values;
    const unsigned char *arena, *payload;
    void *const *inputs, *const *outputs;
} FinishedRun;

typedef struct Sampler Sampler;
Sampler *sampler_new(Arena *arena, const FinishedRun *run);

/* Compares up to `samples` elements (all when there are fewer) of a materialised tensor with the reference evaluation of its equation.
 * The error is max|ours - reference| / max(1, max|reference|) over the elements compared. Not-a-numbers and infinities must agree. */
typedef struct {
    double error;
    int64_t compared;
} SampleError;
SampleError sampler_check(Sampler *sampler, const Equation *equation, int64_t samples, uint64_t seed);

#endif
