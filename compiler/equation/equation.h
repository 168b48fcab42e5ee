/* The one intermediate form: equations. Everything a model computes is a list of them.
 *
 *   module   = tensors, equations in order of computation, inputs, outputs
 *   tensor   = name, extents, element type, kind
 *   equation = result[subscripts] = value      for every combination of its free indices
 *   expr     = number | index | read(tensor, subscripts, otherwise) | function(exprs) | reduce(op, indices, body)
 *
 *   y[.., m] = sum[k](x[.., k] * w[m, k]) + b[m]
 *
 * becomes  result = y, free = {i, m}, subscripts = {i, m}, value = ADD(REDUCE(SUM, {k}, MUL(READ x, READ w)), READ b).
 *
 * - Subscripts are ordinary exprs of integer type. On the left they are sums (coefficient * free index) + constant in exact mixed radix.
 * - Exprs form a graph: a node may be shared by several parents of the same equation (its value is then computed once per
 *   combination of the indices it depends on). A node belongs to one equation; `expr_copy` copies across.
 * - An index belongs to one equation: to its free list, or to exactly one REDUCE.
 * - A local tensor may be written by several equations that write disjoint parts and together all of it (collecting repeats). Every
 *   equation that reads a tensor comes after all that write it.
 * - Reads were proved inside their tensor, or carry `otherwise`: its value where any subscript lies outside [0, extent).
 *   Data-dependent subscripts (those that contain a READ of a tensor whose values are not known) are clamped at run time, and
 *   reported through the result of `run`; `otherwise` does not cover them.
 * - `where` evaluates like a select; a branch that is not taken never matters, even when it is NaN or infinite.
 * - Normal form (after pass normal): at most one REDUCE node an equation, not inside a subscript or an otherwise.
 */
#ifndef GM_EQUATION_EQUATION_H
#define GM_EQUATION_EQUATION_H

#include "support/arena.h"
#include "support/diagnostics.h"
#include "support/list.h"
#include "support/map.h"
#include "support/source.h"

#include <stdbool.h>
#include <stdint.h>

enum { MAX_RANK = 12 };

/* Element types: one row each in dtypes.def. */
typedef enum { TYPE_F32, TYPE_I32, TYPE_I64, TYPE_U8 } ElementType;
const char *element_type_name(ElementType type);   /* "f32" */
int element_type_size(ElementType type);           /* bytes */
bool element_type_find(const char *name, ElementType *type);
static inline bool element_type_is_integer(ElementType type) { return type != TYPE_F32; }

typedef enum {
#define FUNCTION(enumerator, name, arity, kind, meaning, cost, help) enumerator,
#include "equation/functions.def"
    FUNCTION_COUNT
} Function;
typedef enum { FUNCTION_ARITHMETIC, FUNCTION_REAL, FUNCTION_FLAG, FUNCTION_SELECT } FunctionKind;
typedef struct {
    const char *name;
    int arity;
    FunctionKind kind;
    int cost;
    const char *help;
} FunctionInfo;
extern const FunctionInfo function_table[FUNCTION_COUNT];
bool function_find(const char *name, Function *function); /* by the name written in .gm; signs are not names */
/* The meaning of a function in double. b and c are ignored where the arity is smaller. */
double function_evaluate(Function function, double a, double b, double c);

typedef enum { /* one row each in reductions.def */
#define REDUCTION(enumerator, name, help) enumerator,
#include "equation/reductions.def"
} Reduction;
const char *reduction_name(Reduction reduction);
bool reduction_find(const char *name, Reduction *reduction);
/* argmax[i](v): exactly one index; the smallest i with the largest value, i32. */

typedef struct Tensor Tensor;
typedef struct Equation Equation;
typedef struct Expr Expr;

/* How a fresh parameter is drawn. */
typedef struct {
    const char *name;    /* "zeros", "normal", …; NULL: not said */
    double arguments[4];
    int argument_count;
} Initialiser;

typedef enum {
    TENSOR_INPUT,    /* given to run */
    TENSOR_WEIGHT,   /* a parameter: read from the checkpoint under `path` */
    TENSOR_CONSTANT, /* values known now, in `values` */
    TENSOR_LOCAL     /* computed by equations (also weight-only ones: see Equation.packed) */
} TensorKind;

struct Tensor {
    int id;              /* position in module->tensors */
    const char *name;    /* unique in the module: "blocks.0.mlp.h", for comments and --each */
    TensorKind kind;
    ElementType type;
    int rank;
    int64_t extents[MAX_RANK];
    Place origin;        /* where it was declared or computed */
    const char *path;    /* WEIGHT: "blocks.0.norm.weight" */
    const char *declared;/* WEIGHT: its shape as written, "[TOKENS, TOKENS]" */
    Initialiser initial; /* WEIGHT */
    double *values;      /* CONSTANT: row-major */
    const char *input_name; /* INPUT: its name in the .gm file */
    const char *output_name;/* not NULL: an output under that name. A tensor may be output under one name only */
    bool packed;         /* LOCAL: depends on weights and constants alone; computed when packing (set by pass fold) */
    void *extra;         /* for the running stage: schedule keeps its layout here */
};

typedef struct Index {
    int id;           /* unique in the module */
    const char *name; /* as written: "i", or "_3" for one that .. stands for */
    int64_t extent;
    Place origin;
} Index;

typedef enum { EXPR_NUMBER, EXPR_INDEX, EXPR_READ, EXPR_APPLY, EXPR_REDUCE } ExprKind;

