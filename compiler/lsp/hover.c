/* What a name stands for: its declaration, and what it was bound to where the models of the open documents use it.
 * A text with errors is explained by its last version without; a file without a model by those that import it. */
#include "lsp/server.h"

#include "equation/count.h"

#include <inttypes.h>
#include <string.h>

enum { SHOWN_VARIATIONS = 8 };

/* 19422656 → "19,422,656" */
static const char *count_text(Arena *arena, int64_t count)
{
    const char *digits = arena_printf(arena, "%" PRId64, count);
    Text text = text_new(arena);
    size_t length = strlen(digits);
    for (size_t k = 0; k < length; k++) {
        if (k && (length - k) % 3 == 0 && digits[k - 1] != '-') text_add(&text, ",");
        text_add_bytes(&text, digits + k, 1);
    }
    return text_string(&text);
}

const char *signature_text(Arena *arena, const AstCallable *callable)
{
    const Source *source = callable->name_place.source;
    Text text = text_new(arena);
    text_add(&text, callable->is_model ? "model " : "block ");
    bool space = false, comment = false;
    for (size_t at = callable->name_place.begin; at < source->size && (comment || source->text[at] != '{'); at++) {
        char c = source->text[at];
        if (c == '#') comment = true;
        if (c == '\n') comment = false;
        if (comment) continue;
        if (strchr(" \t\r\n", c)) {
            space = true;
            continue;
        }
        if (space && text.length && !strchr(",)]", c)) text_add(&text, " ");
        space = false;
        text_add_bytes(&text, &c, 1);
    }
    return text_string(&text);
}

/* --- values -------------------------------------------------------------------------------------------------------------- */

static const char *value_text(Arena *arena, const Value *value)
{
    Text text = text_new(arena);
    if (value->kind == VALUE_TENSOR) text_printf(&text, "%s%s", element_type_name(value->tensor->type), extents_text(arena, value->tensor));
    else if (value->kind == VALUE_ELEMENT) text_add(&text, "one element");
    else if (value->kind == VALUE_TUPLE) {
        for (int k = 0; k < value->count; k++) text_printf(&text, "%s%s", k ? ", " : "", value_text(arena, &value->items[k]));
    } else value_print(value, &text);
    return text_string(&text);
}

static const char *binding_text(Arena *arena, const Symbol *symbol, const Value *value, bool index)
{
    const char *text = value_text(arena, value);
    if (index) return arena_printf(arena, "%s < %s", symbol->name, text);
    bool shaped = value->kind == VALUE_TENSOR || value->kind == VALUE_ELEMENT;
    return arena_printf(arena, shaped ? "%s: %s" : "%s = %s", symbol->name, text);
}

/* How a size came about, first in the words of its block, then in those of the callers. */
static const char *whole_story(Arena *arena, const Origin *origin, const Source *near)
{
    Text text = text_new(arena);
    for (int depth = 0; origin && depth < 4; depth++, origin = origin->kind == ORIGIN_PATTERN ? origin->caller : NULL)
        text_add(&text, origin_story(arena, origin, near));
    return text_string(&text);
}

static void add_stories(Arena *arena, Text *out, const Value *value, const Source *near)
{
    if (value->kind == VALUE_NUMBER && value->origin) {
        const char *story = whole_story(arena, value->origin, near);
        if (strlen(story) > 2) text_printf(out, "\n%s\n", story + 2);
    }
    bool first = true;
    for (int axis = 0; value->kind == VALUE_TENSOR && value->axes && axis < value->tensor->rank; axis++) {
        const char *story = whole_story(arena, value->axes[axis], near);
        if (strlen(story) <= 2) continue;
        text_printf(out, "%s- axis %d, %" PRId64 ": %s\n", first ? "\n" : "", axis, value->tensor->extents[axis], story + 2);
        first = false;
    }
}

static void add_calls(Text *out, const Variation *variation)
{
    if (!*variation->last) return;
    if (variation->count == 1) text_printf(out, " in `%s`", variation->path);
    else text_printf(out, " in %d calls, `%s` … `%s`", variation->count, variation->path, variation->last);
}

/* --- names bound in a block ---------------------------------------------------------------------------------------------- */

/* What callers give stands at one place in each of them: one fact of it all. */
static Fact *merged(Arena *arena, const Facts *facts)
{
    Fact *all = arena_new_object(arena, Fact);
    for (int k = 0; k < facts->count; k++)
        for (int i = 0; i < facts->data[k]->variations.count; i++) {
            const Variation *one = &facts->data[k]->variations.data[i];
            int known = 0;
            while (known < all->variations.count && !value_alike(&all->variations.data[known].value, &one->value)) known++;
            all->last = facts->data[k]->last;
            if (known == all->variations.count) {
                list_push(arena, &all->variations, *one);
                continue;
            }
            all->variations.data[known].count += one->count;
            all->variations.data[known].last = one->last;
        }
    return all;
}

