/* Plan → loops, for every form of the target set: the entry of this folder.
 * In: a Plan that plan_verify accepts.  Out: a LoopProgram, verified; every plan gets code. */
#include "loop/approximate.h"
#include "loop/lowering.h"

#include "support/bug.h"

/* The address strides of parameters, and their buffers. */
static void declare_parameters(Lowering *l)
{
    const Kernel *kernel = l->kernel->kernel;
    for (int k = 0; k < kernel->parameters.count; k++) {
        const Tensor *tensor = kernel->parameters.data[k].tensor;
        Access access = {.tensor = tensor};
        Buffer *buffer = arena_new_object(l->arena, Buffer);
        const char *dot = strrchr(tensor->name, '.');
        buffer->id = l->build->next_buffer++;
        buffer->name = builder_identifier(l->build, dot ? dot + 1 : tensor->name);
        buffer->type = tensor->type;
        buffer->written = kernel->parameters.data[k].written;
        buffer->parameter = k;
        access.buffer = buffer;
        memcpy(access.strides, tensor_layout(tensor)->strides, sizeof access.strides);
        list_push(l->arena, &l->kernel->buffers, buffer);
        list_push(l->arena, &l->accesses, access);
    }
}

static LoopKernel *lower_kernel(Arena *arena, const Plan *plan, const Target *target, const Kernel *kernel, Fits *fits, NodeInfo **info,
                                int *stamp)
{
    LoopKernel *result = arena_new_object(arena, LoopKernel);
    result->kernel = kernel;
    result->target = target;
    result->tasks = 1;
    Lowering *l = arena_new_object(arena, Lowering);
    l->arena = arena;
    l->plan = plan;
    l->target = target;
    l->kernel = result;
    l->fits = fits;
    l->info = info;
    l->stamp = *stamp;
    l->build = builder_new(arena, target->lanes, result, &result->body);
    scope_push(l, &result->body);
    result->task = build_name(l->build, VALUE_INT, "task");
    declare_parameters(l);
    bool done = kernel->form == KERNEL_CONTRACTION ? lower_contraction(l) : kernel->chain ? lower_row_blocks(l) : kernel->windows ? !plan->reproducible && lower_windows(l) : lower_turned(l);
    if (!done) lower_rows(l);
    *stamp = l->stamp;
    if (l->depth != 1) bug("lowering %s: %d scopes left open", kernel->name, l->depth - 1);
    return result;
}

static LoopForm *lower_form(Arena *arena, const Plan *plan, const Target *target, Fits *fits, NodeInfo **info, int *stamp)
{
    LoopForm *form = arena_new_object(arena, LoopForm);
    bool uses[MOST_FUNCTIONS] = {false}, uses_scalar[MOST_FUNCTIONS] = {false};
    form->target = target;
    form->reproducible = plan->reproducible;
    for (int k = 0; k < plan->kernels.count; k++) {
        LoopKernel *kernel = lower_kernel(arena, plan, target, plan->kernels.data[k], fits, info, stamp);
        list_push(arena, &form->kernels, kernel);
        for (int f = 0; f < MOST_FUNCTIONS; f++) {
            uses[f] |= kernel->uses[f];
            uses_scalar[f] |= kernel->uses_scalar[f];
        }
    }
    LoopFunctions own = {0}, scalar = {0};
    approximate_all(arena, fits, uses, target, target->lanes, &own);
    approximate_all(arena, fits, uses_scalar, target, 1, &scalar);
    for (int k = 0; k < own.count; k++) list_push(arena, &form->functions, own.data[k]);
    for (int k = 0; k < scalar.count; k++) list_push(arena, &form->scalar_functions, scalar.data[k]);
    return form;
}

LoopProgram *lower(const Plan *plan, const TargetSet *targets, Diagnostics *diags)
{
    (void)diags; /* lowering is total */
    Arena *arena = plan->module->arena;
    LoopProgram *program = arena_new_object(arena, LoopProgram);
    NodeInfo **info = arena_new_array(arena, NodeInfo *, plan->module->next_expr + 1);
    int stamp = 0;
    Fits *fits = fits_new(arena, plan->reproducible);
    program->plan = plan;
    program->targets = *targets;
    for (int k = 0; k < targets->count; k++) {
        LoopForm *form = lower_form(arena, plan, targets->forms[k], fits, info, &stamp);
        list_push(arena, &program->forms, form);
    }
    loop_verify(program);
    return program;
}
