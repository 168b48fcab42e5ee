/* Loop IR: constructors, printing, and the accuracy of the element functions in every form, by interpretation. */
#include "loop/approximate.h"
#include "loop_interpreter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <float.h>
#include <stdio.h>

/* --- constructors and printing ------------------------------------------------------------------------------------- */
static void test_constants_are_folded(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    Block block = {0};
    Builder *b = builder_new(arena, 16, NULL, &block);
    int64_t whole = 0;
    assert_true(value_is_int(build_scaled(b, build_int(b, 5), 3, -1), &whole));
    assert_int_equal(whole, 14);
    assert_true(value_is_int(build_op(b, OP_FLOORDIV, build_int(b, -7), build_int(b, 2), NULL), &whole));
    assert_int_equal(whole, -4);
    assert_true(value_is_int(build_op(b, OP_MOD, build_int(b, -7), build_int(b, 3), NULL), &whole));
    assert_int_equal(whole, 2);
    Value *i = build_variable(b, build_name(b, VALUE_INT, "i"));
    assert_ptr_equal(build_add(b, i, build_int(b, 0)), i);
    assert_ptr_equal(build_mul(b, build_int(b, 1), i), i);
    assert_true(value_equal(build_scaled(b, i, 4, 2), build_scaled(b, i, 4, 2)));
    assert_false(value_equal(build_scaled(b, i, 4, 2), build_scaled(b, i, 4, 3)));
    arena_free(arena);
}

static void test_identifiers(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    Block block = {0};
    Builder *b = builder_new(arena, 1, NULL, &block);
    assert_string_equal(builder_identifier(b, "i"), "i");
    assert_string_equal(builder_identifier(b, "i"), "i_2");
    assert_string_equal(builder_identifier(b, "int"), "int_");
    assert_string_equal(builder_identifier(b, "_3"), "v_3");
    assert_string_equal(builder_identifier(b, "proj.weight"), "proj_weight");
    assert_string_equal(builder_identifier(b, "gm_exp"), "v_gm_exp_");
    arena_free(arena);
}

/* y[i] = x[i] * 2 + 1 over 19 elements, by hand. */
static LoopProgram *sample(Arena *arena, const Target *target)
{
    static const char expected_name[] = "twice";
    Kernel *plan_kernel = arena_new_object(arena, Kernel);
    plan_kernel->name = expected_name;
    KernelParameter parameter = {0};
    list_push(arena, &plan_kernel->parameters, parameter);
    list_push(arena, &plan_kernel->parameters, parameter);
    LoopKernel *kernel = arena_new_object(arena, LoopKernel);
    kernel->kernel = plan_kernel;
    kernel->target = target;
    kernel->tasks = 1;
    Builder *b = builder_new(arena, target->lanes, kernel, &kernel->body);
    kernel->task = build_name(b, VALUE_INT, "task_");
    Buffer *buffers[2];
    for (int k = 0; k < 2; k++) {
        buffers[k] = arena_new_object(arena, Buffer);
        *buffers[k] = (Buffer){.id = b->next_buffer++, .name = builder_identifier(b, k ? "y" : "x"), .written = k == 1, .parameter = k};
        list_push(arena, &kernel->buffers, buffers[k]);
    }
    ValueType type = builder_vector_type(b);
    int64_t full = 19 / target->lanes * target->lanes;
    Statement *loop = build_for(b, "i", build_int(b, 0), build_int(b, full), target->lanes);
    build_append(b, loop);
    for (int tail = 0; tail < (full < 19 ? 2 : 1); tail++) {
        Value *i = tail ? build_int(b, full) : build_variable(b, loop->variable), *part = tail ? build_int(b, 19 - full) : NULL;
        b->block = tail ? &kernel->body : &loop->body;
        Value *x = build_load_vector(b, buffers[0], i, part);
        build_store(b, buffers[1], i, build_op(b, OP_FMA, x, build_number(b, type, 2), build_number(b, type, 1)), part);
    }
    LoopForm *form = arena_new_object(arena, LoopForm);
    form->target = target;
    list_push(arena, &form->kernels, kernel);
    LoopProgram *program = arena_new_object(arena, LoopProgram);
    list_push(arena, &program->forms, form);
    return program;
}

static void test_sample_runs_and_prints(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    for (int t = 0; t < TARGET_COUNT; t++) {
        LoopProgram *program = sample(arena, &target_table[t]);
        loop_verify(program);
        double x[19], y[19];
        for (int k = 0; k < 19; k++) x[k] = k, y[k] = -1;
        Memory memories[2] = {{.data = x, .count = 19}, {.data = y, .count = 19}};
        interpret_kernel(arena, program->forms.data[0], program->forms.data[0]->kernels.data[0], memories);
        for (int k = 0; k < 19; k++) assert_true(y[k] == 2 * k + 1);
        Text text = text_new(arena);
        loop_print(program, &text);
        if (t == TARGET_AVX512)
            assert_string_equal(text_string(&text), "form avx512: 16 lanes\n\n"
                                                    "kernel twice(x: f32, y: f32 written) task task_ of 1\n"
                                                    "  for i = 0 to 16 step 16\n"
                                                    "    y[i] = fma(loadv x[i], 2, 1)\n"
                                                    "  y[16; 3] = fma(loadp x[16, 3], 2, 1)\n");
    }
    arena_free(arena);
}

