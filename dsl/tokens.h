/* The words of a source, all at once: the parser reads them, skips ahead in them after an error, and the formatter prints them.
 * In: a source.  Out: tokens and comments in order; lexical errors as diagnostics. */
#ifndef GM_DSL_TOKENS_H
#define GM_DSL_TOKENS_H

#include "support/diagnostics.h"
#include "support/list.h"
#include "support/source.h"

#include <stdint.h>

typedef struct {
    int kind;            /* a token number of parser.h; single characters stand for themselves */
    uint32_t begin, end; /* bytes of the source */
    bool first;          /* first on its line */
    bool after_stray;    /* behind characters that are no words: already reported */
} Token;

typedef struct {
    LIST(Token) tokens;   /* without the end of the file */
    LIST(Place) comments; /* from # to the end of the line */
} TokenList;

/* Scans a source. Lexical errors go to `diags` (NULL: nowhere) and leave a token that keeps the parser going.
 * False: the text is no text (too large, NUL bytes, not UTF-8, nested too deeply); a diagnostic says so. */
bool tokens_scan(Arena *arena, const Source *source, Diagnostics *diags, TokenList *out);
/* The text of a token; whether a kind of token is a keyword. */
const char *token_text(Arena *arena, const Source *source, const Token *token);
bool token_is_keyword(int kind);

/* The lexer's own state; for lexer.l and tokens.c. */
typedef struct Lexer {
    Arena *arena;
    const Source *source;
    Diagnostics *diags; /* NULL: silent */
    TokenList *out;
    size_t begin, end; /* of the current token */
    bool fresh_line;
    bool stray, stray_line; /* something that is no word was just read; on this line */
} Lexer;
void lexer_run(Lexer *lexer);
void lexer_token(Lexer *lexer, int kind);
void lexer_word(Lexer *lexer, const char *text);
void lexer_number(Lexer *lexer, const char *text, bool malformed);
void lexer_string(Lexer *lexer, const char *text, size_t length, bool closed);
void lexer_stray(Lexer *lexer, const char *text);

#endif
