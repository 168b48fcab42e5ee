/* What the user did wrong, collected, located and explained.
 * In: calls from every stage.  Out: text or JSON.  At most 20 errors are kept; the rest are counted.
 * Every code stands once in diagnostics.def, with the text of `gmlpc explain`. */
#ifndef GM_SUPPORT_DIAGNOSTICS_H
#define GM_SUPPORT_DIAGNOSTICS_H

#include "support/source.h"
#include "support/text.h"

#include <stdbool.h>

typedef enum {
#define DIAGNOSTIC(code, title, explanation) code,
#include "support/diagnostics.def"
#undef DIAGNOSTIC
    DIAGNOSTIC_COUNT
} DiagnosticCode;

/* One call of the chain that led to an error: printed as "note: in TEXT, called at PLACE". */
typedef struct CallNote {
    const struct CallNote *up; /* the caller's own call, NULL at the model */
    const char *text;          /* spatial_gate(x[196, 1536], TOKENS = 256) */
    Place at;
} CallNote;

typedef struct Diagnostic Diagnostic;

typedef struct Diagnostics {
    Arena *arena;
    Diagnostic **list;
    int count, capacity;
    int error_count, warning_count; /* of all, kept or not */
    const CallNote *call;           /* the chain that every new diagnostic gets; set by the expander */
} Diagnostics;

Diagnostics *diagnostics_new(Arena *arena);

/* Starts a diagnostic and returns it for labels, notes and help. The same code with the same message at the same place
 * is kept once (later labels on it are dropped). `place.source` may be NULL: then no line is shown. */
#if defined(__GNUC__)
#define GM_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define GM_PRINTF(a, b)
#endif
Diagnostic *diag_error(Diagnostics *diags, DiagnosticCode code, Place place, const char *format, ...) GM_PRINTF(4, 5);
Diagnostic *diag_warning(Diagnostics *diags, DiagnosticCode code, Place place, const char *format, ...) GM_PRINTF(4, 5);
/* A further mark with its explanation. The text of the first mark (the caret) is added with diag_caret. Marks on the same
 * line share its snippet; others get their own. */
void diag_caret(Diagnostic *diag, const char *format, ...) GM_PRINTF(2, 3);
void diag_label(Diagnostic *diag, Place place, const char *format, ...) GM_PRINTF(3, 4);
/* "note: TEXT" (with " at FILE:LINE:COL" when the place has a source). Printed before the call chain. */
void diag_note(Diagnostic *diag, Place place, const char *format, ...) GM_PRINTF(3, 4);
/* "help: TEXT". */
void diag_help(Diagnostic *diag, const char *format, ...) GM_PRINTF(2, 3);

/* All of them, in order of arising (sorted by source position where both are in one file); colour only when asked. */
void diagnostics_print(const Diagnostics *diags, Text *out, bool colour);
/* {"errors": N, "warnings": N, "diagnostics": [{"code", "severity", "message", "file", "line", "column", "end_line",
 * "end_column", "labels": [...], "notes": [...], "help": [...]}]} */
void diagnostics_json(const Diagnostics *diags, Text *out);

const char *diagnostic_code_name(DiagnosticCode code);        /* "GM012" */
const char *diagnostic_title(DiagnosticCode code);            /* one line */
const char *diagnostic_explanation(DiagnosticCode code);      /* what `gmlpc explain` prints */
bool diagnostic_find(const char *name, DiagnosticCode *code); /* "GM012", "gm012" or "12" */

/* The candidate nearest to `name` by edit distance, when near enough to suggest; else NULL. */
const char *nearest_name(const char *name, const char *const *candidates, int count);

#endif
