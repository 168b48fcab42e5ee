/* elements [SECONDS]: element functions and chains, each a kernel of its own over 4,096 numbers in the first-level cache and over
 * 196 x 1536 of a model, beside a plain copy (y = 1.5 x), in every form that this machine runs. Nanoseconds for 16 numbers: medians of
 * rounds that go through all functions in turn. A table in markdown. */
#include "elements/functions.h"

#include "commands/benchmark.h"
#include "commands/inputs.h"
#include "commands/jit_cc.h"
#include "commands/peak.h"
#include "emit_c/blob.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name, *equation;
} rows[] = {
    {"copy", "1.5 * x"},
#define FUNCTION(name, equation, exact, absolute, ulps, most) {#name, equation},
    FUNCTIONS(FUNCTION)
#undef FUNCTION
};
enum { ROWS = sizeof rows / sizeof *rows, SIZES = 2, ROUNDS = 41 };
static const int64_t sizes[SIZES] = {4096, 196 * 1536};

typedef struct {
    const gm_model *model;
    void *weights, *memory;
    float *input, *output;
    double times[TARGET_COUNT][ROUNDS];
} Case;

static Case cases[ROWS][SIZES];
static const char *forms[TARGET_COUNT];
static int form_count;

static bool prepare(Arena *arena, int row, int size, Diagnostics *diags)
{
    Case *c = &cases[row][size];
    const char *text = arena_printf(arena, "import \"vision.gm\"\nmodel m() {\n  input x[%lld]\n  output y = %s\n}\n", (long long)sizes[size], rows[row].equation);
    PipelineRequest request = {.model = {.path = "m.gm", .text = text}, .stop = STAGE_C};
    Pipeline pipeline;
    LoadedLibrary compiled;
    if (!pipeline_run(arena, &request, &pipeline, diags) || !library_load(arena, &pipeline, &compiled, diags)) return false;
    c->model = compiled.model;
    unsigned char *payload = weights_pack(pipeline.plan, weights_random(arena, pipeline.module, 1), diags);
    size_t bytes = 0;
    unsigned char *image = blob_build(pipeline.plan, payload, NULL, 0, &bytes);
    c->weights = arena_alloc(arena, c->model->weights_bytes);
    c->memory = aligned_alloc(64, (c->model->arena_bytes + 127) / 64 * 64);
    c->input = random_inputs(arena, pipeline.module, 1)[0];
    c->output = output_arrays(arena, pipeline.module)[0];
    if (c->model->bind(c->weights, image, bytes) != GM_OK) return false;
    if (form_count) return true;
    for (int f = 0; f < pipeline.targets.count; f++)
        if (c->model->choose_form(c->weights, pipeline.targets.forms[f]->name) == GM_OK) forms[form_count++] = pipeline.targets.forms[f]->name;
    return form_count > 0;
}

/* Nanoseconds for 16 numbers. */
static double measure(Case *c, int size, const char *form, double nanoseconds)
{
    c->model->choose_form(c->weights, form);
    double start = now_ns(), end = start;
    int64_t runs = 0;
    while (end - start < nanoseconds) {
        for (int k = 0; k < (size ? 1 : 16); k++, runs++)
            c->model->run(c->weights, c->memory, (const void *const[]){c->input}, (void *const[]){c->output});
        end = now_ns();
    }
    return (end - start) / (double)runs / (double)sizes[size] * 16;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 20;
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    for (int r = 0; r < ROWS; r++)
        for (int s = 0; s < SIZES; s++)
            if (!prepare(arena, r, s, diags)) return 1;
    double share = seconds * 1e9 / (ROUNDS * ROWS * SIZES * form_count);
    for (int round = 0; round < ROUNDS; round++)
        for (int r = 0; r < ROWS; r++)
            for (int s = 0; s < SIZES; s++)
                for (int f = 0; f < form_count; f++) cases[r][s].times[f][round] = measure(&cases[r][s], s, forms[f], share);
    printf("| nanoseconds for 16 |");
    for (int f = 0; f < form_count; f++)
        for (int s = 0; s < SIZES; s++) printf(" %s, %s |", forms[f], s ? "196x1536" : "in L1");
    printf("\n| --- |");
    for (int k = 0; k < form_count * SIZES; k++) printf(" --- |");
    printf("\n");
    for (int r = 0; r < ROWS; r++) {
        printf("| %s |", rows[r].name);
        for (int f = 0; f < form_count; f++)
            for (int s = 0; s < SIZES; s++) {
                qsort(cases[r][s].times[f], ROUNDS, sizeof(double), ascending);
                printf(" %.2f |", cases[r][s].times[f][ROUNDS / 2]);
            }
        printf("\n");
    }
    return 0;
}
