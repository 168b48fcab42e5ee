/* How diagnostics read: snippets, marks, chains, limits, JSON, suggestions; and that every code is explained. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/diagnostics.h"

#include <jansson.h>
#include <string.h>

static Arena *arena;
static Diagnostics *diags;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new();
    diags = diagnostics_new(arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static Source *source(const char *name, const char *text)
{
    return source_new(arena, name, text, strlen(text), false);
}

/* The place of the first occurrence of `what`. */
static Place at(const Source *from, const char *what)
{
    const char *found = strstr(from->text, what);
    assert_non_null(found);
    return (Place){from, (size_t)(found - from->text), (size_t)(found - from->text) + strlen(what)};
}

static const char *printed(void)
{
    Text out = text_new(arena);
    diagnostics_print(diags, &out, false);
    return text_string(&out);
}

static void test_marks_and_chain(void **state)
{
    (void)state;
    Source *file = source("a.gm", "model m(T = 16) {\n  g[i] = sum[j](w[i, j] * v[j])\n}\n"), *other = source("b.gm", "y = f(x)\n");
    CallNote outer = {NULL, "f(x[3])", at(other, "f(x)")}, inner = {&outer, "g(x[3], N = 4)", at(file, "sum")};
    diags->call = &inner;
    Diagnostic *d = diag_error(diags, GM001, at(file, "j] *"), "index j has two sizes");
    diag_caret(d, "256 here");
    diag_label(d, at(file, "j])"), "196 here");
    diag_label(d, at(file, "T = 16"), "given here");
    diag_note(d, (Place){0}, "a note");
    diag_help(d, "T = %d would agree", 14);
    assert_string_equal(printed(), "a.gm:2:22: error: index j has two sizes [GM001]\n"
                                   "    2 |   g[i] = sum[j](w[i, j] * v[j])\n"
                                   "      |                      ^^^^   ~~~\n"
                                   "      |                      256 here\n"
                                   "      |                      196 here\n"
                                   "    1 | model m(T = 16) {\n"
                                   "      |         ~~~~~~\n"
                                   "      |         given here\n"
                                   "note: a note\n"
                                   "note: in g(x[3], N = 4), called at 2:10\n"
                                   "note: in f(x[3]), called at b.gm:1:5\n"
                                   "help: T = 14 would agree\n");
}

static void test_tabs_wide_and_broken_text(void **state)
{
    (void)state;
    Source *file = source("a.gm", "\tx\t= \xE6\x97\xA5 \x1B[31m\xFFy\r\nz");
    diag_error(diags, GM002, at(file, "y"), "here");
    assert_string_equal(printed(), "a.gm:1:14: error: here [GM002]\n"
                                   "    1 |     x   = \xE6\x97\xA5 \xEF\xBF\xBD[31m\xEF\xBF\xBDy\n"
                                   "      |                    ^\n");
}

static void test_long_lines_are_cut(void **state)
{
    (void)state;
    char *text = arena_alloc(arena, 5001);
    memset(text, 'x', 5000);
    memcpy(text + 2500, "HERE", 4);
    Source *file = source("a.gm", text);
    diag_error(diags, GM002, at(file, "HERE"), "long");
    const char *out = printed();
    assert_true(strlen(out) < 400);
    const char *line = strstr(out, "HERE"), *caret = strstr(out, "^^^^");
    assert_non_null(line);
    assert_non_null(caret);
    const char *line_begin = line, *caret_begin = caret;
    while (line_begin[-1] != '\n') line_begin--;
    while (caret_begin[-1] != '\n') caret_begin--;
    assert_int_equal(line - line_begin, caret - caret_begin);
}

static void test_edges(void **state)
{
    (void)state;
    Source *empty = source("e.gm", ""), *file = source("a.gm", "x\n");
    diag_error(diags, GM001, (Place){empty, 0, 0}, "empty");
    diag_error(diags, GM001, (Place){file, 2, 2}, "at the end");
    diag_error(diags, GM001, (Place){file, 900, 1000}, "behind the end");
    diag_error(diags, GM001, (Place){0}, "nowhere");
    const char *out = printed();
    assert_non_null(strstr(out, "e.gm:1:1: error: empty"));
    assert_non_null(strstr(out, "a.gm:2:1: error: at the end"));
    assert_non_null(strstr(out, "\nerror: nowhere [GM001]\n"));
}

