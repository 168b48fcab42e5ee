/* What passes share: who writes and reads a tensor, rewriting of expr graphs, and the substitution of a producer into its reader.
 * In: a module.  Out: changed equations; each pass decides where a change is worth it. */
#ifndef GM_PASSES_REWRITE_H
#define GM_PASSES_REWRITE_H

#include "equation/equation.h"

/* --- writers and readers ------------------------------------------------------------------------------------------ */
typedef struct {
    Equation *writer;         /* the first */
    int writers;
    LIST(Equation *) readers; /* each once */
} TensorLinks;

typedef struct {
    Arena *arena;
    int count;
    TensorLinks *tensors;     /* by tensor id; of tensors that were there when the links were made */
} Links;
Links *links_new(Arena *arena, const Module *module);
void links_add_reader(Links *links, Equation *equation);
void links_remove_reader(Links *links, Equation *equation);
/* The only writer of a local tensor that nothing outside needs, or NULL. */
Equation *sole_producer(const Links *links, const Tensor *tensor);

/* --- graphs ------------------------------------------------------------------------------------------------------- */
/* Rebuilds a graph from its leaves: `change` sees every node once, its children already rewritten, and returns it or another.
 * Nodes that stay and whose children stay are kept, sharing is kept. */
typedef Expr *ChangeNode(Module *module, Expr *node, void *context);
Expr *expr_rewrite(Module *module, Expr *expr, ChangeNode *change, void *context);
int expr_size(const Expr *expr);                 /* nodes */
int count_reductions(const Expr *expr);
const Expr *find_reduction(const Expr *expr);    /* the only one, or NULL */
bool is_weight_only(const Expr *expr);           /* reads nothing but weights, constants and packed tensors */
bool has_data_subscripts(const Expr *expr);      /* some read in it has a data-dependent subscript */
bool has_inexact_reads(const Expr *expr);        /* some read has a subscript that is no linear form, or an otherwise */
Expr *expr_real(Module *module, Expr *expr);     /* the same value as a real one */
/* Reads that are not proved inside get `otherwise` 0: for what is moved away from the condition that made them safe. */
Expr *guard_reads(Module *module, Expr *expr);
int64_t free_points(const Equation *equation);
/* The largest number of times any element of `tensor` is asked for, in combinations: free points, times reduced ones below a reduction. */
int64_t read_points(const Equation *equation, const Tensor *tensor);

/* --- drafts: a changed equation that may still be dropped ----------------------------------------------------------- */
typedef struct {
    Module *module;
    Equation *equation;
    Expr *value;
    Expr *subscripts[MAX_RANK];
    int free_count;
    Index *free[MAX_RANK * 2];
} Draft;
Draft draft_of(Module *module, Equation *equation);
void draft_commit(const Draft *draft);
/* Replaces every read of the producer's result by its value. False: some read can't be replaced (it has an otherwise, a
 * data-dependent subscript, or the producer's left side is no exact mixed radix). */
bool draft_inline(Draft *draft, const Equation *producer);
/* The producer's free indices in terms of the subscripts of a read of its result (MAX_RANK * 2 of them at most); false: no exact mixed radix. */
bool read_indices(Module *module, const Equation *producer, const Expr *read, Substitution *map, int *count);
/* Splits indices that are used through // and % so that addresses become linear, and simplifies. */
void draft_split(Draft *draft);

/* --- parts: an expr of an equation that gets a tensor of its own ----------------------------------------------------- */
typedef struct {
    Expr *read;         /* stands for the part in its equation; NULL: it depends on more than MAX_RANK indices */
    Equation *equation; /* computes it; the caller places it before its reader */
} Part;
/* Over those of the indices in `scope` that the part uses, in that order. */
Part part_new(Module *module, const Equation *user, const char *name, ElementType type, Expr *part, Index *const *scope, int scope_count);
/* The same, computed when weights are packed. Reads that left the condition that made them safe are guarded. */
Part part_packed(Module *module, const Equation *user, Expr *part, Index *const *scope, int scope_count);

/* Reads through the views that `reader` reads, where that makes no address harder. */
void read_through(Module *module, Links *links, Equation *reader);
/* Removes equations whose results reach no output. */
void remove_dead(Module *module);
/* "NAME.WORD", unique in the module. */
const char *tensor_name(Module *module, const Tensor *of, const char *word);

#endif
