/* Costs of equations, summed over their iteration spaces. */
#ifndef GM_EQUATION_COUNT_H
#define GM_EQUATION_COUNT_H
#include "equation/equation.h"
typedef struct {
    int64_t macs;   /* multiply-adds of contractions and convolutions: sum-reductions over a product of two or more reads */
    int64_t flops;  /* every operation: a MAC is two, an element function its cost */
    int64_t bytes;  /* f32 and integers read and written once per tensor */
    int64_t parameters; /* learned numbers */
    int64_t measured;   /* numbers measured while training, not learned: weights whose initialiser is `measured` */
} Cost;
Cost equation_cost(const Equation *equation); /* parameters and measured 0 */
void cost_add_weight(Cost *cost, const Tensor *weight);
Cost module_cost(const Module *module);       /* packed equations left out of macs, flops */
/* A sum (or mean) over a product of at least two different factors that read something: a contraction or convolution. */
bool is_multiply_add(const Expr *reduce);
#endif
