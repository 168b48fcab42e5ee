/* `gmlpc fmt`: the words of a source with canonical white space between them.
 * In: a tree without syntax errors.  Out: text of the same tokens and comments, which is checked before it is returned.
 * The tree says only where statements begin; everything else follows from the tokens, so that nothing can be lost. Line breaks inside a
 * statement are the writer's: they stay, with the indentation that their brackets ask for. */
#include "dsl/format.h"

#include "dsl/ast_build.h"
#include "dsl/format_align.h"
#include "dsl/tokens.h"
#include "parser.h"
#include "support/bug.h"
#include "support/text.h"

#include <stdlib.h>
#include <string.h>

enum { STEP = 2, CONTINUED = 4, WIDTH = 100 };

typedef struct {
    int column;      /* of the bracket in the output */
    int line_indent; /* of the line it stands on */
    bool hanging;    /* the last word of its line */
} OpenBracket;

typedef struct {
    Arena *arena;
    const Source *source;
    const Token *tokens;
    int count;
    LIST(Place) comments;
    LIST(size_t) starts;   /* where statements, declarations and bind lines begin */
    bool *starts_here;     /* for each token */
    bool *in_line;         /* for each brace: its body stays on one line */
    bool *unary;           /* for each token: a sign before its operand */
    bool *inside;          /* for each token: in the brackets of a tensor, where products may be written without spaces */
    bool *in_path_word;    /* for each token: a keyword or dot that is part of a path */
    Text out;
    int column;            /* of the next byte of the output */
    int indent;            /* of the current output line */
    int depth;             /* open bodies that are not in line */
    LIST(OpenBracket) open;
    int next_comment;
    size_t last_end;       /* end of the last word or comment written, in the source */
    bool after_comment, at_begin, after_brace;
    AlignLines lines;      /* of the output */
    int line_brackets;     /* open brackets and braces of the current line */
} Formatter;

/* ---- what the tree tells: where statements begin ---- */

static void add_start(Formatter *f, Place place)
{
    list_push(f->arena, &f->starts, place.begin);
}

static void add_body(Formatter *f, const AstBody *body, bool else_if)
{
    for (int i = 0; i < body->count; i++) {
        const AstStatement *statement = body->data[i];
        if (!else_if) add_start(f, statement->place);
        add_body(f, &statement->body, false);
        add_body(f, &statement->else_body, statement->else_if);
    }
}

static void add_line_start(Formatter *f, const AstBindLine *line)
{
    add_start(f, line->place);
    for (int i = 0; i < line->lines.count; i++) add_line_start(f, line->lines.data[i]);
}

