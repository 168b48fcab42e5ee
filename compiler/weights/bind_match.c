/* Which line of a bind declaration names a parameter.
 * In: declarations, the paths of parameters.  Out: for each parameter a foreign name or the lines with equations. */
#include "weights/bind.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* --- compile-time values ------------------------------------------------------------------------------------------ */

bool bound_line_lookup(void *context, const char *name, ConstantValue *value)
{
    const BoundLine *line = context;
    for (int i = 0; i < line->variable_count; i++) {
        if (strcmp(line->variables[i].name, name) != 0) continue;
        *value = (ConstantValue){.kind = CONSTANT_NUMBER, .number = (double)line->variables[i].value, .integer = true};
        return true;
    }
    const Frame *frame = line->scope->frame;
    for (int i = 0; i < frame->value_count; i++) {
        if (strcmp(frame->values[i].name, name) != 0) continue;
        double number = frame->values[i].number;
        if (frame->values[i].flag) *value = (ConstantValue){.kind = CONSTANT_FLAG, .flag = number != 0};
        else *value = (ConstantValue){.kind = CONSTANT_NUMBER, .number = number, .integer = number == floor(number)};
        return true;
    }
    return false;
}

static void activate(BindScope *scope, AstBindLine *const *lines, int count, Diagnostics *diags)
{
    BoundLine context = {.scope = scope};
    for (int i = 0; i < count; i++) {
        const AstBindLine *line = lines[i];
        if (!line) continue;
        if (line->kind != BIND_IF) {
            list_push(scope->arena, &scope->lines, line);
            continue;
        }
        ConstantValue value;
        if (!constant_evaluate(scope->arena, line->condition, bound_line_lookup, &context, &value, diags)) continue;
        if (value.kind != CONSTANT_FLAG) diag_error(diags, GM130, line->condition->place, "the condition of an `if` is a flag");
        else if (value.flag) activate(scope, line->lines.data, line->lines.count, diags);
    }
}

static int frame_depth(const Frame *frame)
{
    int depth = 0;
    while (frame->up) {
        frame = frame->up;
        depth++;
    }
    return depth;
}

static bool applies(const Module *module, const AstBind *bind, const Frame *frame)
{
    return strcmp(bind->target, frame->up ? frame->block : module->name) == 0;
}

static bool known_scope(const BindScopes *scopes, const AstBind *bind, const char *prefix)
{
    for (int i = 0; i < scopes->count; i++)
        if (scopes->data[i]->bind == bind && strcmp(scopes->data[i]->prefix, prefix) == 0) return true;
    return false;
}

BindScopes bind_scopes(Arena *arena, const Model *model, const char *name, Diagnostics *diags)
{
    BindScopes scopes = {0};
    for (int f = 0; f < model->module->frames.count; f++) {
        const Frame *frame = model->module->frames.data[f];
        for (int b = 0; b < model->binds.count; b++) {
            const AstBind *bind = model->binds.data[b].bind;
            const char *prefix = frame->path ? frame->path : "";
            if (strcmp(bind->name, name) != 0 || !applies(model->module, bind, frame) || known_scope(&scopes, bind, prefix)) continue;
            BindScope *scope = arena_new_object(arena, BindScope);
            scope->arena = arena;
            scope->bind = bind;
            scope->frame = frame;
            scope->prefix = prefix;
            scope->depth = frame_depth(frame);
            activate(scope, bind->lines.data, bind->lines.count, diags);
            list_push(arena, &scopes, scope);
        }
    }
    /* Outermost first; an insertion sort keeps the order of equals. */
    for (int i = 1; i < scopes.count; i++)
        for (int k = i; k > 0 && scopes.data[k]->depth < scopes.data[k - 1]->depth; k--) {
            BindScope *swap = scopes.data[k];
            scopes.data[k] = scopes.data[k - 1];
            scopes.data[k - 1] = swap;
        }
    return scopes;
}

BindNames bind_names(Arena *arena, const Model *model)
{
    BindNames names = {0};
    Map seen = {0};
    for (int b = 0; b < model->binds.count; b++) {
        const AstBind *bind = model->binds.data[b].bind;
        bool used = false;
        for (int f = 0; f < model->module->frames.count && !used; f++) used = applies(model->module, bind, model->module->frames.data[f]);
        if (!used || map_get(&seen, bind->name)) continue;
        map_put(arena, &seen, bind->name, (void *)bind);
        list_push(arena, &names, bind->name);
    }
    return names;
}

/* --- left sides --------------------------------------------------------------------------------------------------- */

typedef struct {
    LIST(const char *) parts;
    LIST(const char *) rests; /* from each part to the end */
} Path;

static Path split_path(Arena *arena, const char *text)
{
    Path path = {0};
    while (text) {
        const char *dot = strchr(text, '.');
        list_push(arena, &path.rests, text);
        list_push(arena, &path.parts, dot ? arena_strndup(arena, text, (size_t)(dot - text)) : text);
        text = dot ? dot + 1 : NULL;
    }
    return path;
}

