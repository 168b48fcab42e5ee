/* What may be computed several lanes at a time.
 * In: an expr and the index along which vectors would run.  Out: whether, and how many reads would have to be gathered lane by lane. */
#include "loop/lowering.h"

#include "equation/index.h"
#include "loop/approximate.h"

/* Integers in lanes are held as f32: exact up to here. */
#define EXACT_LIMIT (1 << 22)

typedef struct {
    Lowering *l;
    const Index *index;
    uint64_t bit;
    int gathers;
    LIST(const Expr *) seen;
} Search;

static bool search(Search *s, const Expr *expr);

static bool is_exact(const Expr *expr)
{
    int64_t low = 0, high = 0;
    return index_range(expr, &low, &high) && low >= -EXACT_LIMIT && high <= EXACT_LIMIT;
}

static bool search_read(Search *s, const Expr *expr)
{
    Lowering *l = s->l;
    int64_t stride = 0;
    for (int axis = 0; axis < expr->count; axis++)
        if (node_info(l, expr->args[axis])->data && (node_info(l, expr->args[axis])->deps & s->bit)) return false;
    bool plain = read_stride(l, expr, s->index, &stride) && (stride == 0 || stride == 1);
    if (!plain || (stride == 1 && element_type_is_integer(expr->tensor->type))) {
        s->gathers++;
        return !node_info(l, expr)->data;
    }
    if (!expr->otherwise) return true;
    l->unproved++;
    bool possible = search(s, expr->otherwise);
    l->unproved--;
    return possible;
}

static bool search_apply(Search *s, const Expr *expr)
{
    Lowering *l = s->l;
    bool flag = function_table[expr->function].kind == FUNCTION_FLAG;
    bool logic = expr->function == FN_AND || expr->function == FN_OR || expr->function == FN_NOT;
    if (expr->function == FN_WHERE && (node_info(l, expr->args[0])->deps & s->bit) &&
        (node_info(l, expr->args[1])->data || node_info(l, expr->args[2])->data))
        return false;
    if (expr->integer && !flag) {
        if (!is_exact(expr)) return false;
        for (int k = expr->function == FN_WHERE; k < expr->count; k++)
            if (!is_exact(expr->args[k])) return false;
    }
    /* Conversion keeps order: one exact side is enough. */
    bool whole = flag && !logic && expr->args[0]->integer && expr->args[1]->integer;
    if (whole && !is_exact(expr->args[0]) && !is_exact(expr->args[1])) return false;
    for (int k = 0; k < expr->count; k++)
        if (!search(s, expr->args[k])) return false;
    return true;
}

static bool search(Search *s, const Expr *expr)
{
    if (!(node_info(s->l, expr)->deps & s->bit)) return true;
    for (int k = 0; k < s->seen.count; k++)
        if (s->seen.data[k] == expr) return true;
    list_push(s->l->arena, &s->seen, expr);
    switch (expr->kind) {
    case EXPR_NUMBER: return true;
    case EXPR_INDEX: return expr->index->extent <= EXACT_LIMIT;
    case EXPR_READ: return search_read(s, expr);
    case EXPR_APPLY: return search_apply(s, expr);
    case EXPR_REDUCE: return !expr->integer;
    }
    return false;
}

int vector_cost(Lowering *l, const Expr *expr, const Index *index)
{
    Search s = {.l = l, .index = index, .bit = index_bit(l, index)};
    return search(&s, expr) ? s.gathers : -1;
}

bool calls_functions(Lowering *l, const Expr *expr)
{
    if (expr->kind == EXPR_READ) return expr->otherwise && calls_functions(l, expr->otherwise);
    if (expr->kind == EXPR_REDUCE) return false;
    if (expr->kind == EXPR_APPLY && approximate_exists(expr->function)) return true;
    for (int k = 0; k < expr->count; k++)
        if (calls_functions(l, expr->args[k])) return true;
    return false;
}

bool result_is_dense(Lowering *l, const Index *index)
{
    const Equation *equation = l->equation;
    const Access *access = find_access(l, equation->result);
    int64_t stride = 0;
    if (equation->result->type != TYPE_F32) return false;
    for (int axis = 0; axis < equation->rank; axis++) {
        Linear linear;
        if (!index_linear(equation->subscripts[axis], &linear)) return false;
        stride += linear_coefficient(&linear, index) * access->strides[axis];
    }
    return stride == 1;
}
