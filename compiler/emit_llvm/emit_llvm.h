/* The LLVM back end: loops → machine code in this process, behind the same table of functions that a generated C file has.
 * In: a LoopProgram.  Out: a gm_model that runs at once. Forms are compiled when first chosen; the best that this processor runs, at once.
 * Built only where LLVM is found, as a module of its own that is loaded when it is needed: loading LLVM takes longer than most commands.
 * <llvm-c/…> is included nowhere else. */
#ifndef GM_EMIT_LLVM_EMIT_LLVM_H
#define GM_EMIT_LLVM_EMIT_LLVM_H

#include "gm_runtime.h"
#include "loop/loop.h"
#include "support/diagnostics.h"

typedef struct LlvmModel LlvmModel;

/* NULL when no form of the program runs on this processor (an error is reported). The program must outlive the model.
 * The table's choose_form may compile: call it from one thread. run and run_on may be called from many. */
LlvmModel *llvm_compile(const LoopProgram *program, Diagnostics *diags);
const gm_model *llvm_table(const LlvmModel *model);
const gm_profiled *llvm_profiled(const LlvmModel *model);
void llvm_free(LlvmModel *model); /* NULL: nothing */

/* Every form as LLVM IR, after the optimiser (--emit=llvm). */
void llvm_print(const LoopProgram *program, Text *out);

/* The functions above as the module exports them, under the name gm_llvm. */
typedef struct {
    const char *version; /* of gmlpc: modules of another one are not used */
    LlvmModel *(*compile)(const LoopProgram *program, Diagnostics *diags);
    const gm_model *(*table)(const LlvmModel *model);
    const gm_profiled *(*profiled)(const LlvmModel *model);
    void (*free)(LlvmModel *model);
    void (*print)(const LoopProgram *program, Text *out);
} LlvmFunctions;

/* Loads the module; NULL: this gmlpc has none. For those who are not part of it. */
const LlvmFunctions *llvm_functions(void);

#endif
