/* What the table's functions do in this process: the same as those of a generated C file (emit_c/bind.c, steps.c, model_table.c).
 * In: a model with compiled kernels.  Out: bound weights, outputs. `run` allocates nothing. */
#include "emit_llvm/emit_private.h"

#include "emit_c/blob.h"
#include "support/bug.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

enum { MOST_ARGUMENTS = 256, MOST_TURNS = 4 };

/* --- bind --------------------------------------------------------------------------------------------------------- */

static int check_image(const LlvmModel *model, const unsigned char *image, size_t bytes)
{
    const Plan *plan = model->program->plan;
    uint64_t payload = (uint64_t)plan->blob_bytes;
    if ((uintptr_t)image % model->table.alignment != 0) return GM_ERROR_ALIGNMENT;
    if (bytes < BLOB_HEADER_BYTES) return GM_ERROR_SHORT;
    if (gm_read_u32(image + 12) == 0x04030201u) return GM_ERROR_BYTE_ORDER;
    if (memcmp(image, "GMWEIGHT", 8) != 0 || gm_read_u32(image + 12) != 0x01020304u) return GM_ERROR_MAGIC;
    if (gm_read_u32(image + 8) != 1) return GM_ERROR_VERSION;
    if (gm_read_u64(image + 16) != plan_model_hash(plan)) return GM_ERROR_MODEL;
    if (gm_read_u64(image + 24) != plan_layout_hash(plan)) return GM_ERROR_LAYOUT;
    if (gm_read_u64(image + 32) != payload) return GM_ERROR_SIZE;
    if (bytes - BLOB_HEADER_BYTES < payload) return GM_ERROR_SHORT;
    uint64_t selftest = gm_read_u64(image + 48), rest = bytes - BLOB_HEADER_BYTES - payload;
    if (selftest > rest) return GM_ERROR_SHORT;
    if (selftest < rest || gm_read_u64(image + 56) != 0) return GM_ERROR_SIZE;
    if (gm_read_u64(image + 40) != XXH64(image + BLOB_HEADER_BYTES, bytes - BLOB_HEADER_BYTES, 0)) return GM_ERROR_CHECKSUM;
    return GM_OK;
}

int host_bind(LlvmModel *model, void *weights, const void *blob, size_t bytes)
{
    if (!weights) return GM_ERROR_NULL;
    BoundWeights *bound = weights;
    *bound = (BoundWeights){0};
    if (model->program->plan->blob_bytes > 0 && !blob) return GM_ERROR_NULL;
    int status = blob ? check_image(model, blob, bytes) : GM_OK;
    if (status != GM_OK) return status;
    int form = 0;
    while (!model->forms[form].jit) form++;
    if (blob) bound->base = (const unsigned char *)blob + BLOB_HEADER_BYTES;
    bound->form = form;
    return GM_OK;
}

const char *host_form(LlvmModel *model, const void *weights)
{
    return model->program->forms.data[((const BoundWeights *)weights)->form]->target->name;
}

int host_choose_form(LlvmModel *model, void *weights, const char *form)
{
    for (int f = 0; f < model->program->forms.count; f++) {
        if (strcmp(model->program->forms.data[f]->target->name, form) != 0 || !model_compile_form(model, f)) continue;
        ((BoundWeights *)weights)->form = f;
        return GM_OK;
    }
    return GM_ERROR_CPU;
}

/* --- run ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    const LlvmModel *model;
    const LoopForm *form;
    KernelCode *const *kernels;
    const unsigned char *base;
    unsigned char *memory;
    const gm_executor *executor;
    const void *const *inputs;
    void *const *outputs;
    const gm_profile *profile; /* or NULL */
    uint64_t *stamp;
    int64_t turns[MOST_TURNS];
    int depth, status;
} Run;

static void take_stamp(Run *run)
{
    if (run->profile) *run->stamp++ = run->profile->clock(run->profile->context);
}

/* The address of a tensor in the first turn. Constness ends here: the code writes only what the plan says. */
static unsigned char *tensor_address(const Run *run, const Tensor *tensor)
{
    const Layout *layout = tensor_layout(tensor);
    const void *address = NULL;
    switch (layout->storage) {
    case STORE_INPUT: address = run->inputs[layout->port]; break;
    case STORE_OUTPUT: return run->outputs[layout->port];
    case STORE_ARENA: return run->memory + layout->offset_bytes;
    case STORE_BLOB: address = run->base + layout->offset_bytes; break;
    case STORE_STATIC:
        for (int i = 0; i < run->model->program->plan->statics.count; i++)
            if (run->model->program->plan->statics.data[i] == tensor) return run->model->statics[i];
        break;
    case STORE_NONE: break;
    }
    if (!address) bug("%s is stored nowhere", tensor->name);
    return (unsigned char *)(uintptr_t)address;
}

