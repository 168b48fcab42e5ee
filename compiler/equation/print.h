/* Equations as text, in the notation of the language (--emit=equations), readable and stable. */
#ifndef GM_EQUATION_PRINT_H
#define GM_EQUATION_PRINT_H
#include "equation/equation.h"
#include "support/text.h"
void module_print(const Module *module, Text *out);
void equation_print(const Equation *equation, Text *out); /* one line, no newline; shared nodes as `name := …; ` before it */
void expr_print(const Expr *expr, Text *out);
void tensor_print(const Tensor *tensor, Text *out);       /* name: f32[196, 768] */
#endif