/* The fact of one definition: of the same place, or in a text that changed since, the one as many definitions from the first. */
static const Fact *fact_of(Arena *arena, const Symbol *symbol, Place definition, const Facts *facts)
{
    bool index = symbol->kind == SYMBOL_INDEX;
    if (symbol->kind == SYMBOL_OPTION || symbol->kind == SYMBOL_SIZE) return merged(arena, facts);
    int ordinal = 0, seen = 0;
    const Fact *last = NULL;
    for (int k = 0; k < facts->count; k++)
        if (facts->data[k]->index == index && facts->data[k]->place.begin == definition.begin) return facts->data[k];
    for (int k = 0; k < symbol->definitions.count; k++) ordinal += symbol->definitions.data[k].place.begin < definition.begin;
    for (int k = 0; k < facts->count && seen <= ordinal; k++) {
        if (facts->data[k]->index != index) continue;
        last = facts->data[k];
        seen++;
    }
    return last;
}

static const Fact *find_fact(Server *server, Document *document, const Symbol *symbol, Place definition)
{
    const Facts *facts = NULL;
    for (int k = -1; k < server->documents.count && !facts; k++) {
        const Document *other = k < 0 ? document : server->documents.data[k];
        facts = analysis_facts(other->now, symbol);
        if (!facts) facts = analysis_facts(other->good, symbol);
    }
    return facts ? fact_of(server->scratch, symbol, definition, facts) : NULL;
}

const char *symbol_summary(Server *server, Document *document, const Symbol *symbol)
{
    const Fact *fact = find_fact(server, document, symbol, symbol->definitions.data[symbol->definitions.count - 1].place);
    return fact ? value_text(server->scratch, &fact->last) : "";
}

static void add_weight(Arena *arena, Text *out, const Symbol *symbol, const Fact *fact)
{
    const AstStatement *statement = symbol->statement;
    if (statement && statement->initial.name) {
        Place place = statement->initial.place;
        text_printf(out, "\ndrawn `%.*s` when fresh\n", (int)(place.end - place.begin), place.source->text + place.begin);
    }
    for (int k = 0; fact && k < fact->variations.count; k++) /* a text that changed since may have other names */
        if (fact->variations.data[k].value.kind != VALUE_TENSOR) return;
    if (!fact || fact->last.kind != VALUE_TENSOR || !fact->last.tensor->path) return;
    int64_t count = 0;
    const char *first = fact->variations.data[0].value.tensor->path, *last = fact->last.tensor->path;
    bool several = first && strcmp(first, last) != 0;
    for (int k = 0; k < fact->variations.count; k++) count += tensor_count(fact->variations.data[k].value.tensor) * fact->variations.data[k].count;
    text_printf(out, "\nin the checkpoint `%s`", first ? first : last);
    if (several) text_printf(out, " … `%s`", last);
    text_printf(out, "; %s numbers%s\n", count_text(arena, count), several ? " in all" : "");
}

static void hover_bound(Server *server, Document *document, const Symbol *symbol, Place definition, Text *out)
{
    Arena *arena = server->scratch;
    const Fact *fact = find_fact(server, document, symbol, definition);
    bool index = symbol->kind == SYMBOL_INDEX, one = fact && fact->variations.count == 1;
    const Variation *variations = fact ? fact->variations.data : NULL;
    text_printf(out, "```gm\n%s\n```\n%s", one ? binding_text(arena, symbol, &variations[0].value, index) : symbol->name, symbol_kind_name(symbol->kind));
    if (symbol->callable) text_printf(out, " of %s `%s`", symbol->callable->is_model ? "model" : "block", symbol->callable->name);
    if (one) add_calls(out, &variations[0]);
    text_add(out, "\n");
    if (one) add_stories(arena, out, &variations[0].value, definition.source);
    if (fact && !one && symbol->kind == SYMBOL_COUNTER)
        text_printf(out, "\nfrom %s to %s\n", value_text(arena, &variations[0].value), value_text(arena, &fact->last));
    else
        for (int k = 0; fact && !one && k < fact->variations.count && k < SHOWN_VARIATIONS; k++) {
            text_printf(out, "%s- `%s`", k ? "" : "\n", binding_text(arena, symbol, &variations[k].value, index));
            add_calls(out, &variations[k]);
            text_add(out, "\n");
        }
    int more = fact ? fact->variations.count + fact->others - SHOWN_VARIATIONS : 0;
    if (more > 0 && symbol->kind != SYMBOL_COUNTER) text_printf(out, "- and %d more\n", more);
    if (symbol->kind == SYMBOL_WEIGHT) add_weight(arena, out, symbol, fact);
    if (!fact && symbol->value) text_printf(out, "\n`%s = %s` as written; no open model uses it\n", symbol->name, expr_text(arena, symbol->value));
    else if (!fact && symbol->callable) text_add(out, "\nno open model says more\n");
}

