/* The C back end on a model put together by hand: the text, what compilers say to it, what it computes, and what bind refuses. */
#include "emit_model.h"

#include "commands/compiled.h"
#include "emit_c/emit_private.h"
#include "gm_map.h"
#include "gm_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <float.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[256];

static Pipeline emit_text(Arena *arena, const char *name, const char *targets, WeightsMode mode)
{
    EmitModel *m = emit_model(arena, name, targets);
    size_t size = 0;
    unsigned char *blob = emit_blob_of(m, NULL, 0, &size);
    EmitOptions options = {.prefix = name, .header_name = arena_printf(arena, "%s.h", name), .weights_mode = mode,
                           .incbin_path = arena_printf(arena, "%s/%s.gmw", directory, name), .blob = blob, .blob_size = size};
    const char *error = NULL;
    assert_true(file_write(options.incbin_path, blob, size, &error));
    Pipeline pipeline = {.targets = m->program->targets, .source = text_new(arena), .header = text_new(arena)};
    emit_c(m->program, &options, &pipeline.source, &pipeline.header);
    free(blob);
    return pipeline;
}

static void write_text(Arena *arena, const char *file, const char *text)
{
    const char *error = NULL;
    if (!file_write(arena_printf(arena, "%s/%s", directory, file), text, strlen(text), &error)) fail_msg("%s: %s", file, error);
}

/* Runs a command in the test's directory; its output is in "log". */
static bool shell(Arena *arena, const char *command)
{
    return system(arena_printf(arena, "cd '%s' && (%s) > log 2>&1", directory, command)) == 0;
}

static const char *shell_log(Arena *arena)
{
    char *text = NULL;
    size_t size;
    const char *error;
    return file_read(arena, arena_printf(arena, "%s/log", directory), &text, &size, &error) ? text : error;
}

/* --- the text ----------------------------------------------------------------------------------------------------- */

static void test_same_text_twice(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    Pipeline one = emit_text(arena, "hand", "all", WEIGHTS_FILE), two = emit_text(arena, "hand", "all", WEIGHTS_FILE);
    assert_string_equal(text_string(&one.source), text_string(&two.source));
    assert_string_equal(text_string(&one.header), text_string(&two.header));
    assert_null(strstr(text_string(&one.source), directory));
    assert_null(strstr(text_string(&one.source), "hand_tanh")); /* what nothing calls is left out */
    assert_null(strstr(text_string(&one.source), "never_read"));
    assert_non_null(strstr(text_string(&one.source), "by gmlpc"));
    arena_free(arena);
}

/* runtime/gm_runtime.h repeats the types of generated headers; the first one included wins, so they must agree. */
static void test_shared_types(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    char *text;
    size_t size;
    const char *error = "";
    const char *source = __FILE__; /* tests/unit/emit.c */
    const char *path = arena_printf(arena, "%.*s../../runtime/gm_runtime.h", (int)(strrchr(source, '/') + 1 - source), source);
    if (!file_read(arena, path, &text, &size, &error)) fail_msg("%s: %s", path, error);
    assert_non_null(strstr(text, shared_executor_text));
    assert_non_null(strstr(text, shared_status_text));
    assert_non_null(strstr(text, shared_model_text));
    assert_non_null(strstr(text, shared_profile_text));
    arena_free(arena);
}

/* --- what compilers say ------------------------------------------------------------------------------------------- */

static const char *const compilers[] = {"gcc -x c -std=c99", "g++ -x c++ -std=c++11", "clang -x c -std=c99", "clang++ -x c++ -std=c++11"};

static bool have(Arena *arena, const char *compiler)
{
    return shell(arena, arena_printf(arena, "command -v %.*s", (int)strcspn(compiler, " "), compiler));
}

