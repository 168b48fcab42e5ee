/* Our results against other people's implementations: every case of this folder (see generate/common.py) on the reference evaluator and
 * on each compiled form that this processor runs.
 * In: the folder, and names of cases or none for all.  Out: a line a case, and "N passed, N failed". */
#include "commands/compiled.h"
#include "commands/inputs.h"
#include "commands/verification.h"
#include "emit_c/blob.h"
#include "equation/evaluate.h"
#include "weights/archive.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const forms[] = {"scalar", "avx2", "avx512"};
enum { FORMS = sizeof forms / sizeof forms[0] };

typedef struct {
    Arena *arena;
    Diagnostics *diags;
    const char *folder, *name;
    const char *bind;
    double tolerance;
    ModelRequest model;
    LIST(const char *) wrong; /* --set values that must give other numbers; none: not tried */
    Archive *inputs, *expected;
    WeightValues *values;
    void **given;             /* one array for each input, in its type */
    double worst;
    bool failed, skipped[FORMS];
} Case;

static int passed_count, failed_count;
static bool form_skipped[FORMS];

static bool fail(Case *c, const char *what)
{
    Text text = text_new(c->arena);
    diagnostics_print(c->diags, &text, false);
    if (!c->failed) printf("FAILED %s: %s\n%s", c->name, what, text_string(&text));
    c->failed = true;
    return false;
}

static const char *file(Case *c, const char *name)
{
    return arena_printf(c->arena, "%s/%s/%s", c->folder, c->name, name);
}

static void read_words(Case *c, const json_t *array, const char *kind)
{
    size_t i;
    json_t *word;
    json_array_foreach(array, i, word)
    {
        const char *copy = arena_strdup(c->arena, json_string_value(word));
        if (strcmp(kind, "set") == 0) list_push(c->arena, &c->model.sets, copy);
        else list_push(c->arena, &c->wrong, copy);
    }
}

static bool read_case(Case *c)
{
    json_error_t error;
    json_t *json = json_load_file(file(c, "case.json"), 0, &error);
    if (!json) return fail(c, "case.json can't be read");
    const char *bind = json_string_value(json_object_get(json, "bind"));
    c->bind = bind ? arena_strdup(c->arena, bind) : NULL;
    c->tolerance = json_number_value(json_object_get(json, "tolerance"));
    read_words(c, json_object_get(json, "set"), "set");
    read_words(c, json_object_get(json, "wrong_set"), "wrong_set");
    json_decref(json);
    c->model.path = file(c, "model.gm");
    c->inputs = archive_open(c->arena, file(c, "inputs.npz"), c->diags);
    c->expected = archive_open(c->arena, file(c, "expected.npz"), c->diags);
    return (c->inputs && c->expected && c->tolerance > 0 && c->tolerance < 1e-3) || fail(c, "the data can't be read");
}

static const char *weights_path(Case *c)
{
    const char *path = file(c, "weights.safetensors");
    FILE *opened = fopen(path, "rb");
    if (!opened) return file(c, "weights.npz");
    fclose(opened);
    return path;
}

static const ForeignTensor *stored(Case *c, const Archive *archive, const Port *port)
{
    const ForeignTensor *tensor = archive_find(archive, port->name);
    if (tensor && tensor->count == tensor_count(port->tensor)) return tensor;
    fail(c, arena_printf(c->arena, "the data has no %s of the model's shape", port->name));
    return NULL;
}

static bool read_inputs(Case *c, const Module *module)
{
    c->given = arena_new_array(c->arena, void *, module->inputs.count + 1);
    for (int i = 0; i < module->inputs.count; i++) {
        const Tensor *tensor = module->inputs.data[i].tensor;
        const ForeignTensor *data = stored(c, c->inputs, &module->inputs.data[i]);
        int64_t count = tensor_count(tensor);
        if (!data) return false;
        c->given[i] = arena_alloc(c->arena, (size_t)count * (size_t)element_type_size(tensor->type) + 64);
        if (!element_type_is_integer(tensor->type)) {
            if (!archive_read_f32(c->inputs, data, c->given[i], c->diags)) return fail(c, "an input can't be read");
            continue;
        }
        int64_t *wide = arena_new_array(c->arena, int64_t, count);
        if (!archive_read_integers(c->inputs, data, wide, c->diags)) return fail(c, "an input can't be read");
        for (int64_t k = 0; k < count; k++) {
            if (tensor->type == TYPE_I64) ((int64_t *)c->given[i])[k] = wide[k];
            else if (tensor->type == TYPE_I32) ((int32_t *)c->given[i])[k] = (int32_t)wide[k];
            else ((uint8_t *)c->given[i])[k] = (uint8_t)wide[k];
        }
    }
    return true;
}

