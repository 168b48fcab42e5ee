/* Invariants of a module, checked after every pass: bug() names what is broken and where. */
#ifndef GM_EQUATION_VERIFY_H
#define GM_EQUATION_VERIFY_H
#include "equation/equation.h"
/* `normal`: also at most one REDUCE an equation. */
void module_verify(const Module *module, bool normal);
#endif
