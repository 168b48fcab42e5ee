/* Verification. Small models: all outputs end to end, every form. Large ones: the same program that users get must give the bits of one
 * that keeps all its tensors, and of that one a seeded sample of every kernel's results is evaluated from the kernel's own inputs. */
#include "commands/verification.h"

#include "commands/inputs.h"
#include "commands/compiled.h"
#include "commands/sample.h"
#include "emit_c/blob.h"
#include "equation/count.h"
#include "equation/evaluate.h"
#include "support/bug.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WHOLE_MACS = 40 * 1000 * 1000, SAMPLES = 48 };

typedef struct {
    Pipeline pipeline;
    WeightValues *values;
    unsigned char *payload;
    size_t image_size;
    unsigned char *image;
    CompiledModel compiled;
    void *weights;          /* the model's weights structure, bound */
    unsigned char *memory;  /* the arena */
    void **outputs;
} Build;

typedef struct {
    Arena *arena;
    const VerifyRequest *request;
    VerifyResult *result;
    Diagnostics *diags;
    Model *reference;       /* as expanded: what passes do to the other one doesn't touch it */
    WeightValues *values;   /* of the reference */
    void **inputs;
    Build plain, kept;
    void **first;           /* outputs of the first form, when reproducible */
    const char *first_form;
} Verification;

double array_error(const void *ours, ElementType type, const double *reference, int64_t count)
{
    double worst = 0, largest = 1;
    for (int64_t i = 0; i < count; i++) {
        double a = array_element(ours, type, i), b = reference[i];
        if (isfinite(b) && fabs(b) > largest) largest = fabs(b);
        if ((isnan(a) && isnan(b)) || a == b) continue;
        double difference = fabs(a - b);
        if (!(difference <= worst)) worst = isnan(difference) ? INFINITY : difference;
    }
    return worst / largest;
}

static WeightValues *load_values(Verification *v, const Model *model)
{
    if (v->request->weights.path) return weights_load(v->arena, model, &v->request->weights, v->diags);
    return weights_random(v->arena, model->module, v->request->seed);
}

/* The same weights under the ids of another expansion of the model. */
static WeightValues *transfer(Verification *v, const Module *to)
{
    const Module *from = v->values->module;
    WeightValues *values = weight_values_new(v->arena, to);
    Map by_path = {0};
    for (int i = 0; i < from->tensors.count; i++)
        if (from->tensors.data[i]->kind == TENSOR_WEIGHT) map_put(v->arena, &by_path, from->tensors.data[i]->path, from->tensors.data[i]);
    for (int i = 0; i < to->tensors.count; i++) {
        const Tensor *tensor = to->tensors.data[i], *same = tensor->kind == TENSOR_WEIGHT ? map_get(&by_path, tensor->path) : NULL;
        if (!same) continue;
        values->f32[tensor->id] = v->values->f32[same->id];
        if (v->values->integers) values->integers[tensor->id] = v->values->integers[same->id];
    }
    return values;
}

static bool build(Verification *v, Build *build, bool keep_all)
{
    PipelineRequest request = {.model = v->request->model, .target = v->request->target, .schedule = v->request->schedule, .stop = backend_stage(v->request->backend)};
    request.plan = (PlanOptions){.keep_all = keep_all, .reproducible = v->request->reproducible};
    if (keep_all) request.model.batch /= v->plain.pipeline.turns; /* the inputs that are merged */
    if (!pipeline_run(v->arena, &request, &build->pipeline, v->diags)) return false;
    build->values = transfer(v, build->pipeline.module);
    build->payload = weights_pack(build->pipeline.plan, build->values, v->diags);
    if (!build->payload) return false;
    build->image = blob_build(build->pipeline.plan, build->payload, NULL, 0, &build->image_size);
    if (!compiled_load(v->arena, &build->pipeline, v->request->backend, &build->compiled, v->diags)) return false;
    const gm_model *model = build->compiled.model;
    build->weights = arena_alloc(v->arena, model->weights_bytes);
    int status = model->bind(build->weights, build->image, build->image_size);
    if (status == GM_ERROR_CPU) {
        diag_error(v->diags, GM174, (Place){0}, "%s", gm_status_text(status));
        return false;
    }
    if (status != GM_OK) bug("the compiled model refuses the weights packed for it: %s", gm_status_text(status));
    build->memory = aligned_alloc(64, (model->arena_bytes + 127) / 64 * 64);
    build->outputs = output_arrays(v->arena, build->pipeline.module);
    return true;
}

