/* The standard library, embedded by cmake/embed.cmake. */
#include "model/model.h"

#include <string.h>

typedef struct {
    const char *name;
    const char *text;
    size_t size;
} LibraryText;

extern const LibraryText library_texts[];
extern const int library_text_count;

const char *library_find(const char *name, size_t *size)
{
    for (int k = 0; k < library_text_count; k++) {
        if (strcmp(library_texts[k].name, name)) continue;
        *size = library_texts[k].size;
        return library_texts[k].text;
    }
    return NULL;
}

int library_count(void)
{
    return library_text_count;
}

const char *library_name(int i)
{
    return library_texts[i].name;
}
