/* A writer of C: owns indentation, line length, names and literals, so that nothing else pastes layout into strings.
 * In: statements, blocks, comments.  Out: text indented by four spaces a level, lines of at most 132 columns where they can be broken. */
#ifndef GM_EMIT_C_WRITER_H
#define GM_EMIT_C_WRITER_H

#include "support/map.h"
#include "support/text.h"

#if defined(__GNUC__)
#define GM_WRITER_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define GM_WRITER_PRINTF(a, b)
#endif

typedef struct {
    Text *out;
    int depth;
} Writer;

/* One line at the current depth; a long one is broken at blanks. */
void writer_line(Writer *writer, const char *format, ...) GM_WRITER_PRINTF(2, 3);
/* A line that opens a block ("for (…) {") and the one that closes it ("}" and what follows). */
void writer_open(Writer *writer, const char *format, ...) GM_WRITER_PRINTF(2, 3);
void writer_brace(Writer *writer); /* a line with nothing but the opening brace */
void writer_close(Writer *writer, const char *after);
/* At column 0, unbroken: preprocessor lines. */
void writer_directive(Writer *writer, const char *format, ...) GM_WRITER_PRINTF(2, 3);
void writer_blank(Writer *writer);
/* A block comment; newlines in `text` start new lines, long lines are broken, and nothing in it can end it. */
void writer_comment(Writer *writer, const char *text);
/* Ready-made lines, as they are. */
void writer_text(Writer *writer, const char *text);

/* Names already taken in one scope. */
typedef struct {
    Map taken;
} Names;
/* `wanted`, or `wanted_` … where C, C++, the standard library or an earlier call took it; invalid characters become _. */
const char *names_take(Arena *arena, Names *names, const char *wanted);
/* True for words that mean something in C, in C++ or in what generated code uses. */
bool name_is_reserved(const char *name);

/* Literals. Numbers are rounded to f32 once; 9 digits bring them back exactly. */
const char *float_literal(Arena *arena, double number);
const char *string_literal(Arena *arena, const char *text);
const char *upper_case(Arena *arena, const char *text);
const char *base_name(const char *path);

#endif
