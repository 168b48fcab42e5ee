/* What the files of the C back end share. emit_c.c says in which order things stand in a file; the others print one part each. */
#ifndef GM_EMIT_C_EMIT_PRIVATE_H
#define GM_EMIT_C_EMIT_PRIVATE_H

#include "emit_c/blob.h"
#include "emit_c/emit_c.h"
#include "emit_c/writer.h"

extern const char shared_executor_text[], shared_status_text[], shared_model_text[], shared_profile_text[];

/* Small scalar functions, printed only where used (helpers.c has their text). */
typedef enum {
    HELPER_MIN, HELPER_MAX, HELPER_ABS, HELPER_SQRT, HELPER_FLOOR, HELPER_ROUND, HELPER_INT_MIN, HELPER_INT_MAX, HELPER_INT_ABS,
    HELPER_FMA, HELPER_FLOORDIV, HELPER_MOD, HELPER_AS_FLOAT, HELPER_AS_INT, HELPER_ADD_I32, HELPER_SUB_I32, HELPER_MUL_I32, HELPER_SHIFT_LEFT,
    HELPER_SCALE,
    HELPER_COUNT
} Helper;

/* How one kernel is called: names that all its forms share. */
typedef struct {
    const char *base;       /* small_blocks_fc1; forms append _avx512 … */
    const char *member;     /* fc1 in the table of forms */
    const char **fields;    /* of its argument structure, one for each parameter */
} KernelNames;

typedef struct {
    Arena *arena;
    const LoopProgram *program;
    const Plan *plan;
    const EmitOptions *options;
    const char *prefix;     /* small */
    const char *macro;      /* GMLP_S16 */
    unsigned machines;      /* which of the forms' guards stand in the file: bits by machine_bit */
    int alignment;          /* bytes: the largest of the forms */
    bool data_dependent;    /* run returns a status */
    Names names;            /* of the file's scope */
    KernelNames *kernels;
    const char *const *inputs, *const *outputs; /* as parameters of run */
    const char **input_macros, **output_macros; /* SMALL_PIXELS */
    const char **statics;   /* one for each plan->statics */
    unsigned helpers[HELPER_COUNT]; /* the machines (USED_ANYWHERE: all) of the forms that call it */
    bool uses_math;         /* INFINITY or NAN stands in the text */
} Emitter;

/* One function being printed. */
typedef struct {
    Emitter *emitter;
    const LoopForm *form;
    int lanes;              /* of VECTOR: the target's; 1 in the FLOAT functions of a vector form */
    Names names;
    const char **variables; /* C name by variable id */
    int variable_count;
    const char **buffers;   /* C name by buffer id */
    int buffer_count;
    const char *const *functions[2]; /* C name by Function: of the form's own operands, of FLOAT operands in a vector form */
    bool (*used)[MOST_FUNCTIONS];    /* which of those were called: two rows */
    int accumulators;       /* declared so far in the blocks around */
    bool task_used, status_used;
} KernelPrinter;

const char *element_c_type(ElementType type);                    /* "float" */
const char *c_float(Emitter *emitter, double number);

/* machine.c: a form with vectors is kept under a macro of its machine (Target.machine). */
enum { USED_ANYWHERE = 1, MACHINE_X86 = 2, MACHINE_ARM64 = 4 };
unsigned machine_bit(const Target *target);                      /* USED_ANYWHERE for forms without vectors */
/* "defined(GM_X86) || defined(GM_ARM64)" */
const char *machine_condition(const Emitter *emitter, unsigned machines);
void print_c_machines(const Emitter *emitter, Writer *writer, bool runs_anywhere); /* the macros, includes, GM_ALIGN */

/* helpers.c */
void helper_use(KernelPrinter *printer, Helper helper);
void print_c_helpers(const Emitter *emitter, Writer *writer);
void print_c_hooks(const Target *target, Writer *writer);       /* the section of hooks for its vectors */
extern const char hooks_4[];                                     /* hooks_neon.c */

/* kernel.c: element functions and kernels of one form. */
void print_c_form(Emitter *emitter, const LoopForm *form, Writer *writer);
void print_c_argument_struct(const Emitter *emitter, int kernel, Writer *writer);
/* Whether a kernel is told how many threads share its tasks: in one form at least. */
bool asks_for_threads(const Emitter *emitter, int kernel);
const char *form_attribute(const Emitter *emitter, const Target *target); /* "GM_AVX512 ", or "" */

/* value.c */
const char *value_text(KernelPrinter *printer, const Value *value);
const char *addend_text(KernelPrinter *printer, const Value *value); /* fit to stand after a + */
/* Whether a form's accumulators are registers that are named; what adds a product to one. */
bool accumulates(const KernelPrinter *printer);
const char *accumulate_text(KernelPrinter *printer, const Variable *sum, const Value *value);
const char *value_c_type(const KernelPrinter *printer, ValueType type);
const char *variable_name(KernelPrinter *printer, const Variable *variable);
const char *buffer_name(KernelPrinter *printer, const Buffer *buffer);

/* bind.c: ready-made text in which "@" stands for the prefix and "@@" for the prefix of macros. */
void print_c_template(const Emitter *emitter, Writer *writer, const char *text);

/* steps.c, bind.c, model_table.c, header.c */
void emit_run_steps(Emitter *emitter, Writer *writer);
void print_c_run(const Emitter *emitter, Writer *writer);
void print_c_forms_table(const Emitter *emitter, Writer *writer);
void print_c_bind(const Emitter *emitter, Writer *writer);
void print_c_selftest(const Emitter *emitter, Writer *writer);
void print_c_profiled(const Emitter *emitter, Writer *writer);
void print_c_model_table(const Emitter *emitter, Writer *writer);
void print_c_header(const Emitter *emitter, Writer *writer);
/* "const float *pixels, float *logits" – parameters of run; or the same names alone, for calls. */
const char *run_parameters(const Emitter *emitter);
const char *run_names(const Emitter *emitter);

/* The place of a step or equation: "model.gm:12". */
const char *place_text(Arena *arena, Place place);

#endif