static bool canonical_number(const char *text, int64_t *number)
{
    size_t length = strlen(text);
    if (length == 0 || length > 9 || (text[0] == '0' && length > 1)) return false;
    *number = 0;
    for (; *text; text++) {
        if (!isdigit((unsigned char)*text)) return false;
        *number = *number * 10 + (*text - '0');
    }
    return true;
}

static bool match_index(BoundLine *bound, const AstExpr *index, const char *part, Diagnostics *diags)
{
    int64_t number;
    if (!canonical_number(part, &number)) return false;
    ConstantValue value;
    if (index->kind == AST_NAME && !bound_line_lookup(bound, index->text, &value)) {
        if (bound->variable_count == MAX_BIND_VARIABLES) {
            diag_error(diags, GM130, index->place, "more than %d index variables in one bind line", MAX_BIND_VARIABLES);
            return false;
        }
        bound->variables[bound->variable_count].name = index->text;
        bound->variables[bound->variable_count++].value = number;
        return true;
    }
    if (!constant_evaluate(bound->scope->arena, index, bound_line_lookup, bound, &value, diags)) return false;
    return value.kind == CONSTANT_NUMBER && value.number == (double)number;
}

/* A trailing "*" part makes a subtree, however it was written. */
static int part_count(const AstBindLine *line, bool *subtree)
{
    int count = line->path.parts.count;
    *subtree = line->kind == BIND_SUBTREE;
    if (count > 0 && line->path.parts.data[count - 1].name && strcmp(line->path.parts.data[count - 1].name, "*") == 0) {
        *subtree = true;
        count--;
    }
    return count;
}

/* Matches the line's left side; *rest: what a subtree leaves, NULL for a tensor. *specific: how many parts were named. */
static bool match_line(BindScope *scope, const AstBindLine *line, const Path *path, BoundLine *bound, const char **rest, int *specific, Diagnostics *diags)
{
    bool subtree;
    int count = part_count(line, &subtree);
    if (subtree ? path->parts.count <= count : path->parts.count != count) return false;
    *bound = (BoundLine){.line = line, .scope = scope};
    for (int i = 0; i < count; i++) {
        const AstPathPart *part = &line->path.parts.data[i];
        const char *have = path->parts.data[i];
        if (part->name ? strcmp(part->name, have) != 0 : !match_index(bound, part->index, have, diags)) return false;
    }
    *rest = subtree ? path->rests.data[count] : NULL;
    *specific = count;
    return true;
}

/* The path below the call, or NULL. */
static const char *below(const BindScope *scope, const char *path)
{
    size_t length = strlen(scope->prefix);
    if (length == 0) return path;
    return strncmp(path, scope->prefix, length) == 0 && path[length] == '.' ? path + length + 1 : NULL;
}

bool bind_line_matches(BindScope *scope, const AstBindLine *line, const char *path, Diagnostics *diags)
{
    const char *relative = below(scope, path), *rest;
    BoundLine bound;
    int specific;
    if (!relative) return false;
    Path parts = split_path(scope->arena, relative);
    return match_line(scope, line, &parts, &bound, &rest, &specific, diags);
}

/* --- right sides -------------------------------------------------------------------------------------------------- */

static bool expand_braces(const BoundLine *line, const char *text, const char *end, Place place, Text *out, Diagnostics *diags)
{
    Arena *arena = line->scope->arena;
    Diagnostics *private = diagnostics_new(arena);
    Source *source = source_new(arena, "bind", arena_strndup(arena, text, (size_t)(end - text)), (size_t)(end - text), false);
    const AstExpr *expr = ast_parse_expression(arena, source, private);
    ConstantValue value;
    if (!expr || !constant_evaluate(arena, expr, bound_line_lookup, (void *)line, &value, private) || value.kind != CONSTANT_NUMBER
        || value.number != floor(value.number) || fabs(value.number) > 1e15) {
        diag_error(diags, GM130, place, "{%s} is no whole number of this line's index variables", source->text);
        return false;
    }
    text_printf(out, "%lld", (long long)value.number);
    return true;
}

const char *bind_expand(const BoundLine *line, const char *text, Place place, Diagnostics *diags)
{
    Text out = text_new(line->scope->arena);
    for (const char *c = text; *c; c++) {
        if ((c[0] == '{' && c[1] == '{') || (c[0] == '}' && c[1] == '}')) {
            text_add_bytes(&out, c++, 1);
        } else if (*c == '{') {
            const char *end = strchr(c, '}');
            if (!end) {
                diag_error(diags, GM130, place, "\"%s\" opens a brace and doesn't close it", text);
                return NULL;
            }
            if (!expand_braces(line, c + 1, end, place, &out, diags)) return NULL;
            c = end;
        } else {
            text_add_bytes(&out, c, 1);
        }
    }
    return text_string(&out);
}

