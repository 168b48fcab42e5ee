/* gmlpc fmt: model files in canonical form. In: files, or standard input.  Out: the same files rewritten, or standard output; with --check
 * only which of them would change.  A file with syntax errors stays as it is.  Leaves to others: what the form is (dsl/format.c). */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/report.h"

#include "dsl/ast.h"
#include "dsl/format.h"
#include "support/text.h"

#include <stdio.h>
#include <string.h>

/* Standard input, up to one byte more than the parser takes. */
static const char *read_standard_input(Arena *arena, size_t *size)
{
    Text text = text_new(arena);
    char piece[65536];
    size_t got;
    while (text.length <= AST_LARGEST_SOURCE && (got = fread(piece, 1, sizeof piece, stdin)) > 0) text_add_bytes(&text, piece, got);
    *size = text.length;
    return text_string(&text);
}

/* The canonical form of one text, or NULL after diagnostics. */
static const char *formatted(Arena *arena, const char *name, const char *text, size_t size)
{
    Diagnostics *diags = diagnostics_new(arena);
    AstFile *file = ast_parse(arena, source_new(arena, name, text, size, false), diags);
    if (report(diags) || !file) return NULL;
    return ast_format(arena, file);
}

static int format_input(Arena *arena, bool check)
{
    size_t size;
    const char *text = read_standard_input(arena, &size);
    const char *result = formatted(arena, "<stdin>", text, size), *error;
    if (!result) return 1;
    if (check) return size != strlen(result) || memcmp(text, result, size) != 0;
    if (file_write("-", result, strlen(result), &error)) return 0;
    fprintf(stderr, "gmlpc fmt: standard output: %s\n", error);
    return 1;
}

static int format_file(const char *path, bool check)
{
    Arena *arena = arena_new();
    char *text;
    size_t size;
    const char *error, *result = NULL;
    int code = 1;
    if (!file_read(arena, path, &text, &size, &error)) {
        fprintf(stderr, "gmlpc fmt: %s: %s\n", path, error);
    } else if ((result = formatted(arena, path, text, size))) {
        bool same = size == strlen(result) && memcmp(text, result, size) == 0;
        code = 0;
        if (!same && check) {
            printf("%s\n", path);
            code = 1;
        } else if (!same && !file_write(path, result, strlen(result), &error)) {
            fprintf(stderr, "gmlpc fmt: %s: %s\n", path, error);
            code = 1;
        }
    }
    arena_free(arena);
    return code;
}

int command_fmt(int argc, char **argv)
{
    Arena *arena = arena_new();
    bool check = false;
    Words files = {0};
    const Option options[] = {
        {"check", 'c', OPTION_FLAG, &check, NULL, "change nothing: name the files that are not in canonical form, exit code 1 if there are any"},
    };
    int code = options_parse(arena, argc, argv, "[FILE.gm…] [--check]",
                             "Rewrites model files in canonical form: every word and comment stays, only white space changes.\n"
                             "Without a file, or for -, standard input goes to standard output.",
                             options, 1, &files);
    if (code < 0) {
        code = 0;
        if (files.count == 0) code = format_input(arena, check);
        for (int i = 0; i < files.count; i++) {
            int one = strcmp(files.data[i], "-") == 0 ? format_input(arena, check) : format_file(files.data[i], check);
            if (one) code = one;
        }
    }
    arena_free(arena);
    return code;
}
