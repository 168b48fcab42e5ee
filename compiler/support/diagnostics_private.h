/* What a diagnostic holds; for the files that collect and print them, nobody else. */
#ifndef GM_SUPPORT_DIAGNOSTICS_PRIVATE_H
#define GM_SUPPORT_DIAGNOSTICS_PRIVATE_H

#include "support/diagnostics.h"
#include "support/list.h"

typedef struct {
    Place place;      /* a note's source may be NULL */
    const char *text; /* NULL: a mark without explanation */
} Remark;

struct Diagnostic {
    Arena *arena;
    DiagnosticCode code;
    bool warning;
    Place place;
    const char *message;
    const char *caret; /* explanation of the first mark, or NULL */
    LIST(Remark) labels, notes;
    LIST(const char *) help;
    const CallNote *call;
};

/* The diagnostics in the order of printing: files in order of first mention, then by position. */
const Diagnostic **diagnostics_sorted(const Diagnostics *diags, Arena *arena);
/* The character at `at` of text[0, length): its bytes and what to show for it. Control characters and broken UTF-8 come out as U+FFFD. */
typedef struct {
    int bytes;
    const char *shown; /* NULL: the bytes themselves */
    int columns;       /* width on a terminal */
} ShownCharacter;
ShownCharacter shown_character(const char *text, size_t length, size_t at);
/* Appends text of unknown origin so that it cannot harm a terminal or a JSON reader; line ends stay. */
void text_add_shown(Text *out, const char *text);

#endif
