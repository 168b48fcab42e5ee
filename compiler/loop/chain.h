/* Chains: exprs that depend on one variable alone, as programs of their own. */
#ifndef GM_LOOP_CHAIN_H
#define GM_LOOP_CHAIN_H

#include "equation/equation.h"
#include "support/text.h"

enum { MOST_CHAIN = 48 };

/* Nodes in order of computation, the last one is the value. */
typedef struct {
    int count;
    struct {
        enum { CHAIN_VARIABLE, CHAIN_NUMBER, CHAIN_APPLY } kind;
        Function function; /* APPLY */
        int args[3];       /* APPLY: earlier nodes */
        double number;     /* NUMBER */
    } nodes[MOST_CHAIN];
} Chain;

/* The variables that `root` may be written in, innermost first: every path from root to a tensor or index leads through each.
 * Returns how many, at most `most`; 0: root is a number, or needs several. */
int chain_variables(const Expr *root, const Expr **variables, int most);
/* root as a function of one of its variables; false: too long. */
bool chain_make(const Expr *root, const Expr *variable, Chain *chain);
/* One element function alone. */
void chain_of_function(Function function, Chain *chain);
/* The chain's value in double. */
double chain_value(const Chain *chain, double x);
bool chain_equal(const Chain *a, const Chain *b);
/* Whether it is more than one function between affine steps, and calls one that is no single operation (exp, tanh). */
bool chain_is_composed(const Chain *chain);
int chain_cost(const Chain *chain);     /* vector instructions of computing it node by node, roughly */
void chain_print(const Chain *chain, Text *out);

#endif
