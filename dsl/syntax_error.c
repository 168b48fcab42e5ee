/* What a syntax error says: what was found, what could stand there, which bracket is open, what was probably meant.
 * In: the parser's expected tokens.  Out: one diagnostic.  Leaves to others: where parsing goes on (parse.c). */
#include "dsl/ast_build.h"
#include "parser.h"

#include <string.h>

void parse_recover(ParseState *state);

/* The parser's names of what it expected, struck off as they are gathered into words. */
typedef struct {
    const char *names[80];
    int count;
} Expected;

static bool expects(const Expected *set, const char *name)
{
    for (int i = 0; i < set->count; i++)
        if (set->names[i] && strcmp(set->names[i], name) == 0) return true;
    return false;
}

static void strike(Expected *set, const char *const *names)
{
    for (; *names; names++)
        for (int i = 0; i < set->count; i++)
            if (set->names[i] && strcmp(set->names[i], *names) == 0) set->names[i] = NULL;
}
#define STRIKE(set, ...) strike((set), (const char *const[]){__VA_ARGS__, NULL})

typedef struct {
    const char *words[8];
    int count;
} Wanted;

static void want(Wanted *wanted, const char *word)
{
    if (wanted->count < 8) wanted->words[wanted->count++] = word;
}

/* `'('` → "`(`", "name" → "a name". */
static const char *token_words(Arena *arena, const char *name)
{
    if (name[0] == '\'') return arena_printf(arena, "`%.*s`", (int)strlen(name) - 2, name + 1);
    if (strcmp(name, "end of file") == 0) return "the end of the file";
    if (strcmp(name, "name") == 0 || strcmp(name, "dotted name") == 0 || strcmp(name, "number") == 0 || strcmp(name, "string") == 0 ||
        strcmp(name, "path component") == 0)
        return arena_printf(arena, "a %s", name);
    return arena_printf(arena, "`%s`", name);
}

static void strike_operators(Expected *set)
{
    STRIKE(set, "'+'", "'-'", "'*'", "'/'", "//", "'%'", "'<'", "'>'", "<=", ">=", "==", "!=", "&&", "||", "|>", "'@'", "path component");
}

/* Gathers the expected tokens into words; more than five say nothing. */
static Wanted gather(ParseState *state, Expected set)
{
    Wanted wanted = {0};
    if (expects(&set, "import") && expects(&set, "or")) {
        want(&wanted, "a path");
        STRIKE(&set, "name", "dotted name", "number", "string", "import", "model", "block", "input", "output", "param", "const", "return", "repeat");
        STRIKE(&set, "if", "else", "for", "or", "bind", "ignore", "true", "false", "shared", "'.'");
    }
    if (expects(&set, "block") && expects(&set, "model")) {
        want(&wanted, "a declaration (import, const, block, model, bind)");
        STRIKE(&set, "import", "const", "block", "model", "bind", "end of file", "ONE_EXPRESSION");
    }
    if (expects(&set, "ignore") && expects(&set, "string")) {
        want(&wanted, "a line of the bind");
        STRIKE(&set, "ignore", "if", "name", "dotted name", "string");
    }
    if (expects(&set, "param") && expects(&set, "return")) {
        want(&wanted, "a statement");
        if (expects(&set, "'+'")) STRIKE(&set, "'('", "'['");
        STRIKE(&set, "input", "output", "param", "const", "return", "repeat", "if", "name", "for", "else");
    }
    if (expects(&set, "number") && expects(&set, "'('") && expects(&set, "name")) {
        want(&wanted, "an expression");
        STRIKE(&set, "number", "'('", "'-'", "'!'", "name", "dotted name", "string", "true", "false");
        if (expects(&set, "'['") && !expects(&set, "','")) STRIKE(&set, "'['");
    }
    if (expects(&set, "'+'") && wanted.count == 0) STRIKE(&set, "'('", "'['"); /* the expression could go on */
    Expected all = set;
    strike_operators(&set);
    bool left = false;
    for (int i = 0; i < set.count; i++) left = left || set.names[i];
    if (!left && wanted.count == 0) set = all;
    int rest = 0;
    for (int i = 0; i < set.count; i++) rest += set.names[i] != NULL;
    if (wanted.count + rest > 5) {
        if (wanted.count == 0) return wanted;
        rest = 0;
    }
    for (int i = 0; rest && i < set.count; i++)
        if (set.names[i]) want(&wanted, token_words(state->arena, set.names[i]));
    return wanted;
}

static const char *wanted_text(ParseState *state, const Wanted *wanted)
{
    Text text = text_new(state->arena);
    for (int i = 0; i < wanted->count; i++) {
        if (i) text_add(&text, i + 1 == wanted->count ? " or " : ", ");
        text_add(&text, wanted->words[i]);
    }
    return text_string(&text);
}

