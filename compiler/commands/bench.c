/* gmlpc bench MODEL.gm: how long a run takes, and how near the multiply-add peak of this machine, measured between the runs, it comes. */
#include "commands/benchmark.h"
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/profile.h"
#include "commands/report.h"

#include <stdio.h>

typedef struct {
    ModelOptions model;
    WeightRequest weights;
    double seconds;
    long threads;
    bool json, profile;
} BenchOptions;

static void print_timing(const char *model, const BenchOptions *o, const Timing *t)
{
    if (o->json) {
        printf("{\"model\": \"%s\", \"form\": \"%s\", \"threads\": %ld, \"runs\": %d, \"median_ms\": %.6g, \"quartile_low_ms\": %.6g, \"quartile_high_ms\": %.6g, "
               "\"fastest_ms\": %.6g, \"batch\": %lld, \"median_ms_per_input\": %.6g, \"macs\": %lld, \"gflops\": %.6g, \"peak_gflops\": %.6g, \"percent_of_peak\": %.4g, \"percent_of_peak_beside\": %.4g, \"quiet_runs\": %d, \"quiet_ms\": %.6g, \"quiet_percent_of_peak\": %.4g, \"arena_bytes\": %lld, \"weight_bytes\": %lld}\n",
               model, t->form, o->threads, t->runs, t->median, t->low, t->high, t->fastest, (long long)t->batch, t->median / (double)t->batch, (long long)t->cost.macs, t->gflops, t->peak, t->percent, t->beside, t->quiet_runs, t->quiet, t->quiet_percent,
               (long long)t->arena_bytes, (long long)t->weight_bytes);
        return;
    }
    printf("%s, %s, %ld thread%s: median %.4g ms (quartiles %.4g to %.4g, fastest %.4g, %d runs)\n", model, t->form, o->threads, o->threads == 1 ? "" : "s", t->median,
           t->low, t->high, t->fastest, t->runs);
    if (t->batch > 1) printf("  %lld inputs a run: %.4g ms an input\n", (long long)t->batch, t->median / (double)t->batch);
    printf("  %.4g GFLOP of multiply-adds: %.4g GFLOP/s, %.1f %% of the peak of %.4g GFLOP/s measured between the runs\n", 2e-9 * (double)t->cost.macs, t->gflops,
           t->percent, t->peak);
    printf("  %.1f %% of the peak just before and after: the median over blocks of runs\n", t->beside);
    if (t->quiet > 0) printf("  while nothing else disturbed this machine: median %.4g ms over %d runs, %.1f %% of the peak\n", t->quiet, t->quiet_runs, t->quiet_percent);
    else printf("  something else disturbed this machine in %s run\n", t->quiet_runs ? "nearly every" : "every");
    printf("  arena %lld bytes, weights %lld bytes\n", (long long)t->arena_bytes, (long long)t->weight_bytes);
}

/* Two measurements where the price of --reproducible is asked for. False after a diagnostic. */
static bool bench(Arena *arena, const BenchOptions *o, PipelineRequest *request, const char *name, Diagnostics *diags)
{
    Timing timing, plain;
    double seconds = o->model.reproducible ? o->seconds / 2 : o->seconds;
    if (o->model.reproducible && !benchmark(arena, request, &o->weights, seconds, o->threads, &plain, diags)) return false;
    request->plan.reproducible = o->model.reproducible;
    if (!benchmark(arena, request, &o->weights, seconds, o->threads, &timing, diags)) return false;
    print_timing(name, o, &timing);
    if (o->model.reproducible && !o->json)
        printf("  reproducible: %+.1f %% of time beside the model without it (median %.4g ms, fastest %.4g)\n", 100 * (timing.median / plain.median - 1),
               plain.median, plain.fastest);
    return true;
}

static bool profile(Arena *arena, const BenchOptions *o, PipelineRequest *request, Diagnostics *diags)
{
    Profile found;
    Text text = text_new(arena);
    request->emit.profile = true;
    request->plan.reproducible = o->model.reproducible;
    if (!profile_measure(arena, request, &o->weights, o->seconds, o->threads, &found, diags)) return false;
    if (o->json) profile_json(&found, o->threads, &text);
    else profile_text(&found, o->threads, &text);
    fputs(text_string(&text), stdout);
    return true;
}

int command_bench(int argc, char **argv)
{
    Arena *arena = arena_new();
    BenchOptions o = {.model = {.batch = 1}, .seconds = 3, .threads = 1};
    Words files = {0};
    const Option rows[] = {
        MODEL_OPTIONS(o.model),
        BATCH_OPTION(o.model),
        TARGET_OPTION(o.model),
        REPRODUCIBLE_OPTION(o.model),
        SCHEDULE_OPTION(o.model),
        BACKEND_OPTION(o.model),
        {"weights", 'w', OPTION_TEXT, &o.weights.path, "FILE", "the checkpoint; without it: seeded random values"},
        {"bind", 0, OPTION_TEXT, &o.weights.bind, "NAME", "the bind declaration that fits the checkpoint"},
        {"seconds", 0, OPTION_REAL, &o.seconds, "S", "how long to measure (default 3)"},
        {"threads", 0, OPTION_INT, &o.threads, "N", "threads to run on (default 1)"},
        {"profile", 0, OPTION_FLAG, &o.profile, NULL, "the time of every block and kernel"},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "as data"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm [OPTION…]", "Measures a compiled model: median, spread, GFLOP/s, percent of this machine's peak.", rows,
                             sizeof rows / sizeof rows[0], &files);
    if (code < 0 && files.count != 1) code = wrong_call("bench", files.count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (code < 0 && (o.threads < 1 || o.threads > MOST_THREADS)) code = wrong_call("bench", "--threads is 1 to %d, not %ld", MOST_THREADS, o.threads);
    if (code < 0) code = check_batch("bench", &o.model);
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        Backend backend;
        bool found = backend_find(o.model.backend, &backend, diags);
        PipelineRequest request = {.target = o.model.target, .stop = backend_stage(backend), .schedule = o.model.schedule};
        request.model = model_request(arena, &o.model, files.data[0]);
        if (found && o.profile) profile(arena, &o, &request, diags);
        else if (found) bench(arena, &o, &request, o.model.model ? o.model.model : files.data[0], diags);
        code = report(diags);
    }
    arena_free(arena);
    return code;
}
