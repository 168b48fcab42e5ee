/* Random numbers for weights: splitmix64, its state made of a seed and a weight's path, so that neither the order of weights nor what
 * else the model has matters.  The same bits on every machine. */
#ifndef GM_WEIGHTS_DRAW_H
#define GM_WEIGHTS_DRAW_H

#include <stdint.h>

typedef struct {
    uint64_t state;
} Draw;

Draw draw_start(uint64_t seed, const char *path);
uint64_t draw_bits(Draw *draw);
double draw_unit(Draw *draw);   /* uniform in [0, 1), of 53 bits */
double draw_normal(Draw *draw); /* mean 0, deviation 1: Box and Muller's cosine, two draws a number */

#endif
