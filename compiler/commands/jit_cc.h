/* Compiles a generated C file with $CC into a cache keyed by content, and loads it.
 * In: a pipeline that reached STAGE_C.  Out: the model's table.  Without a compiler: an error that names --reference. */
#ifndef GM_COMMANDS_JIT_CC_H
#define GM_COMMANDS_JIT_CC_H

#include "pipeline.h"
#include "gm_runtime.h"

typedef struct {
    const gm_model *model;
    const gm_profiled *profiled; /* NULL: the C file has no run that takes times */
    void *handle;          /* of dlopen */
    const char *library;   /* path of the shared object */
} LoadedLibrary;

bool library_load(Arena *arena, const Pipeline *pipeline, LoadedLibrary *library, Diagnostics *diags);
void library_unload(LoadedLibrary *library); /* NULL model: nothing */

/* Where compiled models are kept, made if it is not there; NULL after an error. */
const char *cache_directory(Arena *arena, Diagnostics *diags);

#endif
