/* A map from strings to pointers, on an arena. Iteration is in order of insertion, so output never depends on hashing. */
#ifndef GM_SUPPORT_MAP_H
#define GM_SUPPORT_MAP_H

#include "support/arena.h"

typedef struct {
    const char *key;
    void *value; /* NULL after map_remove */
} MapEntry;

typedef struct {
    MapEntry *entries; /* in order of insertion */
    int count, capacity;
    int *slots;     /* open addressing: index of an entry + 1, or 0 */
    int slot_count; /* a power of two */
} Map;

/* The value of `key`, or NULL. */
void *map_get(const Map *map, const char *key);
/* Sets it; the key is kept, not copied. Returns the value it replaces, or NULL. */
void *map_put(Arena *arena, Map *map, const char *key, void *value);

#endif