static const char *found_text(ParseState *state, const Token *token)
{
    if (!token) return "the end of the file";
    const char *text = token_text(state->arena, state->source, token);
    const char *sort = "";
    if (token->kind == GM_TOKEN_NAME || token->kind == GM_TOKEN_DOTTED) sort = "name ";
    if (token->kind == GM_TOKEN_NUMBER) sort = "number ";
    if (token->kind == GM_TOKEN_STRING) return "a string";
    if (token_is_keyword(token->kind)) sort = "keyword ";
    return arena_printf(state->arena, "%s`%.60s%s`", sort, text, strlen(text) > 60 ? "..." : "");
}

static int opener_of(int kind)
{
    return kind == ')' ? '(' : kind == ']' ? '[' : kind == '}' ? '{' : 0;
}

/* The innermost bracket that is open before token `at`, or NULL. */
static const Token *open_bracket(const ParseState *state, int at)
{
    const Token *stack[AST_DEEPEST_BRACKETS + 1];
    int depth = 0;
    for (int i = 0; i < at && i < state->words->tokens.count; i++) {
        const Token *token = &state->words->tokens.data[i];
        int opener = opener_of(token->kind);
        if (i == state->last_resume) /* what an earlier error left open is forgotten */
            while (depth > 0 && stack[depth - 1]->kind != '{') depth--;
        if ((token->kind == '(' || token->kind == '[' || token->kind == '{') && depth <= AST_DEEPEST_BRACKETS) stack[depth++] = token;
        if (opener && depth > 0) {
            /* A closing brace closes what was forgotten inside it. */
            int match = depth - 1;
            while (match >= 0 && stack[match]->kind != opener) match--;
            if (match >= 0) depth = match;
        }
    }
    return depth ? stack[depth - 1] : NULL;
}

static Place token_place(const ParseState *state, const Token *token)
{
    return (Place){state->source, token->begin, token->end};
}

static bool report_bracket(ParseState *state, Place place, const Token *found, const Token *open)
{
    int opener = found ? opener_of(found->kind) : 0;
    if (opener && (!open || (open->kind == '{' && opener != '{'))) {
        diag_error(state->diags, GM009, place, "`%c` closes nothing", found->kind);
        return true;
    }
    if (opener && open->kind != opener) {
        Diagnostic *d = diag_error(state->diags, GM009, place, "`%c` cannot close `%c`", found->kind, open->kind);
        diag_label(d, token_place(state, open), "this `%c` is still open", open->kind);
        return true;
    }
    bool declaration = found && found->first && open && open->kind == '{' &&
                       (found->kind == GM_TOKEN_BLOCK || found->kind == GM_TOKEN_MODEL || found->kind == GM_TOKEN_BIND || found->kind == GM_TOKEN_IMPORT);
    if (declaration) {
        Diagnostic *d = diag_error(state->diags, GM009, token_place(state, open), "this `{` is not closed before the next declaration");
        diag_label(d, place, "it begins here");
        return true;
    }
    if (!found && open) {
        diag_error(state->diags, GM009, token_place(state, open), "this `%c` is never closed", open->kind);
        return true;
    }
    return false;
}

static bool is_word(const ParseState *state, const Token *token, const char *word)
{
    size_t length = strlen(word);
    return token && token->end - token->begin == length && memcmp(state->source->text + token->begin, word, length) == 0;
}