/* --- element functions --------------------------------------------------------------------------------------------- */
typedef struct {
    Arena *arena;
    LoopForm form;
    LoopFunction *function;
    Interpreter in;
    Datum *variables;
} Tried;

static const Target *target_of_lanes(int lanes)
{
    return &target_table[lanes == 1 ? TARGET_SCALAR : lanes == 8 ? TARGET_AVX2 : TARGET_AVX512];
}

static Tried try_function(Arena *arena, int function, int lanes)
{
    Tried tried = {.arena = arena};
    bool uses[MOST_FUNCTIONS] = {false};
    uses[function] = true;
    LoopFunctions list = {0};
    approximate_all(arena, fits_new(arena, false), uses, target_of_lanes(lanes), lanes, &list);
    for (int k = 0; k < list.count; k++) list_push(arena, &tried.form.functions, list.data[k]);
    tried.function = list.data[list.count - 1];
    assert_int_equal(tried.function->function, function);
    tried.variables = arena_new_array(arena, Datum, 512);
    return tried;
}

static float value_of(Tried *tried, float x, float y)
{
    Interpreter in = {.arena = tried->arena, .lanes = tried->function->lanes, .variables = tried->variables, .form = &tried->form, .table = tried->function->table};
    float arguments[2] = {x, y};
    for (int p = 0; p < tried->function->parameter_count; p++)
        for (int k = 0; k < in.lanes; k++) in.variables[tried->function->parameters[p]->id].real[k] = arguments[p];
    interpret_block(&in, &tried->function->body);
    return interpret_value(&in, tried->function->result).real[in.lanes - 1];
}

/* Distance in units of the last place of the exact value's float (denormals: of the smallest one). */
static double ulps(float got, double exact)
{
    if (isnan(exact)) return isnan(got) ? 0 : 1e9;
    if (isinf((float)exact)) return (isinf(got) && (got > 0) == (exact > 0)) || fabs((double)got) > 3.40282e38 ? 0 : 1e9;
    if (isnan(got) || isinf(got)) return 1e9;
    int exponent = 0;
    frexp(exact, &exponent);
    if (exponent < -125) exponent = -125;
    return fabs((double)got - exact) / ldexp(1, exponent - 24);
}

static float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Worst error over samples of every exponent and both signs, of |x| up to `most`, in ulp or absolute. */
static double worst_error(Tried *tried, double most, bool absolute, float *where)
{
    double worst = 0;
    uint32_t step = tried->function->lanes == 1 ? 60013 : 700001;
    for (uint64_t bits = 0; bits < 0x7f800000u; bits += step)
        for (uint32_t sign = 0; sign < 2; sign++) {
            float x = float_of_bits((uint32_t)bits | sign << 31);
            if (fabs((double)x) > most) continue;
            double exact = function_evaluate((Function)tried->function->function, x, 0, 0);
            float got = value_of(tried, x, 0);
            double error = absolute ? fabs((double)got - exact) : ulps(got, exact);
            if (!(error <= worst)) worst = error, *where = x;
        }
    return worst;
}

static void test_accuracy(void **state)
{
    (void)state;
    static const struct {
        Function function;
        double most, ulps; /* |x|; allowed */
    } rows[] = {{FN_EXP, INFINITY, 2},  {FN_LOG, INFINITY, 2},  {FN_LOG1P, INFINITY, 3}, {FN_TANH, INFINITY, 2.5},
                {FN_SIGMOID, INFINITY, 3}, {FN_ERF, INFINITY, 2}, {FN_SIN, 1.2e5, 2.5},    {FN_COS, 1.2e5, 2.5}};
    for (int lanes = 1; lanes <= 16; lanes += 7)
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            if (lanes == 15) lanes = 16;
            Arena *arena = arena_new();
            Tried tried = try_function(arena, rows[k].function, lanes);
            float where = 0;
            double worst = worst_error(&tried, rows[k].most, false, &where);
            if (worst > rows[k].ulps || getenv("GM_SHOW_ACCURACY"))
                print_message("%s, %d lanes: %.3g ulp at %.9g\n", tried.function->name, lanes, worst, (double)where);
            assert_true(worst <= rows[k].ulps);
            arena_free(arena);
        }
}

