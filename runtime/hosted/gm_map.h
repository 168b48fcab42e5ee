/* A weight file in memory: mapped (read-only, shared between processes, paged in as it is used) or read into memory of its own (in huge
 * pages, where runs are a little faster). C99 and C++11, POSIX. */
#ifndef GM_MAP_H
#define GM_MAP_H

#include "gm_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const void *data;  /* aligned to a page; give it to bind with `bytes` */
    size_t bytes;
    int loaded;        /* by gm_load */
    char error[160];   /* why the last gm_map or gm_load failed, without the path; "" after success */
} gm_mapping;

/* Maps a regular file of at least one byte. GM_OK, GM_ERROR_NULL, or GM_ERROR_FILE with a text in mapping->error. */
int gm_map(gm_mapping *mapping, const char *path);
/* The same, read into memory from gm_memory_new; GM_ERROR_FILE too where there isn't enough. */
int gm_load(gm_mapping *mapping, const char *path);
/* Takes it out of memory again; nothing may use the weights any more. A mapping that failed, or was undone before, is left alone. */
void gm_unmap(gm_mapping *mapping);

#ifdef __cplusplus
}
#endif
#endif
