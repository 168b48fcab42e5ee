/* Scheduling, in order. Each step is one file; schedule.h says what each turns into what. */
#include "schedule/schedule.h"

/* Packed equations first, then the run-time ones in the order in which they were prepared. */
static void reorder_equations(Scheduler *s)
{
    LIST(Equation *) all = {0};
    for (int i = 0; i < s->module->equations.count; i++) {
        Equation *equation = s->module->equations.data[i];
        bool added = false;
        for (int j = 0; j < s->packed.count && equation->packed; j++) added |= s->packed.data[j] == equation;
        if (equation->packed && !added) list_push(s->arena, &all, equation);
    }
    for (int i = 0; i < s->packed.count; i++) list_push(s->arena, &all, s->packed.data[i]);
    for (int i = 0; i < s->order.count; i++) list_push(s->arena, &all, s->order.data[i]);
    s->module->equations.data = all.data;
    s->module->equations.count = all.count;
    s->module->equations.capacity = all.capacity;
}

Plan *schedule(Module *module, Family family, const PlanOptions *options, Diagnostics *diags)
{
    Plan *plan = arena_new_object(module->arena, Plan);
    Scheduler s = {.arena = module->arena,
                   .scratch = arena_new(),
                   .module = module,
                   .family = family,
                   .diags = diags,
                   .plan = plan,
                   .alignment = family == FAMILY_VECTOR ? 64 : 4};
    if (options) s.options = *options;
    plan->module = module;
    plan->family = family;
    plan->reproducible = s.options.reproducible;
    for (int i = 0; i < module->tensors.count; i++) tensor_plan_new(&s, module->tensors.data[i]);

    simplify_equations(&s);   /* equations → fewer cases                       */
    pad_windows(&s);          /* equations → windows that are plain reads      */
    orient_tensors(&s);       /* tensors   → which axis is the fastest         */
    prepare_contractions(&s); /* equations → contractions with plain operands  */
    spare_borders(&s);        /* equations → fewer copies with a border        */
    reorder_equations(&s);
    form_calls(&s);    /* equations → calls, grouped by row             */
    lay_out(&s);       /* tensors   → storage, strides, regions         */
    share_kernels(&s); /* calls     → kernels                           */
    roll(&s);          /* calls     → loops                             */
    place(&s);         /* regions   → addresses                         */
    emit_steps(&s);    /* loops     → steps                             */
    name_kernels(&s);
    arena_free(s.scratch);
    return plan;
}
