/* A model compiled and loaded into this process, by LLVM or by the C compiler.
 * In: a pipeline that reached the back end's stage.  Out: the model's table. Without a compiler: an error that names --reference. */
#ifndef GM_COMMANDS_COMPILED_H
#define GM_COMMANDS_COMPILED_H

#include "commands/jit_cc.h"

typedef enum { BACKEND_C, BACKEND_LLVM } Backend;

/* "llvm" or "c"; NULL: what $GMLPC_BACKEND says, else LLVM where it is built in. False after an error. */
bool backend_find(const char *word, Backend *backend, Diagnostics *diags);
/* How far the pipeline must go for it. */
Stage backend_stage(Backend backend);
Backend backend_of(Stage stage);

typedef struct {
    const gm_model *model;
    const gm_profiled *profiled; /* NULL: C without PipelineRequest.emit.profile */
    LoadedLibrary library;  /* BACKEND_C */
    struct LlvmModel *llvm; /* BACKEND_LLVM */
} CompiledModel;

bool compiled_load(Arena *arena, const Pipeline *pipeline, Backend backend, CompiledModel *compiled, Diagnostics *diags);
void compiled_unload(CompiledModel *compiled); /* NULL model: nothing. The pipeline must still be there */

#endif
