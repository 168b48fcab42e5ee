/* The equation form: index arithmetic, copies, the reference evaluator, printing. */
#include "build_module.h"
#include "equation/count.h"
#include "equation/equation.h"
#include "equation/evaluate.h"
#include "equation/index.h"
#include "equation/print.h"
#include "equation/verify.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int set_up_module(void **state)
{
    (void)state;
    arena = arena_new();
    module = module_new(arena, "test");
    return 0;
}

static Tensor *tensor(TensorKind kind, const char *name, int rank, int64_t a, int64_t b)
{
    return tensor_new(module, kind, name, TYPE_F32, rank, (int64_t[]){a, b}, NOWHERE);
}

static const char *shown(const Expr *expr)
{
    Text text = text_new(arena);
    expr_print(expr, &text);
    return text_string(&text);
}

static const char *simple(Expr *expr)
{
    return shown(index_simplify(module, expr));
}

static void ranges(void **state)
{
    (void)state;
    Index *i = ix("i", 7), *j = ix("j", 5);
    int64_t low, high;
    assert_true(index_range(f2(FN_SUB, ei(i), ei(j)), &low, &high));
    assert_int_equal(low, -4);
    assert_int_equal(high, 6);
    assert_true(index_range(f2(FN_SUB, f2(FN_ADD, ei(i), ei(j)), ei(i)), &low, &high)); /* i cancels */
    assert_int_equal(low, 0);
    assert_int_equal(high, 4);
    assert_true(index_range(f2(FN_MOD, f2(FN_SUB, ei(i), in(3)), in(4)), &low, &high));
    assert_int_equal(low, 0);
    assert_int_equal(high, 3);
    assert_true(index_range(f2(FN_FLOORDIV, f2(FN_SUB, ei(i), in(3)), in(2)), &low, &high));
    assert_int_equal(low, -2);
    assert_int_equal(high, 1);
    assert_true(index_range(f3(FN_WHERE, f2(FN_LT, ei(j), in(9)), ei(j), in(100)), &low, &high)); /* decided */
    assert_int_equal(high, 4);
    assert_true(index_range(f2(FN_MAX, f2(FN_SUB, ei(i), in(1)), in(0)), &low, &high));
    assert_int_equal(low, 0);
    assert_int_equal(high, 5);
    assert_true(index_range(f2(FN_MUL, ei(i), f2(FN_SUB, ei(j), in(2))), &low, &high));
    assert_int_equal(low, -12);
    assert_int_equal(high, 12);
    assert_false(index_range(f2(FN_FLOORDIV, ei(i), ei(j)), &low, &high)); /* j may be 0 */
    Tensor *ids = tensor_new(module, TENSOR_INPUT, "ids", TYPE_I32, 1, (int64_t[]){7}, NOWHERE);
    assert_false(index_range(rd1(ids, ei(i)), &low, &high));
}

static void simplification(void **state)
{
    (void)state;
    Index *h = ix("h", 3), *d = ix("d", 8), *n = ix("n", 24);
    Expr *hd = f2(FN_ADD, f2(FN_MUL, ei(h), in(8)), ei(d));
    assert_string_equal(simple(f2(FN_FLOORDIV, hd, in(8))), "h");
    assert_string_equal(simple(f2(FN_MOD, hd, in(8))), "d");
    assert_string_equal(simple(f2(FN_ADD, f2(FN_MUL, f2(FN_FLOORDIV, ei(n), in(8)), in(8)), f2(FN_MOD, ei(n), in(8)))), "n");
    assert_string_equal(simple(f2(FN_FLOORDIV, f2(FN_FLOORDIV, ei(n), in(2)), in(4))), "n // 8");
    assert_string_equal(simple(f2(FN_FLOORDIV, f2(FN_MOD, ei(n), in(8)), in(2))), "n // 2 % 4");
    assert_string_equal(simple(f2(FN_MOD, f2(FN_MOD, ei(n), in(8)), in(2))), "n % 2");
    assert_string_equal(simple(f2(FN_MOD, f2(FN_ADD, f2(FN_MUL, ei(n), in(4)), f2(FN_MOD, ei(d), in(4))), in(8))), "d % 4 + n % 2 * 4");
    assert_string_equal(simple(f3(FN_WHERE, f2(FN_LT, ei(d), in(8)), ei(h), ei(n))), "h");
    assert_string_equal(simple(f2(FN_MIN, ei(d), in(7))), "d");
    assert_string_equal(simple(f2(FN_SUB, f2(FN_ADD, ei(d), ei(n)), ei(d))), "n");
    assert_string_equal(simple(f2(FN_FLOORDIV, f2(FN_ADD, f2(FN_MUL, ei(n), in(8)), f2(FN_ADD, ei(d), in(8))), in(8))), "n + 1");
    assert_string_equal(simple(f2(FN_FLOORDIV, f2(FN_SUB, ei(n), in(1)), in(4))), "(n + 3) // 4 - 1");
}

