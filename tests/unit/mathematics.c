/* The project's own elementary functions against the C library's: within a few ulp over their ranges, and alike on special values. */
#include "equation/mathematics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static double ulps(double ours, double reference)
{
    if (ours == reference || (isnan(ours) && isnan(reference))) return 0;
    double unit = nextafter(fabs(reference), INFINITY) - fabs(reference);
    double distance = fabs(ours - reference) / unit;
    return isnan(distance) ? INFINITY : distance;
}

static double uniform(uint64_t *state, double low, double high)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * ((double)(*state >> 11) / 9007199254740992.0);
}

static void check_range(double (*ours)(double), double (*reference)(double), double low, double high, double limit)
{
    uint64_t state = 1;
    double worst = 0;
    for (int i = 0; i < 50000; i++) {
        double x = uniform(&state, low, high), distance = ulps(ours(x), reference(x));
        if (distance > worst) worst = distance;
    }
    if (worst > limit) fail_msg("%g ulp in [%g, %g], more than %g", worst, low, high, limit);
}

static double power_ours(double x) { return math_pow(x, 1.5); }
static double power_reference(double x) { return pow(x, 1.5); }
static double inverse_ours(double x) { return math_pow(x, -3); }
static double inverse_reference(double x) { return pow(x, -3); }

static void ranges(void **state)
{
    (void)state;
    check_range(math_exp, exp, -1, 1, 2);
    check_range(math_exp, exp, -745, 709, 2);
    check_range(math_log, log, 0.5, 2, 2);
    check_range(math_log, log, 0, 1e300, 2);
    check_range(math_log1p, log1p, -0.99, 1, 3);
    check_range(math_log1p, log1p, -1e-6, 1e-6, 3);
    check_range(math_sin, sin, -4, 4, 2);
    check_range(math_sin, sin, -1e8, 1e8, 2);
    check_range(math_cos, cos, -4, 4, 2);
    check_range(math_cos, cos, -1e8, 1e8, 2);
    check_range(math_tanh, tanh, -25, 25, 5);
    check_range(math_tanh, tanh, -1e-8, 1e-8, 5);
    check_range(math_erf, erf, -1, 1, 5);
    check_range(math_erf, erf, -7, 7, 20);
    check_range(power_ours, power_reference, 0, 100, 20);
    check_range(inverse_ours, inverse_reference, -100, 100, 4);
}

static void special_values(void **state)
{
    static const double values[] = {0, -0.0, 1, -1, 0.5, 2, 3, -2, 1e-320, 1e308, INFINITY, -INFINITY, NAN};
    enum { COUNT = sizeof values / sizeof values[0] };
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        double x = values[i];
        assert_true(ulps(math_exp(x), exp(x)) <= 2);
        assert_true(ulps(math_log(x), log(x)) <= 2);
        assert_true(ulps(math_log1p(x), log1p(x)) <= 3);
        assert_true(ulps(math_tanh(x), tanh(x)) <= 5);
        assert_true(ulps(math_erf(x), erf(x)) <= 5);
        assert_true(ulps(math_sin(x), sin(x)) <= 2);
        assert_true(ulps(math_cos(x), cos(x)) <= 2);
        assert_true(isnan(x) ? isnan(math_sigmoid(x)) : fabs(math_sigmoid(x) - 1 / (1 + exp(-x))) < 1e-15);
        for (int k = 0; k < COUNT; k++) {
            double ours = math_pow(x, values[k]), reference = pow(x, values[k]);
            assert_true(ulps(ours, reference) <= 200);
            if (!isnan(reference)) assert_int_equal(signbit(ours) != 0, signbit(reference) != 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranges), cmocka_unit_test(special_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
