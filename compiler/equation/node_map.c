/* Open addressing over addresses; see node_map.h. */
#include "equation/node_map.h"

#include <string.h>

static size_t hash(const void *key)
{
    uintptr_t bits = (uintptr_t)key >> 4;
    return (size_t)((bits ^ (bits >> 15)) * (uintptr_t)0x9E3779B97F4A7C15u >> 20);
}

static NodeMapSlot *find(const NodeMap *map, const void *key)
{
    size_t mask = (size_t)map->capacity - 1;
    for (size_t i = hash(key) & mask;; i = (i + 1) & mask)
        if (!map->slots[i].key || map->slots[i].key == key) return &map->slots[i];
}

void node_map_init(NodeMap *map)
{
    map->arena = NULL;
    map->count = 0;
    map->capacity = NODE_MAP_INLINE;
    map->slots = map->few;
    memset(map->few, 0, sizeof map->few);
}

void node_map_free(NodeMap *map)
{
    arena_free(map->arena);
    map->arena = NULL;
    map->slots = NULL;
}

void *node_map_get(const NodeMap *map, const void *key, bool *found)
{
    const NodeMapSlot *slot = find(map, key);
    if (found) *found = slot->key != NULL;
    return slot->key ? slot->value : NULL;
}

static void grow(NodeMap *map)
{
    NodeMapSlot *old = map->slots;
    int old_capacity = map->capacity;
    if (!map->arena) map->arena = arena_new();
    map->capacity *= 4;
    map->slots = arena_new_array(map->arena, NodeMapSlot, map->capacity);
    for (int i = 0; i < old_capacity; i++)
        if (old[i].key) *find(map, old[i].key) = old[i];
}

bool node_map_put(NodeMap *map, const void *key, void *value)
{
    NodeMapSlot *slot = find(map, key);
    bool fresh = slot->key == NULL;
    if (fresh && (map->count + 1) * 4 > map->capacity * 3) {
        grow(map);
        slot = find(map, key);
    }
    map->count += fresh;
    slot->key = key;
    slot->value = value;
    return fresh;
}
