/* base * scale + shift; see affine.h. */
#include "passes/affine.h"

#include "equation/node_map.h"
#include "passes/rewrite.h"

/* --- arithmetic of parts, NULL being 1 or 0 --------------------------------------------------------------------------- */
static Expr *apply(Module *module, Function function, Expr *a, Expr *b)
{
    return expr_apply(module, function, a, b, NULL, a->place.source ? a->place : b ? b->place : a->place);
}

static Expr *times(Module *module, Expr *a, Expr *b)
{
    if (!a || !b) return a ? a : b;
    return apply(module, FN_MUL, a, b);
}

static Expr *plus(Module *module, Expr *a, Expr *b)
{
    if (!a || !b) return a ? a : b;
    return apply(module, FN_ADD, a, b);
}

static Expr *negative(Module *module, Expr *a)
{
    return a ? apply(module, FN_NEG, a, NULL) : NULL;
}

static Affine scaled(Module *module, Affine affine, Function function, Expr *by)
{
    Expr *one = expr_number(module, 1, false, by->place);
    affine.scale = function == FN_MUL ? times(module, affine.scale, by) : apply(module, function, affine.scale ? affine.scale : one, by);
    if (affine.shift) affine.shift = apply(module, function, affine.shift, by);
    return affine;
}

static Affine negated(Module *module, Affine affine)
{
    affine.scale = affine.scale ? negative(module, affine.scale) : expr_number(module, -1, false, affine.base->place);
    affine.shift = negative(module, affine.shift);
    return affine;
}

/* `function` of an affine value and a weight-only `other`, which is its second argument or its first. NULL base: not affine. */
static Affine combined(Module *module, Affine affine, Function function, Expr *other, bool second)
{
    if (function == FN_MUL || (function == FN_DIV && second)) return scaled(module, affine, function, other);
    if (function != FN_ADD && function != FN_SUB) return (Affine){0};
    if (function == FN_SUB && second) other = negative(module, other);
    if (function == FN_SUB && !second) affine = negated(module, affine);
    affine.shift = plus(module, affine.shift, other);
    return affine;
}

/* --- a value taken apart ---------------------------------------------------------------------------------------------- */
typedef struct {
    Module *module;
    bool shifts;
    bool alone; /* the node's value goes nowhere else: a reduction may be rebuilt */
} Taking;

static Affine take(Taking taking, Expr *expr);

/* The mean of x * s + t is the mean of x times s plus t where the sum doesn't run over s and t. */
static Affine take_sum(Taking taking, Expr *expr)
{
    Module *module = taking.module;
    Affine body = take(taking, expr->args[0]);
    double count = 1;
    for (int i = 0; i < expr->index_count; i++) {
        if ((body.scale && expr_uses(body.scale, expr->indices[i])) || (body.shift && expr_uses(body.shift, expr->indices[i]))) return (Affine){expr, NULL, NULL};
        count *= (double)expr->indices[i]->extent;
    }
    if (!body.scale && !body.shift) return (Affine){expr, NULL, NULL};
    body.base = expr_reduce(module, REDUCE_SUM, expr->index_count, expr->indices, expr_real(module, body.base), expr->place);
    if (body.shift) body.shift = apply(module, FN_MUL, body.shift, expr_number(module, count, false, expr->place));
    return body;
}

/* Both depend on data: factors of either come out of a product, those of the dividend out of a quotient. */
static Affine take_product(Taking taking, Expr *expr)
{
    taking.shifts = taking.alone = false;
    Affine a = take(taking, expr->args[0]), b = {expr->args[1], NULL, NULL};
    if (expr->function == FN_MUL) b = take(taking, b.base);
    if (!a.scale && !b.scale) return (Affine){expr, NULL, NULL};
    return (Affine){apply(taking.module, expr->function, a.base, b.base), times(taking.module, a.scale, b.scale), NULL};
}

static Affine take(Taking taking, Expr *expr)
{
    Affine whole = {expr, NULL, NULL};
    if (expr->kind == EXPR_REDUCE && expr->reduction == REDUCE_SUM && !expr->integer && taking.alone) return take_sum(taking, expr);
    if (expr->kind != EXPR_APPLY || expr->integer) return whole;
    Function function = expr->function;
    if (function == FN_NEG) return negated(taking.module, take(taking, expr->args[0]));
    if (function != FN_ADD && function != FN_SUB && function != FN_MUL && function != FN_DIV) return whole;
    bool sum = function == FN_ADD || function == FN_SUB, first = is_weight_only(expr->args[0]), second = is_weight_only(expr->args[1]);
    if (sum && (!taking.shifts || first == second)) return whole;
    if (!first && !second) return take_product(taking, expr);
    Affine result = combined(taking.module, take(taking, expr->args[first ? 1 : 0]), function, expr->args[first ? 0 : 1], second);
    return result.base ? result : whole;
}

Affine affine_of(Module *module, Expr *expr, bool shifts)
{
    if (is_weight_only(expr)) return (Affine){expr, NULL, NULL};
    return take((Taking){module, shifts, true}, expr);
}

/* --- what stands around a sum ------------------------------------------------------------------------------------------ */
typedef struct {
    const Expr *child;
    Expr *parent;
    int uses;
} ParentSearch;

static void search_parent(Expr *node, void *context)
{
    ParentSearch *search = context;
    for (int i = 0; i < node->count; i++) {
        if (node->args[i] != search->child) continue;
        search->parent = node;
        search->uses++;
    }
    if (node->otherwise == search->child) search->uses = 2;
}

/* NULL: none, or several. */
static Expr *only_parent(Expr *value, const Expr *child)
{
    ParentSearch search = {child, NULL, 0};
    expr_walk(value, search_parent, &search);
    return search.uses == 1 ? search.parent : NULL;
}

bool uses_no_more(const Expr *expr, const Expr *than, Index *const *scope, int scope_count)
{
    for (int i = 0; i < scope_count; i++)
        if (expr_uses(expr, scope[i]) && !expr_uses(than, scope[i])) return false;
    return true;
}

int64_t points_of(const Expr *expr, Index *const *scope, int scope_count)
{
    int64_t points = 1;
    for (int i = 0; i < scope_count; i++)
        if (expr_uses(expr, scope[i])) points *= scope[i]->extent;
    return points;
}

Around affine_around(Module *module, Expr *value, Expr *sum, const Expr *weights, Index *const *scope, int scope_count)
{
    Around around = {{sum, NULL, NULL}, sum, 0, NULL};
    for (;;) {
        Expr *parent = only_parent(value, around.top);
        if (!parent || parent->kind != EXPR_APPLY || parent->integer || parent->count > 2) return around;
        bool second = parent->count == 1 || parent->args[0] == around.top;
        Expr *other = parent->count == 1 ? NULL : parent->args[second ? 1 : 0];
        if (other && !is_weight_only(other)) return around;
        Affine next = other ? combined(module, around.affine, parent->function, other, second) : (Affine){0};
        if (parent->function == FN_NEG) next = negated(module, around.affine);
        if (!next.base) return around;
        bool sums = parent->function == FN_ADD || parent->function == FN_SUB;
        if (sums && around.affine.shift) {
            int64_t before = points_of(around.affine.shift, scope, scope_count), added = points_of(other, scope, scope_count);
            if (points_of(next.shift, scope, scope_count) > (before > added ? before : added)) return around;
        }
        if (!sums && !weights) return around;
        if (other && !sums && !uses_no_more(other, weights, scope, scope_count)) {
            around.stopped = other;
            return around;
        }
        around.affine = next;
        around.top = parent;
        around.shift_count += sums;
    }
}
