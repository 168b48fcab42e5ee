/* Chains of element functions and the tables fitted to them. */
#include "loop/fit.h"

#include "loop/approximate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static Arena *arena;
static Module *module;
static Expr *x;

static int setup(void **state)
{
    (void)state;
    arena = arena_new();
    module = module_new(arena, "m");
    Tensor *tensor = tensor_new(module, TENSOR_INPUT, "x", TYPE_F32, 1, (const int64_t[]){8}, (Place){0});
    Index *i = index_new(module, "i", 8, (Place){0});
    Expr *subscript = expr_index(module, i, (Place){0});
    x = expr_read(module, tensor, 1, &subscript, NULL, (Place){0});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static Expr *number(double value)
{
    return expr_number(module, value, false, (Place){0});
}

static Expr *apply(Function function, Expr *a, Expr *b)
{
    return expr_apply(module, function, a, b, NULL, (Place){0});
}

/* 0.5 v (1 + erf(v sqrt(1/2))) */
static Expr *gelu(Expr *v)
{
    Expr *phi = apply(FN_ADD, number(1), apply(FN_ERF, apply(FN_MUL, v, number(sqrt(0.5))), NULL));
    return apply(FN_MUL, apply(FN_MUL, number(0.5), v), phi);
}

static void test_variables(void **state)
{
    (void)state;
    const Expr *found[4];
    Expr *sum = apply(FN_ADD, x, number(3)), *wave = apply(FN_SIN, sum, NULL);
    assert_int_equal(chain_variables(x, found, 4), 0);
    assert_int_equal(chain_variables(number(2), found, 4), 0);
    /* Innermost first; what every path leads through. */
    assert_int_equal(chain_variables(gelu(wave), found, 4), 3);
    assert_ptr_equal(found[0], x);
    assert_ptr_equal(found[1], sum);
    assert_ptr_equal(found[2], wave);
    /* Two variables meet in a third. */
    Expr *other = expr_read(module, x->tensor, 1, (Expr *[]){expr_int(module, 0)}, NULL, (Place){0}), *both = apply(FN_MUL, x, other);
    assert_int_equal(chain_variables(both, found, 4), 0);
    assert_int_equal(chain_variables(gelu(both), found, 4), 1);
    assert_ptr_equal(found[0], both);
}

static void test_values(void **state)
{
    (void)state;
    Chain chain, again;
    assert_true(chain_make(gelu(x), x, &chain));
    assert_true(chain_make(gelu(x), x, &again));
    assert_true(chain_equal(&chain, &again));
    for (double v = -5; v < 5; v += 0.37) assert_true(fabs(chain_value(&chain, v) - 0.5 * v * erfc(-v * sqrt(0.5))) < 1e-14);
    assert_true(chain_is_composed(&chain));
    assert_true(chain_make(apply(FN_TANH, apply(FN_MUL, x, number(2)), NULL), x, &again));
    assert_false(chain_is_composed(&again));
    assert_false(chain_equal(&chain, &again));
}

static int found_on(Fits *fits, Expr *value, TargetName target)
{
    Chain chain;
    assert_true(chain_make(value, x, &chain));
    return fits_find(fits, &chain, &target_table[target]);
}

static void test_which_are_fitted(void **state)
{
    (void)state;
    Fits *fits = fits_new(arena, false);
    int first = found_on(fits, gelu(x), TARGET_AVX512);
    assert_int_equal(first, FUNCTION_COUNT);
    assert_int_equal(found_on(fits, gelu(x), TARGET_AVX512), first);
    assert_int_equal(found_on(fits, gelu(x), TARGET_SCALAR), first);
    assert_int_equal(found_on(fits, apply(FN_MUL, x, apply(FN_SIGMOID, x, NULL)), TARGET_AVX512), first + 1);
    /* A bell keeps its relative accuracy: its values may be divided by their sum. */
    Expr *square = apply(FN_MUL, x, x);
    assert_int_equal(found_on(fits, apply(FN_EXP, apply(FN_NEG, square, NULL), NULL), TARGET_AVX512), -1);
    /* No straight line far out, or no number somewhere. */
    assert_int_equal(found_on(fits, apply(FN_MUL, x, apply(FN_EXP, x, NULL)), TARGET_AVX512), -1);
    assert_int_equal(found_on(fits, apply(FN_MUL, x, apply(FN_SIN, x, NULL)), TARGET_AVX512), -1);
    assert_int_equal(found_on(fits, apply(FN_MUL, x, apply(FN_LOG, x, NULL)), TARGET_AVX512), -1);
}

static const Fit *table_of(TargetName target, bool uniform)
{
    Fits *fits = fits_new(arena, uniform);
    return fits_function(fits, FN_TANH, 2.5, &target_table[target], 60);
}

static void test_uniform_tables(void **state)
{
    (void)state;
    const Fit *wide = table_of(TARGET_AVX512, true), *narrow = table_of(TARGET_AVX2, true), *plain = table_of(TARGET_SCALAR, true);
    assert_non_null(wide);
    assert_memory_equal(wide, narrow, sizeof *wide);
    assert_memory_equal(wide, plain, sizeof *wide);
    const Fit *own = table_of(TARGET_AVX2, false);
    assert_non_null(own);
    assert_true(own->entries != wide->entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_variables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_which_are_fitted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uniform_tables, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