/* Simplified exprs have the value of the written ones at every point. */
static void simplification_is_exact(void **state)
{
    (void)state;
    srand(7);
    for (int trial = 0; trial < 3000; trial++) {
        Index *i = ix("i", 1 + rand() % 9), *j = ix("j", 1 + rand() % 7);
        Expr *pool[40] = {ei(i), ei(j), in(rand() % 9 - 4)};
        int count = 3;
        static const Function functions[] = {FN_ADD, FN_SUB, FN_MUL, FN_FLOORDIV, FN_MOD, FN_MIN, FN_MAX, FN_WHERE, FN_LT, FN_ADD, FN_ABS, FN_FLOORDIV, FN_MOD};
        while (count < 9) {
            Function f = functions[rand() % 13];
            Expr *a = pool[rand() % count], *b = pool[rand() % count], *c = pool[rand() % count];
            if (f == FN_FLOORDIV || f == FN_MOD || (f == FN_MUL && rand() % 4)) b = in(1 + rand() % 8);
            pool[count++] = expr_apply(module, f, a, b, c, NOWHERE);
        }
        Tensor *result = tensor_new(module, TENSOR_LOCAL, "y", TYPE_I32, 2, (int64_t[]){i->extent, j->extent}, NOWHERE);
        Equation *equation = equation_new(module, result, NOWHERE, NULL);
        equation->free_count = 2;
        equation->free[0] = i;
        equation->free[1] = j;
        equation->subscripts[0] = ei(i);
        equation->subscripts[1] = ei(j);
        Expr *after = index_simplify(module, pool[8]);
        int64_t low, high;
        bool proved = index_range(pool[8], &low, &high);
        for (int64_t a = 0; a < i->extent; a++)
            for (int64_t b = 0; b < j->extent; b++) {
                int64_t at[2] = {a, b};
                equation->value = pool[8];
                double expected = equation_evaluate_at(equation, at, NULL, NULL, NULL);
                equation->value = after;
                double got = equation_evaluate_at(equation, at, NULL, NULL, NULL);
                if (got != expected) fail_msg("%s became %s: %g, %g at %d, %d", shown(pool[8]), shown(after), expected, got, (int)a, (int)b);
                if (proved && (expected < (double)low || expected > (double)high)) fail_msg("%s is outside %d to %d", shown(pool[8]), (int)low, (int)high);
            }
    }
}

static Equation *define(Tensor *result, Index *a, Index *b, Expr *value)
{
    Equation *equation = equation_new(module, result, NOWHERE, NULL);
    Index *free[] = {a, b};
    for (int i = 0; i < result->rank; i++) {
        equation->free[equation->free_count++] = free[i];
        equation->subscripts[i] = ei(free[i]);
    }
    equation->value = value;
    return equation;
}

static double *fill(Evaluation *evaluation, Tensor *t)
{
    double *values = arena_new_array(arena, double, tensor_count(t));
    for (int64_t i = 0; i < tensor_count(t); i++) values[i] = sin((double)(i * 7 + t->id * 3 + 1));
    return evaluation->values[t->id] = values;
}

