/* What the files of the LLVM back end share: one module of IR being written for one form. */
#ifndef GM_EMIT_LLVM_EMIT_PRIVATE_H
#define GM_EMIT_LLVM_EMIT_PRIVATE_H

#include "emit_llvm/emit_llvm.h"

#include <llvm-c/Core.h>

/* One kernel: arguments[i] is the address of parameter i of the plan's kernel; after them that of the status, if the kernel has one. */
typedef void KernelCode(void *arguments, int task);

typedef struct {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTypeRef f32, i1, i8, i32, i64, pointer, nothing;
    const char *cpu, *features;
    Arena *arena;
    const LoopForm *form;
    LLVMValueRef functions[2][MOST_FUNCTIONS]; /* element functions: of the form's vectors, and of FLOAT beside them */

    /* the function being written */
    int lanes;                /* of VECTOR: the form's, or 1 in a FLOAT function */
    LLVMValueRef function;
    LLVMBasicBlockRef entry;  /* holds the allocas */
    LLVMValueRef table;       /* of an element function */
    LLVMValueRef *values;     /* by variable id: the value, or the alloca of one that changes */
    bool *changes;
    int value_count;
    LLVMValueRef *buffers;    /* by buffer id */
    int buffer_count;
    const Kernel *kernel;
    LLVMValueRef arguments;   /* of a kernel */
} Writer;

/* values.c */
LLVMTypeRef value_type(const Writer *writer, ValueType type);
bool value_is_vector(const Writer *writer, ValueType type);
LLVMTypeRef element_llvm_type(const Writer *writer, ElementType type);
LLVMValueRef write_value(Writer *writer, const Value *value);
LLVMValueRef integer_value(const Writer *writer, int64_t whole); /* INT */
LLVMValueRef lane_mask(Writer *writer, LLVMValueRef count);      /* MASK of the first `count` (INT) lanes */
/* The lanes of the mask: stored, or loaded, the others taken from `value`. */
LLVMValueRef call_masked(Writer *writer, bool stores, LLVMValueRef address, LLVMValueRef mask, LLVMValueRef value);
LLVMValueRef buffer_address(Writer *writer, const Buffer *buffer, LLVMValueRef subscript);
LLVMValueRef call_intrinsic(Writer *writer, const char *name, LLVMTypeRef *types, int type_count, LLVMValueRef *arguments, int count);
LLVMValueRef *variable_slot(Writer *writer, const Variable *variable);
LLVMValueRef *buffer_slot(Writer *writer, const Buffer *buffer);

/* statements.c */
void write_block(Writer *writer, const Block *block);
LLVMValueRef entry_alloca(Writer *writer, LLVMTypeRef type, const char *name, unsigned alignment);

/* form.c: the module of one form; `cpu` is LLVM's name of the processor. */
LLVMModuleRef write_form(Arena *arena, LLVMContextRef context, const LoopForm *form, const char *cpu);
const char *kernel_symbol(Arena *arena, const LoopKernel *kernel);

/* A function of the table that calls `host` with the owner as an argument more, in front. */
typedef struct {
    const char *symbol;
    const char *arguments;   /* a letter each: 'p' pointer, 'n' 64-bit integer; at most 7 */
    bool returns_pointer;    /* else int */
    uintptr_t host;          /* its address */
} Entry;
void write_entries(LLVMModuleRef module, const void *owner, const Entry *entries, int count);

/* host.c: what the table's functions do. */
typedef struct {
    const unsigned char *base; /* of the payload */
    int form;
} BoundWeights;

struct LlvmModel {
    Arena *arena;
    const LoopProgram *program;
    gm_model table;
    gm_profiled profiled;
    unsigned char **statics;            /* by position in the plan's list: the constant's elements in its layout */
    struct {
        void *jit;                      /* LLVMOrcLLJITRef; NULL: not compiled yet */
        KernelCode **kernels;
    } forms[TARGET_COUNT];
};
bool model_compile_form(LlvmModel *model, int form);
void model_describe(LlvmModel *model); /* ports, sizes and statics */
int host_bind(LlvmModel *model, void *weights, const void *blob, size_t bytes);
int host_run(LlvmModel *model, const void *weights, void *memory, const void *const *inputs, void *const *outputs);
int host_run_on(LlvmModel *model, const void *weights, void *memory, const gm_executor *executor, const void *const *inputs, void *const *outputs);
int host_run_profiled(LlvmModel *model, const void *weights, void *memory, const gm_executor *executor, const gm_profile *profile, const void *const *inputs,
                      void *const *outputs);
int host_selftest(LlvmModel *model, const void *weights, void *memory, double *worst);
const char *host_form(LlvmModel *model, const void *weights);
int host_choose_form(LlvmModel *model, void *weights, const char *form);

#endif
