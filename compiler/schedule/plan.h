/* The plan: which equations form a kernel, how each tensor lies in memory, and the order of kernel calls.
 * In: a module in normal form, fused and folded.  Out: a Plan; loops and code are left to lowering.
 * A plan belongs to one target family; the forms of a family differ in their loops alone. */
#ifndef GM_SCHEDULE_PLAN_H
#define GM_SCHEDULE_PLAN_H

#include "equation/equation.h"
#include "schedule/tiles.h"
#include "target/target.h"

/* --- layouts ------------------------------------------------------------------------------------------------------ */
typedef enum {
    STORE_NONE,   /* lives only inside one kernel (scratch of one row), or was never materialised */
    STORE_INPUT,  /* the caller's array, dense row-major */
    STORE_OUTPUT, /* the caller's array, dense row-major */
    STORE_ARENA,
    STORE_BLOB,   /* packed weights */
    STORE_STATIC  /* constant array in the generated file (constants of at most 4 KiB) */
} Storage;

typedef struct {
    Storage storage;
    int port;                  /* INPUT, OUTPUT: which */
    int64_t offset_bytes;      /* ARENA, BLOB: from their start, a multiple of the alignment */
    int64_t strides[MAX_RANK]; /* in elements */
    int64_t bytes;             /* from the first to the last element, both included. What lies between rows may belong to another
                                * tensor: nothing but elements is ever written (reading past a row's end is only safe inside `bytes`) */
} Layout;
static inline Layout *tensor_layout(const Tensor *tensor) { return (Layout *)tensor->extra; }
/* Where element number `element` of the row-major tensor lies, in elements. */
static inline int64_t layout_place(const Tensor *tensor, const Layout *layout, int64_t element)
{
    int64_t place = 0;
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        place += element % tensor->extents[axis] * layout->strides[axis];
        element /= tensor->extents[axis];
    }
    return place;
}

/* --- kernels ------------------------------------------------------------------------------------------------------ */
typedef enum {
    KERNEL_CONTRACTION, /* one equation: epilogue(sum(rows * columns)) */
    KERNEL_ROWS         /* one or more equations run one after the other for each row */
} KernelForm;

/* One equation whose REDUCE is a SUM over a product of two factors, each a plain READ with linear subscripts and no `otherwise`.
 * Every free and reduced index is in exactly one group. */
typedef struct {
    Expr *reduce;
    Expr *rows;      /* READ, varies with batch, m, k: loaded as scalars and broadcast */
    Expr *columns;   /* READ, varies with batch, n, k: loaded as vectors */
    bool panels;     /* columns reads a panel tensor [batch…, N/PW, k…, PW] at [b…, n // PW, k…, n % PW] (then there is one n index);
                      * the last panel is filled up with zeros. Else columns has stride 1 along the last n index. */
    /* A batch index may be missing from rows or from columns (stride 0), never from both; m may be empty, n and k never are.
     * Neighbours within a group are merged as far as their subscripts compose; lowering may merge more where the layouts' strides do
     * (feature maps [c, i, j]: i and j of n are left apart, but lie as one row wherever they stand on the last axes).
     * The result and the epilogue's reads may use any free index. n // PW and n % PW occur in the columns' subscripts alone. */
    int batch_count, m_count, n_count, k_count;
    Index *batch[MAX_RANK], *m[MAX_RANK], *n[MAX_RANK], *k[MAX_RANK]; /* outermost first; the last n has stride 1 in the result */
} Contraction;

/* Of a row kernel whose first and last equations are contractions: row index row_count - 1 is the m of both, the others their batches. Its
 * rows may be computed in blocks, one equation after the other: at least CHAIN_ROWS rows of the first one's result and of the last
 * one's rows operand (both scratch) fit into CHAIN_BYTES. */
typedef struct {
    Contraction first, second;
} RowChain;
enum { CHAIN_ROWS = 6, CHAIN_BYTES = 40 * 1024 };

typedef struct {
    Tensor *tensor;  /* of the first call; layouts' strides, extents and types are the same for every call */
    bool written;
    bool aligned;    /* in every call and turn its address is a multiple of the family's alignment (64 bytes; scalar: 4) */
    bool in_place;   /* may share memory with another parameter: an equation writes one exactly where it reads the other for the same
                      * combination of free indices, or over the row of it that earlier equations of the kernel read. So each
                      * element is read before it is written, and computed once (no overlapping last vectors); the pointers are not
                      * `restrict`. Parameters without the mark never overlap one that is written. */
} KernelParameter;

