/* The language's own words, from the tables of the compiler. */
#include "lsp/lsp.h"
#include "lsp/server.h"

#include <string.h>

/* hints.def's words for what an argument takes, and where a hint stands. */
#define TAKES_WORD "a word"
#define TAKES_STRING "a string"
#define TAKES_NUMBERS "a number or a list of them"
#define TAKES_FLAG "true or false"
#define SIDE_INPUT "how `gmlpc run` makes an input"
#define SIDE_OUTPUT "how `gmlpc run` shows an output"

static const LanguageWord words[] = {
#define KEYWORD(word, token, help) {"keyword", word, word, help},
#include "dsl/keywords.def"
#define FUNCTION(enumerator, name, arity, kind, meaning, cost, help) {"function", name, arity == 1 ? name "(x)" : arity == 2 ? name "(x, y)" : name "(a, b, c)", help},
#include "equation/functions.def"
#define REDUCTION(enumerator, name, help) {"reduction", name, name "[i](…)", help},
#include "equation/reductions.def"
#define NAME(name, synopsis, help) {"name", name, synopsis, help},
#include "model/names.def"
#define ELEMENT_TYPE(enumerator, name, bytes, least, largest) {"type", name, name, "an element type"},
#include "equation/dtypes.def"
#define INITIALISER(name, arguments, synopsis, help) {"initialiser", name, synopsis, help},
#include "model/initialisers.def"
#define HINT(name, side) {"hint", name, name "(…)", SIDE_##side},
#define HINT_ARGUMENT(hint, name, takes)
#include "model/hints.def"
#define HINT(name, side)
#define HINT_ARGUMENT(hint, name, takes) {hint, name, name " = ", TAKES_##takes},
#include "model/hints.def"
};
enum { WORDS = sizeof words / sizeof *words };

int language_word_count(void)
{
    return WORDS;
}

LanguageWord language_word(int i)
{
    return words[i];
}

/* Operators stand in the table of functions too; `neg` is written as a sign. */
static bool is_written(const LanguageWord *word)
{
    Function function;
    return *word->name && (strcmp(word->kind, "function") != 0 || function_find(word->name, &function));
}

bool language_word_find(const char *name, const char *kind, LanguageWord *word)
{
    for (int k = 0; k < WORDS; k++) {
        if (strcmp(words[k].name, name) || (kind && strcmp(words[k].kind, kind)) || !is_written(&words[k])) continue;
        *word = words[k];
        return true;
    }
    return false;
}

void lsp_words(Text *out)
{
    for (int k = 0; k < WORDS; k++)
        if (is_written(&words[k])) text_printf(out, "%s %s\n", words[k].kind, words[k].name);
}