static void evaluates_dense(void **state)
{
    (void)state;
    enum { N = 5, K = 300, M = 7 };
    Tensor *x = tensor(TENSOR_INPUT, "x", 2, N, K), *w = tensor(TENSOR_WEIGHT, "w", 2, M, K), *b = tensor(TENSOR_WEIGHT, "b", 1, M, 0);
    Tensor *y = tensor(TENSOR_LOCAL, "y", 2, N, M), *z = tensor(TENSOR_LOCAL, "z", 2, N, M), *best = tensor_new(module, TENSOR_LOCAL, "best", TYPE_I32, 1, (int64_t[]){N}, NOWHERE);
    Index *i = ix("i", N), *m = ix("m", M), *k = ix("k", K);
    Expr *sum = red(REDUCE_SUM, k, f2(FN_MUL, rd2(x, ei(i), ei(k)), rd2(w, ei(m), ei(k))));
    define(y, i, m, f2(FN_ADD, sum, rd1(b, ei(m))));
    Index *i2 = ix("i", N), *m2 = ix("m", M), *c = ix("c", M);
    define(z, i2, m2, f2(FN_SUB, rd2(y, ei(i2), ei(m2)), red(REDUCE_MEAN, c, rd2(y, ei(i2), ei(c)))));
    Index *i3 = ix("i", N), *m3 = ix("m", M);
    define(best, i3, NULL, red(REDUCE_ARGMAX, m3, rd2(z, ei(i3), ei(m3))));
    module_verify(module, true);
    Text text = text_new(arena);
    equation_print(module->equations.data[0], &text);
    assert_string_equal(text_string(&text), "y[i, m] = sum[k](x[i, k] * w[m, k]) + b[m]  for i < 5, m < 7, k < 300");
    Evaluation *evaluation = evaluation_new(arena, module);
    double *vx = fill(evaluation, x), *vw = fill(evaluation, w), *vb = fill(evaluation, b);
    assert_int_equal(evaluation_run(evaluation), 0);
    for (int r = 0; r < N; r++) {
        double row[M], mean = 0;
        int largest = 0;
        for (int q = 0; q < M; q++) {
            row[q] = vb[q];
            for (int t = 0; t < K; t++) row[q] += vx[r * K + t] * vw[q * K + t];
            mean += row[q] / M;
            if (row[q] > row[largest]) largest = q;
            assert_true(fabs(evaluation->values[y->id][r * M + q] - row[q]) < 1e-12);
        }
        for (int q = 0; q < M; q++) assert_true(fabs(evaluation->values[z->id][r * M + q] - (row[q] - mean)) < 1e-12);
        assert_int_equal((int)evaluation->values[best->id][r], largest);
    }
    best->output_name = "best";
    Evaluation *again = evaluation_new(arena, module); /* keeping outputs alone */
    again->outputs_only = true;
    fill(again, x), fill(again, w), fill(again, b);
    assert_int_equal(evaluation_run(again), 0);
    assert_null(again->values[y->id]);
    for (int r = 0; r < N; r++) assert_true(again->values[best->id][r] == evaluation->values[best->id][r]);
    Cost cost = equation_cost(module->equations.data[0]);
    assert_int_equal(cost.macs, N * K * M);
    assert_int_equal(cost.flops, 2 * N * K * M + N * M);
    cost = equation_cost(module->equations.data[1]);
    assert_int_equal(cost.macs, 0);
    assert_int_equal(cost.flops, N * M + N + N * M);
}

static void selects(void **state)
{
    (void)state;
    Tensor *x = tensor(TENSOR_INPUT, "x", 1, 4, 0), *y = tensor(TENSOR_LOCAL, "y", 1, 6, 0), *z = tensor(TENSOR_LOCAL, "z", 1, 6, 0);
    Index *i = ix("i", 6), *j = ix("i", 6);
    /* y[i] = x[i - 1 or -1]; z[i] = where(i < 3, 2, 0 / 0) */
    define(y, i, NULL, expr_read(module, x, 1, (Expr *[]){f2(FN_SUB, ei(i), in(1))}, real(-1), NOWHERE));
    define(z, j, NULL, f3(FN_WHERE, f2(FN_LT, ei(j), in(3)), real(2), f2(FN_DIV, real(0), f2(FN_MUL, real(0), ei(j)))));
    Evaluation *evaluation = evaluation_new(arena, module);
    double *vx = fill(evaluation, x);
    evaluation_run(evaluation);
    assert_true(evaluation->values[y->id][0] == -1 && evaluation->values[y->id][5] == -1);
    for (int k = 1; k < 5; k++) assert_true(evaluation->values[y->id][k] == vx[k - 1]);
    for (int k = 0; k < 3; k++) assert_true(evaluation->values[z->id][k] == 2);
    assert_true(isnan(evaluation->values[z->id][4]));
    double nan_first = function_evaluate(FN_MAX, NAN, 1, 0), nan_second = function_evaluate(FN_MAX, 1, NAN, 0);
    assert_true(isnan(nan_first) && isnan(nan_second));
}