static void test_special_values(void **state)
{
    (void)state;
    static const Function functions[] = {FN_EXP, FN_LOG, FN_LOG1P, FN_TANH, FN_SIGMOID, FN_ERF, FN_SIN, FN_COS};
    static const float values[] = {0.0f,   -0.0f,   INFINITY, -INFINITY, NAN,    -1.0f,   1.0f,    FLT_MIN, FLT_MAX, -FLT_MAX,
                                   1e-45f, -1e-45f, 88.72f,   88.73f,    -87.4f, -103.9f, -104.1f, 3e9f,    1e30f};
    for (int lanes = 1; lanes <= 8; lanes += 7)
        for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
            Arena *arena = arena_new();
            Tried tried = try_function(arena, functions[f], lanes);
            for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
                double exact = function_evaluate(functions[f], values[k], 0, 0);
                float got = value_of(&tried, values[k], 0);
                bool far_out = (functions[f] == FN_SIN || functions[f] == FN_COS) && fabsf(values[k]) > 1e9f && !isinf(values[k]);
                bool right = far_out ? fabsf(got) <= 1.0f : ulps(got, exact) <= 3;
                if (!right) print_message("%s(%g) is %g, not %g\n", tried.function->name, (double)values[k], (double)got, exact);
                assert_true(right);
            }
            arena_free(arena);
        }
}

/* 0.5 x (1 + erf(x / sqrt 2)) as the library writes it; above 4 the rounding of the result alone is 2.4e-7. */
static void test_gelu_is_exact_enough(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    for (int lanes = 1; lanes <= 16; lanes += 15) {
        Tried tried = try_function(arena, FN_ERF, lanes);
        double worst = 0;
        for (double t = -12; t < 12; t += lanes == 1 ? 0.0007 : 0.003) {
            float x = (float)t;
            float got = 0.5f * x * (1.0f + value_of(&tried, x * 0.70710678f, 0));
            double exact = 0.5 * (double)x * (1 + erf((double)x / sqrt(2.0)));
            double error = fabs((double)got - exact) / fmax(1, fabs(exact));
            if (error > worst) worst = error;
        }
        if (getenv("GM_SHOW_ACCURACY")) print_message("gelu, %d lanes: %.3g\n", lanes, worst);
        assert_true(worst <= 3e-7);
    }
    arena_free(arena);
}

static void test_pow(void **state)
{
    (void)state;
    static const float corners[] = {0.0f,       -0.0f,       1.0f,        -1.0f,  2.0f,     -2.0f,     3.0f,  -3.0f,  0.5f,
                                    -0.5f,      0.333f,      7.0f,        -8.25f, 1e-40f,   -1e-40f,   1e30f, -1e30f, 1.0000001f,
                                    0.9999999f, 16777216.0f, 33554431.0f, 1e9f,   INFINITY, -INFINITY, NAN,   100.5f, -100.0f};
    for (int lanes = 1; lanes <= 8; lanes += 7) {
        Arena *arena = arena_new();
        Tried tried = try_function(arena, FN_POW, lanes);
        int count = (int)(sizeof corners / sizeof *corners);
        for (int i = 0; i < count; i++)
            for (int j = 0; j < count; j++) {
                double exact = pow((double)corners[i], (double)corners[j]);
                float got = value_of(&tried, corners[i], corners[j]);
                if (ulps(got, exact) > 3)
                    print_message("pow(%.9g, %.9g) is %.9g, not %.9g\n", (double)corners[i], (double)corners[j], (double)got, exact);
                assert_true(ulps(got, exact) <= 3);
            }
        double worst = 0;
        for (uint64_t bits = 1; bits < 0x7f800000u; bits += 9000011u)
            for (double b = -40; b < 40; b += 0.37) {
                float x = float_of_bits((uint32_t)bits);
                double exact = pow((double)x, (double)(float)b);
                double error = ulps(value_of(&tried, x, (float)b), exact);
                if (error > worst) worst = error;
            }
        if (getenv("GM_SHOW_ACCURACY")) print_message("pow, %d lanes: %.3g ulp\n", lanes, worst);
        assert_true(worst <= 3);
        arena_free(arena);
    }
}

/* e^x for x <= 0 within 2 ulp, but 0 where it would be denormal. */
static void test_softmax_power(void **state)
{
    (void)state;
    static const int lanes[] = {1, 8, 16};
    for (int n = 0; n < 3; n++) {
        Arena *arena = arena_new();
        Tried tried = try_function(arena, SOFTMAX_POWER, lanes[n]);
        for (uint64_t bits = 0; bits <= 0x7f800000u; bits += 70001u) {
            float x = -float_of_bits((uint32_t)bits), got = value_of(&tried, x, 0);
            double exact = exp((double)x);
            if (x >= -87.336f) assert_true(ulps(got, exact) <= 2);
            else if (x < -87.337f) assert_true(got == 0);
            assert_true(got == 0 || got >= 0x1p-126f);
        }
        assert_true(value_of(&tried, 0, 0) == 1 && value_of(&tried, -INFINITY, 0) == 0 && isnan(value_of(&tried, NAN, 0)));
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constants_are_folded), cmocka_unit_test(test_identifiers),
        cmocka_unit_test(test_sample_runs_and_prints), cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_special_values), cmocka_unit_test(test_gelu_is_exact_enough), cmocka_unit_test(test_pow), cmocka_unit_test(test_softmax_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