static void call_kernel(Run *run, const Step *step)
{
    const Kernel *kernel = step->kernel;
    void *arguments[MOST_ARGUMENTS + 2];
    for (int i = 0; i < step->arguments.count; i++) {
        const CallArgument *argument = &step->arguments.data[i];
        int64_t moved = 0;
        for (int t = 0; t < run->depth; t++) moved += run->turns[t] * argument->step_bytes[t];
        arguments[i] = tensor_address(run, argument->tensor) + moved;
    }
    int64_t threads = run->executor ? run->executor->threads : 1;
    arguments[step->arguments.count] = &run->status;
    arguments[step->arguments.count + 1] = &threads;
    int tasks = (int)run->form->kernels.data[kernel->id]->tasks;
    KernelCode *code = run->kernels[kernel->id];
    if (run->executor && tasks > 1) {
        run->executor->parallel_for(run->executor->context, tasks, code, arguments);
        return;
    }
    for (int task = 0; task < tasks; task++) code(arguments, task);
}

static void run_steps(Run *run, Step *const *steps, int count)
{
    for (int i = 0; i < count; i++) {
        if (steps[i]->kind == STEP_CALL) {
            call_kernel(run, steps[i]);
            take_stamp(run);
            continue;
        }
        int depth = run->depth++;
        for (run->turns[depth] = 0; run->turns[depth] < steps[i]->count; run->turns[depth]++) run_steps(run, steps[i]->steps.data, steps[i]->steps.count);
        run->depth = depth;
    }
}

int host_run_profiled(LlvmModel *model, const void *weights, void *memory, const gm_executor *executor, const gm_profile *profile, const void *const *inputs,
                      void *const *outputs)
{
    const BoundWeights *bound = weights;
    const Plan *plan = model->program->plan;
    Run run = {.model = model, .form = model->program->forms.data[bound->form], .kernels = model->forms[bound->form].kernels, .base = bound->base,
               .memory = memory, .executor = executor, .profile = profile, .inputs = inputs, .outputs = outputs};
    if (profile) run.stamp = profile->stamps;
    take_stamp(&run);
    run_steps(&run, plan->steps.data, plan->steps.count);
    return run.status;
}

int host_run_on(LlvmModel *model, const void *weights, void *memory, const gm_executor *executor, const void *const *inputs, void *const *outputs)
{
    return host_run_profiled(model, weights, memory, executor, NULL, inputs, outputs);
}

int host_run(LlvmModel *model, const void *weights, void *memory, const void *const *inputs, void *const *outputs)
{
    return host_run_on(model, weights, memory, NULL, inputs, outputs);
}

/* --- self-test ---------------------------------------------------------------------------------------------------- */

static size_t rounded(const LlvmModel *model, int64_t bytes)
{
    return ((size_t)bytes + model->table.alignment - 1) / model->table.alignment * model->table.alignment;
}

/* Seeded inputs as the C back end's selftest makes them, in the arena's tail. */
static void fill_input(const Module *module, int input, uint64_t seed, Arena *scratch, void *memory)
{
    const Tensor *tensor = module->inputs.data[input].tensor;
    int64_t count = tensor_count(tensor);
    double *values = arena_new_array(scratch, double, count);
    selftest_input(module, input, seed, values);
    for (int64_t i = 0; i < count; i++) {
        switch (tensor->type) {
        case TYPE_F32: ((float *)memory)[i] = (float)values[i]; break;
        case TYPE_I32: ((int32_t *)memory)[i] = (int32_t)values[i]; break;
        case TYPE_I64: ((int64_t *)memory)[i] = (int64_t)values[i]; break;
        case TYPE_U8: ((unsigned char *)memory)[i] = (unsigned char)values[i]; break;
        }
    }
}

/* max |ours - expected| / max(1, max |expected|); huge where ours is no number. */
static double output_error(const Tensor *tensor, const void *ours, const unsigned char *expected)
{
    double worst = 0, largest = 1;
    int64_t count = tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) {
        uint32_t word = gm_read_u32(expected + 4 * i);
        float real;
        memcpy(&real, &word, sizeof real);
        double b = tensor->type == TYPE_F32 ? (double)real : (double)(int32_t)word;
        double a = tensor->type == TYPE_F32 ? (double)((const float *)ours)[i] : (double)((const int32_t *)ours)[i];
        double distance = a == b || (isnan(a) && isnan(b)) ? 0 : fabs(a - b);
        if (!(distance <= 1e300)) distance = 1e300;
        if (distance > worst) worst = distance;
        if (fabs(b) <= 1e300 && fabs(b) > largest) largest = fabs(b);
    }
    return worst / largest;
}

