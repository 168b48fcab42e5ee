/* What a mode of the compiler costs or brings, beside the plain form in one process: this machine's best target alone, one thread, one input.
 * Called by tests/bench/modes.
 *   bench_modes MODEL.gm NAME SECONDS [NAME=VALUE…]   0 seconds: compiles only
 * Prints a line a mode:  mode,milliseconds an input,plain / mode,pairs that counted,pairs
 * The ratio is the median over pairs, each a run of the mode (or several) between two of the plain form. A pair counts if no thread was preempted
 * in it and the rate of no-operations beside it was at least 85 % of the best of the measurement; where fewer than five do, all are taken. */
#include "bench/side.h"

#include "commands/peak.h"
#include "commands/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, THREADS = 2, MOST_PAIRS = 1000, FEWEST_PAIRS = 5, ENOUGH = 5 };

/* PLAIN_AGAIN is the plain form loaded a second time: the measurement's own error. */
typedef enum { PLAIN, ALL, REPRODUCIBLE, BATCHED, THREADED, PLAIN_AGAIN, MODES } Mode;
static const char *const names[MODES] = {"plain", "all", "reproducible", "batch 8", "two threads", "plain again"};

typedef struct {
    double ms, ratio, nops;
    bool preempted;
} Pair;
typedef struct {
    Side side;
    int64_t inputs;  /* of one run */
    Pair pairs[MOST_PAIRS];
    int count;
} Contender;

static bool prepare(Arena *arena, const ModelRequest *model, Contender *contenders, Diagnostics *diags)
{
    for (Mode m = PLAIN; m < MODES; m++) {
        Contender *c = &contenders[m];
        c->inputs = m == BATCHED ? BATCH : 1;
        PipelineRequest request = {.model = *model, .target = m == ALL ? "all" : target_native(), .plan.reproducible = m == REPRODUCIBLE};
        request.model.batch = c->inputs;
        if (m == THREADED) c->side = contenders[PLAIN].side;
        else if (!side_prepare(arena, &request, BACKEND_C, &c->side, diags)) return false;
    }
    return true;
}

/* One pair: plain, mode, plain. Short models run several times in a row. */
static void measure(const Side *plain, Contender *c, int repeats)
{
    Pair *pair = &c->pairs[c->count++];
    double before = 0, after = 0, mode = 0;
    long lost = switches();
    pair->nops = nop_rate();
    for (int i = 0; i < repeats; i++) before += side_run(plain);
    for (int i = 0; i < repeats; i++) mode += side_run(&c->side);
    for (int i = 0; i < repeats; i++) after += side_run(plain);
    pair->nops = fmin(pair->nops, nop_rate());
    pair->preempted = switches() > lost;
    pair->ms = mode / repeats / (double)c->inputs;
    pair->ratio = (before + after) / (2 * repeats) / pair->ms;
}

static void print(const Contender *c, const char *name, double best_nops)
{
    double ms[MOST_PAIRS], ratios[MOST_PAIRS];
    int counted = 0;
    for (int strict = 1; strict >= 0 && counted < ENOUGH; strict--) {
        counted = 0;
        for (int i = 0; i < c->count; i++) {
            const Pair *pair = &c->pairs[i];
            if (strict && (pair->preempted || pair->nops < 0.85 * best_nops)) continue;
            ms[counted] = pair->ms;
            ratios[counted++] = pair->ratio;
        }
        if (!strict && counted > 0) { /* disturbed: none counted by the rule */
            printf("%s,%.4g,%.4f,0,%d\n", name, median(ms, counted), median(ratios, counted), c->count);
            return;
        }
    }
    printf("%s,%.4g,%.4f,%d,%d\n", name, median(ms, counted), median(ratios, counted), counted, c->count);
}

static double best_rate(const Contender *contenders)
{
    static double rates[MODES * MOST_PAIRS];
    int count = 0;
    for (Mode m = PLAIN; m < MODES; m++)
        for (int i = 0; i < contenders[m].count; i++) rates[count++] = contenders[m].pairs[i].nops;
    (void)median(rates, count);
    return rates[(count - 1) * 95 / 100];
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: bench_modes MODEL.gm NAME SECONDS [NAME=VALUE…]\n");
        return 2;
    }
    static Contender contenders[MODES];
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    ModelRequest model = {.path = argv[1], .model = argv[2][0] ? argv[2] : NULL};
    for (int i = 4; i < argc; i++) list_push(arena, &model.sets, argv[i]);
    if (!prepare(arena, &model, contenders, diags)) return report(diags);
    double seconds = atof(argv[3]);
    gm_pool *pool = gm_pool_new(THREADS);
    contenders[THREADED].side.pool = gm_pool_executor(pool);
    for (Mode m = PLAIN; m < MODES; m++) (void)side_run(&contenders[m].side);
    int repeats = (int)fmax(1, 5 / side_run(&contenders[PLAIN].side));
    for (double begin = now_ns(); seconds > 0 && contenders[ALL].count < MOST_PAIRS
             && (contenders[ALL].count < FEWEST_PAIRS || now_ns() - begin < 1e9 * seconds);)
        for (Mode m = ALL; m < MODES; m++) measure(&contenders[PLAIN].side, &contenders[m], repeats);
    for (Mode m = ALL; m < MODES && seconds > 0; m++) print(&contenders[m], names[m], best_rate(contenders));
    gm_pool_free(pool);
    arena_free(arena);
    return 0;
}
