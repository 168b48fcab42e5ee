/* Source texts and places in them. */
#ifndef GM_SUPPORT_SOURCE_H
#define GM_SUPPORT_SOURCE_H

#include "support/arena.h"

#include <stdbool.h>

typedef struct Source {
    const char *name; /* as the user wrote it, or "std/dense.gm" for the embedded library */
    const char *text; /* ends in a zero byte */
    size_t size;      /* without the zero byte */
    bool embedded;    /* part of the embedded library */
    size_t *lines;    /* offset of each line's first byte */
    int line_count;
} Source;

/* A stretch of a source, [begin, end) in bytes. source NULL: nowhere (a command line option, say). */
typedef struct Place {
    const Source *source;
    size_t begin, end;
} Place;

Source *source_new(Arena *arena, const char *name, const char *text, size_t size, bool embedded);
/* Line and column of a byte, both from 1; columns count UTF-8 characters. */
void source_position(const Source *source, size_t offset, int *line, int *column);
/* The text of a line (from 1) without its end. */
const char *source_line(const Source *source, int line, int *length);
/* From the begin of `a` to the end of `b`. */
Place place_join(Place a, Place b);

#endif
