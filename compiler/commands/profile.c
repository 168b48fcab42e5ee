/* Measuring kernel calls. Times of calls are means over the same runs, so that they add up; the runs are those in the middle half by their
 * whole time, so that a run that something disturbed counts no more than in a median. */
#include "commands/profile.h"

#include "commands/inputs.h"
#include "commands/peak.h"
#include "commands/runner.h"
#include "commands/survey.h"
#include "equation/node_map.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_RUNS = 1000, FEWEST_RUNS = 8, MOST_STAMPS = 4000000, SPAN_NS = 20000000, CLOCK_READINGS = 1000 };

/* --- measuring ----------------------------------------------------------------------------------------------------- */
static uint64_t read_clock(void *context)
{
    (void)context;
    return (uint64_t)now_ns();
}

static double clock_cost(void)
{
    double start = now_ns();
    uint64_t sum = 0;
    for (int i = 0; i < CLOCK_READINGS; i++) sum += read_clock(NULL);
    volatile uint64_t kept = sum;
    (void)kept;
    return (now_ns() - start) / CLOCK_READINGS;
}

typedef struct {
    double ms;
    int run;
} Timed;

static int by_time(const void *a, const void *b)
{
    const Timed *x = a, *y = b;
    if (x->ms != y->ms) return x->ms < y->ms ? -1 : 1;
    return (x->run > y->run) - (x->run < y->run);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct {
    Runner runner;
    void **inputs, **outputs;
    int stamps;                /* of a run */
    uint64_t *readings;        /* of all runs */
    Timed *profiled, *plain;   /* by run */
    double *peaks;
    int runs, peak_count;
} Measurement;

static double run_plain(Measurement *m)
{
    double start = now_ns();
    runner_run(&m->runner, (const void *const *)m->inputs, m->outputs);
    return (now_ns() - start) * 1e-6;
}

static void run_profiled(Measurement *m, uint64_t *stamps)
{
    const Runner *r = &m->runner;
    gm_profile profile = {.clock = read_clock, .stamps = stamps};
    const gm_executor *executor = r->pool ? gm_pool_executor(r->pool) : NULL;
    r->compiled.profiled->run(r->bound, r->memory, executor, &profile, (const void *const *)m->inputs, m->outputs);
}

/* Runs with and without times taken, in turn; the peak is measured every now and then between them. */
static void measure(Measurement *m, const Target *target, double seconds, long threads)
{
    int most = MOST_STAMPS / m->stamps < MOST_RUNS ? MOST_STAMPS / m->stamps : MOST_RUNS;
    if (most < FEWEST_RUNS) most = FEWEST_RUNS;
    Arena *arena = m->runner.arena;
    m->readings = arena_alloc_array(arena, (size_t)most * (size_t)m->stamps, sizeof *m->readings);
    m->profiled = arena_new_array(arena, Timed, most);
    m->plain = arena_new_array(arena, Timed, most);
    m->peaks = arena_new_array(arena, double, most + 2);
    run_plain(m);
    run_profiled(m, m->readings);
    double begin = now_ns(), span = 0;
    while (m->runs < most && (m->runs < FEWEST_RUNS || now_ns() - begin < seconds * 1e9)) {
        if (!span || now_ns() - span > SPAN_NS) {
            m->peaks[m->peak_count++] = peak_gflops(target, 1) * (double)threads;
            span = now_ns();
        }
        uint64_t *stamps = m->readings + (size_t)m->runs * (size_t)m->stamps;
        m->plain[m->runs] = (Timed){run_plain(m), m->runs};
        run_profiled(m, stamps);
        m->profiled[m->runs] = (Timed){1e-6 * (double)(stamps[m->stamps - 1] - stamps[0]), m->runs};
        m->runs++;
    }
    m->peaks[m->peak_count++] = peak_gflops(target, 1) * (double)threads;
}

/* --- rows ---------------------------------------------------------------------------------------------------------- */
/* Mean over the middle half. */
static double middle(Timed *times, int count)
{
    int first = count / 4, last = count - count / 4;
    double sum = 0;
    qsort(times, (size_t)count, sizeof *times, by_time);
    for (int i = first; i < last; i++) sum += times[i].ms;
    return sum / (last - first);
}

/* Of the same runs, call by call. */
static double *call_times(Arena *arena, const Measurement *m, int calls)
{
    double *ms = arena_new_array(arena, double, calls + 1);
    int first = m->runs / 4, last = m->runs - m->runs / 4;
    for (int i = first; i < last; i++) {
        const uint64_t *stamps = m->readings + (size_t)m->profiled[i].run * (size_t)m->stamps;
        for (int c = 0; c + 1 < m->stamps; c++) ms[c % calls] += 1e-6 * (double)(stamps[c + 1] - stamps[c]) / (last - first);
    }
    return ms;
}

static const char *form_text(Arena *arena, const LoopForm *form, const Kernel *kernel)
{
    const LoopKernel *loops = form->kernels.data[kernel->id];
    const char *word = kernel->chain ? "chain" : kernel->windows ? "windows" : loops->tile_rows ? "product" : "rows";
    return loops->tile_rows ? arena_printf(arena, "%s %dx%d", word, loops->tile_rows, loops->tile_columns) : word;
}

static void row_add(ProfileRow *row, const ProfileRow *more)
{
    row->last = more->last;
    row->blocks += more->blocks;
    row->calls += more->calls;
    row->ms += more->ms;
    row->macs += more->macs;
}

/* Into the row of its like, or a new one. */
static void rows_add(Arena *arena, ProfileRows *rows, const ProfileRow *more)
{
    for (int i = 0; i < rows->count; i++) {
        ProfileRow *row = &rows->data[i];
        if (row->kernel ? row->kernel != more->kernel : strcmp(row->signature, more->signature) != 0) continue;
        if (!alike_paths(row->first, more->first)) continue;
        row_add(row, more);
        return;
    }
    list_push(arena, rows, *more);
}

static const char *frame_path(const Module *module, const Frame *frame)
{
    if (!frame || !frame->up) return module->name;
    return frame->path && *frame->path ? frame->path : frame->block;
}

typedef struct {
    ProfileRow row;
    Text signature;
} BlockTimes;

static void make_rows(Arena *arena, const Pipeline *pipeline, const LoopForm *form, Profile *profile)
{
    const Plan *plan = pipeline->plan;
    NodeMap known;
    LIST(BlockTimes *) blocks = {0};
    node_map_init(&known);
    for (int i = 0; i < plan->calls.count; i++) {
        const PlanCall *call = &plan->calls.data[i];
        const char *path = frame_path(plan->module, frame_call(call->frame));
        ProfileRow row = {.first = path, .last = path, .kernel = call->kernel->name, .form = form_text(arena, form, call->kernel), .blocks = 1,
                          .calls = (int)plan->turns, .ms = profile->call_ms[i], .macs = call->kernel->macs * plan->turns};
        rows_add(arena, &profile->kernels, &row);
        const Frame *outer = frame_at_depth(call->frame, 1);
        BlockTimes *block = node_map_get(&known, outer, NULL);
        if (!block) {
            block = arena_new_object(arena, BlockTimes);
            *block = (BlockTimes){.row = {.first = frame_path(plan->module, outer), .blocks = 1}, .signature = text_new(arena)};
            node_map_put(&known, outer, block);
            list_push(arena, &blocks, block);
        }
        row.last = block->row.first;
        row.blocks = 0;
        row_add(&block->row, &row);
        text_printf(&block->signature, "%d ", call->kernel->id);
    }
    for (int i = 0; i < blocks.count; i++) {
        blocks.data[i]->row.signature = text_string(&blocks.data[i]->signature);
        rows_add(arena, &profile->blocks, &blocks.data[i]->row);
    }
    node_map_free(&known);
}

/* The calls outlive the compiled model. */
static const gm_profiled *copy_calls(Arena *arena, const gm_profiled *profiled)
{
    gm_profiled *copy = arena_new_object(arena, gm_profiled);
    gm_call *calls = arena_new_array(arena, gm_call, profiled->call_count + 1);
    *copy = *profiled;
    for (int i = 0; i < profiled->call_count; i++) {
        const gm_call *call = &profiled->calls[i];
        calls[i] = (gm_call){arena_strdup(arena, call->block), arena_strdup(arena, call->kernel), call->macs, call->flops};
    }
    copy->calls = calls;
    return copy;
}

static void summarise(Arena *arena, const Pipeline *pipeline, Measurement *m, int form, Profile *profile)
{
    const gm_profiled *profiled = profile->profiled = copy_calls(arena, m->runner.compiled.profiled);
    profile->model = pipeline->module->name;
    profile->form = pipeline->targets.forms[form]->name;
    profile->runs = m->runs;
    profile->total_ms = middle(m->profiled, m->runs);
    profile->plain_ms = middle(m->plain, m->runs);
    profile->call_ms = call_times(arena, m, profiled->call_count);
    profile->clock_ns = clock_cost();
    qsort(m->peaks, (size_t)m->peak_count, sizeof *m->peaks, ascending);
    profile->peak = m->peaks[(m->peak_count - 1) * 95 / 100];
    make_rows(arena, pipeline, pipeline->loops->forms.data[form], profile);
}

bool profile_measure(Arena *arena, const PipelineRequest *request, const WeightRequest *weights, double seconds, long threads, Profile *profile,
                     Diagnostics *diags)
{
    Pipeline pipeline;
    *profile = (Profile){0};
    Model *counted = model_load(arena, &request->model, diags); /* as written: what integers select from */
    if (!counted || !counted->module || !pipeline_run(arena, request, &pipeline, diags)) return false;
    Measurement m = {0};
    RunnerRequest wanted = {.weights = *weights, .seed = 1, .threads = threads};
    bool good = runner_open(arena, &pipeline, backend_of(request->stop), &wanted, &m.runner, diags);
    if (good) {
        const gm_model *model = m.runner.compiled.model;
        const gm_profiled *profiled = m.runner.compiled.profiled;
        int form = 0;
        while (form + 1 < pipeline.targets.count && strcmp(pipeline.targets.forms[form]->name, model->form(m.runner.bound)) != 0) form++;
        memset(m.runner.memory, 0, model->arena_bytes);
        m.inputs = random_inputs(arena, counted->module, 1);
        m.outputs = output_arrays(arena, pipeline.module);
        m.stamps = profiled->call_count * profiled->turns + 1;
        measure(&m, pipeline.targets.forms[form], seconds, threads);
        summarise(arena, &pipeline, &m, form, profile);
    }
    runner_close(&m.runner);
    return good;
}
