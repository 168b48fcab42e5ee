/* The meaning of the language, on the reference evaluator: small models whose numbers are worked out by hand. */
#include "model/model.h"
#include "equation/evaluate.h"
#include "equation/verify.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    Arena *arena;
    Diagnostics *diags;
    Module *module;
    Evaluation *evaluation;
} Run;

static Module *load(Run *run, const char *text, const char *set)
{
    run->arena = arena_new();
    run->diags = diagnostics_new(run->arena);
    ModelRequest request = {.path = "test.gm", .text = text};
    if (set) list_push(run->arena, &request.sets, set);
    run->module = model_load(run->arena, &request, run->diags)->module;
    return run->module;
}

/* Inputs and weights hold 1, 2, 3 … in order of their elements. */
static void run(Run *run, const char *text, const char *set)
{
    if (!load(run, text, set)) {
        Text out = text_new(run->arena);
        diagnostics_print(run->diags, &out, false);
        fail_msg("%s", text_string(&out));
    }
    module_verify(run->module, false);
    run->evaluation = evaluation_new(run->arena, run->module);
    for (int k = 0; k < run->module->tensors.count; k++) {
        const Tensor *tensor = run->module->tensors.data[k];
        if (tensor->kind != TENSOR_INPUT && tensor->kind != TENSOR_WEIGHT) continue;
        double *values = arena_new_array(run->arena, double, tensor_count(tensor));
        for (int64_t i = 0; i < tensor_count(tensor); i++) values[i] = (double)(i + 1);
        run->evaluation->values[tensor->id] = values;
    }
    evaluation_run(run->evaluation);
}

static void expect(const char *text, const char *set, int count, const double *wanted)
{
    Run result;
    run(&result, text, set);
    const Tensor *tensor = result.module->outputs.data[0].tensor;
    assert_int_equal(tensor_count(tensor), count);
    for (int i = 0; i < count; i++) {
        double got = result.evaluation->values[tensor->id][i];
        if (got != wanted[i] && !(fabs(got - wanted[i]) <= 1e-12 * fmax(1, fabs(wanted[i]))))
            fail_msg("element %d of %s is %.17g, not %.17g", i, text, got, wanted[i]);
    }
    arena_free(result.arena);
}
#define EXPECT(text, set, ...) expect((text), (set), (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (const double[]){__VA_ARGS__})

/* The first diagnostic of a wrong text. */
static void expect_error(const char *text, const char *set, const char *code)
{
    Run result;
    Module *module = load(&result, text, set);
    Text out = text_new(result.arena);
    diagnostics_print(result.diags, &out, false);
    if (module || !strstr(text_string(&out), code)) fail_msg("%s wanted, got: %s", code, text_string(&out));
    arena_free(result.arena);
}

static void index_equations(void **state)
{
    (void)state;
    EXPECT("model m() { input x[2, 3] output y[i] = sum[k](x[i, k] * x[i, k]) }", NULL, 14, 77);
    EXPECT("model m() { input x[2, 3] output y[j, i] = x[i, j] }", NULL, 1, 4, 2, 5, 3, 6);
    EXPECT("model m() { input x[4] output y[i] = x[i - 1 or -1] for i < 4 }", NULL, -1, 1, 2, 3);
    EXPECT("model m() { input a[2] input b[3] output y[c] = a[c or 10 * b[c - 2]] for c < 5 }", NULL, 1, 2, 10, 20, 30);
    EXPECT("model m() { input a[2, 3] output y[j*2 + i] = a[i, j] }", NULL, 1, 4, 2, 5, 3, 6);
    EXPECT("model m() { input x[5] output y[i] = x[(i + 2) % 5] for i < 5 }", NULL, 3, 4, 5, 1, 2);
    EXPECT("model m() { input x[3] output y[i, j] = where(j <= i, x[j], -inf) for i < 2, j < 2 }", NULL, 1, -INFINITY, 1, 2);
    EXPECT("model m() { output y[i] = (i - 3) // 2 for i < 4 }", NULL, -2, -1, -1, 0);
    EXPECT("model m() { output y[i] = (i - 3) % 2 for i < 4 }", NULL, 1, 0, 1, 0);
    EXPECT("model m() { input x[2, 2] output y = mean[..](x[..]) }", NULL, 2.5);
    EXPECT("model m() { input x[2, 3] output y[..] = x[..] - max[..](x[..]) }", NULL, -5, -4, -3, -2, -1, 0);
    EXPECT("model m() { input x[2, 3] output y[.., c] = x[.., c] - sum[k](x[.., k]) }", NULL, -5, -4, -3, -11, -10, -9);
    EXPECT("model m() { input x[2, 3] y[i] = argmax[j](0 - x[i, j]) + argmax[j](x[i, j]) output z = y }", NULL, 2, 2);
    EXPECT("model m() { t[i] = (3 * i + 1) % 4 for i < 4 input x[4] output y[i] = x[t[i]] }", NULL, 2, 1, 4, 3);
    EXPECT("model m() { input x[2] input i: i32[2] output y[k] = x[max(i[k] - 1, 0)] }", NULL, 1, 2);
    EXPECT("model m() { input x[2] output y[i] = sum[k](x[i] * k) + prod[k](k + 1) for k < 3 }", NULL, 3 + 6, 6 + 6);
}

