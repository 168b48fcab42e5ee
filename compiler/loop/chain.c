/* Chains of element functions in one variable: gelu, silu, whatever a user writes.
 * In: exprs of an equation.  Out: chains, evaluated in double by the meanings of functions.def.  What approximates them is left to
 * fit.c; no chain is known by name. */
#include "loop/chain.h"

#include "loop/approximate.h"

#include <string.h>

/* --- variables ----------------------------------------------------------------------------------------------------- */
enum { MOST_VISITED = 4 * MOST_CHAIN };

typedef struct {
    const Expr *barrier; /* counts as a variable itself; NULL: none */
    int count;
    const Expr *exprs[MOST_VISITED], *variables[MOST_VISITED];
    bool overflow;
} Search;

static bool is_step(const Expr *expr)
{
    return expr->kind == EXPR_APPLY && (!expr->integer || function_table[expr->function].kind == FUNCTION_FLAG);
}

/* The one variable of an expr; the expr itself where there are several; NULL: none. */
static const Expr *variable_of(Search *search, const Expr *expr)
{
    if (expr->kind == EXPR_NUMBER) return NULL;
    if (!is_step(expr) || expr == search->barrier) return expr;
    for (int k = 0; k < search->count; k++)
        if (search->exprs[k] == expr) return search->variables[k];
    const Expr *variable = NULL;
    for (int k = 0; k < expr->count && variable != expr; k++) {
        const Expr *part = variable_of(search, expr->args[k]);
        if (!part || part == variable) continue;
        variable = variable ? expr : part;
    }
    if (search->count == MOST_VISITED) {
        search->overflow = true;
        return expr;
    }
    search->exprs[search->count] = expr;
    search->variables[search->count++] = variable;
    return variable;
}

int chain_variables(const Expr *root, const Expr **variables, int most)
{
    Search first = {0};
    const Expr *innermost = variable_of(&first, root);
    if (!innermost || innermost == root || innermost->integer || first.overflow || most < 1) return 0;
    int count = 0;
    variables[count++] = innermost;
    /* Visited in order of computation: a later one encloses the earlier ones. */
    for (int k = 0; k < first.count && count < most; k++) {
        const Expr *candidate = first.exprs[k];
        if (candidate == root || candidate == innermost || candidate->integer || first.variables[k] != innermost) continue;
        Search again = {.barrier = candidate};
        if (variable_of(&again, root) == candidate && !again.overflow) variables[count++] = candidate;
    }
    return count;
}

/* --- making -------------------------------------------------------------------------------------------------------- */
typedef struct {
    Chain *chain;
    const Expr *variable;
    const Expr *exprs[MOST_CHAIN]; /* by node */
} Maker;

/* The node of an expr; -1: no room. */
static int make(Maker *maker, const Expr *expr)
{
    Chain *chain = maker->chain;
    int args[3] = {-1, -1, -1};
    for (int k = 0; k < chain->count; k++)
        if (maker->exprs[k] == expr) return k;
    bool apply = expr != maker->variable && expr->kind == EXPR_APPLY;
    for (int k = 0; apply && k < expr->count; k++)
        if ((args[k] = make(maker, expr->args[k])) < 0) return -1;
    if (chain->count == MOST_CHAIN) return -1;
    int node = chain->count++;
    maker->exprs[node] = expr;
    chain->nodes[node].kind = expr == maker->variable ? CHAIN_VARIABLE : apply ? CHAIN_APPLY : CHAIN_NUMBER;
    chain->nodes[node].function = apply ? expr->function : FN_ADD;
    chain->nodes[node].number = chain->nodes[node].kind == CHAIN_NUMBER ? expr->number : 0;
    memcpy(chain->nodes[node].args, args, sizeof args);
    return node;
}

bool chain_make(const Expr *root, const Expr *variable, Chain *chain)
{
    memset(chain, 0, sizeof *chain);
    Maker maker = {.chain = chain, .variable = variable};
    return make(&maker, root) >= 0;
}

void chain_of_function(Function function, Chain *chain)
{
    memset(chain, 0, sizeof *chain);
    chain->count = 2;
    chain->nodes[0].kind = CHAIN_VARIABLE;
    chain->nodes[1].kind = CHAIN_APPLY;
    chain->nodes[1].function = function;
    for (int k = 0; k < 3; k++) chain->nodes[0].args[k] = chain->nodes[1].args[k] = -1;
    chain->nodes[1].args[0] = 0;
}

