/* What the parts of scheduling share. The order of work is schedule.c:
 *
 *   simplify.c     equations → indices of extent 1 gone, equal constants one tensor
 *   pad.c          equations → windows that reach past the ends of a tensor read a copy with a border
 *   orient.c       tensors → the order of their axes
 *   contraction.c  equations → contractions recognised; merge.c joins their indices, operands.c prepares operands
 *   borders.c      equations → windows whose lines lowering copies anyway read what has no border; lines.c says which those are
 *   rows.c         equations → calls: one contraction, or the equations of one row kernel
 *   chain.c        calls → a contraction, row equations and another contraction are one call
 *   layout.c       tensors → storage, strides, regions; results over operands that die there
 *   canonical.c    calls → kernels: equal ones are one; parameters
 *   roll.c         calls → items: a repeated sequence of calls is a loop
 *   memory.c       regions → offsets in arena and blob
 *   steps.c        items → steps of the plan; names.c names its kernels */
#ifndef GM_SCHEDULE_SCHEDULE_H
#define GM_SCHEDULE_SCHEDULE_H

#include "schedule/plan.h"

/* --- memory ------------------------------------------------------------------------------------------------------- */
typedef struct {
    int first, last; /* positions of calls, both included */
} Interval;

typedef enum { REGION_ARENA, REGION_BLOB, REGION_INPUT, REGION_OUTPUT } RegionKind;

/* A piece of memory. Regions form a forest: a region may lie inside another at a fixed shift; roots get addresses. */
typedef struct Region {
    RegionKind kind;
    int id;
    struct Region *parent;
    int64_t shift_bytes;    /* inside the parent */
    int64_t bytes;
    int64_t offset_bytes;   /* of a root, when all is done */
    LIST(Interval) live;    /* of a root: sorted, disjoint. A call that reads or writes is inside */
    Tensor *only;           /* BLOB: the one tensor of a region that is in no group */
    /* for one attempt of roll.c */
    int stamp, column, turn;
    struct Region *joined;
} Region;

typedef struct Call Call;

/* One READ of a tensor. */
typedef struct {
    const Call *call;       /* NULL: its elements were given to another tensor */
    int equation;           /* position in the call */
    const Expr *read;
    bool inside;            /* the reduction */
    int64_t low[MAX_RANK], high[MAX_RANK]; /* positions it may touch, per axis */
} Access;

/* The extra of every tensor. */
typedef struct {
    Layout layout;          /* first: tensor_layout */
    bool operand;           /* made by operands.c */
    bool panels;            /* a panel tensor: dense */
    bool contracted;        /* some contraction touches it: pad its rows */
    int row_axes;           /* trailing axes that a contraction runs through as one row; 0: the last one */
    Equation *inside;       /* of a copy with a border (pad.c): what fills it but for the border; else NULL */
    double outside;         /* its border */
    bool in_row;            /* scratch of one row */
    bool used;              /* at run time */
    int writer_count;
    Equation *writer;       /* the last one */
    Call *call;             /* the call of `writer` */
    int last_read;          /* position of the last call that reads it, -1: none */
    int first_write, last_write;
    LIST(Access) reads_of;  /* of a tensor in the arena */
    Region *region;
    int64_t shift_bytes;    /* inside the region */
    int parameter, stamp;   /* of the call that canonical.c looks at */
    int64_t constants[MAX_RANK]; /* canonical.c: of the first access, per axis */
    bool plain;
} TensorPlan;
static inline TensorPlan *tensor_plan(const Tensor *tensor) { return (TensorPlan *)tensor->extra; }

/* --- calls -------------------------------------------------------------------------------------------------------- */
/* Where an argument is, as the loops of roll.c move it. */
typedef struct {
    Tensor *tensor;
    Region *region;
    int64_t shift_bytes;    /* inside the region: the tensor's, and constant subscripts that turns of a loop don't share */
    int64_t constant_bytes; /* the second part of that */
    int step_count;         /* innermost loop first */
    int64_t steps[4];
    bool written;
} Argument;

struct Call {
    Kernel *kernel;         /* its own until canonical.c makes equal ones one */
    LIST(Equation *) equations;
    LIST(Argument *) arguments;
    LIST(Tensor *) reads, writes;
    int position;           /* in Scheduler.calls */
    int row_limit;          /* ROWS: the most row axes */
    bool gathers;           /* data-dependent subscripts */
    bool windows;           /* Kernel.windows */
    int stamp;
    int roll_class;         /* calls of one class differ in addresses alone, constant subscripts included */
};

