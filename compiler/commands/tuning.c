/* Timing one kernel with several tiles; see tuning.h. */
#include "commands/tuning.h"

#include "commands/inputs.h"
#include "commands/peak.h"
#include "emit_c/blob.h"
#include "loop/tile.h"
#include "support/bug.h"
#include "weights/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_ROUNDS = 5, MOST_ROUNDS = 60, SLOT_NS = 4000000, SLOT_RUNS = 400 };
static const double LEAST_GAIN = 0.02;

/* --- what there is to tune ---------------------------------------------------------------------------------------------- */
static void count_calls(const Step *step, const Kernel *kernel, int64_t times, int64_t *calls)
{
    if (step->kind == STEP_CALL) *calls += step->kernel == kernel ? times : 0;
    else
        for (int i = 0; i < step->steps.count; i++) count_calls(step->steps.data[i], kernel, times * step->count, calls);
}

static int heavier(const void *a, const void *b)
{
    double x = ((const TunedShape *)a)->macs, y = ((const TunedShape *)b)->macs;
    return (x < y) - (x > y);
}

static void add_kernel(Tuning *t, const LoopKernel *loops)
{
    int64_t calls = 0;
    if (!loops->tile) return;
    for (int i = 0; i < t->pipeline.plan->steps.count; i++) count_calls(t->pipeline.plan->steps.data[i], loops->kernel, 1, &calls);
    double macs = (double)loops->kernel->macs * (double)calls;
    for (int i = 0; i < t->shapes.count; i++) {
        if (strcmp(t->shapes.data[i].tile->shape, loops->tile->shape) != 0) continue;
        t->shapes.data[i].calls += calls; /* the first kernel of a shape stands for all */
        t->shapes.data[i].macs += macs;
        return;
    }
    list_push(t->arena, &t->shapes, (TunedShape){.tile = loops->tile, .kernel = loops->kernel, .calls = calls, .macs = macs});
}

bool tuning_open(Arena *arena, const PipelineRequest *request, Backend backend, Tuning *tuning, Diagnostics *diags)
{
    *tuning = (Tuning){.arena = arena, .request = *request, .backend = backend};
    tuning->request.stop = STAGE_LOOPS;
    if (!pipeline_run(arena, &tuning->request, &tuning->pipeline, diags)) return false;
    tuning->request.stop = backend_stage(backend);
    const LoopForm *form = tuning->pipeline.loops->forms.data[0];
    for (int i = 0; i < form->kernels.count; i++) add_kernel(tuning, form->kernels.data[i]);
    if (tuning->shapes.count) qsort(tuning->shapes.data, (size_t)tuning->shapes.count, sizeof *tuning->shapes.data, heavier);
    tuning->payload = weights_pack(tuning->pipeline.plan, weights_random(arena, tuning->pipeline.module, 1), diags);
    return tuning->payload != NULL;
}

void tuning_close(Tuning *tuning)
{
    free(tuning->payload);
    tuning->payload = NULL;
}

/* --- a kernel alone ------------------------------------------------------------------------------------------------------ */
static const Step *first_call(const Step *step, const Kernel *kernel)
{
    if (step->kind == STEP_CALL) return step->kernel == kernel ? step : NULL;
    const Step *found = NULL;
    for (int i = 0; i < step->steps.count && !found; i++) found = first_call(step->steps.data[i], kernel);
    return found;
}

/* The same plan, whose only step is the first call of the kernel. */
static Plan *plan_of(const Tuning *t, const Kernel *kernel)
{
    Plan *plan = arena_new_object(t->arena, Plan);
    *plan = *t->pipeline.plan;
    Kernel *only = arena_new_object(t->arena, Kernel);
    *only = *kernel;
    only->id = 0;
    const Step *call = NULL;
    for (int i = 0; i < plan->steps.count && !call; i++) call = first_call(plan->steps.data[i], kernel);
    if (!call) bug("tune: kernel %s is never called", kernel->name);
    Step *step = arena_new_object(t->arena, Step);
    *step = *call;
    step->kernel = only;
    memset(&plan->kernels, 0, sizeof plan->kernels);
    memset(&plan->steps, 0, sizeof plan->steps);
    list_push(t->arena, &plan->kernels, only);
    list_push(t->arena, &plan->steps, step);
    return plan;
}

typedef struct {
    Pipeline pipeline;
    CompiledModel compiled;
    unsigned char *image;
    void *weights, *memory;
    void **inputs, **outputs;
    double ms[MOST_ROUNDS], ratios[MOST_ROUNDS];
} Entrant;

