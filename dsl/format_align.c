/* Alignment: in a run of neighbouring one-line statements that have the same separator, the separators get one column if the writer had begun
 * to do so. In: the formatted text and where its separators stand.  Out: the text with more spaces; doing it again changes nothing. */
#include "dsl/format_align.h"

#include <string.h>

static int columns_between(const Text *text, size_t from, size_t to)
{
    int columns = 0;
    for (size_t i = from; i < to; i++) columns += ((unsigned char)text->data[i] & 0xC0) != 0x80;
    return columns;
}

/* The column of a separator, with the spaces put before the ones to its left. */
static int column_of(const Text *text, const AlignLine *line, const int *padding, int kind)
{
    int column = columns_between(text, line->begin, line->at[kind]);
    for (int k = 0; k < ALIGN_KINDS; k++)
        if (k != kind && line->at[k] && line->at[k] < line->at[kind]) column += padding[k];
    return column;
}

/* Pads one run [first, last) of lines that all have the separator. */
static void align_run(const Text *text, const AlignLines *lines, int (*padding)[ALIGN_KINDS], int first, int last, int kind)
{
    bool wide = false;
    int widest = 0;
    for (int i = first; i < last; i++) {
        const AlignLine *line = &lines->data[i];
        int column = column_of(text, line, padding[i], kind);
        wide = wide || line->wide[kind];
        if (column > widest) widest = column;
    }
    if (!wide || last - first < 2) return;
    for (int i = first; i < last; i++) padding[i][kind] = widest - column_of(text, &lines->data[i], padding[i], kind);
}

static void align_kind(const Text *text, const AlignLines *lines, int (*padding)[ALIGN_KINDS], int kind)
{
    for (int first = 0; first < lines->count;) {
        int last = first;
        while (last < lines->count && lines->data[last].at[kind] && lines->data[last].indent == lines->data[first].indent &&
               (last == first || lines->data[last].alone))
            last++;
        if (last > first) align_run(text, lines, padding, first, last, kind);
        first = last > first ? last : first + 1;
    }
}

Text align_lines(Arena *arena, const Text *text, const AlignLines *lines)
{
    int(*padding)[ALIGN_KINDS] = arena_alloc_array(arena, (size_t)lines->count + 1, sizeof *padding);
    for (int kind = 0; kind < ALIGN_KINDS; kind++) align_kind(text, lines, padding, kind);
    Text out = text_new(arena);
    size_t done = 0;
    for (int i = 0; i < lines->count; i++)
        for (;;) { /* separators from left to right */
            int next = -1;
            for (int k = 0; k < ALIGN_KINDS; k++)
                if (lines->data[i].at[k] >= done && padding[i][k] && (next < 0 || lines->data[i].at[k] < lines->data[i].at[next])) next = k;
            if (next < 0) break;
            text_add_bytes(&out, text->data + done, lines->data[i].at[next] - done);
            done = lines->data[i].at[next];
            for (int s = 0; s < padding[i][next]; s++) text_add(&out, " ");
            padding[i][next] = 0;
        }
    if (text->length > done) text_add_bytes(&out, text->data + done, text->length - done);
    return out;
}
