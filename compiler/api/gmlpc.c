/* The library's functions over the pipeline. */
#include "api/gmlpc.h"

#include "commands/compiled.h"
#include "emit_c/blob.h"
#include "support/bug.h"
#include "weights/weights.h"

#include <stdlib.h>

struct gm_compiled {
    Arena *arena;
    Diagnostics *diags;
    Pipeline pipeline;
    CompiledModel loaded;
    unsigned char *image;
    size_t image_bytes;
    const char *messages;
};

static bool pack(gm_compiled *c, const gm_compile_options *options)
{
    if (!options->weights && !options->random) return true;
    WeightRequest request = {.path = options->weights, .bind = options->bind};
    WeightValues *values = options->weights ? weights_load(c->arena, c->pipeline.model, &request, c->diags)
                                            : weights_random(c->arena, c->pipeline.module, options->seed);
    unsigned char *payload = values ? weights_pack(c->pipeline.plan, values, c->diags) : NULL;
    if (payload) c->image = blob_build(c->pipeline.plan, payload, NULL, 0, &c->image_bytes);
    free(payload);
    return c->image != NULL;
}

static void compile(gm_compiled *c, const char *text, const gm_compile_options *options)
{
    Backend backend;
    if (!backend_find(options->backend, &backend, c->diags)) return;
    PipelineRequest request = {.target = options->target ? options->target : target_native(), .stop = backend_stage(backend)};
    request.model = (ModelRequest){.path = options->name ? options->name : "model.gm", .text = text, .model = options->model};
    for (int i = 0; i < options->set_count; i++) list_push(c->arena, &request.model.sets, options->sets[i]);
    if (!pipeline_run(c->arena, &request, &c->pipeline, c->diags) || !pack(c, options)) return;
    compiled_load(c->arena, &c->pipeline, backend, &c->loaded, c->diags);
}

gm_compiled *gm_compile(const char *text, const gm_compile_options *options)
{
    Arena *arena = arena_new();
    gm_compiled *c = arena_new_object(arena, gm_compiled);
    *c = (gm_compiled){.arena = arena, .diags = diagnostics_new(arena)};
    compile(c, text, options ? options : &(gm_compile_options){0});
    Text messages = text_new(arena);
    diagnostics_print(c->diags, &messages, false);
    c->messages = text_string(&messages);
    return c;
}

const gm_model *gm_compiled_model(const gm_compiled *compiled)
{
    return compiled->loaded.model;
}

const void *gm_compiled_weights(const gm_compiled *compiled, size_t *bytes)
{
    if (bytes) *bytes = compiled->image_bytes;
    return compiled->image;
}

const char *gm_compiled_messages(const gm_compiled *compiled)
{
    return compiled->messages;
}

void gm_compiled_free(gm_compiled *compiled)
{
    if (!compiled) return;
    compiled_unload(&compiled->loaded);
    free(compiled->image);
    arena_free(compiled->arena);
}