static int compare_offsets(const void *a, const void *b)
{
    const size_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void find_starts(Formatter *f, const AstFile *file)
{
    for (int i = 0; i < file->declarations.count; i++) {
        const AstDeclaration *declaration = file->declarations.data[i];
        add_start(f, declaration->place);
        if (declaration->callable) add_body(f, &declaration->callable->body, false);
        if (declaration->bind)
            for (int k = 0; k < declaration->bind->lines.count; k++) add_line_start(f, declaration->bind->lines.data[k]);
    }
    if (f->starts.count) qsort(f->starts.data, (size_t)f->starts.count, sizeof *f->starts.data, compare_offsets);
    for (int i = 0, k = 0; i < f->count; i++) {
        while (k < f->starts.count && f->starts.data[k] < f->tokens[i].begin) k++;
        f->starts_here[i] = k < f->starts.count && f->starts.data[k] == f->tokens[i].begin;
    }
}

/* ---- what the tokens tell ---- */

static bool ends_operand(const Formatter *f, int i)
{
    switch (f->tokens[i].kind) {
    case GM_TOKEN_NAME:
    case GM_TOKEN_DOTTED:
    case GM_TOKEN_TAIL:
    case GM_TOKEN_NUMBER:
    case GM_TOKEN_STRING:
    case GM_TOKEN_TRUE:
    case GM_TOKEN_FALSE:
    case ')':
    case ']': return true;
    default: return f->in_path_word[i];
    }
}

/* A list stands where an operand is awaited; the brackets of a tensor or path follow its name, those of a result follow `->`. */
static bool tensor_bracket(const Formatter *f, int i)
{
    return i > 0 && (ends_operand(f, i - 1) || f->tokens[i - 1].kind == GM_TOKEN_ARROW);
}

static void classify(Formatter *f)
{
    bool stack[AST_DEEPEST_BRACKETS + 2] = {false};
    int depth = 0;
    bool bounds = false;
    for (int i = 0; i < f->count; i++) {
        int kind = f->tokens[i].kind, before = i ? f->tokens[i - 1].kind : 0;
        f->in_path_word[i] = i && (before == '@' || (before == GM_TOKEN_SHARED && i > 1 && f->tokens[i - 2].kind == '@')) &&
                             (kind == '.' || token_is_keyword(kind)) && !(kind == GM_TOKEN_SHARED && before == '@');
        f->unary[i] = (kind == '-' || kind == '!') && (i == 0 || !ends_operand(f, i - 1));
        if (f->starts_here[i] || kind == '{') bounds = false;
        if (kind == GM_TOKEN_FOR && !f->in_path_word[i]) bounds = true;
        if (kind == '(' || kind == '[') {
            bool inherited = depth > 0 && stack[depth];
            if (depth <= AST_DEEPEST_BRACKETS) depth++;
            stack[depth] = inherited || (kind == '[' && tensor_bracket(f, i));
        }
        f->inside[i] = stack[depth] || bounds;
        if ((kind == ')' || kind == ']') && depth > 0) depth--;
    }
}

static bool line_end_between(const Formatter *f, size_t from, size_t to)
{
    return memchr(f->source->text + from, '\n', to - from) != NULL;
}

/* A body stays on one line when it was written so and has one statement at most. */
static void find_lines(Formatter *f)
{
    int stack[AST_DEEPEST_BRACKETS + 2], depth = 0;
    int inner[AST_DEEPEST_BRACKETS + 2] = {0};
    for (int i = 0; i < f->count; i++) {
        if (f->starts_here[i]) inner[depth]++;
        if (f->tokens[i].kind == '{' && depth <= AST_DEEPEST_BRACKETS) {
            stack[++depth] = i;
            inner[depth] = 0;
        }
        if (f->tokens[i].kind == '}' && depth > 0) {
            int open = stack[depth];
            bool short_body = inner[depth] <= 1 && !line_end_between(f, f->tokens[open].begin, f->tokens[i].end);
            bool empty = open + 1 == i && strspn(f->source->text + f->tokens[open].end, " \t\r\n\v\f") >= f->tokens[i].begin - f->tokens[open].end;
            f->in_line[open] = f->in_line[i] = short_body || empty;
            depth--;
        }
    }
    /* A body that is broken breaks the bodies around it. */
    for (int i = 0; i < f->count; i++) {
        if (f->tokens[i].kind != '{') continue;
        int level = 0;
        bool broken = false;
        if (!f->in_line[i]) continue;
        for (int k = i; k < f->count; k++) {
            if (f->tokens[k].kind == '{') {
                level++;
                broken = broken || !f->in_line[k];
            }
            if (f->tokens[k].kind == '}' && --level == 0) {
                if (broken) f->in_line[i] = f->in_line[k] = false;
                break;
            }
        }
    }
}

static bool is_product(int kind)
{
    return kind == '*' || kind == '/' || kind == '%' || kind == GM_TOKEN_FLOOR;
}

static bool touching(const Formatter *f, int i)
{
    return f->tokens[i - 1].end == f->tokens[i].begin;
}

/* Whether a product sign in brackets was written without spaces around it. */
static bool tight_product(const Formatter *f, int i)
{
    return is_product(f->tokens[i].kind) && f->inside[i] && i > 0 && i + 1 < f->count && touching(f, i) && touching(f, i + 1);
}

/* Whether a space stands between token i - 1 and token i of one line. */
static bool space_before(const Formatter *f, int i)
{
    int before = f->tokens[i - 1].kind, kind = f->tokens[i].kind;
    if (kind == ')' || kind == ']' || kind == ',' || kind == ':' || before == '(' || before == '[' || f->unary[i - 1]) return false;
    if (kind == '(') return before != GM_TOKEN_NAME && before != ']' && before != GM_TOKEN_DOTTED;
    if (kind == '[') return !ends_operand(f, i - 1);
    if (kind == GM_TOKEN_TAIL) return before != ']' && !touching(f, i);
    if (kind == '.') return f->in_path_word[i];
    if (before == '.' && kind == '*') return f->in_path_word[i - 1];
    if (tight_product(f, i) || tight_product(f, i - 1)) return false;
    if (before == '{' && kind == '}') return false;
    return true;
}

/* Whether token i begins a line. */
static bool breaks_before(const Formatter *f, int i)
{
    int kind = f->tokens[i].kind, before = i ? f->tokens[i - 1].kind : 0;
    if (i == 0) return true;
    if (f->starts_here[i]) return !(before == '{' && f->in_line[i - 1]);
    if (kind == '}') return !f->in_line[i];
    if (kind == '{' || (kind == GM_TOKEN_ELSE && before == '}')) return false;
    return f->tokens[i].first;
}

/* ---- writing ---- */

static void put(Formatter *f, const char *text, size_t length)
{
    text_add_bytes(&f->out, text, length);
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] & 0xC0) != 0x80) f->column++;
}