struct Expr {
    ExprKind kind;
    bool integer;        /* the value is an integer: index arithmetic, integer tensors, flags */
    bool met;            /* by the walk that is collecting nodes; false outside expr_walk */
    int id;              /* unique in the module: for memo tables */
    int count;           /* READ: subscripts (= rank); APPLY: arguments; REDUCE: 1, the body */
    Expr **args;         /* READ, APPLY, REDUCE */
    Expr *otherwise;     /* READ: or NULL */
    Tensor *tensor;      /* READ */
    Index *index;        /* INDEX */
    double number;       /* NUMBER; integers are exact up to 2^53 */
    Place place;
    Function function;   /* APPLY */
    Reduction reduction; /* REDUCE */
    int index_count;     /* REDUCE */
    Index **indices;     /* REDUCE */
};

/* A call of a block, or a turn of a repeat: where an equation belongs. Shown by info, kept in comments. */
typedef struct Frame {
    struct Frame *up;     /* NULL: the model itself */
    const char *block;    /* name of the block called, or of the model; "repeat" for a turn of a repeat (path: of its call) */
    const char *path;     /* the full parameter path of the call: "blocks.0.mlp_channels"; "" for the model */
    const char *call;     /* layernorm(x[196, 256], EPS = 1e-06) */
    const CallNote *note; /* for diagnostics */
    Place at;             /* of the call */
    int id;               /* order of first entry, unique */
    int value_count;      /* compile-time names of the call and their values (numbers and flags), for bind lines */
    struct {
        const char *name;
        double number;
        bool flag;        /* a flag, 0 or 1 */
    } *values;
} Frame;

struct Equation {
    int id;               /* unique in the module, increasing in order of creation */
    Tensor *result;
    int rank;             /* = result->rank */
    Expr *subscripts[MAX_RANK]; /* of the result, over the free indices; integer */
    int free_count;
    Index *free[MAX_RANK * 2];  /* in order of the left side; the last is the fastest */
    Expr *value;
    Place origin;         /* of the whole equation in the source */
    Frame *frame;
    bool packed;          /* evaluated when weights are packed (set by pass fold) */
};

/* What `~ image(…)` or `~ text(…)` on an input, `~ classes(…)` on an output say: for `gmlpc run` alone. */
typedef struct {
    const char *name;
    Place place;
    int count;
    struct {
        const char *name;   /* NULL: positional */
        Place place;
        const char *text;   /* a string or a word (bicubic); NULL: numbers */
        int number_count;
        double *numbers;
        bool list;
    } *arguments;
} Hint;

typedef struct {
    const char *name;     /* as in the .gm file */
    Tensor *tensor;
    Hint *hint;           /* or NULL */
    Place place;
} Port;

/* What a pass did to an equation, or why it left it as it is, for --emit=schedule. */
typedef struct {
    const char *text;
    const Equation *equation;
    const Equation *reader; /* the note is about both of them; or NULL */
} EquationNote;

typedef struct Module {
    Arena *arena;
    const char *name;     /* of the model */
    Place origin;
    const char *file;     /* base name of the .gm file */
    int64_t batch;        /* inputs of one run; with more than one, everything that depends on an input has a leading axis of it */
    const char *parameters; /* "IMAGE = 224, PATCH = 16, …": resolved, for info and comments */
    LIST(Tensor *) tensors;
    LIST(Equation *) equations;
    LIST(Port) inputs;
    LIST(Port) outputs;
    LIST(Tensor *) weights; /* every TENSOR_WEIGHT in order of first use */
    LIST(Frame *) frames;
    LIST(EquationNote) notes;
    int next_index, next_expr, next_equation;
} Module;

/* --- construction ------------------------------------------------------------------------------------------------- */
Module *module_new(Arena *arena, const char *name);
Tensor *tensor_new(Module *module, TensorKind kind, const char *name, ElementType type, int rank, const int64_t *extents, Place origin);
int64_t tensor_count(const Tensor *tensor); /* elements */
Index *index_new(Module *module, const char *name, int64_t extent, Place origin);
Expr *expr_number(Module *module, double number, bool integer, Place place);
Expr *expr_int(Module *module, int64_t number);
Expr *expr_index(Module *module, Index *index, Place place);
Expr *expr_read(Module *module, Tensor *tensor, int count, Expr *const *subscripts, Expr *otherwise, Place place);
/* Derives `integer` from the function's kind and operands. Folds constants and trivial cases (x + 0, 1 * i) of integers only. */
Expr *expr_apply(Module *module, Function function, Expr *a, Expr *b, Expr *c, Place place);
Expr *expr_reduce(Module *module, Reduction reduction, int index_count, Index *const *indices, Expr *body, Place place);
/* Appends an equation without free indices and value; the caller fills them. Its result's `type` must fit value->integer. */
Equation *equation_new(Module *module, Tensor *result, Place origin, Frame *frame);

/* Copies a graph, replacing indices by exprs: map[k].index → map[k].value. Indices of inner reductions are made anew.
 * Sharing inside the graph is kept. */
typedef struct {
    const Index *index;
    Expr *value;
} Substitution;
Expr *expr_substitute(Module *module, const Expr *expr, const Substitution *map, int count);

/* Calls visit once for each node of the graph, parents before children; subscripts and otherwise included. */
void expr_walk(Expr *expr, void (*visit)(Expr *node, void *context), void *context);
bool expr_equal(const Expr *a, const Expr *b); /* the same structure over the same indices and tensors */
bool expr_uses(const Expr *expr, const Index *index);
int expr_read_count(const Expr *expr, const Tensor *tensor); /* how many of its nodes read the tensor */
bool expr_is_data_dependent(const Expr *subscript); /* contains a READ of an input or local that is not packed */

#endif