static void element_types(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        ElementType type;
    } cases[] = {
        {"i", TYPE_I32},
        {"2 * i // 3", TYPE_I32},
        {"2.0 * i", TYPE_F32},
        {"b[i]", TYPE_I32},
        {"l[i] * b[i]", TYPE_I64},
        {"where(x[i] > 0, i, 0)", TYPE_I32},
        {"where(i > 2, 0.5, 0)", TYPE_F32},
        {"0", TYPE_F32},
        {"sqrt(i)", TYPE_F32},
        {"x[i] + i", TYPE_F32},
        {"argmax[k](x[k] * i)", TYPE_I32},
        {"mean[k](l[k]) + 0 * i", TYPE_F32},
        {"max[k](l[k]) + i", TYPE_I64},
        {"argmax[k](l[k]) + 0 * i", TYPE_I32},
        {"abs(b[i] - 3) % 2", TYPE_I32},
        {"b[i] / 2", TYPE_F32},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        Run result;
        Arena *arena = arena_new();
        const char *text = arena_printf(
            arena, "model m() { input x[4] input b: u8[4] input l: i64[4] y[i] = %s for i < 4 output z = 1.0 * y }", cases[k].value);
        Module *module = load(&result, text, NULL);
        assert_non_null(module);
        const Tensor *found = NULL;
        for (int i = 0; i < module->tensors.count; i++)
            if (!strcmp(module->tensors.data[i]->name, "y")) found = module->tensors.data[i];
        assert_non_null(found);
        if (found->type != cases[k].type) fail_msg("%s is %s", cases[k].value, element_type_name(found->type));
        arena_free(arena);
        arena_free(result.arena);
    }
}

static void whole_tensors(void **state)
{
    (void)state;
    EXPECT("model m() { input x[3] output y = x * x + 2 * x - 1 }", NULL, 2, 7, 14);
    EXPECT("model m() { input x[3] output y = x - sum[..](x[..]) / 3 }", NULL, -1, 0, 1);
    EXPECT("model m() { input x[3] output y = where(x > 1 && !(x == 3), x, -x) }", NULL, -1, 2, -3);
    EXPECT("model m() { const c = [10, 20, 30] input x[3] output y = c + x }", NULL, 11, 22, 33);
    EXPECT("model m() { input x[3] param s y = x * s output z = y }", NULL, 1, 2, 3);
    EXPECT("block relu(x[..]) -> [..] { return max(x, 0) } block f(x[..], S) -> [..] { a = x - S if S > 1 { return relu(a) } b[..] = a * "
           "x[..] return b }\n"
           "model m() { input x[3] output y = f(x, 2) + f(x, 1) }",
           NULL, 0 + 0, 0 + 2, 1 + 6);
    EXPECT("block sq(x[..]) -> [..] { return x * x } model m() { input x[3] output y[i] = sum[j](sq(x[j] - x[i])) }", NULL, 5, 2, 5);
    EXPECT("block norm(x[..]) -> [..] { return x / sum[..](x[..]) } model m() { input x[3] output y = 6 * norm(x) }", NULL, 1, 2, 3);
    EXPECT("model m() { input x[2] output y = x |> exp() |> log() }", NULL, 1, 2);
}

static void blocks(void **state)
{
    (void)state;
    EXPECT("block halves(x[.., C]) -> [.., C/2], [.., C/2] { u[.., c] = x[.., c] for c < C/2 v[.., c] = x[.., C/2 + c] for c < C/2 return "
           "u, v }\n"
           "model m() { input x[2, 4] u, v = halves(x) output y = u * 100 + v }",
           NULL, 103, 204, 507, 608);
    EXPECT("block scale(x[N], F = N / 2) -> [N] { return F * x } block twice(x[N], BODY) -> [N] { return BODY(BODY(x)) }\n"
           "model m() { input x[3] output y = twice(x, BODY = scale(F = 5)) + twice(x, scale) }",
           NULL, 27.25, 54.5, 81.75);
    EXPECT("block dense(x[.., C], M) -> [.., M] { param w[M, C] y[.., m] = sum[k](x[.., k] * w[m, k]) return y }\n"
           "model m() { input x[2] repeat l < 2 { x = dense(x, 2) @ shared d } output y = x }",
           NULL, 1 * 5 + 2 * 11, 3 * 5 + 4 * 11);
    EXPECT("block g(x[C, ..]) -> [..] { y[..] = sum[c](x[c, ..]) return y } model m() { input x[2, 3] output y = g(x) }", NULL, 5, 7, 9);
    EXPECT("block down(x[N], K) -> [N] { if K > 0 { x = down(2 * x, K - 1) @ . } return x } model m() { input x[1] output y = down(x, 5) }",
           NULL, 32);
    EXPECT("block add(x[N], y[N], GAIN = 1) -> [N] { return GAIN * (x + y) } model m() { input x[2] output z = add(GAIN = 3, y = x, x) }",
           NULL, 6, 12);
}

