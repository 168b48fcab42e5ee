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

/* What follows the last number of a path. */
static const char *path_tail(const char *path)
{
    const char *tail = path;
    for (const char *part = path; *part;) {
        size_t length = strcspn(part, ".");
        bool last = part[length] == 0;
        if (is_number(part, length) && !last) tail = part + length + 1;
        part += length + !last;
    }
    return tail;
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

static const char *kernel_name(Scheduler *s, const Kernel *kernel, const Map *names)
{
    const Equation *equation = kernel->equations.data[kernel->equations.count - 1];
    const char *own = equation->result->name, *path = equation->frame ? path_tail(equation->frame->path) : "";
    const char *tensor = identifier(s->arena, path_tail(own)), *last = identifier(s->arena, tensor_last_name(equation->result));
    if (!path[0]) return unused(s->arena, names, tensor);
    const char *name = identifier(s->arena, path);
    if (!map_get(names, name)) return name;
    return unused(s->arena, names, arena_printf(s->arena, "%s_%s", name, last));
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
