/* Bind declarations and loading: every kind of line fills the right elements; every mistake is reported, all at once, with its code. */
#include "weights/weights.h"

#include "weights/archive.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
    Arena *arena;
    Diagnostics *diags;
    Model *model;
    char *path;
    WeightRequest request;
} Fixture;

/* A checkpoint of "NAME TYPE EXTENT EXTENT…; …": element e of the tensor number t has the value 100 * t + e. */
static void write_checkpoint(Fixture *f, const char *spec)
{
    Text header = text_new(f->arena), data = text_new(f->arena), file = text_new(f->arena);
    char *words = arena_strdup(f->arena, spec), *tensor_state = NULL;
    int number = 0;
    text_add(&header, "{");
    for (char *tensor = strtok_r(words, ";", &tensor_state); tensor; tensor = strtok_r(NULL, ";", &tensor_state), number++) {
        char *state = NULL, *name = strtok_r(tensor, " ", &state), *type = strtok_r(NULL, " ", &state);
        int64_t count = 1;
        Text shape = text_new(f->arena);
        for (char *extent = strtok_r(NULL, " ", &state); extent; extent = strtok_r(NULL, " ", &state)) {
            text_printf(&shape, "%s%s", shape.length ? "," : "", extent);
            count *= atoll(extent);
        }
        size_t begin = data.length;
        for (int64_t e = 0; e < count; e++) {
            float real = (float)(100 * number + e);
            int64_t whole = 100 * number + e;
            if (strcmp(type, "F32") == 0) text_add_bytes(&data, &real, 4);
            else text_add_bytes(&data, &whole, 8);
        }
        text_printf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", number ? "," : "", name, type, text_string(&shape), begin, data.length);
    }
    text_add(&header, "}");
    uint64_t length = header.length;
    text_add_bytes(&file, &length, 8);
    text_add_bytes(&file, header.data, header.length);
    text_add_bytes(&file, data.data, data.length);
    const char *error;
    assert_true(file_write(f->path, file.data, file.length, &error));
}

static Fixture begin(const char *model, const char *checkpoint)
{
    Fixture f = {.arena = arena_new()};
    f.path = arena_strdup(f.arena, "/tmp/gm_bind_XXXXXX");
    int descriptor = mkstemp(f.path);
    assert_true(descriptor >= 0);
    close(descriptor);
    f.diags = diagnostics_new(f.arena);
    ModelRequest request = {.path = "test.gm", .text = model};
    f.model = model_load(f.arena, &request, f.diags);
    if (!f.model || !f.model->module) {
        Text text = text_new(f.arena);
        diagnostics_print(f.diags, &text, false);
        fail_msg("%s", text_string(&text));
    }
    write_checkpoint(&f, checkpoint);
    f.request.path = f.path;
    return f;
}

static WeightValues *load(Fixture *f)
{
    return weights_load(f->arena, f->model, &f->request, f->diags);
}

static void end(Fixture *f)
{
    unlink(f->path);
    arena_free(f->arena);
}

static const char *messages(Fixture *f)
{
    Text text = text_new(f->arena);
    diagnostics_print(f->diags, &text, false);
    return text_string(&text);
}

static const float *values_of(Fixture *f, const WeightValues *values, const char *path)
{
    if (!values) fail_msg("%s", messages(f));
    for (int i = 0; i < f->model->module->weights.count; i++)
        if (strcmp(f->model->module->weights.data[i]->path, path) == 0) return values->f32[f->model->module->weights.data[i]->id];
    fail_msg("no weight %s", path);
    return NULL;
}

/* The load fails, and its text holds all of these words, separated by "|". */
static void expect_failure(const char *model, const char *checkpoint, const char *bind, bool strict, const char *wanted)
{
    Fixture f = begin(model, checkpoint);
    f.request.bind = bind;
    f.request.strict = strict;
    if (load(&f)) fail_msg("loaded, instead of: %s", wanted);
    assert_true(f.diags->error_count > 0);
    char *state = NULL, *words = arena_strdup(f.arena, wanted);
    for (char *word = strtok_r(words, "|", &state); word; word = strtok_r(NULL, "|", &state))
        if (!strstr(messages(&f), word)) fail_msg("\"%s\" is missing in:\n%s", word, messages(&f));
    end(&f);
}

