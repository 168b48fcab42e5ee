/* Text that grows, and whole files: read at once, written whole or not at all. */
#ifndef GM_SUPPORT_TEXT_H
#define GM_SUPPORT_TEXT_H

#include "support/arena.h"

#include <stdbool.h>

typedef struct Text {
    Arena *arena;
    char *data; /* always ends in a zero byte once something was added */
    size_t length, capacity;
} Text;

Text text_new(Arena *arena);
void text_add(Text *text, const char *more);
void text_add_bytes(Text *text, const void *bytes, size_t count);
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void text_printf(Text *text, const char *format, ...);
/* The text as a string, "" when empty. */
const char *text_string(const Text *text);
bool text_ends_with(const char *text, const char *end);

/* Reads a regular file whole. On failure returns false and sets *error to a message without the path ("no such file"). */
bool file_read(Arena *arena, const char *path, char **data, size_t *size, const char **error);
/* Writes through a temporary file beside `path` and renames it: whole or not at all. "-" is standard output. */
bool file_write(const char *path, const void *data, size_t size, const char **error);

/* The same in pieces, for large files. */
typedef struct FileWriter FileWriter;
FileWriter *file_writer_open(Arena *arena, const char *path, const char **error);
bool file_writer_add(FileWriter *writer, const void *data, size_t size);
/* Renames the finished file into place, or removes it when anything failed before (then false and *error). */
bool file_writer_close(FileWriter *writer, const char **error);
/* Removes what was written. */
void file_writer_cancel(FileWriter *writer);

#endif
