/* What the parts of lowering share. One kernel for one target at a time:
 *
 *   lower.c        plan → program: kernels, element functions
 *   contraction.c  contraction kernels: tiles in registers; tile.c one tile, its epilogue; geometry.c, long_rows.c: how they are cut;
 *                  copies.c, edge.c: columns that lie badly, and those behind the last whole vector
 *   rows.c         row kernels: rows, tasks, scratch; rows_ahead.c their lines fetched ahead; equation.c loops of one equation; reduce.c
 *                  its reduction
 *   windows.c      reductions over windows, several at a time; window_copies.c their operands copied close together
 *   row_blocks.c   contraction, row equations, contraction: block of rows by block of rows
 *   transpose.c    maps that turn their operands, block by block
 *   expression.c   equation exprs → values, each computed at the outermost loop that knows what it needs; vector.c what may be one
 *   softmax.c      which powers of e needn't be denormal
 *   address.c      reads → loads, with their subscripts, clamps and `otherwise`
 *   scope.c        open loops, what is known and what was computed in each
 */
#ifndef GM_LOOP_LOWERING_H
#define GM_LOOP_LOWERING_H

#include "loop/approximate.h"

/* A value and the scope that it needs: it may be computed there or further in. */
typedef struct {
    Value *value;
    int level;
} Lowered;

/* What an index stands for: base + offset, plus the lane number where vectors run along it. */
typedef struct {
    const Index *index;
    Value *base;     /* INT constant or variable */
    int64_t offset;
    Value *part;     /* vectors: how many lanes count, or NULL for all */
    bool vector;
    int level;       /* the scope of the binding */
    int base_level;  /* the scope that knows `base` */
} Binding;

typedef struct {
    const Expr *expr;
    bool vector;     /* computed along the vector index */
    Lowered lowered;
} Memo;

/* An open block. Several scopes may share a block: then the inner ones only forget what they bound and computed. */
typedef struct {
    Block *block;
    LIST(Binding) bindings;
    LIST(Memo) memos;
    LIST(Lowered) named; /* values in variables: .value is the tree, .level the variable's number in `names` */
    LIST(Value *) names;
} Scope;

typedef struct {
    int uses;            /* parents in the graph */
    uint64_t deps;       /* indices, by number in Lowering.indices */
    bool data;           /* contains a data-dependent read */
    int stamp;
} NodeInfo;

typedef struct {
    const Tensor *tensor;
    Buffer *buffer;
    int64_t strides[MAX_RANK];
    Value *origin;       /* a variable whose value times -origin_step is added to every address; NULL: none */
    int64_t origin_step;
    int origin_level;    /* the scope that knows it */
    int64_t ring;        /* > 0: on axis ring_axis it holds as many places, each where its number modulo them says */
    int ring_axis;
    bool bordered;       /* it holds whatever subscripts reach, `otherwise` included */
} Access;

typedef struct RowsAhead RowsAhead;
enum { MAX_SCOPES = 96, MAX_INDICES = 64 };

typedef struct {
    Arena *arena;
    const Plan *plan;
    const Target *target;
    LoopKernel *kernel;
    Builder *build;
    Fits *fits;
    Scope *scopes[MAX_SCOPES];
    int depth;           /* open scopes */
    LIST(Access) accesses;
    /* the equation at hand */
    const Equation *equation;
    const Index *indices[MAX_INDICES];
    int index_count;
    NodeInfo **info;     /* by expr id */
    int stamp;
    RowsAhead *rows_ahead; /* that the row at hand still has to fetch; NULL: none */
    const Index *vector; /* vectors run along it; NULL: scalars */
    uint64_t vector_bit;
    int pin;             /* loads of what this kernel writes stay in this scope or further in */
    int vector_floor;    /* vector variables are computed in this scope or further in */
    Lowered guard;       /* FLAG under which data-dependent subscripts count; .value NULL: always */
    int unproved;        /* inside `otherwise`: subscripts may lie outside while it isn't taken */
} Lowering;

