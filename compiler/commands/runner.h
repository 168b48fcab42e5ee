/* A model ready to run, once or many times: compiled and bound, or the reference evaluator.
 * In: a finished pipeline (up to the back end's stage, or STAGE_EQUATIONS for the reference) and where weights come from.  Out: outputs for inputs. */
#ifndef GM_COMMANDS_RUNNER_H
#define GM_COMMANDS_RUNNER_H

#include "commands/compiled.h"
#include "hosted/gm_map.h"
#include "hosted/gm_pool.h"
#include "weights/weights.h"

typedef struct {
    WeightRequest weights; /* path NULL: random values of `seed` */
    const char *gmw;       /* packed weights instead */
    uint64_t seed;
    long threads;
    bool reference;
} RunnerRequest;

typedef struct {
    Arena *arena;
    const RunnerRequest *request;
    const Pipeline *pipeline;
    Backend backend;
    Diagnostics *diags;
    bool quiet;                /* no progress of single equations */
    CompiledModel compiled;
    void *bound, *memory;      /* weights as bind left them; the model's arena */
    unsigned char *image;      /* packed now */
    gm_mapping mapping;        /* or mapped */
    gm_pool *pool;
    double **reference;        /* by tensor id: weights of the reference */
} Runner;

/* False after an error. Close it in any case. */
bool runner_open(Arena *arena, const Pipeline *pipeline, Backend backend, const RunnerRequest *request, Runner *runner, Diagnostics *diags);
/* Dense arrays in order of the module's ports. GM_OK, or the number (from 1) of an input that had a value outside what it selects from. */
int runner_run(Runner *runner, const void *const *inputs, void *const *outputs);
void runner_close(Runner *runner);

/* A line on the terminal that is overwritten; nothing when standard error is a file. */
void progress(const char *what, long long done, long long total);

#endif
