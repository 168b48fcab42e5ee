/* The way from a source to its tree: scan, then feed the parser; after a syntax error find where to go on.
 * In: a source.  Out: an AstFile or one expression, and diagnostics.  Leaves to others: the wording of syntax errors (syntax_error.c). */
#include "dsl/ast_build.h"
#include "parser.h"

#include <string.h>

enum { MOST_SYNTAX_ERRORS = 20 };

static const Token *token_at(const ParseState *state, int i)
{
    return i >= 0 && i < state->words->tokens.count ? &state->words->tokens.data[i] : NULL;
}

static bool kind_at(const ParseState *state, int i, int kind)
{
    const Token *token = token_at(state, i);
    return token && token->kind == kind;
}

/* A declaration that begins a line. */
static bool declaration_begins(const ParseState *state, int i)
{
    const Token *token = token_at(state, i);
    if (!token || !token->first) return false;
    switch (token->kind) {
    case GM_TOKEN_IMPORT: return kind_at(state, i + 1, GM_TOKEN_STRING);
    case GM_TOKEN_BLOCK:
    case GM_TOKEN_MODEL: return kind_at(state, i + 1, GM_TOKEN_NAME) && kind_at(state, i + 2, '(');
    case GM_TOKEN_BIND: return kind_at(state, i + 1, GM_TOKEN_NAME) && kind_at(state, i + 2, GM_TOKEN_FOR);
    default: return false;
    }
}

/* A line with an `=` outside brackets, or one that begins with a keyword of a statement. */
static bool statement_begins(const ParseState *state, int i)
{
    const Token *token = token_at(state, i);
    if (!token || !token->first) return false;
    switch (token->kind) {
    case GM_TOKEN_INPUT:
    case GM_TOKEN_OUTPUT:
    case GM_TOKEN_PARAM:
    case GM_TOKEN_CONST:
    case GM_TOKEN_RETURN:
    case GM_TOKEN_REPEAT:
    case GM_TOKEN_IF:
    case GM_TOKEN_IGNORE: return true;
    case GM_TOKEN_NAME:
    case GM_TOKEN_DOTTED:
    case GM_TOKEN_STRING: break;
    default: return false;
    }
    int depth = 0;
    for (int j = i + 1; (token = token_at(state, j)) && !token->first; j++) {
        if (token->kind == '(' || token->kind == '[') depth++;
        if ((token->kind == ')' || token->kind == ']') && --depth < 0) return false;
        if (token->kind == '=' && depth == 0) return true;
    }
    return false;
}

/* Where to go on after an error at token `from`: the next statement of this body, its end, or the next declaration. */
static int find_resume(ParseState *state, int from)
{
    int depth = 0, i = from;
    if (i <= state->last_resume) i = state->last_resume + 1;
    for (; i < state->words->tokens.count; i++) {
        int kind = state->words->tokens.data[i].kind;
        if (declaration_begins(state, i)) {
            state->closing = state->braces;
            return i;
        }
        if (state->braces == 0) {
            if (kind == GM_TOKEN_CONST && depth == 0 && token_at(state, i)->first) return i;
        } else if (depth == 0 && (kind == '}' || statement_begins(state, i))) {
            return i;
        }
        if (kind == '{') depth++;
        if (kind == '}' && depth > 0) depth--;
    }
    return i;
}

/* What the parser gets from its token source. */
int gm_lex(union GM_STYPE *value, Place *place, ParseState *state)
{
    size_t end = state->words->tokens.count ? state->words->tokens.data[state->words->tokens.count - 1].end : 0;
    *place = (Place){state->source, end, end};
    value->text = NULL;
    if (state->stopped) return GM_TOKEN_END;
    if (state->start) {
        int start = state->start;
        state->start = 0;
        *place = (Place){state->source, 0, 0};
        return start;
    }
    if (state->panic) {
        state->panic = false;
        state->next = state->last_resume = find_resume(state, state->resume);
        return GM_TOKEN_SYNC;
    }
    if (state->closing > 0) {
        state->closing--;
        state->braces--;
        return '}';
    }
    const Token *token = token_at(state, state->next);
    if (!token) return GM_TOKEN_END;
    state->next++;
    *place = (Place){state->source, token->begin, token->end};
    if (token->kind == '{') state->braces++;
    if (token->kind == '}' && state->braces > 0) state->braces--;
    if (token->kind > 255) value->text = token_text(state->arena, state->source, token);
    return token->kind;
}

/* Called by the parser on an error at the token it got last; syntax_error.c words it. */
void parse_recover(ParseState *state)
{
    state->panic = true;
    state->resume = state->next > 0 ? state->next - 1 : 0;
    if (state->resume_back) state->resume--;
    state->resume_back = false;
    /* The offending token is read again, so its brace is not yet counted. */
    if (kind_at(state, state->resume, '{') && state->braces > 0) state->braces--;
    else if (kind_at(state, state->resume, '}')) state->braces++;
    if (++state->errors >= MOST_SYNTAX_ERRORS) state->stopped = true;
}

static ParseState state_new(Arena *arena, Source *source, Diagnostics *diags, const TokenList *words)
{
    ParseState state = {.arena = arena, .source = source, .diags = diags, .words = words, .last_resume = -1};
    state.file = arena_new_object(arena, AstFile);
    state.file->source = source;
    return state;
}

AstFile *ast_parse(Arena *arena, Source *source, struct Diagnostics *diags)
{
    TokenList words;
    if (!tokens_scan(arena, source, diags, &words)) return NULL;
    ParseState state = state_new(arena, source, diags, &words);
    gm_parse(&state);
    state.file->comments.data = words.comments.data;
    state.file->comments.count = words.comments.count;
    state.file->comments.capacity = words.comments.capacity;
    return state.file;
}

AstExpr *ast_parse_expression(Arena *arena, Source *source, struct Diagnostics *diags)
{
    TokenList words;
    int before = diags->error_count;
    if (!tokens_scan(arena, source, diags, &words)) return NULL;
    ParseState state = state_new(arena, source, diags, &words);
    state.start = GM_TOKEN_ONE_EXPRESSION;
    gm_parse(&state);
    return diags->error_count == before ? state.expression : NULL;
}