int host_selftest(LlvmModel *model, const void *weights, void *memory, double *worst)
{
    const Module *module = model->program->plan->module;
    const BoundWeights *bound = weights;
    if (worst) *worst = 0;
    if (!weights || !memory) return GM_ERROR_NULL;
    if ((uintptr_t)memory % model->table.alignment != 0) return GM_ERROR_ALIGNMENT;
    if (!bound->base || gm_read_u64(bound->base - 16) == 0) return GM_ERROR_NO_SELFTEST;
    int64_t expected_bytes = 24 + 8 * module->inputs.count;
    for (int i = 0; i < module->outputs.count; i++) expected_bytes += 4 * tensor_count(module->outputs.data[i].tensor);
    const unsigned char *section = bound->base + model->program->plan->blob_bytes, *expected = section + 24 + 8 * module->inputs.count;
    if (gm_read_u64(bound->base - 16) != (uint64_t)expected_bytes) return GM_ERROR_SIZE;
    if (memcmp(section, "GMSELFT1", 8) != 0) return GM_ERROR_VERSION;
    uint64_t bits = gm_read_u64(section + 16);
    double tolerance, most = 0;
    memcpy(&tolerance, &bits, sizeof tolerance);
    Arena *scratch = arena_new();
    const void **inputs = arena_new_array(scratch, const void *, module->inputs.count + 1);
    void **outputs = arena_new_array(scratch, void *, module->outputs.count + 1);
    unsigned char *tail = (unsigned char *)memory + model->program->plan->arena_bytes;
    for (int i = 0; i < module->inputs.count; i++) {
        fill_input(module, i, gm_read_u64(section + 8), scratch, tail);
        inputs[i] = tail;
        tail += rounded(model, port_bytes(module->inputs.data[i].tensor));
    }
    for (int i = 0; i < module->outputs.count; i++) {
        outputs[i] = tail;
        tail += rounded(model, port_bytes(module->outputs.data[i].tensor));
    }
    (void)host_run(model, weights, memory, inputs, outputs);
    for (int i = 0; i < module->outputs.count; i++) {
        const Tensor *tensor = module->outputs.data[i].tensor;
        double error = output_error(tensor, outputs[i], expected);
        if (error > most) most = error;
        expected += 4 * tensor_count(tensor);
    }
    arena_free(scratch);
    if (worst) *worst = most;
    return most <= tolerance ? GM_OK : GM_ERROR_SELFTEST;
}

/* --- the description ---------------------------------------------------------------------------------------------- */

static const gm_tensor *describe_ports(Arena *arena, const Port *ports, int count)
{
    static const int types[] = {[TYPE_F32] = GM_F32, [TYPE_I32] = GM_I32, [TYPE_I64] = GM_I64, [TYPE_U8] = GM_U8};
    gm_tensor *list = arena_new_array(arena, gm_tensor, count + 1);
    for (int i = 0; i < count; i++) list[i] = (gm_tensor){ports[i].name, types[ports[i].tensor->type], ports[i].tensor->rank, ports[i].tensor->extents};
    return count ? list : NULL;
}

/* A constant's elements where its layout has them; padding is 0. */
static unsigned char *lay_out(Arena *arena, const Tensor *tensor)
{
    const Layout *layout = tensor_layout(tensor);
    unsigned char *memory = arena_alloc(arena, (size_t)layout->bytes + 128);
    memory += (64 - (uintptr_t)memory % 64) % 64;
    int64_t count = tensor_count(tensor);
    for (int64_t e = 0; e < count; e++) {
        int64_t place = layout_place(tensor, layout, e);
        double value = tensor->values[e];
        switch (tensor->type) {
        case TYPE_F32: ((float *)(void *)memory)[place] = (float)value; break;
        case TYPE_I32: ((int32_t *)(void *)memory)[place] = (int32_t)value; break;
        case TYPE_I64: ((int64_t *)(void *)memory)[place] = (int64_t)value; break;
        case TYPE_U8: memory[place] = (unsigned char)value; break;
        }
    }
    return memory;
}

void model_describe(LlvmModel *model)
{
    const Plan *plan = model->program->plan;
    const Module *module = plan->module;
    int alignment = 4;
    for (int f = 0; f < model->program->forms.count; f++)
        if (model->program->forms.data[f]->target->alignment > alignment) alignment = model->program->forms.data[f]->target->alignment;
    for (int k = 0; k < plan->kernels.count; k++)
        if (plan->kernels.data[k]->parameters.count > MOST_ARGUMENTS) bug("a kernel has %d parameters", plan->kernels.data[k]->parameters.count);
    model->statics = arena_new_array(model->arena, unsigned char *, plan->statics.count + 1);
    for (int i = 0; i < plan->statics.count; i++) model->statics[i] = lay_out(model->arena, plan->statics.data[i]);
    gm_call *calls = arena_new_array(model->arena, gm_call, plan->calls.count + 1);
    for (int i = 0; i < plan->calls.count; i++) {
        const PlanCall *call = &plan->calls.data[i];
        calls[i] = (gm_call){plan_call_block(call), call->kernel->name, call->kernel->macs, call->kernel->flops};
    }
    model->profiled = (gm_profiled){.call_count = plan->calls.count, .turns = (int)plan->turns, .calls = calls};
    model->table = (gm_model){
        .name = module->name,
        .input_count = module->inputs.count,
        .output_count = module->outputs.count,
        .inputs = describe_ports(model->arena, module->inputs.data, module->inputs.count),
        .outputs = describe_ports(model->arena, module->outputs.data, module->outputs.count),
        .arena_bytes = (size_t)plan->arena_bytes,
        .alignment = (size_t)alignment,
        .blob_bytes = plan->blob_bytes ? BLOB_HEADER_BYTES + (size_t)plan->blob_bytes : 0,
        .selftest_bytes = (size_t)selftest_memory(module, alignment),
        .weights_bytes = sizeof(BoundWeights),
    };
}