const char *bind_foreign(const BindScope *scope, const Archive *archive, const char *name)
{
    if (*scope->prefix) {
        const char *relative = arena_printf(scope->arena, "%s.%s", scope->prefix, name);
        if (archive_find(archive, relative)) return relative;
        char *path = arena_printf(scope->arena, "%s/%s", scope->prefix, name);
        for (char *c = path; c < path + strlen(scope->prefix); c++)
            if (*c == '.') *c = '/';
        if (archive_find(archive, path)) return path;
    }
    if (archive_find(archive, name)) return name;
    /* Where a whole checkpoint lies under a prefix, the line for everything else says so for the named lines too. */
    for (int i = 0; i < scope->lines.count; i++) {
        const AstBindLine *line = scope->lines.data[i];
        bool subtree;
        const char *pattern = line->kind == BIND_SUBTREE ? line->pattern : line->kind == BIND_TENSOR && line->value->kind == AST_STRING ? line->value->text : NULL;
        if (!pattern || line->kind == BIND_IGNORE || part_count(line, &subtree) != 0 || !subtree) continue;
        size_t length = strlen(pattern);
        if (length == 0 || pattern[length - 1] != '*') continue;
        const char *moved = arena_printf(scope->arena, "%.*s%s", (int)length - 1, pattern, name);
        if (archive_find(archive, moved)) return moved;
    }
    return name;
}

/* "network.{2*i}.*" with the rest of the path in the star's place. After a "/" the rest may be spelt with "/" too. */
static const char *expand_subtree(const BoundLine *bound, const Archive *archive, const char *rest, Diagnostics *diags)
{
    const AstBindLine *line = bound->line;
    const char *pattern = line->kind == BIND_SUBTREE ? line->pattern : line->value->kind == AST_STRING ? line->value->text : NULL;
    size_t length = pattern ? strlen(pattern) : 0;
    if (length == 0 || pattern[length - 1] != '*') {
        diag_error(diags, GM130, line->place, "a subtree needs a pattern that ends in `*` on the right");
        return NULL;
    }
    Arena *arena = bound->scope->arena;
    const char *head = bind_expand(bound, arena_strndup(arena, pattern, length - 1), line->place, diags);
    if (!head) return NULL;
    const char *name = bind_foreign(bound->scope, archive, arena_printf(arena, "%s%s", head, rest));
    if (archive_find(archive, name) || length < 2 || pattern[length - 2] != '/') return name;
    char *slashed = arena_printf(arena, "%s%s", head, rest);
    for (char *c = slashed + strlen(head); *c; c++)
        if (*c == '.') *c = '/';
    const char *other = bind_foreign(bound->scope, archive, slashed);
    return archive_find(archive, other) ? other : name;
}

bool bind_source(BindScope *scope, const Archive *archive, const Tensor *weight, WeightSource *source, Diagnostics *diags)
{
    const char *relative = below(scope, weight->path), *rest, *subtree_rest = NULL;
    if (!relative) return false;
    Path path = split_path(scope->arena, relative);
    BoundLine bound, subtree = {0};
    int specific, best = -1;
    *source = (WeightSource){.scope = scope};
    for (int i = 0; i < scope->lines.count; i++) {
        const AstBindLine *line = scope->lines.data[i];
        if (line->kind == BIND_IGNORE || !match_line(scope, line, &path, &bound, &rest, &specific, diags)) continue;
        if (rest) {
            if (specific <= best) continue;
            best = specific;
            subtree = bound;
            subtree_rest = rest;
        } else if (line->value->kind == AST_STRING && !line->subscripted) {
            if (source->name || source->equations.count) diag_error(diags, GM132, line->place, "%s is bound twice", weight->path);
            source->name = bind_expand(&bound, line->value->text, line->value->place, diags);
            if (source->name) source->name = bind_foreign(scope, archive, source->name);
            source->line = line;
        } else {
            if (source->name) diag_error(diags, GM132, line->place, "%s is bound twice", weight->path);
            list_push(scope->arena, &source->equations, bound);
            source->line = line;
        }
    }
    if (source->name || source->equations.count) return true;
    if (best < 0) return false;
    source->name = expand_subtree(&subtree, archive, subtree_rest, diags);
    source->line = subtree.line;
    return source->name != NULL;
}

/* `*` stands for any characters. */
static bool glob(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == *text || *pattern == '?') {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return *pattern == 0;
}

bool bind_ignores(const BindScope *scope, const char *foreign)
{
    const char *relative = below(scope, foreign);
    for (int i = 0; i < scope->lines.count; i++) {
        const AstBindLine *line = scope->lines.data[i];
        if (line->kind != BIND_IGNORE) continue;
        for (int k = 0; k < line->globs.count; k++)
            if (glob(line->globs.data[k], foreign) || (relative && glob(line->globs.data[k], relative))) return true;
    }
    return false;
}
