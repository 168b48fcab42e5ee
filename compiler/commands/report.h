/* How commands end: diagnostics to standard error, and the exit code. */
#ifndef GM_COMMANDS_REPORT_H
#define GM_COMMANDS_REPORT_H

#include "support/diagnostics.h"

/* Prints everything collected; returns 1 when there was an error, else 0. Colour when standard error is a terminal and NO_COLOR unset. */
int report(const Diagnostics *diags);
/* "gmlpc COMMAND: MESSAGE", returns 2: the call is wrong. */
int wrong_call(const char *command, const char *format, ...) GM_PRINTF(2, 3);

#endif
