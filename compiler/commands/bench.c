/* gmlpc bench MODEL.gm: how long a run takes, and how near the multiply-add peak of this machine, measured between the runs, it comes. */
#include "commands/commands.h"
#include "commands/inputs.h"
#include "commands/jit_cc.h"
#include "commands/options.h"
#include "commands/peak.h"
#include "commands/report.h"
#include "emit_c/blob.h"
#include "equation/count.h"
#include "gm_pool.h"
#include "weights/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RUNS = 2000, FEWEST_RUNS = 5 };

typedef struct {
    ModelOptions model;
    WeightRequest weights;
    double seconds;
    long threads;
    bool json;
} BenchOptions;

typedef struct {
    double median, low, high, fastest; /* milliseconds; low and high: quartiles */
    double peak;                       /* GFLOP/s of all threads' cores, the fastest seen */
    int runs;
} Timing;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct {
    const gm_model *model;
    void *weights, *memory;
    gm_executor executor;
    bool threaded;
    void **inputs, **outputs;
} Runner;

static void run_once(const Runner *r)
{
    if (r->threaded) r->model->run_on(r->weights, r->memory, &r->executor, (const void *const *)r->inputs, r->outputs);
    else r->model->run(r->weights, r->memory, (const void *const *)r->inputs, r->outputs);
}

/* Runs for about `seconds`, measuring the peak between blocks of runs, so that both see the same machine. */
static Timing measure(Arena *arena, const Runner *runner, const Target *target, double seconds, long threads)
{
    double *times = arena_new_array(arena, double, MOST_RUNS);
    Timing timing = {0};
    for (int i = 0; i < 2; i++) run_once(runner);
    double begin = now_ns();
    while (timing.runs < MOST_RUNS && (timing.runs < FEWEST_RUNS || now_ns() - begin < seconds * 1e9)) {
        double peak = peak_gflops(target, 2) * (double)threads, block = now_ns();
        if (peak > timing.peak) timing.peak = peak;
        while (timing.runs < MOST_RUNS && (timing.runs < FEWEST_RUNS || now_ns() - block < 1e8)) {
            double start = now_ns();
            run_once(runner);
            times[timing.runs++] = (now_ns() - start) * 1e-6;
        }
    }
    qsort(times, (size_t)timing.runs, sizeof *times, ascending);
    timing.fastest = times[0];
    timing.median = times[timing.runs / 2];
    timing.low = times[timing.runs / 4];
    timing.high = times[timing.runs * 3 / 4];
    return timing;
}

static void print_timing(const Pipeline *pipeline, const char *form, const BenchOptions *o, const Timing *t, Cost cost)
{
    double gflops = 2e-6 * (double)cost.macs / t->median;
    if (o->json) {
        printf("{\"model\": \"%s\", \"form\": \"%s\", \"threads\": %ld, \"runs\": %d, \"median_ms\": %.6g, \"quartile_low_ms\": %.6g, \"quartile_high_ms\": %.6g, "
               "\"fastest_ms\": %.6g, \"macs\": %lld, \"gflops\": %.6g, \"peak_gflops\": %.6g, \"percent_of_peak\": %.4g, \"arena_bytes\": %lld, \"weight_bytes\": %lld}\n",
               pipeline->module->name, form, o->threads, t->runs, t->median, t->low, t->high, t->fastest, (long long)cost.macs, gflops, t->peak,
               100 * gflops / t->peak, (long long)pipeline->plan->arena_bytes, (long long)pipeline->plan->blob_bytes);
        return;
    }
    printf("%s, %s, %ld thread%s: median %.4g ms (quartiles %.4g to %.4g, fastest %.4g, %d runs)\n", pipeline->module->name, form, o->threads, o->threads == 1 ? "" : "s",
           t->median, t->low, t->high, t->fastest, t->runs);
    printf("  %.4g GFLOP of multiply-adds: %.4g GFLOP/s, %.1f %% of the peak of %.4g GFLOP/s measured between the runs\n", 2e-9 * (double)cost.macs, gflops,
           100 * gflops / t->peak, t->peak);
    printf("  arena %lld bytes, weights %lld bytes\n", (long long)pipeline->plan->arena_bytes, (long long)pipeline->plan->blob_bytes);
}

