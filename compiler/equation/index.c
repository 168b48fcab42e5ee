/* Index arithmetic. Everything is decided on one form: an integer expr as a sum of coefficient * atom, where an atom is an index or
 * whatever isn't a sum itself ((h + 1) // 2, min(i, 3), a read). See index.h. */
#include "equation/index.h"

#include "equation/node_map.h"
#include "support/bug.h"

#include <math.h>
#include <string.h>

static const int64_t LIMIT = (int64_t)1 << 52; /* beyond it nothing is proved */

typedef struct {
    int64_t low, high;
} Range;

/* A sum of atoms; equal atoms are merged and zero coefficients dropped. */
typedef struct {
    int64_t constant;
    int count;
    const Expr *atoms[MAX_TERMS];
    int64_t coefficients[MAX_TERMS];
} Sum;

static bool range_of(const Expr *expr, Range *range);
static bool sum_range(const Sum *sum, Range *range);

static int64_t floor_divide(int64_t a, int64_t b)
{
    int64_t quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t floor_modulo(int64_t a, int64_t b)
{
    return a - b * floor_divide(a, b);
}

static bool within_limit(int64_t value)
{
    return value >= -LIMIT && value <= LIMIT;
}

static bool multiply(int64_t a, int64_t b, int64_t *product)
{
    return !__builtin_mul_overflow(a, b, product) && within_limit(*product);
}

/* --- sums --------------------------------------------------------------------------------------------------------- */
static bool same_atom(const Expr *a, const Expr *b)
{
    if (a->kind == EXPR_INDEX || b->kind == EXPR_INDEX) return a->kind == b->kind && a->index == b->index;
    return expr_equal(a, b);
}

static bool sum_add(Sum *sum, const Expr *atom, int64_t coefficient)
{
    if (coefficient == 0) return true;
    for (int i = 0; i < sum->count; i++) {
        if (!same_atom(sum->atoms[i], atom)) continue;
        sum->coefficients[i] += coefficient;
        if (sum->coefficients[i] == 0) {
            sum->count--;
            memmove(&sum->atoms[i], &sum->atoms[i + 1], (size_t)(sum->count - i) * sizeof *sum->atoms);
            memmove(&sum->coefficients[i], &sum->coefficients[i + 1], (size_t)(sum->count - i) * sizeof *sum->coefficients);
        }
        return true;
    }
    if (sum->count == MAX_TERMS) return false;
    sum->atoms[sum->count] = atom;
    sum->coefficients[sum->count++] = coefficient;
    return true;
}

static bool integer_number(const Expr *expr, int64_t *number)
{
    if (expr->kind != EXPR_NUMBER || !(fabs(expr->number) <= (double)LIMIT) || expr->number != floor(expr->number)) return false;
    *number = (int64_t)expr->number;
    return true;
}

/* The number that a sum of constants comes to. */
static bool constant_value(const Expr *expr, int64_t *number)
{
    if (integer_number(expr, number)) return true;
    if (expr->kind != EXPR_APPLY) return false;
    Range range;
    if (!range_of(expr, &range) || range.low != range.high) return false;
    *number = range.low;
    return true;
}

/* Adds scale * expr to the sum. False: too many terms, or numbers too large. */
static bool gather(const Expr *expr, int64_t scale, Sum *sum)
{
    int64_t number, product;
    if (integer_number(expr, &number)) {
        if (!multiply(number, scale, &product)) return false;
        sum->constant += product;
        return within_limit(sum->constant);
    }
    if (expr->kind == EXPR_APPLY && expr->integer) {
        if (expr->function == FN_ADD) return gather(expr->args[0], scale, sum) && gather(expr->args[1], scale, sum);
        if (expr->function == FN_SUB) return gather(expr->args[0], scale, sum) && gather(expr->args[1], -scale, sum);
        if (expr->function == FN_NEG) return gather(expr->args[0], -scale, sum);
        if (expr->function == FN_MUL && constant_value(expr->args[0], &number))
            return multiply(number, scale, &product) && gather(expr->args[1], product, sum);
        if (expr->function == FN_MUL && constant_value(expr->args[1], &number))
            return multiply(number, scale, &product) && gather(expr->args[0], product, sum);
    }
    return sum_add(sum, expr, scale);
}

static bool gathers(const Expr *expr)
{
    return expr->kind == EXPR_APPLY && expr->integer &&
           (expr->function == FN_ADD || expr->function == FN_SUB || expr->function == FN_NEG || expr->function == FN_MUL);
}

/* --- ranges ------------------------------------------------------------------------------------------------------- */
static bool sum_range(const Sum *sum, Range *range)
{
    int64_t low = sum->constant, high = sum->constant;
    for (int i = 0; i < sum->count; i++) {
        Range atom;
        int64_t a, b;
        if (!range_of(sum->atoms[i], &atom)) return false;
        if (!multiply(atom.low, sum->coefficients[i], &a) || !multiply(atom.high, sum->coefficients[i], &b)) return false;
        low += a < b ? a : b;
        high += a < b ? b : a;
        if (!within_limit(low) || !within_limit(high)) return false;
    }
    *range = (Range){low, high};
    return true;
}

static bool difference_range(const Expr *a, const Expr *b, Range *range)
{
    Sum sum = {0};
    return gather(a, 1, &sum) && gather(b, -1, &sum) && sum_range(&sum, range);
}

static bool product_range(Range a, Range b, Range *range)
{
    int64_t corners[4];
    if (!multiply(a.low, b.low, &corners[0]) || !multiply(a.low, b.high, &corners[1]) || !multiply(a.high, b.low, &corners[2]) ||
        !multiply(a.high, b.high, &corners[3]))
        return false;
    *range = (Range){corners[0], corners[0]};
    for (int i = 1; i < 4; i++) {
        if (corners[i] < range->low) range->low = corners[i];
        if (corners[i] > range->high) range->high = corners[i];
    }
    return true;
}

static bool quotient_range(Range a, Range b, Range *range)
{
    if (b.low <= 0 && b.high >= 0) return false;
    int64_t corners[4] = {floor_divide(a.low, b.low), floor_divide(a.low, b.high), floor_divide(a.high, b.low),
                          floor_divide(a.high, b.high)};
    *range = (Range){corners[0], corners[0]};
    for (int i = 1; i < 4; i++) {
        if (corners[i] < range->low) range->low = corners[i];
        if (corners[i] > range->high) range->high = corners[i];
    }
    return true;
}

static bool modulo_range(const Expr *a, Range b, Range *range)
{
    if (b.low <= 0) return false;
    Range dividend;
    if (b.low == b.high && range_of(a, &dividend) && floor_divide(dividend.low, b.low) == floor_divide(dividend.high, b.low)) {
        *range = (Range){floor_modulo(dividend.low, b.low), floor_modulo(dividend.high, b.low)};
        return true;
    }
    *range = (Range){0, b.high - 1};
    return true;
}

static Range joined(Range a, Range b)
{
    return (Range){a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
}

static const Range UNDECIDED = {0, 1};

static Range flag(bool always, bool never)
{
    return always ? (Range){1, 1} : never ? (Range){0, 0} : UNDECIDED;
}

static bool comparison_range(const Expr *expr, Range *range)
{
    Range d;
    *range = UNDECIDED;
    if (!expr->args[0]->integer || !expr->args[1]->integer) return true;
    if (!difference_range(expr->args[0], expr->args[1], &d)) return true;
    bool equal = d.low == 0 && d.high == 0, unequal = d.low > 0 || d.high < 0;
    if (expr->function == FN_LT) *range = flag(d.high < 0, d.low >= 0);
    if (expr->function == FN_GT) *range = flag(d.low > 0, d.high <= 0);
    if (expr->function == FN_LE) *range = flag(d.high <= 0, d.low > 0);
    if (expr->function == FN_GE) *range = flag(d.low >= 0, d.high < 0);
    if (expr->function == FN_EQ) *range = flag(equal, unequal);
    if (expr->function == FN_NE) *range = flag(unequal, equal);
    return true;
}

/* Conditions: what is surely not zero, surely zero. */
static Range condition_range(const Expr *expr)
{
    Range range;
    if (expr->kind == EXPR_NUMBER) return flag(expr->number != 0, expr->number == 0);
    if (!expr->integer || !range_of(expr, &range)) return UNDECIDED;
    return flag(range.low > 0 || range.high < 0, range.low == 0 && range.high == 0);
}

static bool where_range(const Expr *expr, Range *range)
{
    Range condition = condition_range(expr->args[0]), a, b;
    if (condition.low == 1) return range_of(expr->args[1], range);
    if (condition.high == 0) return range_of(expr->args[2], range);
    if (!range_of(expr->args[1], &a) || !range_of(expr->args[2], &b)) return false;
    *range = joined(a, b);
    return true;
}

static bool extreme_range(const Expr *expr, Range *range)
{
    Range a, b;
    if (!range_of(expr->args[0], &a) || !range_of(expr->args[1], &b)) return false;
    bool min = expr->function == FN_MIN;
    range->low = (a.low < b.low) == min ? a.low : b.low;
    range->high = (a.high < b.high) == min ? a.high : b.high;
    return true;
}

static bool apply_range(const Expr *expr, Range *range)
{
    Range a, b;
    if (function_table[expr->function].kind == FUNCTION_FLAG) {
        if (expr->function != FN_AND && expr->function != FN_OR && expr->function != FN_NOT) return comparison_range(expr, range);
        a = condition_range(expr->args[0]);
        b = expr->count > 1 ? condition_range(expr->args[1]) : a;
        if (expr->function == FN_NOT) *range = (Range){1 - a.high, 1 - a.low};
        else if (expr->function == FN_AND) *range = (Range){a.low & b.low, a.high & b.high};
        else *range = (Range){a.low | b.low, a.high | b.high};
        return true;
    }
    if (!expr->integer) return false;
    if (expr->function == FN_WHERE) return where_range(expr, range);
    if (expr->function == FN_MIN || expr->function == FN_MAX) return extreme_range(expr, range);
    if (!range_of(expr->args[0], &a)) return expr->function == FN_MOD && range_of(expr->args[1], &b) && modulo_range(expr->args[0], b, range);
    if (expr->function == FN_ABS) {
        int64_t low = a.low > 0 ? a.low : a.high < 0 ? -a.high : 0;
        *range = (Range){low, -a.low > a.high ? -a.low : a.high};
        return true;
    }
    if (expr->count < 2 || !range_of(expr->args[1], &b)) return false;
    if (expr->function == FN_MUL) return product_range(a, b, range);
    if (expr->function == FN_FLOORDIV) return quotient_range(a, b, range);
    if (expr->function == FN_MOD) return modulo_range(expr->args[0], b, range);
    return false;
}

static bool read_range(const Expr *expr, Range *range)
{
    const Tensor *tensor = expr->tensor;
    if (tensor->kind != TENSOR_CONSTANT || !tensor->values || tensor->type == TYPE_F32) return false;
    int64_t count = tensor_count(tensor);
    double low = tensor->values[0], high = low;
    for (int64_t i = 1; i < count; i++) {
        if (tensor->values[i] < low) low = tensor->values[i];
        if (tensor->values[i] > high) high = tensor->values[i];
    }
    if (low < -(double)LIMIT || high > (double)LIMIT) return false;
    *range = (Range){(int64_t)low, (int64_t)high};
    Range outside;
    if (!expr->otherwise) return true;
    if (!range_of(expr->otherwise, &outside)) return false;
    *range = joined(*range, outside);
    return true;
}

static bool reduce_range(const Expr *expr, Range *range)
{
    int64_t count = 1;
    if (expr->reduction == REDUCE_ARGMAX) {
        *range = (Range){0, expr->indices[0]->extent - 1};
        return true;
    }
    if (!expr->integer || !range_of(expr->args[0], range)) return false;
    if (expr->reduction == REDUCE_MAX || expr->reduction == REDUCE_MIN) return true;
    if (expr->reduction != REDUCE_SUM) return false;
    for (int i = 0; i < expr->index_count; i++)
        if (!multiply(count, expr->indices[i]->extent, &count)) return false;
    return multiply(range->low, count, &range->low) && multiply(range->high, count, &range->high);
}

static bool range_of(const Expr *expr, Range *range)
{
    int64_t number;
    switch (expr->kind) {
    case EXPR_NUMBER:
        if (!integer_number(expr, &number)) return false;
        *range = (Range){number, number};
        return true;
    case EXPR_INDEX:
        *range = (Range){0, expr->index->extent - 1};
        return within_limit(expr->index->extent);
    case EXPR_READ: return read_range(expr, range);
    case EXPR_REDUCE: return reduce_range(expr, range);
    case EXPR_APPLY: break;
    }
    if (!gathers(expr)) return apply_range(expr, range);
    Sum sum = {0};
    if (!gather(expr, 1, &sum)) return false;
    if (sum.count == 1 && sum.atoms[0] == expr) return apply_range(expr, range); /* a product of two indices */
    return sum_range(&sum, range);
}

bool index_range(const Expr *expr, int64_t *low, int64_t *high)
{
    Range range;
    if (!range_of(expr, &range)) return false;
    *low = range.low;
    *high = range.high;
    return true;
}

/* --- linear forms ------------------------------------------------------------------------------------------------- */
bool index_linear(const Expr *expr, Linear *linear)
{
    Sum sum = {0};
    if (!expr->integer || !gather(expr, 1, &sum)) return false;
    linear->constant = sum.constant;
    linear->count = 0;
    for (int i = 0; i < sum.count; i++) {
        if (sum.atoms[i]->kind != EXPR_INDEX) return false;
        linear->indices[linear->count] = sum.atoms[i]->index;
        linear->coefficients[linear->count++] = sum.coefficients[i];
    }
    return true;
}

int64_t linear_coefficient(const Linear *linear, const Index *index)
{
    for (int i = 0; i < linear->count; i++)
        if (linear->indices[i] == index) return linear->coefficients[i];
    return 0;
}

static Expr *add_term(Module *module, Expr *sum, Expr *atom, int64_t coefficient)
{
    int64_t size = coefficient < 0 && sum ? -coefficient : coefficient;
    Expr *term = expr_apply(module, FN_MUL, atom, expr_int(module, size), NULL, (Place){0});
    if (!sum) return term;
    return expr_apply(module, coefficient < 0 ? FN_SUB : FN_ADD, sum, term, NULL, (Place){0});
}

static Expr *add_constant(Module *module, Expr *sum, int64_t constant)
{
    if (!sum) return expr_int(module, constant);
    int64_t size = constant < 0 ? -constant : constant;
    return expr_apply(module, constant < 0 ? FN_SUB : FN_ADD, sum, expr_int(module, size), NULL, (Place){0});
}

Expr *linear_expr(Module *module, const Linear *linear)
{
    Expr *sum = NULL;
    for (int i = 0; i < linear->count; i++)
        sum = add_term(module, sum, expr_index(module, linear->indices[i], (Place){0}), linear->coefficients[i]);
    return add_constant(module, sum, linear->constant);
}

/* Positive coefficients first, so that no sum opens with a sign. */
static Expr *sum_expr(Module *module, const Sum *sum)
{
    Expr *expr = NULL;
    for (int i = 0; i < sum->count; i++)
        if (sum->coefficients[i] > 0) expr = add_term(module, expr, (Expr *)sum->atoms[i], sum->coefficients[i]);
    if (!expr && sum->count && sum->constant > 0) {
        expr = expr_int(module, sum->constant);
        for (int i = 0; i < sum->count; i++) expr = add_term(module, expr, (Expr *)sum->atoms[i], sum->coefficients[i]);
        return expr;
    }
    for (int i = 0; i < sum->count; i++)
        if (sum->coefficients[i] < 0) expr = add_term(module, expr, (Expr *)sum->atoms[i], sum->coefficients[i]);
    return add_constant(module, expr, sum->constant);
}

/* --- simplification ----------------------------------------------------------------------------------------------- */
typedef struct {
    Module *module;
    NodeMap nodes; /* node → simplified node */
} Simplifier;

static Expr *apply2(Module *module, Function function, Expr *a, Expr *b)
{
    return expr_apply(module, function, a, b, NULL, (Place){0});
}

/* sum = multiples + rest, where every coefficient of `multiples` is a multiple of d and the whole of `rest` lies in [0, d). */
static bool split_sum(const Sum *sum, int64_t d, Sum *multiples)
{
    Sum rest = {.constant = sum->constant};
    *multiples = (Sum){0};
    for (int i = 0; i < sum->count; i++) {
        Sum *part = sum->coefficients[i] % d == 0 ? multiples : &rest;
        part->atoms[part->count] = sum->atoms[i];
        part->coefficients[part->count++] = sum->coefficients[i];
    }
    Range range;
    if (!sum_range(&rest, &range)) return false;
    int64_t whole = floor_divide(range.low, d);
    if (whole != floor_divide(range.high, d)) return false;
    multiples->constant = whole * d;
    return true;
}

static void sum_divide(Sum *sum, int64_t d)
{
    sum->constant /= d;
    for (int i = 0; i < sum->count; i++) sum->coefficients[i] /= d;
}

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* The largest proper divisor g of k for which sum = g * multiples + rest with rest in [0, g); 1: none. */
static int64_t common_divisor(const Sum *sum, int64_t k, Sum *multiples)
{
    int64_t best = 1;
    for (int i = 0; i < sum->count; i++) {
        int64_t g = greatest_divisor(sum->coefficients[i], k);
        Sum candidate;
        if (g <= best || g >= k || !split_sum(sum, g, &candidate)) continue;
        best = g;
        *multiples = candidate;
    }
    return best;
}

static Expr *divide(Module *module, Expr *a, int64_t k);

/* The dividend of x % m when expr is a lone remainder by a number. */
static Expr *remainder_parts(const Expr *expr, Function function, int64_t *m)
{
    if (expr->kind != EXPR_APPLY || expr->function != function || !expr->integer || !integer_number(expr->args[1], m) || *m <= 0)
        return NULL;
    return expr->args[0];
}

static Expr *modulo(Module *module, Expr *a, int64_t k)
{
    Sum sum = {0}, multiples;
    if (k <= 0 || !gather(a, 1, &sum)) return apply2(module, FN_MOD, a, expr_int(module, k));
    for (int i = sum.count - 1; i >= 0; i--)
        if (sum.coefficients[i] % k == 0) sum_add(&sum, sum.atoms[i], -sum.coefficients[i]);
    if (sum.constant < 0 || sum.constant >= k) sum.constant = floor_modulo(sum.constant, k);
    if (split_sum(&sum, k, &multiples) && multiples.count == 0) {
        sum.constant -= multiples.constant;
        return sum_expr(module, &sum);
    }
    int64_t g = common_divisor(&sum, k, &multiples), inner;
    if (g > 1) { /* (g * q + r) % k = g * (q % (k / g)) + r */
        for (int i = 0; i < multiples.count; i++) sum_add(&sum, multiples.atoms[i], -multiples.coefficients[i]);
        sum.constant -= multiples.constant;
        sum_divide(&multiples, g);
        Expr *high = modulo(module, sum_expr(module, &multiples), k / g);
        if (!gather(high, g, &sum)) bug("index_simplify: a remainder of too many terms");
        return sum_expr(module, &sum);
    }
    Expr *whole = sum_expr(module, &sum);
    Expr *dividend = remainder_parts(whole, FN_MOD, &inner);
    if (dividend && inner % k == 0) return modulo(module, dividend, k);
    return apply2(module, FN_MOD, whole, expr_int(module, k));
}

static Expr *divide(Module *module, Expr *a, int64_t k)
{
    Sum sum = {0}, multiples, rest;
    if (k <= 0 || !gather(a, 1, &sum)) return apply2(module, FN_FLOORDIV, a, expr_int(module, k));
    if (k == 1) return sum_expr(module, &sum);
    if (split_sum(&sum, k, &multiples)) {
        sum_divide(&multiples, k);
        return sum_expr(module, &multiples);
    }
    /* whole multiples of k leave the quotient */
    rest = sum;
    multiples = (Sum){.constant = floor_divide(sum.constant, k)};
    rest.constant = floor_modulo(sum.constant, k);
    for (int i = rest.count - 1; i >= 0; i--) {
        if (rest.coefficients[i] % k != 0) continue;
        sum_add(&multiples, rest.atoms[i], rest.coefficients[i] / k);
        sum_add(&rest, rest.atoms[i], -rest.coefficients[i]);
    }
    Expr *quotient;
    Sum inner;
    int64_t g = common_divisor(&rest, k, &inner), m;
    if (g > 1) {
        sum_divide(&inner, g);
        quotient = divide(module, sum_expr(module, &inner), k / g);
    } else {
        Expr *whole = sum_expr(module, &rest);
        Expr *dividend = remainder_parts(whole, FN_FLOORDIV, &m);
        Expr *remainder = remainder_parts(whole, FN_MOD, &m);
        if (dividend && remainder_parts(whole, FN_FLOORDIV, &m) && m < LIMIT / k) quotient = divide(module, dividend, m * k);
        else if (remainder && m % k == 0) quotient = modulo(module, divide(module, remainder, k), m / k);
        else quotient = apply2(module, FN_FLOORDIV, whole, expr_int(module, k));
    }
    if (!gather(quotient, 1, &multiples)) return apply2(module, FN_FLOORDIV, a, expr_int(module, k));
    return sum_expr(module, &multiples);
}

/* c * (y % d) + c * d * (y // d) → c * y. */
static bool recombine(Module *module, Sum *sum)
{
    for (int i = 0; i < sum->count; i++) {
        int64_t d;
        Expr *dividend = remainder_parts(sum->atoms[i], FN_MOD, &d);
        if (!dividend) continue;
        int64_t c = sum->coefficients[i];
        Expr *quotient = divide(module, dividend, d);
        for (int j = 0; j < sum->count; j++) {
            if (j == i || sum->coefficients[j] != c * d || !same_atom(sum->atoms[j], quotient)) continue;
            const Expr *remainder = sum->atoms[i], *whole = sum->atoms[j];
            sum_add(sum, remainder, -c);
            sum_add(sum, whole, -c * d);
            return gather(dividend, c, sum);
        }
    }
    return false;
}

static Expr *simplify_sum(Module *module, Expr *expr)
{
    Sum sum = {0};
    if (!gather(expr, 1, &sum)) return expr;
    if (sum.count == 1 && sum.atoms[0] == expr) return expr;
    while (recombine(module, &sum)) {}
    Expr *simple = sum_expr(module, &sum);
    return expr_equal(simple, expr) ? expr : simple;
}

static Expr *simplify_extreme(Expr *expr)
{
    Range d;
    if (!expr->integer || !difference_range(expr->args[0], expr->args[1], &d)) return expr;
    bool min = expr->function == FN_MIN;
    if (d.high <= 0) return expr->args[min ? 0 : 1];
    if (d.low >= 0) return expr->args[min ? 1 : 0];
    return expr;
}

static Expr *simplify_where(Expr *expr)
{
    Range condition = condition_range(expr->args[0]);
    if (condition.low == 1) return expr->args[1];
    if (condition.high == 0) return expr->args[2];
    return expr_equal(expr->args[1], expr->args[2]) ? expr->args[1] : expr;
}

/* One node whose arguments are simple already. */
static Expr *simplify_apply(Module *module, Expr *expr)
{
    Range range;
    int64_t k;
    if (expr->kind != EXPR_APPLY) return expr;
    if (expr->function == FN_WHERE) return simplify_where(expr);
    if (!expr->integer) return expr;
    if (range_of(expr, &range) && range.low == range.high) return expr_int(module, range.low);
    if (gathers(expr)) return simplify_sum(module, expr);
    if (expr->function == FN_MIN || expr->function == FN_MAX) return simplify_extreme(expr);
    if (expr->function == FN_FLOORDIV && integer_number(expr->args[1], &k)) return divide(module, expr->args[0], k);
    if (expr->function == FN_MOD && integer_number(expr->args[1], &k)) return modulo(module, expr->args[0], k);
    if (expr->function == FN_ABS && range_of(expr->args[0], &range)) {
        if (range.low >= 0) return expr->args[0];
        if (range.high <= 0) return simplify_sum(module, apply2(module, FN_SUB, expr_int(module, 0), expr->args[0]));
    }
    return expr;
}

/* Every subscript surely inside: `otherwise` never happens. (It does not cover data-dependent subscripts.) */
static bool always_inside(const Expr *read)
{
    for (int axis = 0; axis < read->count; axis++) {
        Range range;
        if (expr_is_data_dependent(read->args[axis])) continue;
        if (!range_of(read->args[axis], &range) || range.low < 0 || range.high >= read->tensor->extents[axis]) return false;
    }
    return true;
}

static Expr *simplify_node(Simplifier *simplifier, Expr *expr)
{
    if (expr->kind == EXPR_NUMBER || expr->kind == EXPR_INDEX) return expr;
    Expr *simple = node_map_get(&simplifier->nodes, expr, NULL);
    if (simple) return simple;
    Module *module = simplifier->module;
    Expr *args[MAX_RANK];
    bool changed = false;
    for (int i = 0; i < expr->count; i++) {
        args[i] = simplify_node(simplifier, expr->args[i]);
        changed |= args[i] != expr->args[i];
    }
    Expr *otherwise = expr->otherwise ? simplify_node(simplifier, expr->otherwise) : NULL;
    changed |= otherwise != expr->otherwise;
    simple = expr;
    if (changed && expr->kind == EXPR_READ) simple = expr_read(module, expr->tensor, expr->count, args, otherwise, expr->place);
    if (changed && expr->kind == EXPR_APPLY)
        simple = expr_apply(module, expr->function, args[0], expr->count > 1 ? args[1] : NULL, expr->count > 2 ? args[2] : NULL, expr->place);
    if (changed && expr->kind == EXPR_REDUCE)
        simple = expr_reduce(module, expr->reduction, expr->index_count, expr->indices, args[0], expr->place);
    if (simple->kind == EXPR_READ && simple->otherwise && always_inside(simple))
        simple = expr_read(module, simple->tensor, simple->count, simple->args, NULL, simple->place);
    Expr *other = simplify_apply(module, simple);
    if (other != simple && !expr_equal(other, simple)) simple = other;
    node_map_put(&simplifier->nodes, expr, simple);
    return simple;
}

Expr *index_simplify(Module *module, Expr *expr)
{
    Simplifier simplifier = {.module = module};
    node_map_init(&simplifier.nodes);
    Expr *simple = simplify_node(&simplifier, expr);
    node_map_free(&simplifier.nodes);
    return simple;
}