static void test_limits_and_repetition(void **state)
{
    (void)state;
    Source *file = source("a.gm", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    for (int twice = 0; twice < 2; twice++) diag_help(diag_error(diags, GM001, (Place){file, 3, 4}, "same"), "help");
    assert_int_equal(diags->count, 1);
    assert_int_equal(diags->error_count, 1);
    for (size_t i = 0; i < 40; i++) diag_error(diags, GM001, (Place){file, i, i + 1}, "number %zu", i);
    diag_warning(diags, GM001, (Place){file, 0, 1}, "a warning still fits");
    assert_int_equal(diags->error_count, 41);
    assert_int_equal(diags->count, 21);
    assert_non_null(strstr(printed(), "\n21 more errors are not shown\n"));
    /* sorted by position */
    assert_true(strstr(printed(), "number 2 ") < strstr(printed(), "same"));
}

static void test_json(void **state)
{
    (void)state;
    Source *file = source("a.gm", "x = \xFF y");
    Diagnostic *d = diag_error(diags, GM004, at(file, "y"), "bad \xFF byte");
    diag_label(d, at(file, "x"), "label");
    diag_help(d, "help");
    diag_warning(diags, GM001, (Place){0}, "nowhere");
    Text out = text_new(arena);
    diagnostics_json(diags, &out);
    json_t *root = json_loads(text_string(&out), 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "errors")), 1);
    assert_int_equal(json_integer_value(json_object_get(root, "warnings")), 1);
    json_t *list = json_object_get(root, "diagnostics"), *first = json_array_get(list, 0), *second = json_array_get(list, 1);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_object_get(first, "code")), "GM004");
    assert_string_equal(json_string_value(json_object_get(first, "severity")), "error");
    assert_int_equal(json_integer_value(json_object_get(first, "column")), 7);
    assert_int_equal(json_array_size(json_object_get(first, "labels")), 1);
    assert_int_equal(json_array_size(json_object_get(first, "help")), 1);
    assert_true(json_is_null(json_object_get(second, "file")));
    json_decref(root);
}

static void test_nearest_name(void **state)
{
    (void)state;
    const char *const names[] = {"layernorm", "batchnorm", "dense", "x", "gelu_tanh"};
    assert_string_equal(nearest_name("layernrom", names, 5), "layernorm");
    assert_string_equal(nearest_name("Dense", names, 5), "dense");
    assert_string_equal(nearest_name("gelutanh", names, 5), "gelu_tanh");
    assert_null(nearest_name("attention", names, 5));
    assert_null(nearest_name("y", names, 5));
    assert_null(nearest_name("", names, 5));
    assert_null(nearest_name("dense", names + 2, 1));
}

static void test_codes(void **state)
{
    (void)state;
    DiagnosticCode code;
    assert_true(diagnostic_find("GM004", &code) && code == GM004);
    assert_true(diagnostic_find("gm004", &code) && code == GM004);
    assert_true(diagnostic_find("4", &code) && code == GM004);
    assert_false(diagnostic_find("GM999", &code));
    assert_false(diagnostic_find("", &code));
    assert_false(diagnostic_find("GM", &code));
    assert_false(diagnostic_find("GM0041", &code));
    for (int i = 0; i < DIAGNOSTIC_COUNT; i++) {
        const char *name = diagnostic_code_name((DiagnosticCode)i);
        assert_int_equal(strlen(name), 5);
        if (i) assert_true(strcmp(diagnostic_code_name((DiagnosticCode)(i - 1)), name) < 0);
        if (strlen(diagnostic_title((DiagnosticCode)i)) < 5 || strlen(diagnostic_explanation((DiagnosticCode)i)) < 40) fail_msg("%s is not explained", name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_marks_and_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tabs_wide_and_broken_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_lines_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_edges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits_and_repetition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nearest_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_codes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
