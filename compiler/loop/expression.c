/* Equation exprs → values. Every node is computed at the outermost open scope that knows what it needs; a node with several parents
 * is computed once.
 * In: exprs whose indices are bound (scope.c).  Out: values; statements for what is shared or hoisted.  Reads are address.c's. */
#include "loop/lowering.h"

#include "loop/approximate.h"
#include "support/bug.h"

#include <math.h>

static bool is_vector(const Value *value)
{
    return value->type == VALUE_VECTOR || value->type == VALUE_MASK;
}

/* --- conversions --------------------------------------------------------------------------------------------------- */
Lowered to_real(Lowering *l, Lowered x)
{
    Builder *build = l->build;
    int64_t whole = 0;
    if (value_is_int(x.value, &whole)) x.value = build_number(build, VALUE_FLOAT, (double)whole);
    else if (x.value->type == VALUE_INT) x.value = build_op(build, OP_TO_FLOAT, x.value, NULL, NULL);
    else if (x.value->type == VALUE_FLAG || x.value->type == VALUE_MASK) {
        ValueType type = x.value->type == VALUE_MASK ? VALUE_VECTOR : VALUE_FLOAT;
        x.value = build_op(build, OP_SELECT, x.value, build_number(build, type, 1), build_number(build, type, 0));
    }
    return x;
}

Lowered to_vector(Lowering *l, Lowered x)
{
    x = to_real(l, x);
    x.value = build_splat(l->build, x.value);
    return x;
}

Lowered to_int(Lowering *l, Lowered x)
{
    Builder *build = l->build;
    if (x.value->type == VALUE_FLAG) x.value = build_op(build, OP_SELECT, x.value, build_int(build, 1), build_int(build, 0));
    if (x.value->type != VALUE_INT) bug("lowering %s: an integer that is %s", l->kernel->kernel->name, value_type_name(x.value->type));
    return x;
}

static Lowered to_condition(Lowering *l, Lowered x, bool vector)
{
    Builder *build = l->build;
    ValueType type = x.value->type;
    if (type == VALUE_INT) x.value = build_op(build, OP_NE, x.value, build_int(build, 0), NULL);
    else if (type == VALUE_FLOAT || type == VALUE_VECTOR) x.value = build_op(build, OP_NE, x.value, build_number(build, type, 0), NULL);
    if (vector && x.value->type == VALUE_FLAG) x.value = build_op(build, OP_SPLAT_FLAG, x.value, NULL, NULL);
    return x;
}

int settle_operands(Lowering *l, Lowered *operands, int count)
{
    int level = 0;
    for (int k = 0; k < count; k++)
        if (operands[k].level > level) level = operands[k].level;
    for (int k = 0; k < count; k++)
        if (operands[k].level < level) operands[k] = scope_settle(l, operands[k], is_vector(operands[k].value) ? "v" : "t");
    for (int k = 0; k < count; k++)
        if (operands[k].level > level) level = operands[k].level;
    return level;
}

/* --- functions ----------------------------------------------------------------------------------------------------- */
Value *build_extreme(Builder *build, bool min, Value *a, Value *b)
{
    Op op = min ? OP_MIN : OP_MAX;
    if (a->type == VALUE_INT) return build_op(build, op, a, b, NULL);
    /* MIN and MAX give their second operand when one is NaN: right as it is when the first is a number. */
    if (a->op == OP_NUMBER && !isnan(a->number)) return build_op(build, op, a, b, NULL);
    if (b->op == OP_NUMBER && !isnan(b->number)) return build_op(build, op, b, a, NULL);
    return build_op(build, OP_SELECT, build_op(build, OP_NE, a, a, NULL), a, build_op(build, op, a, b, NULL));
}

/* Floor of a / b, and what is left, of reals. */
static Value *real_division(Lowering *l, Function function, Value *a, Value *b)
{
    Builder *build = l->build;
    Value *quotient = build_op(build, OP_FLOOR, build_op(build, OP_DIV, a, b, NULL), NULL, NULL);
    return function == FN_FLOORDIV ? quotient : build_sub(build, a, build_mul(build, b, quotient));
}

