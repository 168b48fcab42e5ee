/* Timing a compiled model. */
#include "commands/benchmark.h"

#include "commands/inputs.h"
#include "commands/compiled.h"
#include "commands/peak.h"
#include "emit_c/blob.h"
#include "gm_memory.h"
#include "gm_pool.h"
#include "support/bug.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RUNS = 2000, FEWEST_RUNS = 5, BLOCK_NS = 10000000 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct {
    const gm_model *model;
    void *weights, *image, *memory;
    size_t image_bytes, memory_bytes;
    gm_executor executor;
    bool threaded;
    void **inputs, **outputs;
} Runner;

static void run_once(const Runner *r)
{
    if (r->threaded) r->model->run_on(r->weights, r->memory, &r->executor, (const void *const *)r->inputs, r->outputs);
    else r->model->run(r->weights, r->memory, (const void *const *)r->inputs, r->outputs);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[count / 2];
}

/* The machine beside the runs: at one moment, and over a few runs. */
typedef struct {
    double peak, nops;
    long switches;
} Moment;
typedef struct {
    double peak, nops; /* the lesser of before and after */
    double mean;       /* peak of the two */
    double spent;      /* milliseconds in all */
    bool preempted;
    int first, runs;
} Span;

/* One thread's look. */
typedef struct {
    const Target *target;
    double peak[MOST_THREADS], nops[MOST_THREADS];
} Looks;

static void look(void *argument, int index)
{
    Looks *looks = argument;
    looks->peak[index] = peak_gflops(looks->target, 1);
    looks->nops[index] = nop_rate();
}

/* Every thread looks at its own core at the same time: the peak of them all, the slowest no-operations. */
static Moment moment(const Runner *runner, const Target *target, long threads)
{
    Looks looks = {.target = target};
    if (runner->threaded) runner->executor.parallel_for(runner->executor.context, (int)threads, look, &looks);
    else look(&looks, 0);
    Moment now = {.nops = looks.nops[0], .switches = switches()};
    for (long i = 0; i < threads; i++) now.peak += looks.peak[i], now.nops = fmin(now.nops, looks.nops[i]);
    return now;
}

/* Runs for about `seconds` in short spans, with a look at the machine between them. Returns the number of spans. */
static int run_spans(const Runner *runner, const Target *target, double seconds, long threads, double *times, Span *spans)
{
    int runs = 0, count = 0;
    for (int i = 0; i < 2; i++) run_once(runner);
    double begin = now_ns();
    Moment before = moment(runner, target, threads);
    while (runs < MOST_RUNS && (runs < FEWEST_RUNS || now_ns() - begin < seconds * 1e9)) {
        double start = now_ns();
        Span *span = &spans[count++];
        span->first = runs;
        while (runs < MOST_RUNS && now_ns() - start < BLOCK_NS) {
            double from = now_ns();
            run_once(runner);
            times[runs++] = (now_ns() - from) * 1e-6;
        }
        double spent = now_ns() - start;
        long lost = switches() - before.switches;
        Moment after = moment(runner, target, threads);
        *span = (Span){fmin(before.peak, after.peak), fmin(before.nops, after.nops), (before.peak + after.peak) / 2, spent * 1e-6, lost > 0, span->first, runs - span->first};
        before = (Moment){after.peak, after.nops, switches()};
    }
    return count;
}

/* The best of a measurement that has outliers: its 95th percentile. */
static double best(Arena *arena, const Span *spans, int count, bool nops)
{
    double *values = arena_new_array(arena, double, (size_t)count);
    for (int i = 0; i < count; i++) values[i] = nops ? spans[i].nops : spans[i].peak;
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[(count - 1) * 95 / 100];
}

static Timing measure(Arena *arena, const Runner *runner, const Target *target, double seconds, long threads, double macs)
{
    double *times = arena_new_array(arena, double, MOST_RUNS), *quiet = arena_new_array(arena, double, MOST_RUNS), *shares = arena_new_array(arena, double, MOST_RUNS);
    Span *spans = arena_new_array(arena, Span, MOST_RUNS);
    Timing timing = {.form = target->name};
    int count = run_spans(runner, target, seconds, threads, times, spans);
    timing.peak = best(arena, spans, count, false);
    double nops = 0.85 * best(arena, spans, count, true), peak = 0.93 * timing.peak;
    for (int i = 0; i < count; i++) {
        const Span *span = &spans[i];
        timing.runs += span->runs;
        shares[i] = 200e-6 * macs * span->runs / span->spent / span->mean;
        if (span->preempted || span->nops < nops || span->peak < peak) continue;
        memcpy(quiet + timing.quiet_runs, times + span->first, (size_t)span->runs * sizeof *times);
        timing.quiet_runs += span->runs;
    }
    timing.quiet = timing.quiet_runs < FEWEST_RUNS ? 0 : median(quiet, timing.quiet_runs);
    timing.beside = median(shares, count);
    timing.median = median(times, timing.runs);
    timing.fastest = times[0];
    timing.low = times[timing.runs / 4];
    timing.high = times[timing.runs * 3 / 4];
    return timing;
}

