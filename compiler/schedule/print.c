/* --emit=schedule: kernels, calls and loops, memory, and what was decided. Stable text, for people and golden tests. */
#include "schedule/schedule.h"

#include "equation/node_map.h"
#include "equation/print.h"

static const char *storage_name(Storage storage)
{
    switch (storage) {
    case STORE_NONE:
        return "row";
    case STORE_INPUT:
        return "input";
    case STORE_OUTPUT:
        return "output";
    case STORE_ARENA:
        return "arena";
    case STORE_BLOB:
        return "blob";
    case STORE_STATIC:
        return "static";
    }
    return "";
}

static void print_layout(const Tensor *tensor, Text *out)
{
    const Layout *layout = tensor_layout(tensor);
    tensor_print(tensor, out);
    int64_t dense = 1;
    bool padded = false;
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        padded |= tensor->extents[axis] > 1 && layout->strides[axis] != dense;
        dense *= tensor->extents[axis];
    }
    if (!padded) return;
    text_add(out, " strides [");
    for (int axis = 0; axis < tensor->rank; axis++) text_printf(out, "%s%lld", axis ? ", " : "", (long long)layout->strides[axis]);
    text_add(out, "]");
}

static void print_group(const char *name, Index *const *group, int count, Text *out)
{
    if (count == 0) return;
    text_printf(out, "  %s", name);
    for (int i = 0; i < count; i++) text_printf(out, " %s=%lld", group[i]->name, (long long)group[i]->extent);
}

static void print_form(const Kernel *kernel, Text *out)
{
    const Contraction *c = &kernel->contraction;
    if (kernel->form == KERNEL_CONTRACTION) {
        text_printf(out, "contraction%s", c->panels ? " over panels" : "");
        print_group("batch", c->batch, c->batch_count, out);
        print_group("m", c->m, c->m_count, out);
        print_group("n", c->n, c->n_count, out);
        print_group("k", c->k, c->k_count, out);
    } else {
        text_add(out, kernel->chain ? "chain of contractions by rows" : kernel->windows ? "windows" : "rows");
        print_group("row", kernel->equations.data[0]->free, kernel->row_count, out);
    }
    if (kernel->serial) text_add(out, "  serial");
    if (kernel->status_input) text_printf(out, "  subscripts from input %d", kernel->status_input - 1);
}

static void print_kernel(const Kernel *kernel, Text *out)
{
    text_printf(out, "\n%s: ", kernel->name);
    print_form(kernel, out);
    text_printf(out, "  %lld macs, %lld flops\n", (long long)kernel->macs, (long long)kernel->flops);
    for (int i = 0; i < kernel->equations.count; i++) {
        text_add(out, "    ");
        equation_print(kernel->equations.data[i], out);
        text_add(out, "\n");
    }
    for (int i = 0; i < kernel->parameters.count; i++) {
        const KernelParameter *parameter = &kernel->parameters.data[i];
        text_printf(out, "    %s ", parameter->written ? "out" : "in ");
        print_layout(parameter->tensor, out);
        text_printf(out, "%s%s\n", parameter->aligned ? ", aligned" : "", parameter->in_place ? ", in place" : "");
    }
    for (int i = 0; i < kernel->scratch.count; i++) {
        text_add(out, "    row ");
        print_layout(kernel->scratch.data[i], out);
        text_add(out, "\n");
    }
}

static void print_argument(const CallArgument *argument, int depth, Text *out)
{
    const Layout *layout = tensor_layout(argument->tensor);
    text_printf(out, "%s %s", argument->tensor->name, storage_name(layout->storage));
    if (layout->storage == STORE_ARENA || layout->storage == STORE_BLOB) text_printf(out, " %lld", (long long)layout->offset_bytes);
    for (int i = 0; i < depth; i++)
        if (argument->step_bytes[i])
            text_printf(out, " +%lld", (long long)argument->step_bytes[i]);
        else if (depth > 1)
            text_add(out, " +0");
}