/* x^b for the constants that products say exactly or better. NULL: none of those. */
static Value *constant_power(Lowering *l, Value *x, const Expr *exponent)
{
    if (exponent->kind != EXPR_NUMBER || !value_is_leaf(x)) return NULL;
    if (exponent->number == 1) return x;
    if (exponent->number == 2) return build_mul(l->build, x, x);
    if (exponent->number == 3) return build_mul(l->build, build_mul(l->build, x, x), x);
    if (exponent->number == -1) return build_op(l->build, OP_DIV, build_number(l->build, x->type, 1), x, NULL);
    return NULL;
}

static Value *build_real(Lowering *l, const Expr *expr, Value *a, Value *b)
{
    Builder *build = l->build;
    switch (expr->function) {
    case FN_ADD: return build_add(build, a, b);
    case FN_SUB: return build_sub(build, a, b);
    case FN_MUL: return build_mul(build, a, b);
    case FN_DIV: return build_op(build, OP_DIV, a, b, NULL);
    case FN_FLOORDIV: case FN_MOD: return real_division(l, expr->function, a, b);
    case FN_NEG: return build_op(build, OP_NEG, a, NULL, NULL);
    case FN_MIN: case FN_MAX: return build_extreme(build, expr->function == FN_MIN, a, b);
    case FN_ABS: return build_op(build, OP_ABS, a, NULL, NULL);
    case FN_SQRT: return build_op(build, OP_SQRT, a, NULL, NULL);
    case FN_RSQRT: return build_op(build, OP_DIV, build_number(build, a->type, 1), build_op(build, OP_SQRT, a, NULL, NULL), NULL);
    case FN_FLOOR: return build_op(build, OP_FLOOR, a, NULL, NULL);
    case FN_ROUND: return build_op(build, OP_ROUND, a, NULL, NULL);
    case FN_POW: {
        Value *power = constant_power(l, a, expr->args[1]);
        return power ? power : build_call(build, FN_POW, a, b);
    }
    case FN_EXP: case FN_LOG: case FN_LOG1P: case FN_SIN: case FN_COS: case FN_TANH: case FN_SIGMOID: case FN_ERF:
        return build_call(build, expr->function, a, NULL);
    case FN_LT: case FN_GT: case FN_LE: case FN_GE: case FN_EQ: case FN_NE: case FN_AND: case FN_OR: case FN_NOT: case FN_WHERE:
    case FUNCTION_COUNT: break;
    }
    bug("lowering: %s of reals", function_table[expr->function].name);
}

static Value *build_integer(Lowering *l, Function function, Value *a, Value *b)
{
    Builder *build = l->build;
    switch ((int)function) {
    case FN_ADD: return build_add(build, a, b);
    case FN_SUB: return build_sub(build, a, b);
    case FN_MUL: return build_mul(build, a, b);
    case FN_FLOORDIV: return build_op(build, OP_FLOORDIV, a, b, NULL);
    case FN_MOD: return build_op(build, OP_MOD, a, b, NULL);
    case FN_NEG: return build_op(build, OP_NEG, a, NULL, NULL);
    case FN_MIN: return build_op(build, OP_MIN, a, b, NULL);
    case FN_MAX: return build_op(build, OP_MAX, a, b, NULL);
    case FN_ABS: return build_op(build, OP_ABS, a, NULL, NULL);
    default: bug("lowering: %s of integers", function_table[function].name);
    }
}

static Lowered lower_comparison(Lowering *l, const Expr *expr, bool along)
{
    Lowered x[2] = {lower_expr(l, expr->args[0]), lower_expr(l, expr->args[1])};
    bool whole = expr->args[0]->integer && expr->args[1]->integer && !along;
    for (int k = 0; k < 2; k++) x[k] = whole ? to_int(l, x[k]) : along ? to_vector(l, x[k]) : to_real(l, x[k]);
    int level = settle_operands(l, x, 2);
    bool swapped = expr->function == FN_GT || expr->function == FN_GE;
    Op op = expr->function == FN_LT || expr->function == FN_GT ? OP_LT
            : expr->function == FN_LE || expr->function == FN_GE ? OP_LE
            : expr->function == FN_EQ ? OP_EQ : OP_NE;
    return (Lowered){build_op(l->build, op, x[swapped].value, x[!swapped].value, NULL), level};
}

