/* Pass cleanup: what no output needs is dropped, tensors are numbered anew. Inputs and weights stay: they are what the model declares.
 * In: fused equations.  Out: the same without what is dead. */
#include "passes/pass_functions.h"
#include "passes/rewrite.h"

static void mark_read(Expr *node, void *context)
{
    bool *used = context;
    if (node->kind == EXPR_READ) used[node->tensor->id] = true;
}

void pass_cleanup(Module *module, Diagnostics *diags)
{
    (void)diags;
    remove_dead(module);
    Arena *scratch = arena_new();
    bool *used = arena_new_array(scratch, bool, module->tensors.count + 1);
    for (int i = 0; i < module->equations.count; i++) {
        used[module->equations.data[i]->result->id] = true;
        expr_walk(module->equations.data[i]->value, mark_read, used);
    }
    for (int i = 0; i < module->outputs.count; i++) used[module->outputs.data[i].tensor->id] = true;
    int kept = 0;
    for (int i = 0; i < module->tensors.count; i++) {
        Tensor *tensor = module->tensors.data[i];
        if (!used[i] && tensor->kind != TENSOR_INPUT && tensor->kind != TENSOR_WEIGHT) continue;
        tensor->id = kept;
        module->tensors.data[kept++] = tensor;
    }
    module->tensors.count = kept;
    arena_free(scratch);
}