static void repeats(void **state)
{
    (void)state;
    EXPECT("model m(T = 3) { input x[T, 2] h[d] = 0 for d < 2 repeat t < T { h[d] = h[d] + x[t, d] y[t, d] = h[d] } output z = y }", NULL,
           1, 2, 4, 6, 9, 12);
    EXPECT("model m() { input x[2, 3] repeat s < 2 { repeat t < 3 { y[t, s] = 10 * x[s, t] + t } } output z = y }", NULL, 10, 40, 21, 51,
           32, 62);
    EXPECT("model m() { input x[6] repeat s < 2 { repeat t < 3 { y[s*3 + t] = x[5 - (s*3 + t)] } } output z = y }", NULL, 6, 5, 4, 3, 2, 1);
    EXPECT("model m() { input x[2] repeat t < 0 { x = 2 * x } output y = x }", NULL, 1, 2);
    EXPECT("model m() { input x[2] C = 1 repeat t < 3 { C = 2 * C } output y = C * x }", NULL, 8, 16);
    EXPECT("model m(KINDS = [1, 5]) { input x[2] repeat t < len(KINDS) { if KINDS[t] > 2 { x = x + KINDS[t] } else { x = 10 * x } } output "
           "y = x }",
           NULL, 15, 25);
}

static void settings(void **state)
{
    (void)state;
    const char *text = "block neg(x[N]) -> [N] { return -x } block pos(x[N]) -> [N] { return x }\n"
                       "model m(A = 2, B = 3 * A, LIST = [A, B], F = pos, ON = true) { input x[1] y = F(x) * LIST[1] if !ON { y = y + 100 "
                       "} output z = y }";
    EXPECT(text, NULL, 6);
    EXPECT(text, "A=4", 12);
    EXPECT(text, "B=A - 5", -3);
    EXPECT(text, "F=neg", -6);
    EXPECT(text, "ON=1 > 2", 106);
    EXPECT(text, "LIST=[1, 7]", 7);
    EXPECT("model m() { input x[N] output y = sum[i](x[i]) }", "N=4", 10);
    expect_error("model m() { input x[N] output y = x }", NULL, "GM051");
    expect_error(text, "C=4", "GM105");
    expect_error(text, "A=x +", "GM001");
    expect_error(text, "A=nothing", "GM020");
    expect_error("model m(N = 2) { input x[N] output y = x }", "N=0", "GM045");
    expect_error("model m(N = 2) { input x[N] output y = x }", "N=true", "GM022");
}

static void numbers(void **state)
{
    (void)state;
    EXPECT("model m(L = [1/3*3, 7//2, -7//2, -7%3, where(0.1 + 0.2 == 0.3 && true, 1, 0)]) { output y[i] = 1.0 * L[i] }", NULL, 1, 3, -4, 2,
           1);
    EXPECT("model m(A = where(1/3*3 == 1, 5, 6)) { output y[i] = A * 1.0 for i < 1 }", NULL, 5);
    EXPECT("model m(A = pow(2, 10) + sqrt(49) + floor(-0.5) + abs(-3) + max(2, 3) + min(2, 3)) { output y[i] = 1 + 0*i for i < A - 1034 }",
           NULL, 1, 1, 1, 1);
    EXPECT("model m(D = 64 * 0.5) { output y[i] = 1.0 for i < D / 32 }", NULL, 1);
    EXPECT("model m() { f[j] = cos(2 * pi * j / 4) for j < 4 output y[j] = round(f[j]) }", NULL, 1, 0, -1, 0);
    expect_error("model m(N = 9223372036854775807) { input x[N * N] output y = x }", NULL, "GM04");
    expect_error("model m(N = 9223372036854775807) { input x[N] output y = x }", NULL, "GM046");
    expect_error("model m(N = inf) { input x[N] output y = x }", NULL, "GM044");
    expect_error("model m() { input x[8] y[i] = x[i * 9223372036854775807] for i < 8 output z = y }", NULL, "GM06");
}