/* The largest error over all outputs; values(i) gives output i as doubles. */
static double worst_error(Case *c, const Module *module, double *const *outputs)
{
    double worst = 0;
    for (int i = 0; i < module->outputs.count; i++) {
        const Port *port = &module->outputs.data[i];
        const ForeignTensor *data = stored(c, c->expected, port);
        int64_t count = tensor_count(port->tensor);
        double largest = 1, difference = 0, *theirs = arena_new_array(c->arena, double, count);
        if (!data || !archive_read_f64(c->expected, data, theirs, c->diags)) return INFINITY;
        for (int64_t k = 0; k < count; k++) {
            double d = fabs(outputs[i][k] - theirs[k]);
            if (!(d <= difference)) difference = isnan(d) ? INFINITY : d;
            if (fabs(theirs[k]) > largest) largest = fabs(theirs[k]);
        }
        if (difference / largest > worst) worst = difference / largest;
    }
    return worst;
}

static void judge(Case *c, const char *where, double error)
{
    if (error > c->worst) c->worst = error;
    if (error > c->tolerance) fail(c, arena_printf(c->arena, "%s: error %.2e, allowed %.2e", where, error, c->tolerance));
}

/* --- the reference evaluator ------------------------------------------------------------------------------------------ */

static double *doubles(Case *c, const void *array, const Tensor *tensor)
{
    double *out = arena_new_array(c->arena, double, tensor_count(tensor) + 1);
    for (int64_t k = 0; k < tensor_count(tensor); k++) {
        if (tensor->type == TYPE_F32) out[k] = ((const float *)array)[k];
        else if (tensor->type == TYPE_I32) out[k] = ((const int32_t *)array)[k];
        else if (tensor->type == TYPE_I64) out[k] = (double)((const int64_t *)array)[k];
        else out[k] = ((const uint8_t *)array)[k];
    }
    return out;
}

/* The error of the reference with these --set values, or -1. */
static double reference_error(Case *c, const ModelRequest *request)
{
    Model *model = model_load(c->arena, request, c->diags);
    if (!model || !model->module) return -1;
    Module *module = model->module;
    WeightRequest weights = {.path = weights_path(c), .bind = c->bind};
    WeightValues *values = weights_load(c->arena, model, &weights, c->diags);
    if (!values || (!c->given && !read_inputs(c, module))) return -1;
    if (request == &c->model) c->values = values;
    Evaluation *evaluation = evaluation_new(c->arena, module);
    for (int i = 0; i < module->inputs.count; i++)
        evaluation->values[module->inputs.data[i].tensor->id] = doubles(c, c->given[i], module->inputs.data[i].tensor);
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.data[i];
        if (tensor->kind != TENSOR_WEIGHT || tensor->type != TYPE_F32) continue;
        evaluation->values[tensor->id] = doubles(c, values->f32[tensor->id], tensor);
    }
    if (evaluation_run(evaluation) != 0) return -1;
    double **outputs = arena_new_array(c->arena, double *, module->outputs.count + 1);
    for (int i = 0; i < module->outputs.count; i++) outputs[i] = evaluation->values[module->outputs.data[i].tensor->id];
    return worst_error(c, module, outputs);
}

static void run_reference(Case *c)
{
    double error = reference_error(c, &c->model);
    if (error < 0) {
        fail(c, "the reference evaluator did not run");
        return;
    }
    judge(c, "reference", error);
    if (!c->wrong.count) return;
    ModelRequest wrong = {.path = c->model.path};
    for (int i = 0; i < c->wrong.count; i++) list_push(c->arena, &wrong.sets, c->wrong.data[i]);
    error = reference_error(c, &wrong);
    if (!(error > c->tolerance)) fail(c, arena_printf(c->arena, "with %s it must differ, error %.2e", c->wrong.data[0], error));
}

/* --- compiled forms --------------------------------------------------------------------------------------------------- */

static void run_form(Case *c, const gm_model *model, void *weights, const Module *module, const char *form)
{
    void **outputs = arena_new_array(c->arena, void *, module->outputs.count + 1);
    double **wide = arena_new_array(c->arena, double *, module->outputs.count + 1);
    for (int i = 0; i < module->outputs.count; i++) outputs[i] = arena_alloc(c->arena, (size_t)tensor_count(module->outputs.data[i].tensor) * 8 + 64);
    unsigned char *memory = aligned_alloc(64, (model->arena_bytes + 127) / 64 * 64);
    memset(memory, 0xff, model->arena_bytes);
    int status = model->run(weights, memory, (const void *const *)c->given, outputs);
    free(memory);
    if (status != 0) {
        fail(c, arena_printf(c->arena, "%s: run returned %d", form, status));
        return;
    }
    for (int i = 0; i < module->outputs.count; i++) wide[i] = doubles(c, outputs[i], module->outputs.data[i].tensor);
    judge(c, form, worst_error(c, module, wide));
}

