/* The writer of generated C: literals that come back exactly, names that C has not taken, comments and lines. */
#include "emit_c/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_literals(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    assert_string_equal(float_literal(arena, 1), "1.0f");
    assert_string_equal(float_literal(arena, -0.0), "-0.0f");
    assert_string_equal(float_literal(arena, 0.1), "0.1f");
    assert_string_equal(float_literal(arena, 16777217), "16777216.0f");
    assert_string_equal(float_literal(arena, 1e-7), "1e-07f");
    assert_string_equal(float_literal(arena, -INFINITY), "-INFINITY");
    assert_string_equal(float_literal(arena, NAN), "NAN");
    for (int i = 0; i < 20000; i++) {
        union {
            uint32_t bits;
            float value;
        } number = {.bits = (uint32_t)i * 2654435761u & 0x7f7fffffu};
        assert_true(strtof(float_literal(arena, (double)number.value), NULL) == number.value);
    }
    assert_string_equal(string_literal(arena, "a\"b\\?\n"), "\"a\\\"b\\\\\\077\\012\"");
    arena_free(arena);
}

static void test_names(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    Names names = {{0}};
    assert_string_equal(names_take(arena, &names, "x"), "x");
    assert_string_equal(names_take(arena, &names, "x"), "x_");
    assert_string_equal(names_take(arena, &names, "class"), "class_");
    assert_string_equal(names_take(arena, &names, "restrict"), "restrict_");
    assert_string_equal(names_take(arena, &names, "3d.x"), "n3d_x");
    assert_string_equal(names_take(arena, &names, "gm_pool"), "ngm_pool");
    arena_free(arena);
}

static void test_comments_and_lines(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    Text text = text_new(arena);
    Writer writer = {&text, 1};
    writer_comment(&writer, "a */ b /* c\nd");
    assert_string_equal(text_string(&text), "    /* a * / b / * c\n     * d */\n");
    text = text_new(arena);
    writer_line(&writer, "call(\"%s\", %s);", "a string literal of many words that must not be broken at any of its blanks, however long it may be at the end",
                "second_argument_of_some_length");
    assert_string_equal(text_string(&text),
                        "    call(\"a string literal of many words that must not be broken at any of its blanks, however long it may be at the end\",\n"
                        "            second_argument_of_some_length);\n");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_comments_and_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
