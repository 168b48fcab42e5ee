/* What the files of this folder share while a model is expanded.
 *
 *   load.c        files, imports, the model chosen, --set          → expand_model
 *   scope.c       names: of a call, of a file, of the language
 *   statement.c   what each statement does
 *   evaluate.c    an expression → Value; knows which of the following is meant
 *   elementwise.c whole tensors, element functions, and how a value becomes a tensor
 *   index_equation.c  left sides, collecting, the whole equation;  read.c  reads and reductions
 *   extents.c     which extent an index has, and the error when two disagree
 *   bounds.c      every read proved inside its tensor
 *   call.c        a block called: arguments.c binds, pattern.c matches shapes
 *   parameter.c   learned tensors and their paths;  port.c inputs, outputs and their hints
 *   origin.c      how a size came about
 */
#ifndef GM_MODEL_EXPAND_H
#define GM_MODEL_EXPAND_H

#include "model/model.h"
#include "model/value.h"

enum {
    MAX_CALL_DEPTH = 100,
    MAX_EQUATIONS = 200000,
    MAX_STATEMENTS = 1000000, /* executed, repeats unrolled; a call of a block counts as 10 */
    MAX_ELEMENT_SIZE = 20000, /* nodes of one value, counted as a tree */
    MAX_ELEMENT_DEPTH = 500,
    MAX_STACK_BYTES = 3 << 20,
    MAX_TABLE_WORK = 1 << 25 /* evaluations spent on one constant table */
};
#define MAX_ELEMENTS ((int64_t)1 << 40) /* of a tensor */

typedef struct FileScope FileScope;
typedef struct Call Call;
typedef struct Loop Loop;
typedef struct EquationContext EquationContext;

/* --- names ---------------------------------------------------------------------------------------------------------- */

typedef enum { PURITY_UNKNOWN, PURITY_PENDING, PURITY_NO, PURITY_MAYBE, PURITY_YES } Purity;

struct Block {
    const AstCallable *ast;
    FileScope *file;
    Purity purity; /* is it an element function? MAYBE: it calls its arguments */
};

typedef struct {
    const AstAssignment *ast;
    FileScope *file;
    bool evaluating, done;
    Value value;
} FileConstant;

struct FileScope {
    AstFile *ast;
    LIST(FileScope *) imports;
    Map blocks;    /* name → Block, models too */
    Map constants; /* name → FileConstant */
    int visit;     /* of the last breadth-first search that saw it */
};

/* A tensor that a repeat collects turn by turn: y[t, d] = h[d]. */
typedef struct {
    const char *name;
    Loop *owner; /* the outermost repeat whose counter stands on the left */
    Tensor *tensor;
    const Origin **axes;
    int64_t turns, written; /* combinations of the counters: wanted, seen */
    int64_t last;           /* the combination written last */
    Place place;
    const AstStatement *output; /* the output statement that collects, or NULL */
    bool failed;
} Collected;

struct Loop {
    Loop *up;
    const char *counter;
    int64_t turn, count;
    Index *index; /* stands for the counter while a left side is checked */
    LIST(Collected *) collected;
};

typedef struct {
    const char *name;
    Value value;
    Place place;          /* where it was bound */
    Loop *loop;           /* it is the counter of this repeat */
    Collected *collected; /* it is being collected: cannot be read yet */
} Binding;

/* Calls `@ shared path` own one set of tensors together. */
typedef struct {
    const char *root; /* full path */
    int instance;
    const Block *block;
} Shared;

struct Call {
    struct Expander *expander;
    Call *up;
    Block *block;
    FileScope *file;
    Map names;          /* → Binding */
    const char *prefix; /* parameter path: "blocks.0.norm", "" */
    Frame *frame;
    const CallNote *note;
    int depth;
    bool element;              /* body of an element function: names stand for elements */
    EquationContext *equation; /* element: the equation that calls it; NULL: a whole-tensor expression */
    bool dots_bound;           /* `..` of the shape patterns */
    int dots_rank;
    int64_t dots_extents[MAX_RANK];
    const Origin *dots_axes[MAX_RANK];
    const char *dots_from; /* the tensor that bound it */
    Place dots_place;
    const Shared *shared;
    Loop *loop;
    bool returned;
    Value result; /* TUPLE, or the single result */
    Place result_place;
    Text untaken; /* names bound only in branches not taken, each between spaces */
};

typedef struct {
    Tensor *tensor;
    Place place;
    const Shared *shared;
    const CallNote *note;
    int last_instance;
} ParameterInfo;

