/* Fits tables to functions: see fit.h.
 * In: a chain and the error allowed.  Out: a Fit, checked against the chain in double at some ten thousand places, with and without
 * fused multiply-add.  The code that evaluates it is fitted.c's; tests/elements checks all floats.
 * Coefficients interpolate at Chebyshev's places: within a factor of two of the best polynomial, and the same on every machine. */
#include "loop/fit.h"

#include "equation/mathematics.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define ROUNDER 12582912.0f /* 1.5 * 2^23: a sum with it is rounded to an integer, which its low bits hold */

enum { GRID = 6000, MOST_SAMPLES = GRID + 2 * 278 * 3 + 2 };
/* Samples may miss the worst place by this much. */
#define MARGIN 0.92

struct FitProblem {
    const Chain *chain;
    ErrorBound bound;
    Fold fold;
    bool times, negative, limited;
    int one_sided;                   /* as in Fit */
    double below, above;             /* slopes */
    double rest_below, rest_above;   /* what is left of y - slopes far out */
    double centre, low, high;        /* where the table must reach */
    int count;
    float *x;
    double *y;
};

/* --- what a function is like --------------------------------------------------------------------------------------- */
static double slopes(const FitProblem *p, double x)
{
    return x < 0 ? p->below * x : p->above > 0 || p->above < 0 ? p->above * x : 0;
}

/* y without slopes and centre. */
static double residue(const FitProblem *p, double x)
{
    return chain_value(p->chain, x) - slopes(p, x) - p->centre;
}

