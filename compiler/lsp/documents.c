/* Texts being edited, and positions in them.
 * In: didOpen, didChange, didClose.  Out: Sources.  A document's text lives on an arena of its own, which its next text replaces. */
#include "lsp/server.h"

#include "dsl/ast.h"

#include <stdlib.h>
#include <string.h>

/* --- positions ----------------------------------------------------------------------------------------------------------- */

/* Bytes of the character at `text`, and how many units it counts in a position. */
static size_t character(const Server *server, const unsigned char *text, size_t left, size_t *units)
{
    size_t bytes = text[0] < 0x80 ? 1 : text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : 4;
    size_t whole = 1;
    while (whole < bytes && whole < left && (text[whole] & 0xC0) == 0x80) whole++;
    *units = server->utf8 ? whole : whole == 4 ? 2 : 1;
    return whole;
}

size_t position_offset(const Server *server, const Source *source, const json_t *position)
{
    json_int_t line = json_integer_value(json_object_get(position, "line"));
    json_int_t wanted = json_integer_value(json_object_get(position, "character"));
    if (line < 0) return 0;
    if (line >= source->line_count) return source->size;
    int length;
    const char *text = source_line(source, (int)line + 1, &length);
    size_t at = 0, units, count = 0;
    while (at < (size_t)length) {
        size_t bytes = character(server, (const unsigned char *)text + at, (size_t)length - at, &units);
        if (wanted < 0 || count + units > (size_t)wanted) break;
        count += units;
        at += bytes;
    }
    return (size_t)(text - source->text) + at;
}

json_t *position_json(const Server *server, const Source *source, size_t offset)
{
    int line, column;
    if (offset > source->size) offset = source->size;
    source_position(source, offset, &line, &column);
    size_t begin = source->lines[line - 1], count = 0, units;
    for (size_t at = begin; at < offset; count += units) at += character(server, (const unsigned char *)source->text + at, source->size - at, &units);
    return json_pack("{s:i, s:I}", "line", line - 1, "character", (json_int_t)count);
}

json_t *range_json(const Server *server, Place place)
{
    return json_pack("{s:o, s:o}", "start", position_json(server, place.source, place.begin), "end", position_json(server, place.source, place.end));
}

/* --- documents ----------------------------------------------------------------------------------------------------------- */

Document *document_find(Server *server, const char *uri)
{
    for (int k = 0; uri && k < server->documents.count; k++)
        if (!strcmp(server->documents.data[k]->uri, uri)) return server->documents.data[k];
    return NULL;
}

static void set_text(Document *document, const char *text, size_t size, json_int_t version)
{
    Arena *arena = arena_new();
    document->source = source_new(arena, document->shown, arena_strndup(arena, text, size), size, false);
    arena_free(document->text_arena);
    document->text_arena = arena;
    document->version = version;
    document->changed = true;
}

static const char *real_path(Arena *arena, const char *path)
{
    char *real = realpath(path, NULL);
    const char *copy = arena_strdup(arena, real ? real : path);
    free(real);
    return copy;
}

Document *document_open(Server *server, const char *uri, const char *text, size_t size, json_int_t version)
{
    Document *document = document_find(server, uri);
    if (!document) {
        Arena *arena = arena_new();
        document = arena_new_object(arena, Document);
        document->arena = arena;
        document->uri = arena_strdup(arena, uri);
        const char *path = uri_to_path(arena, uri);
        document->path = path ? real_path(arena, path) : document->uri;
        const char *library = library_source_name(server, arena, document->path);
        document->shown = library ? library : document->path;
        list_push(server->arena, &server->documents, document);
    }
    set_text(document, text, size, version);
    return document;
}

void document_close(Server *server, Document *document)
{
    for (int k = 0; k < server->documents.count; k++) {
        if (server->documents.data[k] != document) continue;
        server->documents.data[k] = server->documents.data[--server->documents.count];
        break;
    }
    for (int k = 0; k < server->documents.count; k++) server->documents.data[k]->changed = true; /* the file counts again */
    analysis_free(document->now);
    analysis_free(document->good);
    arena_free(document->text_arena);
    arena_free(document->arena);
}

void document_change(Server *server, Document *document, json_t *changes, json_int_t version)
{
    const char *text = document->source->text;
    size_t size = document->source->size, k;
    json_t *change;
    json_array_foreach(changes, k, change) {
        json_t *range = json_object_get(change, "range"), *new_text = json_object_get(change, "text");
        if (!json_is_string(new_text)) continue;
        const char *more = json_string_value(new_text);
        size_t more_size = json_string_length(new_text), begin = 0, end = size;
        if (json_is_object(range)) {
            const Source *source = source_new(server->scratch, "", text, size, false);
            begin = position_offset(server, source, json_object_get(range, "start"));
            end = position_offset(server, source, json_object_get(range, "end"));
            if (end < begin) end = begin;
        }
        char *changed = arena_alloc(server->scratch, size - (end - begin) + more_size + 1);
        memcpy(changed, text, begin);
        memcpy(changed + begin, more, more_size);
        memcpy(changed + begin + more_size, text + end, size - end);
        size = size - (end - begin) + more_size;
        text = changed;
    }
    set_text(document, text, size, version);
}

const Document *document_of_path(const Server *server, const char *path)
{
    path = plain_path(server->scratch, path);
    for (int k = 0; k < server->documents.count; k++) {
        const Document *document = server->documents.data[k];
        if (!strcmp(document->path, path) || !strcmp(document->shown, path)) return document;
    }
    return NULL;
}
