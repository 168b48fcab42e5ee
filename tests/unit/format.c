/* The formatter on every .gm text of the project: the same tree, every comment, and itself again when formatted twice.
 * The project's directory comes in GM_SOURCE (set by ctest), or is the current one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dsl/ast.h"
#include "dsl/format.h"
#include "support/diagnostics.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

static const char *tree_of(Arena *arena, const AstFile *file)
{
    Text out = text_new(arena);
    ast_print(file, &out);
    return text_string(&out);
}

static AstFile *parse(Arena *arena, const char *name, const char *text, size_t size, int *errors)
{
    Diagnostics *diags = diagnostics_new(arena);
    AstFile *file = ast_parse(arena, source_new(arena, name, text, size, false), diags);
    *errors = diags->error_count;
    return file;
}

/* Comments one a line, without trailing white space. */
static const char *comments_of(Arena *arena, const AstFile *file)
{
    Text out = text_new(arena);
    for (int i = 0; i < file->comments.count; i++) {
        Place place = file->comments.data[i];
        while (place.end > place.begin && strchr(" \t\v\f", file->source->text[place.end - 1])) place.end--;
        text_add_bytes(&out, file->source->text + place.begin, place.end - place.begin);
        text_add(&out, "\n");
    }
    return text_string(&out);
}

/* False when the text has syntax errors. */
static bool check_text(const char *name, const char *text, size_t size)
{
    Arena *arena = arena_new();
    int errors;
    AstFile *file = parse(arena, name, text, size, &errors);
    if (!file || errors) {
        arena_free(arena);
        return false;
    }
    const char *once = ast_format(arena, file);
    AstFile *again = parse(arena, name, once, strlen(once), &errors);
    if (errors) fail_msg("%s: formatted text has syntax errors:\n%s", name, once);
    if (strcmp(tree_of(arena, file), tree_of(arena, again)) != 0) fail_msg("%s: formatting changed the tree", name);
    if (strcmp(comments_of(arena, file), comments_of(arena, again)) != 0) fail_msg("%s: formatting changed comments", name);
    const char *twice = ast_format(arena, again);
    if (strcmp(once, twice) != 0) fail_msg("%s: formatting twice differs from once:\n%s\n----\n%s", name, once, twice);
    if (strstr(once, "\n\n\n") || strstr(once, " \n")) fail_msg("%s: two blank lines, or white space at a line's end", name);
    arena_free(arena);
    return true;
}

static void check_files(const char *pattern, int at_least)
{
    const char *top = getenv("GM_SOURCE");
    Arena *arena = arena_new();
    glob_t found;
    int checked = 0;
    if (glob(arena_printf(arena, "%s/%s", top ? top : ".", pattern), 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            char *text;
            size_t size;
            const char *error;
            assert_true(file_read(arena, found.gl_pathv[i], &text, &size, &error));
            checked += check_text(found.gl_pathv[i], text, size);
        }
        globfree(&found);
    }
    arena_free(arena);
    if (checked < at_least) fail_msg("%s: only %d files were formatted", pattern, checked);
}

static void test_library(void **state)
{
    (void)state;
    check_files("dsl/std/*.gm", 10);
}

static void test_examples_and_tests(void **state)
{
    (void)state;
    check_files("examples/*/*.gm", 4);
    check_files("tests/golden/*.gm", 1);
    check_files("tests/*/*/*.gm", 1);
}

/* Every fenced gm block of the reference. */
static void test_language_reference(void **state)
{
    (void)state;
    const char *top = getenv("GM_SOURCE"), *error;
    Arena *arena = arena_new();
    char *text;
    size_t size;
    assert_true(file_read(arena, arena_printf(arena, "%s/dsl/LANGUAGE.md", top ? top : "."), &text, &size, &error));
    int checked = 0;
    for (const char *at = text; (at = strstr(at, "\n```gm\n"));) {
        at += strlen("\n```gm\n");
        const char *end = strstr(at, "```");
        assert_non_null(end);
        if (!check_text("LANGUAGE.md", at, (size_t)(end - at))) fail_msg("LANGUAGE.md: a block has syntax errors:\n%.*s", (int)(end - at), at);
        checked++;
        at = end;
    }
    arena_free(arena);
    assert_true(checked >= 20);
}

/* White space and comments thrown between the words of a text. */
static void test_random_white_space(void **state)
{
    (void)state;
    static const char *const words[] = {
        "block", "f", "(", "x", "[", "N", ",", "..", "]", ",", "HIDDEN", "=", "4", "*", "N", ")", "->", "[", "N", ",", "..", "]", "{",
        "y", "[", "i", ",", "..", "]", "=", "sum", "[", "j", "]", "(", "w", "[", "i", "*", "2", ",", "j", "or", "-", "1", "]", ")", "for", "i", "<", "N", "/", "2",
        "if", "A", "{", "a", "=", "-", "y", "}", "else", "if", "B", "{", "}", "else", "{", "b", "=", "y", "c", "=", "b", "}",
        "repeat", "l", "<", "3", "{", "y", "=", "g", "(", "y", "|>", "h", "(", ")", "@", "p", ")", "@", "blocks", "[", "l", "]", ".fn", "}",
        "u", ",", "v", "=", "k", "(", "y", ")", "@", ".", "return", "u", "*", "!", "v", "}", "bind", "q", "for", "m", "{", "a", "[", "i", "]", ".", "*", "=", "\"b\"", "}",
    };
    static const char *const spaces[] = {" ", " ", " ", "\n", "\n\n\n", " # c\n", "\n# d\n", "\r\n", "\t", "\n## e\n\n# f\n"};
    uint64_t seed = 7;
    for (int round = 0; round < 500; round++) {
        Arena *arena = arena_new();
        Text text = text_new(arena);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            text_add(&text, words[i]);
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            int pick = (int)(seed >> 33);
            text_add(&text, pick % 3 == 0 ? spaces[pick / 3 % (int)(sizeof spaces / sizeof *spaces)] : " ");
        }
        if (!check_text("random white space", text_string(&text), text.length)) fail_msg("syntax error in:\n%s", text_string(&text));
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_library),
        cmocka_unit_test(test_examples_and_tests),
        cmocka_unit_test(test_language_reference),
        cmocka_unit_test(test_random_white_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