static void bench(Arena *arena, const PipelineRequest *request, const BenchOptions *o, Diagnostics *diags)
{
    Pipeline pipeline;
    CompiledModel compiled = {0};
    Model *counted = model_load(arena, &request->model, diags);
    if (!counted || !counted->module || !pipeline_run(arena, request, &pipeline, diags)) return;
    WeightValues *values = o->weights.path ? weights_load(arena, pipeline.model, &o->weights, diags) : weights_random(arena, pipeline.module, 1);
    unsigned char *payload = values ? weights_pack(pipeline.plan, values, diags) : NULL;
    if (!payload || !compiled_load(arena, &pipeline, &compiled, diags)) {
        free(payload);
        return;
    }
    size_t size = 0;
    unsigned char *image = blob_build(pipeline.plan, payload, NULL, 0, &size);
    free(payload);
    const gm_model *model = compiled.model;
    Runner runner = {.model = model, .weights = arena_alloc(arena, model->weights_bytes), .memory = aligned_alloc(64, (model->arena_bytes + 127) / 64 * 64)};
    int status = model->bind(runner.weights, image, size);
    if (status == GM_OK) {
        memset(runner.memory, 0, model->arena_bytes);
        runner.inputs = random_inputs(arena, counted->module, 1);
        runner.outputs = output_arrays(arena, pipeline.module);
        gm_pool *pool = o->threads > 1 ? gm_pool_create((int)o->threads) : NULL;
        runner.threaded = pool != NULL;
        if (pool) runner.executor = gm_pool_executor(pool);
        const char *form = model->form(runner.weights);
        const Target *target = NULL;
        for (int i = 0; i < pipeline.targets.count; i++)
            if (strcmp(pipeline.targets.forms[i]->name, form) == 0) target = pipeline.targets.forms[i];
        Timing timing = measure(arena, &runner, target, o->seconds, o->threads);
        print_timing(&pipeline, form, o, &timing, module_cost(counted->module));
        if (pool) gm_pool_destroy(pool);
    } else {
        diag_error(diags, status == GM_ERROR_CPU ? GM174 : GM173, (Place){0}, "%s", gm_status_text(status));
    }
    free(runner.memory);
    free(image);
    compiled_unload(&compiled);
}

int command_bench(int argc, char **argv)
{
    Arena *arena = arena_new();
    BenchOptions o = {.seconds = 3, .threads = 1};
    Words files = {0};
    const Option rows[] = {
        MODEL_OPTIONS(o.model),
        TARGET_OPTION(o.model),
        {"weights", 'w', OPTION_TEXT, &o.weights.path, "FILE", "the checkpoint; without it: seeded random values"},
        {"bind", 0, OPTION_TEXT, &o.weights.bind, "NAME", "the bind declaration that fits the checkpoint"},
        {"seconds", 0, OPTION_REAL, &o.seconds, "S", "how long to measure (default 3)"},
        {"threads", 0, OPTION_INT, &o.threads, "N", "threads to run on (default 1)"},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "as data"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm [OPTION…]", "Measures a compiled model: median, spread, GFLOP/s, percent of this machine's peak.", rows,
                             sizeof rows / sizeof rows[0], &files);
    if (code < 0 && files.count != 1) code = wrong_call("bench", files.count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (code < 0 && (o.threads < 1 || o.threads > 256)) code = wrong_call("bench", "--threads is 1 to 256, not %ld", o.threads);
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        PipelineRequest request = {.target = o.model.target, .stop = STAGE_C};
        request.model.path = files.data[0];
        request.model.model = o.model.model;
        for (int i = 0; i < o.model.sets.count; i++) list_push(arena, &request.model.sets, o.model.sets.data[i]);
        bench(arena, &request, &o, diags);
        code = report(diags);
    }
    arena_free(arena);
    return code;
}