typedef struct Item {
    int class;
    Call *call;             /* NULL: a loop */
    int64_t count;          /* LOOP: turns */
    int height;             /* 0: a call */
    LIST(struct Item *) items;
    LIST(Argument *) arguments; /* of the first turn */
} Item;

typedef struct {
    Arena *arena;           /* the module's */
    Arena *scratch;
    Module *module;
    Family family;
    PlanOptions options;
    Diagnostics *diags;
    Plan *plan;
    LIST(Equation *) packed;/* those added here, in order */
    LIST(Equation *) order; /* run-time equations */
    LIST(Contraction *) contractions; /* beside `order`: NULL where it is none */
    LIST(Call *) calls;
    LIST(Item *) items;
    LIST(Region *) regions;
    int alignment;          /* bytes, of vectors */
    int stamp;
} Scheduler;

enum { BLOB_ALIGNMENT = 64, STATIC_LIMIT = 4096, ROW_SCRATCH_LIMIT = 16 * 1024 };
static inline int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

/* --- helpers (common.c) -------------------------------------------------------------------------------------------- */
TensorPlan *tensor_plan_new(Scheduler *s, Tensor *tensor);
bool expr_is_weight_only(const Expr *expr);   /* reads nothing that run brings or computes */
bool expr_gathers(const Expr *expr);          /* some subscript depends on data */
Expr *equation_reduce(const Equation *equation); /* its REDUCE node, or NULL */
bool subscript_is(const Expr *subscript, const Index *index); /* the index alone */
/* Visits the READ nodes of a graph once each; `inside` says whether below `reduce` (which may be NULL). */
typedef void ReadVisitor(Expr *read, bool inside, void *context);
void expr_reads(Expr *root, const Expr *reduce, ReadVisitor *visit, void *context);
void plan_note(Scheduler *s, const Equation *equation, const char *format, ...) GM_PRINTF(3, 4);
int64_t equation_iterations(const Equation *equation);
const char *tensor_last_name(const Tensor *tensor); /* "h" of "blocks.0.mlp.h" */

/* --- stages -------------------------------------------------------------------------------------------------------- */
void simplify_equations(Scheduler *s);
void pad_windows(Scheduler *s);
void orient_tensors(Scheduler *s);
void spare_borders(Scheduler *s);
/* Fills `contraction` and rewrites the equation; what it appends to s->order precedes it. */
bool contraction_prepare(Scheduler *s, Equation *equation, Contraction *contraction);
void prepare_contractions(Scheduler *s);
void form_calls(Scheduler *s);
void form_chains(Scheduler *s);
void lay_out(Scheduler *s);
void share_kernels(Scheduler *s);
void roll(Scheduler *s);
void place(Scheduler *s);
void emit_steps(Scheduler *s);
void name_kernels(Scheduler *s);

/* operands.c: one axis of a new tensor: what the reader's indices give, flattened, the last fastest. */
typedef struct {
    int count, leaf_count;
    Index *indices[MAX_RANK]; /* of the reader */
    Index *leaves[MAX_RANK];  /* those of the expression that they stand for */
} Axis;
/* A new tensor that holds `value`, computed by a new equation (packed when it reads weights alone). Returns the READ of it. */
Expr *materialise(Scheduler *s, const Equation *user, const char *suffix, Expr *value, int rank, const Axis *axes);
/* panels[batch…, n // PW, k…, n % PW] of `value`. */
Expr *materialise_panels(Scheduler *s, const Equation *user, Expr *value, int batch_count, const Axis *batch, const Axis *n, int k_count,
                         const Axis *k);

/* rows.c */
/* A reduction over windows along whose last free index vectors can run. */
bool is_windows(const Scheduler *s, const Equation *equation);
/* Whether `consumer` reads what `producer` computes in its own row alone, of `rows` leading indices; *reads: whether at all. */
bool reads_same_row(const Call *producer, const Call *consumer, int rows, bool *reads);
void call_absorb(Scheduler *s, Call *into, const Call *from); /* appends equations, reads and writes */
void calls_renumber(Scheduler *s, int from);

/* memory.c */
Region *region_new(Scheduler *s, RegionKind kind, int64_t bytes);
Region *region_root(Region *region, int64_t *shift_bytes); /* adds the shift of the region inside its root */
void life_add(Scheduler *s, Region *into, const Region *from);
void life_settle(Region *region); /* after life_add: sorted and disjoint again */

#endif
