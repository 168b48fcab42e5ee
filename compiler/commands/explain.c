/* gmlpc explain: what a diagnostic code means. In: a code, or nothing.  Out: its title and explanation, or the list of all codes. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/report.h"

#include "support/diagnostics.h"

#include <stdio.h>

static void list_codes(void)
{
    for (int i = 0; i < DIAGNOSTIC_COUNT; i++) printf("%s  %s\n", diagnostic_code_name((DiagnosticCode)i), diagnostic_title((DiagnosticCode)i));
}

int command_explain(int argc, char **argv)
{
    Arena *arena = arena_new();
    Words codes = {0};
    int code = options_parse(arena, argc, argv, "[CODE…]", "Says what a diagnostic code means, with a wrong and a right example. Without a code: lists them all.",
                             NULL, 0, &codes);
    if (code < 0) {
        code = 0;
        if (codes.count == 0) list_codes();
        for (int i = 0; i < codes.count && code == 0; i++) {
            DiagnosticCode found;
            if (!diagnostic_find(codes.data[i], &found)) {
                code = wrong_call("explain", "there is no diagnostic %s; gmlpc explain lists them all", codes.data[i]);
                break;
            }
            printf("%s%s: %s\n\n%s\n", i ? "\n" : "", diagnostic_code_name(found), diagnostic_title(found), diagnostic_explanation(found));
        }
    }
    arena_free(arena);
    return code;
}
