/* Sources: line table and positions. */
#include "support/source.h"

#include "support/list.h"

Source *source_new(Arena *arena, const char *name, const char *text, size_t size, bool embedded)
{
    Source *source = arena_new_object(arena, Source);
    source->name = name;
    source->text = text;
    source->size = size;
    source->embedded = embedded;
    LIST(size_t) lines = {0};
    list_push(arena, &lines, 0);
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n') list_push(arena, &lines, i + 1);
    source->lines = lines.data;
    source->line_count = lines.count;
    return source;
}

void source_position(const Source *source, size_t offset, int *line, int *column)
{
    int low = 0, high = source->line_count - 1;
    if (offset > source->size) offset = source->size;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (source->lines[middle] <= offset) low = middle;
        else high = middle - 1;
    }
    *line = low + 1;
    *column = 1;
    for (size_t i = source->lines[low]; i < offset; i++)
        if (((unsigned char)source->text[i] & 0xC0) != 0x80) ++*column;
}

const char *source_line(const Source *source, int line, int *length)
{
    size_t begin = source->lines[line - 1];
    size_t end = line < source->line_count ? source->lines[line] - 1 : source->size;
    if (end > begin && source->text[end - 1] == '\r') end--;
    *length = (int)(end - begin);
    return source->text + begin;
}

Place place_join(Place a, Place b)
{
    if (!a.source) return b;
    if (a.source == b.source && b.end > a.begin) a.end = b.end > a.end ? b.end : a.end;
    return a;
}
