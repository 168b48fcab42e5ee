/* Chains of element functions as one function each: which tables a program has, and their code.
 * In: chains of its equations.  Out: LoopFunctions that look coefficients up. The tables are fit.c's. */
#include "loop/approximate.h"

#include "support/bug.h"

#include <float.h>
#include <math.h>

#define ROUNDER 12582912.0 /* 1.5 * 2^23: a sum with it is rounded to an integer, which its low bits hold */

/* A bound for chains that nothing else is said of. */
#define CHAIN_ABSOLUTE 3e-7
#define CHAIN_ULPS 1

typedef struct {
    Chain chain;
    int number;              /* among fitted chains; -1: an element function of its own */
    Function function;
    FitProblem *problem;     /* NULL: no table serves */
    Fit *fits[TARGET_COUNT + 1];
    bool tried[TARGET_COUNT + 1];
} Fitted;

struct Fits {
    Arena *arena;
    bool uniform;
    int count;               /* fitted chains */
    LIST(Fitted *) list;
};

Fits *fits_new(Arena *arena, bool uniform)
{
    Fits *fits = arena_new_object(arena, Fits);
    fits->arena = arena;
    fits->uniform = uniform;
    return fits;
}

/* --- which --------------------------------------------------------------------------------------------------------- */
/* A function that stays small is to be as exact as its values ask for. */
static ErrorBound chain_bound(const Chain *chain)
{
    double most = 0;
    for (int k = -64; k <= 64; k++) {
        double y = fabs(chain_value(chain, k / 16.0));
        if (y > most) most = y;
    }
    return (ErrorBound){CHAIN_ABSOLUTE * (most < 1 ? most : 1), CHAIN_ULPS};
}

/* Bounded, of one sign, and towards 0 far out (a bell, a probability): small values may be summed up and divided by, where an absolute
 * error would tell. */
static bool is_weight(const Chain *chain)
{
    double first = chain_value(chain, -30), last = chain_value(chain, 30), middle = chain_value(chain, 0);
    if (fabs(first) > 1e-6 && fabs(last) > 1e-6) return false;
    if (fabs(chain_value(chain, 1e6)) > 1e3 || fabs(chain_value(chain, -1e6)) > 1e3) return false;
    for (int k = -240; k <= 240; k++)
        if (!(chain_value(chain, k / 8.0) * middle >= 0)) return false;
    return middle != 0;
}

static Fitted *fitted_of(Fits *fits, const Chain *chain, ErrorBound bound)
{
    Fitted *fitted = arena_new_object(fits->arena, Fitted);
    fitted->chain = *chain;
    fitted->number = -1;
    fitted->function = FUNCTION_COUNT;
    if (bound.absolute == 0 || !is_weight(chain)) fitted->problem = fit_problem(fits->arena, &fitted->chain, bound);
    list_push(fits->arena, &fits->list, fitted);
    return fitted;
}

static Fit *fit_for(Fits *fits, Fitted *fitted, const Target *target, int most)
{
    int slot = fits->uniform ? TARGET_COUNT : (int)(target - target_table);
    if (!fitted->tried[slot] && fitted->problem)
        fitted->fits[slot] = fit_table(fits->arena, fitted->problem, fits->uniform ? NULL : target, most);
    fitted->tried[slot] = true;
    return fitted->fits[slot];
}

int fits_find(Fits *fits, const Chain *chain, const Target *target)
{
    Fitted *fitted = NULL;
    for (int k = 0; k < fits->list.count && !fitted; k++)
        if (fits->list.data[k]->function == FUNCTION_COUNT && chain_equal(&fits->list.data[k]->chain, chain)) fitted = fits->list.data[k];
    if (!fitted) fitted = fitted_of(fits, chain, chain_bound(chain));
    if (!fit_for(fits, fitted, target, chain_cost(chain))) return -1;
    if (fitted->number < 0 && fits->count == MOST_FITTED) return -1;
    if (fitted->number < 0) fitted->number = fits->count++;
    return FUNCTION_COUNT + fitted->number;
}

const Fit *fits_function(Fits *fits, Function function, double ulps, const Target *target, int most)
{
    Fitted *fitted = NULL;
    for (int k = 0; k < fits->list.count && !fitted; k++)
        if (fits->list.data[k]->function == function) fitted = fits->list.data[k];
    if (!fitted) {
        Chain chain;
        chain_of_function(function, &chain);
        fitted = fitted_of(fits, &chain, (ErrorBound){0, ulps});
        fitted->function = function;
    }
    return fit_for(fits, fitted, target, most);
}

/* --- code ---------------------------------------------------------------------------------------------------------- */
static Value *number(Maths *m, double value)
{
    return maths_number(m, value);
}

static Value *keep_op(Maths *m, const char *name, Op op, Value *a, Value *b)
{
    return maths_keep(m, name, maths_op(m, op, a, b));
}

static void own_table(Maths *m, const Fit *fit)
{
    LoopFunction *function = m->function;
    function->table_count = (fit->degree + 1) * fit->entries;
    function->table = arena_new_array(m->builder->arena, float, function->table_count);
    memcpy(function->table, fit->coefficients, sizeof(float) * (size_t)function->table_count);
}

/* Horner's scheme with coefficients of the interval that `index` says. */
static Value *looked_up_polynomial(Maths *m, const Fit *fit, Value *index, Value *u)
{
    Value *value = build_lookup(m->builder, index, fit->entries, fit->degree * fit->entries);
    for (int k = fit->degree - 1; k >= 0; k--)
        value = maths_keep(m, "p", maths_fma(m, value, u, build_lookup(m->builder, index, fit->entries, k * fit->entries)));
    return value;
}