static Lowered lower_logic(Lowering *l, const Expr *expr, bool along)
{
    Lowered x[2] = {{0}, {0}};
    for (int k = 0; k < expr->count; k++) x[k] = to_condition(l, lower_expr(l, expr->args[k]), along);
    int level = settle_operands(l, x, expr->count);
    Op op = expr->function == FN_AND ? OP_AND : expr->function == FN_OR ? OP_OR : OP_NOT;
    return (Lowered){build_op(l->build, op, x[0].value, x[1].value, NULL), level};
}

/* A branch of `where` in which data-dependent subscripts count only when it is taken. */
static Lowered lower_branch(Lowering *l, const Expr *branch, Lowered condition, bool taken_when)
{
    if (!node_info(l, branch)->data || condition.value->type != VALUE_FLAG) return lower_expr(l, branch);
    Lowered outer = l->guard;
    if (!taken_when) condition.value = build_op(l->build, OP_NOT, condition.value, NULL, NULL);
    if (outer.value) {
        condition.value = build_op(l->build, OP_AND, outer.value, condition.value, NULL);
        if (outer.level > condition.level) condition.level = outer.level;
    }
    l->guard = scope_settle(l, condition, "taken");
    Lowered result = lower_expr(l, branch);
    l->guard = outer;
    return result;
}

static Lowered lower_where(Lowering *l, const Expr *expr, bool along)
{
    Lowered x[3];
    x[0] = to_condition(l, lower_expr(l, expr->args[0]), false);
    if (node_info(l, expr)->data) x[0] = scope_settle(l, x[0], "taken");
    x[1] = lower_branch(l, expr->args[1], x[0], true);
    x[2] = lower_branch(l, expr->args[2], x[0], false);
    for (int k = 1; k < 3; k++) x[k] = along ? to_vector(l, x[k]) : expr->integer ? to_int(l, x[k]) : to_real(l, x[k]);
    if (along) x[0] = to_condition(l, x[0], true);
    int level = settle_operands(l, x, 3);
    return (Lowered){build_op(l->build, OP_SELECT, x[0].value, x[1].value, x[2].value), level};
}

static Lowered lower_operand(Lowering *l, const Expr *expr, bool along)
{
    Lowered x = lower_expr(l, expr);
    return along ? to_vector(l, x) : to_real(l, x);
}

/* The function that a chain of element functions in one variable was fitted as, -1: it is none. */
enum { MOST_VARIABLES = 8 };
static int find_chain(const Lowering *l, const Expr *expr, const Expr **variable)
{
    const Expr *variables[MOST_VARIABLES];
    if (expr->integer) return -1;
    int count = chain_variables(expr, variables, MOST_VARIABLES);
    for (int k = 0; k < count; k++) {
        Chain chain;
        if (!chain_make(expr, variables[k], &chain) || !chain_is_composed(&chain)) continue;
        int function = fits_find(l->fits, &chain, l->target);
        if (function < 0) continue;
        if (variable) *variable = variables[k];
        return function;
    }
    return -1;
}

static bool lower_chain(Lowering *l, const Expr *expr, bool along, Lowered *result)
{
    const Expr *variable;
    int function = find_chain(l, expr, &variable);
    if (function < 0) return false;
    *result = lower_operand(l, variable, along);
    result->value = build_call(l->build, function, result->value, NULL);
    return true;
}

