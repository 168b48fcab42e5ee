/* gmlpc lsp: the language server on standard input and output. Leaves everything to compiler/lsp. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/report.h"
#include "lsp/lsp.h"

#include <stdio.h>
#include <unistd.h>

int command_lsp(int argc, char **argv)
{
    Arena *arena = arena_new();
    bool words = false, stdio = false;
    const Option options[] = {
        {"stdio", 0, OPTION_FLAG, &stdio, NULL, "serve on standard input and output, which it does anyway: some editors insist on saying so"},
        {"words", 0, OPTION_FLAG, &words, NULL, "print the language's words by kind instead, for syntax files"},
    };
    Words rest = {0};
    int code = options_parse(arena, argc, argv, "[OPTION...]", "A language server for editors: LSP 3.17 on standard input and output.", options,
                             sizeof options / sizeof *options, &rest);
    if (code < 0 && rest.count) code = wrong_call("lsp", "it takes no file: an editor says what is open");
    if (code < 0 && words) {
        Text text = text_new(arena);
        lsp_words(&text);
        fputs(text_string(&text), stdout);
        code = 0;
    }
    /* Sources have absolute names; none may be found by chance where the editor was started. */
    if (code < 0) code = chdir("/") == 0 ? lsp_serve(STDIN_FILENO, STDOUT_FILENO) : 1;
    arena_free(arena);
    return code;
}
