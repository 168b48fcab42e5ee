/* The `~ text(…)` hint and text as inputs. The cutting itself is the runtime's (gm_text.c), so that a host gets the same ids. */
#include "commands/text_input.h"

#include "support/text.h"

#include <string.h>

const char *beside(Arena *arena, const char *model_path, const char *file)
{
    const char *slash = strrchr(model_path, '/');
    int directory = slash && *file != '/' ? (int)(slash + 1 - model_path) : 0;
    return arena_printf(arena, "%.*s%s", directory, model_path, file);
}

/* --- the hint ----------------------------------------------------------------------------------------------------- */

static const char *word_of(const Port *port, const char *name, const char *otherwise)
{
    if (!port->hint || strcmp(port->hint->name, "text") != 0) return otherwise;
    for (int i = 0; i < port->hint->count; i++)
        if (port->hint->arguments[i].name && strcmp(port->hint->arguments[i].name, name) == 0) return port->hint->arguments[i].text;
    return otherwise;
}

static double number_of(const Port *port, const char *name, double otherwise)
{
    for (int i = 0; i < port->hint->count; i++)
        if (strcmp(port->hint->arguments[i].name, name) == 0 && port->hint->arguments[i].number_count) return port->hint->arguments[i].numbers[0];
    return otherwise;
}

static bool is_text(const Port *port)
{
    return port->hint && strcmp(port->hint->name, "text") == 0;
}

static bool is_bytes(const Port *port)
{
    return strcmp(word_of(port, "tokenizer", ""), "bytes") == 0;
}

bool text_input_declared(const Port *port)
{
    return is_text(port) && strcmp(word_of(port, "part", "ids"), "ids") == 0 && (word_of(port, "vocabulary", NULL) || is_bytes(port));
}

int text_input_sole(const Module *module)
{
    int found = -1;
    for (int i = 0; i < module->inputs.count; i++) {
        if (!text_input_declared(&module->inputs.data[i])) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return found;
}

/* `part = mask, of = ids`; `of` may be left out where one input takes text. */
static int companion(const Module *module, int ids, const char *part)
{
    for (int i = 0; i < module->inputs.count; i++) {
        const Port *port = &module->inputs.data[i];
        if (strcmp(word_of(port, "part", "ids"), part) != 0) continue;
        const char *of = word_of(port, "of", NULL);
        if (of ? strcmp(of, module->inputs.data[ids].name) == 0 : text_input_sole(module) == ids) return i;
    }
    return -1;
}

static bool wrong_hint(const Port *port, Diagnostics *diags, const char *problem)
{
    diag_error(diags, GM160, port->hint->place, "%s: %s", port->name, problem);
    return false;
}

static bool check_ports(const TextInput *text, Diagnostics *diags)
{
    const Port *port = &text->module->inputs.data[text->ids];
    if (port->tensor->rank != 1 || !element_type_is_integer(port->tensor->type)) return wrong_hint(port, diags, "text gives ids of one axis: i32, i64 or u8");
    for (int i = 0; i < text->module->inputs.count; i++) {
        const Port *other = &text->module->inputs.data[i];
        const char *part = word_of(other, "part", "ids");
        if (strcmp(part, "ids") != 0 && strcmp(part, "mask") != 0 && strcmp(part, "types") != 0) return wrong_hint(other, diags, "part is ids, mask or types");
        if ((i == text->mask || i == text->types) && (other->tensor->rank != 1 || other->tensor->extents[0] != text->length))
            return wrong_hint(other, diags, arena_printf(diags->arena, "it goes with %s, and must be as long", port->name));
    }
    return true;
}

static bool find_kind(const Port *port, int *kind, Diagnostics *diags)
{
    static const char *const names[] = {[GM_TEXT_PIECES] = "pieces", [GM_TEXT_WORDPIECE] = "wordpiece", [GM_TEXT_BYTES] = "bytes"};
    const char *word = word_of(port, "tokenizer", NULL);
    for (int k = 0; word && k < 3; k++)
        if (strcmp(names[k], word) == 0) {
            *kind = k;
            return true;
        }
    return wrong_hint(port, diags, "tokenizer is pieces, wordpiece or bytes");
}

/* The id of a special entry; none is declared: -1. */
static bool special(const TextInput *text, const char *name, int32_t *id, Diagnostics *diags)
{
    const Port *port = &text->module->inputs.data[text->ids];
    const char *entry = word_of(port, name, NULL);
    *id = -1;
    if (!entry) return true;
    if (text->kind == GM_TEXT_BYTES && strlen(entry) == 1) *id = (unsigned char)entry[0] + (int32_t)number_of(port, "offset", 0);
    else *id = gm_vocabulary_find(text->vocabulary, entry, strlen(entry));
    return *id >= 0 || wrong_hint(port, diags, arena_printf(diags->arena, "the vocabulary has no entry \"%s\", which %s names", entry, name));
}

bool text_input_open(Arena *arena, const Module *module, int ids, const char *model_path, TextInput *text, Diagnostics *diags)
{
    const Port *port = &module->inputs.data[ids];
    *text = (TextInput){.module = module, .ids = ids, .mask = companion(module, ids, "mask"), .types = companion(module, ids, "types")};
    text->length = port->tensor->rank ? port->tensor->extents[0] : 1;
    if (!check_ports(text, diags) || !find_kind(port, &text->kind, diags)) return false;
    gm_text_options options = {text->kind, number_of(port, "plain", 0) != 0, (int32_t)number_of(port, "offset", 0)};
    if (options.offset < 0 || options.offset > 1 << 20) return wrong_hint(port, diags, "offset is a number of ids before those of the bytes");
    char *data = NULL;
    size_t size = 0;
    const char *error = NULL, *file = word_of(port, "vocabulary", NULL);
    const char *path = file ? beside(arena, model_path, file) : NULL;
    if (path && text->kind != GM_TEXT_BYTES && !file_read(arena, path, &data, &size, &error)) {
        diag_error(diags, GM153, port->hint->place, "%s: %s", path, error);
        return false;
    }
    text->vocabulary = gm_vocabulary_new(data, size, &options);
    bool good = text->vocabulary != NULL && special(text, "start", &text->start, diags) && special(text, "end", &text->end, diags)
                && special(text, "pad", &text->pad, diags) && special(text, "unknown", &text->unknown, diags);
    if (!good) text_input_close(text);
    return good;
}

void text_input_close(TextInput *text)
{
    gm_vocabulary_free(text->vocabulary);
    text->vocabulary = NULL;
}

/* --- ids ---------------------------------------------------------------------------------------------------------- */

int32_t *text_ids(Arena *arena, const TextInput *text, const char *data, size_t bytes, size_t *count, size_t *unknowns)
{
    size_t have = gm_text_encode(text->vocabulary, data, bytes, text->unknown, NULL, 0, unknowns);
    int32_t *ids = arena_new_array(arena, int32_t, have + 1);
    *count = gm_text_encode(text->vocabulary, data, bytes, text->unknown, ids, have, unknowns);
    return ids;
}

static void store(const Tensor *tensor, void *array, int64_t at, int64_t value)
{
    switch (tensor->type) {
    case TYPE_F32: ((float *)array)[at] = (float)value; break;
    case TYPE_I32: ((int32_t *)array)[at] = (int32_t)value; break;
    case TYPE_I64: ((int64_t *)array)[at] = value; break;
    case TYPE_U8: ((uint8_t *)array)[at] = (uint8_t)value; break;
    }
}

/* Positions from `second` on, as far as they are used, have type 1. */
static void store_sample(const TextInput *text, const int32_t *ids, int64_t used, int64_t second, void *const *arrays)
{
    const Port *ports = text->module->inputs.data;
    for (int64_t i = 0; i < text->length; i++) {
        store(ports[text->ids].tensor, arrays[text->ids], i, i < used ? ids[i] : text->pad >= 0 ? text->pad : 0);
        if (text->mask >= 0) store(ports[text->mask].tensor, arrays[text->mask], i, i < used);
        if (text->types >= 0) store(ports[text->types].tensor, arrays[text->types], i, i >= second && i < used);
    }
}

void text_store_window(const TextInput *text, const int32_t *ids, int64_t count, void *const *arrays)
{
    store_sample(text, ids, count, count, arrays);
}

const char *text_shown(Arena *arena, const TextInput *text, int32_t id)
{
    size_t bytes = 0;
    const char *entry = gm_vocabulary_entry(text->vocabulary, id, &bytes);
    char byte = (char)0;
    Text out = text_new(arena);
    if (!entry) {
        bytes = gm_text_decode(text->vocabulary, id, 1, &byte, 1);
        entry = &byte;
    }
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)entry[i];
        if (c == '\n') text_add(&out, "\\n");
        else if (c < 0x20 || c == 0x7F || (bytes == 1 && (c >= 0x80 || c == ' '))) text_printf(&out, "\\x%02x", c);
        else text_add_bytes(&out, &c, 1);
    }
    return text_string(&out);
}

