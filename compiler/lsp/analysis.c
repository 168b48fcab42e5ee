/* A text through the compiler: every model in it expanded, and what its names were bound to on the way.
 * In: a document, with the unsaved texts of others for its imports.  Out: an Analysis on an arena of its own. */
#include "lsp/server.h"

#include "support/bug.h"

#include <string.h>
#include <time.h>

enum { MOST_VARIATIONS = 12, MOST_RUNS = 16, TIME_LIMIT = 1000 };

/* --- observing ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    Analysis *analysis;
    int run;
} Observation;

/* A name within a block ("" outside of all) of a file, whichever way the file is named. */
static const char *fact_key(Arena *arena, const char *source, const char *block, const char *name)
{
    return arena_printf(arena, "%s\n%s\n%s", plain_path(arena, source), block, name);
}

bool value_alike(const Value *a, const Value *b)
{
    if (a->kind != b->kind) return false;
    if (a->kind == VALUE_NUMBER) return number_double(a->number) == number_double(b->number);
    if (a->kind == VALUE_FLAG) return a->flag == b->flag;
    if (a->kind == VALUE_STRING) return !strcmp(a->text, b->text);
    if (a->kind == VALUE_ELEMENT) return true;
    if (a->kind == VALUE_CALLABLE) return a->callable->block == b->callable->block && !strcmp(a->callable->name, b->callable->name);
    if (a->kind != VALUE_TENSOR) {
        if (a->count != b->count) return false;
        for (int k = 0; k < a->count; k++)
            if (!value_alike(&a->items[k], &b->items[k])) return false;
        return true;
    }
    if (a->tensor->type != b->tensor->type || a->tensor->rank != b->tensor->rank) return false;
    return memcmp(a->tensor->extents, b->tensor->extents, (size_t)a->tensor->rank * sizeof *a->tensor->extents) == 0;
}

static void add_variation(Arena *arena, Fact *fact, const Value *value, const char *path)
{
    fact->last = *value;
    for (int k = 0; k < fact->variations.count; k++) {
        Variation *variation = &fact->variations.data[k];
        if (!value_alike(&variation->value, value)) continue;
        if (variation->last == path || !strcmp(variation->last, path)) return; /* again within one call */
        variation->last = path;
        variation->count++;
        return;
    }
    if (fact->variations.count == MOST_VARIATIONS) fact->others++;
    else list_push(arena, &fact->variations, (Variation){*value, path, path, 1});
}

static void observe_bound(void *context, const BoundName *bound)
{
    const Observation *observation = context;
    Analysis *analysis = observation->analysis;
    Arena *arena = analysis->arena;
    const Source *source = bound->block ? bound->block->name_place.source : bound->place.source;
    if (!source) return;
    const char *key = fact_key(arena, source->name, bound->block ? bound->block->name : "", bound->name);
    Facts *facts = map_get(&analysis->facts, key);
    if (!facts) {
        facts = (Facts *)arena_alloc(arena, sizeof *facts);
        map_put(arena, &analysis->facts, key, facts);
    }
    Fact *fact = NULL;
    for (int k = 0; k < facts->count && !fact; k++)
        if (facts->data[k]->place.begin == bound->place.begin && facts->data[k]->place.source == bound->place.source) fact = facts->data[k];
    if (!fact) {
        fact = arena_new_object(arena, Fact);
        fact->place = bound->place;
        fact->index = bound->index;
        list_push(arena, facts, fact);
    }
    add_variation(arena, fact, bound->value, bound->frame ? bound->frame->path : "");
    const Tensor *tensor = bound->value->kind == VALUE_TENSOR ? bound->value->tensor : NULL;
    if (tensor && tensor->kind == TENSOR_WEIGHT && tensor->origin.begin == bound->place.begin && tensor->origin.source == bound->place.source)
        list_push(arena, &analysis->runs.data[observation->run].weights, (WeightFact){bound->frame, tensor});
}

static void observe_called(void *context, const AstCallable *block, const Frame *frame, Place place, const Value *result)
{
    const Observation *observation = context;
    Analysis *analysis = observation->analysis;
    Arena *arena = analysis->arena;
    if (!frame && result->kind == VALUE_POISON) return;
    const char *key = fact_key(arena, block->name_place.source->name, block->name, "");
    CallFacts *calls = map_get(&analysis->calls, key);
    if (!calls) {
        calls = (CallFacts *)arena_alloc(arena, sizeof *calls);
        map_put(arena, &analysis->calls, key, calls);
    }
    Value *copy = arena_new_object(arena, Value);
    *copy = *result;
    list_push(arena, calls, (CallFact){frame, copy, place, observation->run});
}

/* --- looking up ---------------------------------------------------------------------------------------------------------- */

const Facts *analysis_facts(const Analysis *analysis, const Symbol *symbol)
{
    if (!analysis) return NULL;
    Arena *scratch = arena_new();
    const char *block = symbol->callable ? symbol->callable->name : "";
    const Facts *facts = map_get(&analysis->facts, fact_key(scratch, symbol->file->source->name, block, symbol->name));
    arena_free(scratch);
    return facts;
}