/* --- blocks and models --------------------------------------------------------------------------------------------------- */

static bool within(const Frame *frame, const Frame *outer)
{
    while (frame && frame != outer) frame = frame->up;
    return frame != NULL;
}

/* Parameters and multiply-adds of one call. MACs -1: not known, the model has errors. */
static void frame_cost(const Run *run, const Frame *frame, int64_t *parameters, int64_t *macs)
{
    const Module *module = run->model ? run->model->module : NULL;
    *parameters = 0;
    *macs = module ? 0 : -1;
    for (int k = 0; k < run->weights.count; k++) {
        const WeightFact *weight = &run->weights.data[k];
        const char *drawn = weight->tensor->initial.name;
        if (within(weight->frame, frame) && (!drawn || strcmp(drawn, "measured"))) *parameters += tensor_count(weight->tensor);
    }
    for (int k = 0; module && k < module->equations.count; k++)
        if (within(module->equations.data[k]->frame, frame)) *macs += equation_cost(module->equations.data[k]).macs;
}

static void add_cost(Arena *arena, Text *out, int64_t parameters, int64_t macs)
{
    text_printf(out, "%s parameter%s", count_text(arena, parameters), parameters == 1 ? "" : "s");
    if (macs >= 0) text_printf(out, ", %s multiply-adds", count_text(arena, macs));
}

/* Calls that are alike in arguments, result and cost. */
typedef struct {
    const char *line, *first, *last;
    int count;
} AlikeCalls;

static const char *call_line(Arena *arena, const Analysis *analysis, const CallFact *call)
{
    int64_t parameters, macs;
    Text text = text_new(arena);
    frame_cost(&analysis->runs.data[call->run], call->frame, &parameters, &macs);
    text_printf(&text, "`%s`", call->frame->call ? call->frame->call : "");
    if (call->result->kind != VALUE_POISON) text_printf(&text, " → `%s`", value_text(arena, call->result));
    text_add(&text, ": ");
    add_cost(arena, &text, parameters, macs);
    return text_string(&text);
}

static bool at_place(const CallFact *call, Place place)
{
    return call->place.begin == place.begin && call->place.end == place.end && !strcmp(call->place.source->name, place.source->name);
}

/* The calls at a place; place.source NULL: all. */
static void hover_calls(Arena *arena, Text *out, const Analysis *analysis, const CallFacts *calls, Place place)
{
    enum { COSTED = 100 }; /* a cost is summed over the whole model */
    LIST(AlikeCalls) groups = {0};
    int costed = 0, left_out = 0;
    for (int k = 0; k < calls->count; k++) {
        const CallFact *call = &calls->data[k];
        if (place.source && !at_place(call, place)) continue;
        if (!call->frame) {
            text_printf(out, "\nan element function: `%s` here\n", value_text(arena, call->result));
            return;
        }
        if (costed++ >= COSTED) {
            left_out++;
            continue;
        }
        const char *line = call_line(arena, analysis, call);
        int same = 0;
        while (same < groups.count && strcmp(groups.data[same].line, line)) same++;
        if (same == groups.count) list_push(arena, &groups, (AlikeCalls){line, call->frame->path, call->frame->path, 0});
        groups.data[same].last = call->frame->path;
        groups.data[same].count++;
    }
    for (int k = 0; k < groups.count; k++) {
        const AlikeCalls *group = &groups.data[k];
        if (k >= SHOWN_VARIATIONS) {
            left_out += group->count;
            continue;
        }
        text_printf(out, "%s- %s%s", k ? "" : "\n", group->line, group->count > 1 ? " each" : "");
        if (group->count > 1) text_printf(out, "; %d calls, `%s` … `%s`", group->count, group->first, group->last);
        else if (*group->first) text_printf(out, "; `%s`", group->first);
        text_add(out, "\n");
    }
    if (left_out) text_printf(out, "- and %d more calls\n", left_out);
}

static void hover_model(Arena *arena, Text *out, const Analysis *analysis, const Symbol *symbol)
{
    for (int k = 0; analysis && k < analysis->runs.count; k++) {
        const Run *run = &analysis->runs.data[k];
        const Module *module = run->model ? run->model->module : NULL;
        if (!module || strcmp(module->name, symbol->name)) continue;
        Cost cost = module_cost(module);
        text_add(out, "\n");
        add_cost(arena, out, cost.parameters, cost.macs);
        text_printf(out, ", %s operations\n\n`%s`\n", count_text(arena, cost.flops), module->parameters);
    }
}

