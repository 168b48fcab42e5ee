/* elements STRIDE [FIRST [NAME…]]: element functions (all, or those of the names) in every form that this machine runs, over every
 * STRIDE-th of the 2^32 floats from FIRST on, and always over zeros, infinities, NaN, the smallest and largest numbers and the
 * neighbourhoods of powers of two, of simple fractions and of multiples of pi/2. Errors in terms of functions.h. STRIDE 1 takes all
 * floats. $GMLPC_BACKEND says who compiles. */
#include "elements/functions.h"

#include "commands/compiled.h"
#include "emit_c/blob.h"
#include "weights/weights.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 13 };

typedef struct {
    const char *name, *equation;
    double absolute, ulps, most;
} Row;

static Row rows[] = {
#define FUNCTION(name, equation, exact, absolute, ulps, most) {#name, equation, absolute, ulps, most},
    FUNCTIONS(FUNCTION)
#undef FUNCTION
};
enum { ROWS = sizeof rows / sizeof *rows };
static int row_count = ROWS;

#define FUNCTION(name, equation, value, absolute, ulps, most) \
    static double exact_of_##name(double x)                   \
    {                                                         \
        return value;                                         \
    }
FUNCTIONS(FUNCTION)
#undef FUNCTION

static double (*exact[])(double) = {
#define FUNCTION(name, equation, value, absolute, ulps, most) exact_of_##name,
    FUNCTIONS(FUNCTION)
#undef FUNCTION
};

typedef struct {
    double worst;   /* as a part of what is allowed */
    float where, got;
} Worst;

/* What a function's values at a chunk of inputs are, and how far off a form may be; below 0: another rule holds there. */
typedef struct {
    double y[CHUNK], allowed[CHUNK];
} Expected;

/* The distance of floats at y, a finite number: a power of two, so made of its exponent. */
static double spacing(double y)
{
    uint64_t bits;
    memcpy(&bits, &y, sizeof bits);
    uint64_t exponent = bits >> 52 & 0x7ff, smallest = 1023 - 126;
    bits = ((exponent < smallest ? smallest : exponent) - 23) << 52;
    memcpy(&y, &bits, sizeof y);
    return y;
}

