/* Compiling forms with LLVM's ORC and handing out the table.
 * In: a LoopProgram.  Out: an LlvmModel. A few passes are run, not the whole -O2: nearly all loops come unrolled, rotated and vectorised already. */
#include "emit_llvm/emit_private.h"

#include "emit_c/blob.h"
#include "support/bug.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <llvm/Config/llvm-config.h>
#include <pthread.h>
#include <string.h>

#if LLVM_VERSION_MAJOR >= 18
#define INSTCOMBINE "instcombine<no-verify-fixpoint>"
#else
#define INSTCOMBINE "instcombine"
#endif
/* What is left to vectorise are loops over the lanes of one vector (loop/address.c): loads of integers, of elements apart. */
static const char pass_list[] = "always-inline,function(sroa,early-cse," INSTCOMBINE ",simplifycfg,loop-mssa(licm),early-cse,simplifycfg,"
                                "loop-vectorize,simplifycfg,early-cse)";

static void must(LLVMErrorRef error, const char *what)
{
    if (!error) return;
    char *message = LLVMGetErrorMessage(error);
    bug("LLVM: %s: %s", what, message);
}

/* Once a process: LLVM's own global state. Loop-invariant constants of an epilogue must not be hoisted over the loop of products, whose
 * accumulators fill the registers: machine LICM spills those instead. What may be hoisted, the pass list has hoisted already. */
static void start_llvm(void)
{
    static const char *const options[] = {"gmlpc", "-disable-machine-licm"};
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
    LLVMInitializeNativeAsmParser(); /* of the multiply-adds with an operand in memory */
    LLVMParseCommandLineOptions(2, options, NULL);
}

static LLVMTargetMachineRef host_machine(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const char *const nothing = "";
    pthread_once(&once, start_llvm);
    char *triple = LLVMGetDefaultTargetTriple(), *cpu = LLVMGetHostCPUName(), *message = NULL;
    LLVMTargetRef target = NULL;
    if (LLVMGetTargetFromTriple(triple, &target, &message)) bug("LLVM: %s", message);
    LLVMTargetMachineRef machine = LLVMCreateTargetMachine(target, triple, cpu, nothing, LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelJITDefault);
    if (!machine) bug("LLVM: no code for %s", cpu);
    LLVMDisposeMessage(triple);
    LLVMDisposeMessage(cpu);
    return machine;
}

/* A form's module, optimised for this machine. */
static LLVMModuleRef make_module(Arena *arena, LLVMContextRef context, const LoopForm *form, LLVMTargetMachineRef machine)
{
    char *cpu = LLVMGetTargetMachineCPU(machine), *triple = LLVMGetTargetMachineTriple(machine), *message = NULL;
    LLVMModuleRef module = write_form(arena, context, form, cpu);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(module, layout);
    LLVMSetTarget(module, triple);
    LLVMDisposeTargetData(layout);
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(triple);
    if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message)) bug("LLVM refuses the module: %s", message);
    LLVMDisposeMessage(message);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    must(LLVMRunPasses(module, pass_list, machine, options), "the passes fail");
    LLVMDisposePassBuilderOptions(options);
    return module;
}

/* --- the table's functions ---------------------------------------------------------------------------------------- */

#define ENTRY(name, arguments, pointer) {"gm_entry_" #name, arguments, pointer, (uintptr_t)host_##name}
enum { ENTRY_BIND, ENTRY_RUN, ENTRY_RUN_ON, ENTRY_SELFTEST, ENTRY_FORM, ENTRY_CHOOSE_FORM, ENTRY_RUN_PROFILED, ENTRY_COUNT };

static void add_entries(const LlvmModel *model, LLVMModuleRef module)
{
    const Entry entries[ENTRY_COUNT] = {
        ENTRY(bind, "ppn", false), ENTRY(run, "pppp", false), ENTRY(run_on, "ppppp", false),
        ENTRY(selftest, "ppp", false), ENTRY(form, "p", true), ENTRY(choose_form, "pp", false),
        ENTRY(run_profiled, "pppppp", false),
    };
    write_entries(module, model, entries, ENTRY_COUNT);
}

static uintptr_t address_of(LLVMOrcLLJITRef jit, const char *symbol)
{
    LLVMOrcExecutorAddress address = 0;
    must(LLVMOrcLLJITLookup(jit, &address, symbol), symbol);
    return (uintptr_t)address;
}

/* POSIX promises that a data pointer holds a function's address. */
#define SET_FUNCTION(field, jit, symbol)                  \
    do {                                                  \
        uintptr_t address_ = address_of((jit), (symbol)); \
        memcpy(&(field), &address_, sizeof(field));       \
    } while (0)

