/* Every example of dsl/LANGUAGE.md is run: a block marked ```gm must check without error, one marked ```gm error=GM041 must give that code.
 * The project's directory comes in GM_SOURCE (set by ctest), or is the current one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/model.h"
#include "support/diagnostics.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *wanted; /* a code, or NULL: no error */
    const char *text;
    int line;           /* of the reference */
} Example;

typedef LIST(Example) ExampleList;

/* The fenced blocks, in order. */
static ExampleList examples_of(Arena *arena, const char *text)
{
    ExampleList list = {0};
    int line = 1;
    for (const char *at = text; *at; line++) {
        const char *end = strchr(at, '\n');
        if (!end) break;
        const char *next = end + 1;
        if (strncmp(at, "```gm", 5) == 0 && (at[5] == '\n' || at[5] == ' ')) {
            const char *close = strstr(next, "\n```");
            if (!close) fail_msg("LANGUAGE.md:%d: the block has no end", line);
            const char *error = at[5] == ' ' ? at + 6 : NULL;
            if (error && strncmp(error, "error=GM", 8) != 0) fail_msg("LANGUAGE.md:%d: a block is marked gm or gm error=GMnnn", line);
            Example example = {error ? arena_strndup(arena, error + 6, (size_t)(end - error - 6)) : NULL,
                               arena_strndup(arena, next, (size_t)(close + 1 - next)), line};
            list_push(arena, &list, example);
            for (const char *p = at; p < close; p++) line += *p == '\n';
            next = strchr(close + 1, '\n');
            if (!next) break;
            next++;
            line++;
        }
        at = next;
    }
    return list;
}

static bool has_code(const Diagnostics *diags, const char *code)
{
    Text out = text_new(diags->arena);
    diagnostics_print(diags, &out, false);
    return strstr(text_string(&out), arena_printf(diags->arena, "[%s]", code)) != NULL;
}

static const char *run(Arena *arena, const Example *example)
{
    Diagnostics *diags = diagnostics_new(arena);
    ModelRequest request = {.path = "example.gm", .text = example->text};
    Model *model = model_load(arena, &request, diags);
    Text out = text_new(arena);
    diagnostics_print(diags, &out, false);
    if (example->wanted) {
        if (has_code(diags, example->wanted)) return NULL;
        return arena_printf(arena, "LANGUAGE.md:%d: wanted %s, got\n%s", example->line, example->wanted, text_string(&out));
    }
    if (diags->error_count == 0 && diags->warning_count == 0 && model && model->module) return NULL;
    return arena_printf(arena, "LANGUAGE.md:%d: wanted no error and no warning, got\n%s", example->line, text_string(&out));
}

static void test_every_example(void **state)
{
    (void)state;
    const char *top = getenv("GM_SOURCE"), *error;
    Arena *arena = arena_new();
    char *text;
    size_t size;
    assert_true(file_read(arena, arena_printf(arena, "%s/dsl/LANGUAGE.md", top ? top : "."), &text, &size, &error));
    ExampleList examples = examples_of(arena, text);
    int failed = 0;
    for (int i = 0; i < examples.count; i++) {
        Arena *own = arena_new();
        const char *problem = run(own, &examples.data[i]);
        if (problem) print_error("%s\n", problem);
        failed += problem != NULL;
        arena_free(own);
    }
    print_message("%d examples, %d failed\n", examples.count, failed);
    assert_true(examples.count >= 40);
    assert_int_equal(failed, 0);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_example)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