#define MODEL                                                               \
    "block lin(x[N, C], M) -> [N, M] {\n"                                   \
    "  param weight[M, C] ~ xavier\n"                                       \
    "  param bias[M] ~ zeros\n"                                             \
    "  y[n, m] = sum[k](x[n, k] * weight[m, k]) + bias[m]\n"                \
    "  return y\n"                                                          \
    "}\n"                                                                   \
    "model net(D = 4, LAYERS = 3, HEAD = true) {\n"                         \
    "  input x[2, D]\n"                                                     \
    "  y = x\n"                                                             \
    "  repeat l < LAYERS { y = lin(y, D) @ blocks[l].fc }\n"                \
    "  if HEAD { y = lin(y, 6) @ head }\n"                                  \
    "  output z = y\n"                                                      \
    "}\n"
#define PLAIN                                                                                                                      \
    "blocks.0.fc.weight F32 4 4;blocks.0.fc.bias F32 4;blocks.1.fc.weight F32 4 4;blocks.1.fc.bias F32 4;blocks.2.fc.weight F32 4 4;" \
    "blocks.2.fc.bias F32 4;head.weight F32 6 4;head.bias F32 6"

static void test_plain(void **state)
{
    (void)state;
    Fixture f = begin(MODEL, PLAIN);
    WeightValues *values = load(&f);
    const float *bias = values_of(&f, values, "blocks.1.fc.bias"), *head = values_of(&f, values, "head.weight");
    assert_true(bias[0] == 300 && bias[3] == 303 && head[0] == 600 && head[23] == 623);
    assert_int_equal(f.diags->count, 0);
    end(&f);
}

/* Renames, subtrees with arithmetic, transposes, slices, `if`, ignore, a named tensor before a subtree. */
static void test_lines(void **state)
{
    (void)state;
    Fixture f = begin(MODEL "bind other for net {\n"
                            "  blocks[i].* = \"layers/{2*i + 1}/*\"\n"
                            "  blocks[i].fc.weight[m, k] = \"layers/{2*i + 1}/kernel\"[k, m]\n"
                            "  blocks[2].fc.bias = \"special\"\n"
                            "  if HEAD {\n"
                            "    head.weight[m, k] = \"top\"[k, m] for m < D - 1\n"
                            "    head.weight[D - 1 + m, k] = 2 * \"rest\"[m, k] + k\n"
                            "    head.bias[m] = \"table\"[m // 2, m % 2]\n"
                            "  }\n"
                            "  if !HEAD { nothing.* = \"x.*\" }\n"
                            "  ignore \"opt/*\", \"*.count\"\n"
                            "}\n",
                      "layers/1/kernel F32 4 4;layers/1/fc/bias F32 4;layers/3/kernel F32 4 4;layers/3/fc/bias F32 4;layers/5/kernel F32 4 4;"
                      "special F32 4;top F32 4 3;rest F32 3 4;table F32 3 2;opt/x F32 7;a.count I64");
    WeightValues *values = load(&f);
    assert_int_equal(f.diags->count, 0);
    const float *w = values_of(&f, values, "blocks.1.fc.weight"), *b = values_of(&f, values, "blocks.1.fc.bias");
    for (int m = 0; m < 4; m++)
        for (int k = 0; k < 4; k++) assert_true(w[m * 4 + k] == 200 + k * 4 + m);
    assert_true(b[0] == 300 && values_of(&f, values, "blocks.2.fc.bias")[3] == 503);
    const float *head = values_of(&f, values, "head.weight"), *bias = values_of(&f, values, "head.bias");
    for (int m = 0; m < 6; m++)
        for (int k = 0; k < 4; k++) assert_true(head[m * 4 + k] == (m < 3 ? 600 + k * 3 + m : 2 * (700 + (m - 3) * 4 + k) + k));
    for (int m = 0; m < 6; m++) assert_true(bias[m] == 800 + m);
    end(&f);
}

