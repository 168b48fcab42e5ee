/* See execute.h. Memory is an array with a double for every byte, of which the first of each element is used: elements of all types lie
 * where they will, and bytes between them stay NaN. */
#include "schedule/execute.h"

#include "equation/evaluate.h"
#include "support/bug.h"

#include <math.h>

typedef struct {
    const Plan *plan;
    Arena *memory;
    double *arena, *blob;
    double **ports_in, **ports_out; /* callers' arrays, by byte */
    double **statics;               /* by tensor id */
    uint64_t random;
    int64_t turns[4];
    int depth;
    /* the running call */
    const Step *step;
    double **scratch; /* of kernel->scratch */
} Machine;

/* splitmix64 */
static uint64_t next_random(Machine *machine)
{
    uint64_t z = machine->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double *empty_memory(Machine *machine, int64_t bytes)
{
    double *memory = arena_new_array(machine->memory, double, bytes + 64);
    for (int64_t i = 0; i < bytes + 64; i++) memory[i] = NAN;
    return memory;
}

/* Where a row-major element is, in elements of a layout. */
static int64_t element_offset(const Tensor *tensor, const Layout *layout, int64_t element)
{
    int64_t offset = 0;
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        offset += element % tensor->extents[axis] * layout->strides[axis];
        element /= tensor->extents[axis];
    }
    return offset;
}

static void fill(double *memory, const Tensor *tensor, const double *values)
{
    const Layout *layout = tensor_layout(tensor);
    int64_t count = tensor_count(tensor);
    for (int64_t i = 0; i < count; i++)
        memory[layout->offset_bytes + element_offset(tensor, layout, i) * element_type_size(tensor->type)] = values[i];
}

/* --- arguments ----------------------------------------------------------------------------------------------------- */
static double *argument_base(Machine *machine, const CallArgument *argument)
{
    const Layout *layout = tensor_layout(argument->tensor);
    int64_t offset = layout->offset_bytes;
    for (int i = 0; i < machine->depth; i++) offset += argument->step_bytes[i] * machine->turns[i];
    switch (layout->storage) {
    case STORE_INPUT:
        return machine->ports_in[layout->port] + offset;
    case STORE_OUTPUT:
        return machine->ports_out[layout->port] + offset;
    case STORE_ARENA:
        return machine->arena + offset;
    case STORE_BLOB:
        return machine->blob + offset;
    case STORE_STATIC:
        return machine->statics[argument->tensor->id] + offset;
    case STORE_NONE:
        break;
    }
    bug("plan_execute: argument %s has no place", argument->tensor->name);
}

/* The address of an element of one of the kernel's own tensors. */
static double *element_address(Machine *machine, const Tensor *tensor, int64_t element)
{
    const Kernel *kernel = machine->step->kernel;
    int64_t offset = element_offset(tensor, tensor_layout(tensor), element) * element_type_size(tensor->type);
    for (int i = 0; i < kernel->parameters.count; i++)
        if (kernel->parameters.data[i].tensor == tensor) return argument_base(machine, &machine->step->arguments.data[i]) + offset;
    for (int i = 0; i < kernel->scratch.count; i++)
        if (kernel->scratch.data[i] == tensor) return machine->scratch[i] + offset;
    bug("plan_execute: %s is no parameter of %s", tensor->name, kernel->name);
}

static double read_element(void *context, const Tensor *tensor, int64_t element)
{
    return *element_address(context, tensor, element);
}

/* --- kernels ------------------------------------------------------------------------------------------------------- */
/* A random order: multiples of a step that has no divisor in common with the count. */
static int64_t random_step(Machine *machine, int64_t count)
{
    for (;;) {
        int64_t a = count, b = (int64_t)(next_random(machine) % (uint64_t)count) + 1, step = b;
        while (b) {
            int64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1) return step;
    }
}

static int64_t index_space(const Equation *equation, int from, int to)
{
    int64_t count = 1;
    for (int i = from; i < to; i++) count *= equation->free[i]->extent;
    return count;
}

static void set_indices(const Equation *equation, int from, int to, int64_t position, int64_t *values)
{
    for (int i = to - 1; i >= from; i--) {
        values[i] = position % equation->free[i]->extent;
        position /= equation->free[i]->extent;
    }
}

