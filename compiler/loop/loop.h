/* Loop IR: what both back ends print. Affine loops over typed scalar and vector values; small on purpose.
 * In: a Plan, lowered for one target (compiler/loop/lower.h).  Out: nothing by itself; emit_c and emit_llvm walk it.
 *
 *   kernel    = name, parameters (pointers), body; run once for each `task` in [0, tasks)
 *   statement = for | let | set | store | array | if | comment
 *   value     = typed tree of operations (ops.def); trees are small, what is used twice is a `let`
 *
 * A vector has target->lanes lanes; where lanes is 1 a vector is a plain float and partial loads don't occur. */
#ifndef GM_LOOP_LOOP_H
#define GM_LOOP_LOOP_H

#include "schedule/plan.h"

typedef enum {
    VALUE_INT,    /* subscripts and counters: ptrdiff_t */
    VALUE_FLAG,   /* scalar condition */
    VALUE_FLOAT,  /* f32 */
    VALUE_VECTOR, /* lanes × f32 */
    VALUE_IVECTOR,/* lanes × i32 (inside approximations, and lane numbers) */
    VALUE_I32,    /* scalar i32 with defined wrap-around (inside scalar approximations) */
    VALUE_MASK    /* lanes × condition */
} ValueType;

/* OP(enumerator, name, operands): ops.def says the types and meaning of each. */
typedef enum {
#define OP(enumerator, name, operands, meaning) enumerator,
#include "loop/ops.def"
    OP_COUNT
} Op;

typedef struct Variable {
    int id;            /* unique in the kernel */
    const char *name;  /* a C identifier, unique in the kernel */
    ValueType type;
    bool accumulator;  /* a vector that products are added to: a register of its own. While it is read or changed later on, nothing calls
                        * a function of real values, and no loop stores but of the columns at hand */
} Variable;

typedef struct Buffer {
    int id;
    const char *name;  /* a C identifier, unique in the kernel */
    ElementType type;
    bool local;        /* an array on the stack, `count` elements, 64-byte aligned */
    int64_t count;     /* local: elements; at most 64 KiB in all a kernel */
    bool written;
    bool aligned;      /* parameter: its address is a multiple of the target's alignment */
    int parameter;     /* not local: position in kernel->parameters of the plan; -1: local */
} Buffer;

typedef struct Value {
    Op op;
    ValueType type;
    struct Value *operands[4];
    double number;     /* OP_NUMBER */
    int64_t whole;     /* OP_INT, OP_LANES…: see ops.def */
    Variable *variable;/* OP_VARIABLE */
    Buffer *buffer;    /* loads */
    int first;         /* OP_LOOKUP: its entry 0 in the table of the function */
    int function;      /* OP_CALL: a Function, or FUNCTION_COUNT + k: the k-th fitted one; SOFTMAX_POWER: e^x for x <= 0, 0 below 2^-126 */
} Value;

enum { MOST_FITTED = 48, SOFTMAX_POWER = FUNCTION_COUNT + MOST_FITTED, MOST_FUNCTIONS };

typedef struct Statement Statement;
typedef LIST(Statement *) Block;
struct Statement {
    enum {
        LOOP_FOR,      /* for (variable = from; variable < to; variable += step) body */
        LOOP_LET,      /* variable = value, never changed */
        LOOP_DECLARE,  /* variable = value, changed by LOOP_SET */
        LOOP_SET,      /* variable = value */
        LOOP_STORE,    /* buffer[subscript …] = value; FLOAT or INT: one element; VECTOR: lanes elements, the first `part` only when set */
        LOOP_ARRAY,    /* declares a local buffer, uninitialised */
        LOOP_IF,       /* if (value) body else otherwise */
        LOOP_PREFETCH, /* of buffer[subscript], a hint: it may lie outside the buffer */
        LOOP_STATUS,   /* records that a data-dependent subscript was out of range */
        LOOP_COMMENT
    } kind;
    Variable *variable;
    Value *from, *to, *step; /* FOR: INT values; step a constant > 0 */
    bool unrolled;           /* FOR: with a constant trip count at most 32, to be unrolled */
    Value *value;
    Buffer *buffer;
    Value *subscript;        /* STORE, PREFETCH: in elements */
    Value *part;             /* STORE of a VECTOR: lanes to store, or NULL for all */
    bool aligned;            /* STORE: the address is a multiple of the vector's size */
    Block body, otherwise;   /* FOR, IF */
    const char *text;        /* COMMENT */
};

/* A vector array of accumulators is a group of variables (acc_0_0 …), never memory. */
/* How a contraction was cut into tiles, and what that followed from. */
typedef struct {
    const char *shape;            /* as schedule files have it */
    int64_t rows, columns, steps;
    int panel;                    /* columns of a packed panel, 0: none */
    int height, width, groups;    /* rows and vectors of a tile; 1: rows are not taken in groups */
    bool grouped;                 /* they could be */
} LoopTile;

typedef struct LoopKernel {
    const Kernel *kernel;
    const Target *target;
    LIST(Buffer *) buffers;       /* one for each plan parameter, in order, then locals */
    Variable *task;               /* INT */
    Variable *threads;            /* INT, that share the tasks, 0: unknown; NULL: nothing asks for it */
    int64_t tasks;                /* independent, in any order; at least 1 */
    Block body;
    int64_t stack_bytes;
    int tile_rows, tile_columns;  /* of the largest tile of its contractions; 0: it has none */
    const LoopTile *tile;         /* or NULL: no contraction, or one inside of a row kernel */
    bool uses[MOST_FUNCTIONS];    /* element functions called with VECTOR (or, when lanes is 1, FLOAT) operands */
    bool uses_scalar[MOST_FUNCTIONS]; /* called with FLOAT operands while lanes is not 1 */
} LoopKernel;

/* An element function as straight-line loop code: parameters → result. Written once (approximate.c, fitted.c), printed by each back
 * end for VECTOR of its lanes and for FLOAT. */
typedef struct {
    int function;                 /* as in Value */
    int lanes;
    const char *name;             /* gm_exp, gm_fitted_0 */
    const char *comment;          /* what it computes and how well; NULL: nothing to say */
    float *table;                 /* for OP_LOOKUP */
    int table_count;              /* entries; 0: no table */
    Variable *parameters[2];
    int parameter_count;
    Block body;                   /* LETs */
    Value *result;
    bool uses[MOST_FUNCTIONS];    /* other element functions it calls */
} LoopFunction;

typedef struct {
    const Target *target;
    bool reproducible;            /* OP_FMA is fused without vectors too, and nothing else is */
    LIST(LoopKernel *) kernels;   /* one for each plan kernel, same order */
    LIST(LoopFunction *) functions;        /* those used, callees first */
    LIST(LoopFunction *) scalar_functions; /* the FLOAT forms, when lanes is not 1 */
} LoopForm;

typedef struct {
    const Plan *plan;
    TargetSet targets;
    LIST(LoopForm *) forms;       /* one for each form of the target set, same order */
} LoopProgram;

/* Plan → loops, for every form of the set. */
LoopProgram *lower(const Plan *plan, const TargetSet *targets, Diagnostics *diags);
void loop_print(const LoopProgram *program, Text *out);  /* --emit=loops */
void loop_verify(const LoopProgram *program);            /* bug() on type errors, undefined variables, uses out of scope */

#endif
