/* The module of the LLVM back end, loaded. Part of gmlpc itself; the other files of this folder are part of the module. */
#include "emit_llvm/emit_llvm.h"

#include "support/module.h"

#include <string.h>

const LlvmFunctions *llvm_functions(void)
{
    const LlvmFunctions *functions = module_symbol("gmlpc-llvm.so", "GMLPC_LLVM_MODULE", "gm_llvm");
    return functions && strcmp(functions->version, GMLPC_VERSION) == 0 ? functions : NULL;
}