static void set_entries(LlvmModel *model, LLVMOrcLLJITRef jit)
{
    SET_FUNCTION(model->table.bind, jit, "gm_entry_bind");
    SET_FUNCTION(model->table.run, jit, "gm_entry_run");
    SET_FUNCTION(model->table.run_on, jit, "gm_entry_run_on");
    SET_FUNCTION(model->table.selftest, jit, "gm_entry_selftest");
    SET_FUNCTION(model->table.form, jit, "gm_entry_form");
    SET_FUNCTION(model->table.choose_form, jit, "gm_entry_choose_form");
    SET_FUNCTION(model->profiled.run, jit, "gm_entry_run_profiled");
}

/* --- compiling ---------------------------------------------------------------------------------------------------- */

static LLVMOrcLLJITRef new_jit(void)
{
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(builder, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(host_machine()));
    LLVMOrcLLJITRef jit = NULL;
    must(LLVMOrcCreateLLJIT(&jit, builder), "the JIT can't start");
    /* The code may call the C library (memcpy, memset). */
    LLVMOrcDefinitionGeneratorRef process = NULL;
    must(LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(&process, LLVMOrcLLJITGetGlobalPrefix(jit), NULL, NULL), "symbols");
    LLVMOrcJITDylibAddGenerator(LLVMOrcLLJITGetMainJITDylib(jit), process);
    return jit;
}

static LLVMOrcThreadSafeContextRef new_context(LLVMContextRef *context)
{
#if LLVM_VERSION_MAJOR >= 21
    *context = LLVMContextCreate();
    return LLVMOrcCreateNewThreadSafeContextFromLLVMContext(*context);
#else
    LLVMOrcThreadSafeContextRef shared = LLVMOrcCreateNewThreadSafeContext();
    *context = LLVMOrcThreadSafeContextGetContext(shared);
    return shared;
#endif
}

bool model_compile_form(LlvmModel *model, int index)
{
    const LoopForm *form = model->program->forms.data[index];
    if (model->forms[index].jit) return true;
    if (!target_runs(form->target)) return false;
    bool first = !model->table.bind;
    LLVMContextRef context;
    LLVMOrcThreadSafeContextRef shared = new_context(&context);
    LLVMTargetMachineRef machine = host_machine();
    Arena *scratch = arena_new();
    LLVMModuleRef module = make_module(scratch, context, form, machine);
    if (first) add_entries(model, module);
    LLVMDisposeTargetMachine(machine);
    LLVMOrcLLJITRef jit = new_jit();
    LLVMOrcThreadSafeModuleRef unit = LLVMOrcCreateNewThreadSafeModule(module, shared);
    LLVMOrcDisposeThreadSafeContext(shared);
    must(LLVMOrcLLJITAddLLVMIRModule(jit, LLVMOrcLLJITGetMainJITDylib(jit), unit), "the module can't be added");
    model->forms[index].kernels = arena_new_array(model->arena, KernelCode *, form->kernels.count + 1);
    for (int i = 0; i < form->kernels.count; i++) SET_FUNCTION(model->forms[index].kernels[i], jit, kernel_symbol(scratch, form->kernels.data[i]));
    if (first) set_entries(model, jit);
    model->forms[index].jit = jit;
    arena_free(scratch);
    return true;
}

LlvmModel *llvm_compile(const LoopProgram *program, Diagnostics *diags)
{
    Arena *arena = arena_new();
    LlvmModel *model = arena_new_object(arena, LlvmModel);
    model->arena = arena;
    model->program = program;
    model_describe(model);
    for (int f = 0; f < program->forms.count; f++)
        if (model_compile_form(model, f)) return model;
    diag_error(diags, GM174, (Place){0}, "%s", gm_status_text(GM_ERROR_CPU));
    arena_free(arena);
    return NULL;
}

const gm_model *llvm_table(const LlvmModel *model)
{
    return &model->table;
}

const gm_profiled *llvm_profiled(const LlvmModel *model)
{
    return &model->profiled;
}

void llvm_free(LlvmModel *model)
{
    if (!model) return;
    for (int f = 0; f < model->program->forms.count; f++)
        if (model->forms[f].jit) must(LLVMOrcDisposeLLJIT((LLVMOrcLLJITRef)model->forms[f].jit), "the JIT can't end");
    arena_free(model->arena);
}

void llvm_print(const LoopProgram *program, Text *out)
{
    LLVMTargetMachineRef machine = host_machine();
    for (int f = 0; f < program->forms.count; f++) {
        LLVMContextRef context = LLVMContextCreate();
        LLVMModuleRef module = make_module(out->arena, context, program->forms.data[f], machine);
        char *text = LLVMPrintModuleToString(module);
        text_add(out, text);
        LLVMDisposeMessage(text);
        LLVMDisposeModule(module);
        LLVMContextDispose(context);
    }
    LLVMDisposeTargetMachine(machine);
}

extern const LlvmFunctions gm_llvm;
const LlvmFunctions gm_llvm = {GMLPC_VERSION, llvm_compile, llvm_table, llvm_profiled, llvm_free, llvm_print};