static void run_equation(Machine *machine, const Equation *equation, int rows, int64_t row)
{
    int64_t values[MAX_RANK * 2] = {0}, count = index_space(equation, rows, equation->free_count), step = random_step(machine, count),
                              at = 0;
    bool clamped = false;
    set_indices(equation, 0, rows, row, values);
    for (int64_t i = 0; i < count; i++, at = (at + step) % count) {
        set_indices(equation, rows, equation->free_count, at, values);
        double value = equation_evaluate_at(equation, values, read_element, machine, &clamped);
        *element_address(machine, equation->result, equation_element_at(equation, values)) = value;
    }
}

static void run_call(Machine *machine, const Step *step)
{
    const Kernel *kernel = step->kernel;
    int rows = kernel->form == KERNEL_ROWS ? kernel->row_count : 0;
    int64_t count = index_space(kernel->equations.data[0], 0, rows), stride = random_step(machine, count), row = 0;
    machine->step = step;
    machine->scratch = arena_new_array(machine->memory, double *, kernel->scratch.count + 1);
    for (int i = 0; i < kernel->scratch.count; i++)
        machine->scratch[i] = empty_memory(machine, tensor_layout(kernel->scratch.data[i])->bytes);
    for (int64_t i = 0; i < count; i++, row = (row + stride) % count)
        for (int j = 0; j < kernel->equations.count; j++) run_equation(machine, kernel->equations.data[j], rows, row);
}

static void run_step(Machine *machine, const Step *step)
{
    if (step->kind == STEP_CALL) {
        run_call(machine, step);
        return;
    }
    int depth = machine->depth++;
    for (machine->turns[depth] = 0; machine->turns[depth] < step->count; machine->turns[depth]++)
        for (int i = 0; i < step->steps.count; i++) run_step(machine, step->steps.data[i]);
    machine->depth--;
}

/* --- whole plans --------------------------------------------------------------------------------------------------- */
static void load(Machine *machine, double *const *values)
{
    const Plan *plan = machine->plan;
    const Module *module = plan->module;
    machine->arena = empty_memory(machine, plan->arena_bytes);
    machine->blob = empty_memory(machine, plan->blob_bytes);
    machine->ports_in = arena_new_array(machine->memory, double *, module->inputs.count + 1);
    machine->ports_out = arena_new_array(machine->memory, double *, module->outputs.count + 1);
    machine->statics = arena_new_array(machine->memory, double *, module->tensors.count + 1);
    for (int i = 0; i < module->inputs.count; i++) {
        const Tensor *tensor = module->inputs.data[i].tensor;
        machine->ports_in[i] = empty_memory(machine, tensor_layout(tensor)->bytes);
        fill(machine->ports_in[i], tensor, values[tensor->id]);
    }
    for (int i = 0; i < module->outputs.count; i++)
        machine->ports_out[i] = empty_memory(machine, tensor_layout(module->outputs.data[i].tensor)->bytes);
    for (int i = 0; i < plan->blob.count; i++) {
        const Tensor *tensor = plan->blob.data[i];
        fill(machine->blob, tensor, tensor->kind == TENSOR_CONSTANT ? tensor->values : values[tensor->id]);
    }
    for (int i = 0; i < plan->statics.count; i++) {
        const Tensor *tensor = plan->statics.data[i];
        machine->statics[tensor->id] = empty_memory(machine, tensor_layout(tensor)->bytes);
        fill(machine->statics[tensor->id], tensor, tensor->values);
    }
}

void plan_execute(const Plan *plan, double *const *values, double *const *outputs, uint64_t seed)
{
    Machine machine = {.plan = plan, .memory = arena_new(), .random = seed};
    load(&machine, values);
    for (int i = 0; i < plan->steps.count; i++) run_step(&machine, plan->steps.data[i]);
    for (int i = 0; i < plan->module->outputs.count; i++) {
        const Tensor *tensor = plan->module->outputs.data[i].tensor;
        int64_t count = tensor_count(tensor);
        for (int64_t j = 0; j < count; j++)
            outputs[i][j] = machine.ports_out[i][element_offset(tensor, tensor_layout(tensor), j) * element_type_size(tensor->type)];
    }
    arena_free(machine.memory);
}
