/* Compiling variants, with weights and inputs; see entrant.h. Equations and loops of one after the other, since they share parsed files;
 * machine code and weights side by side: by threads where LLVM compiles, by processes where the C compiler does. */
#include "explore/entrant.h"

#include "commands/inputs.h"
#include "emit_c/blob.h"
#include "gm_pool.h"
#include "weights/weights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void release(Entrant *x)
{
    compiled_unload(&x->compiled);
    free(x->image);
    free(x->memory);
    arena_free(x->arena);
    x->image = x->memory = NULL;
    x->arena = NULL;
}

void entrants_release(Entrant *list, int count)
{
    for (int i = 0; i < count; i++) release(&list[i]);
}

static bool make_loops(Exploration *e, Entrant *x)
{
    const Sweep *sweep = e->sweep;
    x->arena = arena_new();
    PipelineRequest request = {.model = variant_request(x->arena, e, x->variant), .target = sweep->target ? sweep->target : target_native(),
                               .schedule = sweep->schedule, .stop = backend_stage(sweep->backend)};
    return pipeline_run(x->arena, &request, &x->pipeline, diagnostics_new(x->arena));
}

/* The packed weights; NULL: no memory. */
static unsigned char *make_image(const Entrant *x, size_t *size)
{
    Arena *scratch = arena_new();
    unsigned char *payload = weights_pack(x->pipeline.plan, weights_random(scratch, x->pipeline.module, 1), diagnostics_new(scratch));
    unsigned char *image = payload ? blob_build(x->pipeline.plan, payload, NULL, 0, size) : NULL;
    free(payload);
    arena_free(scratch);
    return image;
}

static bool make_code(const Sweep *sweep, Entrant *x)
{
    size_t size = 0;
    x->image = make_image(x, &size);
    if (!x->image || !compiled_load(x->arena, &x->pipeline, sweep->backend, &x->compiled, diagnostics_new(x->arena))) return false;
    const gm_model *model = x->compiled.model;
    x->weights = arena_alloc(x->arena, model->weights_bytes + 1);
    x->memory = aligned_alloc(64, (model->arena_bytes + 127) / 64 * 64);
    if (!x->memory || model->bind(x->weights, x->image, size) != GM_OK) return false;
    memset(x->memory, 0, model->arena_bytes);
    x->inputs = random_inputs(x->arena, x->pipeline.module, 1);
    x->outputs = output_arrays(x->arena, x->pipeline.module);
    return true;
}

static void fail(Entrant *x)
{
    x->variant->failure = "it could not be compiled or its memory not had";
    release(x);
}

/* With the C back end: objects are compiled into the cache by several processes first. */
static void fill_cache(const Sweep *sweep, Entrant *list, int count)
{
    if (sweep->backend != BACKEND_C || sweep->jobs < 2 || count < 2) return;
    fflush(NULL);
    int running = 0;
    for (int i = 0; i < count || running > 0;) {
        if (i < count && running < sweep->jobs) {
            const Entrant *x = &list[i++];
            if (!x->arena) continue;
            pid_t child = fork();
            if (child == 0) {
                CompiledModel compiled;
                (void)compiled_load(x->arena, &x->pipeline, BACKEND_C, &compiled, diagnostics_new(x->arena));
                _exit(0);
            }
            if (child < 0) return;
            running++;
            continue;
        }
        if (wait(NULL) < 0 && errno != EINTR) return;
        running--;
    }
}

typedef struct {
    const Sweep *sweep;
    Entrant *list;
} Preparation;

static void prepare_one(void *argument, int i)
{
    const Preparation *p = argument;
    if (p->list[i].arena && !make_code(p->sweep, &p->list[i])) fail(&p->list[i]);
}

void entrants_prepare(Exploration *e, Entrant *list, int count)
{
    const Sweep *sweep = e->sweep;
    Preparation preparation = {sweep, list};
    for (int i = 0; i < count; i++)
        if (!make_loops(e, &list[i])) fail(&list[i]);
    fill_cache(sweep, list, count);
    gm_pool *pool = sweep->backend == BACKEND_LLVM && sweep->jobs > 1 && count > 1 ? gm_pool_new((int)sweep->jobs) : NULL;
    if (pool) gm_pool_executor(pool)->parallel_for(gm_pool_executor(pool)->context, count, prepare_one, &preparation);
    for (int i = 0; i < count && !pool; i++) prepare_one(&preparation, i);
    gm_pool_free(pool);
}
