/* mutated_models FIRST COUNT FILE.gm…: model files with random damage. Each must either compile and verify, or end in located errors:
 * never a crash, a hang or an internal fault. */
#include "child.h"
#include "generate.h"

#include "support/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE = 3000 };

static const char *const words[] = {"x", "[", "]", "(", ")", "{", "}", ",", "=", "+", "-", "*", "/", "//", "%", "<", "..", "0", "1", "-1", "9223372036854775807", "1e400", "3.5",
                                    "for i < 4", "or 0", "sum[i]", "mean[..]", "argmax[i]", "where", "param p[3]", "repeat l < 3", "if true", "@ .", "@ shared s", "|>", "~ zeros",
                                    "block", "model", "input", "output", "return", "const", "import \"vision.gm\"", "bind b for m {", "\"", "#", "inf", "pi", "i32", ":", "ids", "\n"};

/* Begin and end of the token at or after `at`. */
static void token(const char *text, size_t length, size_t at, size_t *begin, size_t *end)
{
    while (at < length && strchr(" \n\t", text[at])) at++;
    *begin = at;
    while (at < length && !strchr(" \n\t[](){},", text[at])) at++;
    *end = at > *begin ? at : (at < length ? at + 1 : at);
}

static const char *mutate(Arena *arena, const char *text, uint64_t *state)
{
    int changes = 1 + (int)(random_next(state) % 3);
    for (int c = 0; c < changes; c++) {
        size_t length = strlen(text), b, e, b2, e2;
        if (length < 2) break;
        Text out = text_new(arena);
        token(text, length, (size_t)(random_next(state) % length), &b, &e);
        token(text, length, (size_t)(random_next(state) % length), &b2, &e2);
        int kind = (int)(random_next(state) % 6);
        const char *word = words[random_next(state) % (sizeof words / sizeof words[0])];
        text_add_bytes(&out, text, b);
        if (kind == 0) text_printf(&out, " %s ", word);                       /* replaced */
        else if (kind == 1) text_printf(&out, " %s %.*s", word, (int)(e - b), text + b); /* inserted */
        else if (kind == 2) text_add_bytes(&out, text + b2, e2 - b2);         /* another token of the file */
        else if (kind == 3) text_printf(&out, "%.*s %.*s", (int)(e - b), text + b, (int)(e - b), text + b); /* doubled */
        else if (kind == 4) text_printf(&out, "%c", (int)(random_next(state) % 255 + 1)); /* any byte */
        text_add(&out, text + e); /* kind 5: removed */
        text = text_string(&out);
    }
    return text;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: mutated_models FIRST COUNT FILE.gm…\n");
        return 2;
    }
    uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);
    int passed = 0, failed = 0, verified = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        Arena *arena = arena_new();
        uint64_t state = seed;
        char message[MESSAGE], *text;
        size_t size;
        const char *error, *path = argv[3 + random_next(&state) % (uint64_t)(argc - 3)];
        if (!file_read(arena, path, &text, &size, &error)) {
            fprintf(stderr, "%s: %s\n", path, error);
            return 2;
        }
        const char *mutated = mutate(arena, text, &state);
        ChildResult result = child_check(mutated, "scalar", seed, 1, message, sizeof message);
        if (result == CHILD_VERIFIED || result == CHILD_REJECTED) {
            passed++;
            verified += result == CHILD_VERIFIED;
        } else {
            failed++;
            printf("seed %llu of %s: %s\n%s\n--- the model:\n%s\n---\n", (unsigned long long)seed, path, child_result_name(result), message, failed > 4 ? "" : mutated);
            fflush(stdout);
        }
        arena_free(arena);
    }
    printf("of %llu, %d still compiled and verified\n%d passed, %d failed\n", (unsigned long long)count, verified, passed, failed);
    return failed ? 1 : 0;
}