const CallFacts *analysis_calls(const Analysis *analysis, const Symbol *block)
{
    if (!analysis) return NULL;
    Arena *scratch = arena_new();
    const CallFacts *calls = map_get(&analysis->calls, fact_key(scratch, block->file->source->name, block->name, ""));
    arena_free(scratch);
    return calls;
}

const FileNames *analysis_names(Analysis *analysis)
{
    if (!analysis || !analysis->runs.count) return NULL;
    const Model *model = analysis->runs.data[0].model;
    if (!model || !model->files.count) return NULL;
    if (!analysis->project) analysis->project = project_new(analysis->arena, model);
    return analysis->project->files.data[0];
}

const FileNames *document_names(Document *document)
{
    return analysis_names(document->now);
}

const Occurrence *occurrence_at(const FileNames *names, size_t offset)
{
    const Occurrence *found = NULL;
    for (int k = 0; names && k < names->occurrences.count; k++) {
        const Occurrence *occurrence = &names->occurrences.data[k];
        if (occurrence->place.begin > offset) break;
        if (offset > occurrence->place.end) continue;
        if (found && offset == found->place.end && offset > occurrence->place.begin) found = NULL;
        if (!found || occurrence->place.begin > found->place.begin) found = occurrence;
    }
    return found;
}

/* --- running ------------------------------------------------------------------------------------------------------------- */

static int milliseconds_since(const struct timespec *begin)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int)((now.tv_sec - begin->tv_sec) * 1000 + (now.tv_nsec - begin->tv_nsec) / 1000000);
}

/* What the compiler reads in place of files: a copy, for documents change while their analysis is still asked. */
typedef struct {
    const Server *server;
    Arena *arena;
} Unsaved;

static const char *unsaved_text(void *context, const char *path, size_t *size)
{
    const Unsaved *unsaved = context;
    const Document *document = document_of_path(unsaved->server, path);
    if (!document) return NULL;
    *size = document->source->size;
    return arena_strndup(unsaved->arena, document->source->text, document->source->size);
}

/* Trees of the library are made once; the text at hand may be one of its files. */
static void know_library(Server *server, Analysis *analysis)
{
    for (int k = 0; k < library_count(); k++) {
        const char *name = arena_printf(analysis->arena, "std/%s", library_name(k));
        if (!document_of_path(server, name)) map_put(analysis->arena, &analysis->parsed.files, name, library_file(server, k));
    }
}

static void run_model(Server *server, Analysis *analysis, const char *model)
{
    Observation observation = {analysis, analysis->runs.count};
    Unsaved unsaved = {server, analysis->arena};
    const ModelObserver observer = {&observation, observe_bound, observe_called};
    list_push(analysis->arena, &analysis->runs, (Run){.diags = diagnostics_new(analysis->arena)});
    ModelRequest request = {
        .path = analysis->source->name, .model = model, .parsed = &analysis->parsed, .observer = &observer, .unsaved = unsaved_text, .unsaved_context = &unsaved};
    Diagnostics *diags = analysis->runs.data[observation.run].diags;
    Model *loaded = model_load(analysis->arena, &request, diags);
    analysis->runs.data[observation.run].model = loaded;
}

static void run_models(Server *server, Analysis *analysis, const struct timespec *begin)
{
    Diagnostics *unheard = diagnostics_new(analysis->arena);
    const AstFile *file = ast_parse(analysis->arena, analysis->source, unheard);
    for (int k = 0; file && !unheard->error_count && k < file->declarations.count; k++) {
        const AstDeclaration *declaration = file->declarations.data[k];
        if (declaration->kind != DECLARE_CALLABLE || !declaration->callable || !declaration->callable->is_model) continue;
        if (analysis->runs.count == MOST_RUNS || milliseconds_since(begin) > TIME_LIMIT) break;
        run_model(server, analysis, declaration->callable->name);
    }
    if (!analysis->runs.count) run_model(server, analysis, NULL);
}

Analysis *analysis_new(Server *server, const Document *document)
{
    struct timespec begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    Arena *arena = arena_new();
    Analysis *volatile analysis = arena_new_object(arena, Analysis);
    analysis->arena = arena;
    const Source *text = document->source;
    analysis->source = source_new(arena, arena_strdup(arena, document->shown), arena_strndup(arena, text->text, text->size), text->size, false);
    analysis->parsed.arena = arena;
    know_library(server, analysis);
    BugTrap *trap = arena_new_object(arena, BugTrap);
    bug_set_trap(trap);
    if (setjmp(trap->back) == 0) {
        run_models(server, analysis, &begin);
    } else {
        analysis->fault = trap->message;
    }
    bug_set_trap(NULL);
    analysis->right = !analysis->fault;
    for (int k = 0; k < analysis->runs.count; k++) analysis->right = analysis->right && !analysis->runs.data[k].diags->error_count;
    analysis->milliseconds = milliseconds_since(&begin);
    return analysis;
}

void analysis_free(Analysis *analysis)
{
    if (analysis) arena_free(analysis->arena);
}