static void hover_block(Server *server, Document *document, const Occurrence *occurrence, Text *out)
{
    Arena *arena = server->scratch;
    const Symbol *symbol = occurrence->symbol;
    text_printf(out, "```gm\n%s\n```\n", signature_text(arena, symbol->callable));
    if (symbol->declaration->doc) text_printf(out, "%s\n", symbol->declaration->doc);
    if (symbol->file != document_names(document)->file) text_printf(out, "\n%s\n", symbol->file->source->name);
    if (symbol->kind == SYMBOL_MODEL) {
        hover_model(arena, out, document->now && document->now->right ? document->now : document->good, symbol);
        return;
    }
    Place place = occurrence->call ? occurrence->call->place : (Place){0};
    const CallFacts *here = place.source ? analysis_calls(document->now, symbol) : NULL;
    if (here) {
        size_t before = out->length;
        hover_calls(arena, out, document->now, here, place);
        if (out->length > before) return;
    }
    for (int k = -1; k < server->documents.count; k++) {
        const Document *other = k < 0 ? document : server->documents.data[k];
        const Analysis *analysis = analysis_calls(other->now, symbol) ? other->now : other->good;
        const CallFacts *calls = analysis_calls(analysis, symbol);
        if (!calls) continue;
        hover_calls(arena, out, analysis, calls, (Place){0});
        return;
    }
}

static void hover_import(Arena *arena, Document *document, const Occurrence *occurrence, Text *out)
{
    const Analysis *analysis = document->now;
    const Model *model = analysis->runs.data[0].model;
    for (int k = 0; k < model->imports.count; k++) {
        const AstFile *file = model->imports.data[k].to;
        if (model->imports.data[k].declaration != occurrence->import || !file) continue;
        text_printf(out, "%s\n\n```gm\n", file->source->name);
        for (int i = 0; i < file->declarations.count; i++) {
            const AstDeclaration *declaration = file->declarations.data[i];
            if (declaration->kind == DECLARE_IMPORT) text_printf(out, "import \"%s\"\n", declaration->import);
            if (declaration->kind == DECLARE_CALLABLE && declaration->callable) text_printf(out, "%s\n", signature_text(arena, declaration->callable));
        }
        text_add(out, "```\n");
        return;
    }
}

/* --- the request --------------------------------------------------------------------------------------------------------- */

/* The word at a position, where it is no name: keywords, functions, initialisers. */
static bool language_word_at(Arena *arena, const Source *source, size_t offset, LanguageWord *word, Place *place)
{
    const char *text = source->text;
    size_t begin = offset, end = offset;
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    while (begin > 0 && text[begin - 1] && strchr(letters, text[begin - 1])) begin--;
    while (end < source->size && text[end] && strchr(letters, text[end])) end++;
    *place = (Place){source, begin, end};
    size_t before = begin, after = end;
    while (before > 0 && strchr(" \t", text[before - 1])) before--;
    while (after < source->size && strchr(" \t", text[after])) after++;
    const char *name = arena_strndup(arena, text + begin, end - begin), *kind = NULL;
    bool drawn = before > 0 && text[before - 1] == '~';
    if (drawn) return language_word_find(name, "initialiser", word) || language_word_find(name, "hint", word);
    if (before > 0 && text[before - 1] == ':') kind = "type";
    if (after < source->size && text[after] == '[' && language_word_find(name, "reduction", word)) return true;
    return *name && language_word_find(name, kind, word) && strcmp(word->kind, "initialiser") != 0;
}

json_t *request_hover(Server *server, Document *document, json_t *params)
{
    Arena *arena = server->scratch;
    size_t offset = position_offset(server, document->source, json_object_get(params, "position"));
    const Occurrence *occurrence = occurrence_at(document_names(document), offset);
    const Symbol *symbol = occurrence ? occurrence->symbol : NULL;
    Text out = text_new(arena);
    LanguageWord word;
    Place place = occurrence ? occurrence->place : (Place){0};
    if (symbol && (symbol->kind == SYMBOL_BLOCK || symbol->kind == SYMBOL_MODEL)) hover_block(server, document, occurrence, &out);
    else if (symbol) hover_bound(server, document, symbol, symbol_definition(symbol, offset), &out);
    else if (occurrence && occurrence->import) hover_import(arena, document, occurrence, &out);
    else if (language_word_at(arena, document->source, offset, &word, &place)) text_printf(&out, "```gm\n%s\n```\n%s: %s\n", word.synopsis, word.kind, word.help);
    if (!out.length) return NULL;
    return json_pack("{s:{s:s, s:s}, s:o}", "contents", "kind", server->markdown ? "markdown" : "plaintext", "value", text_string(&out), "range",
                     range_json(server, (Place){document->source, place.begin, place.end}));
}
