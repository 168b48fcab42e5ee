/* Diagnostics as an editor wants them. What lies in another file is shown at the call, or the import, in this one that leads there. */
#include "lsp/server.h"

#include "support/diagnostics_private.h"

#include <string.h>

enum { SEVERITY_ERROR = 1, SEVERITY_WARNING = 2 };

/* The place in the document itself, and whether it is the problem's own. */
static Place place_in_document(const Run *run, const Diagnostic *diag, const Source *source)
{
    if (diag->place.source == source) return diag->place;
    for (const CallNote *call = diag->call; call; call = call->up)
        if (call->at.source == source) return call->at;
    if (!diag->place.source || !run->model) return (Place){source, 0, 0};
    /* Through which import of this file is it reached? */
    for (int k = 0; k < run->model->imports.count; k++) {
        const ModelImport *import = &run->model->imports.data[k];
        if (import->declaration->place.source != source) continue;
        LIST(const AstFile *) reached = {0};
        Arena *arena = run->diags->arena;
        if (import->to) list_push(arena, &reached, import->to);
        for (int i = 0; i < reached.count && i < 1000; i++) {
            if (reached.data[i]->source == diag->place.source) return import->declaration->place;
            for (int j = 0; j < run->model->imports.count; j++) {
                const ModelImport *further = &run->model->imports.data[j];
                bool known = !further->to;
                for (int n = 0; n < reached.count; n++) known = known || reached.data[n] == further->to;
                if (further->from == reached.data[i] && !known) list_push(arena, &reached, further->to);
            }
        }
    }
    return (Place){source, 0, 0};
}

static void add_related(Server *server, json_t *related, Place place, const char *text)
{
    json_t *location = place.source ? location_json(server, place) : NULL;
    if (!location) return;
    Text shown = text_new(server->scratch);
    text_add_shown(&shown, text ? text : "here");
    json_array_append_new(related, json_pack("{s:o, s:s}", "location", location, "message", text_string(&shown)));
}

static json_t *related_json(Server *server, const Diagnostic *diag, const Source *source)
{
    json_t *related = json_array();
    if (diag->place.source && diag->place.source != source) add_related(server, related, diag->place, diag->caret ? diag->caret : diag->message);
    for (int k = 0; k < diag->labels.count; k++) add_related(server, related, diag->labels.data[k].place, diag->labels.data[k].text);
    for (int k = 0; k < diag->notes.count; k++) add_related(server, related, diag->notes.data[k].place, diag->notes.data[k].text);
    for (const CallNote *call = diag->call; call; call = call->up)
        add_related(server, related, call->at, arena_printf(server->scratch, "in %s, called here", call->text));
    return related;
}

static json_t *problem_json(Server *server, const Document *document, const Run *run, const Diagnostic *diag, const Source *source)
{
    Text message = text_new(server->scratch);
    if (diag->place.source && diag->place.source != source) {
        int line, column;
        source_position(diag->place.source, diag->place.begin, &line, &column);
        text_printf(&message, "%s:%d:%d: ", diag->place.source->name, line, column);
    }
    text_add_shown(&message, diag->message);
    if (diag->caret) text_add(&message, "\n"), text_add_shown(&message, diag->caret);
    for (int k = 0; k < diag->notes.count; k++)
        if (!diag->notes.data[k].place.source) text_add(&message, "\nnote: "), text_add_shown(&message, diag->notes.data[k].text);
    for (int k = 0; k < diag->help.count; k++) text_add(&message, "\nhelp: "), text_add_shown(&message, diag->help.data[k]);
    Place place = place_in_document(run, diag, source);
    place.source = document->source;
    return json_pack("{s:o, s:i, s:s, s:s, s:s, s:o}", "range", range_json(server, place), "severity", diag->warning ? SEVERITY_WARNING : SEVERITY_ERROR,
                     "code", diagnostic_code_name(diag->code), "source", "gmlpc", "message", text_string(&message), "relatedInformation",
                     related_json(server, diag, source));
}

static bool among(const json_t *list, const json_t *one)
{
    size_t k;
    json_t *other;
    json_array_foreach(list, k, other) if (json_equal(other, one)) return true;
    return false;
}

json_t *problems_json(Server *server, Document *document)
{
    json_t *list = json_array();
    const Analysis *analysis = document->now;
    if (analysis->fault) {
        const char *text = arena_printf(server->scratch, "internal fault: %s\nThis is a bug of gmlpc, not of the model; please report it with the file.", analysis->fault);
        json_array_append_new(list, json_pack("{s:o, s:i, s:s, s:s}", "range", range_json(server, (Place){document->source, 0, 0}), "severity",
                                              SEVERITY_ERROR, "source", "gmlpc", "message", text));
        return list;
    }
    for (int k = 0; k < analysis->runs.count; k++) {
        const Run *run = &analysis->runs.data[k];
        const Source *source = run->model->files.count ? run->model->files.data[0]->source : NULL;
        const Diagnostic **sorted = diagnostics_sorted(run->diags, server->scratch);
        for (int i = 0; i < run->diags->count; i++) {
            if (sorted[i]->code == GM102) continue; /* a file of blocks alone is right here */
            json_t *problem = problem_json(server, document, run, sorted[i], source ? source : sorted[i]->place.source);
            if (among(list, problem)) json_decref(problem);
            else json_array_append_new(list, problem);
        }
    }
    return list;
}
