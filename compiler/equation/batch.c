/* A model for several inputs at once: one more free index in every equation that depends on an input.
 *
 *   y[i, m] = sum[k](x[i, k] * w[m, k])     becomes     y[s, i, m] = sum[k](x[s, i, k] * w[m, k])
 *
 * Nothing else knows of batches: where rows of x may be one run of memory, later stages merge s and i into the rows of one product, so
 * that weights are read once for all inputs; products of one input with itself stay one an input. */
#include "equation/batch.h"

#include "support/bug.h"

#include <inttypes.h>
#include <string.h>

#define MOST_ELEMENTS (INT64_C(1) << 40)

typedef struct {
    Module *module;
    bool *batched;    /* by tensor id */
    bool found;
    Index *sample;    /* of the equation at hand */
} Batching;

static void find_batched(Expr *node, void *context)
{
    Batching *batching = context;
    if (node->kind == EXPR_READ && batching->batched[node->tensor->id]) batching->found = true;
}

/* Inputs, outputs, and what is computed from them. Readers come after all writers of a tensor, so once through is enough. */
static void find_tensors(Batching *batching)
{
    Module *module = batching->module;
    for (int i = 0; i < module->inputs.count; i++) batching->batched[module->inputs.data[i].tensor->id] = true;
    for (int i = 0; i < module->outputs.count; i++) batching->batched[module->outputs.data[i].tensor->id] = true;
    for (int i = 0; i < module->equations.count; i++) {
        const Equation *equation = module->equations.data[i];
        batching->found = false;
        expr_walk(equation->value, find_batched, batching);
        if (batching->found) batching->batched[equation->result->id] = true;
    }
}

static bool add_axis(Tensor *tensor, int64_t count, Diagnostics *diags)
{
    if (tensor->rank == MAX_RANK) {
        diag_error(diags, GM108, tensor->origin, "%s has %d axes already: none is left for a batch", tensor->name, MAX_RANK);
        return false;
    }
    if (tensor_count(tensor) > MOST_ELEMENTS / count) {
        diag_error(diags, GM108, tensor->origin, "with a batch of %" PRId64 " %s has more than 2^40 elements", count, tensor->name);
        return false;
    }
    memmove(tensor->extents + 1, tensor->extents, (size_t)tensor->rank * sizeof *tensor->extents);
    tensor->extents[0] = count;
    tensor->rank++;
    return true;
}

static Expr *sample_of(const Batching *batching, Place place)
{
    return expr_index(batching->module, batching->sample, place);
}

static void read_sample(Expr *node, void *context)
{
    const Batching *batching = context;
    if (node->kind != EXPR_READ || !batching->batched[node->tensor->id]) return;
    Expr **subscripts = arena_new_array(batching->module->arena, Expr *, node->count + 1);
    subscripts[0] = sample_of(batching, node->place);
    for (int axis = 0; axis < node->count; axis++) subscripts[axis + 1] = node->args[axis];
    node->args = subscripts;
    node->count++;
}

static void batch_equation(Batching *batching, Equation *equation, int64_t count)
{
    if (!batching->batched[equation->result->id]) return;
    batching->sample = index_new(batching->module, "sample", count, equation->origin);
    expr_walk(equation->value, read_sample, batching);
    memmove(equation->subscripts + 1, equation->subscripts, (size_t)equation->rank * sizeof *equation->subscripts);
    memmove(equation->free + 1, equation->free, (size_t)equation->free_count * sizeof *equation->free);
    equation->subscripts[0] = sample_of(batching, equation->origin);
    equation->free[0] = batching->sample;
    equation->rank++;
    equation->free_count++;
}

bool module_batch(Module *module, int64_t count, Diagnostics *diags)
{
    if (count < 1 || count > MOST_BATCH) bug("a batch of %" PRId64, count);
    module->batch = count;
    if (count == 1) return true;
    Batching batching = {.module = module, .batched = arena_new_array(module->arena, bool, module->tensors.count + 1)};
    find_tensors(&batching);
    for (int i = 0; i < module->tensors.count; i++)
        if (batching.batched[i] && !add_axis(module->tensors.data[i], count, diags)) return false;
    for (int i = 0; i < module->equations.count; i++) batch_equation(&batching, module->equations.data[i], count);
    return true;
}

void module_repeat(Module *module, int64_t turns)
{
    if (turns == 1) return;
    for (int i = 0; i < module->inputs.count; i++) module->inputs.data[i].tensor->extents[0] *= turns;
    for (int i = 0; i < module->outputs.count; i++) module->outputs.data[i].tensor->extents[0] *= turns;
    module->batch *= turns;
}
