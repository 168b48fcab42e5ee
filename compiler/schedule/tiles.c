/* Reading and writing schedule files; see tiles.h. */
#include "schedule/tiles.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char first_line[] = "gmlpc schedule 1";

typedef struct {
    Arena *arena;
    const Source *source;
    Diagnostics *diags;
    Tiles *tiles;
    const char *line;    /* at hand */
    size_t length, at;   /* of it; the next byte to read */
    bool failed;
} Reader;

static Place place_of(const Reader *r, const char *from, size_t length)
{
    size_t begin = (size_t)(from - r->source->text);
    return (Place){r->source, begin, begin + length};
}

static bool fail(Reader *r, Place place, const char *what)
{
    diag_error(r->diags, GM191, place, "%s", what);
    r->failed = true;
    return false;
}

/* The next word of the line, NULL at its end or a comment. */
static char *next_word(Reader *r, Place *place)
{
    while (r->at < r->length && isspace((unsigned char)r->line[r->at])) r->at++;
    if (r->at == r->length || r->line[r->at] == '#') return NULL;
    const char *begin = r->line + r->at;
    while (r->at < r->length && !isspace((unsigned char)r->line[r->at])) r->at++;
    size_t length = (size_t)(r->line + r->at - begin);
    *place = place_of(r, begin, length);
    char *word = arena_alloc(r->arena, length + 1);
    memcpy(word, begin, length);
    word[length] = 0;
    return word;
}

static bool read_number(const char **text, int *number)
{
    char *end;
    if (!isdigit((unsigned char)**text)) return false;
    long value = strtol(*text, &end, 10);
    *text = end;
    *number = (int)value;
    return value >= 1 && value <= 1000000000;
}

/* m=14x14 */
static bool is_extents(const char *word)
{
    int number;
    if (!strchr("bmnk", word[0]) || word[1] != '=') return false;
    const char *rest = word + 2;
    while (read_number(&rest, &number))
        if (*rest++ != 'x') return rest[-1] == 0;
    return false;
}

static bool is_target(const char *name)
{
    for (int i = 0; i < TARGET_COUNT; i++)
        if (strcmp(target_table[i].name, name) == 0) return true;
    return false;
}

/* False after an error; a line without words is none. */
static bool read_choice(Reader *r)
{
    Place place, first;
    char *word = next_word(r, &first);
    if (!word) return true;
    TileChoice choice = {.target = word, .place = first};
    if (!is_target(word)) return fail(r, first, "no target of this name");
    Text shape = text_new(r->arena);
    place = first;
    while ((word = next_word(r, &place))) {
        const char *rest = strchr(word, '=') ? strchr(word, '=') + 1 : "";
        if (strncmp(word, "tile=", 5) == 0) {
            bool good = read_number(&rest, &choice.height) && *rest++ == 'x' && read_number(&rest, &choice.width) && !*rest;
            if (!good) return fail(r, place, "a tile is tile=ROWSxVECTORS");
        } else if (strncmp(word, "groups=", 7) == 0) {
            if (!read_number(&rest, &choice.groups) || *rest) return fail(r, place, "groups are groups=NUMBER");
        } else if (is_extents(word) || strcmp(word, "panels") == 0) {
            text_printf(&shape, "%s%s", shape.length ? " " : "", word);
        } else {
            return fail(r, place, "no part of a choice: b=, m=, n=, k=, panels, tile=, groups=");
        }
    }
    choice.shape = text_string(&shape);
    choice.place = place_join(first, place);
    if (!choice.height) return fail(r, choice.place, "a choice without tile=ROWSxVECTORS");
    if (tiles_find(r->tiles, choice.target, choice.shape)) return fail(r, choice.place, "a second choice for the same shape");
    list_push(r->arena, &r->tiles->list, choice);
    return true;
}

Tiles *tiles_parse(Arena *arena, const Source *source, Diagnostics *diags)
{
    Reader r = {.arena = arena, .source = source, .diags = diags, .tiles = arena_new_object(arena, Tiles)};
    for (int line = 1; line <= source->line_count; line++) {
        int length;
        r.line = source_line(source, line, &length);
        r.length = (size_t)length;
        r.at = 0;
        if (line > 1) (void)read_choice(&r);
        else if (r.length != strlen(first_line) || memcmp(r.line, first_line, r.length) != 0) {
            fail(&r, place_of(&r, r.line, r.length), "no schedule file of this version: its first line is \"gmlpc schedule 1\"");
            break;
        }
    }
    return r.failed ? NULL : r.tiles;
}

Tiles *tiles_read(Arena *arena, const char *path, Diagnostics *diags)
{
    char *text;
    size_t size;
    const char *error;
    if (!file_read(arena, path, &text, &size, &error)) {
        diag_error(diags, GM191, (Place){0}, "%s: %s", path, error);
        return NULL;
    }
    return tiles_parse(arena, source_new(arena, arena_strdup(arena, path), text, size, false), diags);
}

TileChoice *tiles_find(const Tiles *tiles, const char *target, const char *shape)
{
    for (int i = 0; tiles && i < tiles->list.count; i++) {
        TileChoice *choice = &tiles->list.data[i];
        if (strcmp(choice->target, target) == 0 && strcmp(choice->shape, shape) == 0) return choice;
    }
    return NULL;
}

void tiles_report(const Tiles *tiles, const TargetSet *targets, Diagnostics *diags)
{
    for (int i = 0; tiles && i < tiles->list.count; i++) {
        const TileChoice *choice = &tiles->list.data[i];
        bool wanted = false;
        for (int k = 0; k < targets->count; k++) wanted = wanted || strcmp(targets->forms[k]->name, choice->target) == 0;
        if (choice->refused) diag_error(diags, GM191, choice->place, "%s", choice->refused);
        else if (wanted && !choice->used)
            diag_help(diag_warning(diags, GM192, choice->place, "the model has no contraction of this shape"), "gmlpc tune writes the file anew");
    }
}

void tiles_print_choice(const TileChoice *choice, Text *out)
{
    text_printf(out, "%s %s tile=%dx%d", choice->target, choice->shape, choice->height, choice->width);
    if (choice->groups) text_printf(out, " groups=%d", choice->groups);
}