static void clamps(void **state)
{
    (void)state;
    Tensor *ids = tensor_new(module, TENSOR_INPUT, "ids", TYPE_I64, 1, (int64_t[]){5}, NOWHERE);
    Tensor *table = tensor(TENSOR_WEIGHT, "table", 2, 3, 2), *y = tensor(TENSOR_LOCAL, "y", 2, 5, 2);
    list_push(arena, &module->inputs, ((Port){"ids", ids, NULL, NOWHERE}));
    Index *t = ix("t", 5), *d = ix("d", 2);
    /* the last row is selected away, clamped or not */
    Expr *read = rd2(table, rd1(ids, ei(t)), ei(d));
    define(y, t, d, f3(FN_WHERE, f2(FN_LT, ei(t), in(4)), read, real(0)));
    Evaluation *evaluation = evaluation_new(arena, module);
    double *vt = fill(evaluation, table);
    double good[] = {0, 2, 1, 2, 99}, wrong[] = {0, -5, 7, 2, 1};
    evaluation->values[ids->id] = good;
    assert_int_equal(evaluation_run(evaluation), 0);
    assert_true(evaluation->values[y->id][8] == 0);
    evaluation->values[ids->id] = wrong;
    assert_int_equal(evaluation_run(evaluation), 1);
    assert_true(evaluation->values[y->id][2] == vt[0] && evaluation->values[y->id][5] == vt[5]);
}

static void copies(void **state)
{
    (void)state;
    Tensor *x = tensor(TENSOR_INPUT, "x", 2, 6, 4);
    Index *i = ix("i", 6), *k = ix("k", 4), *n = ix("n", 3);
    Expr *sum = red(REDUCE_SUM, k, rd2(x, ei(i), ei(k)));
    Expr *value = f2(FN_MUL, sum, sum);
    Substitution map = {i, f2(FN_MUL, ei(n), in(2))};
    Expr *copy = expr_substitute(module, value, &map, 1);
    assert_string_equal(shown(copy), "sum[k](x[n * 2, k]) * sum[k](x[n * 2, k])");
    assert_ptr_equal(copy->args[0], copy->args[1]);
    assert_ptr_not_equal(copy->args[0]->indices[0], k);
    assert_true(expr_uses(copy, n) && !expr_uses(copy, i) && !expr_uses(copy, k));
    assert_true(expr_equal(copy, expr_substitute(module, value, &map, 1)));
    assert_false(expr_equal(copy, value));
}

static void signs(void **state)
{
    (void)state;
    Index *i = ix("i", 6);
    Expr *a = f2(FN_SUB, ei(i), f2(FN_SUB, ei(i), in(2)));
    assert_string_equal(shown(a), "i - (i - 2)");
    assert_string_equal(shown(f2(FN_DIV, real(1), f2(FN_MUL, real(0.5), f1(FN_NEG, real(3))))), "1.0 / (0.5 * -3.0)");
    assert_string_equal(shown(f1(FN_EXP, real(INFINITY))), "exp(inf)");
    Function function;
    assert_true(function_find("rsqrt", &function) && function == FN_RSQRT);
    assert_false(function_find("neg", &function));
    assert_false(function_find("+", &function));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_module, tear_down)
    const struct CMUnitTest tests[] = {TEST(ranges), TEST(simplification), TEST(simplification_is_exact), TEST(evaluates_dense),
                                       TEST(selects), TEST(clamps), TEST(copies), TEST(signs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