static void run_backend(Case *c, const Pipeline *pipeline, Backend backend, const unsigned char *image, size_t size)
{
    CompiledModel compiled;
    if (!compiled_load(c->arena, pipeline, backend, &compiled, c->diags)) {
        fail(c, "it does not build");
        return;
    }
    void *bound = arena_alloc(c->arena, compiled.model->weights_bytes);
    int status = compiled.model->bind(bound, image, size);
    if (status != GM_OK) fail(c, gm_status_text(status));
    for (int f = 0; f < FORMS && status == GM_OK; f++) {
        const char *name = backend == BACKEND_LLVM ? arena_printf(c->arena, "%s, LLVM", forms[f]) : forms[f];
        if (compiled.model->choose_form(bound, forms[f]) != GM_OK) form_skipped[f] = true;
        else run_form(c, compiled.model, bound, pipeline->module, name);
    }
    compiled_unload(&compiled);
}

/* Passes may have renamed what the checkpoint knows: values are loaded from a fresh expansion and moved by path. */
static WeightValues *moved_weights(Case *c, const Module *module)
{
    WeightValues *moved = weight_values_new(c->arena, module);
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *to = module->tensors.data[i];
        for (int k = 0; to->kind == TENSOR_WEIGHT && k < c->values->module->tensors.count; k++) {
            const Tensor *from = c->values->module->tensors.data[k];
            if (from->kind == TENSOR_WEIGHT && strcmp(from->path, to->path) == 0) moved->f32[to->id] = c->values->f32[from->id];
        }
    }
    return moved;
}

static void run_compiled(Case *c)
{
    PipelineRequest request = {.model = c->model, .target = "all", .stop = STAGE_C};
    Pipeline pipeline = {0};
    if (!pipeline_run(c->arena, &request, &pipeline, c->diags)) {
        fail(c, "it does not compile");
        return;
    }
    size_t size;
    unsigned char *payload = weights_pack(pipeline.plan, moved_weights(c, pipeline.module), c->diags);
    unsigned char *image = payload ? blob_build(pipeline.plan, payload, NULL, 0, &size) : NULL;
    if (!image) fail(c, "it does not pack");
    if (image) run_backend(c, &pipeline, BACKEND_C, image, size);
    if (image && stage_built(STAGE_LLVM)) run_backend(c, &pipeline, BACKEND_LLVM, image, size);
    free(image);
    free(payload);
}

/* --- the same bits ----------------------------------------------------------------------------------------------------- */

/* Reproducible, every form must say the same to the last bit, and still what the case says. */
static void run_reproducible(Case *c)
{
    PipelineRequest request = {.model = c->model, .target = "all", .stop = STAGE_C, .plan = {.reproducible = true}};
    Pipeline pipeline = {0};
    CompiledModel compiled = {0};
    size_t size = 0;
    if (!pipeline_run(c->arena, &request, &pipeline, c->diags)) {
        fail(c, "reproducible: it does not compile");
        return;
    }
    const Module *module = pipeline.module;
    unsigned char *payload = weights_pack(pipeline.plan, moved_weights(c, module), c->diags);
    unsigned char *image = payload ? blob_build(pipeline.plan, payload, NULL, 0, &size) : NULL;
    if (image && compiled_load(c->arena, &pipeline, BACKEND_C, &compiled, c->diags)) {
        void *bound = arena_alloc(c->arena, compiled.model->weights_bytes), **first = NULL;
        unsigned char *memory = aligned_alloc(64, (compiled.model->arena_bytes + 127) / 64 * 64);
        if (compiled.model->bind(bound, image, size) != GM_OK) fail(c, "reproducible: it does not bind");
        for (int f = 0; f < FORMS && !c->failed; f++) {
            if (compiled.model->choose_form(bound, forms[f]) != GM_OK) continue;
            void **outputs = output_arrays(c->arena, module);
            double **wide = arena_new_array(c->arena, double *, module->outputs.count + 1);
            if (compiled.model->run(bound, memory, (const void *const *)c->given, outputs) != 0) fail(c, "reproducible: it does not run");
            for (int i = 0; i < module->outputs.count; i++) {
                const Tensor *tensor = module->outputs.data[i].tensor;
                size_t bytes = (size_t)tensor_count(tensor) * (size_t)element_type_size(tensor->type);
                wide[i] = doubles(c, outputs[i], tensor);
                if (first && memcmp(first[i], outputs[i], bytes) != 0) fail(c, arena_printf(c->arena, "reproducible: %s has bits of its own", forms[f]));
            }
            judge(c, arena_printf(c->arena, "%s, reproducible", forms[f]), worst_error(c, module, wide));
            if (!first) first = outputs;
        }
        free(memory);
        compiled_unload(&compiled);
    } else
        fail(c, "reproducible: it does not build");
    free(image);
    free(payload);
}

