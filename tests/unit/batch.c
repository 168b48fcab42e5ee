/* A model for several inputs at once says for each what the model for one says: the reference evaluator on every model of tests/models, on
 * both. What compiled batches say is compared with it by tests/models/run and tests/numeric. */
#include "commands/inputs.h"
#include "equation/batch.h"
#include "equation/evaluate.h"
#include "equation/verify.h"
#include "model/model.h"
#include "weights/weights.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 3 };

static Module *expand(Arena *arena, const char *path, const char *text, const char *name, int64_t batch)
{
    Diagnostics *diags = diagnostics_new(arena);
    ModelRequest request = {.path = path, .text = text, .model = name, .batch = batch};
    Model *model = model_load(arena, &request, diags);
    if (!model->module) return NULL;
    module_verify(model->module, false);
    return model->module;
}

static Evaluation *evaluate(Arena *arena, Module *module, void *const *inputs, int64_t sample)
{
    Evaluation *evaluation = evaluation_new(arena, module);
    WeightValues *values = weights_random(arena, module, 1);
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.data[i];
        int64_t count = tensor_count(tensor);
        if (tensor->kind != TENSOR_WEIGHT) continue;
        double *out = evaluation->values[tensor->id] = arena_new_array(arena, double, count);
        for (int64_t k = 0; k < count; k++) out[k] = tensor->type == TYPE_F32 ? (double)values->f32[tensor->id][k] : (double)values->integers[tensor->id][k];
    }
    for (int i = 0; i < module->inputs.count; i++) {
        const Tensor *tensor = module->inputs.data[i].tensor;
        int64_t count = tensor_count(tensor);
        double *out = evaluation->values[tensor->id] = arena_new_array(arena, double, count);
        for (int64_t k = 0; k < count; k++) out[k] = array_element(inputs[i], tensor->type, sample * count + k);
    }
    assert_int_equal(evaluation_run(evaluation), 0);
    return evaluation;
}

static void check_model(const char *path, const char *text, const char *name)
{
    Arena *arena = arena_new();
    Module *one = expand(arena, path, text, name, 0), *three = expand(arena, path, text, name, BATCH);
    assert_non_null(one);
    assert_non_null(three);
    assert_int_equal(one->batch, 1);
    assert_int_equal(three->batch, BATCH);
    void **inputs = random_inputs(arena, three, 1);
    Evaluation *all = evaluate(arena, three, inputs, 0);
    for (int64_t sample = 0; sample < BATCH; sample++) {
        Evaluation *single = evaluate(arena, one, inputs, sample);
        for (int i = 0; i < one->outputs.count; i++) {
            const Tensor *tensor = one->outputs.data[i].tensor, *wide = three->outputs.data[i].tensor;
            int64_t count = tensor_count(tensor);
            assert_int_equal(wide->rank, tensor->rank + 1);
            assert_int_equal(wide->extents[0], BATCH);
            assert_memory_equal(single->values[tensor->id], all->values[wide->id] + sample * count, (size_t)count * sizeof(double));
        }
    }
    arena_free(arena);
}

static void small_models(void **state)
{
    (void)state;
    char path[1000];
    int models = 0;
    assert_non_null(getenv("GM_SOURCE"));
    snprintf(path, sizeof path, "%s/tests/models", getenv("GM_SOURCE"));
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name);
        if (length < 3 || strcmp(entry->d_name + length - 3, ".gm") != 0) continue;
        snprintf(path, sizeof path, "%s/tests/models/%s", getenv("GM_SOURCE"), entry->d_name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        char line[1000], name[100];
        while (fgets(line, sizeof line, file))
            if (sscanf(line, "model %99[a-z_0-9](", name) == 1) check_model(path, NULL, name), models++;
        fclose(file);
    }
    closedir(folder);
    assert_true(models > 30);
}

/* Weight-only equations stay as they are; an output that depends on no input still has an element for each. */
static void what_gets_the_axis(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    const char *text = "model m(N = 2) {\n  input x[N]\n  param w[N, N]\n  v[i, j] = exp(w[i, j])\n  t[i] = sum[j](v[i, j] * x[j])\n"
                       "  output y[i] = t[i] + v[i, 0]\n  output z[i] = v[i, i]\n}\n";
    check_model("m.gm", text, NULL);
    Module *module = expand(arena, "m.gm", text, NULL, BATCH);
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.data[i];
        int wanted = strcmp(tensor->name, "w") == 0 || strcmp(tensor->name, "v") == 0 ? 2 : tensor->kind == TENSOR_CONSTANT ? tensor->rank : 2;
        assert_int_equal(tensor->rank, wanted);
    }
    arena_free(arena);
}

static void too_large(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    const char *deep = "model m() {\n  input x[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]\n  output y[i] = x[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i]\n}\n";
    ModelRequest request = {.path = "m.gm", .text = deep, .batch = 2};
    assert_null(model_load(arena, &request, diags)->module);
    assert_int_equal(diags->error_count, 1);
    request = (ModelRequest){.path = "m.gm", .text = "model m() {\n  input x[1048576, 512]\n  output y[i] = x[i, 0]\n}\n", .batch = 4096};
    assert_null(model_load(arena, &request, diags)->module);
    assert_int_equal(diags->error_count, 2);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(small_models), cmocka_unit_test(what_gets_the_axis), cmocka_unit_test(too_large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
