/* A region of memory that is freed as a whole. Everything a compilation allocates lives in one.
 * In: sizes.  Out: zeroed memory aligned to 16 bytes.  Running out of memory ends the process with a message. */
#ifndef GM_SUPPORT_ARENA_H
#define GM_SUPPORT_ARENA_H

#include <stdarg.h>
#include <stddef.h>

typedef struct Arena Arena;

Arena *arena_new(void);
void arena_free(Arena *arena);
/* Forgets every object but keeps the first block, for scratch arenas. */
void arena_reset(Arena *arena);

void *arena_alloc(Arena *arena, size_t bytes);
char *arena_strdup(Arena *arena, const char *text);
char *arena_strndup(Arena *arena, const char *text, size_t length);
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
char *arena_printf(Arena *arena, const char *format, ...);
char *arena_vprintf(Arena *arena, const char *format, va_list arguments);

#define arena_new_object(arena, Type) ((Type *)arena_alloc((arena), sizeof(Type)))
#define arena_new_array(arena, Type, count) ((Type *)arena_alloc_array((arena), (size_t)(count), sizeof(Type)))
void *arena_alloc_array(Arena *arena, size_t count, size_t size);

#endif
