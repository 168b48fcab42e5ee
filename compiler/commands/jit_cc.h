/* Compiles a generated C file with $CC into a cache keyed by content, and loads it.
 * In: a pipeline that reached STAGE_C.  Out: the model's table.  Without a compiler: an error that names --reference. */
#ifndef GM_COMMANDS_JIT_CC_H
#define GM_COMMANDS_JIT_CC_H

#include "pipeline.h"
#include "gm_runtime.h"

typedef struct {
    const gm_model *model;
    void *handle;          /* of dlopen */
    const char *library;   /* path of the shared object */
} CompiledModel;

bool compiled_load(Arena *arena, const Pipeline *pipeline, CompiledModel *compiled, Diagnostics *diags);
void compiled_unload(CompiledModel *compiled); /* NULL model: nothing */

#endif