/* --- scope.c ------------------------------------------------------------------------------------------------------- */
/* block NULL: that of the scope around. Statements are built into the innermost scope. */
void scope_push(Lowering *l, Block *block);
void scope_pop(Lowering *l);
static inline int scope_level(const Lowering *l) { return l->depth - 1; }
/* base must be a constant or a variable; it is known in scope base_level. Bound in the innermost scope. */
void scope_bind(Lowering *l, const Index *index, Value *base, int base_level, int64_t offset);
/* The same, with lanes: vectors run along `index` while l->vector is it. */
void scope_bind_vector(Lowering *l, const Index *index, Value *base, int base_level, int64_t offset, Value *part);
const Binding *scope_find(const Lowering *l, const Index *index);
/* In a variable of the scope it needs, unless it is a leaf. The same tree is computed once. */
Lowered scope_settle(Lowering *l, Lowered lowered, const char *name);
void scope_remember(Lowering *l, const Expr *expr, Lowered lowered);
const Lowered *scope_recall(const Lowering *l, const Expr *expr);
/* Opens `for name in [from, to) step`, in a new scope; loop_close appends it to the block around. */
Statement *loop_open(Lowering *l, const char *name, Value *from, Value *to, int64_t step);
void loop_close(Lowering *l, Statement *loop);
/* Opens a loop over all of an index and binds it; extent 1: no loop (NULL). */
Statement *loop_over(Lowering *l, const Index *index);
Value *loop_variable(Lowering *l, const Statement *loop);

/* Starts an equation: counts uses and dependencies of its nodes. */
void lowering_equation(Lowering *l, const Equation *equation);
NodeInfo *node_info(const Lowering *l, const Expr *expr);
uint64_t index_bit(const Lowering *l, const Index *index);
void lowering_vector(Lowering *l, const Index *index); /* NULL: scalars */
const Expr *find_reduce(const Expr *expr);
Access *find_access(Lowering *l, const Tensor *tensor);

/* --- expression.c -------------------------------------------------------------------------------------------------- */
Lowered lower_expr(Lowering *l, const Expr *expr); /* FLOAT, INT or FLAG; along the vector index VECTOR or MASK */
/* The deepest scope that any operand needs; those that need less are computed where they can be, once. */
int settle_operands(Lowering *l, Lowered *operands, int count);
Lowered to_real(Lowering *l, Lowered lowered);     /* FLOAT or VECTOR */
Lowered to_vector(Lowering *l, Lowered lowered);   /* VECTOR (FLOAT where lanes is 1) */
Lowered to_int(Lowering *l, Lowered lowered);
Value *lower_real(Lowering *l, const Expr *expr);  /* FLOAT or VECTOR, here */
Value *lower_vector(Lowering *l, const Expr *expr);
/* min and max of functions.def: NaN when one is. */
Value *build_extreme(Builder *build, bool min, Value *a, Value *b);
/* Stores the equation's value at the place that the bound indices say, converted to the result's type. */
void store_result(Lowering *l, Value *value);

/* --- softmax.c ----------------------------------------------------------------------------------------------------- */
bool is_softmax_power(const Lowering *l, const Expr *expr);
bool is_softmax_peak(const Lowering *l, const Expr *reduce); /* max x, where a NaN may be left out: exp(x - max x) and its sum show it */
bool is_softmax_sum(const Lowering *l, const Expr *expr); /* 0, or NaN, or large enough that 1 / it is finite */

/* --- vector.c ------------------------------------------------------------------------------------------------------ */
/* How many of the reads need a lane-by-lane gather when vectors run along `index`; -1: not possible. REDUCE nodes are left out. */
int vector_cost(Lowering *l, const Expr *expr, const Index *index);
bool calls_functions(Lowering *l, const Expr *expr); /* some OP_CALL */
bool result_is_dense(Lowering *l, const Index *index); /* the result's neighbours along it are neighbours in memory */

