/* Random valid models: from a seed to the text of a .gm file. The same seed gives the same text everywhere.
 * Statements can be switched off one by one and sizes capped, which is how a failing model is shrunk. */
#ifndef GM_TESTS_RANDOM_GENERATE_H
#define GM_TESTS_RANDOM_GENERATE_H

#include "support/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum { MAX_STATEMENTS = 24 };

typedef struct {
    uint64_t seed;
    int largest;               /* no extent above this; 0: no cap */
    bool off[MAX_STATEMENTS];  /* statements left out (with all that read them) */
} RandomModel;

/* The text, and how many statements it has before any is left out. */
const char *random_model_text(Arena *arena, const RandomModel *model, int *statements);

/* splitmix64 */
uint64_t random_next(uint64_t *state);

#endif
