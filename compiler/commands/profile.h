/* Where a run spends its time: every kernel call measured, and what calls alike and blocks alike come to.
 * In: a model, compiled as for `bench`.  Out: rows whose times add up to the run. */
#ifndef GM_COMMANDS_PROFILE_H
#define GM_COMMANDS_PROFILE_H

#include "commands/compiled.h"
#include "support/text.h"
#include "weights/weights.h"

/* Calls of one kernel in blocks alike, or all calls of blocks alike. Of a whole run. */
typedef struct {
    const char *first, *last; /* paths of the first and the last of the blocks */
    const char *signature;    /* a block's: its kernels in order */
    const char *kernel;       /* "mlp_channels_fc1"; NULL: a block's row */
    const char *form;         /* "product 6x64", "chain 6x64", "windows", "rows" */
    int blocks, calls;
    double ms;
    int64_t macs;
} ProfileRow;
typedef LIST(ProfileRow) ProfileRows;

typedef struct {
    const char *model, *form; /* "avx512" */
    ProfileRows blocks, kernels;
    const gm_profiled *profiled; /* the calls */
    const double *call_ms;    /* of each call, all turns together */
    int runs;                 /* with times taken; as many without beside them */
    double total_ms;          /* of a run with times taken: the mean over the middle half of them, as all times here */
    double plain_ms;          /* of one without: likewise */
    double clock_ns;          /* cost of reading the clock once; a run reads it call_count * turns + 1 times */
    double peak;              /* GFLOP/s: the 95th percentile of what was measured between the runs */
} Profile;

/* The request stops at its back end's stage, with emit.profile. False after a diagnostic. The profile lives as long as the arena. */
bool profile_measure(Arena *arena, const PipelineRequest *request, const WeightRequest *weights, double seconds, long threads, Profile *profile,
                     Diagnostics *diags);
void profile_text(const Profile *profile, long threads, Text *out);
void profile_json(const Profile *profile, long threads, Text *out);

#endif
