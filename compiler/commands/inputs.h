/* Seeded inputs for verify, bench and tests: the same on every machine. */
#ifndef GM_COMMANDS_INPUTS_H
#define GM_COMMANDS_INPUTS_H

#include "equation/equation.h"

/* One array for each input of the module, in its element type, dense. Reals are near-normal with variance 1. Integers are valid: where
 * one is used as a subscript it lies inside the tensor it selects from; else it is 0 or 1. */
void **random_inputs(Arena *arena, const Module *module, uint64_t seed);

/* Arrays for the outputs, zeroed. */
void **output_arrays(Arena *arena, const Module *module);

/* Element `i` of an array of a tensor's element type. */
double array_element(const void *array, ElementType type, int64_t i);

#endif
