/* The C back end beside the one that compiles in this process: errors, times, times to compile. Called by tests/bench/backends.
 *   bench_backends errors MODEL.gm [NAME]           prints  C's error,JIT's error
 *   bench_backends times MODEL.gm [NAME] [SECONDS]  prints  C ms,JIT ms,C/JIT,ms to compile C,ms to compile by the JIT
 * Errors are the largest of `gmlpc verify`. Times are medians of slots in which the two take turns; the ratio is the median of the slots' ratios. */
#include "bench/side.h"

#include "commands/peak.h"
#include "commands/report.h"
#include "commands/verification.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 15, FEWEST_SLOTS = 3 };

/* The median of the runs that fit into a slot. */
static double run_slot(const Side *side, double slot_ms)
{
    double times[256], begin = now_ns();
    int count = 0;
    do times[count++] = side_run(side);
    while (count < 256 && 1e-6 * (now_ns() - begin) < slot_ms);
    return median(times, count);
}

static int times(Arena *arena, const ModelRequest *model, double seconds)
{
    Diagnostics *diags = diagnostics_new(arena);
    Side sides[2] = {0};
    double ms[2][SLOTS], ratios[SLOTS], begin;
    int slots = 0;
    PipelineRequest request = {.model = *model, .target = target_native()};
    if (!side_prepare(arena, &request, BACKEND_C, &sides[0], diags) || !side_prepare(arena, &request, BACKEND_LLVM, &sides[1], diags)) return report(diags);
    (void)side_run(&sides[0]);
    (void)side_run(&sides[1]);
    for (begin = now_ns(); slots < SLOTS && (slots < FEWEST_SLOTS || 1e-9 * (now_ns() - begin) < seconds); slots++) {
        for (int turn = 0; turn < 2; turn++) {
            int side = (slots + turn) % 2;
            ms[side][slots] = run_slot(&sides[side], 500 * seconds / SLOTS);
        }
        ratios[slots] = ms[0][slots] / ms[1][slots];
    }
    printf("%.4g,%.4g,%.3f,%.0f,%.0f\n", median(ms[0], slots), median(ms[1], slots), median(ratios, slots), sides[0].compile_ms, sides[1].compile_ms);
    return 0;
}

static int errors(Arena *arena, const ModelRequest *model)
{
    double worst[2] = {0};
    for (int side = 0; side < 2; side++) {
        Diagnostics *diags = diagnostics_new(arena);
        VerifyRequest request = {.model = *model, .target = target_native(), .backend = side ? BACKEND_LLVM : BACKEND_C, .seed = 1};
        VerifyResult result;
        if (!verify_model(arena, &request, &result, diags)) return report(diags);
        for (int i = 0; i < result.rows.count; i++)
            if (!(result.rows.data[i].error <= worst[side])) worst[side] = result.rows.data[i].error;
    }
    printf("%.1e,%.1e\n", worst[0], worst[1]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3 || (strcmp(argv[1], "errors") != 0 && strcmp(argv[1], "times") != 0)) {
        fprintf(stderr, "usage: bench_backends errors|times MODEL.gm [NAME] [SECONDS]\n");
        return 2;
    }
    Arena *arena = arena_new();
    ModelRequest model = {.path = argv[2], .model = argc > 3 && argv[3][0] ? argv[3] : NULL};
    int code = strcmp(argv[1], "errors") == 0 ? errors(arena, &model) : times(arena, &model, argc > 4 ? atof(argv[4]) : 4);
    arena_free(arena);
    return code;
}
