/* From the values of weights to the payload of a .gmw file.
 * In: a plan, whose layouts say where each blob tensor lies; the weights' values.  Out: the payload.
 * Runs the packed equations that blob tensors need, in order; a tensor of the blob is computed in its place. */
#include "support/bug.h"
#include "weights/execute.h"
#include "weights/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const Module *module;
    const WeightValues *values;
    Arena *arena;
    View *views;  /* by tensor id */
    bool *needed; /* by tensor id */
} Packing;

static View given_view(const Packing *packing, const Tensor *tensor)
{
    if (tensor->kind == TENSOR_CONSTANT) return view_dense(VIEW_F64, tensor->values, tensor);
    if (tensor->type == TYPE_F32) return view_dense(VIEW_F32, packing->values->f32[tensor->id], tensor);
    return view_dense(VIEW_I64, packing->values->integers[tensor->id], tensor);
}

static bool given(const Tensor *tensor)
{
    return tensor->kind == TENSOR_WEIGHT || tensor->kind == TENSOR_CONSTANT;
}

static void need_read(Expr *node, void *context)
{
    if (node->kind == EXPR_READ) ((Packing *)context)->needed[node->tensor->id] = true;
}

static void find_needed(Packing *packing, const Plan *plan)
{
    for (int i = 0; i < plan->blob.count; i++) packing->needed[plan->blob.data[i]->id] = true;
    for (int i = packing->module->equations.count - 1; i >= 0; i--) {
        const Equation *equation = packing->module->equations.data[i];
        if (equation->packed && packing->needed[equation->result->id]) expr_walk(equation->value, need_read, packing);
    }
}

static View blob_view(const Tensor *tensor, unsigned char *payload)
{
    const Layout *layout = tensor_layout(tensor);
    View view = {payload + layout->offset_bytes, view_type_of(tensor->type), {0}};
    memcpy(view.strides, layout->strides, (size_t)tensor->rank * sizeof *view.strides);
    return view;
}

static void make_views(Packing *packing, const Plan *plan, unsigned char *payload)
{
    for (int i = 0; i < packing->module->tensors.count; i++) {
        const Tensor *tensor = packing->module->tensors.data[i];
        if (!packing->needed[tensor->id]) continue;
        if (given(tensor)) {
            packing->views[tensor->id] = given_view(packing, tensor);
            if (!packing->views[tensor->id].base) bug("pack: weight %s has no values", tensor->name);
        }
    }
    for (int i = 0; i < plan->blob.count; i++)
        if (!given(plan->blob.data[i])) packing->views[plan->blob.data[i]->id] = blob_view(plan->blob.data[i], payload);
}

/* Weights and constants that lie in the blob as they are. */
static void copy_given(const Packing *packing, const Tensor *tensor, unsigned char *payload)
{
    View from = packing->views[tensor->id], to = blob_view(tensor, payload);
    int64_t count = tensor_count(tensor);
    if (from.type == to.type && memcmp(from.strides, to.strides, (size_t)tensor->rank * sizeof *from.strides) == 0) {
        memcpy(to.base, from.base, (size_t)(count * view_type_size(to.type)));
        return;
    }
    Arena *scratch = arena_new();
    Module *module = module_new(scratch, "copy");
    Tensor *source = tensor_new(module, TENSOR_WEIGHT, tensor->name, tensor->type, tensor->rank, tensor->extents, tensor->origin);
    Tensor *result = tensor_new(module, TENSOR_LOCAL, tensor->name, tensor->type, tensor->rank, tensor->extents, tensor->origin);
    Equation *equation = equation_new(module, result, tensor->origin, NULL);
    Expr *subscripts[MAX_RANK];
    equation->free_count = equation->rank = tensor->rank;
    for (int d = 0; d < tensor->rank; d++) {
        equation->free[d] = index_new(module, "i", tensor->extents[d], tensor->origin);
        subscripts[d] = equation->subscripts[d] = expr_index(module, equation->free[d], tensor->origin);
    }
    equation->value = expr_read(module, source, tensor->rank, subscripts, NULL, tensor->origin);
    View views[2];
    views[source->id] = from;
    views[result->id] = to;
    execute_equation(equation, views);
    arena_free(scratch);
}

static void run_equation(Packing *packing, const Equation *equation)
{
    const Tensor *result = equation->result;
    View *view = &packing->views[result->id];
    if (view->type == VIEW_NONE) {
        ViewType type = view_type_of(result->type);
        *view = view_dense(type, arena_alloc_array(packing->arena, (size_t)tensor_count(result), (size_t)view_type_size(type)), result);
    }
    execute_equation(equation, packing->views);
}

static bool has_odd_value(const float *values, int64_t count)
{
    int64_t odd = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        odd += (bits & 0x7f800000u) == 0x7f800000u;
    }
    return odd != 0;
}

static void warn_of_odd_values(const WeightValues *values, Diagnostics *diags)
{
    enum { SHOWN = 10 };
    Diagnostic *diag = NULL;
    int count = 0;
    for (int i = 0; i < values->module->weights.count; i++) {
        const Tensor *weight = values->module->weights.data[i];
        if (weight->type != TYPE_F32 || !values->f32[weight->id] || !has_odd_value(values->f32[weight->id], tensor_count(weight))) continue;
        if (!diag) diag = diag_warning(diags, GM136, (Place){0}, "the weights hold NaN or infinity");
        if (count++ < SHOWN) diag_note(diag, (Place){0}, "in %s", weight->path);
    }
    if (count > SHOWN) diag_note(diag, (Place){0}, "and in %d more", count - SHOWN);
}

unsigned char *weights_pack(const Plan *plan, const WeightValues *values, Diagnostics *diags)
{
    enum { ALIGNMENT = 64 };
    warn_of_odd_values(values, diags);
    size_t bytes = ((size_t)plan->blob_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    unsigned char *payload = aligned_alloc(ALIGNMENT, bytes ? bytes : ALIGNMENT);
    if (!payload) {
        diag_error(diags, GM120, (Place){0}, "out of memory: the packed weights need %zu bytes", bytes);
        return NULL;
    }
    memset(payload, 0, bytes);
    const Module *module = plan->module;
    Packing packing = {.module = module, .values = values, .arena = arena_new()};
    packing.views = arena_new_array(packing.arena, View, module->tensors.count + 1);
    packing.needed = arena_new_array(packing.arena, bool, module->tensors.count + 1);
    find_needed(&packing, plan);
    make_views(&packing, plan, payload);
    for (int i = 0; i < plan->blob.count; i++)
        if (given(plan->blob.data[i])) copy_given(&packing, plan->blob.data[i], payload);
    for (int i = 0; i < module->equations.count; i++)
        if (module->equations.data[i]->packed && packing.needed[module->equations.data[i]->result->id]) run_equation(&packing, module->equations.data[i]);
    arena_free(packing.arena);
    return payload;
}
