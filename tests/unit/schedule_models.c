/* Schedules of whole models: every file of tests/models, for both families and with all tensors kept, run step by step by the plan's
 * interpreter and compared with the reference evaluation of the same module. */
#include "equation/evaluate.h"
#include "pipeline.h"
#include "schedule/execute.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double random_value(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 33) / 2147483648.0 * 2 - 1;
}

/* Weights of a size that keeps sums near 1; small integers, valid as subscripts or clamped. */
static void give_values(Arena *arena, const Module *module, Evaluation *evaluation)
{
    uint64_t seed = 42;
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.data[i];
        if (tensor->kind != TENSOR_INPUT && tensor->kind != TENSOR_WEIGHT) continue;
        int64_t count = tensor_count(tensor);
        double scale = tensor->kind == TENSOR_WEIGHT && tensor->rank > 1 ? 2 / sqrt((double)(count / tensor->extents[0])) : 1;
        evaluation->values[i] = arena_new_array(arena, double, count);
        for (int64_t j = 0; j < count; j++) {
            double value = random_value(&seed);
            evaluation->values[i][j] = tensor->type == TYPE_F32 ? value * scale : floor((value + 1) * 4);
        }
    }
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-8 * (1 + fabs(a));
}

/* False: the file holds no single model that compiles as it is. */
static bool check(const char *path, const char *target, bool keep_all)
{
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    PipelineRequest request = {.target = target, .stop = STAGE_PASSES};
    Pipeline pipeline;
    request.model.path = path;
    if (!pipeline_run(arena, &request, &pipeline, diags)) {
        arena_free(arena);
        return false;
    }
    Module *module = pipeline.module;
    Evaluation *before = evaluation_new(arena, module);
    give_values(arena, module, before);
    evaluation_run(before);
    int outputs = module->outputs.count;
    double **wanted = arena_new_array(arena, double *, outputs), **found = arena_new_array(arena, double *, outputs);
    for (int i = 0; i < outputs; i++) {
        const Tensor *tensor = module->outputs.data[i].tensor;
        wanted[i] = before->values[tensor->id];
        found[i] = arena_new_array(arena, double, tensor_count(tensor));
    }
    PlanOptions options = {.keep_all = keep_all};
    Plan *plan = schedule(module, pipeline.targets.family, &options, diags);
    plan_verify(plan);
    Evaluation *after = evaluation_new(arena, module);
    give_values(arena, module, after);
    evaluation_run(after);
    plan_execute(plan, after->values, found, 7);
    for (int i = 0; i < outputs; i++)
        for (int64_t j = 0; j < tensor_count(module->outputs.data[i].tensor); j++)
            if (!same(wanted[i][j], found[i][j]))
                fail_msg("%s for %s%s: %s[%ld] is %g, by the plan %g", path, target, keep_all ? ", all kept" : "",
                         module->outputs.data[i].name, (long)j, wanted[i][j], found[i][j]);
    arena_free(arena);
    return true;
}

static void models(void **state)
{
    (void)state;
    const char *top = getenv("GM_SOURCE");
    if (!top) top = ".";
    Arena *arena = arena_new();
    const char *folder = arena_printf(arena, "%s/tests/models", top);
    DIR *directory = opendir(folder);
    int checked = 0;
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        size_t length = strlen(entry->d_name);
        if (length < 4 || strcmp(entry->d_name + length - 3, ".gm") != 0) continue;
        const char *path = arena_printf(arena, "%s/%s", folder, entry->d_name);
        if (!check(path, "all", false)) continue;
        check(path, "all", true);
        check(path, "scalar", false);
        checked++;
    }
    closedir(directory);
    arena_free(arena);
    assert_true(checked >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