static void release(Build *build)
{
    compiled_unload(&build->compiled);
    free(build->memory);
    free(build->image);
    free(build->payload);
}

static int run_form(Verification *v, Build *build, const char *form)
{
    const gm_model *model = build->compiled.model;
    int status = model->choose_form(build->weights, form);
    if (status != GM_OK) return status;
    memset(build->memory, 0xFF, model->arena_bytes); /* not-a-numbers: what is read before it is written shows */
    for (int i = 0; i < build->pipeline.module->outputs.count; i++) {
        const Tensor *tensor = build->pipeline.module->outputs.data[i].tensor;
        memset(build->outputs[i], 0xFF, (size_t)tensor_count(tensor) * (size_t)element_type_size(tensor->type));
    }
    model->run(build->weights, build->memory, (const void *const *)v->inputs, build->outputs);
    return GM_OK;
}

static void add_row(Verification *v, VerifyRow row)
{
    double tolerance = v->request->tolerance > 0 ? v->request->tolerance : VERIFY_TOLERANCE;
    row.passed = row.error <= tolerance;
    if (!row.passed) v->result->failures++;
    list_push(v->arena, &v->result->rows, row);
}

static Evaluation *evaluate_reference(Verification *v)
{
    Module *module = v->reference->module;
    Evaluation *evaluation = evaluation_new(v->arena, module);
    evaluation->outputs_only = true;
    for (int i = 0; i < module->inputs.count; i++) {
        const Tensor *tensor = module->inputs.data[i].tensor;
        double *values = evaluation->values[tensor->id] = arena_new_array(v->arena, double, tensor_count(tensor));
        for (int64_t k = 0; k < tensor_count(tensor); k++) values[k] = array_element(v->inputs[i], tensor->type, k);
    }
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.data[i];
        if (tensor->kind != TENSOR_WEIGHT) continue;
        double *values = evaluation->values[tensor->id] = arena_new_array(v->arena, double, tensor_count(tensor));
        for (int64_t k = 0; k < tensor_count(tensor); k++)
            values[k] = tensor->type == TYPE_F32 ? (double)v->values->f32[tensor->id][k] : (double)v->values->integers[tensor->id][k];
    }
    evaluation_run(evaluation);
    return evaluation;
}

static void compare_outputs(Verification *v, const Evaluation *evaluation, const char *form)
{
    const Module *module = v->reference->module;
    for (int i = 0; i < module->outputs.count; i++) {
        const Port *port = &module->outputs.data[i];
        int64_t count = tensor_count(port->tensor);
        double error = array_error(v->plain.outputs[i], v->plain.pipeline.module->outputs.data[i].tensor->type, evaluation->values[port->tensor->id], count);
        add_row(v, (VerifyRow){.form = form, .name = port->name, .error = error, .compared = count});
    }
}

static int64_t different_bits(const void *a, const void *b, ElementType type, int64_t count)
{
    int64_t different = 0;
    size_t size = (size_t)element_type_size(type);
    for (int64_t i = 0; i < count; i++) {
        if (memcmp((const unsigned char *)a + (size_t)i * size, (const unsigned char *)b + (size_t)i * size, size) == 0) continue;
        if (!isnan(array_element(a, type, i)) || !isnan(array_element(b, type, i))) different++; /* a NaN is as good as another */
    }
    return different;
}

/* Reproducible: every form says what the first one said, to the last bit. */
static void compare_forms(Verification *v, const char *form)
{
    const Module *module = v->plain.pipeline.module;
    bool first = !v->first;
    if (first) v->first = output_arrays(v->arena, module);
    if (first) v->first_form = form;
    for (int i = 0; i < module->outputs.count; i++) {
        const Tensor *tensor = module->outputs.data[i].tensor;
        int64_t count = tensor_count(tensor);
        if (first) {
            memcpy(v->first[i], v->plain.outputs[i], (size_t)count * (size_t)element_type_size(tensor->type));
            continue;
        }
        double error = different_bits(v->first[i], v->plain.outputs[i], tensor->type, count) ? INFINITY : 0;
        add_row(v, (VerifyRow){.form = form, .name = module->outputs.data[i].name, .error = error, .compared = count,
                               .kernel = arena_printf(v->arena, "(bits of %s)", v->first_form)});
    }
}

