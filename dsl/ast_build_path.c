/* Constructors of paths, bind lines and declarations. In: what the parser's actions pass.  Out: nodes, and the file's list. */
#include "dsl/ast_build.h"

#include <string.h>

/* Adds the words of "a.b.0" as one component each. `offset`: where text[0] stands in the source, when the text stands there as it is. */
static void add_parts(ParseState *state, AstPath *path, const char *text, bool quoted, Place place)
{
    bool exact = !quoted && place.end - place.begin == strlen(text);
    for (const char *word = text; *word;) {
        size_t length = strcspn(word, ".");
        Place part = place;
        if (exact) {
            part.begin = place.begin + (size_t)(word - text);
            part.end = part.begin + length;
        }
        if (length) list_push(state->arena, &path->parts, (AstPathPart){arena_strndup(state->arena, word, length), NULL, quoted, part});
        word += length;
        if (*word == '.') word++;
    }
}

static void add_index(ParseState *state, AstPath *path, const ExprList *dims, Place place)
{
    if (dims->count == 1 && dims->data[0]->kind != AST_DOTS) {
        list_push(state->arena, &path->parts, (AstPathPart){NULL, dims->data[0], false, place});
        return;
    }
    Diagnostic *d = diag_error(state->diags, GM010, place, dims->count == 1 ? "`..` in a path" : "%d indices in one bracket of a path", dims->count);
    diag_help(d, "each level of a path has one index: blocks[i][j]");
}

static void path_fill(ParseState *state, AstPath *path, const char *head, bool quoted, Place head_place, const PieceList *pieces, int piece_count)
{
    add_parts(state, path, quoted ? ast_unquote(state->arena, head) : head, quoted, head_place);
    for (int i = 0; i < piece_count; i++) {
        const Piece *piece = &pieces->data[i];
        if (piece->tail) add_parts(state, path, piece->tail, false, piece->place);
        else add_index(state, path, piece->dims, piece->place);
    }
}

AstPath *ast_path(ParseState *state, const char *head, bool quoted, Place head_place, PieceList *pieces, Place place)
{
    AstPath *path = arena_new_object(state->arena, AstPath);
    path->place = place;
    path_fill(state, path, head, quoted, head_place, pieces, pieces ? pieces->count : 0);
    if (path->parts.count == 0) diag_help(diag_error(state->diags, GM010, place, "an empty path"), "`@ .` adds no level");
    return path;
}

AstPath *ast_path_here(ParseState *state, Place place)
{
    AstPath *path = arena_new_object(state->arena, AstPath);
    path->here = true;
    path->place = place;
    return path;
}

AstPath *ast_path_shared(AstPath *path, Place place)
{
    path->shared = true;
    path->place = place;
    return path;
}

static AstBindLine *line_new(ParseState *state, AstBindKind kind, Place place)
{
    AstBindLine *line = arena_new_object(state->arena, AstBindLine);
    line->kind = kind;
    line->place = place;
    line->path.place = place;
    return line;
}

/* "*" and "blocks.0.*" in quotes on the left mean the same as without. */
static bool quoted_subtree(ParseState *state, AstBindLine *line, const AstExpr *left, const PieceList *pieces, const AstExpr *value)
{
    size_t length = strlen(left->text);
    bool all = strcmp(left->text, "*") == 0, below = length > 2 && strcmp(left->text + length - 2, ".*") == 0;
    if (left->kind != AST_STRING || pieces || (!all && !below)) return false;
    if (value->kind != AST_STRING) {
        diag_help(diag_error(state->diags, GM010, value->place, "a whole subtree is not computed"), "name where it stands: \"*\" = \"params/*\"");
        return true;
    }
    line->kind = BIND_SUBTREE;
    line->pattern = value->text;
    line->path.place = left->place;
    if (below) add_parts(state, &line->path, arena_strndup(state->arena, left->text, length - 2), true, left->place);
    return true;
}

AstBindLine *ast_bind_tensor(ParseState *state, AstExpr *left, PieceList *pieces, AstExpr *value, BoundList *bounds, Place place)
{
    AstBindLine *line = line_new(state, BIND_TENSOR, place);
    if (quoted_subtree(state, line, left, pieces, value)) return line;
    int count = pieces ? pieces->count : 0;
    const Piece *last = count ? &pieces->data[count - 1] : NULL;
    if (last && !last->tail && value->kind != AST_STRING) {
        line->subscripted = true;
        line->subscripts.data = last->dims->data;
        line->subscripts.count = last->dims->count;
        line->subscripts.capacity = last->dims->capacity;
        count--;
    }
    line->path.place = left->place;
    if (count) line->path.place.end = pieces->data[count - 1].place.end;
    if (left->kind == AST_STRING) add_parts(state, &line->path, left->text, true, left->place);
    else add_parts(state, &line->path, left->text, false, left->place);
    if (count) path_fill(state, &line->path, "", false, left->place, pieces, count);
    line->value = value;
    if (bounds) {
        line->bounds.data = bounds->data;
        line->bounds.count = bounds->count;
        line->bounds.capacity = bounds->capacity;
    }
    return line;
}