/* Compiles under every compiler at one level and checks what the object leaves undefined. */
static void compile_everywhere(const char *targets, WeightsMode mode, const char *level)
{
    Arena *arena = arena_new();
    Pipeline pipeline = emit_text(arena, "hand", targets, mode);
    write_text(arena, "hand.c", text_string(&pipeline.source));
    write_text(arena, "hand.h", text_string(&pipeline.header));
    int tried = 0;
    for (int i = 0; i < 4; i++) {
        if (!have(arena, compilers[i])) continue;
        tried++;
        if (!shell(arena, arena_printf(arena, "%s %s -Wall -Wextra -Wconversion -Wpedantic -Werror -c hand.c -o hand.o", compilers[i], level)))
            fail_msg("%s %s --target %s:\n%s", compilers[i], level, targets, shell_log(arena));
        assert_true(shell(arena, "nm -u hand.o"));
        const char *allowed = strcmp(targets, "scalar") == 0 || strstr(level, "PORTABLE") ? "memcpy memset sqrtf" : "memcpy memset";
        char *log = arena_strdup(arena, shell_log(arena)), *rest = NULL;
        for (char *word = strtok_r(log, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
            if (strcmp(word, "U") != 0 && !strstr(allowed, word)) fail_msg("%s %s --target %s needs %s", compilers[i], level, targets, word);
    }
    assert_int_not_equal(tried, 0);
    arena_free(arena);
}

static void test_all_compiles(void **state)
{
    (void)state;
    compile_everywhere("all", WEIGHTS_FILE, "-O2");
    compile_everywhere("all", WEIGHTS_INCBIN, "-O0");
}

static void test_all_compiles_without_vectors(void **state)
{
    (void)state;
    compile_everywhere("all", WEIGHTS_FILE, "-O1 -DGM_PORTABLE");
}

static void test_single_targets_compile(void **state)
{
    (void)state;
    compile_everywhere("avx2", WEIGHTS_INLINE, "-O2");
    compile_everywhere("avx512", WEIGHTS_FILE, "-O0");
}

static void test_scalar_compiles(void **state)
{
    (void)state;
    compile_everywhere("scalar", WEIGHTS_FILE, "-O2");
    compile_everywhere("scalar", WEIGHTS_INLINE, "-O0");
    Arena *arena = arena_new();
    Pipeline pipeline = emit_text(arena, "hand", "scalar", WEIGHTS_FILE);
    assert_null(strstr(text_string(&pipeline.source), "__attribute__"));
    assert_null(strstr(text_string(&pipeline.source), "__builtin"));
    assert_null(strstr(text_string(&pipeline.source), "asm"));
    assert_non_null(strstr(text_string(&pipeline.header), "#define HAND_ALIGN 4\n"));
    arena_free(arena);
}

/* --- a loaded model ----------------------------------------------------------------------------------------------- */

typedef struct {
    Arena *arena;
    EmitModel *m;
    CompiledModel compiled;
    const gm_model *model;
    void *weights;
    unsigned char *blob;
    size_t blob_size;
    unsigned char *memory;
    float x[ROWS * COLUMNS];
    int32_t ids[IDS];
    uint8_t bytes[IDS];
    float y[2 * ROWS * COLUMNS], ops[OPS * 16], g[IDS];
    int32_t n[IDS];
} Loaded;

static void prepare(Loaded *l, const unsigned char *selftest, size_t selftest_bytes)
{
    free(l->blob);
    l->blob = emit_blob_of(l->m, selftest, selftest_bytes, &l->blob_size);
}

static Loaded *load(const char *targets)
{
    Arena *arena = arena_new();
    Loaded *l = arena_new_object(arena, Loaded);
    l->arena = arena;
    Pipeline pipeline = emit_text(arena, "hand", targets, WEIGHTS_FILE);
    l->m = emit_model(arena, "hand", targets);
    Diagnostics *diags = diagnostics_new(arena);
    if (!compiled_load(arena, &pipeline, BACKEND_C, &l->compiled, diags)) {
        Text text = text_new(arena);
        diagnostics_print(diags, &text, false);
        fail_msg("%s", text_string(&text));
    }
    l->model = l->compiled.model;
    l->weights = arena_alloc(arena, l->model->weights_bytes);
    prepare(l, NULL, 0);
    l->memory = aligned_alloc(64, (l->model->arena_bytes + l->model->selftest_bytes + 63) / 64 * 64);
    for (int i = 0; i < ROWS * COLUMNS; i++) l->x[i] = (float)((i * 37 + 11) % 101) * 0.25f - 12.125f;
    l->x[16] = l->x[0]; /* equal */
    l->x[1] = 0.5f, l->x[2] = 1.5f, l->x[7] = 2.5f, l->x[8] = -2.5f, l->x[9] = 3.5f, l->x[10] = -0.5f, l->x[11] = 1e9f, l->x[12] = -1e9f; /* rounding, and no need of it */
    for (int i = 0; i < IDS; i++) l->ids[i] = i * 7 + 3, l->bytes[i] = (uint8_t)(250 + i);
    return l;
}

static void unload(Loaded *l)
{
    compiled_unload(&l->compiled);
    free(l->blob);
    free(l->memory);
    arena_free(l->arena);
}

static int run_on(Loaded *l, const gm_executor *executor)
{
    const void *const in[] = {l->x, l->ids, l->bytes};
    void *const out[] = {l->y, l->ops, l->g, l->n};
    memset(l->memory, 0xff, l->model->arena_bytes);
    memset(l->y, 0xff, sizeof l->y);
    memset(l->ops, 0xff, sizeof l->ops);
    if (!executor) return l->model->run(l->weights, l->memory, in, out);
    return l->model->run_on(l->weights, l->memory, executor, in, out);
}

/* What the operators kernel stores, for lanes-wide groups. */
static float expected_operator(const Loaded *l, int test, int i, int lanes)
{
    const float *x = l->x;
    float p = x[i], q = x[i + 16], one = 1;
    int group = i / lanes * lanes;
    float sum = 0, product = 1, least = x[group], greatest = x[group];
    for (int k = group; k < group + lanes; k++) sum += x[k], product *= x[k], least = fminf(least, x[k]), greatest = fmaxf(greatest, x[k]);
    int whole = (int)(fabsf(p) < 1e8f ? floorf(p) : 0), n = group - 5;
    switch (test) {
    case TEST_ADD: return p + q;
    case TEST_SUB: return p - (q - p);
    case TEST_MUL: return p * (q + one);
    case TEST_DIV: return p / (q * q);
    case TEST_FMA: return fmaf(p, q, one);
    case TEST_NEG: return p + q;
    case TEST_MIN: return p < q ? p : q;
    case TEST_MAX: return p > q ? p : q;
    case TEST_MIN_ABS: return fminf(fabsf(p), fabsf(q));
    case TEST_POSITIVE: return p > 0 ? p : 0;
    case TEST_ABS: return fabsf(p);
    case TEST_SQRT: return sqrtf(p * p);
    case TEST_FLOOR: return floorf(p);
    case TEST_ROUND: return rintf(p);
    case TEST_LT: return p < q;
    case TEST_LE: return q;
    case TEST_EQ: return 1;
    case TEST_NE: return 0;
    case TEST_AND:
    case TEST_OR: return p < q && p > 0;
    case TEST_NOT: return !(p < q);
    case TEST_FLAG: return group < 8 ? p : q;
    case TEST_LANES: return (float)(lanes > 1 ? i : group);
    case TEST_BITS: return fabsf(p);
    case TEST_SHIFTS: return (float)(whole * 4);
    case TEST_INTEGERS: return (float)(((whole - 3) | 1) - whole);
    case TEST_SUM: return sum;
    case TEST_PRODUCT: return product;
    case TEST_ZIP_LOW: return lanes > 1 ? x[i % 2 * 16 + group + (i - group) / 2] : p;
    case TEST_ZIP_HIGH: return lanes > 1 ? x[i % 2 * 16 + group + (i - group + lanes) / 2] : p;
    case TEST_LEAST: return least;
    case TEST_GREATEST: return greatest;
    case TEST_SCALARS: {
        float s = x[group], t = x[group + 1], value = fmaxf(fmaf(s, t, sqrtf(fabsf(s))), fminf(floorf(s), rintf(t)));
        if (!(s < t && group >= 8)) value += -2.5f;
        return value * 0.1f + value * value;
    }
    case TEST_WHOLE: {
        int mod = (n % 7 + 7) % 7, div = (int)floor(n / 3.0), w = mod + div;
        if (abs(n) < w) w = abs(n);
        if (w < -group) w = -group;
        return (float)(n == 3 || group < 8 ? w : w * 2);
    }
    case TEST_CALL: return p * p;
    default: return NAN;
    }
}

static void check_operators(const Loaded *l, int lanes)
{
    for (int test = 0; test < OPS; test++) {
        for (int i = 0; i < 16; i++) {
            if ((test == TEST_SHIFTS || test == TEST_INTEGERS) && fabsf(l->x[i]) > 1e8f) continue; /* out of an integer's range */
            float ours = l->ops[test * 16 + i], theirs = expected_operator(l, test, i, lanes);
            float slack = 2e-6f * fmaxf(1, fabsf(theirs));
            if (test == TEST_SUM && lanes > 1) slack = 200; /* 1e9 and -1e9 are among them */
            if (!(fabsf(ours - theirs) <= slack)) fail_msg("operation %d, lane %d of %d: %g, expected %g", test, i, lanes, (double)ours, (double)theirs);
        }
    }
}

static void check_scale(const Loaded *l)
{
    const float *payload = (const float *)(const void *)(l->blob + 64);
    for (int turn = 0; turn < 2; turn++) {
        for (int e = 0; e < ROWS * COLUMNS; e++) {
            int c = e % COLUMNS;
            double v = (double)l->x[e] * (double)payload[48 * turn + c] + (double)(float)l->m->table->values[c];
            double theirs = v * (double)0.1f + v * v, ours = (double)l->y[turn * ROWS * COLUMNS + e];
            if (isnan(theirs) && isnan(ours)) continue;
            if (ours == (double)(float)theirs) continue;
            if (!(fabs(ours - theirs) <= 1e-5 * fmax(1, fabs(theirs)))) fail_msg("y[%d] of turn %d: %g, expected %g", e, turn, ours, theirs);
        }
    }
}

static void check_gather(const Loaded *l)
{
    const float *payload = (const float *)(const void *)(l->blob + 64);
    for (int i = 0; i < IDS; i++) {
        int id = l->ids[i] < 0 ? 0 : l->ids[i] >= COLUMNS ? COLUMNS - 1 : l->ids[i];
        assert_true(l->g[i] == payload[id] + (float)l->bytes[i]);
        assert_int_equal(l->n[i], (int)floor(l->ids[i] / 2.0));
    }
}

static void check_form(Loaded *l, const char *form, int lanes)
{
    if (l->model->choose_form(l->weights, form) != GM_OK) {
        print_message("this machine can't run %s\n", form);
        return;
    }
    assert_string_equal(l->model->form(l->weights), form);
    assert_int_equal(run_on(l, NULL), 0);
    check_scale(l);
    check_operators(l, lanes);
    check_gather(l);
    /* Any number of threads gives the same bits. */
    float y[2 * ROWS * COLUMNS], ops[OPS * 16];
    memcpy(y, l->y, sizeof y);
    memcpy(ops, l->ops, sizeof ops);
    for (int threads = 1; threads <= 3; threads++) {
        gm_pool *pool = gm_pool_new(threads);
        assert_non_null(pool);
        for (int turn = 0; turn < 20; turn++) {
            assert_int_equal(run_on(l, gm_pool_executor(pool)), 0);
            assert_memory_equal(y, l->y, sizeof y);
            assert_memory_equal(ops, l->ops, sizeof ops);
        }
        gm_pool_free(pool);
    }
}

static void test_every_form_computes(void **state)
{
    (void)state;
    Loaded *l = load("all");
    assert_string_equal(l->model->name, "hand");
    assert_int_equal(l->model->input_count, 3);
    assert_string_equal(l->model->inputs[0].name, "double");
    assert_int_equal(l->model->outputs[0].rank, 3);
    assert_int_equal(l->model->outputs[0].extents[1], ROWS);
    assert_int_equal(l->model->outputs[3].type, GM_I32);
    assert_int_equal(l->model->bind(l->weights, l->blob, l->blob_size), GM_OK);
    check_form(l, "scalar", 1);
    check_form(l, "avx2", 8);
    check_form(l, "avx512", 16);
    assert_int_equal(l->model->choose_form(l->weights, "avx"), GM_ERROR_CPU);
    assert_int_equal(l->model->choose_form(l->weights, "avx5122"), GM_ERROR_CPU);
    unload(l);
}

/* The same under other flags: no optimisation (other intrinsics), and undefined behaviour trapped. */
static void test_every_form_computes_under(const char *flags)
{
    setenv("GMLPC_CFLAGS", flags, 1);
    Loaded *l = load("all");
    unsetenv("GMLPC_CFLAGS");
    assert_int_equal(l->model->bind(l->weights, l->blob, l->blob_size), GM_OK);
    check_form(l, "scalar", 1);
    check_form(l, "avx2", 8);
    check_form(l, "avx512", 16);
    unload(l);
}

static void test_every_form_computes_unoptimised(void **state)
{
    (void)state;
    test_every_form_computes_under("-O0 -fsanitize=undefined -fsanitize-undefined-trap-on-error");
}

static void test_every_form_computes_by_clang(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    if (have(arena, "clang")) {
        setenv("CC", "clang", 1);
        test_every_form_computes_under("-fsanitize=undefined -fsanitize-trap=undefined");
        unsetenv("CC");
    }
    arena_free(arena);
}

static void test_scalar_target_computes(void **state)
{
    (void)state;
    Loaded *l = load("scalar");
    assert_int_equal(l->model->bind(l->weights, l->blob, l->blob_size), GM_OK);
    check_form(l, "scalar", 1);
    unload(l);
}

static void test_ids_out_of_range(void **state)
{
    (void)state;
    Loaded *l = load("all");
    assert_int_equal(l->model->bind(l->weights, l->blob, l->blob_size), GM_OK);
    l->ids[1] = COLUMNS, l->ids[2] = -1, l->ids[3] = INT32_MIN;
    assert_int_equal(run_on(l, NULL), 2); /* 1 + the number of the input */
    check_gather(l);
    check_scale(l); /* the rest is as it should be */
    unload(l);
}

/* --- bind --------------------------------------------------------------------------------------------------------- */

static int bind_changed(Loaded *l, size_t offset, unsigned char flip)
{
    l->blob[offset] ^= flip;
    int status = l->model->bind(l->weights, l->blob, l->blob_size);
    l->blob[offset] ^= flip;
    return status;
}

static void test_bind_refuses(void **state)
{
    (void)state;
    Loaded *l = load("all");
    int (*bind)(void *, const void *, size_t) = l->model->bind;
    assert_int_equal(bind(l->weights, l->blob, l->blob_size), GM_OK);
    assert_int_equal(bind(NULL, l->blob, l->blob_size), GM_ERROR_NULL);
    assert_int_equal(bind(l->weights, NULL, 0), GM_ERROR_NULL);
    assert_int_equal(bind(l->weights, l->blob + 1, l->blob_size - 1), GM_ERROR_ALIGNMENT);
    for (size_t size = 0; size < l->blob_size; size++) assert_int_equal(bind(l->weights, l->blob, size), GM_ERROR_SHORT);
    assert_int_equal(bind_changed(l, 0, 1), GM_ERROR_MAGIC);
    assert_int_equal(bind_changed(l, 7, 0x80), GM_ERROR_MAGIC);
    assert_int_equal(bind_changed(l, 8, 3), GM_ERROR_VERSION);
    assert_int_equal(bind_changed(l, 16, 1), GM_ERROR_MODEL);
    assert_int_equal(bind_changed(l, 31, 1), GM_ERROR_LAYOUT);
    assert_int_equal(bind_changed(l, 32, 1), GM_ERROR_SIZE);
    assert_int_equal(bind_changed(l, 40, 1), GM_ERROR_CHECKSUM);
    assert_int_equal(bind_changed(l, 48, 1), GM_ERROR_SHORT);
    assert_int_equal(bind_changed(l, 55, 0x80), GM_ERROR_SHORT);
    assert_int_equal(bind_changed(l, 56, 1), GM_ERROR_SIZE);
    for (size_t offset = 64; offset < l->blob_size; offset += 5) assert_int_equal(bind_changed(l, offset, 0x10), GM_ERROR_CHECKSUM);
    unsigned char mark[4];
    memcpy(mark, l->blob + 12, 4);
    for (int i = 0; i < 4; i++) l->blob[12 + i] = mark[3 - i];
    assert_int_equal(bind(l->weights, l->blob, l->blob_size), GM_ERROR_BYTE_ORDER);
    memcpy(l->blob + 12, mark, 4);
    unsigned char *longer = aligned_alloc(64, l->blob_size + 64);
    memset(longer, 0, l->blob_size + 64);
    memcpy(longer, l->blob, l->blob_size);
    assert_int_equal(bind(l->weights, longer, l->blob_size + 8), GM_ERROR_SIZE);
    assert_int_equal(bind(l->weights, longer, l->blob_size), GM_OK);
    free(longer);
    unload(l);
}

static void test_families_differ(void **state)
{
    (void)state;
    Loaded *x86 = load("all"), *scalar = load("scalar");
    assert_int_equal(x86->model->bind(x86->weights, scalar->blob, scalar->blob_size), GM_ERROR_LAYOUT);
    assert_int_equal(scalar->model->bind(scalar->weights, x86->blob, x86->blob_size), GM_ERROR_LAYOUT);
    unload(x86);
    unload(scalar);
}

/* --- self-test ---------------------------------------------------------------------------------------------------- */

static void test_selftest(void **state)
{
    (void)state;
    Loaded *l = load("all");
    const Module *module = l->m->module;
    l->m->table->values[3] = l->m->table->values[4] = l->m->table->values[5] = 0; /* as built: see below */
    double worst = -1;
    assert_int_equal(l->model->bind(l->weights, l->blob, l->blob_size), GM_OK);
    assert_int_equal(l->model->selftest(l->weights, l->memory, &worst), GM_ERROR_NO_SELFTEST);

    /* The expected outputs are what the model gives on the seeded inputs. */
    double *values = arena_new_array(l->arena, double, ROWS * COLUMNS);
    selftest_input(module, 0, 7, values);
    double least = 1, greatest = -1;
    for (int i = 0; i < ROWS * COLUMNS; i++) l->x[i] = (float)values[i], least = fmin(least, values[i]), greatest = fmax(greatest, values[i]);
    assert_true(least >= -1 && least < -0.9 && greatest < 1 && greatest > 0.9);
    selftest_input(module, 1, 7, values);
    for (int i = 0; i < IDS; i++) l->ids[i] = (int32_t)values[i];
    selftest_input(module, 2, 7, values);
    for (int i = 0; i < IDS; i++) l->bytes[i] = (uint8_t)values[i];
    assert_int_equal(run_on(l, NULL), 0);
    double *outputs[4];
    const void *ours[] = {l->y, l->ops, l->g, l->n};
    for (int i = 0; i < 4; i++) {
        int64_t count = tensor_count(module->outputs.data[i].tensor);
        outputs[i] = arena_new_array(l->arena, double, count);
        for (int64_t e = 0; e < count; e++) outputs[i][e] = i == 3 ? ((const int32_t *)ours[i])[e] : (double)((const float *)ours[i])[e];
    }
    size_t bytes = 0;
    l->m->table->values[3] = INFINITY, l->m->table->values[4] = -INFINITY, l->m->table->values[5] = NAN;
    unsigned char *section = selftest_build(l->arena, module, 7, 1e-6, outputs, &bytes);
    prepare(l, section, bytes);
    assert_int_equal(l->model->bind(l->weights, l->blob, l->blob_size), GM_OK);
    assert_int_equal(l->model->selftest(l->weights, l->memory, &worst), GM_OK);
    assert_true(worst >= 0 && worst <= 1e-6);
    assert_int_equal(l->model->selftest(l->weights, l->memory, NULL), GM_OK);
    assert_int_equal(l->model->selftest(l->weights, l->memory + 4, NULL), GM_ERROR_ALIGNMENT);
    assert_int_equal(l->model->selftest(l->weights, NULL, NULL), GM_ERROR_NULL);

    outputs[1][40] += 0.5;
    section = selftest_build(l->arena, module, 7, 1e-6, outputs, &bytes);
    prepare(l, section, bytes);
    assert_int_equal(l->model->bind(l->weights, l->blob, l->blob_size), GM_OK);
    assert_int_equal(l->model->selftest(l->weights, l->memory, &worst), GM_ERROR_SELFTEST);
    assert_true(worst > 1e-6);
    assert_int_equal(l->model->bind(l->weights, l->blob, l->blob_size - 1), GM_ERROR_SHORT);
    unload(l);
}

/* --- programs ----------------------------------------------------------------------------------------------------- */

static const char program_text[] =
    "#include \"hand.h\"\n"
    "#include \"other.h\"\n"
    "#include \"gm_runtime.h\"\n"
    "#include <stdio.h>\n"
    "#include <stdlib.h>\n"
    "static float x[HAND_DOUBLE_COUNT], y[HAND_Y_COUNT], ops[HAND_OPS_COUNT], g[HAND_G_COUNT];\n"
    "static int32_t ids[HAND_IDS_COUNT], n[HAND_N_COUNT];\n"
    "static uint8_t bytes[HAND_BYTES_COUNT];\n"
    "int main(void)\n"
    "{\n"
    "    hand_weights hand;\n"
    "    other_weights other;\n"
    "    size_t size;\n"
    "    char *memory = (char *)malloc(HAND_ARENA_BYTES + HAND_ALIGN);\n"
    "    void *arena = memory + (HAND_ALIGN - (uintptr_t)memory % HAND_ALIGN);\n"
    "    const void *blob = hand_blob(&size);\n"
    "    int status = hand_bind(&hand, blob, size);\n"
    "    if (status != GM_OK) return printf(\"hand: %s\\n\", gm_status_text(status)), 1;\n"
    "    blob = other_blob(&size);\n"
    "    status = other_bind(&other, blob, size);\n"
    "    if (status != GM_OK) return printf(\"other: %s\\n\", gm_status_text(status)), 1;\n"
    "    if (other_bind(&other, hand_blob(NULL), size) != GM_ERROR_MODEL) return printf(\"other takes the weights of hand\\n\"), 1;\n"
    "    blob = other_blob(&size);\n"
    "    other_bind(&other, blob, size);\n"
    "    x[0] = 1;\n"
    "    if (hand_run(&hand, arena, x, ids, bytes, y, ops, g, n) != 0) return 1;\n"
    "    if (ops[0] != 1) return 1;\n"
    "    ops[0] = 0;\n"
    "    if (other_run(&other, arena, x, ids, bytes, y, ops, g, n) != 0 || ops[0] != 1) return 1;\n"
    "    free(memory);\n"
    "    return 0;\n"
    "}\n";

static const char *runtime_path(Arena *arena)
{
    const char *source = __FILE__;
    return arena_printf(arena, "%.*s../../runtime", (int)(strrchr(source, '/') + 1 - source), source);
}

static void test_two_models_in_one_program(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    Pipeline hand = emit_text(arena, "hand", "all", WEIGHTS_INCBIN), other = emit_text(arena, "other", "all", WEIGHTS_INLINE);
    write_text(arena, "hand.c", text_string(&hand.source));
    write_text(arena, "hand.h", text_string(&hand.header));
    write_text(arena, "other.c", text_string(&other.source));
    write_text(arena, "other.h", text_string(&other.header));
    write_text(arena, "main.c", program_text);
    for (int i = 0; i < 4; i++) {
        if (!have(arena, compilers[i])) continue;
        const char *command = arena_printf(arena, "%s -O1 -Wall -Wextra -Werror -I%s hand.c other.c main.c %s/gm_runtime.c -o both && ./both", compilers[i],
                                           runtime_path(arena), runtime_path(arena));
        if (!shell(arena, command)) fail_msg("%s:\n%s", command, shell_log(arena));
    }
    /* Both in one translation unit as well. */
    write_text(arena, "unity.c", "#include \"hand.c\"\n#include \"other.c\"\n");
    if (!shell(arena, "cc -O1 -Wall -Wextra -Werror -c unity.c")) fail_msg("%s", shell_log(arena));
    arena_free(arena);
}

/* In strict mode a thread may read, write and exit; any other system call kills it. */
static void test_run_makes_no_system_call(void **state)
{
    (void)state;
    Loaded *l = load("all");
    assert_int_equal(l->model->bind(l->weights, l->blob, l->blob_size), GM_OK);
    assert_int_equal(run_on(l, NULL), 0); /* every symbol is bound now */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) syscall(SYS_exit, 77);
        int status = run_on(l, NULL);
        syscall(SYS_exit, status == 0 && l->n[0] == 1 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) print_message("this system has no strict mode\n");
    else assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    unload(l);
}

/* --- the cache ---------------------------------------------------------------------------------------------------- */

static bool load_with(Arena *arena, const char *compiler, DiagnosticCode *code)
{
    Pipeline pipeline = emit_text(arena, "hand", "scalar", WEIGHTS_FILE);
    Diagnostics *diags = diagnostics_new(arena);
    CompiledModel compiled;
    setenv("CC", compiler, 1);
    bool loaded = compiled_load(arena, &pipeline, BACKEND_C, &compiled, diags);
    unsetenv("CC");
    assert_int_equal(loaded, diags->error_count == 0);
    Text text = text_new(arena);
    diagnostics_json(diags, &text);
    *code = strstr(text_string(&text), "GM175") ? GM175 : strstr(text_string(&text), "GM176") ? GM176 : GM177;
    compiled_unload(&compiled);
    return loaded;
}

static void test_compilers_that_fail(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    DiagnosticCode code;
    assert_false(load_with(arena, "no-such-compiler-anywhere", &code));
    assert_int_equal(code, GM175);
    assert_false(load_with(arena, "false", &code));
    assert_int_equal(code, GM176);
    assert_false(load_with(arena, "true", &code)); /* success without an object */
    assert_int_equal(code, GM177);
    assert_true(load_with(arena, "  cc  -DSPACES ", &code));
    assert_true(load_with(arena, "  cc  -DSPACES ", &code)); /* from the cache */
    char *before = arena_strdup(arena, getenv("GMLPC_CACHE"));
    setenv("GMLPC_CACHE", "/proc/no-such-cache", 1);
    assert_false(load_with(arena, "cc", &code));
    assert_int_equal(code, GM177);
    setenv("GMLPC_CACHE", before, 1);
    arena_free(arena);
}

static int set_up(void **state)
{
    (void)state;
    const char *temporary = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/emit-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(directory)) return 1;
    char cache[300];
    snprintf(cache, sizeof cache, "%s/cache", directory);
    setenv("GMLPC_CACHE", cache, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_text_twice),
        cmocka_unit_test(test_shared_types),
        cmocka_unit_test(test_all_compiles),
        cmocka_unit_test(test_all_compiles_without_vectors),
        cmocka_unit_test(test_single_targets_compile),
        cmocka_unit_test(test_scalar_compiles),
        cmocka_unit_test(test_every_form_computes),
        cmocka_unit_test(test_every_form_computes_unoptimised),
        cmocka_unit_test(test_every_form_computes_by_clang),
        cmocka_unit_test(test_scalar_target_computes),
        cmocka_unit_test(test_ids_out_of_range),
        cmocka_unit_test(test_bind_refuses),
        cmocka_unit_test(test_families_differ),
        cmocka_unit_test(test_selftest),
        cmocka_unit_test(test_two_models_in_one_program),
        cmocka_unit_test(test_run_makes_no_system_call),
        cmocka_unit_test(test_compilers_that_fail),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
