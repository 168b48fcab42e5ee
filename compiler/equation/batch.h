/* A model for several inputs at once. */
#ifndef GM_EQUATION_BATCH_H
#define GM_EQUATION_BATCH_H

#include "equation/equation.h"

enum { MOST_BATCH = 65536 };
/* Gives every input, every output and all between them a leading axis of `count`; what depends on weights alone stays as it is.
 * Needs: a module as expanded. false, with diagnostics: no such batch. */
bool module_batch(Module *module, int64_t count, Diagnostics *diags);
/* Once a plan repeats all steps `turns` times: inputs and outputs are what all turns read and write. */
void module_repeat(Module *module, int64_t turns);

#endif

