/* Fresh weights: each initialiser has the mean, deviation and bounds that it names; values depend on seed and path alone, to the bit. */
#include "weights/weights.h"

#include "weights/draw.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char text[] =
    "model m() {\n"
    "  input x[2]\n"
    "  param none[50, 30]\n"
    "  param one[7] ~ ones\n"
    "  param same[4] ~ constant(-0.25)\n"
    "  param drawn[300, 100] ~ normal(3, 0.5)\n"
    "  param cut[300, 100] ~ trunc_normal(0.02)\n"
    "  param even[300, 100] ~ uniform(-1, 3)\n"
    "  param glorot[200, 10, 5, 3] ~ xavier\n"
    "  param he[40, 60, 5, 5] ~ kaiming\n"
    "  param single ~ normal(0, 1)\n"
    "  output y[i] = x[i] + none[i, i] + one[i] + same[i] + drawn[i, i] + cut[i, i] + even[i, i] + glorot[i, i, i, i] + he[i, i, i, i] + single for i < 2\n"
    "}\n";

static const Module *load(Arena *arena)
{
    ModelRequest request = {.path = "m.gm", .text = text};
    Diagnostics *diags = diagnostics_new(arena);
    Model *model = model_load(arena, &request, diags);
    assert_int_equal(diags->error_count, 0);
    return model->module;
}

typedef struct {
    double mean, deviation, low, high;
    int64_t count;
} Measure;

static const float *values_of(const WeightValues *values, const char *path, int64_t *count)
{
    for (int i = 0; i < values->module->weights.count; i++) {
        const Tensor *weight = values->module->weights.data[i];
        if (strcmp(weight->path, path) != 0) continue;
        *count = tensor_count(weight);
        return values->f32[weight->id];
    }
    fail_msg("no weight %s", path);
    return NULL;
}

static Measure measure(const WeightValues *values, const char *path)
{
    Measure m = {.low = INFINITY, .high = -INFINITY};
    const float *data = values_of(values, path, &m.count);
    double squares = 0;
    for (int64_t i = 0; i < m.count; i++) {
        double value = (double)data[i];
        m.mean += value / (double)m.count;
        m.low = fmin(m.low, value);
        m.high = fmax(m.high, value);
    }
    for (int64_t i = 0; i < m.count; i++) squares += ((double)data[i] - m.mean) * ((double)data[i] - m.mean);
    m.deviation = sqrt(squares / (double)m.count);
    return m;
}

static void close_to(double value, double wanted, double tolerance)
{
    if (!(fabs(value - wanted) <= tolerance)) fail_msg("%.9g is not %.9g within %g", value, wanted, tolerance);
}

static void test_distributions(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    WeightValues *values = weights_initialise(arena, load(arena), 5);
    Measure m = measure(values, "none");
    assert_true(m.low == 0 && m.high == 0);
    m = measure(values, "one");
    assert_true(m.low == 1 && m.high == 1);
    m = measure(values, "same");
    assert_true(m.low == -0.25 && m.high == -0.25);

    m = measure(values, "drawn"); /* 30,000 numbers: four standard errors */
    close_to(m.mean, 3, 4 * 0.5 / sqrt(30000));
    close_to(m.deviation, 0.5, 4 * 0.5 / sqrt(60000));
    assert_true(m.high > 3 + 3.5 * 0.5 && m.high < 3 + 6 * 0.5);

    m = measure(values, "cut"); /* cut at two deviations, a normal distribution keeps 0.87963 of its deviation */
    close_to(m.mean, 0, 4 * 0.0176 / sqrt(30000));
    close_to(m.deviation, 0.02 * 0.8796257, 0.0002);
    assert_true(m.high <= 0.04 && m.high > 0.0395 && m.low >= -0.04 && m.low < -0.0395);

    m = measure(values, "even");
    close_to(m.mean, 1, 4 * 1.1547 / sqrt(30000));
    close_to(m.deviation, 4 / sqrt(12), 0.01);
    assert_true(m.low >= -1 && m.low < -0.99 && m.high <= 3 && m.high > 2.99);

    m = measure(values, "glorot"); /* fan_out 200, fan_in 150 */
    double reach = sqrt(6.0 / 350);
    close_to(m.deviation, reach / sqrt(3), 0.001);
    assert_true(m.low >= (double)(float)-reach && m.high <= (double)(float)reach && m.high > 0.99 * reach);

    m = measure(values, "he"); /* fan_in 1500 */
    close_to(m.mean, 0, 4 * 0.0365 / sqrt(60000));
    close_to(m.deviation, sqrt(2.0 / 1500), 0.0005);
    arena_free(arena);
}

/* Known bits: what another machine must give. */
static void test_bits(void **state)
{
    (void)state;
    Draw draw = draw_start(5, "he");
    assert_true(draw_bits(&draw) == UINT64_C(0x4d78fe11807c9c44));
    assert_true(draw_bits(&draw) == UINT64_C(0x1010936c456ad975));
    Arena *arena = arena_new();
    WeightValues *values = weights_initialise(arena, load(arena), 5);
    int64_t count = 0;
    const float *data = values_of(values, "he", &count);
    uint32_t bits, sum = 0;
    for (int64_t i = 0; i < count; i++) {
        memcpy(&bits, &data[i], sizeof bits);
        sum = (sum ^ bits) * 16777619u;
    }
    assert_int_equal(sum, 0x94973fedu);
    arena_free(arena);
}

static void test_seeds_and_paths(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    const Module *module = load(arena);
    WeightValues *a = weights_initialise(arena, module, 5), *b = weights_initialise(arena, module, 5), *c = weights_initialise(arena, module, 6);
    int64_t count = 0;
    const float *first = values_of(a, "drawn", &count);
    assert_memory_equal(first, values_of(b, "drawn", &count), (size_t)count * sizeof *first);
    assert_true(memcmp(first, values_of(c, "drawn", &count), (size_t)count * sizeof *first) != 0);
    /* another path is another stream */
    const float *other = values_of(a, "cut", &count);
    int64_t same = 0;
    for (int64_t i = 0; i < count; i++) same += fabs(((double)first[i] - 3) / 0.5 - (double)other[i] / 0.02) < 1e-4;
    assert_true(same < count / 100);
    arena_free(arena);
}

static void test_file_round_trip(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    ModelRequest request = {.path = "m.gm", .text = text};
    Diagnostics *diags = diagnostics_new(arena);
    Model *model = model_load(arena, &request, diags);
    WeightValues *values = weights_initialise(arena, model->module, 9);
    char path[] = "/tmp/gm_initialise_XXXXXX.safetensors";
    int file = mkstemps(path, 12);
    assert_true(file >= 0);
    assert_true(weights_write(path, values, diags));
    WeightRequest weights = {.path = path, .strict = true};
    WeightValues *back = weights_load(arena, model, &weights, diags);
    remove(path);
    assert_non_null(back);
    assert_int_equal(diags->count, 0);
    for (int i = 0; i < model->module->weights.count; i++) {
        const Tensor *weight = model->module->weights.data[i];
        assert_memory_equal(values->f32[weight->id], back->f32[weight->id], (size_t)tensor_count(weight) * sizeof(float));
    }
    assert_false(weights_write("/nowhere/at/all.safetensors", values, diags));
    assert_int_equal(diags->error_count, 1);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_seeds_and_paths),
        cmocka_unit_test(test_file_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
