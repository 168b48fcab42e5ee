/* Map: open addressing with linear probing over an array of entries in order of insertion (FNV-1a hash). */
#include "support/map.h"

#include "support/list.h"

#include <stdint.h>
#include <string.h>

static uint32_t hash(const char *key)
{
    uint32_t h = 2166136261u;
    for (; *key; key++) h = (h ^ (unsigned char)*key) * 16777619u;
    return h;
}

/* The slot that holds `key`, or the empty one where it belongs. */
static int *find(const Map *map, const char *key)
{
    uint32_t mask = (uint32_t)map->slot_count - 1;
    for (uint32_t i = hash(key) & mask;; i = (i + 1) & mask) {
        int *slot = &map->slots[i];
        if (*slot == 0 || strcmp(map->entries[*slot - 1].key, key) == 0) return slot;
    }
}

void *map_get(const Map *map, const char *key)
{
    if (map->count == 0) return NULL;
    int slot = *find(map, key);
    return slot ? map->entries[slot - 1].value : NULL;
}

void *map_put(Arena *arena, Map *map, const char *key, void *value)
{
    if (2 * (map->count + 1) > map->slot_count) {
        map->slot_count = map->slot_count ? map->slot_count * 2 : 16;
        map->slots = arena_new_array(arena, int, map->slot_count);
        for (int i = 0; i < map->count; i++) *find(map, map->entries[i].key) = i + 1;
    }
    int *slot = find(map, key);
    if (*slot) {
        void *old = map->entries[*slot - 1].value;
        map->entries[*slot - 1].value = value;
        return old;
    }
    list_reserve(arena, (void **)&map->entries, &map->capacity, map->count + 1, sizeof *map->entries, map->count);
    map->entries[map->count++] = (MapEntry){key, value};
    *slot = map->count;
    return NULL;
}