static void new_line(Formatter *f, int indent)
{
    if (!f->at_begin) text_add(&f->out, "\n");
    f->at_begin = false;
    f->column = 0;
    f->indent = indent;
    f->line_brackets = 0;
    list_push(f->arena, &f->lines, (AlignLine){.begin = f->out.length, .indent = indent});
    for (int i = 0; i < indent; i++) put(f, " ", 1);
}

/* Keeps one blank line where the writer had some, but none at the edges of a body. */
static void blank_line(Formatter *f, size_t begin)
{
    int line_ends = 0;
    for (size_t i = f->last_end; i < begin; i++) line_ends += f->source->text[i] == '\n';
    if (line_ends > 1 && !f->at_begin && !f->after_brace) text_add(&f->out, "\n");
}

static int continued_indent(const Formatter *f, int kind)
{
    if (f->open.count == 0) return f->depth * STEP + CONTINUED;
    const OpenBracket *open = &f->open.data[f->open.count - 1];
    bool closer = kind == ')' || kind == ']';
    if (!open->hanging) return open->column + 1;
    return closer ? open->line_indent : open->line_indent + CONTINUED;
}

/* The indentation of a line that begins with token i; f->count: the end of the file. */
static int indent_of(const Formatter *f, int i)
{
    if (i >= f->count || f->starts_here[i]) return f->depth * STEP;
    if (f->tokens[i].kind == '}' && !f->in_line[i]) return (f->depth - 1) * STEP;
    if (f->tokens[i].kind == GM_TOKEN_ELSE && i && f->tokens[i - 1].kind == '}') return f->depth * STEP;
    return continued_indent(f, f->tokens[i].kind);
}

/* Notes a separator that stands next in the output. `usual`: the spaces that it has anyway. */
static void note_separator(Formatter *f, AlignKind kind, size_t begin, int usual)
{
    if (f->lines.count == 0) return;
    AlignLine *line = &f->lines.data[f->lines.count - 1];
    if (line->at[kind]) return;
    line->at[kind] = f->out.length;
    line->wide[kind] = begin - f->last_end > (size_t)usual;
}

