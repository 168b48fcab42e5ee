/* Arena: a chain of blocks, each twice the last; between objects lies poisoned memory under AddressSanitizer. */
#include "support/arena.h"

#include "support/bug.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
enum { GAP = 16 };
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { GAP = 0 };
#endif

enum { FIRST_BLOCK = 64 * 1024, LARGEST_STEP = 16 * 1024 * 1024 };

typedef struct Block {
    struct Block *next; /* the block before this one */
    size_t used, size;
    _Alignas(16) unsigned char data[];
} Block;

struct Arena {
    Block *block;
};

static void *allocate(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory) {
        fprintf(stderr, "gmlpc: out of memory (asked for %zu bytes)\n", bytes);
        exit(1);
    }
    return memory;
}

static Block *block_new(size_t size, Block *next)
{
    Block *block = allocate(sizeof(Block) + size);
    block->next = next;
    block->used = 0;
    block->size = size;
    POISON(block->data, size);
    return block;
}

Arena *arena_new(void)
{
    Arena *arena = allocate(sizeof *arena);
    arena->block = block_new(FIRST_BLOCK, NULL);
    return arena;
}

static void block_free(Block *block)
{
    UNPOISON(block->data, block->size);
    free(block);
}

void arena_free(Arena *arena)
{
    if (!arena) return;
    for (Block *block = arena->block; block;) {
        Block *next = block->next;
        block_free(block);
        block = next;
    }
    free(arena);
}

void arena_reset(Arena *arena)
{
    while (arena->block->next) {
        Block *next = arena->block->next;
        block_free(arena->block);
        arena->block = next;
    }
    arena->block->used = 0;
    POISON(arena->block->data, arena->block->size);
}

void *arena_alloc(Arena *arena, size_t bytes)
{
    if (bytes > PTRDIFF_MAX / 2) {
        fprintf(stderr, "gmlpc: out of memory (asked for %zu bytes)\n", bytes);
        exit(1);
    }
    size_t rounded = (bytes + 15 + GAP) & ~(size_t)15;
    if (rounded == 0) rounded = 16;
    Block *block = arena->block;
    if (block->size - block->used < rounded) {
        size_t size = block->size < LARGEST_STEP ? block->size * 2 : block->size;
        if (size < rounded) size = rounded;
        block = arena->block = block_new(size, block);
    }
    void *memory = block->data + block->used;
    block->used += rounded;
    UNPOISON(memory, bytes);
    memset(memory, 0, bytes);
    return memory;
}

void *arena_alloc_array(Arena *arena, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size) count = SIZE_MAX, size = 1; /* too large: arena_alloc says so */
    return arena_alloc(arena, count * size);
}

char *arena_strndup(Arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *arena_strdup(Arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(Arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) bug("arena_printf: bad format \"%s\"", format);
    char *text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(Arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = arena_vprintf(arena, format, arguments);
    va_end(arguments);
    return text;
}
