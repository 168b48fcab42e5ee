/* Fuzzing of the parser and the formatter: any bytes end in a tree or in diagnostics, and what parses formats to itself. */
#include "dsl/ast.h"
#include "dsl/format.h"
#include "support/bug.h"
#include "support/diagnostics.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    const char *text = arena_strndup(arena, (const char *)data, size);
    AstFile *file = ast_parse(arena, source_new(arena, "fuzz.gm", text, size, false), diags);
    Text out = text_new(arena);
    diagnostics_print(diags, &out, false);
    diagnostics_json(diags, &out);
    if (file && !diags->error_count) {
        const char *once = ast_format(arena, file);
        AstFile *again = ast_parse(arena, source_new(arena, "fuzz.gm", once, strlen(once), false), diags);
        Text before = text_new(arena), after = text_new(arena);
        if (!again || diags->error_count) bug("the formatted text does not parse");
        ast_print(file, &before);
        ast_print(again, &after);
        if (strcmp(text_string(&before), text_string(&after)) != 0) bug("formatting changed the tree");
        if (strcmp(once, ast_format(arena, again)) != 0) bug("formatting twice differs from once");
    }
    arena_free(arena);
    return 0;
}