/* The program that users get must give the very bits of the one that keeps its tensors. */
static void compare_programs(Verification *v, const char *form)
{
    const Module *module = v->plain.pipeline.module;
    for (int i = 0; i < module->outputs.count; i++) {
        const Tensor *tensor = v->kept.pipeline.module->outputs.data[i].tensor;
        int64_t count = tensor_count(tensor);
        double *kept = arena_new_array(v->arena, double, count);
        for (int64_t k = 0; k < count; k++) kept[k] = array_element(v->kept.outputs[i], tensor->type, k);
        add_row(v, (VerifyRow){.form = form, .name = module->outputs.data[i].name, .kernel = "(rolled against kept)",
                               .error = array_error(v->plain.outputs[i], tensor->type, kept, count), .compared = count});
    }
}

static void sample_steps(Verification *v, Sampler *sampler, Step *const *steps, int count, const char *form)
{
    for (int i = 0; i < count; i++) {
        const Step *step = steps[i];
        if (step->kind == STEP_LOOP) {
            sample_steps(v, sampler, step->steps.data, step->steps.count, form);
            continue;
        }
        for (int e = 0; e < step->kernel->equations.count; e++) {
            const Equation *equation = step->equations[e];
            const Layout *layout = tensor_layout(equation->result);
            if (!layout || layout->storage == STORE_NONE) continue;
            SampleError sample = sampler_check(sampler, equation, v->request->full ? INT64_MAX : SAMPLES, v->request->seed);
            add_row(v, (VerifyRow){form, equation->result->name, step->kernel->name, sample.error, sample.compared, false});
        }
        if (v->request->progress) v->request->progress(i + 1, count);
    }
}

static bool prepare(Verification *v, bool sampled)
{
    v->reference = model_load(v->arena, &v->request->model, v->diags);
    if (!v->reference || !v->reference->module) return false;
    v->values = load_values(v, v->reference);
    if (!v->values) return false;
    v->inputs = random_inputs(v->arena, v->reference->module, v->request->seed);
    return build(v, &v->plain, false) && (!sampled || build(v, &v->kept, true));
}

bool verify_model(Arena *arena, const VerifyRequest *request, VerifyResult *result, Diagnostics *diags)
{
    Verification v = {.arena = arena, .request = request, .result = result, .diags = diags};
    memset(result, 0, sizeof *result);
    Model *counted = model_load(arena, &request->model, diags);
    if (!counted || !counted->module) return false;
    result->whole = request->full || module_cost(counted->module).macs <= WHOLE_MACS;
    bool sampled = request->each || !result->whole, ready = prepare(&v, sampled);
    const Evaluation *evaluation = ready && result->whole ? evaluate_reference(&v) : NULL;
    int forms = 0;
    for (int f = 0; ready && f < v.plain.pipeline.targets.count; f++) {
        const char *form = v.plain.pipeline.targets.forms[f]->name;
        if (run_form(&v, &v.plain, form) != GM_OK) continue; /* this CPU can't */
        forms++;
        if (evaluation) compare_outputs(&v, evaluation, form);
        if (request->reproducible) compare_forms(&v, form);
        if (!sampled || run_form(&v, &v.kept, form) != GM_OK) continue;
        compare_programs(&v, form);
        const Plan *plan = v.kept.pipeline.plan;
        FinishedRun run = {plan, v.kept.values, v.kept.memory, v.kept.payload, v.inputs, v.kept.outputs};
        sample_steps(&v, sampler_new(arena, &run), plan->steps.data, plan->steps.count, form);
    }
    if (ready && !forms) {
        diag_error(diags, GM174, (Place){0}, "this processor runs none of the forms of target %s", v.plain.pipeline.targets.name);
        ready = false;
    }
    release(&v.plain);
    release(&v.kept);
    result->passed = ready && result->failures == 0;
    return ready;
}
