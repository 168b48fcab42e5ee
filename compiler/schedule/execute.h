/* Runs a plan without code: every step, with its layouts, addresses, loops and scratch, by the reference evaluator. For tests: it
 * proves memory planning, loops and in-place results before anything is generated.
 * In: values of inputs and weights.  Out: values of the outputs. */
#ifndef GM_SCHEDULE_EXECUTE_H
#define GM_SCHEDULE_EXECUTE_H

#include "schedule/plan.h"

/* values[tensor->id]: row-major doubles of inputs, of weights and of packed locals (as evaluation_run leaves them).
 * outputs[port]: row-major, to be filled. Rows and elements are computed in a random order that `seed` decides: a kernel must not
 * depend on one. Memory that nothing wrote reads as NaN. */
void plan_execute(const Plan *plan, double *const *values, double *const *outputs, uint64_t seed);

#endif
