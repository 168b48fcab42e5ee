/* Collects what the user did wrong.
 * In: diag_* calls.  Out: a list of diagnostics with labels, notes and help; the table of codes; the nearest name to a misspelt one.
 * Leaves to others: printing (diagnostics_print.c, diagnostics_json.c). */
#include "support/diagnostics_private.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

enum { KEPT_ERRORS = 20, KEPT_WARNINGS = 20 };

typedef struct {
    const char *name, *title, *explanation;
} CodeRow;

static const CodeRow code_rows[] = {
#define DIAGNOSTIC(code, title, explanation) {#code, title, explanation},
#include "support/diagnostics.def"
#undef DIAGNOSTIC
};

Diagnostics *diagnostics_new(Arena *arena)
{
    Diagnostics *diags = arena_new_object(arena, Diagnostics);
    diags->arena = arena;
    return diags;
}

static bool same_diagnostic(const Diagnostic *a, DiagnosticCode code, Place place, const char *message)
{
    return a->code == code && a->place.source == place.source && a->place.begin == place.begin && a->place.end == place.end &&
           strcmp(a->message, message) == 0;
}

/* Makes the diagnostic; it is listed unless it is a repetition or one too many (it then still takes labels, unseen). */
static Diagnostic *diagnostic_add(Diagnostics *diags, bool warning, DiagnosticCode code, Place place, const char *message)
{
    Diagnostic *made = arena_new_object(diags->arena, Diagnostic);
    *made = (Diagnostic){.arena = diags->arena, .code = code, .warning = warning, .place = place, .message = message, .call = diags->call};
    for (int i = 0; i < diags->count; i++)
        if (same_diagnostic(diags->list[i], code, place, message)) return made;
    int kept_before = warning ? diags->warning_count++ : diags->error_count++;
    if (kept_before >= (warning ? KEPT_WARNINGS : KEPT_ERRORS)) return made;
    list_reserve(diags->arena, (void **)&diags->list, &diags->capacity, diags->count + 1, sizeof *diags->list, diags->count);
    diags->list[diags->count++] = made;
    return made;
}

#define FORMAT_MESSAGE(arena, format, message)               \
    do {                                                     \
        va_list arguments;                                   \
        va_start(arguments, format);                         \
        (message) = arena_vprintf((arena), format, arguments); \
        va_end(arguments);                                   \
    } while (0)

Diagnostic *diag_error(Diagnostics *diags, DiagnosticCode code, Place place, const char *format, ...)
{
    const char *message;
    FORMAT_MESSAGE(diags->arena, format, message);
    return diagnostic_add(diags, false, code, place, message);
}

Diagnostic *diag_warning(Diagnostics *diags, DiagnosticCode code, Place place, const char *format, ...)
{
    const char *message;
    FORMAT_MESSAGE(diags->arena, format, message);
    return diagnostic_add(diags, true, code, place, message);
}

void diag_caret(Diagnostic *diag, const char *format, ...)
{
    FORMAT_MESSAGE(diag->arena, format, diag->caret);
}

void diag_label(Diagnostic *diag, Place place, const char *format, ...)
{
    const char *text;
    FORMAT_MESSAGE(diag->arena, format, text);
    list_push(diag->arena, &diag->labels, (Remark){place, text});
}

void diag_note(Diagnostic *diag, Place place, const char *format, ...)
{
    const char *text;
    FORMAT_MESSAGE(diag->arena, format, text);
    list_push(diag->arena, &diag->notes, (Remark){place, text});
}

void diag_help(Diagnostic *diag, const char *format, ...)
{
    const char *text;
    FORMAT_MESSAGE(diag->arena, format, text);
    list_push(diag->arena, &diag->help, text);
}

const char *diagnostic_code_name(DiagnosticCode code)
{
    return code_rows[code].name;
}

const char *diagnostic_title(DiagnosticCode code)
{
    return code_rows[code].title;
}

const char *diagnostic_explanation(DiagnosticCode code)
{
    return code_rows[code].explanation;
}

bool diagnostic_find(const char *name, DiagnosticCode *code)
{
    const char *digits = name;
    if (toupper((unsigned char)digits[0]) == 'G' && toupper((unsigned char)digits[1]) == 'M') digits += 2;
    if (!*digits || strlen(digits) > 3) return false;
    int number = 0;
    for (; *digits; digits++) {
        if (!isdigit((unsigned char)*digits)) return false;
        number = number * 10 + (*digits - '0');
    }
    for (size_t i = 0; i < sizeof code_rows / sizeof *code_rows; i++) {
        const char *row = code_rows[i].name + 2;
        if ((row[0] - '0') * 100 + (row[1] - '0') * 10 + (row[2] - '0') != number) continue;
        *code = (DiagnosticCode)i;
        return true;
    }
    return false;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

enum { LONGEST_NAME = 64 };

/* Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`; case counts nothing. */
static int edit_distance(const char *a, const char *b)
{
    int rows[3][LONGEST_NAME + 1];
    int length = (int)strlen(b);
    int *before = rows[0], *last = rows[1], *row = rows[2];
    for (int j = 0; j <= length; j++) last[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        row[0] = i;
        for (int j = 1; j <= length; j++) {
            int best = last[j - 1] + !same_letter(a[i - 1], b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]) && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        int *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[length];
}

const char *nearest_name(const char *name, const char *const *candidates, int count)
{
    size_t length = name ? strlen(name) : 0;
    if (length == 0 || length > LONGEST_NAME) return NULL;
    int limit = length < 3 ? 1 : (int)(length + 2) / 3;
    const char *best = NULL;
    for (int i = 0; i < count; i++) {
        if (!candidates[i] || !*candidates[i] || strlen(candidates[i]) > LONGEST_NAME || strcmp(name, candidates[i]) == 0) continue;
        int distance = edit_distance(name, candidates[i]);
        if (distance > limit || (size_t)distance >= length) continue;
        if (best && edit_distance(name, best) <= distance) continue;
        best = candidates[i];
    }
    return best;
}