static void print_step(const Step *step, int depth, Text *out)
{
    text_printf(out, "%*s", 2 * depth + 2, "");
    if (step->kind == STEP_CALL) {
        text_printf(out, "%s(", step->kernel->name);
        for (int i = 0; i < step->arguments.count; i++) {
            if (i) text_add(out, ", ");
            print_argument(&step->arguments.data[i], depth, out);
        }
        text_add(out, ")\n");
        return;
    }
    text_printf(out, "%lld times\n", (long long)step->count);
    for (int i = 0; i < step->steps.count; i++) print_step(step->steps.data[i], depth + 1, out);
}

static int count_calls(const Step *step, int64_t *flat)
{
    int calls = step->kind == STEP_CALL;
    int64_t inner = calls;
    for (int i = 0; i < step->steps.count; i++) {
        int64_t turns = 0;
        calls += count_calls(step->steps.data[i], &turns);
        inner += turns;
    }
    *flat = step->kind == STEP_LOOP ? inner * step->count : inner;
    return calls;
}

typedef struct {
    NodeMap shown; /* equations */
    bool any;
    Text *out;
} Notes;

static void print_note(Notes *notes, const Equation *equation, const Equation *reader, const char *text)
{
    bool known;
    node_map_get(&notes->shown, equation, &known);
    if (known && reader) node_map_get(&notes->shown, reader, &known);
    if (!known) return;
    text_printf(notes->out, "%s  %s: %s\n", notes->any ? "" : "\nnotes\n", equation->result->name, text);
    notes->any = true;
}

/* Of passes and of scheduling, those of the kernels' own equations: later calls repeat them. */
static void print_notes(const Plan *plan, Text *out)
{
    Notes notes = {.out = out};
    node_map_init(&notes.shown);
    for (int i = 0; i < plan->kernels.count; i++)
        for (int j = 0; j < plan->kernels.data[i]->equations.count; j++)
            node_map_put(&notes.shown, plan->kernels.data[i]->equations.data[j], NULL);
    for (int i = 0; i < plan->module->notes.count; i++) {
        const EquationNote *note = &plan->module->notes.data[i];
        print_note(&notes, note->equation, note->reader, note->text);
    }
    for (int i = 0; i < plan->notes.count; i++) print_note(&notes, plan->notes.data[i].equation, NULL, plan->notes.data[i].text);
    node_map_free(&notes.shown);
}

void plan_print(const Plan *plan, Text *out)
{
    int calls = 0;
    int64_t flat = 0;
    for (int i = 0; i < plan->steps.count; i++) {
        int64_t turns;
        calls += count_calls(plan->steps.data[i], &turns);
        flat += turns;
    }
    text_printf(out, "schedule of %s for %s: %d kernels, %d calls (%lld when run)\n", plan->module->name, family_name(plan->family),
                plan->kernels.count, calls, (long long)flat);
    text_printf(out, "arena %lld bytes (regions live at once: %lld, their elements: %lld), weights %lld bytes\n", (long long)plan->arena_bytes,
                (long long)plan->arena_bound, (long long)plan->arena_live, (long long)plan->blob_bytes);
    for (int i = 0; i < plan->kernels.count; i++) print_kernel(plan->kernels.data[i], out);
    text_add(out, "\ncalls\n");
    for (int i = 0; i < plan->steps.count; i++) print_step(plan->steps.data[i], 0, out);
    if (plan->blob.count) text_add(out, "\nweights\n");
    for (int i = 0; i < plan->blob.count; i++) {
        text_printf(out, "  %lld ", (long long)tensor_layout(plan->blob.data[i])->offset_bytes);
        print_layout(plan->blob.data[i], out);
        text_add(out, "\n");
    }
    for (int i = 0; i < plan->statics.count; i++) {
        text_add(out, "  static ");
        tensor_print(plan->statics.data[i], out);
        text_add(out, "\n");
    }
    print_notes(plan, out);
}
