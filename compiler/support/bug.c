/* Internal faults. The name of the running pass and the trap are the only state outside of arguments that the compiler has, one of each a thread. */
#include "support/bug.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local const char *running_pass;
static _Thread_local BugTrap *bug_trap;

void bug_set_trap(BugTrap *trap)
{
    bug_trap = trap;
}

void bug_set_pass(const char *pass)
{
    running_pass = pass;
}

void bug(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (bug_trap) {
        BugTrap *trap = bug_trap;
        bug_trap = NULL;
        vsnprintf(trap->message, sizeof trap->message, format, arguments);
        va_end(arguments);
        longjmp(trap->back, 1);
    }
    fprintf(stderr, "gmlpc: internal fault%s%s: ", running_pass ? " in pass " : "", running_pass ? running_pass : "");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\ngmlpc: this is a bug of gmlpc, not of the model; please report it with the model file.\n");
    va_end(arguments);
    fflush(NULL);
    _Exit(70);
}
