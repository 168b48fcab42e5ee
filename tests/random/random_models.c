/* random_models FIRST COUNT: random valid models with seeds FIRST…, every form against the reference evaluator. A failing one is shrunk
 * and printed with its seed.  random_models --print SEED shows a model. */
#include "child.h"
#include "generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE = 2000 };

static ChildResult check(const RandomModel *model, char *message)
{
    Arena *arena = arena_new();
    int statements;
    const char *text = random_model_text(arena, model, &statements);
    const char *target = model->seed % 5 == 4 ? "scalar" : "all";
    ChildResult result = text ? child_check(text, target, model->seed, 1, message, MESSAGE) : CHILD_VERIFIED;
    arena_free(arena);
    return result;
}

/* A failure stays one when the smaller model fails in the same way. */
static void shrink(RandomModel *model, ChildResult failure)
{
    static const int caps[] = {1, 2, 3, 4, 5, 8, 11, 16, 17, 32, 33};
    char message[MESSAGE];
    Arena *arena = arena_new();
    int statements;
    random_model_text(arena, model, &statements);
    arena_free(arena);
    for (int changed = 1; changed;) {
        changed = 0;
        for (int s = statements - 1; s >= 0; s--) {
            if (model->off[s]) continue;
            model->off[s] = true;
            if (check(model, message) == failure) changed = 1;
            else model->off[s] = false;
        }
    }
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        RandomModel smaller = *model;
        smaller.largest = caps[i];
        if (check(&smaller, message) != failure) continue;
        *model = smaller;
        break;
    }
}

int main(int argc, char **argv)
{
    int statements, passed = 0, failed = 0;
    char message[MESSAGE];
    if (argc == 3 && strcmp(argv[1], "--print") == 0) {
        RandomModel model = {.seed = strtoull(argv[2], NULL, 10)};
        const char *text = random_model_text(arena_new(), &model, &statements);
        puts(text ? text : "# empty");
        return 0;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: random_models FIRST COUNT | --print SEED\n");
        return 2;
    }
    uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);
    for (uint64_t seed = first; seed < first + count; seed++) {
        RandomModel model = {.seed = seed};
        ChildResult result = check(&model, message);
        if (result == CHILD_VERIFIED) {
            passed++;
            continue;
        }
        failed++;
        printf("seed %llu: %s\n%s\n", (unsigned long long)seed, child_result_name(result), message);
        if (failed > 3) continue; /* shrinking takes a while: the first few are enough to look at */
        shrink(&model, result);
        check(&model, message);
        printf("--- shrunk:\n%s\n%s---\n", random_model_text(arena_new(), &model, &statements), message);
        fflush(stdout);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