static double ulp(double y)
{
    int exponent = 0;
    frexp(y, &exponent);
    return ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

static double tolerance(const FitProblem *p, double y)
{
    double relative = p->bound.ulps * ulp(y);
    return relative > p->bound.absolute ? relative : p->bound.absolute;
}

/* Far out y is a straight line: its slope and what is left. */
static bool asymptote(const FitProblem *p, double sign, double *slope, double *rest)
{
    const double far = 1 << 20, near = 64;
    double one = chain_value(p->chain, sign * far), two = chain_value(p->chain, 2 * sign * far);
    double start = chain_value(p->chain, sign * near), before = chain_value(p->chain, sign * near * 0.75);
    if (!isfinite(one) || !isfinite(two) || !isfinite(start) || !isfinite(before)) return false;
    double exact = (two - one) / (sign * far);
    *slope = fabs(exact) < 1e-9 ? 0 : (double)(float)exact;
    *rest = start - exact * sign * near;
    if (fabs(*rest) < 1e-12) *rest = 0;
    if (fabs(before - exact * sign * near * 0.75 - *rest) > 0.1 * tolerance(p, before)) return false;
    return fabs(one - exact * sign * far - *rest) <= 0.1 * tolerance(p, one);
}

/* Up to where the residue differs from its value far out. */
static double reach(const FitProblem *p, double sign, double rest)
{
    const int steps = 64 * 32;
    double most = 0;
    for (int k = 0; k <= steps; k++) {
        double x = sign * k / 32, y = chain_value(p->chain, x);
        double cut = p->bound.absolute > 0 ? 0.3 * p->bound.absolute : 0.2 * tolerance(p, y);
        if (fabs(y - slopes(p, x) - p->centre - rest) > cut) most = fabs(x) + 1.0 / 32;
    }
    return most;
}

static bool find_symmetry(FitProblem *p)
{
    bool even = fabs(p->rest_below - p->rest_above) <= 1e-12, odd = p->below == 0 && p->above == 0;
    double middle = chain_value(p->chain, 0);
    for (int k = 1; k <= 200; k++) {
        double t = k * 0.1 + k * k * 0.0007, right = residue(p, t), left = residue(p, -t), small = 1e-13 * (1 + fabs(right));
        even = even && fabs(right - left) <= small;
        odd = odd && fabs(right + left - 2 * middle) <= small;
    }
    p->fold = even ? FOLD_EVEN : odd ? FOLD_ODD : FOLD_NONE;
    if (p->fold == FOLD_ODD) {
        p->centre = middle;
        p->rest_above -= middle;
        p->rest_below -= middle;
        p->negative = p->rest_above < 0;
    }
    bool none_left = p->rest_below == 0 && p->rest_above == 0;
    p->times = p->fold == FOLD_ODD ? middle == 0 : residue(p, 0) == 0 && none_left;
    if (p->fold != FOLD_ODD) return true;
    /* The sign goes on last: the magnitude must have none. */
    p->limited = true;
    for (int k = 1; k <= 640; k++) {
        double size = p->negative ? -residue(p, k * 0.1) : residue(p, k * 0.1);
        if (size < 0) return false;
        p->limited = p->limited && size <= fabs(p->rest_above);
    }
    return true;
}

/* --- samples ------------------------------------------------------------------------------------------------------- */
static void add_sample(FitProblem *p, double x)
{
    p->x[p->count] = (float)x;
    p->y[p->count] = chain_value(p->chain, (double)p->x[p->count]);
    p->count++;
}

static bool take_samples(Arena *arena, FitProblem *p)
{
    p->x = arena_new_array(arena, float, MOST_SAMPLES);
    p->y = arena_new_array(arena, double, MOST_SAMPLES);
    double low = p->fold == FOLD_NONE ? 1.2 * p->low : -1.2 * p->high, high = 1.2 * p->high;
    if (p->fold == FOLD_NONE && high <= 0) high = -0.2 * p->low;
    if (p->fold == FOLD_NONE && low >= 0) low = -0.2 * p->high;
    double step = (high - low) / GRID, jitter = 0;
    for (int k = 0; k < GRID; k++) {
        jitter += 0.61803398874989485;
        jitter -= floor(jitter);
        add_sample(p, low + (k + jitter) * step);
    }
    for (int sign = -1; sign <= 1; sign += 2)
        for (int exponent = -149; exponent < 128; exponent++)
            for (int k = 0; k < 3; k++) add_sample(p, sign * ldexp(1 + k * 0.3137, exponent));
    add_sample(p, 0);
    add_sample(p, -0.0);
    for (int k = 0; k < p->count; k++)
        if (!isfinite(p->y[k])) return false;
    return true;
}

/* --- a table ------------------------------------------------------------------------------------------------------- */
/* To at most 9 bits, not below. */
static float few_bits(double width)
{
    int exponent = 0;
    double mantissa = frexp(width, &exponent);
    return (float)ldexp(ceil(mantissa * 512), exponent - 9);
}

static void place_intervals(const FitProblem *p, Fit *fit)
{
    int inner = fit->entries - 2; /* the outermost ones are constant */
    if (p->fold != FOLD_NONE) {
        fit->width = few_bits(p->high / (fit->entries - 1.5));
        fit->first = 0;
        fit->low = 0;
        fit->high = fit->width * (float)(fit->entries - 1);
        fit->shift = few_bits((double)fit->high / 3);
    } else {
        double left = -p->low, right = p->high;
        int below = (int)(inner * left / (left + right) + 0.5);
        if (below < 1 && left > 0) below = 1;
        if (below > inner - 1 && right > 0) below = inner - 1;
        double wide = below > 0 ? left / below : 0, other = below < inner ? right / (inner - below) : 0;
        fit->width = few_bits(wide > other ? wide : other);
        fit->first = -below - 1;
        fit->low = ((float)fit->first + 0.5f) * fit->width;
        fit->high = ((float)(fit->first + fit->entries) - 0.5f) * fit->width;
    }
    fit->inverse = 1 / fit->width;
}

/* Coefficients in x - centre that interpolate the table's function at Chebyshev's places of [from, to]. */
static void interpolate(const FitProblem *p, const Fit *fit, double centre, double from, double to, double *powers)
{
    double places[MOST_DEGREE + 1], divided[MOST_DEGREE + 1];
    int count = fit->degree + 1;
    for (int k = 0; k < count; k++) {
        double x = (from + to) / 2 + (to - from) / 2 * math_cos((2 * k + 1) * 3.14159265358979324 / (2 * count));
        double y = residue(p, x);
        if (p->negative) y = -y;
        places[k] = x - centre;
        divided[k] = p->times ? y / x : y;
    }
    for (int order = 1; order < count; order++)
        for (int k = count - 1; k >= order; k--) divided[k] = (divided[k] - divided[k - 1]) / (places[k] - places[k - order]);
    memset(powers, 0, sizeof(double) * (size_t)count);
    for (int k = count - 1; k >= 0; k--) { /* powers = powers * (x - place) + divided */
        for (int power = count - 1; power > 0; power--) powers[power] = powers[power - 1] - powers[power] * places[k];
        powers[0] = divided[k] - powers[0] * places[k];
    }
}

/* A factor whose product with the outermost place is the rest, rounded: at the end `times` must give it exactly. */
static float last_factor(const Fit *fit, double rest)
{
    float factor = (float)(rest / (double)fit->high);
    for (int k = 0; k < 4 && fit->high * factor > (float)rest; k++) factor = nextafterf(factor, 0);
    for (int k = 0; k < 4 && fit->high * factor < (float)rest; k++) factor = nextafterf(factor, INFINITY);
    return factor;
}

/* Folded, intervals have their centres at multiples of the width, else in between: a slope may change at 0. Shifted polynomials have one
 * centre for all, near enough to where the function changes for coefficients that don't cancel each other; far out they are small. */
static void fill_table(const FitProblem *p, Fit *fit)
{
    bool folded = p->fold != FOLD_NONE;
    double width = (double)fit->width, rest = p->fold == FOLD_ODD ? fabs(p->rest_above) : p->rest_above;
    for (int interval = fit->first; interval < fit->first + fit->entries; interval++) {
        double powers[MOST_DEGREE + 1] = {0}, centre = (folded ? interval : interval + 0.5) * width;
        double from = folded && interval == 0 ? 0 : centre - width / 2, to = centre + width / 2;
        bool last = interval == fit->first + fit->entries - 1;
        if (!folded && interval == fit->first) powers[0] = p->rest_below;
        else if (last && (!p->times || rest == 0)) powers[0] = rest;
        else interpolate(p, fit, fit->shifted ? (double)fit->shift : centre, from, last ? centre : to, powers);
        if (last && p->times && rest > 0) powers[0] = (double)last_factor(fit, rest);
        int entry = interval & (fit->entries - 1);
        for (int k = 0; k <= fit->degree; k++) fit->coefficients[k * fit->entries + entry] = (float)powers[k];
    }
}

/* --- measuring ----------------------------------------------------------------------------------------------------- */
static float multiply_add(bool fused, float a, float b, float c)
{
    return fused ? fmaf(a, b, c) : a * b + c;
}

static float slopes_in_float(const Fit *fit, bool fused, float x)
{
    float above = x > 0 ? x : 0, below = x < 0 ? x : 0;
    if (fit->one_sided > 0) return fit->above * (x - below);
    if (fit->one_sided < 0) return fit->below * (x - above);
    if (fit->below == fit->above) return fit->above * x;
    if (fit->below == 0) return fit->above * above;
    return multiply_add(fused, fit->above, above, fit->below * below);
}

/* What the code of fitted.c computes. */
static float table_value(const Fit *fit, bool fused, float x)
{
    bool odd = fit->fold == FOLD_ODD;
    float place = fit->fold == FOLD_NONE ? x : fabsf(x);
    if (place < fit->low) place = fit->low;
    if (place > fit->high) place = fit->high;
    float number, u;
    if (fit->fold == FOLD_NONE) {
        number = floorf(multiply_add(fused, place, fit->inverse, -FLT_MIN)); /* zeros go left, where the line is flat */
        u = multiply_add(fused, number, -fit->width, place) - fit->width / 2;
    } else {
        number = multiply_add(fused, place, fit->inverse, ROUNDER) - ROUNDER;
        u = fit->shifted ? place - fit->shift : multiply_add(fused, number, -fit->width, place);
    }
    const float *column = fit->coefficients + ((int)number & (fit->entries - 1));
    float value = column[fit->degree * fit->entries];
    for (int k = fit->degree - 1; k >= 0; k--) value = multiply_add(fused, value, u, column[k * fit->entries]);
    if (odd) {
        if (fit->times) value *= place;
        if (fit->limit > 0 && value > fit->limit) value = fit->limit;
        value = signbit(x) ? -fabsf(value) : fabsf(value);
        if (fit->negative) value = -value;
        return fit->centre == 0 ? value : fit->centre + value;
    }
    if (fit->below == 0 && fit->above == 0) return fit->times ? value * place : value;
    float line = slopes_in_float(fit, fused, x);
    return fit->times ? multiply_add(fused, value, place, line) : line + value;
}

/* The largest error as a part of what is allowed, or the first that is too large. */
static double measure(const FitProblem *p, const Fit *fit)
{
    double worst = 0;
    for (int fused = 0; fused < 2; fused++)
        for (int k = 0; k < p->count; k++) {
            float got = table_value(fit, fused != 0, p->x[k]);
            double part = fabs((double)got - p->y[k]) / tolerance(p, p->y[k]);
            if (!(part <= worst)) worst = part;
            if (!(worst <= MARGIN)) return INFINITY;
        }
    return worst;
}

/* Infinity goes the way of large numbers; whether that is right. */
static void check_infinities(const FitProblem *p, Fit *fit)
{
    for (int k = 0; k < 2; k++) {
        float x = k ? INFINITY : -INFINITY, got = table_value(fit, true, x), exact = (float)chain_value(p->chain, (double)x);
        fit->y_infinite[k] = exact;
        fit->exception[k] = isnan(exact) ? !isnan(got) : got != exact;
    }
}

/* --- choice -------------------------------------------------------------------------------------------------------- */
FitProblem *fit_problem(Arena *arena, const Chain *chain, ErrorBound bound)
{
    FitProblem *p = arena_new_object(arena, FitProblem);
    p->chain = chain;
    p->bound = bound;
    if (!asymptote(p, 1, &p->above, &p->rest_above) || !asymptote(p, -1, &p->below, &p->rest_below)) return NULL;
    if (!find_symmetry(p)) return NULL;
    if (p->above != 0 && p->below == 0 && isnan(chain_value(chain, -INFINITY))) p->one_sided = 1;
    if (p->below != 0 && p->above == 0 && isnan(chain_value(chain, INFINITY))) p->one_sided = -1;
    p->high = reach(p, 1, p->rest_above);
    p->low = p->fold == FOLD_NONE ? -reach(p, -1, p->rest_below) : 0;
    if (p->high - p->low < 1.0 / 16 || p->high > 60 || p->low < -60) return NULL;
    return take_samples(arena, p) ? p : NULL;
}

/* Vector instructions of one lookup: registers that the entries fill, and what joins them. */
static int lookup_cost(const Target *target, int entries)
{
    if (!target || target->lanes == 1) return 1;
    int registers = entries / target->lanes;
    if (registers <= 1) return 1;
    if (target->lanes == 4) return registers; /* a table of bytes in that many registers */
    if (target->registers >= 32 && registers == 2) return 1; /* an instruction that takes both */
    return 3 * registers - 2;
}

static int table_cost(const FitProblem *p, const Fit *fit, const Target *target)
{
    int around = 5 + (p->fold == FOLD_NONE ? 3 : 1) + (p->fold == FOLD_ODD ? 2 : 0) + (p->below != p->above ? 1 : 0);
    return around - fit->shifted + fit->degree + (fit->degree + 1) * lookup_cost(target, fit->entries);
}

static Fit *try_table(Arena *arena, const FitProblem *p, int entries, int degree, bool shifted)
{
    Fit *fit = arena_new_object(arena, Fit);
    *fit = (Fit){.fold = p->fold, .times = p->times, .below = (float)p->below, .above = (float)p->above, .centre = (float)p->centre,
                 .negative = p->negative, .one_sided = p->one_sided, .entries = entries, .degree = degree, .shifted = shifted};
    if (p->fold == FOLD_ODD && p->times && p->limited) fit->limit = (float)fabs(p->rest_above);
    place_intervals(p, fit);
    fill_table(p, fit);
    fit->worst = measure(p, fit);
    check_infinities(p, fit);
    return fit;
}

Fit *fit_table(Arena *arena, const FitProblem *p, const Target *target, int most)
{
    static const int sizes[] = {16, 8, 32};
    bool exact_last = p->times && p->rest_above != 0; /* which a centre of its own makes sure of */
    /* By ascending cost; one table for all targets has 16 entries. */
    for (int cost = 1; cost < most; cost++)
        for (int s = 0; s < (target ? 3 : 1); s++)
            for (int degree = 2; degree <= MOST_DEGREE; degree++)
                for (int shifted = p->fold != FOLD_NONE && !exact_last; shifted >= 0; shifted--) {
                    Fit shape = {.entries = sizes[s], .degree = degree, .shifted = shifted != 0};
                    if (table_cost(p, &shape, target) != cost) continue;
                    Fit *fit = try_table(arena, p, sizes[s], degree, shifted != 0);
                    if (fit->worst <= MARGIN) return fit;
                }
    return NULL;
}
