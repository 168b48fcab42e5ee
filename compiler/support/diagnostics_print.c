/* Diagnostics as text for people: the message, the source lines with marks, where the call came from, what would help. */
#include "support/diagnostics_private.h"

#include <stdlib.h>
#include <string.h>

enum {
    TAB = 4,              /* columns of a tab */
    SNIPPET_COLUMNS = 120, /* a longer source line is cut around its marks */
    PAGE_COLUMNS = 128,   /* explanations start further left rather than pass this */
    CALLS_SHOWN = 12
};

typedef struct {
    int first; /* number of the diagnostic that first named this source */
    int order;
    const Diagnostic *diagnostic;
} SortRow;

static int compare_rows(const void *a, const void *b)
{
    const SortRow *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    if (x->diagnostic->place.source && x->diagnostic->place.begin != y->diagnostic->place.begin)
        return x->diagnostic->place.begin < y->diagnostic->place.begin ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

const Diagnostic **diagnostics_sorted(const Diagnostics *diags, Arena *arena)
{
    SortRow *rows = arena_new_array(arena, SortRow, diags->count + 1);
    const Diagnostic **sorted = arena_new_array(arena, const Diagnostic *, diags->count + 1);
    for (int i = 0; i < diags->count; i++) {
        int first = 0;
        while (diags->list[first]->place.source != diags->list[i]->place.source) first++;
        rows[i] = (SortRow){first, i, diags->list[i]};
    }
    if (diags->count) qsort(rows, (size_t)diags->count, sizeof *rows, compare_rows);
    for (int i = 0; i < diags->count; i++) sorted[i] = rows[i].diagnostic;
    return sorted;
}

static int character_width(unsigned c)
{
    if ((c >= 0x300 && c <= 0x36F) || (c >= 0x200B && c <= 0x200F) || (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF) return 0;
    bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
                (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) || (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1FAFF) ||
                (c >= 0x20000 && c <= 0x3FFFD);
    return wide ? 2 : 1;
}

ShownCharacter shown_character(const char *text, size_t length, size_t at)
{
    const unsigned char *s = (const unsigned char *)text + at;
    size_t left = length - at;
    ShownCharacter bad = {1, "\xEF\xBF\xBD", 1};
    if (s[0] < 0x20 || s[0] == 0x7F) return bad;
    if (s[0] < 0x80) return (ShownCharacter){1, NULL, 1};
    int bytes = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || (size_t)bytes > left) return bad;
    unsigned c = s[0] & (0xFFu >> (bytes + 1));
    for (int i = 1; i < bytes; i++) {
        if ((s[i] & 0xC0) != 0x80) return bad;
        c = c << 6 | (s[i] & 0x3F);
    }
    bool overlong = (bytes == 3 && c < 0x800) || (bytes == 4 && c < 0x10000);
    bool hidden = (c >= 0x80 && c < 0xA0) || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF || (c >= 0x202A && c <= 0x202E) ||
                  (c >= 0x2066 && c <= 0x2069);
    if (overlong) return bad;
    return hidden ? (ShownCharacter){bytes, "\xEF\xBF\xBD", 1} : (ShownCharacter){bytes, NULL, character_width(c)};
}

void text_add_shown(Text *out, const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length;) {
        ShownCharacter c = shown_character(text, length, i);
        if (text[i] == '\n' || !c.shown) text_add_bytes(out, text + i, (size_t)c.bytes);
        else text_add(out, c.shown);
        i += (size_t)c.bytes;
    }
}

/* One mark under a source line, in columns of the terminal from the line's begin. */
typedef struct {
    int line, begin, end;
    bool first;
    bool done;
    const char *text;
} Mark;
typedef LIST(Mark) MarkList;

/* Where byte `stop` of the line begins on a terminal. */
static int column_of(const char *line, int length, int stop)
{
    int column = 0;
    for (int i = 0; i < length && i < stop;) {
        if (line[i] == '\t') {
            column += TAB - column % TAB;
            i++;
            continue;
        }
        ShownCharacter c = shown_character(line, (size_t)length, (size_t)i);
        column += c.columns;
        i += c.bytes;
    }
    return column;
}

static Mark mark_make(Place place, const char *text, bool first)
{
    Mark mark = {.first = first, .text = text};
    int column, length;
    source_position(place.source, place.begin, &mark.line, &column);
    const char *line = source_line(place.source, mark.line, &length);
    size_t start = (size_t)(line - place.source->text);
    size_t begin = place.begin > start ? place.begin - start : 0, end = place.end > start ? place.end - start : 0;
    if (begin > (size_t)length) begin = (size_t)length;
    if (end > (size_t)length) end = (size_t)length;
    mark.begin = column_of(line, length, (int)begin);
    mark.end = column_of(line, length, (int)end);
    if (mark.end <= mark.begin) mark.end = mark.begin + 1;
    return mark;
}

static void add_spaces(Text *out, int count)
{
    for (int i = 0; i < count; i++) text_add(out, " ");
}

