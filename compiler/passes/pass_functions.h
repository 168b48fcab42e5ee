/* The passes themselves, one file each; passes.c orders them. */
#ifndef GM_PASSES_PASS_FUNCTIONS_H
#define GM_PASSES_PASS_FUNCTIONS_H

#include "passes/passes.h"

void pass_simplify(Module *module, Diagnostics *diags);
void pass_normal(Module *module, Diagnostics *diags);
void pass_views(Module *module, Diagnostics *diags);
void pass_split(Module *module, Diagnostics *diags);
void pass_tables(Module *module, Diagnostics *diags);
void pass_fold(Module *module, Diagnostics *diags);
void pass_fuse(Module *module, Diagnostics *diags);
void pass_absorb(Module *module, Diagnostics *diags);
void pass_cleanup(Module *module, Diagnostics *diags);

#endif