/* --- what is asked of them ----------------------------------------------------------------------------------------- */
double chain_value(const Chain *chain, double x)
{
    double values[MOST_CHAIN];
    for (int k = 0; k < chain->count; k++) {
        const int *args = chain->nodes[k].args;
        double a[3] = {0};
        switch (chain->nodes[k].kind) {
        case CHAIN_VARIABLE: values[k] = x; break;
        case CHAIN_NUMBER: values[k] = chain->nodes[k].number; break;
        case CHAIN_APPLY:
            for (int i = 0; i < 3; i++) a[i] = args[i] < 0 ? 0 : values[args[i]];
            values[k] = function_evaluate(chain->nodes[k].function, a[0], a[1], a[2]);
            break;
        }
    }
    return values[chain->count - 1];
}

bool chain_equal(const Chain *a, const Chain *b)
{
    if (a->count != b->count) return false;
    for (int k = 0; k < a->count; k++) {
        if (a->nodes[k].kind != b->nodes[k].kind || a->nodes[k].function != b->nodes[k].function) return false;
        if (memcmp(&a->nodes[k].number, &b->nodes[k].number, sizeof(double)) != 0) return false;
        if (memcmp(a->nodes[k].args, b->nodes[k].args, sizeof a->nodes[k].args) != 0) return false;
    }
    return true;
}

static int function_cost(Function function)
{
    switch (function) {
    case FN_EXP: return 16;
    case FN_LOG: return 25;
    case FN_LOG1P: return 45;
    case FN_SIN: case FN_COS: return 55;
    case FN_TANH: case FN_ERF: return 24;
    case FN_SIGMOID: return 32;
    case FN_POW: return 120;
    case FN_RSQRT: return 24;
    case FN_DIV: case FN_SQRT: return 12;
    case FN_MOD: case FN_FLOORDIV: return 14;
    case FN_ADD: case FN_SUB: case FN_MUL: case FN_NEG: case FN_MIN: case FN_MAX: case FN_ABS: case FN_LT: case FN_GT: case FN_LE:
    case FN_GE: case FN_EQ: case FN_NE: case FN_AND: case FN_OR: case FN_NOT: case FN_WHERE: case FN_FLOOR: case FN_ROUND:
    case FUNCTION_COUNT: break;
    }
    return 1;
}

static bool is_affine(const Chain *chain, int node)
{
    const int *args = chain->nodes[node].args;
    switch ((int)chain->nodes[node].function) {
    case FN_ADD: case FN_SUB: case FN_NEG: return true;
    case FN_MUL: return chain->nodes[args[0]].kind == CHAIN_NUMBER || chain->nodes[args[1]].kind == CHAIN_NUMBER;
    case FN_DIV: return chain->nodes[args[1]].kind == CHAIN_NUMBER;
    default: return false;
    }
}

bool chain_is_composed(const Chain *chain)
{
    int calls = 0, bent = 0;
    for (int k = 0; k < chain->count; k++) {
        if (chain->nodes[k].kind != CHAIN_APPLY) continue;
        calls += approximate_exists(chain->nodes[k].function);
        bent += !is_affine(chain, k);
    }
    return calls > 0 && bent > 1;
}

int chain_cost(const Chain *chain)
{
    int cost = 0;
    for (int k = 0; k < chain->count; k++)
        if (chain->nodes[k].kind == CHAIN_APPLY) cost += function_cost(chain->nodes[k].function);
    return cost;
}

/* --- printing ------------------------------------------------------------------------------------------------------ */
enum { LONGEST_TEXT = 200 };

static void print_node(const Chain *chain, int node, Text *out)
{
    if (out->length > LONGEST_TEXT) {
        text_add(out, "...");
        return;
    }
    if (chain->nodes[node].kind != CHAIN_APPLY) {
        if (chain->nodes[node].kind == CHAIN_VARIABLE) text_add(out, "x");
        else text_printf(out, "%.9g", chain->nodes[node].number);
        return;
    }
    const FunctionInfo *info = &function_table[chain->nodes[node].function];
    const int *args = chain->nodes[node].args;
    bool sign = info->arity == 2 && strchr("+-*/%<>=!&|", info->name[0]);
    text_printf(out, "%s(", sign ? "" : info->name);
    for (int k = 0; k < info->arity; k++) {
        if (k > 0 && sign) text_printf(out, " %s ", info->name);
        else if (k > 0) text_add(out, ", ");
        print_node(chain, args[k], out);
    }
    text_add(out, ")");
}

void chain_print(const Chain *chain, Text *out)
{
    print_node(chain, chain->count - 1, out);
}