typedef struct {
    const char *name;
    const char *text;
    AstExpr *expr;
    bool used;
    Place place;
} Setting;

/* A list that was used as a tensor. */
typedef struct {
    const Value *items;
    Tensor *tensor;
} ListTensor;

typedef struct {
    Place place;
    bool needed;
} OrUse;

typedef struct Expander {
    Arena *arena;
    Diagnostics *diags;
    const ModelObserver *observer; /* or NULL */
    Module *module;
    Map parameters;   /* full path → ParameterInfo */
    Map tensor_names; /* used names → int * (the last suffix) */
    LIST(Setting) settings;
    LIST(ListTensor) list_tensors;
    Map alternatives; /* place of an `or` → OrUse: is it ever needed? */
    int statements;
    int visits, instances;
    bool too_large;    /* the limits were hit: everything else is skipped */
    const char *stack; /* an address at the bottom, to notice deep recursion */
} Expander;

Binding *names_find(Call *call, const char *name); /* of this call, or NULL */
Binding *names_bind(Call *call, const char *name, Value value, Place place);
/* Tells the observer, if there is one and the value is any. */
void observe_bound(const Call *call, const char *name, const Value *value, Place place, bool index);
Block *names_block(Expander *expander, FileScope *file, const char *name, Place place);
FileConstant *names_constant(Expander *expander, FileScope *file, const char *name);
/* The value of a name, evaluated file constants included. False: unknown, nothing reported. */
bool names_lookup(Call *call, const char *name, Place place, Value *value);
void error_unknown_name(Call *call, EquationContext *equation, const char *name, Place place);
void error_unknown_block(Call *call, const char *name, Place place);
Purity block_purity(Expander *expander, Block *block);

/* --- equations under construction ------------------------------------------------------------------------------------ */

typedef struct {
    const char *tensor_name;
    Value tensor;
    int axis;
    Place place;
} Occurrence;

typedef struct {
    Index *index;
    const char *name;
    Place place;
    bool free;    /* of the left side */
    bool bounded; /* by `for`, or by a `..` that the call bound */
    bool used;    /* in the value */
    bool solved;
    const Origin *origin;
    LIST(Occurrence) alone; /* where it stands alone as a subscript */
} IndexVariable;

typedef struct {
    bool known;
    int count;
    IndexVariable *variables[MAX_RANK];
    const char *tensor_name;
    Place place;
    bool reduced; /* by the reduction that opened it */
    bool left;    /* it stands on the left side */
} Dots;

typedef struct IndexScope {
    struct IndexScope *up; /* NULL: an element function's own names end here */
    LIST(IndexVariable *) variables;
    Dots *dots;
    bool own; /* of the equation itself: `for` applies */
} IndexScope;

typedef struct ReadCheck {
    Expr *read;
    const char *name;
    Value source;
    Place place;
    Place *places; /* of each subscript */
    Place otherwise_place;
    struct ReadCheck *outer; /* the read in whose `or` this one stands */
    bool needed;             /* in some case its `or` is */
} ReadCheck;

typedef struct {
    const AstBound *ast;
    int64_t extent;
    const Origin *origin;
    bool used;
} BoundInfo;

struct EquationContext {
    Call *call;
    const AstAssignment *assignment; /* NULL: a read or reduction inside a whole-tensor expression */
    IndexScope *scope;
    LIST(IndexVariable *) variables;
    LIST(ReadCheck *) reads;
    LIST(BoundInfo) bounds;
    ReadCheck *outer;
    int subscript_depth; /* inside brackets */
    bool left;           /* evaluating the left side: counters are indices */
    bool failed;
};

/* --- expressions ----------------------------------------------------------------------------------------------------- */

/* equation NULL: a whole-tensor or compile-time expression. Never fails: reports and returns poison. */
Value evaluate_expr(Call *call, EquationContext *equation, const AstExpr *expr);
/* A compile-time whole number. what: "the size N", for messages. */
bool evaluate_size(Call *call, const AstExpr *expr, const char *what, int64_t minimum, int64_t *size, const Origin **origin);
bool evaluate_flag(Call *call, const AstExpr *expr, bool *flag);
/* False, and GM035/GM028 once, when the recursion or the model gets too large. */
bool expander_enter(Expander *expander, Place place);
/* Counts `steps` statements. */
bool expander_count(Expander *expander, int steps, Place place);