AstBindLine *ast_bind_subtree(ParseState *state, AstExpr *left, PieceList *pieces, const char *pattern, Place place)
{
    AstBindLine *line = line_new(state, BIND_SUBTREE, place);
    line->path.place = left->place;
    if (pieces) line->path.place.end = pieces->data[pieces->count - 1].place.end;
    add_parts(state, &line->path, left->text, left->kind == AST_STRING, left->place);
    if (pieces) path_fill(state, &line->path, "", false, left->place, pieces, pieces->count);
    line->pattern = ast_unquote(state->arena, pattern);
    return line;
}

AstBindLine *ast_bind_ignore(ParseState *state, WordList *globs, Place place)
{
    AstBindLine *line = line_new(state, BIND_IGNORE, place);
    for (int i = 0; i < globs->count; i++) {
        const char *glob = ast_unquote(state->arena, globs->data[i].text);
        list_push(state->arena, &line->globs, glob);
    }
    return line;
}

AstBindLine *ast_bind_if(ParseState *state, AstExpr *condition, LineList *lines, Place place)
{
    AstBindLine *line = line_new(state, BIND_IF, place);
    line->condition = condition;
    for (int i = 0; lines && i < lines->count; i++) list_push(state->arena, &line->lines, lines->data[i]);
    return line;
}

/* The ## lines that end on the line before `begin`, without their marks. */
static const char *doc_before(ParseState *state, size_t begin)
{
    const char *text = state->source->text;
    int low = 0, high = state->words->comments.count; /* the first comment at or after begin */
    while (low < high) {
        int middle = (low + high) / 2;
        if (state->words->comments.data[middle].begin < begin) low = middle + 1;
        else high = middle;
    }
    int first = low;
    for (size_t stop = begin; first > 0; first--) {
        Place comment = state->words->comments.data[first - 1];
        int line_ends = 0;
        bool only_space = true;
        for (size_t i = comment.end; i < stop; i++) {
            if (text[i] == '\n') line_ends++;
            else if (!strchr(" \t\r", text[i])) only_space = false;
        }
        size_t before = comment.begin;
        while (before > 0 && strchr(" \t\r", text[before - 1])) before--;
        bool alone = before == 0 || text[before - 1] == '\n';
        if (!only_space || line_ends != 1 || !alone || strncmp(text + comment.begin, "##", 2) != 0) break;
        stop = comment.begin;
    }
    if (first == low) return NULL;
    Text doc = text_new(state->arena);
    for (int i = first; i < low; i++) {
        Place comment = state->words->comments.data[i];
        size_t from = comment.begin + 2, to = comment.end;
        if (from < to && text[from] == ' ') from++;
        while (to > from && strchr(" \t", text[to - 1])) to--;
        if (i > first) text_add(&doc, "\n");
        text_add_bytes(&doc, text + from, to - from);
    }
    return text_string(&doc);
}

static AstDeclaration *declare(ParseState *state, AstDeclarationKind kind, Place place)
{
    AstDeclaration *declaration = arena_new_object(state->arena, AstDeclaration);
    declaration->kind = kind;
    declaration->place = place;
    declaration->doc = doc_before(state, place.begin);
    list_push(state->arena, &state->file->declarations, declaration);
    return declaration;
}

void ast_declare_import(ParseState *state, const char *written, Place place)
{
    declare(state, DECLARE_IMPORT, place)->import = ast_unquote(state->arena, written);
}

void ast_declare_const(ParseState *state, AstAssignment *constant, Place place)
{
    declare(state, DECLARE_CONST, place)->constant = *constant;
}

void ast_declare_callable(ParseState *state, AstCallable *callable, Place place)
{
    declare(state, DECLARE_CALLABLE, place)->callable = callable;
}

void ast_declare_bind(ParseState *state, const char *name, Place name_place, const char *target, Place target_place, LineList *lines, Place place)
{
    AstBind *bind = arena_new_object(state->arena, AstBind);
    bind->name = name;
    bind->name_place = name_place;
    bind->target = target;
    bind->target_place = target_place;
    bind->place = place;
    for (int i = 0; lines && i < lines->count; i++) list_push(state->arena, &bind->lines, lines->data[i]);
    declare(state, DECLARE_BIND, place)->bind = bind;
}
