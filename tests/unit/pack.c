/* Packing: what lies in the payload is what the reference evaluator says, for every blob tensor of every family; and the executor's own
 * corners. */
#include "commands/inputs.h"
#include "equation/evaluate.h"
#include "pipeline.h"
#include "weights/execute.h"
#include "weights/weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double element(const unsigned char *payload, const Tensor *tensor, int64_t flat)
{
    const Layout *layout = tensor_layout(tensor);
    int64_t position = 0;
    for (int d = tensor->rank - 1; d >= 0; d--) {
        position += flat % tensor->extents[d] * layout->strides[d];
        flat /= tensor->extents[d];
    }
    return array_element(payload + layout->offset_bytes, tensor->type, position);
}

static double *doubles(Arena *arena, const Tensor *tensor)
{
    return arena_new_array(arena, double, tensor_count(tensor));
}

static Evaluation *evaluate(Arena *arena, Module *module, const WeightValues *values)
{
    Evaluation *evaluation = evaluation_new(arena, module);
    for (int i = 0; i < module->weights.count; i++) {
        const Tensor *weight = module->weights.data[i];
        double *out = evaluation->values[weight->id] = doubles(arena, weight);
        for (int64_t k = 0; k < tensor_count(weight); k++) out[k] = (double)values->f32[weight->id][k];
    }
    void **inputs = random_inputs(arena, module, 1);
    for (int i = 0; i < module->inputs.count; i++) {
        const Tensor *tensor = module->inputs.data[i].tensor;
        double *out = evaluation->values[tensor->id] = doubles(arena, tensor);
        for (int64_t k = 0; k < tensor_count(tensor); k++) out[k] = array_element(inputs[i], tensor->type, k);
    }
    evaluation_run(evaluation);
    return evaluation;
}

/* Packs with random weights and compares; returns how many blob tensors there are. */
static int check_model(const char *text, const char *target)
{
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    PipelineRequest request = {.target = target, .stop = STAGE_SCHEDULE, .model = {.path = "test.gm", .text = text}};
    Pipeline pipeline;
    if (!pipeline_run(arena, &request, &pipeline, diags)) {
        Text message = text_new(arena);
        diagnostics_print(diags, &message, false);
        fail_msg("%s", text_string(&message));
    }
    WeightValues *values = weights_random(arena, pipeline.module, 3);
    unsigned char *payload = weights_pack(pipeline.plan, values, diags);
    assert_non_null(payload);
    assert_int_equal(diags->count, 0);
    Evaluation *evaluation = evaluate(arena, pipeline.module, values);
    for (int i = 0; i < pipeline.plan->blob.count; i++) {
        const Tensor *tensor = pipeline.plan->blob.data[i];
        const double *wanted = tensor->kind == TENSOR_CONSTANT ? tensor->values : evaluation->values[tensor->id];
        for (int64_t k = 0; k < tensor_count(tensor); k++) {
            double got = element(payload, tensor, k);
            if (!(fabs(got - wanted[k]) <= 1e-6 * fmax(1, fabs(wanted[k]))))
                fail_msg("%s: element %lld of %s is %g, not %g", target, (long long)k, tensor->name, got, wanted[k]);
        }
    }
    int count = pipeline.plan->blob.count;
    free(payload);
    arena_free(arena);
    return count;
}

static const char *const models[] = {
    /* panels at odd sizes, a norm's scale that may be folded, a table made of weights */
    "model a(N = 5, C = 37, M = 67) {\n"
    "  input x[N, C]\n"
    "  param scale[C] ~ ones\n  param w[M, C]\n  param b[M]\n  param pos[1, N, M]\n"
    "  y[n, m] = sum[c](scale[c] * x[n, c] * w[m, c]) + b[m] + pos[0, n, m]\n"
    "  output y = y\n"
    "}\n",
    /* weights through functions and reductions of their own, a Toeplitz matrix, a triangle */
    "model b(N = 13, C = 9) {\n"
    "  input x[N, C]\n"
    "  param t[2 * N - 1]\n  param u[N, N]\n"
    "  top[i] = max[j](u[i, j])\n"
    "  e[i, j] = exp(u[i, j] - top[i])\n"
    "  p[i, j] = e[i, j] / sum[k](e[i, k])\n"
    "  m[i, j] = where(j <= i, p[i, j], 0) + t[i - j + N - 1] for i < N, j < N\n"
    "  output y[i, c] = sum[j](m[i, j] * x[j, c])\n"
    "}\n",
    /* concatenated and sliced weights, a constant table, a convolution */
    "model c(H = 9, O = 35) {\n"
    "  input x[3, H, H]\n"
    "  param k[O, 3, 3, 3]\n  param cls[1, 1, O]\n  param pos[1, H * H + 1, O]\n"
    "  f[o, i, j] = sum[c, u, v](x[c, i + u - 1, j + v - 1 or 0] * k[o, c, u, v]) for i < H, j < H\n"
    "  t[n, o] = f[o, n // H, n % H] for n < H * H\n"
    "  z[n, o] = t[n - 1, o or cls[0, 0, o]] + pos[0, n, o] for n < H * H + 1\n"
    "  wave[n, o] = cos(2 * pi * n * o / O) for n < H * H + 1, o < O\n"
    "  output y[n, o] = z[n, o] * wave[n, o]\n"
    "}\n",
    /* a table of weights chosen by a constant table */
    "model d(N = 6, H = 3) {\n"
    "  input x[N, H]\n"
    "  param table[2 * N - 1, H]\n  param w[H, H]\n"
    "  where_[i, j] = abs(i - j) + i % 2 for i < N, j < N\n"
    "  bias[h, i, j] = table[where_[i, j], h] for i < N, j < N\n"
    "  g[i, h] = sum[j](bias[h, i, j] * x[j, h])\n"
    "  output y[i, m] = sum[h](g[i, h] * w[m, h])\n"
    "}\n",
};

