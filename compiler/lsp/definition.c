/* Where a name is declared, and where else it stands: definition, references, highlights, renaming. */
#include "lsp/server.h"

#include <ctype.h>
#include <string.h>

static const Occurrence *at_position(Server *server, Document *document, const json_t *params, size_t *offset)
{
    *offset = position_offset(server, document->source, json_object_get(params, "position"));
    return occurrence_at(document_names(document), *offset);
}

json_t *request_definition(Server *server, Document *document, json_t *params)
{
    size_t offset;
    const Occurrence *occurrence = at_position(server, document, params, &offset);
    if (!occurrence) return NULL;
    if (occurrence->import) {
        const Model *model = document->now->runs.data[0].model;
        for (int k = 0; k < model->imports.count; k++)
            if (model->imports.data[k].declaration == occurrence->import && model->imports.data[k].to)
                return location_json(server, (Place){model->imports.data[k].to->source, 0, 0});
        return NULL;
    }
    if (!occurrence->symbol) return NULL;
    bool own = occurrence->symbol->file == document_names(document)->file;
    return location_json(server, symbol_definition(occurrence->symbol, own ? offset : 0));
}

/* Calls `visit` for every occurrence of a symbol in the files of the document's analysis. */
typedef void Visit(Server *server, void *context, const Occurrence *occurrence);
static void each_occurrence(Server *server, Document *document, const Symbol *symbol, bool everywhere, Visit *visit, void *context)
{
    const Project *project = document->now->project;
    for (int k = 0; k < project->files.count; k++) {
        if (!everywhere && k > 0) return;
        for (int i = 0; i < project->files.data[k]->occurrences.count; i++)
            if (project->files.data[k]->occurrences.data[i].symbol == symbol) visit(server, context, &project->files.data[k]->occurrences.data[i]);
    }
}

typedef struct {
    json_t *list;
    bool declaration;
} References;

static void add_reference(Server *server, void *context, const Occurrence *occurrence)
{
    References *references = context;
    json_t *location = occurrence->defines && !references->declaration ? NULL : location_json(server, occurrence->place);
    if (location) json_array_append_new(references->list, location);
}

json_t *request_references(Server *server, Document *document, json_t *params)
{
    size_t offset;
    const Occurrence *occurrence = at_position(server, document, params, &offset);
    if (!occurrence || !occurrence->symbol) return NULL;
    json_t *context = json_object_get(params, "context");
    References references = {json_array(), json_is_true(json_object_get(context, "includeDeclaration"))};
    each_occurrence(server, document, occurrence->symbol, true, add_reference, &references);
    return references.list;
}

static void add_highlight(Server *server, void *context, const Occurrence *occurrence)
{
    enum { READS = 2, WRITES = 3 };
    json_array_append_new(context, json_pack("{s:o, s:i}", "range", range_json(server, occurrence->place), "kind", occurrence->defines ? WRITES : READS));
}

json_t *request_highlight(Server *server, Document *document, json_t *params)
{
    size_t offset;
    const Occurrence *occurrence = at_position(server, document, params, &offset);
    if (!occurrence || !occurrence->symbol) return NULL;
    json_t *list = json_array();
    each_occurrence(server, document, occurrence->symbol, false, add_highlight, list);
    return list;
}

/* --- renaming ------------------------------------------------------------------------------------------------------------ */

/* What the library declares keeps its name; so does what no occurrence of a present text shows. */
static const Occurrence *renamed(Server *server, Document *document, const json_t *params)
{
    size_t offset;
    const Occurrence *occurrence = at_position(server, document, params, &offset);
    if (!occurrence || !occurrence->symbol) return NULL;
    const Source *source = occurrence->symbol->file->source;
    return source->embedded || !strncmp(source->name, "std/", 4) ? NULL : occurrence;
}

json_t *request_prepare_rename(Server *server, Document *document, json_t *params)
{
    const Occurrence *occurrence = renamed(server, document, params);
    return occurrence ? json_pack("{s:o, s:s}", "range", range_json(server, occurrence->place), "placeholder", occurrence->name) : NULL;
}

static bool is_name(const char *name, bool dotted)
{
    if (!isalpha((unsigned char)*name) && *name != '_') return false;
    LanguageWord word;
    if (language_word_find(name, "keyword", &word)) return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '_' && !(dotted && *name == '.' && name[1] && name[1] != '.')) return false;
    return true;
}

typedef struct {
    json_t *files;
    const char *name;
} Renaming;

static void add_edit(Server *server, void *context, const Occurrence *occurrence)
{
    Renaming *renaming = context;
    const char *uri = source_uri(server, occurrence->place.source);
    if (!uri) return;
    json_t *edits = json_object_get(renaming->files, uri);
    if (!edits) json_object_set_new(renaming->files, uri, edits = json_array());
    json_array_append_new(edits, json_pack("{s:o, s:s}", "range", range_json(server, occurrence->place), "newText", renaming->name));
}

json_t *request_rename(Server *server, Document *document, json_t *params)
{
    const Occurrence *occurrence = renamed(server, document, params);
    const char *name = json_string_value(json_object_get(params, "newName"));
    if (!occurrence || !name || !is_name(name, occurrence->symbol->kind == SYMBOL_WEIGHT)) return NULL;
    Renaming renaming = {json_object(), name};
    each_occurrence(server, document, occurrence->symbol, true, add_edit, &renaming);
    return json_pack("{s:o}", "changes", renaming.files);
}
