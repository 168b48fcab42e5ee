/* Reporting: one place that prints diagnostics, so that every command reads alike. */
#include "commands/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int report(const Diagnostics *diags)
{
    Text text = text_new(diags->arena);
    diagnostics_print(diags, &text, isatty(STDERR_FILENO) && !getenv("NO_COLOR"));
    fputs(text_string(&text), stderr);
    return diags->error_count ? 1 : 0;
}

int wrong_call(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "gmlpc %s: ", command);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\ngmlpc %s --help lists the options\n", command);
    va_end(arguments);
    return 2;
}