/* a * b + c, a * b - c, c - a * b, where the product has no other use and is not known further out than the sum. */
static bool lower_fused(Lowering *l, const Expr *expr, bool along, Lowered *result)
{
    if (expr->function != FN_ADD && expr->function != FN_SUB) return false;
    if (l->plan->reproducible) return false; /* what is known further out depends on the target */
    int which = -1;
    for (int k = 1; k >= 0; k--) {
        const Expr *product = expr->args[k];
        if (product->kind == EXPR_APPLY && product->function == FN_MUL && !product->integer && node_info(l, product)->uses == 1 && find_chain(l, product, NULL) < 0)
            which = k;
    }
    if (which < 0) return false;
    const Expr *product = expr->args[which];
    Lowered x[3] = {lower_operand(l, product->args[0], along), lower_operand(l, product->args[1], along),
                    lower_operand(l, expr->args[!which], along)};
    Builder *build = l->build;
    int inner = x[0].level > x[1].level ? x[0].level : x[1].level;
    if (inner < x[2].level) {
        settle_operands(l, x, 2);
        Lowered y[2] = {{build_mul(build, x[0].value, x[1].value), inner}, x[2]};
        int level = settle_operands(l, y, 2);
        result->value = build_op(build, expr->function == FN_ADD ? OP_ADD : OP_SUB, y[which].value, y[!which].value, NULL);
        result->level = level;
        return true;
    }
    result->level = settle_operands(l, x, 3);
    if (expr->function == FN_SUB) {
        Value **negated = which == 0 ? &x[2].value : &x[0].value;
        *negated = build_op(build, OP_NEG, *negated, NULL, NULL);
    }
    result->value = build_op(build, OP_FMA, x[0].value, x[1].value, x[2].value);
    return true;
}

/* e / z of a softmax, along its row: z is 1 or more in a softmax proper, and 1 / z never overflows: e * (1 / z) differs by no more than
 * rounding; a vector's division takes as long as some thirty other operations. */
static bool lower_share(Lowering *l, const Expr *expr, bool along, Lowered *result)
{
    if (!along || l->plan->reproducible || (node_info(l, expr->args[1])->deps & l->vector_bit) || !is_softmax_sum(l, expr->args[1])) return false;
    Builder *build = l->build;
    Lowered sum = to_real(l, lower_expr(l, expr->args[1]));
    sum.value = build_op(build, OP_DIV, build_number(build, VALUE_FLOAT, 1), sum.value, NULL);
    Lowered x[2] = {lower_operand(l, expr->args[0], along), to_vector(l, scope_settle(l, sum, "share"))};
    result->level = settle_operands(l, x, 2);
    result->value = build_mul(build, x[0].value, x[1].value);
    return true;
}

static Lowered lower_apply(Lowering *l, const Expr *expr)
{
    bool along = (node_info(l, expr)->deps & l->vector_bit) != 0;
    FunctionKind kind = function_table[expr->function].kind;
    Lowered fused;
    if (expr->function == FN_WHERE && lower_chain(l, expr, along, &fused)) return fused;
    if (expr->function == FN_WHERE) return lower_where(l, expr, along);
    if (expr->function == FN_AND || expr->function == FN_OR || expr->function == FN_NOT) return lower_logic(l, expr, along);
    if (kind == FUNCTION_FLAG) return lower_comparison(l, expr, along);
    if (lower_chain(l, expr, along, &fused)) return fused;
    if (!expr->integer && lower_fused(l, expr, along, &fused)) return fused;
    if (expr->function == FN_DIV && lower_share(l, expr, along, &fused)) return fused;
    Lowered x[2] = {{0}, {0}};
    bool whole = expr->integer && !along;
    for (int k = 0; k < expr->count; k++) {
        x[k] = lower_expr(l, expr->args[k]);
        x[k] = whole ? to_int(l, x[k]) : along ? to_vector(l, x[k]) : to_real(l, x[k]);
        /* What is written twice is computed once. */
        bool twice = expr->function == FN_MIN || expr->function == FN_MAX || expr->function == FN_MOD || expr->function == FN_POW;
        if (twice && !whole) x[k] = scope_settle(l, x[k], along ? "v" : "t");
    }
    int level = settle_operands(l, x, expr->count);
    if (is_softmax_power(l, expr)) return (Lowered){build_call(l->build, SOFTMAX_POWER, x[0].value, NULL), level};
    Value *value = whole ? build_integer(l, expr->function, x[0].value, x[1].value) : build_real(l, expr, x[0].value, x[1].value);
    return (Lowered){value, level};
}