static void give_memory_back(Runner *r)
{
    gm_memory_delete(r->image, r->image_bytes);
    gm_memory_delete(r->memory, r->memory_bytes);
}

/* Weights and arena where a host has them that wants the last percent. */
static bool take_memory(Runner *r, const Plan *plan, const unsigned char *payload, Diagnostics *diags)
{
    unsigned char *image = blob_build(plan, payload, NULL, 0, &r->image_bytes);
    r->memory_bytes = r->model->arena_bytes + 64; /* even without an arena */
    r->image = gm_memory_new(r->image_bytes);
    r->memory = gm_memory_new(r->memory_bytes);
    bool fits = r->image && r->memory;
    if (fits) memcpy(r->image, image, r->image_bytes);
    else {
        diag_error(diags, GM158, (Place){0}, "out of memory: the model needs %zu bytes of weights and an arena of %zu", r->image_bytes, r->model->arena_bytes);
        give_memory_back(r);
    }
    free(image);
    return fits;
}

bool benchmark(Arena *arena, const PipelineRequest *request, const WeightRequest *weights, double seconds, long threads, Timing *timing, Diagnostics *diags)
{
    Pipeline pipeline;
    CompiledModel compiled = {0};
    Model *counted = model_load(arena, &request->model, diags);
    if (!counted || !counted->module || !pipeline_run(arena, request, &pipeline, diags)) return false;
    WeightValues *values = weights && weights->path ? weights_load(arena, pipeline.model, weights, diags) : weights_random(arena, pipeline.module, 1);
    unsigned char *payload = values ? weights_pack(pipeline.plan, values, diags) : NULL;
    if (!payload || !compiled_load(arena, &pipeline, backend_of(request->stop), &compiled, diags)) {
        free(payload);
        return false;
    }
    const gm_model *model = compiled.model;
    Runner runner = {.model = model, .weights = arena_alloc(arena, model->weights_bytes)};
    bool fits = take_memory(&runner, pipeline.plan, payload, diags);
    free(payload);
    if (!fits) {
        compiled_unload(&compiled);
        return false;
    }
    int status = model->bind(runner.weights, runner.image, runner.image_bytes);
    if (status == GM_OK) {
        runner.inputs = random_inputs(arena, counted->module, 1);
        runner.outputs = output_arrays(arena, pipeline.module);
        gm_pool *pool = threads > 1 ? gm_pool_new((int)threads) : NULL;
        runner.threaded = pool != NULL;
        if (pool) runner.executor = *gm_pool_executor(pool);
        const char *form = model->form(runner.weights);
        const Target *target = NULL;
        for (int i = 0; i < pipeline.targets.count; i++)
            if (strcmp(pipeline.targets.forms[i]->name, form) == 0) target = pipeline.targets.forms[i];
        Cost cost = module_cost(counted->module);
        *timing = measure(arena, &runner, target, seconds, threads, (double)cost.macs);
        timing->cost = cost;
        timing->gflops = 2e-6 * (double)timing->cost.macs / timing->median;
        timing->percent = 100 * timing->gflops / timing->peak;
        if (timing->quiet > 0) timing->quiet_percent = timing->percent * timing->median / timing->quiet;
        timing->batch = pipeline.module->batch;
        timing->arena_bytes = pipeline.plan->arena_bytes;
        timing->weight_bytes = pipeline.plan->blob_bytes;
        if (pool) gm_pool_free(pool);
    } else if (status == GM_ERROR_CPU) {
        diag_error(diags, GM174, (Place){0}, "%s", gm_status_text(status));
    } else {
        bug("the compiled model refuses the weights packed for it: %s", gm_status_text(status));
    }
    give_memory_back(&runner);
    compiled_unload(&compiled);
    return status == GM_OK;
}