/* A stacked checkpoint: the layer is an axis; and everything else lies under a prefix. */
static void test_stacked_and_prefix(void **state)
{
    (void)state;
    Fixture f = begin(MODEL "bind stacked for net {\n"
                            "  blocks[i].fc.weight[m, k] = \"all/w\"[i, k, m]\n"
                            "  blocks[i].fc.bias[m] = sum[j](\"all/b\"[i, m, j])\n"
                            "  \"*\" = \"params/*\"\n"
                            "}\n",
                      "params/all/w F32 3 4 4;params/all/b F32 3 4 2;params/head/weight F32 6 4;params/head/bias F32 6");
    WeightValues *values = load(&f);
    const float *w = values_of(&f, values, "blocks.2.fc.weight"), *b = values_of(&f, values, "blocks.2.fc.bias");
    for (int m = 0; m < 4; m++) {
        for (int k = 0; k < 4; k++) assert_true(w[m * 4 + k] == 32 + k * 4 + m);
        assert_true(b[m] == 200 + 2 * (16 + 2 * m) + 1);
    }
    assert_true(values_of(&f, values, "head.bias")[5] == 305);
    end(&f);
}

/* A binding of a block: its paths are relative to every call, on both sides; it may read the call's sizes. */
static void test_block_binding(void **state)
{
    (void)state;
    Fixture f = begin(MODEL "bind flat for lin { weight[m, k] = \"w\"[m * C + k]  bias = \"b\" }\n",
                      "blocks.0.fc.w F32 16;blocks.0.fc.b F32 4;blocks.1.fc.w F32 16;blocks.1.fc.b F32 4;blocks.2.fc.w F32 16;blocks.2.fc.b F32 4;"
                      "head.w F32 24;head/b F32 6");
    f.request.bind = "flat";
    WeightValues *values = load(&f);
    assert_true(values_of(&f, values, "blocks.2.fc.weight")[7] == 407 && values_of(&f, values, "head.weight")[23] == 623);
    assert_true(values_of(&f, values, "head.bias")[2] == 702);
    end(&f);
}

static void test_complaints(void **state)
{
    (void)state;
    expect_failure(MODEL, "blocks.0.fc.weight F32 4 4;blocks.0.fc.bias F32 4;blocks.1.fc.weights F32 4 4;blocks.1.fc.bias F32 1 4;blocks.2.fc.weight F32 4 5;head.weight F32 4 6;head.bias I64 6",
                   NULL, false,
                   "lacks 2 of the 8 tensors that net needs [GM125]|missing: blocks.1.fc.weight: f32[4, 4], declared [M, C]|the file has \"blocks.1.fc.weights\"|"
                   "missing: blocks.2.fc.bias|3 tensors of another shape|[GM126]|blocks.1.fc.bias: f32[4], declared [M], and \"blocks.1.fc.bias\" is [1, 4]|"
                   "\"blocks.1.fc.bias\"[0, a]|\"blocks.2.fc.weight\" is [4, 5]|1 tensor of another element type|[GM127]|head.bias: f32[6], declared [M], and \"head.bias\" is I64");
    expect_failure(MODEL, "blocks.0.fc.weight F32 4 4", "nothing", false, "no bind declaration called nothing applies to net [GM129]");
    expect_failure(MODEL "bind google for net { \"*\" = \"p/*\" }", PLAIN, "gogle", false, "GM129|did you mean google");
    expect_failure(MODEL, PLAIN ";extra F32 3;more I64 2", NULL, true, "GM128|extra F32 [3]|more I64 [2]");
    expect_failure(MODEL "bind a for net { \"*\" = \"p/*\" }\nbind b for net { \"*\" = \"q/*\" }",
                   "q/blocks.0.fc.weight F32 4 4;q/blocks.0.fc.bias F32 4;q/blocks.1.fc.weight F32 4 4;q/blocks.1.fc.bias F32 4;q/blocks.2.fc.weight F32 4 4;"
                   "q/blocks.2.fc.bias F32 4;q/head.weight F32 6 4;q/head.bias F32 6",
                   NULL, false, "GM125|the names fit with --bind b");
}