/* --- several inputs at once --------------------------------------------------------------------------------------------- */

/* The case's inputs between random ones, in one run of the best form; they must come out as alone. */
static void run_batched(Case *c)
{
    enum { BATCH = 3 };
    PipelineRequest request = {.model = c->model, .target = target_native(), .stop = STAGE_C};
    Pipeline pipeline = {0};
    CompiledModel compiled = {0};
    request.model.batch = BATCH;
    if (!pipeline_run(c->arena, &request, &pipeline, c->diags)) {
        fail(c, "three inputs: it does not compile");
        return;
    }
    size_t size = 0;
    unsigned char *payload = weights_pack(pipeline.plan, moved_weights(c, pipeline.module), c->diags);
    unsigned char *image = payload ? blob_build(pipeline.plan, payload, NULL, 0, &size) : NULL;
    void **alone = c->given;
    const Module *module = pipeline.module;
    if (image && compiled_load(c->arena, &pipeline, BACKEND_C, &compiled, c->diags)) {
        void *bound = arena_alloc(c->arena, compiled.model->weights_bytes);
        void **given = random_inputs(c->arena, module, 1), **outputs = output_arrays(c->arena, module);
        double **middle = arena_new_array(c->arena, double *, module->outputs.count + 1);
        for (int i = 0; i < module->inputs.count; i++) {
            const Tensor *tensor = module->inputs.data[i].tensor;
            size_t bytes = (size_t)tensor_count(tensor) / BATCH * (size_t)element_type_size(tensor->type);
            memcpy((unsigned char *)given[i] + bytes, alone[i], bytes);
        }
        unsigned char *memory = aligned_alloc(64, (compiled.model->arena_bytes + 127) / 64 * 64);
        if (compiled.model->bind(bound, image, size) != GM_OK || compiled.model->run(bound, memory, (const void *const *)given, outputs) != 0)
            fail(c, "three inputs: it does not run");
        free(memory);
        for (int i = 0; i < module->outputs.count; i++)
            middle[i] = doubles(c, outputs[i], module->outputs.data[i].tensor) + tensor_count(module->outputs.data[i].tensor) / BATCH;
        judge(c, "three inputs", worst_error(c, c->values->module, middle));
        compiled_unload(&compiled);
    } else
        fail(c, "three inputs: it does not build");
    free(image);
    free(payload);
}

static void run_case(const char *folder, const char *name, bool reference_only)
{
    Arena *arena = arena_new();
    Case c = {.arena = arena, .diags = diagnostics_new(arena), .folder = folder, .name = name};
    if (read_case(&c)) run_reference(&c);
    if (!c.failed && !reference_only) run_compiled(&c);
    /* The short form does these for every fourth case. */
    bool further = !reference_only && (!getenv("NUMERIC_SHORT") || (passed_count + failed_count) % 4 == 0);
    if (!c.failed && further) run_reproducible(&c);
    if (!c.failed && further) run_batched(&c);
    if (c.inputs) archive_close(c.inputs);
    if (c.expected) archive_close(c.expected);
    if (c.failed) {
        failed_count++;
    } else {
        passed_count++;
        printf("ok %s: error %.1e, allowed %.1e\n", name, c.worst, c.tolerance);
    }
    fflush(stdout);
    arena_free(arena);
}

static int is_case(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "generate") != 0 && !strchr(entry->d_name, '.');
}

int main(int argc, char **argv)
{
    bool reference_only = argc > 1 && strcmp(argv[1], "--reference") == 0;
    int first = reference_only ? 2 : 1;
    if (argc <= first) {
        fprintf(stderr, "usage: numeric [--reference] FOLDER [CASE…]\n");
        return 2;
    }
    struct dirent **entries = NULL;
    int count = argc > first + 1 ? 0 : scandir(argv[first], &entries, is_case, alphasort);
    for (int i = first + 1; i < argc; i++) run_case(argv[first], argv[i], reference_only);
    for (int i = 0; i < count; i++) {
        run_case(argv[first], entries[i]->d_name, reference_only);
        free(entries[i]);
    }
    free(entries);
    for (int f = 0; f < FORMS; f++)
        if (form_skipped[f]) printf("skipped: this processor has no %s\n", forms[f]);
    printf("%d passed, %d failed\n", passed_count, failed_count);
    return failed_count > 0 || passed_count == 0;
}