/* Writes the comments that stand before token i (f->count: the rest). */
static void put_comments(Formatter *f, int i)
{
    size_t limit = i < f->count ? f->tokens[i].begin : f->source->size + 1;
    for (; f->next_comment < f->comments.count && f->comments.data[f->next_comment].begin < limit; f->next_comment++) {
        Place comment = f->comments.data[f->next_comment];
        const char *text = f->source->text + comment.begin;
        size_t length = comment.end - comment.begin;
        while (length > 0 && strchr(" \t\v\f", text[length - 1])) length--;
        bool trailing = !f->at_begin && !f->after_comment && !line_end_between(f, f->last_end, comment.begin);
        if (trailing) {
            put(f, "  ", 2);
            note_separator(f, ALIGN_COMMENT, comment.begin, 2);
        } else {
            bool between = i >= f->count || f->starts_here[i] || f->tokens[i].kind == '}';
            if (between) blank_line(f, comment.begin);
            bool in_body = i < f->count && f->tokens[i].kind == '}';
            if (f->open.count && !f->after_comment) f->open.data[f->open.count - 1].hanging |= f->source->text[f->last_end - 1] == '(' || f->source->text[f->last_end - 1] == '[';
            new_line(f, in_body ? f->depth * STEP : indent_of(f, i));
        }
        put(f, text, length);
        f->last_end = comment.end;
        f->after_comment = true;
        f->after_brace = false;
    }
}

/* The width of the output line that token i begins, at the given column, and the `for` of an equation on it. */
static int measure(const Formatter *f, int i, int column, int *bounds)
{
    int first = i, braces = 0;
    *bounds = -1;
    for (; i < f->count && (i == first || !breaks_before(f, i)); i++) {
        if (i > first) column += space_before(f, i);
        for (size_t at = f->tokens[i].begin; at < f->tokens[i].end; at++) column += ((unsigned char)f->source->text[at] & 0xC0) != 0x80;
        if (f->tokens[i].kind == '{') braces++;
        bool header = i > 1 && f->tokens[i - 2].kind == GM_TOKEN_BIND;
        if (f->tokens[i].kind == GM_TOKEN_FOR && i > first && !f->in_path_word[i] && !braces && !header) *bounds = i;
        bool comment_next = f->next_comment < f->comments.count && i + 1 < f->count && f->comments.data[f->next_comment].begin < f->tokens[i + 1].begin;
        if (comment_next) break;
    }
    return column;
}

static void note_bracket(Formatter *f, int i)
{
    int kind = f->tokens[i].kind;
    if (f->starts_here[i]) f->open.count = 0;
    if (kind == '(' || kind == '[') {
        bool hanging = i + 1 < f->count && breaks_before(f, i + 1);
        list_push(f->arena, &f->open, (OpenBracket){f->column, f->indent, hanging});
    }
    if ((kind == ')' || kind == ']') && f->open.count) f->open.count--;
    if (kind == '{') {
        f->open.count = 0;
        if (!f->in_line[i]) f->depth++;
    }
    if (kind == '}' && !f->in_line[i]) f->depth--;
}

/* The separators of a statement that may stand in a column: outside brackets and bodies. */
static void note_token(Formatter *f, int i)
{
    int kind = f->tokens[i].kind;
    if (f->line_brackets == 0 && kind == '=') note_separator(f, ALIGN_EQUALS, f->tokens[i].begin, 1);
    if (f->line_brackets == 0 && kind == '~') note_separator(f, ALIGN_INITIAL, f->tokens[i].begin, 1);
    if (f->line_brackets == 0 && kind == GM_TOKEN_FOR && !f->in_path_word[i]) note_separator(f, ALIGN_BOUNDS, f->tokens[i].begin, 1);
    if (kind == '(' || kind == '[' || kind == '{') f->line_brackets++;
    if (kind == ')' || kind == ']' || kind == '}') f->line_brackets--;
}