/* The part [from, to) of a line, in columns, tabs expanded. */
static void add_line(Text *out, const char *line, int length, int from, int to)
{
    int column = 0;
    for (int i = 0; i < length && column < to;) {
        if (line[i] == '\t') {
            int next = column + TAB - column % TAB;
            for (; column < next; column++)
                if (column >= from && column < to) text_add(out, " ");
            i++;
            continue;
        }
        ShownCharacter c = shown_character(line, (size_t)length, (size_t)i);
        if (column >= from && column + c.columns <= to) {
            if (c.shown) text_add(out, c.shown);
            else text_add_bytes(out, line + i, (size_t)c.bytes);
        }
        column += c.columns;
        i += c.bytes;
    }
}

/* The stretch of a line that a snippet shows. */
typedef struct {
    int from, to;
    bool cut_left, cut_right;
} Window;

static Window window_around(const Mark *mark, int width)
{
    if (width <= SNIPPET_COLUMNS) return (Window){0, width, false, false};
    int from = mark->begin - SNIPPET_COLUMNS / 2;
    if (from < 0) from = 0;
    if (from + SNIPPET_COLUMNS > width) from = width - SNIPPET_COLUMNS;
    if (mark->begin < from) from = mark->begin;
    return (Window){from, from + SNIPPET_COLUMNS, from > 0, from + SNIPPET_COLUMNS < width};
}

static bool mark_inside(const Mark *mark, const Mark *leader, const Window *window)
{
    return mark->line == leader->line && mark->begin >= window->from && mark->begin <= window->to;
}

static void print_carets(Text *out, const MarkList *marks, const Mark *leader, const Window *window, bool colour)
{
    int cut = window->cut_left ? 3 : 0, last = 0;
    char row[SNIPPET_COLUMNS + 2];
    memset(row, ' ', sizeof row);
    for (int pass = 0; pass < 2; pass++) /* the first mark last: it wins where marks overlap */
        for (int i = 0; i < marks->count; i++) {
            const Mark *mark = &marks->data[i];
            if (mark->done || mark->first != (pass == 1) || !mark_inside(mark, leader, window)) continue;
            int end = mark->end - window->from;
            if (end > SNIPPET_COLUMNS) end = SNIPPET_COLUMNS;
            if (end <= mark->begin - window->from) end = mark->begin - window->from + 1;
            for (int c = mark->begin - window->from; c < end && c <= SNIPPET_COLUMNS; c++) row[c] = mark->first ? '^' : '~';
            if (end > last) last = end;
        }
    text_add(out, "      | ");
    add_spaces(out, cut);
    if (colour) text_add(out, "\033[1;32m");
    text_add_bytes(out, row, (size_t)last);
    text_add(out, colour ? "\033[0m\n" : "\n");
}

static void print_explanations(Text *out, MarkList *marks, const Mark *leader, const Window *window)
{
    int indent = 1 << 20, longest = 0;
    for (int i = 0; i < marks->count; i++) {
        const Mark *mark = &marks->data[i];
        if (mark->done || !mark_inside(mark, leader, window) || !mark->text) continue;
        int column = mark->begin - window->from + (window->cut_left ? 3 : 0), length = (int)strlen(mark->text);
        if (column < indent) indent = column;
        if (length > longest) longest = length;
    }
    if (indent + longest > PAGE_COLUMNS - 8) indent = PAGE_COLUMNS - 8 - longest;
    if (indent < 2) indent = 2;
    for (;;) { /* from left to right */
        Mark *next = NULL;
        for (int i = 0; i < marks->count; i++) {
            Mark *mark = &marks->data[i];
            if (mark->done || !mark_inside(mark, leader, window)) continue;
            if (!next || mark->begin < next->begin) next = mark;
        }
        if (!next) return;
        next->done = true;
        if (!next->text) continue;
        text_add(out, "      | ");
        add_spaces(out, indent);
        text_add_shown(out, next->text);
        text_add(out, "\n");
    }
}

/* The line of `leader` with every mark that fits on it. */
static void print_snippet(Text *out, const Source *source, MarkList *marks, Mark leader, bool colour)
{
    int length;
    const char *line = source_line(source, leader.line, &length);
    int width = column_of(line, length, length);
    Window window = window_around(&leader, width);
    text_printf(out, "%5d | %s", leader.line, window.cut_left ? "..." : "");
    add_line(out, line, length, window.from, window.to);
    while (out->length && out->data[out->length - 1] == ' ') out->data[--out->length] = 0;
    if (window.to > 0 && out->data[out->length - 1] == '|') text_add(out, " ");
    text_add(out, window.cut_right ? "...\n" : "\n");
    print_carets(out, marks, &leader, &window, colour);
    print_explanations(out, marks, &leader, &window);
}