static void test_models(void **state)
{
    (void)state;
    static const char *const targets[] = {"all", "scalar", "avx2", "avx512", "neon"};
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++)
        for (int t = 0; t < 5; t++) assert_true(check_model(models[m], targets[t]) > 0);
}

/* Equations straight from the language, executed and evaluated, larger than one run of lanes and with every kind of read. */
static void test_executor(void **state)
{
    (void)state;
    static const char *const text = "model e(N = 700, M = 5) {\n"
                                    "  input x[N, M]\n  input w[M, N]\n  input s\n"
                                    "  a[j, i] = x[i, j]\n"
                                    "  b[i, j] = x[i - 3, j + 1 or 0.5] * s for i < N, j < M\n"
                                    "  c[i] = sum[j](x[i, j] * w[j, i])\n"
                                    "  d[j] = sum[i](x[i, j] * w[j, i])\n"
                                    "  e[j, k] = sum[i](x[i, j] * w[k, i])\n"
                                    "  f[j] = max[i](x[i, j]) - min[i](x[i, j])\n"
                                    "  g[j] = argmax[i](x[i, j])\n"
                                    "  h[i, j] = x[(i + 5) % N, j] + x[N - 1 - i, M - 1 - j] for i < N, j < M\n"
                                    "  k[i, j] = x[i - 1, j or w[j, i]] + i * j for i < N\n"
                                    "  l[j] = mean[i](sum[k](x[i, k] * w[j, i]))\n"
                                    "  m[i] = x[abs(i - 350), min(i, M - 1)] for i < N\n"
                                    "  n[i, j] = x[g[j], j] + c[i]\n"
                                    "  o[i] = prod[j](1 + x[i, j] / 8)\n"
                                    "  output y[i, j] = a[j, i] + b[i, j] + c[i] + d[j] + e[j, 0] + f[j] + g[j] + h[i, j] + k[i, j] + l[j] + m[i] + n[i, j] + o[i]\n"
                                    "}\n";
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    ModelRequest request = {.path = "test.gm", .text = text};
    Model *model = model_load(arena, &request, diags);
    if (!model || !model->module) {
        Text message = text_new(arena);
        diagnostics_print(diags, &message, false);
        fail_msg("%s", text_string(&message));
    }
    Module *module = model->module;
    Evaluation *evaluation = evaluate(arena, module, NULL);
    View *views = arena_new_array(arena, View, module->tensors.count);
    for (int i = 0; i < module->tensors.count; i++) {
        Tensor *tensor = module->tensors.data[i];
        double *values = tensor->kind == TENSOR_CONSTANT ? tensor->values : evaluation->values[tensor->id];
        views[i] = view_dense(VIEW_F64, values, tensor);
        if (tensor->kind != TENSOR_INPUT) continue;
        float *narrow = arena_new_array(arena, float, tensor_count(tensor)); /* the fast paths read f32 */
        for (int64_t k = 0; k < tensor_count(tensor); k++) narrow[k] = (float)values[k];
        views[i] = view_dense(VIEW_F32, narrow, tensor);
    }
    for (int i = 0; i < module->equations.count; i++) {
        const Equation *equation = module->equations.data[i];
        const Tensor *result = equation->result;
        int64_t count = tensor_count(result);
        for (int narrow = 0; narrow < 2; narrow++) {
            View saved = views[result->id];
            float *floats = arena_new_array(arena, float, count);
            double *wide = arena_new_array(arena, double, count);
            views[result->id] = narrow ? view_dense(VIEW_F32, floats, result) : view_dense(VIEW_F64, wide, result);
            execute_equation(equation, views);
            views[result->id] = saved;
            for (int64_t k = 0; k < count; k++) {
                double got = narrow ? (double)floats[k] : wide[k], wanted = evaluation->values[result->id][k];
                if (!(fabs(got - wanted) <= (narrow ? 1e-6 : 1e-12) * fmax(1, fabs(wanted)))) fail_msg("%s, element %lld: %.17g, not %.17g", result->name, (long long)k, got, wanted);
            }
        }
    }
    arena_free(arena);
}

static void test_odd_values(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    PipelineRequest request = {.target = "all", .stop = STAGE_SCHEDULE, .model = {.path = "test.gm", .text = models[0]}};
    Pipeline pipeline;
    assert_true(pipeline_run(arena, &request, &pipeline, diags));
    WeightValues *values = weights_random(arena, pipeline.module, 3);
    values->f32[pipeline.module->weights.data[1]->id][5] = NAN;
    free(weights_pack(pipeline.plan, values, diags));
    Text message = text_new(arena);
    diagnostics_print(diags, &message, false);
    assert_int_equal(diags->warning_count, 1);
    assert_non_null(strstr(text_string(&message), "GM136"));
    assert_non_null(strstr(text_string(&message), pipeline.module->weights.data[1]->path));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_models), cmocka_unit_test(test_executor), cmocka_unit_test(test_odd_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
