/* Internal faults. The name of the running pass is the one piece of process-wide state of the compiler. */
#include "support/bug.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local const char *running_pass;

void bug_set_pass(const char *pass)
{
    running_pass = pass;
}

void bug(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "gmlpc: internal fault%s%s: ", running_pass ? " in pass " : "", running_pass ? running_pass : "");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\ngmlpc: this is a bug of gmlpc, not of the model; please report it with the model file.\n");
    va_end(arguments);
    fflush(NULL);
    _Exit(70);
}