/* What people bring along from other languages. */
static void add_hints(ParseState *state, Diagnostic *d, const Token *found, const Token *last, const Expected *set)
{
    if (!found) return;
    if (found->kind == GM_TOKEN_FLOOR && (!last || found->first)) diag_help(d, "comments begin with #");
    if (found->kind == '=' && expects(set, "==")) diag_help(d, "equality is ==");
    if (found->kind == '=' && last && token_is_keyword(last->kind)) return;
    if (found->kind == '*' && last && last->kind == '*') diag_help(d, "a power is pow(x, y)");
    const Token *next = found + 1 < state->words->tokens.data + state->words->tokens.count ? found + 1 : NULL;
    if (next && next->kind == '=' && next->begin == found->end && found->kind < 256 && strchr("+-*/%", found->kind)) diag_help(d, "write the name on both sides: x = x + y");
    if (found->kind == GM_TOKEN_OR && !expects(set, "or")) diag_help(d, "the logical or is ||; `or VALUE` stands in the brackets of a read");
    if (is_word(state, found, "and") || is_word(state, last, "and")) diag_help(d, "the logical and is &&");
    if (is_word(state, last, "not")) diag_help(d, "the logical not is !");
    if (is_word(state, found, "elif") || is_word(state, last, "elif")) diag_help(d, "write else if");
    if (found->kind == '@' && expects(set, "'+'"))
        diag_help(d, "`@ path` follows a call; a matrix product is an equation: y[i, m] = sum[k](x[i, k] * w[k, m])");
    if (is_word(state, found, "def") || is_word(state, last, "def") || is_word(state, last, "fn") || is_word(state, last, "function")) diag_help(d, "a function is a block: block f(x[N]) -> [N] {");
    if (is_word(state, last, "let") || is_word(state, last, "var")) diag_help(d, "a name is bound without a keyword: x = ...");
    if (found->kind == GM_TOKEN_TAIL && !expects(set, "path component"))
        diag_help(d, "a number has digits before its point (0.5); a dotted name has no spaces");
    if (found->kind == '.' && last && last->kind == GM_TOKEN_NUMBER) diag_help(d, "a number has digits after its point: 1.0");
    bool relation = found->kind == '<' || found->kind == '>' || found->kind == GM_TOKEN_LE || found->kind == GM_TOKEN_GE;
    if (relation && !expects(set, "'<'") && expects(set, "&&")) diag_help(d, "comparisons do not chain: a < b && b < c");
    if (found->kind == '(' && last && last->kind == GM_TOKEN_NAME && expects(set, "'='") && !expects(set, "'('"))
        diag_help(d, "the result of a call is given a name: y = f(x)");
    if (found->kind == GM_TOKEN_DOTTED && expects(set, "param")) diag_help(d, "a dotted name is declared by `param`; what is computed has a plain name");
}

static bool report_keyword(ParseState *state, const Token *found, const Token *last, const Expected *set)
{
    const Token *keyword = NULL;
    if (found && token_is_keyword(found->kind) && expects(set, "name") && !expects(set, "param")) keyword = found;
    if (found && last && token_is_keyword(last->kind) && (found->kind == '=' || found->kind == '[') && expects(set, "name")) keyword = last;
    if (!keyword || is_word(state, keyword, "or") || (found == keyword && found->first)) return false;
    const char *text = token_text(state->arena, state->source, keyword);
    Diagnostic *d = diag_error(state->diags, GM011, token_place(state, keyword), "`%s` is a keyword and cannot be a name here", text);
    diag_help(d, "another name, for example %s_; only inside paths are keywords ordinary words", text);
    return true;
}

/* "y = x +" and then a new line that begins a statement: the error is noticed at its `=`, but made before. */
static bool report_unfinished(ParseState *state, const Token *found, int at)
{
    const Token *tokens = state->words->tokens.data;
    if (!found || found->kind != '=' || at < 2 || !tokens[at - 1].first) return false;
    const Token *operation = &tokens[at - 2];
    bool waits = operation->kind < 256 ? strchr("+-*/%<>=!,(", operation->kind) != NULL
                                      : operation->kind >= GM_TOKEN_FLOOR && operation->kind <= GM_TOKEN_OROR;
    if (!waits) return false;
    Diagnostic *d = diag_error(state->diags, GM001, token_place(state, operation), "`%s` needs an expression after it",
                               token_text(state->arena, state->source, operation));
    diag_label(d, token_place(state, &tokens[at - 1]), "a new statement begins here");
    state->resume_back = true;
    return true;
}

void parse_report(ParseState *state, Place place, const char *found_name, const char *const *expected, int expected_count)
{
    (void)found_name;
    if (state->stopped) return;
    Expected set = {.count = 0};
    for (int i = 0; i < expected_count && set.count < 80; i++) set.names[set.count++] = expected[i];
    int at = state->next - 1;
    bool ended = state->next >= state->words->tokens.count && place.begin == place.end;
    const Token *found = ended || at < 0 ? NULL : &state->words->tokens.data[at];
    if (ended) at = state->words->tokens.count;
    const Token *last = at > 0 ? &state->words->tokens.data[at - 1] : NULL;
    const Token *open = open_bracket(state, at);
    if ((found && found->after_stray) || (last && last->after_stray)) {
        parse_recover(state); /* the lexer has reported */
        return;
    }
    if (!report_unfinished(state, found, at) && !report_bracket(state, place, found, open) && !report_keyword(state, found, last, &set)) {
        Wanted wanted = gather(state, set);
        const char *wanted_words = wanted_text(state, &wanted), *found_words = found_text(state, found);
        Diagnostic *d = wanted.count ? diag_error(state->diags, GM001, place, "expected %s, found %s", wanted_words, found_words)
                                     : diag_error(state->diags, GM001, place, "unexpected %s", found_words);
        bool closer = open && ((open->kind == '(' && expects(&set, "')'")) || (open->kind == '[' && expects(&set, "']'")));
        if (closer && found && found->first) diag_label(d, token_place(state, open), "this `%c` is open", open->kind);
        add_hints(state, d, found, last, &set);
    }
    parse_recover(state);
}