/* Whether f(-0) is -0: of what is odd, or x times something. What mixes signs may lose it. */
static bool exact_zero_is_signed(const Row *row)
{
    static const char *const names[] = {"log1p", "tanh", "erf", "sin", "gelu", "gelu_tanh", "quick_gelu", "silu", "mish", "wave"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (strcmp(names[k], row->name) == 0) return true;
    return false;
}

static bool is_far_out(const Row *row, float x) /* of sin and cos */
{
    return !(fabs((double)x) <= row->most) && isfinite(x);
}

static void expect(int r, const float *x, Expected *e)
{
    for (int i = 0; i < CHUNK; i++) e->y[i] = exact[r]((double)x[i]);
    for (int i = 0; i < CHUNK; i++) {
        double allowed = rows[r].ulps * spacing(e->y[i]);
        if (rows[r].absolute > allowed) allowed = rows[r].absolute;
        e->allowed[i] = is_far_out(&rows[r], x[i]) || fabs(e->y[i]) > (double)FLT_MAX ? -1 : allowed;
    }
}

/* The error as a part of what is allowed. */
static double part(const Row *row, float x, float got, double y, double allowed)
{
    if (is_far_out(row, x)) return fabs((double)got) <= 1 ? 0 : INFINITY;
    if (isnan(y)) return isnan(got) ? 0 : INFINITY;
    if (fabs(y) > (double)FLT_MAX) return fabs((double)got) >= (double)FLT_MAX && (got > 0) == (y > 0) ? 0 : INFINITY;
    double error = fabs((double)got - y);
    if (x == 0.0f && !signbit(got) != !signbit(x) && exact_zero_is_signed(row)) return INFINITY;
    return isnan(error) ? (double)INFINITY : error / allowed;
}

typedef struct {
    CompiledModel compiled;
    void *weights, *memory;
    float *input, *outputs[ROWS];
    const char *forms[TARGET_COUNT];
    int form_count;
    Worst worst[TARGET_COUNT][ROWS];
} Tests;

/* Whether one of a few outputs may be worse than the worst so far. */
enum { FEW = 64 };
static bool may_be_worse(const float *x, const float *got, const double *y, const double *allowed, double worst)
{
    int worse = 0;
    for (int i = 0; i < FEW; i++) worse |= !(fabs((double)got[i] - y[i]) <= worst * allowed[i]) | (x[i] == 0.0f);
    return worse != 0;
}

static void try_outputs(const Row *row, const float *x, const float *got, const Expected *e, Worst *worst)
{
    for (int at = 0; at < CHUNK; at += FEW) {
        if (!may_be_worse(x + at, got + at, e->y + at, e->allowed + at, worst->worst)) continue;
        for (int i = at; i < at + FEW; i++) {
            double error = part(row, x[i], got[i], e->y[i], e->allowed[i]);
            if (error > worst->worst) *worst = (Worst){error, x[i], got[i]};
        }
    }
}

static void try_chunk(Tests *t)
{
    static Expected e[ROWS];
    for (int r = 0; r < row_count; r++) expect(r, t->input, &e[r]);
    for (int f = 0; f < t->form_count; f++) {
        t->compiled.model->choose_form(t->weights, t->forms[f]);
        t->compiled.model->run(t->weights, t->memory, (const void *const[]){t->input}, (void *const *)t->outputs);
        for (int r = 0; r < row_count; r++) try_outputs(&rows[r], t->input, t->outputs[r], &e[r], &t->worst[f][r]);
    }
}

static bool prepare(Arena *arena, Tests *t, Diagnostics *diags)
{
    Text text = text_new(arena);
    text_printf(&text, "import \"vision.gm\"\nmodel elements() {\n  input x[%d]\n", CHUNK);
    for (int r = 0; r < row_count; r++) text_printf(&text, "  output y%d = %s\n", r, rows[r].equation);
    text_add(&text, "}\n");
    PipelineRequest request = {.model = {.path = "elements.gm", .text = text_string(&text)}};
    static Pipeline pipeline;
    Backend backend;
    if (!backend_find(NULL, &backend, diags)) return false;
    request.stop = backend_stage(backend);
    if (!pipeline_run(arena, &request, &pipeline, diags) || !compiled_load(arena, &pipeline, backend, &t->compiled, diags)) return false;
    const gm_model *model = t->compiled.model;
    unsigned char *payload = weights_pack(pipeline.plan, weights_random(arena, pipeline.module, 1), diags);
    size_t size = 0;
    unsigned char *image = blob_build(pipeline.plan, payload, NULL, 0, &size);
    t->weights = arena_alloc(arena, model->weights_bytes);
    t->memory = aligned_alloc(64, (model->arena_bytes + 127) / 64 * 64);
    t->input = aligned_alloc(64, CHUNK * sizeof(float));
    for (int r = 0; r < row_count; r++) t->outputs[r] = aligned_alloc(64, CHUNK * sizeof(float));
    if (model->bind(t->weights, image, size) != GM_OK) return false;
    for (int f = 0; f < pipeline.targets.count; f++)
        if (model->choose_form(t->weights, pipeline.targets.forms[f]->name) == GM_OK) t->forms[t->form_count++] = pipeline.targets.forms[f]->name;
    free(payload);
    free(image);
    return t->form_count > 0;
}

/* Leaves the functions of these names. */
static bool choose_rows(int count, char *const *names)
{
    row_count = 0;
    for (int r = 0; r < ROWS; r++)
        for (int k = 0; k < count; k++) {
            if (strcmp(rows[r].name, names[k]) != 0) continue;
            rows[row_count] = rows[r];
            exact[row_count++] = exact[r];
        }
    return row_count == count;
}

static float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static int filled;
static void try_float(Tests *t, float x)
{
    t->input[filled++] = x;
    if (filled < CHUNK) return;
    try_chunk(t);
    filled = 0;
}

static void try_special(Tests *t)
{
    static const float values[] = {0, INFINITY, NAN, FLT_MIN, FLT_MAX, 88.72f, 88.73f, 87.4f, 103.9f, 104.1f, 3e9f, 1e30f};
    for (int sign = 0; sign < 2; sign++) {
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) try_float(t, sign ? -values[k] : values[k]);
        for (uint32_t bits = 0; bits < 300; bits++) try_float(t, float_of_bits(bits | (uint32_t)sign << 31));
        for (uint32_t exponent = 0; exponent < 255; exponent++) /* powers of two, their neighbours, a few in between */
            for (int32_t k = -20; k <= 20; k++) try_float(t, float_of_bits((exponent << 23) + (uint32_t)k + (k % 3 == 0 ? (uint32_t)(k + 20) * 200003u : 0) + ((uint32_t)sign << 31)));
        for (int k = 0; k < 20 * 512; k++) try_float(t, (float)(sign ? -k : k) / 512);
        for (int turns = 1; turns < 76000; turns++) { /* where sin and cos come near 0 */
            const double quarter = 1.57079632679489661923;
            float x = (float)(turns * quarter);
            for (int k = -1; k <= 1; k++) try_float(t, (sign ? -1.0f : 1.0f) * (k ? nextafterf(x, k * INFINITY) : x));
        }
    }
}

int main(int argc, char **argv)
{
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 0) : 10007, first = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    Tests *t = arena_new_object(arena, Tests);
    if (argc > 3 && !choose_rows(argc - 3, argv + 3)) {
        fprintf(stderr, "elements: a name that no function has\n");
        return 1;
    }
    if (stride < 1 || !prepare(arena, t, diags)) {
        Text message = text_new(arena);
        diagnostics_print(diags, &message, false);
        fputs(text_string(&message), stderr);
        return 1;
    }
    try_special(t);
    for (uint64_t bits = first; bits < (uint64_t)1 << 32; bits += stride) try_float(t, float_of_bits((uint32_t)bits));
    while (filled) try_float(t, 1);
    int failed = 0;
    printf("%-12s", "error / bound");
    for (int f = 0; f < t->form_count; f++) printf("  %-28s", t->forms[f]);
    printf("\n");
    for (int r = 0; r < row_count; r++) {
        printf("%-12s", rows[r].name);
        for (int f = 0; f < t->form_count; f++) {
            const Worst *worst = &t->worst[f][r];
            printf("  %5.3f at %-14.9g%c     ", worst->worst, (double)worst->where, worst->worst <= 1 ? ' ' : '!');
            failed += !(worst->worst <= 1);
        }
        printf("\n");
    }
    printf("%d functions, %d forms, %d failed\n", row_count, t->form_count, failed);
    return failed != 0;
}
