/* gmlpc verify MODEL.gm: compiled code against the double-precision reference. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/report.h"
#include "commands/verification.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void progress(int done, int total)
{
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r%d of %d calls\033[K%s", done, total, done == total ? "\r\033[K" : "");
}

static void print_row(const VerifyRow *row)
{
    printf("%-8s %-40s %10.3g  %8lld elements  %s%s%s\n", row->form, row->name, row->error, (long long)row->compared, row->passed ? "ok" : "WRONG",
           row->kernel ? "  " : "", row->kernel ? row->kernel : "");
}

static void print_result(const VerifyResult *result, bool each)
{
    const VerifyRow *worst = NULL;
    int forms = 0;
    for (int i = 0; i < result->rows.count; i++) {
        const VerifyRow *row = &result->rows.data[i];
        if (i == 0 || strcmp(row->form, row[-1].form) != 0) forms++;
        if (!worst || row->error > worst->error) worst = row;
        if (each || !row->passed || !row->kernel) print_row(row);
    }
    if (!each && worst && worst->kernel && worst->passed) {
        printf("the largest error is that of\n");
        print_row(worst);
    }
    printf("%s: %d comparisons, %d forms, %s; %d wrong (tolerance %g)\n", result->passed ? "verified" : "NOT VERIFIED", result->rows.count, forms,
           result->whole ? "outputs end to end" : "each kernel by sampled elements from its own inputs", result->failures, VERIFY_TOLERANCE);
}

int command_verify(int argc, char **argv)
{
    Arena *arena = arena_new();
    ModelOptions o = {.batch = 1};
    VerifyRequest request = {.seed = 1, .progress = progress};
    long seed = 1;
    Words files = {0};
    const Option rows[] = {
        MODEL_OPTIONS(o),
        BATCH_OPTION(o),
        TARGET_OPTION(o),
        REPRODUCIBLE_OPTION(o),
        SCHEDULE_OPTION(o),
        BACKEND_OPTION(o),
        {"weights", 'w', OPTION_TEXT, &request.weights.path, "FILE", "the checkpoint; without it: seeded random values"},
        BIND_OPTIONS(request.weights),
        {"each", 0, OPTION_FLAG, &request.each, NULL, "name every materialised tensor, computed from its kernel's own inputs"},
        {"full", 0, OPTION_FLAG, &request.full, NULL, "every element of every output, whatever it costs"},
        {"seed", 0, OPTION_INT, &seed, "N", "of the inputs (and of random weights)"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm [OPTION…]", "Compares compiled code, every form this processor runs, with the reference evaluator.",
                             rows, sizeof rows / sizeof rows[0], &files);
    if (code < 0 && files.count != 1) code = wrong_call("verify", files.count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (code < 0) code = check_batch("verify", &o);
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        VerifyResult result;
        request.seed = (uint64_t)seed;
        request.target = o.target;
        request.reproducible = o.reproducible;
        request.schedule = o.schedule;
        request.model = model_request(arena, &o, files.data[0]);
        bool done = backend_find(o.backend, &request.backend, diags) && verify_model(arena, &request, &result, diags);
        code = report(diags);
        if (done) {
            print_result(&result, request.each);
            if (!result.passed) code = 1;
        }
    }
    arena_free(arena);
    return code;
}
