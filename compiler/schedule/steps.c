/* Items to steps: the plan's own words.
 * In: items with arguments that know how loops move them.  Out: steps; for each kernel parameter whether it is always aligned. */
#include "schedule/schedule.h"

#include "support/bug.h"

static void note_alignment(const Scheduler *s, KernelParameter *parameter, const Argument *argument)
{
    const Layout *layout = tensor_layout(argument->tensor);
    if (layout->storage == STORE_INPUT || layout->storage == STORE_OUTPUT)
        parameter->aligned &= s->alignment <= 4 && argument->tensor->type != TYPE_U8;
    else
        parameter->aligned &= layout->offset_bytes % s->alignment == 0;
    for (int i = 0; i < argument->step_count; i++) parameter->aligned &= argument->steps[i] % s->alignment == 0;
}

static Step *call_step(Scheduler *s, const Item *item)
{
    Step *step = arena_new_object(s->arena, Step);
    Call *call = item->call;
    step->kind = STEP_CALL;
    step->kernel = call->kernel;
    step->equations = call->equations.data;
    step->frame = call->equations.data[call->equations.count - 1]->frame;
    for (int i = 0; i < call->arguments.count; i++) {
        const Argument *argument = call->arguments.data[i];
        CallArgument out = {.tensor = argument->tensor};
        for (int j = 0; j < argument->step_count; j++) out.step_bytes[j] = argument->steps[argument->step_count - 1 - j];
        list_push(s->arena, &step->arguments, out);
        note_alignment(s, &call->kernel->parameters.data[i], argument);
    }
    return step;
}

/* One more loop around everything: what is the caller's moves on, the rest stays. */
static void move_ports(Step *step)
{
    for (int i = 0; i < step->steps.count; i++) move_ports(step->steps.data[i]);
    for (int i = 0; i < step->arguments.count; i++) {
        CallArgument *argument = &step->arguments.data[i];
        const Layout *layout = tensor_layout(argument->tensor);
        bool port = layout->storage == STORE_INPUT || layout->storage == STORE_OUTPUT;
        for (int depth = 3; depth > 0; depth--) argument->step_bytes[depth] = argument->step_bytes[depth - 1];
        argument->step_bytes[0] = port ? tensor_count(argument->tensor) * element_type_size(argument->tensor->type) : 0;
    }
}

static void repeat_steps(Scheduler *s)
{
    Plan *plan = s->plan;
    Step *loop = arena_new_object(s->arena, Step);
    loop->kind = STEP_LOOP;
    loop->count = s->options.turns;
    for (int i = 0; i < plan->steps.count; i++) {
        move_ports(plan->steps.data[i]);
        list_push(s->arena, &loop->steps, plan->steps.data[i]);
    }
    plan->steps.count = 0;
    list_push(s->arena, &plan->steps, loop);
}

static Step *step_new(Scheduler *s, const Item *item)
{
    if (item->call) return call_step(s, item);
    Step *step = arena_new_object(s->arena, Step);
    step->kind = STEP_LOOP;
    step->count = item->count;
    for (int i = 0; i < item->items.count; i++) list_push(s->arena, &step->steps, step_new(s, item->items.data[i]));
    return step;
}

/* Calls keep their order in loops: the steps, written out, are the calls. */
static void list_calls(Scheduler *s, const Step *step)
{
    for (int64_t turn = 0; step->kind == STEP_LOOP && turn < step->count; turn++)
        for (int i = 0; i < step->steps.count; i++) list_calls(s, step->steps.data[i]);
    if (step->kind == STEP_LOOP) return;
    int at = s->plan->calls.count;
    if (at >= s->calls.count) bug("schedule: the loops make more calls than there are");
    const Call *call = s->calls.data[at];
    list_push(s->arena, &s->plan->calls, (PlanCall){step->kernel, call->equations.data[call->equations.count - 1]->frame});
}

/* Kernels of later turns that no step calls any more are gone from the plan. */
static void mark_called(const Step *step, bool *called)
{
    if (step->kind == STEP_CALL) called[step->kernel->id] = true;
    for (int i = 0; i < step->steps.count; i++) mark_called(step->steps.data[i], called);
}

void emit_steps(Scheduler *s)
{
    Plan *plan = s->plan;
    for (int i = 0; i < plan->kernels.count; i++)
        for (int j = 0; j < plan->kernels.data[i]->parameters.count; j++) plan->kernels.data[i]->parameters.data[j].aligned = true;
    for (int i = 0; i < s->items.count; i++) list_push(s->arena, &plan->steps, step_new(s, s->items.data[i]));
    for (int i = 0; i < plan->steps.count; i++) list_calls(s, plan->steps.data[i]);
    if (plan->calls.count != s->calls.count) bug("schedule: %d calls of %d", plan->calls.count, s->calls.count);
    plan->turns = s->options.turns > 1 ? s->options.turns : 1;
    if (s->options.turns > 1 && plan->steps.count) repeat_steps(s);
    bool *called = arena_new_array(s->scratch, bool, plan->kernels.count + 1);
    for (int i = 0; i < plan->steps.count; i++) mark_called(plan->steps.data[i], called);
    int kept = 0;
    for (int i = 0; i < plan->kernels.count; i++)
        if (called[plan->kernels.data[i]->id]) plan->kernels.data[kept++] = plan->kernels.data[i];
    plan->kernels.count = kept;
    for (int i = 0; i < kept; i++) plan->kernels.data[i]->id = i;
}
