/* The choice between the back ends that run a model at once. */
#include "commands/compiled.h"

#include "emit_llvm/emit_llvm.h"

#include <stdlib.h>
#include <string.h>

bool backend_find(const char *word, Backend *backend, Diagnostics *diags)
{
    if (!word) word = getenv("GMLPC_BACKEND");
    bool any = !word || !*word, llvm = !any && strcmp(word, "llvm") == 0, there = (any || llvm) && llvm_functions();
    *backend = there ? BACKEND_LLVM : BACKEND_C;
    if (any || there || strcmp(word, "c") == 0) return true;
    if (llvm) diag_help(diag_error(diags, GM178, (Place){0}, "this gmlpc has no LLVM back end, or its module is not found"), "--backend c compiles with the C compiler");
    else diag_help(diag_error(diags, GM178, (Place){0}, "there is no back end \"%s\"", word), "the back ends are llvm and c");
    return false;
}

Stage backend_stage(Backend backend)
{
    return backend == BACKEND_LLVM ? STAGE_LOOPS : STAGE_C;
}

Backend backend_of(Stage stage)
{
    return stage == STAGE_LOOPS ? BACKEND_LLVM : BACKEND_C;
}

/* What another machine runs would compile to nothing here. */
static bool some_form_runs(const TargetSet *targets, Diagnostics *diags)
{
    for (int i = 0; i < targets->count; i++)
        if (target_runs(targets->forms[i])) return true;
    Diagnostic *diag = diag_error(diags, GM174, (Place){0}, "this machine can't run code for target %s, which needs %s", targets->name,
                                  targets->forms[0]->help);
    diag_help(diag, "compile the generated file for such a machine and try it there (gmlpc pack --selftest stores what it must say); here, use --target all");
    return false;
}

bool compiled_load(Arena *arena, const Pipeline *pipeline, Backend backend, CompiledModel *compiled, Diagnostics *diags)
{
    *compiled = (CompiledModel){0};
    if (!some_form_runs(&pipeline->targets, diags)) return false;
    if (backend == BACKEND_LLVM) {
        const LlvmFunctions *functions = llvm_functions();
        compiled->llvm = functions->compile(pipeline->loops, diags);
        compiled->model = compiled->llvm ? functions->table(compiled->llvm) : NULL;
        compiled->profiled = compiled->llvm ? functions->profiled(compiled->llvm) : NULL;
        return compiled->llvm != NULL;
    }
    bool loaded = library_load(arena, pipeline, &compiled->library, diags);
    compiled->model = compiled->library.model;
    compiled->profiled = compiled->library.profiled;
    return loaded;
}

void compiled_unload(CompiledModel *compiled)
{
    if (compiled->llvm) llvm_functions()->free(compiled->llvm);
    library_unload(&compiled->library);
    *compiled = (CompiledModel){0};
}