/* Takes ids off the ends, off the longer of the two, until they fit. */
static void shorten(size_t *a, size_t *b, size_t room)
{
    while (*a + *b > room) {
        size_t *longer = *a >= *b ? a : b;
        *longer -= 1;
    }
}

int64_t text_sample(Arena *arena, const TextInput *text, const char *data, size_t bytes, const char *pair, size_t pair_bytes, void *const *arrays, Diagnostics *diags)
{
    const Module *module = text->module;
    size_t counts[2] = {0, 0}, unknowns[2] = {0, 0};
    const int32_t *ids[2] = {text_ids(arena, text, data, bytes, &counts[0], &unknowns[0]), NULL};
    if (pair) ids[1] = text_ids(arena, text, pair, pair_bytes, &counts[1], &unknowns[1]);
    if (text->unknown < 0 && unknowns[0] + unknowns[1]) {
        Diagnostic *diag = diag_error(diags, GM160, module->inputs.data[text->ids].hint->place, "%zu characters of the text are not in the vocabulary", unknowns[0] + unknowns[1]);
        diag_help(diag, "`unknown = \"…\"` names the entry that stands for them");
        return -1;
    }
    int64_t extra = (text->start >= 0) + (text->end >= 0) * (pair ? 2 : 1);
    size_t all = counts[0] + counts[1];
    if (text->length < extra) {
        diag_error(diags, GM160, module->inputs.data[text->ids].place, "%s has no room for start and end", module->inputs.data[text->ids].name);
        return -1;
    }
    shorten(&counts[0], &counts[1], (size_t)(text->length - extra));
    if (counts[0] + counts[1] < all)
        diag_warning(diags, GM159, (Place){0}, "the text has %zu tokens, and %s takes %lld: %zu at the end were left out", all, module->inputs.data[text->ids].name,
                     (long long)(text->length - extra), all - counts[0] - counts[1]);
    int32_t *row = arena_new_array(arena, int32_t, text->length + 1);
    int64_t used = 0, first = 0;
    if (text->start >= 0) row[used++] = text->start;
    for (int part = 0; part < (pair ? 2 : 1); part++) {
        if (part) first = used;
        for (size_t i = 0; i < counts[part]; i++) row[used++] = ids[part][i];
        if (text->end >= 0) row[used++] = text->end;
    }
    store_sample(text, row, used, pair ? first : used, arrays);
    return used;
}