/* Any value as an element: numbers, rank 0 tensors; whole tensors when equation is NULL. Poison after an error. */
Value as_element(Call *call, EquationContext *equation, Value value, Place place, const char *name);
Value apply_element(Call *call, Function function, int count, Value *arguments, Place place);
Value apply_operator(Call *call, EquationContext *equation, const AstExpr *expr, Value left, Value right);
/* Makes two or three whole-tensor elements range over the same indices. False after an error. */
bool align_elements(Call *call, int count, Value *values, const Place *places);
/* A tensor that holds the value; an equation where needed. name: of the variable. */
Value value_to_tensor(Call *call, Value value, const char *name, Place place);
/* An equation of its own that copies a tensor. */
Value copy_tensor(Call *call, Value value, const char *name, Place place);
Tensor *list_tensor(Call *call, const Value *list, Place place);
Value tensor_value(Tensor *tensor, const Origin **axes);
ElementType element_type_of(Expr *expr);
const char *unique_tensor_name(Expander *expander, const char *prefix, const char *name);
/* Appends result[subscripts] = value and turns an integer table into a constant; `constant`: any table, or an error. */
bool equation_finish(Call *call, Tensor *tensor, int free_count, Index **free, Expr **subscripts, Expr *value, Place place, bool constant,
                     bool whole);

Value read_tensor(Call *call, EquationContext *equation, const AstExpr *expr, Value source);
Value evaluate_reduction(Call *call, EquationContext *equation, const AstExpr *expr);
/* NAME[subscripts] = value. Binds nothing; *collected is set when a repeat collects it. */
Value index_equation(Call *call, const AstAssignment *assignment, Place place, bool constant, Collected **collected);
void collect_finish(Call *call, Loop *loop);
EquationContext equation_context(Call *call, const AstAssignment *assignment);
IndexVariable *index_variable(EquationContext *equation, IndexScope *scope, const char *name, Place place);
/* A size or counter of the call must not be hidden by an index. */
bool check_shadow(Call *call, const char *name, Place place);
/* One subscript as an integer element. */
Value subscript_value(Call *call, EquationContext *equation, const AstExpr *item);
IndexVariable *index_find(const EquationContext *equation, const char *name);
/* Extents of all indices, then the reads. False: an error was reported. */
bool equation_solve(EquationContext *equation);
bool extents_solve(EquationContext *equation);
bool bounds_prove(EquationContext *equation);
void bounds_warn(Expander *expander); /* of every `or` that was never needed */

/* --- calls ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    Value value;
    bool present;
    Place place; /* of the argument, or of the default */
    const AstExpr *ast;
    bool defaulted;
    const Origin *origin; /* of a number given */
} Slot;                   /* one per parameter of the block */

Value call_block(Call *call, EquationContext *equation, const AstExpr *expr, const Callable *callable, bool through_argument);
/* "no tensor" or "not all its tensors": what a partial callable is given. */
const char *callable_tensors(const Callable *callable);
/* Sorts arguments to parameters. False after an error. *partial: a tensor is left for later. */
bool bind_arguments(Call *call, const AstExpr *expr, const Callable *callable, Value *values, Slot *slots, bool *partial);
bool bind_patterns(Call *callee, Call *caller, Slot *slots, Place place);
bool bind_defaults(Call *callee, Slot *slots);
bool check_results(Call *callee, Value *results, int count, Place place);
const char *arguments_text(Expander *expander, const Block *block, const Slot *slots, bool all);
void frame_values(Call *call);
Frame *frame_new(Expander *expander, Frame *up, const char *block, const char *path, const char *text, const CallNote *note, Place at);

void execute_body(Call *call, const AstBody *body);

const char *path_join(Arena *arena, const char *prefix, const char *rest);
/* The path of `@ …` below the call's own; NULL after an error. */
const char *path_resolve(Call *call, const AstPath *path);
void parameter_statement(Call *call, const AstStatement *statement);
void input_statement(Call *call, const AstStatement *statement);
void output_port(Call *call, const AstStatement *statement, Value value);
void binding_size(Call *call, const char *name, int64_t size, const Origin *origin, Place place);

/* --- origins --------------------------------------------------------------------------------------------------------- */

Origin *origin_new(Call *call, OriginKind kind, const char *size, const char *text, const AstExpr *expr, Place place, const Origin *from);
/* The origin of the first size named in an expression, or NULL. */
const Origin *origin_of_names(Call *call, const AstExpr *expr);
/* The axes of a result in the words of the caller. */
const Origin **origin_outward(Arena *arena, const Origin **axes, int rank, int depth);
const char *origin_place(Arena *arena, Place place, const Source *near); /* "4:20", "std/dense.gm:4:20" */
const char *shape_text(Arena *arena, const AstShape *shape);

bool expand_model(Expander *expander, Block *model);

#endif
