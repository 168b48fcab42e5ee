/* Names of kernels: after the parameters' paths and the tensors they compute, not after the blocks of any library.
 * In: kernels.  Out: a unique C identifier for each: blocks.3.mlp.fc1 → mlp_fc1. */
#include "schedule/schedule.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_number(const char *part, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isdigit((unsigned char)part[i])) return false;
    return length > 0;
}

/* What follows the last number of a path; numbers at its end are dropped. */
static const char *path_tail(Arena *arena, const char *path)
{
    char *copy = arena_strdup(arena, path);
    for (char *dot; (dot = strrchr(copy, '.')) && is_number(dot + 1, strlen(dot + 1));) *dot = 0;
    const char *tail = copy;
    for (const char *part = copy; *part;) {
        size_t length = strcspn(part, ".");
        bool last = part[length] == 0;
        if (is_number(part, length) && !last) tail = part + length + 1;
        part += length + !last;
    }
    return tail;
}

/* The path without its last component. */
static const char *path_owner(Arena *arena, const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? arena_strndup(arena, path, (size_t)(dot - path)) : "";
}

typedef struct {
    const char *path;
} Weight;

static void visit_weight(Expr *read, bool inside, void *context)
{
    Weight *weight = context;
    (void)inside;
    if (!weight->path && read->tensor->kind == TENSOR_WEIGHT) weight->path = read->tensor->path;
    const Equation *writer = tensor_plan(read->tensor)->writer;
    if (!weight->path && read->tensor->packed && writer) expr_reads(writer->value, NULL, visit_weight, weight);
}

/* The path of the weights that a contraction multiplies, or NULL. */
static const char *contracted_weight(const Kernel *kernel)
{
    Weight weight = {NULL};
    if (kernel->form != KERNEL_CONTRACTION) return NULL;
    expr_reads(kernel->contraction.columns, NULL, visit_weight, &weight);
    if (!weight.path) expr_reads(kernel->contraction.rows, NULL, visit_weight, &weight);
    return weight.path;
}

static const char *identifier(Arena *arena, const char *text)
{
    char *result = arena_printf(arena, "%s%s", isalpha((unsigned char)text[0]) ? "" : "k", text);
    size_t length = 0;
    for (const char *c = result; *c; c++) { /* single underscores between words */
        char next = isalnum((unsigned char)*c) ? *c : '_';
        if (next == '_' && (length == 0 || result[length - 1] == '_')) continue;
        result[length++] = next;
    }
    while (length && result[length - 1] == '_') length--;
    result[length] = 0;
    return result;
}

static const char *unused(Arena *arena, const Map *names, const char *wanted)
{
    const char *name = wanted;
    for (int i = 2; map_get(names, name); i++) name = arena_printf(arena, "%s_%d", wanted, i);
    return name;
}

static const char *without_digits(Arena *arena, const char *name)
{
    size_t length = strlen(name);
    while (length > 1 && isdigit((unsigned char)name[length - 1])) length--;
    return arena_strndup(arena, name, length);
}

static const char *kernel_name(Scheduler *s, const Kernel *kernel, const Map *names)
{
    Arena *arena = s->arena;
    const Equation *equation = kernel->equations.data[kernel->equations.count - 1];
    const char *own = equation->result->name, *weight = contracted_weight(kernel), *path = equation->frame ? equation->frame->path : "";
    if (weight) path = path_owner(arena, weight);
    if (tensor_plan(equation->result)->operand)
        return unused(arena, names, identifier(arena, path_tail(arena, without_digits(arena, own))));
    const char *name = identifier(arena, path_tail(arena, path));
    if (path[0] && name[0] && !map_get(names, name)) return name;
    const char *last = identifier(arena, path_tail(arena, own));
    return unused(arena, names, last[0] ? last : "kernel");
}

void name_kernels(Scheduler *s)
{
    Map names = {0};
    for (int i = 0; i < s->plan->kernels.count; i++) {
        Kernel *kernel = s->plan->kernels.data[i];
        kernel->name = kernel_name(s, kernel, &names);
        map_put(s->scratch, &names, kernel->name, kernel);
    }
}

const char *plan_call_block(const PlanCall *call)
{
    const Frame *frame = call->frame;
    if (!frame) return "";
    return frame->path && *frame->path ? frame->path : frame->block ? frame->block : "";
}