/* A line stands alone when it begins a statement, and so does what follows it; a line that goes on takes no part. */
static void finish_line(Formatter *f, bool goes_on)
{
    if (f->lines.count == 0 || !goes_on) return;
    AlignLine *line = &f->lines.data[f->lines.count - 1];
    for (int k = 0; k < ALIGN_COMMENT; k++) line->at[k] = 0;
}

static void put_tokens(Formatter *f)
{
    int wrap = -1;
    for (int i = 0; i < f->count; i++) {
        const Token *token = &f->tokens[i];
        put_comments(f, i);
        bool in_one = i && f->tokens[i - 1].kind == '{' && f->in_line[i - 1];
        if (f->starts_here[i] || breaks_before(f, i) || f->after_comment || i == wrap) {
            bool joined = in_one && !f->after_comment;
            if (joined) {
                put(f, " ", 1);
            } else {
                size_t length = f->out.length;
                bool goes_on = !f->starts_here[i] && token->kind != '}';
                if (f->starts_here[i]) blank_line(f, token->begin);
                if (f->starts_here[i]) f->open.count = 0;
                finish_line(f, goes_on);
                bool adjacent = f->out.length == length;
                new_line(f, indent_of(f, i));
                f->lines.data[f->lines.count - 1].alone = adjacent && f->starts_here[i];
                f->line_brackets = goes_on ? 1 : 0;
                wrap = measure(f, i, f->column, &wrap) > WIDTH ? wrap : -1;
            }
        } else if (space_before(f, i)) {
            put(f, " ", 1);
        }
        note_bracket(f, i);
        note_token(f, i);
        put(f, f->source->text + token->begin, token->end - token->begin);
        f->last_end = token->end;
        f->after_comment = false;
        f->after_brace = token->kind == '{';
    }
    put_comments(f, f->count);
    if (!f->at_begin) text_add(&f->out, "\n");
}

/* The same words and comments in the same order: a formatter that fails this must not touch a file. */
static void check_kept(const Formatter *f)
{
    const char *text = text_string(&f->out);
    TokenList again;
    Source *source = source_new(f->arena, f->source->name, text, f->out.length, false);
    bool same = tokens_scan(f->arena, source, NULL, &again) && again.tokens.count == f->count && again.comments.count == f->comments.count;
    for (int i = 0; same && i < f->count; i++) {
        const Token *a = &f->tokens[i], *b = &again.tokens.data[i];
        same = a->kind == b->kind && a->end - a->begin == b->end - b->begin &&
               memcmp(f->source->text + a->begin, text + b->begin, a->end - a->begin) == 0;
    }
    for (int i = 0; same && i < f->comments.count; i++) {
        Place a = f->comments.data[i], b = again.comments.data[i];
        same = b.end - b.begin <= a.end - a.begin && memcmp(f->source->text + a.begin, text + b.begin, b.end - b.begin) == 0;
    }
    if (!same) bug("the formatter changed the words of %s", f->source->name);
}

char *ast_format(Arena *arena, const AstFile *file)
{
    TokenList words;
    if (!tokens_scan(arena, file->source, NULL, &words)) bug("the formatter got a text that does not scan");
    Formatter f = {.arena = arena, .source = file->source, .tokens = words.tokens.data, .count = words.tokens.count, .at_begin = true};
    f.comments.data = words.comments.data;
    f.comments.count = words.comments.count;
    f.starts_here = arena_new_array(arena, bool, f.count + 1);
    f.in_line = arena_new_array(arena, bool, f.count + 1);
    f.unary = arena_new_array(arena, bool, f.count + 1);
    f.inside = arena_new_array(arena, bool, f.count + 1);
    f.in_path_word = arena_new_array(arena, bool, f.count + 1);
    f.out = text_new(arena);
    find_starts(&f, file);
    classify(&f);
    find_lines(&f);
    put_tokens(&f);
    f.out = align_lines(arena, &f.out, &f.lines);
    check_kept(&f);
    return arena_strndup(arena, text_string(&f.out), f.out.length);
}