/* --- nodes --------------------------------------------------------------------------------------------------------- */
static Lowered lower_index(Lowering *l, const Index *index)
{
    const Binding *binding = scope_find(l, index);
    Lowered place = {build_add(l->build, binding->base, build_int(l->build, binding->offset)), binding->level};
    if (l->vector != index || !binding->vector) return place;
    Value *lanes = build_op(l->build, OP_LANES, NULL, NULL, NULL);
    place = to_vector(l, place);
    place.value = build_add(l->build, place.value, lanes);
    return place;
}

static Lowered lower_node(Lowering *l, const Expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER:
        if (expr->integer) return (Lowered){build_int(l->build, (int64_t)expr->number), 0};
        return (Lowered){build_number(l->build, VALUE_FLOAT, expr->number), 0};
    case EXPR_INDEX: return lower_index(l, expr->index);
    case EXPR_READ: return lower_read(l, expr);
    case EXPR_APPLY: return lower_apply(l, expr);
    case EXPR_REDUCE: break;
    }
    bug("lowering %s: a reduction that was not computed", l->kernel->kernel->name);
}

/* Trees stay readable: what is deeper than this gets a name. An address is as good as a name: a product of two elements must stay a product
 * for its sum to be fused with it. */
enum { DEEPEST_TREE = 5, DEPTH_OF_LOAD = 2 };
static int tree_depth(const Value *value)
{
    if (value->op == OP_LOAD || value->op == OP_LOAD_VECTOR || value->op == OP_LOAD_PART) return DEPTH_OF_LOAD;
    int deepest = 0;
    for (int k = 0; k < 4 && value->operands[k]; k++) {
        int depth = tree_depth(value->operands[k]);
        if (depth > deepest) deepest = depth;
    }
    return deepest + 1;
}

static const char *variable_name(const Lowering *l, const Expr *expr, const Value *value)
{
    if (expr->kind == EXPR_READ) return expr->tensor->name;
    if (expr->kind == EXPR_APPLY && function_table[expr->function].kind == FUNCTION_REAL && approximate_exists(expr->function))
        return arena_printf(l->arena, "%s_of", function_table[expr->function].name);
    return is_vector(value) ? "v" : "t";
}

Lowered lower_expr(Lowering *l, const Expr *expr)
{
    const NodeInfo *info = node_info(l, expr);
    const Lowered *known = scope_recall(l, expr);
    if (known) return *known;
    Lowered lowered = lower_node(l, expr);
    bool guarded = l->guard.value && info->data;
    if ((info->uses > 1 || tree_depth(lowered.value) > DEEPEST_TREE) && !value_is_leaf(lowered.value)) {
        const char *name = variable_name(l, expr, lowered.value);
        const char *dot = strrchr(name, '.');
        lowered = scope_settle(l, lowered, dot ? dot + 1 : name);
    }
    if (info->uses > 1 && !guarded) scope_remember(l, expr, lowered);
    return lowered;
}

Value *lower_real(Lowering *l, const Expr *expr)
{
    return to_real(l, lower_expr(l, expr)).value;
}

Value *lower_vector(Lowering *l, const Expr *expr)
{
    return to_vector(l, lower_expr(l, expr)).value;
}

void store_result(Lowering *l, Value *value)
{
    const Equation *equation = l->equation;
    Address address = element_address(l, equation->result, equation->subscripts, equation->rank);
    Lowered lowered = {value, scope_level(l)};
    if (element_type_is_integer(equation->result->type)) lowered = to_int(l, lowered);
    else lowered = l->vector && address.vector_stride == 1 ? to_vector(l, lowered) : to_real(l, lowered);
    build_store(l->build, find_access(l, equation->result)->buffer, address_value(l, &address), lowered.value, l->vector ? address.part : NULL);
}