/* All marks of a diagnostic in one source: a snippet a line. Other sources follow with their name. */
static void print_marks(Text *out, const Diagnostic *d, Arena *scratch, bool colour)
{
    const Source *source = d->place.source;
    bool *printed = arena_new_array(scratch, bool, d->labels.count + 1);
    for (int round = -1; round < d->labels.count; round++) {
        if (round >= 0 && (printed[round] || !d->labels.data[round].place.source)) continue;
        if (round >= 0) source = d->labels.data[round].place.source;
        if (!source) continue;
        MarkList marks = {0};
        if (round < 0) list_push(scratch, &marks, mark_make(d->place, d->caret, true));
        for (int i = 0; i < d->labels.count; i++) {
            const Remark *label = &d->labels.data[i];
            if (printed[i] || label->place.source != source) continue;
            printed[i] = true;
            list_push(scratch, &marks, mark_make(label->place, label->text, false));
        }
        if (round >= 0) {
            text_add(out, "   in ");
            text_add_shown(out, source->name);
            text_add(out, ":\n");
        }
        for (int i = 0; i < marks.count; i++)
            if (!marks.data[i].done) print_snippet(out, source, &marks, marks.data[i], colour);
    }
    for (int i = 0; i < d->labels.count; i++)
        if (!d->labels.data[i].place.source) {
            text_add(out, "note: ");
            text_add_shown(out, d->labels.data[i].text);
            text_add(out, "\n");
        }
}

/* " at 15:9", with the file's name when it is another one. */
static void print_place(Text *out, Place place, const Source *home)
{
    int line, column;
    if (!place.source) return;
    source_position(place.source, place.begin, &line, &column);
    text_add(out, " at ");
    if (place.source != home) {
        text_add_shown(out, place.source->name);
        text_add(out, ":");
    }
    text_printf(out, "%d:%d", line, column);
}

static void print_keyword(Text *out, const char *word, const char *code, bool colour)
{
    if (colour) text_add(out, code);
    text_add(out, word);
    text_add(out, colour ? ":\033[0m " : ": ");
}

static void print_calls(Text *out, const Diagnostic *d, bool colour)
{
    int depth = 0, at = 0;
    for (const CallNote *call = d->call; call; call = call->up) depth++;
    for (const CallNote *call = d->call; call; call = call->up, at++) {
        if (depth > CALLS_SHOWN && at == CALLS_SHOWN - 4) {
            print_keyword(out, "note", "\033[1;36m", colour);
            text_printf(out, "%d more calls\n", depth - CALLS_SHOWN);
        }
        if (depth > CALLS_SHOWN && at >= CALLS_SHOWN - 4 && at < depth - 4) continue;
        print_keyword(out, "note", "\033[1;36m", colour);
        text_add(out, "in ");
        text_add_shown(out, call->text ? call->text : "?");
        if (call->at.source) text_add(out, ", called");
        print_place(out, call->at, d->place.source);
        text_add(out, "\n");
    }
}

static void print_one(Text *out, const Diagnostic *d, Arena *scratch, bool colour)
{
    if (d->place.source) {
        int line, column;
        source_position(d->place.source, d->place.begin, &line, &column);
        text_add_shown(out, d->place.source->name);
        text_printf(out, ":%d:%d: ", line, column);
    }
    print_keyword(out, d->warning ? "warning" : "error", d->warning ? "\033[1;35m" : "\033[1;31m", colour);
    text_add_shown(out, d->message);
    text_printf(out, " [%s]\n", diagnostic_code_name(d->code));
    print_marks(out, d, scratch, colour);
    if (!d->place.source && d->caret) {
        print_keyword(out, "note", "\033[1;36m", colour);
        text_add_shown(out, d->caret);
        text_add(out, "\n");
    }
    for (int i = 0; i < d->notes.count; i++) {
        print_keyword(out, "note", "\033[1;36m", colour);
        text_add_shown(out, d->notes.data[i].text);
        print_place(out, d->notes.data[i].place, d->place.source);
        text_add(out, "\n");
    }
    print_calls(out, d, colour);
    for (int i = 0; i < d->help.count; i++) {
        print_keyword(out, "help", "\033[1;32m", colour);
        text_add_shown(out, d->help.data[i]);
        text_add(out, "\n");
    }
}

static void print_rest(Text *out, int count, const char *what)
{
    if (count > 0) text_printf(out, "\n%d more %s%s\n", count, what, count == 1 ? " is not shown" : "s are not shown");
}

void diagnostics_print(const Diagnostics *diags, Text *out, bool colour)
{
    Arena *scratch = arena_new();
    const Diagnostic **sorted = diagnostics_sorted(diags, scratch);
    int errors = 0, warnings = 0;
    for (int i = 0; i < diags->count; i++) {
        if (i) text_add(out, "\n");
        print_one(out, sorted[i], scratch, colour);
        if (sorted[i]->warning) warnings++;
        else errors++;
    }
    print_rest(out, diags->error_count - errors, "error");
    print_rest(out, diags->warning_count - warnings, "warning");
    arena_free(scratch);
}