/* --- address.c ----------------------------------------------------------------------------------------------------- */
enum { MAX_ADDRESS_TERMS = 48 };
/* A flat subscript: constant + sum of coefficient * variable, each known from some scope on. */
typedef struct {
    int64_t constant, vector_stride;
    int level;           /* the deepest binding used */
    Value *part;         /* of the vector index */
    int count;
    struct {
        Value *value;
        int64_t coefficient;
        int level;
    } terms[MAX_ADDRESS_TERMS];
} Address;
void address_add(Lowering *l, Address *address, const Expr *subscript, int64_t factor);
void address_add_term(Address *address, Value *value, int64_t coefficient, int level);
void address_origin(Address *address, const Access *access); /* where a block of rows starts */
Value *address_value(Lowering *l, const Address *address);
Address element_address(Lowering *l, const Tensor *tensor, Expr *const *subscripts, int rank); /* at the bound indices */
Lowered lower_read(Lowering *l, const Expr *read);
/* Whether the subscript is proved inside [0, extent). */
bool subscript_proved(const Expr *subscript, int64_t extent);
/* Static stride of a read along `index`, in elements; false: not a plain one. */
bool read_stride(Lowering *l, const Expr *read, const Index *index, int64_t *stride);
/* long_rows.c: whether all that the equation reads and writes steps from one place of `outer` to the next as over all of `inner`. */
bool lie_as_one(Lowering *l, const Index *outer, const Index *inner);

/* --- lines fetched before they are needed -------------------------------------------------------------------------- */
/* prefetch.c: the line of an element; to be written, where the kernel writes the buffer. */
void prefetch(Lowering *l, Buffer *buffer, Value *subscript);
void prefetch_element(Lowering *l, const Tensor *tensor, Expr *const *subscripts, int rank); /* at the bound indices */
/* rows_ahead.c: what the kernel's equations touch some rows further along row index `row` of `row_count`, which stand for `rows`: RowsAhead,
 * to be fetched by the row's first loop over as many elements, or by a loop of their own. */
void find_rows_ahead(Lowering *l, int row, int row_count, Value *const *rows, int row_level);
/* In a loop of block `around` over `length` elements, at element `at` of it, which has `turn` of them in a turn. */
void fetch_rows_in_loop(Lowering *l, const Block *around, int64_t length, Value *at, int64_t turn);
void fetch_rows_ahead(Lowering *l); /* those that no loop has fetched */

/* --- kernels ------------------------------------------------------------------------------------------------------- */
void lower_equation(Lowering *l, const Equation *equation, int row_count, Value *const *rows, int row_level); /* equation.c */
/* reduce.c: the reduction's value for the bound free indices, remembered under the REDUCE node. */
/* `along`: vectors run along it, in a form that has them; NULL: one at a time. `in_order`: that, with a single sum (reproducible plans). */
void lower_reduce_scalar(Lowering *l, const Expr *reduce, const Index *along, bool in_order);
/* Accumulators for `count` vectors along l->vector, bound to base + k * lanes; results[k] is the k-th. */
void lower_reduce_vectors(Lowering *l, const Expr *reduce, int count, Value *base, int base_level, Value *part, Value **results);
double reduction_identity(Reduction reduction);
/* total (+) x, where x may be a tree. */
Value *reduction_combine(Lowering *l, Reduction reduction, Value *total, Value *x);
void lower_rows(Lowering *l);                /* rows.c */
/* How many tasks share `total` items of `work` in all; a loop over this task's share; the indices that an item's number, flattened,
 * stands for. */
int64_t share_tasks(int64_t work, int64_t total);
Statement *open_share(Lowering *l, const char *name, int64_t total);
void bind_digits(Lowering *l, Value *number, int64_t total, const Index *const *indices, int count);
/* How a scratch tensor of the kernel lies in an array: strides of its row axes are 0. `rows` > 1: that many, the last row axis strides
 * over them. Declared: with the array. */
Access scratch_access(const Lowering *l, const Tensor *tensor, int64_t rows, int64_t *elements);
Access *declare_scratch(Lowering *l, const Tensor *tensor, int64_t rows);
bool lower_row_blocks(Lowering *l);          /* row_blocks.c; false: not of a form it knows */
bool lower_turned(Lowering *l);              /* transpose.c; false: not a map of that form */
bool lower_contraction(Lowering *l);         /* contraction.c; false: not of a form it knows */
bool lower_windows(Lowering *l);             /* windows.c; likewise */
/* Work in multiply-adds: of a task, and of a kernel that is shared out at all. Until two threads meet and have each other's results some
 * microseconds pass; a kernel that takes not many more is done sooner by one. An element of a row or a copy counts as ELEMENT_WORK. */
enum { MOST_TASKS = 16, LEAST_TASK_WORK = 50000, LEAST_SHARED_WORK = 1000000, ELEMENT_WORK = 16 };

#endif