#define WITH(lines) MODEL "bind t for net { " lines " }"

static void test_bad_lines(void **state)
{
    (void)state;
#define CASE(lines, file, wanted) expect_failure(WITH(lines), PLAIN ";" file, "t", false, wanted)
    CASE("head.bias[m] = \"q\"[m] for m < 5", "q F32 6", "GM132|head.bias [6]|element [5] not at all");
    CASE("head.bias[m] = \"q\"[m] for m < 4  head.bias[3 + m] = \"q\"[m] for m < 3", "q F32 6", "GM132|element [3] twice");
    CASE("head.bias = \"q\"  head.bias = \"q\"", "q F32 6", "GM132|bound twice");
    CASE("head.bias[m] = \"q\"[m + 1]", "q F32 6", "GM131|from 1 to 6");
    CASE("head.bias[m + 1] = \"q\"[m]", "q F32 6", "GM131|from 1 to 6");
    CASE("head.bias[m] = \"q\"[m]", "q F32 7", "GM126|index m has two sizes: 6 (axis 0 of head.bias) and 7 (axis 0 of \"q\")");
    CASE("head.bias[m] = \"q\"[m, 0]", "q F32 6", "GM126|read with 2 subscripts");
    CASE("head.bias[a, b] = \"q\"[a]", "q F32 6", "GM126|2 subscripts");
    CASE("head.bias[m] = \"nowhere\"[m]", "q F32 6", "GM125|reads \"nowhere\"");
    CASE("head.bias[2 * a + b] = \"q\"[2 * a + b]", "q F32 6", "GM134|has no size|for a < ");
    CASE("head.bias[m] = \"q\"[m] for n < 3", "q F32 6", "GM130|n occurs nowhere");
    CASE("head.bias[m] = \"q\"[k]", "q F32 6", "GM130|k is neither an index");
    CASE("head.bias[m] = \"q\"[m] + foo(m)", "q F32 6", "GM130|foo is no element function");
    CASE("head.bias = \"{unknown}\"", "q F32 6", "GM130|{unknown}");
    CASE("head.bias = \"{1\"", "q F32 6", "GM130|brace");
    CASE("head.bias[m] = \"q\"[m]", "q I64 6", "GM127|head.bias is f32, and \"q\" is I64");
#undef CASE
}

static void test_idle_line(void **state)
{
    (void)state;
    Fixture f = begin(WITH("tail.* = \"x.*\""), PLAIN);
    f.request.bind = "t";
    assert_non_null(load(&f));
    assert_int_equal(f.diags->warning_count, 1);
    assert_non_null(strstr(messages(&f), "GM133"));
    end(&f);
}

/* The same on every machine, non-identity, independent of the order. */
static void test_random(void **state)
{
    (void)state;
    Fixture f = begin(MODEL, PLAIN);
    WeightValues *a = weights_random(f.arena, f.model->module, 7), *b = weights_random(f.arena, f.model->module, 7), *c = weights_random(f.arena, f.model->module, 8);
    const float *x = values_of(&f, a, "head.weight"), *y = values_of(&f, b, "head.weight"), *z = values_of(&f, c, "head.weight");
    assert_memory_equal(x, y, 24 * sizeof(float));
    assert_memory_not_equal(x, z, 24 * sizeof(float));
    assert_memory_not_equal(values_of(&f, a, "blocks.0.fc.weight"), values_of(&f, a, "blocks.1.fc.weight"), 16 * sizeof(float));
    for (int i = 0; i < 24; i++) assert_true(fabsf(x[i]) <= sqrtf(3.0f / 4));
    for (int i = 0; i < 6; i++) assert_true(values_of(&f, a, "head.bias")[i] != 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),      cmocka_unit_test(test_lines),     cmocka_unit_test(test_stacked_and_prefix), cmocka_unit_test(test_block_binding),
        cmocka_unit_test(test_complaints), cmocka_unit_test(test_bad_lines), cmocka_unit_test(test_idle_line),          cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
