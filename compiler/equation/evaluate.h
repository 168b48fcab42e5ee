/* The reference evaluator: the meaning of every equation, in double precision, with no cleverness. The oracle of every test. */
#ifndef GM_EQUATION_EVALUATE_H
#define GM_EQUATION_EVALUATE_H

#include "equation/equation.h"

/* Reads one element of a tensor, flat row-major. */
typedef double TensorReader(void *context, const Tensor *tensor, int64_t element);

/* The value of an equation at one combination of its free indices (values in order of equation->free). `reader` gives the elements of
 * every tensor but constants. A data-dependent subscript out of range is clamped and sets *clamped. Results of f32 equations are not rounded. */
double equation_evaluate_at(const Equation *equation, const int64_t *free_values, TensorReader *reader, void *context, bool *clamped);
/* Flat element of equation->result that this combination writes. */
int64_t equation_element_at(const Equation *equation, const int64_t *free_values);

/* A whole module. values[tensor->id]: row-major doubles, filled for inputs and weights by the caller, computed for the rest
 * (each f32 stays double; integer tensors are exact). `progress` may be NULL: called with done and total equations.
 * Returns 0, or 1 + the input whose value was out of range as a subscript. */
typedef struct {
    Arena *arena;
    Module *module;
    double **values;
    void (*progress)(void *context, int done, int total);
    void *progress_context;
    bool outputs_only;  /* set: a local's memory is used again after its last reader; values[id] is then NULL, except of outputs */
} Evaluation;
Evaluation *evaluation_new(Arena *arena, Module *module);
int evaluation_run(Evaluation *evaluation);

#endif
