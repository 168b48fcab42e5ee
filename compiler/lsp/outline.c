/* What stands in a text, as a tree; and the text in canonical form. */
#include "lsp/server.h"

#include "dsl/format.h"

#include <string.h>

/* Of LSP's SymbolKind. */
enum { KIND_MODULE = 2, KIND_CLASS = 5, KIND_PROPERTY = 7, KIND_FIELD = 8, KIND_FUNCTION = 12, KIND_VARIABLE = 13, KIND_CONSTANT = 14, KIND_OPERATOR = 25 };

static void add_symbol(Server *server, json_t *list, const char *name, const char *detail, int kind, Place whole, Place selection, json_t *children)
{
    if (selection.begin < whole.begin || selection.end > whole.end) selection = whole;
    if (!*name) name = "?"; /* an empty name is not allowed */
    json_t *symbol = json_pack("{s:s, s:s, s:i, s:o, s:o}", "name", name, "detail", detail, "kind", kind, "range", range_json(server, whole),
                               "selectionRange", range_json(server, selection));
    if (children) json_object_set_new(symbol, "children", children);
    if (symbol) json_array_append_new(list, symbol);
}

static const char *source_text(Arena *arena, Place place)
{
    return arena_strndup(arena, place.source->text + place.begin, place.end - place.begin);
}

static void add_body(Server *server, json_t *list, const AstBody *body)
{
    for (int k = 0; k < body->count; k++) {
        const AstStatement *statement = body->data[k];
        Place place = statement->place;
        if (statement->kind == AST_INPUT) add_symbol(server, list, statement->name, "input", KIND_VARIABLE, place, statement->name_place, NULL);
        if (statement->kind == AST_OUTPUT) add_symbol(server, list, statement->assignment.name, "output", KIND_VARIABLE, place, statement->assignment.place, NULL);
        if (statement->kind == AST_PARAM) {
            const char *shape = statement->shape.present ? source_text(server->scratch, statement->shape.place) : "";
            add_symbol(server, list, statement->name, arena_printf(server->scratch, "param %s", shape), KIND_FIELD, place, statement->name_place, NULL);
        }
        add_body(server, list, &statement->body);
        add_body(server, list, &statement->else_body);
    }
}

static json_t *callable_children(Server *server, const AstCallable *callable)
{
    json_t *list = json_array();
    for (int k = 0; k < callable->parameters.count; k++) {
        const AstParameter *parameter = &callable->parameters.data[k];
        add_symbol(server, list, parameter->name, source_text(server->scratch, parameter->place), KIND_PROPERTY, parameter->place, parameter->place, NULL);
    }
    add_body(server, list, &callable->body);
    return list;
}

json_t *request_symbols(Server *server, Document *document, json_t *params)
{
    (void)params;
    const FileNames *names = document_names(document);
    if (!names) return NULL;
    json_t *list = json_array();
    for (int k = 0; k < names->file->declarations.count; k++) {
        const AstDeclaration *declaration = names->file->declarations.data[k];
        Place place = declaration->place;
        if (declaration->kind == DECLARE_CONST) add_symbol(server, list, declaration->constant.name, "const", KIND_CONSTANT, place, declaration->constant.place, NULL);
        if (declaration->kind == DECLARE_CALLABLE && declaration->callable) {
            const AstCallable *callable = declaration->callable;
            add_symbol(server, list, callable->name, signature_text(server->scratch, callable), callable->is_model ? KIND_CLASS : KIND_FUNCTION, place,
                       callable->name_place, callable_children(server, callable));
        }
        if (declaration->kind == DECLARE_BIND && declaration->bind)
            add_symbol(server, list, declaration->bind->name, arena_printf(server->scratch, "bind for %s", declaration->bind->target), KIND_OPERATOR, place,
                       declaration->bind->name_place, NULL);
        if (declaration->kind == DECLARE_IMPORT) add_symbol(server, list, declaration->import, "import", KIND_MODULE, place, place, NULL);
    }
    return list;
}

/* One edit over the lines that change. A text with syntax errors stays as it is. */
json_t *request_formatting(Server *server, Document *document, json_t *params)
{
    (void)params;
    Arena *arena = server->scratch;
    Diagnostics *diags = diagnostics_new(arena);
    const Source *source = document->source;
    AstFile *file = ast_parse(arena, document->source, diags);
    if (!file || diags->error_count) return NULL;
    const char *text = ast_format(arena, file), *old = source->text;
    size_t size = strlen(text), begin = 0, end = source->size, new_end = size;
    while (begin < end && begin < size && old[begin] == text[begin]) begin++;
    if (begin == end && begin == size) return json_array();
    while (begin > 0 && old[begin - 1] != '\n') begin--;
    while (end > begin && new_end > begin && old[end - 1] == text[new_end - 1]) end--, new_end--;
    while (end < source->size && old[end - (end > 0)] != '\n') end++, new_end++;
    json_t *range = range_json(server, (Place){source, begin, end});
    return json_pack("[{s:o, s:s%}]", "range", range, "newText", text + begin, new_end - begin);
}