static void outputs(void **state)
{
    (void)state;
    Run result;
    run(&result, "model m() { input x[2] y = 2 * x output a = y output b = y output c = x u = y output d = u + 0 }", NULL);
    assert_int_equal(result.module->outputs.count, 4);
    for (int k = 0; k < 4; k++) {
        const Port *port = &result.module->outputs.data[k];
        assert_int_equal(port->tensor->kind, TENSOR_LOCAL);
        assert_string_equal(port->tensor->output_name, port->name);
        assert_int_equal((int)result.evaluation->values[port->tensor->id][1], k == 2 ? 2 : 4);
    }
    assert_string_equal(result.module->inputs.data[0].tensor->input_name, "x");
    arena_free(result.arena);
}

static void frames_and_paths(void **state)
{
    (void)state;
    Run result;
    run(&result,
        "block dense(x[.., C], M) -> [.., M] { param a.0.weight[M, C] y[.., m] = sum[k](x[.., k] * a.0.weight[m, k]) return y }\n"
        "model m(DEPTH = 2) { input x[3] repeat l < DEPTH { x = dense(x, 3) @ blocks[l].odd } x = dense(x, 3) @ . output y = dense(x, 3) }",
        NULL);
    static const char *const paths[] = {"blocks.0.odd.a.0.weight", "blocks.1.odd.a.0.weight", "a.0.weight", "dense.a.0.weight"};
    assert_int_equal(result.module->weights.count, 4);
    for (int k = 0; k < 4; k++) assert_string_equal(result.module->weights.data[k]->path, paths[k]);
    const Frame *frame = result.module->frames.data[2];
    assert_string_equal(frame->block, "dense");
    assert_string_equal(frame->path, "blocks.0.odd");
    assert_int_equal(frame->value_count, 2);
    assert_string_equal(frame->up->block, "repeat");
    assert_string_equal(frame->up->up->block, "m");
    assert_string_equal(result.module->parameters, "DEPTH = 2");
    arena_free(result.arena);
}

static void hints(void **state)
{
    (void)state;
    Run result;
    run(&result,
        "model m(S = 0.9) { input x[3, 4, 4] ~ image(crop_pct = S, mean = [0.5, 0.25, 1], resize = bicubic)\n"
        "output y = x ~ classes(\"labels.txt\") }",
        NULL);
    const Hint *hint = result.module->inputs.data[0].hint;
    assert_string_equal(hint->name, "image");
    assert_int_equal(hint->count, 3);
    assert_string_equal(hint->arguments[0].name, "crop_pct");
    assert_true(hint->arguments[0].numbers[0] == 0.9);
    assert_true(hint->arguments[1].list && hint->arguments[1].number_count == 3 && hint->arguments[1].numbers[1] == 0.25);
    assert_string_equal(hint->arguments[2].text, "bicubic");
    assert_string_equal(result.module->outputs.data[0].hint->arguments[0].text, "labels.txt");
    arena_free(result.arena);
}

static void constants_for_others(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    const char *text = "[2 * 3 + 1, 7 // 2, where(1 < 2, 5, 6), len([1, 2, 3])]";
    AstExpr *expr = ast_parse_expression(arena, source_new(arena, "test", text, strlen(text), false), diags);
    ConstantValue value;
    assert_true(constant_evaluate(arena, expr, NULL, NULL, &value, diags));
    static const double wanted[] = {7, 3, 5, 3};
    assert_int_equal(value.count, 4);
    for (int k = 0; k < 4; k++) assert_true(value.items[k].integer && value.items[k].number == wanted[k]);
    expr = ast_parse_expression(arena, source_new(arena, "test", "x + 1", 5, false), diags);
    assert_false(constant_evaluate(arena, expr, NULL, NULL, &value, diags));
    assert_int_equal(diags->error_count, 1);
    arena_free(arena);
}

static void missing_file(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    ModelRequest request = {.path = "no/such/file.gm"};
    assert_null(model_load(arena, &request, diags)->module);
    Text out = text_new(arena);
    diagnostics_print(diags, &out, false);
    assert_non_null(strstr(text_string(&out), "GM100"));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_equations),
        cmocka_unit_test(element_types),
        cmocka_unit_test(whole_tensors),
        cmocka_unit_test(blocks),
        cmocka_unit_test(repeats),
        cmocka_unit_test(settings),
        cmocka_unit_test(numbers),
        cmocka_unit_test(outputs),
        cmocka_unit_test(frames_and_paths),
        cmocka_unit_test(hints),
        cmocka_unit_test(constants_for_others),
        cmocka_unit_test(missing_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
