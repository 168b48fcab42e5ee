/* Equations to equations: the ordered table of passes is passes.c. Every pass keeps the module's meaning, and the module is
 * verified after each, or after the last where nothing is made of it.
 * In: a module as expanded.  Out: normal form, views and maps inlined, weight-only work marked `packed`, epilogues attached. */
#ifndef GM_PASSES_PASSES_H
#define GM_PASSES_PASSES_H

#include "equation/equation.h"

typedef struct {
    const char *name, *does;
    void (*run)(Module *module, Diagnostics *diags);
} Pass;
extern const Pass pass_table[];
extern const int pass_count;

typedef enum { VERIFY_EACH_PASS, VERIFY_LAST_PASS } PassChecks;

/* Runs the table up to and including `last` (NULL: all). Names a pass that doesn't exist: false. */
bool run_passes(Module *module, const char *last, PassChecks checks, Diagnostics *diags);

/* At most one REDUCE an equation, none in a subscript or an otherwise. */
bool module_is_normal(const Module *module);

#endif
