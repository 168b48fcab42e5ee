/* Diagnostics as JSON, for editors: everything that the text says, as data. */
#include "support/diagnostics_private.h"

#include "support/bug.h"

#include <jansson.h>
#include <stdlib.h>

static json_t *shown_string(const char *text, Arena *scratch)
{
    Text clean = text_new(scratch);
    text_add_shown(&clean, text ? text : "");
    return json_string(text_string(&clean));
}

/* Adds file, line, column, end_line and end_column; all null when the place is nowhere. */
static void add_place(json_t *object, Place place, Arena *scratch)
{
    if (!place.source) {
        static const char *const names[] = {"file", "line", "column", "end_line", "end_column"};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) json_object_set_new(object, names[i], json_null());
        return;
    }
    int line, column, end_line, end_column;
    source_position(place.source, place.begin, &line, &column);
    source_position(place.source, place.end, &end_line, &end_column);
    json_object_set_new(object, "file", shown_string(place.source->name, scratch));
    json_object_set_new(object, "line", json_integer(line));
    json_object_set_new(object, "column", json_integer(column));
    json_object_set_new(object, "end_line", json_integer(end_line));
    json_object_set_new(object, "end_column", json_integer(end_column));
}

static json_t *remark_json(Place place, const char *text, Arena *scratch)
{
    json_t *object = json_object();
    json_object_set_new(object, "text", shown_string(text, scratch));
    add_place(object, place, scratch);
    return object;
}

static json_t *diagnostic_json(const Diagnostic *d, Arena *scratch)
{
    json_t *object = json_object(), *labels = json_array(), *notes = json_array(), *calls = json_array(), *help = json_array();
    json_object_set_new(object, "code", json_string(diagnostic_code_name(d->code)));
    json_object_set_new(object, "severity", json_string(d->warning ? "warning" : "error"));
    json_object_set_new(object, "message", shown_string(d->message, scratch));
    add_place(object, d->place, scratch);
    if (d->caret) json_array_append_new(labels, remark_json(d->place, d->caret, scratch));
    for (int i = 0; i < d->labels.count; i++)
        json_array_append_new(labels, remark_json(d->labels.data[i].place, d->labels.data[i].text, scratch));
    for (int i = 0; i < d->notes.count; i++)
        json_array_append_new(notes, remark_json(d->notes.data[i].place, d->notes.data[i].text, scratch));
    for (const CallNote *call = d->call; call; call = call->up) json_array_append_new(calls, remark_json(call->at, call->text, scratch));
    for (int i = 0; i < d->help.count; i++) json_array_append_new(help, shown_string(d->help.data[i], scratch));
    json_object_set_new(object, "labels", labels);
    json_object_set_new(object, "notes", notes);
    json_object_set_new(object, "calls", calls);
    json_object_set_new(object, "help", help);
    return object;
}

void diagnostics_json(const Diagnostics *diags, Text *out)
{
    Arena *scratch = arena_new();
    const Diagnostic **sorted = diagnostics_sorted(diags, scratch);
    json_t *root = json_object(), *list = json_array();
    json_object_set_new(root, "errors", json_integer(diags->error_count));
    json_object_set_new(root, "warnings", json_integer(diags->warning_count));
    for (int i = 0; i < diags->count; i++) json_array_append_new(list, diagnostic_json(sorted[i], scratch));
    json_object_set_new(root, "diagnostics", list);
    char *dump = json_dumps(root, JSON_INDENT(2));
    if (!dump) bug("diagnostics cannot be written as JSON");
    text_add(out, dump);
    text_add(out, "\n");
    free(dump);
    json_decref(root);
    arena_free(scratch);
}