static bool prepare(Tuning *t, const TunedShape *shape, const Contender *size, Entrant *x, Diagnostics *diags)
{
    const Target *target = t->pipeline.targets.forms[0];
    x->pipeline = t->pipeline;
    x->pipeline.plan = plan_of(t, shape->kernel);
    x->pipeline.plan->tiles = arena_new_object(t->arena, Tiles);
    TileChoice choice = {.target = target->name, .shape = shape->tile->shape, .height = size->height, .width = size->width, .groups = size->groups};
    list_push(t->arena, &x->pipeline.plan->tiles->list, choice);
    if (!pipeline_finish(&t->request, &x->pipeline, diags) || !compiled_load(t->arena, &x->pipeline, t->backend, &x->compiled, diags)) return false;
    const gm_model *model = x->compiled.model;
    size_t size_bytes = 0;
    x->image = blob_build(x->pipeline.plan, t->payload, NULL, 0, &size_bytes);
    x->weights = arena_alloc(t->arena, model->weights_bytes + 1);
    x->memory = aligned_alloc(64, (model->arena_bytes + 127) / 64 * 64);
    if (!x->image || !x->memory) {
        diag_error(diags, GM120, (Place){0}, "out of memory");
        return false;
    }
    int status = model->bind(x->weights, x->image, size_bytes);
    if (status != GM_OK) {
        diag_error(diags, GM174, (Place){0}, "%s", gm_status_text(status));
        return false;
    }
    memset(x->memory, 0, model->arena_bytes);
    x->inputs = random_inputs(t->arena, t->pipeline.module, 1);
    x->outputs = output_arrays(t->arena, t->pipeline.module);
    return true;
}

static void release(Entrant *x)
{
    compiled_unload(&x->compiled);
    free(x->image);
    free(x->memory);
}

/* --- slots and rounds ---------------------------------------------------------------------------------------------------- */
static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, int count, int percent)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[(count - 1) * percent / 100];
}

/* Milliseconds of a run: the median of a short slot, after one that warms. */
static double run_slot(const Entrant *x)
{
    double times[SLOT_RUNS], begin = now_ns();
    int count = 0;
    const void *const *inputs = (const void *const *)x->inputs;
    x->compiled.model->run(x->weights, x->memory, inputs, x->outputs);
    while (count < SLOT_RUNS && (count < 3 || now_ns() - begin < SLOT_NS)) {
        double from = now_ns();
        x->compiled.model->run(x->weights, x->memory, inputs, x->outputs);
        times[count++] = 1e-6 * (now_ns() - from);
    }
    return quantile(times, count, 50);
}

static int run_rounds(Entrant *list, int count, double seconds)
{
    double begin = now_ns();
    int round = 0;
    for (; round < MOST_ROUNDS && (round < LEAST_ROUNDS || now_ns() - begin < seconds * 1e9); round++) {
        for (int i = 0; i < count; i++) {
            Entrant *x = &list[(i * (round % 2 ? count - 1 : 1) + round) % count]; /* turned around and moved on every time */
            x->ms[round] = run_slot(x);
        }
        for (int i = 0; i < count; i++) list[i].ratios[round] = list[i].ms[round] / list[0].ms[round];
    }
    return round;
}

static void judge(TunedShape *shape, Entrant *list, int rounds)
{
    for (int i = 0; i < shape->count; i++) {
        Contender *c = &shape->contenders[i];
        c->ms = quantile(list[i].ms, rounds, 50);
        c->ratio = quantile(list[i].ratios, rounds, 50);
        c->high = quantile(list[i].ratios, rounds, 75);
    }
    shape->noise = fabs(shape->contenders[1].ratio - 1);
    double least = 1 - fmax(LEAST_GAIN, 2 * shape->noise);
    for (int i = 2; i < shape->count; i++) {
        const Contender *c = &shape->contenders[i];
        if (c->high >= 1 || c->ratio >= least) continue;
        least = c->ratio;
        shape->best = i;
    }
}

/* The cost model's choice twice, its neighbours, and its choice with rows in more or fewer groups. */
static void list_contenders(const Tuning *t, TunedShape *shape)
{
    enum { SIZES = 5 };
    const LoopTile *tile = shape->tile;
    TileSize sizes[SIZES];
    shape->count = 0;
    for (int twice = 0; twice < 2; twice++) shape->contenders[shape->count++] = (Contender){.height = tile->height, .width = tile->width, .groups = tile->groups};
    int count = tile_candidates(t->pipeline.targets.forms[0], tile->rows, tile->columns, tile->steps, tile->panel, sizes, SIZES);
    for (int i = 0; i < count; i++)
        if (sizes[i].height != tile->height || sizes[i].width != tile->width)
            shape->contenders[shape->count++] = (Contender){.height = sizes[i].height, .width = sizes[i].width, .groups = tile->groups};
    for (int groups = tile->groups > 1 ? tile->groups / 2 : 2, k = 0; tile->grouped && k < 2; k++, groups = tile->groups * 2)
        if (groups != tile->groups && (k == 0 || tile->groups > 1))
            shape->contenders[shape->count++] = (Contender){.height = tile->height, .width = tile->width, .groups = groups};
}

bool tuning_measure(Tuning *t, TunedShape *shape, double seconds, Diagnostics *diags)
{
    list_contenders(t, shape);
    Entrant *list = arena_new_array(t->arena, Entrant, shape->count);
    bool good = true;
    double begin = now_ns();
    for (int i = 0; i < shape->count && good; i++) good = prepare(t, shape, &shape->contenders[i], &list[i], diags);
    if (good && shape->count > 2) judge(shape, list, run_rounds(list, shape->count, seconds - 1e-9 * (now_ns() - begin)));
    for (int i = 0; i < shape->count; i++) release(&list[i]);
    return good;
}
