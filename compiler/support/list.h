/* Growing arrays on an arena:  LIST(int) numbers = {0};  list_push(arena, &numbers, 7);  numbers.data[0]. */
#ifndef GM_SUPPORT_LIST_H
#define GM_SUPPORT_LIST_H

#include "support/arena.h"

#include <string.h>

#define LIST(Type) \
    struct {       \
        Type *data; \
        int count, capacity; \
    }

#define list_push(arena, list, ...) \
    (list_reserve((arena), (void **)&(list)->data, &(list)->capacity, (list)->count + 1, sizeof *(list)->data, (list)->count), \
     (list)->data[(list)->count++] = (__VA_ARGS__))

/* Makes room for `wanted` elements; the old array stays in the arena. */
static inline void list_reserve(Arena *arena, void **data, int *capacity, int wanted, size_t size, int count)
{
    if (wanted <= *capacity) return;
    int grown = *capacity ? *capacity * 2 : 8;
    if (grown < wanted) grown = wanted;
    void *bigger = arena_alloc_array(arena, (size_t)grown, size);
    if (count) memcpy(bigger, *data, (size_t)count * size);
    *data = bigger;
    *capacity = grown;
}

#endif
