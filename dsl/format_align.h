/* Columns that the writer of a file set under one another; between format.c and format_align.c. */
#ifndef GM_DSL_FORMAT_ALIGN_H
#define GM_DSL_FORMAT_ALIGN_H

#include "support/list.h"
#include "support/text.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum { ALIGN_EQUALS, ALIGN_INITIAL, ALIGN_BOUNDS, ALIGN_COMMENT, ALIGN_KINDS } AlignKind;

/* One line of the output. */
typedef struct {
    size_t begin;
    int indent;
    bool alone;                  /* a statement that is this line and no other, right below the line before */
    size_t at[ALIGN_KINDS];      /* offset of the separator in the output, or 0 */
    bool wide[ALIGN_KINDS];      /* the writer left more space before it than one statement needs */
} AlignLine;
typedef LIST(AlignLine) AlignLines;

/* Sets the `=`, `~`, `for` and comments of neighbouring lines under one another where the writer did so at one of them. */
Text align_lines(Arena *arena, const Text *text, const AlignLines *lines);

#endif
