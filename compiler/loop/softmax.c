/* Powers that a sum of at least 1 divides: exp(x - max x) of a softmax, and that sum.
 * In: an exp of the equation at hand, or what it divides by.  Out: whether it is one of those. Powers below 2^-126 change nothing in
 * the sum or in what it divides, but processors take a hundred times as long to multiply by them: they may be 0. exp elsewhere keeps its denormals. */
#include "loop/lowering.h"

#include "equation/equation.h"

static const Equation *writer_in_kernel(const Lowering *l, const Tensor *tensor)
{
    const Kernel *kernel = l->kernel->kernel;
    for (int k = 0; k < kernel->equations.count; k++)
        if (kernel->equations.data[k]->result == tensor) return kernel->equations.data[k];
    return NULL;
}

static bool reduces(const Equation *equation, Reduction reduction, const Tensor *tensor)
{
    const Expr *reduce = equation ? find_reduce(equation->value) : NULL;
    return reduce && reduce->reduction == reduction && reduce->args[0]->kind == EXPR_READ && reduce->args[0]->tensor == tensor;
}

static bool computes_power(const Lowering *l, const Equation *equation)
{
    const Kernel *kernel = l->kernel->kernel;
    const Expr *expr = equation->value;
    if (expr->kind != EXPR_APPLY || expr->function != FN_EXP || equation->result->output_name) return false;
    const Expr *difference = expr->args[0];
    if (difference->kind != EXPR_APPLY || difference->function != FN_SUB) return false;
    const Expr *x = difference->args[0], *most = difference->args[1];
    if (x->kind != EXPR_READ || most->kind != EXPR_READ) return false;
    const Equation *peak = writer_in_kernel(l, most->tensor);
    if (!reduces(peak, REDUCE_MAX, x->tensor) || peak->value->kind != EXPR_REDUCE) return false;
    for (int k = 0; k < kernel->equations.count; k++)
        if (reduces(kernel->equations.data[k], REDUCE_SUM, equation->result)) return true;
    return false;
}

static bool is_scratch(const Tensor *tensor)
{
    return tensor_layout(tensor)->storage == STORE_NONE;
}

/* e / z */
static bool computes_share(const Lowering *l, const Expr *value, const Tensor *power)
{
    bool divides = value->kind == EXPR_APPLY && value->function == FN_DIV && value->args[0]->kind == EXPR_READ;
    return divides && value->args[0]->tensor == power && is_softmax_sum(l, value->args[1]) && expr_read_count(value, power) == 1;
}

/* Whether a NaN among what is compared reaches every result by way of the sum: then the largest needn't say so. */
bool is_softmax_peak(const Lowering *l, const Expr *reduce)
{
    const Kernel *kernel = l->kernel->kernel;
    const Tensor *peak = l->equation->result, *power = NULL;
    if (l->equation->value != reduce || reduce->reduction != REDUCE_MAX || !is_scratch(peak)) return false;
    for (int k = 0; k < kernel->equations.count; k++) {
        const Equation *equation = kernel->equations.data[k];
        if (expr_read_count(equation->value, peak) == 0) continue;
        if (power || !computes_power(l, equation) || !is_scratch(equation->result)) return false;
        power = equation->result;
    }
    for (int k = 0; power && k < kernel->equations.count; k++) {
        const Expr *value = kernel->equations.data[k]->value;
        bool sums = reduces(kernel->equations.data[k], REDUCE_SUM, power) && value->kind == EXPR_REDUCE;
        if (expr_read_count(value, power) > 0 && !sums && !computes_share(l, value, power)) return false;
    }
    return power;
}

bool is_softmax_power(const Lowering *l, const Expr *expr)
{
    return expr == l->equation->value && computes_power(l, l->equation);
}

bool is_softmax_sum(const Lowering *l, const Expr *expr)
{
    const Equation *sum = expr->kind == EXPR_READ ? writer_in_kernel(l, expr->tensor) : NULL;
    const Expr *reduce = sum && sum->value->kind == EXPR_REDUCE ? sum->value : NULL;
    bool sums = reduce && reduce->reduction == REDUCE_SUM && reduce->args[0]->kind == EXPR_READ;
    const Equation *power = sums ? writer_in_kernel(l, reduce->args[0]->tensor) : NULL;
    return power && computes_power(l, power);
}
