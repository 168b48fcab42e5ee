/* Elementary functions: argument reduction, then a Taylor series short enough that its rounding stays under the last bit.
 * Compiled without contraction: a fused multiply-add would give other bits on other machines. */
#include "equation/mathematics.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ln 2 and pi/2 in pieces whose products with small whole numbers are exact. */
static const double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
static const double half_pi[] = {0x1.921fb50000000p+0, 0x1.110b460000000p-26, 0x1.1a62630000000p-54, 0x1.8a2e03707344ap-81};

/* 2^k, k in the range of normal numbers. */
static double power_of_two(int k)
{
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* x * 2^k, rounded once where the result is no longer normal. */
static double scale(double x, int k)
{
    if (k > 1023) return x * power_of_two(1023) * power_of_two(k - 1023);
    if (k < -1022) return x * power_of_two(k + 600) * power_of_two(-600);
    return x * power_of_two(k);
}

/* exp(r + c) - 1 for |r| < 0.35 and a tiny c. */
static double exp_rest(double r, double c)
{
    double sum = 0;
    for (int n = 15; n >= 3; n--) sum = (sum + 1) * r / n;
    return r + (c + r * r / 2 * (1 + sum));
}

double math_exp(double x)
{
    if (isnan(x)) return x;
    if (x > 710) return INFINITY;
    if (x < -746) return 0;
    double k = rint(x * 1.4426950408889634), high = x - k * ln2_high, low = k * ln2_low, r = high - low;
    return scale(1 + exp_rest(r, (high - r) - low), (int)k);
}

static double expm1_of(double x)
{
    if (x > 40) return math_exp(x);
    if (x < -40) return -1;
    double k = rint(x * 1.4426950408889634), high = x - k * ln2_high, low = k * ln2_low, r = high - low;
    double rest = exp_rest(r, (high - r) - low), power = power_of_two((int)k);
    return power * rest + (power - 1);
}

double math_log(double x)
{
    if (isnan(x) || x < 0) return NAN;
    if (x == 0) return -INFINITY;
    if (isinf(x)) return x;
    int k;
    double m = frexp(x, &k); /* exact */
    if (m < 0.70710678118654752) {
        m *= 2;
        k--;
    }
    double f = m - 1, s = f / (2 + f), z = s * s, series = 0, half = f * f / 2;
    for (int n = 25; n >= 3; n -= 2) series = series * z + 2.0 / n;
    series *= z;
    return k * ln2_high - ((half - (s * (half + series) + k * ln2_low)) - f);
}

double math_log1p(double x)
{
    double u = 1 + x;
    if (u == 1 || isinf(u) || isnan(u)) return x < -1 ? (double)NAN : x;
    if (u <= 0) return u == 0 ? -(double)INFINITY : (double)NAN;
    return math_log(u) * (x / (u - 1));
}

static double sine_rest(double r, double c)
{
    double z = r * r, sum = 0;
    for (int n = 21; n >= 3; n -= 2) sum = (1 - sum) * z / (n * (n - 1));
    return r + (c * (1 - z / 2) - r * sum); /* sum is 1 - sin(r)/r */
}

static double cosine_rest(double r, double c)
{
    double z = r * r, sum = 0;
    for (int n = 22; n >= 4; n -= 2) sum = (1 - sum) * z / (n * (n - 1));
    double half = z / 2, w = 1 - half;
    return w + (((1 - w) - half) + (half * sum - r * c)); /* cos r = 1 - z/2 (1 - sum) */
}

/* The quadrant of x and what is left, r + c. */
static int reduce(double x, double *r, double *c)
{
    double k = rint(x * 0.63661977236758134), rest = x - k * half_pi[0], tail = 0;
    for (int i = 1; i < 4; i++) {
        double piece = k * half_pi[i], next = rest - piece;
        tail += (rest - next) - piece;
        rest = next;
    }
    *r = rest + tail;
    *c = (rest - *r) + tail;
    return (int)((int64_t)k & 3);
}

static double quadrant_value(int quadrant, double r, double c)
{
    switch (quadrant & 3) {
    case 0: return sine_rest(r, c);
    case 1: return cosine_rest(r, c);
    case 2: return -sine_rest(r, c);
    default: return -cosine_rest(r, c);
    }
}

double math_sin(double x)
{
    double r, c;
    if (!(fabs(x) < 1e8)) return sin(x);
    int quadrant = reduce(x, &r, &c);
    return quadrant_value(quadrant, r, c);
}

double math_cos(double x)
{
    double r, c;
    if (!(fabs(x) < 1e8)) return cos(x);
    int quadrant = reduce(x, &r, &c);
    return quadrant_value(quadrant + 1, r, c);
}

double math_tanh(double x)
{
    if (isnan(x)) return x;
    if (fabs(x) > 22) return x > 0 ? 1 : -1;
    double t = expm1_of(2 * fabs(x)), value = t / (t + 2);
    return x < 0 ? -value : x > 0 ? value : x;
}

double math_sigmoid(double x)
{
    return 1 / (1 + math_exp(-x));
}

/* exp(-x x), the square's rounding error made good. */
static double gauss(double x)
{
    double split = x * 134217729.0, high = split - (split - x), low = x - high, square = x * x;
    double error = ((high * high - square) + 2 * high * low) + low * low;
    return math_exp(-square) * (1 - error);
}

double math_erf(double x)
{
    if (isnan(x)) return x;
    double a = fabs(x), value;
    if (a > 6) {
        value = 1;
    } else if (a < 3) { /* 2/sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!: no cancellation */
        double z = 2 * a * a, sum = 0;
        for (int n = 70; n >= 1; n--) sum = (sum + 1) * z / (2 * n + 1);
        value = 1.1283791670955126 * gauss(a) * (a + a * sum);
    } else { /* 1 - erfc, a continued fraction from the tail */
        double fraction = 0;
        for (int n = 60; n >= 1; n--) fraction = n / 2.0 / (a + fraction);
        value = 1 - gauss(a) * 0.56418958354775629 / (a + fraction);
    }
    return x < 0 ? -value : value;
}

/* x^n by squaring. */
static double whole_power(double x, uint64_t n)
{
    double result = 1;
    for (; n; n >>= 1, x *= x)
        if (n & 1) result *= x;
    return result;
}

/* a^y = 2^(k y) m^y for a = 2^k m, m near 1: what 2^(k y) has beyond a whole power is exact, so that only m^y is rounded. */
static double real_power(double a, double y)
{
    int k;
    double m = frexp(a, &k);
    if (fabs(y) > 1e10) return math_exp(y * math_log(a)); /* 0, infinity, or a very near 1 */
    if (m < 0.70710678118654752) {
        m *= 2;
        k--;
    }
    double rest = y * math_log(m), whole = rint(k * y + rest * 1.4426950408889634);
    if (whole > 1100) return INFINITY;
    if (whole < -1200) return 0;
    double split = y * 134217729.0, high = split - (split - y), low = y - high;
    double fraction = (k * high - whole) + k * low; /* of the power of two */
    double value = math_exp(fraction * 0.69314718055994531 + rest);
    return scale(value, (int)whole);
}

double math_pow(double x, double y)
{
    if (y == 0 || x == 1) return 1;
    if (isnan(x) || isnan(y)) return NAN;
    int whole = isinf(y) ? 1 : floor(y) == y, odd = !isinf(y) && whole && fabs(y) < 0x1p53 && fmod(y, 2) != 0;
    double a = fabs(x), sign = (x < 0 || (x == 0 && signbit(x))) && odd ? -1 : 1;
    if (x < 0 && !whole && !isinf(x)) return NAN;
    if (a == 1) return sign;
    if (isinf(y)) return (a > 1) == (y > 0) ? (double)INFINITY : 0;
    if (a == 0 || isinf(a)) return (a == 0) == (y > 0) ? sign * 0.0 : sign * (double)INFINITY;
    if (whole && fabs(y) <= 64) return sign * (y > 0 ? whole_power(a, (uint64_t)y) : 1 / whole_power(a, (uint64_t)-y));
    return sign * real_power(a, y);
}
