/* What the words of .gm mean: keywords, numbers, strings, and everything that is no word. */
#include "dsl/tokens.h"

#include "dsl/ast.h"
#include "dsl/ast_build.h"
#include "parser.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *word;
    int kind;
} keywords[] = {
#define KEYWORD(word, token, help) {word, GM_TOKEN_##token},
#include "dsl/keywords.def"
};
enum { KEYWORD_COUNT = sizeof keywords / sizeof *keywords };

bool token_is_keyword(int kind)
{
    for (int i = 0; i < KEYWORD_COUNT; i++)
        if (keywords[i].kind == kind) return true;
    return false;
}

const char *token_text(Arena *arena, const Source *source, const Token *token)
{
    return arena_strndup(arena, source->text + token->begin, token->end - token->begin);
}

static Place here(const Lexer *lexer)
{
    return (Place){lexer->source, lexer->begin, lexer->end};
}

void lexer_token(Lexer *lexer, int kind)
{
    list_push(lexer->arena, &lexer->out->tokens, (Token){kind, (uint32_t)lexer->begin, (uint32_t)lexer->end, lexer->fresh_line, lexer->stray});
    lexer->fresh_line = lexer->stray = false;
}

void lexer_word(Lexer *lexer, const char *text)
{
    int kind = GM_TOKEN_NAME;
    for (int i = 0; i < KEYWORD_COUNT; i++)
        if (strcmp(keywords[i].word, text) == 0) kind = keywords[i].kind;
    lexer_token(lexer, kind);
}

void lexer_number(Lexer *lexer, const char *text, bool malformed)
{
    lexer_token(lexer, GM_TOKEN_NUMBER);
    if (!lexer->diags) return;
    if (malformed) {
        Diagnostic *d = diag_error(lexer->diags, GM004, here(lexer), "`%.40s` is not a number", text);
        size_t digits = strspn(text, "0123456789.");
        if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) diag_help(d, "numbers are decimal");
        else if (strspn(text, "0123456789.eE") == strlen(text)) diag_help(d, "an exponent needs digits: 1e-5");
        else diag_help(d, "a product is written with *: %.*s * %.40s; in a path a string spells any name", (int)digits, text, text + digits);
    } else if (!isfinite(strtod(text, NULL))) {
        diag_error(lexer->diags, GM004, here(lexer), "this number is too large for double precision");
    }
}

void lexer_string(Lexer *lexer, const char *text, size_t length, bool closed)
{
    lexer_token(lexer, GM_TOKEN_STRING);
    lexer->stray = !closed;
    if (!lexer->diags) return;
    if (!closed) diag_help(diag_error(lexer->diags, GM003, here(lexer), "this string is not closed on its line"), "end it with \"");
    for (size_t i = 1; i + 1 < length; i++) {
        if (text[i] != '\\') continue;
        if (!strchr("\\\"nt", text[i + 1])) {
            Place place = {lexer->source, lexer->begin + i, lexer->begin + i + 2};
            diag_help(diag_error(lexer->diags, GM005, place, "unknown escape in a string"), "a backslash itself is written \\\\");
        }
        i++;
    }
}

void lexer_stray(Lexer *lexer, const char *text)
{
    static const struct {
        const char *text, *help;
    } hints[] = {
        {";", "statements need no separator"},      {"'", "strings stand in double quotes"},   {"^", "a power is pow(x, y); a square x * x"},
        {"&", "the logical and is &&"},             {"|", "the logical or is ||, a chain |>"}, {"?", "a choice is where(condition, then, else)"},
        {"\\", "a statement goes on over line ends by itself"}, {"×", "a product is written with *"}, {"·", "a product is written with *"},
        {"−", "minus is the ASCII -"},              {"–", "minus is the ASCII -"},             {"≤", "less or equal is <="},
        {"≥", "greater or equal is >="},            {"≠", "not equal is !="},                  {"→", "an arrow is ->"},
        {"“", "strings stand in straight quotes"},  {"”", "strings stand in straight quotes"}, {"…", "any axes are written .."},
        {"Σ", "a sum is sum[j](...)"},              {"∑", "a sum is sum[j](...)"},
    };
    bool repeated = lexer->stray_line;
    lexer->stray = lexer->stray_line = true;
    if (!lexer->diags || repeated) return;
    unsigned char c = (unsigned char)text[0];
    Diagnostic *d = c < 0x20 || c == 0x7F ? diag_error(lexer->diags, GM002, here(lexer), "stray control character 0x%02X", c)
                                          : diag_error(lexer->diags, GM002, here(lexer), "stray character `%.40s`", text);
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (strcmp(hints[i].text, text) == 0) diag_help(d, "%s", hints[i].help);
}

/* The first byte that is NUL or no UTF-8, or the size. */
static size_t first_bad_byte(const unsigned char *s, size_t size)
{
    size_t i = 0;
    while (i < size) {
        unsigned char c = s[i];
        int more = c < 0x80 ? 0 : c >= 0xC2 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xF0 && c < 0xF5 ? 3 : -1;
        if (c == 0 || more < 0 || (size_t)more >= size - i) return i;
        for (int k = 1; k <= more; k++)
            if ((s[i + (size_t)k] & 0xC0) != 0x80) return i;
        if ((c == 0xE0 && s[i + 1] < 0xA0) || (c == 0xED && s[i + 1] >= 0xA0) || (c == 0xF0 && s[i + 1] < 0x90) || (c == 0xF4 && s[i + 1] >= 0x90))
            return i;
        i += (size_t)more + 1;
    }
    return size;
}

static bool check_nesting(const Source *source, const TokenList *list, Diagnostics *diags)
{
    int depth = 0;
    for (int i = 0; i < list->tokens.count; i++) {
        const Token *token = &list->tokens.data[i];
        if (token->kind == '(' || token->kind == '[' || token->kind == '{') depth++;
        if ((token->kind == ')' || token->kind == ']' || token->kind == '}') && depth > 0) depth--;
        if (depth <= AST_DEEPEST_BRACKETS) continue;
        if (diags) diag_error(diags, GM006, (Place){source, token->begin, token->end}, "brackets nest deeper than %d levels", AST_DEEPEST_BRACKETS);
        return false;
    }
    return true;
}

bool tokens_scan(Arena *arena, const Source *source, Diagnostics *diags, TokenList *out)
{
    *out = (TokenList){0};
    if (source->size > AST_LARGEST_SOURCE) {
        if (diags) diag_error(diags, GM008, (Place){source, 0, 0}, "the file has %zu bytes; at most %d are read", source->size, AST_LARGEST_SOURCE);
        return false;
    }
    size_t bad = first_bad_byte((const unsigned char *)source->text, source->size);
    if (bad < source->size) {
        unsigned char c = (unsigned char)source->text[bad];
        Place place = {source, bad, bad + 1};
        if (diags && c == 0) diag_error(diags, GM007, place, "a NUL byte: this is no text");
        else if (diags) diag_error(diags, GM007, place, "byte 0x%02X is not UTF-8", c);
        return false;
    }
    Lexer lexer = {.arena = arena, .source = source, .diags = diags, .out = out, .fresh_line = true};
    if (source->size >= 3 && memcmp(source->text, "\xEF\xBB\xBF", 3) == 0) lexer.end = 3; /* a byte order mark */
    lexer_run(&lexer);
    return check_nesting(source, out, diags);
}
