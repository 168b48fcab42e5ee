/* Timing a compiled model, with the multiply-add peak of the machine measured between the runs. Used by `bench` and by tests/bench. */
#ifndef GM_COMMANDS_BENCHMARK_H
#define GM_COMMANDS_BENCHMARK_H

#include "equation/count.h"
#include "commands/compiled.h"
#include "weights/weights.h"

enum { MOST_THREADS = 256 };

typedef struct {
    const char *form;                  /* that ran: "avx512" */
    double median, low, high, fastest; /* milliseconds; low and high: quartiles */
    double peak;                       /* GFLOP/s of all threads' cores: the 95th percentile of what was measured between the runs */
    double gflops, percent;            /* of multiply-adds, at the median; of the peak */
    int quiet_runs;                    /* those in which no thread lost its core, with the rate of no-operations beside them at least 85 % and
                                        * the peak at least 93 % of the best of the measurement */
    double quiet, quiet_percent;       /* milliseconds, the median over them, and its percent of the peak; 0: fewer than five */
    double beside;                     /* percent of the peak measured just before and after: the median over short blocks of runs */
    int runs;
    Cost cost;                         /* of the model as written */
    int64_t batch;                     /* inputs of one run */
    int64_t arena_bytes, weight_bytes;
} Timing;

/* The request stops at its back end's stage. Compiles, loads and runs the model for about `seconds`. False after a diagnostic. A weights path of NULL means random values. */
bool benchmark(Arena *arena, const PipelineRequest *request, const WeightRequest *weights, double seconds, long threads, Timing *timing, Diagnostics *diags);

#endif