/* NULL: 0 everywhere. A maximum with 0 as its first operand keeps NaN and the sign of 0. */
static Value *line_of(Maths *m, const Fit *fit, Value *x)
{
    Value *zero = number(m, 0);
    if (fit->one_sided) {
        Value *side = fit->one_sided > 0 ? maths_op(m, OP_POSITIVE, x, NULL) : maths_op(m, OP_SUB, x, maths_op(m, OP_MAX, x, zero));
        float slope = fit->one_sided > 0 ? fit->above : fit->below;
        return slope == 1 ? side : maths_op(m, OP_MUL, side, number(m, (double)slope));
    }
    if (fit->below == fit->above) return fit->above == 0 ? NULL : fit->above == 1 ? x : maths_op(m, OP_MUL, x, number(m, (double)fit->above));
    Value *above = maths_op(m, OP_MAX, zero, x), *below = maths_op(m, OP_MIN, zero, x);
    Value *rising = fit->above == 1 ? above : maths_op(m, OP_MUL, above, number(m, (double)fit->above));
    if (fit->below == 0) return rising;
    Value *falling = maths_op(m, OP_MUL, below, number(m, (double)fit->below));
    if (fit->above == 0) return falling;
    return maths_fma(m, above, number(m, (double)fit->above), maths_keep(m, "falling", falling));
}

static Value *odd_value(Maths *m, const Fit *fit, Value *x, Value *place, Value *p)
{
    if (fit->times) p = maths_op(m, OP_MUL, p, place);
    if (fit->limit > 0) p = maths_op(m, OP_MIN, number(m, (double)fit->limit), p); /* NaN is the second one's */
    p = maths_with_sign(m, maths_op(m, OP_ABS, maths_keep(m, "size", p), NULL), x);
    if (fit->centre == 0) return fit->negative ? maths_op(m, OP_NEG, p, NULL) : p;
    return maths_op(m, fit->negative ? OP_SUB : OP_ADD, number(m, (double)fit->centre), p);
}

Value *maths_table(Maths *m, const Fit *fit, Value *x)
{
    own_table(m, fit);
    Value *high = number(m, (double)fit->high), *place;
    if (fit->fold == FOLD_EVEN && (fit->below != 0 || fit->above != 0)) place = keep_op(m, "place", OP_MIN_ABS, x, high); /* the line keeps a NaN */
    else if (fit->fold == FOLD_NONE) place = keep_op(m, "place", OP_MIN, high, maths_op(m, OP_MAX, number(m, (double)fit->low), x));
    else place = keep_op(m, "place", OP_MIN, high, maths_op(m, OP_ABS, x, NULL));
    Value *inverse = number(m, (double)fit->inverse), *rounder = number(m, ROUNDER), *width = number(m, -(double)fit->width), *sum, *u;
    if (fit->fold == FOLD_NONE) {
        Value *interval = keep_op(m, "interval", OP_FLOOR, maths_fma(m, place, inverse, number(m, -(double)FLT_MIN)), NULL);
        sum = maths_op(m, OP_ADD, interval, rounder);
        u = maths_op(m, OP_SUB, maths_fma(m, interval, width, place), number(m, (double)fit->width / 2));
    } else {
        sum = maths_keep(m, "sum", maths_fma(m, place, inverse, rounder));
        u = fit->shifted ? maths_op(m, OP_SUB, place, number(m, (double)fit->shift)) : maths_fma(m, maths_op(m, OP_SUB, sum, rounder), width, place);
    }
    Value *index = keep_op(m, "at", OP_FLOAT_TO_BITS, sum, NULL);
    u = maths_keep(m, "u", u);
    Value *p = looked_up_polynomial(m, fit, index, u), *line = line_of(m, fit, x), *y;
    if (fit->fold == FOLD_ODD) y = odd_value(m, fit, x, place, p);
    else if (!line) y = fit->times ? maths_op(m, OP_MUL, p, place) : p;
    else y = fit->times ? maths_fma(m, p, place, line) : maths_op(m, OP_ADD, line, p);
    for (int k = 0; k < 2; k++) {
        if (!fit->exception[k]) continue;
        y = maths_keep(m, "y", y);
        Value *there = maths_op(m, OP_EQ, x, number(m, k ? (double)INFINITY : -(double)INFINITY));
        y = maths_select(m, there, number(m, (double)fit->y_infinite[k]), y);
    }
    return y;
}

LoopFunction *fitted_function(Arena *arena, const Fits *fits, int function, const Target *target, int lanes)
{
    const Fitted *fitted = NULL;
    for (int k = 0; k < fits->list.count; k++)
        if (fits->list.data[k]->number == function - FUNCTION_COUNT) fitted = fits->list.data[k];
    const Fit *fit = fitted ? fitted->fits[fits->uniform ? TARGET_COUNT : (int)(target - target_table)] : NULL;
    if (!fit) bug("fitted function %d has no table", function - FUNCTION_COUNT);
    Maths maths;
    LoopFunction *result = loop_function(arena, function, lanes, &maths);
    result->name = arena_printf(arena, "gm_fitted_%d", fitted->number);
    Text text = text_new(arena);
    text_add(&text, "y = ");
    chain_print(&fitted->chain, &text);
    text_printf(&text, ": %d intervals of %.4g, degree %d", fit->entries, (double)fit->width, fit->degree);
    if (fit->shifted) text_printf(&text, " in |x| - %.4g", (double)fit->shift);
    text_printf(&text, ", %.0f %% of the error allowed", 100 * fit->worst);
    result->comment = text_string(&text);
    result->result = maths_table(&maths, fit, build_variable(maths.builder, result->parameters[0]));
    return result;
}
