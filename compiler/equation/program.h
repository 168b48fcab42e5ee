/* Inside the reference evaluator: an equation compiled to loops over chunks of lanes.
 *
 * The free indices and the indices of every reduction become a tree of loops. Each node of the expr graph stands in the block of
 * the innermost loop it depends on, once, so that nothing is computed twice for the same combination. On every path at most one
 * loop, the vector loop, runs over chunks of LANES values at a time; a register that varies with it holds that many numbers.
 *
 * Every branch of a `where` and every `otherwise` is computed, and then selected; a read outside gives NaN there. `bad` lanes follow
 * clamped data-dependent reads through the graph, so that those which were not selected don't count. */
#ifndef GM_EQUATION_PROGRAM_H
#define GM_EQUATION_PROGRAM_H

#include "equation/equation.h"
#include "equation/evaluate.h"
#include "equation/index.h"

enum { LANES = 128 };

typedef struct {
    double *values;      /* LANES of them when it varies, else one */
    unsigned char *bad;  /* the same for lanes that come from a clamped read; NULL: there are none below this node */
    bool varies;
} Register;

typedef struct Loop Loop;
typedef struct {
    int64_t constant;
    int count;
    struct {
        const Loop *loop;
        int64_t coefficient;
    } terms[MAX_TERMS];
} Address;

typedef enum { OP_INDEX, OP_APPLY, OP_READ, OP_READ_CLIPPED, OP_READ_GENERAL, OP_REDUCE } OpKind;
typedef struct Op {
    OpKind kind;
    Register *result;
    Register *args[MAX_RANK];  /* APPLY: arguments; READ_GENERAL: subscripts */
    int count;
    const Loop *loop;          /* INDEX */
    Function function;         /* APPLY */
    const Tensor *tensor;      /* READ… */
    const double *values;      /* READ…: the tensor's, or NULL: ask the reader */
    Register *otherwise;       /* READ… */
    bool guarded;              /* READ…: below an otherwise or a branch, where reading outside is harmless */
    Address address;           /* READ, READ_CLIPPED: flat */
    Address *axes;             /* READ_CLIPPED: each subscript */
    bool data[MAX_RANK];       /* READ_GENERAL: clamped axes */
    Reduction reduction;       /* REDUCE */
    Loop *nest;                /* REDUCE: the outermost of its loops */
    Register *body;            /* REDUCE */
    int64_t points;            /* REDUCE: combinations of its indices */
} Op;

typedef LIST(Op *) Block;

struct Loop {
    const Index *index;
    int64_t begin, end;
    int depth;          /* from 1 */
    bool vector;
    const Loop *parent; /* the loop whose block this nest stands in; NULL: none */
    Loop *inner;        /* the next loop of the same nest, or NULL */
    Block block;        /* run for each value (vector: each chunk) before `inner` */
    int64_t at;         /* running: the value; vector: of the first lane */
};

typedef struct {
    Arena *arena;
    const Equation *equation;
    Block outer;        /* what depends on no index */
    Loop *nest;         /* the free indices; NULL when there are none */
    Register *value;
    Address store;      /* flat element of the result */
    TensorReader *reader;
    void *context;
    int lanes;          /* running: of the current chunk; 1 outside a vector loop */
    double *result;     /* running: the result tensor's values, or NULL: only `single` is wanted */
    double single;
    bool clamped;
} Program;

/* values: by tensor id, NULL to ask `reader`. at: NULL, or the one combination of free indices that is wanted. */
Program *program_compile(Arena *arena, const Equation *equation, double *const *values, const int64_t *at);
void program_run(Program *program);

#endif