typedef struct Kernel {
    int id;
    const char *name;       /* unique C identifier after the block: mlp_channels_fc1 */
    KernelForm form;
    LIST(Equation *) equations; /* CONTRACTION: one */
    Contraction contraction;
    /* Indices of extent 1 were dropped from runtime equations (their subscripts are the number 0). */
    int row_count;          /* ROWS: the first row_count free indices of every equation are the row, with equal extents by position;
                             * whatever an equation reads of an earlier one's result is of the same row */
    LIST(Tensor *) scratch; /* ROWS: tensors of STORE_NONE computed and used within one row: one row of them is kept, dense, the row
                             * axes dropped. They are indexed by their equations like any other tensor; the strides of their row axes are 0 */
    LIST(KernelParameter) parameters; /* every other tensor read or written, each once, in order of first use; also STATIC ones */
    const RowChain *chain;     /* ROWS: or NULL */
    bool windows;           /* ROWS: one equation, a reduction over windows that move along a free index; its operands are neighbours along the
                             * last free index, or don't depend on it: several windows are computed at a time. Reads with an `otherwise`
                             * are as lines.h wants them */
    bool serial;            /* one task only (data-dependent reads) */
    int status_input;       /* data-dependent reads: 1 + the input whose values are used as subscripts; else 0 */
    int64_t macs, flops;    /* of one call */
} Kernel;

/* --- calls -------------------------------------------------------------------------------------------------------- */
typedef struct {
    Tensor *tensor;         /* in the first turn. Calls of one kernel have their constant subscripts in common, so this is its address */
    /* The argument's address is its tensor's in the first turn, moved by this per turn of each enclosing loop, outermost first. */
    int64_t step_bytes[4];
} CallArgument;

typedef struct Step Step;
struct Step {
    enum { STEP_CALL, STEP_LOOP } kind;
    Kernel *kernel;         /* CALL */
    LIST(CallArgument) arguments; /* CALL: one for each kernel parameter */
    Frame *frame;           /* CALL: of the first turn's equation, for comments */
    Equation *const *equations; /* CALL: this call's own equations (kernel->equations are the first call's) */
    int64_t count;          /* LOOP: turns, at least 2 */
    LIST(Step *) steps;     /* LOOP */
};

/* A kernel call of a run. */
typedef struct {
    const Kernel *kernel;
    const Frame *frame;     /* of its last equation */
} PlanCall;

typedef struct {
    const char *text;       /* "inlined into …", "not fused: read twice" – for --emit=schedule */
    const Equation *equation;
} PlanNote;

typedef struct Plan {
    Module *module;
    Family family;
    LIST(Kernel *) kernels;
    LIST(Step *) steps;
    LIST(PlanCall) calls;   /* what the steps come to, in order; of one part of a batch */
    int64_t turns;          /* parts of a batch: all calls are made so many times over */
    LIST(Tensor *) blob;    /* tensors of STORE_BLOB in order of offset; weights, constants or results of packed equations */
    LIST(Tensor *) statics; /* STORE_STATIC */
    int64_t arena_bytes;    /* exact, a multiple of the alignment */
    int64_t arena_bound;    /* the most that regions alive at once take: no placement of these regions needs less */
    int64_t arena_live;     /* the most that elements alive at once take, without padding and alignment; what lies over another tensor
                             * is counted once */
    int64_t blob_bytes;     /* payload */
    bool reproducible;      /* every sum has one order, every rounding one place, whatever the target: see loop/reduce.c */
    LIST(PlanNote) notes;
    Tiles *tiles;           /* chosen by measurement, for lowering; or NULL */
} Plan;

typedef struct {
    bool keep_all;          /* every materialised tensor gets its own space and nothing is rolled into loops (verify --each) */
    int64_t turns;          /* more than 1: all steps are repeated, inputs and outputs moved on by their size each time */
    bool reproducible;      /* the same bits on every target: see Plan */
} PlanOptions;

/* Needs: pass pipeline done.  Appends packed equations (panels) and run-time rearrangements to the module. */
Plan *schedule(Module *module, Family family, const PlanOptions *options, Diagnostics *diags);
void plan_print(const Plan *plan, Text *out); /* --emit=schedule */
void plan_verify(const Plan *plan);           /* bug() when it is inconsistent */
/* "blocks.0.mlp": where in the model a call stands. */
const char *plan_call_block(const PlanCall *call);

#endif
