/* Every pass on small modules: what it does, and that the outputs keep their values. */
#include "build_module.h"
#include "equation/evaluate.h"
#include "equation/print.h"
#include "equation/verify.h"
#include "passes/passes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- building ----------------------------------------------------------------------------------------------------- */

static Tensor *tensor(TensorKind kind, const char *name, int rank, ...)
{
    int64_t extents[MAX_RANK];
    va_list arguments;
    va_start(arguments, rank);
    for (int i = 0; i < rank; i++) extents[i] = va_arg(arguments, int);
    va_end(arguments);
    Tensor *result = tensor_new(module, kind, name, TYPE_F32, rank, extents, NOWHERE);
    if (kind == TENSOR_INPUT) list_push(arena, &module->inputs, ((Port){name, result, NULL, NOWHERE}));
    if (kind == TENSOR_WEIGHT) list_push(arena, &module->weights, result);
    return result;
}
#define INPUT(...) tensor(TENSOR_INPUT, __VA_ARGS__)
#define WEIGHT(...) tensor(TENSOR_WEIGHT, __VA_ARGS__)
#define LOCAL(...) tensor(TENSOR_LOCAL, __VA_ARGS__)

static Tensor *define(Tensor *result, Expr *value, ...)
{
    Equation *equation = equation_new(module, result, NOWHERE, NULL);
    va_list arguments;
    va_start(arguments, value);
    for (int i = 0; i < result->rank; i++) {
        Index *index = va_arg(arguments, Index *);
        equation->free[equation->free_count++] = index;
        equation->subscripts[i] = ei(index);
    }
    va_end(arguments);
    equation->value = value;
    return result;
}

static Tensor *output(Tensor *t)
{
    t->output_name = t->name;
    list_push(arena, &module->outputs, ((Port){t->name, t, NULL, NOWHERE}));
    return t;
}

/* --- checking ----------------------------------------------------------------------------------------------------- */
static double *fill(const Tensor *t)
{
    double *values = arena_new_array(arena, double, tensor_count(t));
    unsigned seed = 1;
    for (const char *c = t->name; *c; c++) seed = seed * 31 + (unsigned char)*c;
    for (int64_t i = 0; i < tensor_count(t); i++) values[i] = element_type_is_integer(t->type) ? (double)(i * 7 % 3) : sin((double)(i * 13 + seed % 1000)) + 0.1;
    return values;
}

static double **evaluate(void)
{
    Evaluation *evaluation = evaluation_new(arena, module);
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *t = module->tensors.data[i];
        if (t->kind == TENSOR_INPUT || t->kind == TENSOR_WEIGHT) evaluation->values[i] = fill(t);
    }
    assert_int_equal(evaluation_run(evaluation), 0);
    double **outputs = arena_new_array(arena, double *, module->outputs.count);
    for (int i = 0; i < module->outputs.count; i++) outputs[i] = evaluation->values[module->outputs.data[i].tensor->id];
    return outputs;
}

static const char *shown(void)
{
    Text text = text_new(arena);
    module_print(module, &text);
    return text_string(&text);
}

/* Builds a module, runs the passes up to `last`, and compares the outputs. */
static void run(void (*build)(void), const char *last, double tolerance)
{
    module = module_new(arena, "test");
    build();
    module_verify(module, false);
    double **before = evaluate();
    const char *text = shown();
    assert_true(run_passes(module, last, VERIFY_EACH_PASS, NULL));
    double **after = evaluate();
    for (int i = 0; i < module->outputs.count; i++) {
        int64_t count = tensor_count(module->outputs.data[i].tensor);
        double largest = 1, worst = 0;
        for (int64_t k = 0; k < count; k++) largest = fmax(largest, fabs(before[i][k]));
        for (int64_t k = 0; k < count; k++) worst = fmax(worst, fabs(before[i][k] - after[i][k]));
        if (!(worst <= tolerance * largest)) fail_msg("differs by %g:\n%s\nbecame\n%s", worst, text, shown());
    }
}

static int equations(bool packed)
{
    int count = 0;
    for (int i = 0; i < module->equations.count; i++) count += module->equations.data[i]->packed == packed;
    return count;
}

static void expect_equation(const char *expected)
{
    for (int i = 0; i < module->equations.count; i++) {
        Text text = text_new(arena);
        equation_print(module->equations.data[i], &text);
        if (strcmp(text_string(&text), expected) == 0) return;
    }
    fail_msg("no equation\n%s\nin\n%s", expected, shown());
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */
static Tensor *dense(const char *name, Tensor *x, int m_extent)
{
    int n = (int)x->extents[0], k_extent = (int)x->extents[1];
    Index *i = ix("i", n), *m = ix("m", m_extent), *k = ix("k", k_extent);
    Tensor *w = WEIGHT(arena_printf(arena, "%s.weight", name), 2, m_extent, k_extent), *b = WEIGHT(arena_printf(arena, "%s.bias", name), 1, m_extent);
    Tensor *y = LOCAL(arena_printf(arena, "%s.y", name), 2, n, m_extent), *z = LOCAL(arena_printf(arena, "%s.z", name), 2, n, m_extent);
    define(y, sum(k, mul(rd2(x, ei(i), ei(k)), rd2(w, ei(m), ei(k)))), i, m);
    Index *i2 = ix("i", n), *m2 = ix("m", m_extent);
    return define(z, add(rd2(y, ei(i2), ei(m2)), rd1(b, ei(m2))), i2, m2);
}

static Tensor *gelu(const char *name, Tensor *x)
{
    Index *i = ix("i", x->extents[0]), *c = ix("c", x->extents[1]);
    Expr *v = rd2(x, ei(i), ei(c));
    Expr *v2 = rd2(x, ei(i), ei(c));
    Expr *phi = add(real(1), f1(FN_ERF, f2(FN_DIV, v2, f1(FN_SQRT, real(2)))));
    return define(LOCAL(name, 2, (int)x->extents[0], (int)x->extents[1]), mul(mul(real(0.5), v), phi), i, c);
}

static Tensor *slice(const char *name, Tensor *x, int from, int count)
{
    Index *i = ix("i", x->extents[0]), *c = ix("c", count);
    return define(LOCAL(name, 2, (int)x->extents[0], count), rd2(x, ei(i), add(ei(c), in(from))), i, c);
}

static Tensor *layernorm(const char *name, Tensor *x)
{
    int n = (int)x->extents[0], width = (int)x->extents[1];
    Index *i = ix("i", n), *c = ix("c", width);
    Tensor *mu = define(LOCAL(arena_printf(arena, "%s.mu", name), 1, n), red(REDUCE_MEAN, c, rd2(x, ei(i), ei(c))), i);
    Index *i1 = ix("i", n), *c1 = ix("c", width);
    Tensor *d = define(LOCAL(arena_printf(arena, "%s.d", name), 2, n, width), f2(FN_SUB, rd2(x, ei(i1), ei(c1)), rd1(mu, ei(i1))), i1, c1);
    Index *i2 = ix("i", n), *c2 = ix("c", width), *c3 = ix("c", width);
    Expr *square = mul(rd2(d, ei(i2), ei(c3)), rd2(d, ei(i2), ei(c3)));
    Expr *scale = f1(FN_RSQRT, add(red(REDUCE_MEAN, c3, square), real(1e-5)));
    Tensor *g = WEIGHT(arena_printf(arena, "%s.weight", name), 1, width), *b = WEIGHT(arena_printf(arena, "%s.bias", name), 1, width);
    Expr *value = add(mul(mul(rd2(d, ei(i2), ei(c2)), scale), rd1(g, ei(c2))), rd1(b, ei(c2)));
    return define(LOCAL(name, 2, n, width), value, i2, c2);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */
static void build_gated_block(void)
{
    Tensor *x = INPUT("x", 2, 6, 8);
    Tensor *h = gelu("h", dense("fc1", layernorm("norm", x), 24));
    Tensor *u = slice("u", h, 0, 12), *v = layernorm("gate.norm", slice("v", h, 12, 12));
    Tensor *w = WEIGHT("gate.weight", 2, 6, 6), *b = WEIGHT("gate.bias", 1, 6);
    Index *i = ix("i", 6), *c = ix("c", 12), *j = ix("j", 6);
    Tensor *g = define(LOCAL("g", 2, 6, 12), add(sum(j, mul(rd2(w, ei(i), ei(j)), rd2(v, ei(j), ei(c)))), rd1(b, ei(i))), i, c);
    Index *i2 = ix("i", 6), *c2 = ix("c", 12);
    Tensor *ug = define(LOCAL("ug", 2, 6, 12), mul(rd2(u, ei(i2), ei(c2)), rd2(g, ei(i2), ei(c2))), i2, c2);
    Tensor *y = dense("fc2", ug, 8);
    Index *i3 = ix("i", 6), *c3 = ix("c", 8);
    output(define(LOCAL("out", 2, 6, 8), add(rd2(x, ei(i3), ei(c3)), rd2(y, ei(i3), ei(c3))), i3, c3));
}

static void gated_block(void **state)
{
    (void)state;
    run(build_gated_block, NULL, 1e-12);
    /* norm: mean, variance, map; fc1 with bias and activation; the same norm; gate; fc2 with residual */
    if (equations(false) != 9) fail_msg("%d equations:\n%s", equations(false), shown());
    expect_equation("out[i, c] = x[i, c] + (sum[k](ug[i, k] * fc2.weight[c, k]) + fc2.bias[c])  for i < 6, c < 8, k < 12");
    expect_equation("ug[i, c] = h[i, c] * (sum[j](gate.weight[i, j] * gate.norm[j, c]) + gate.bias[i])  for i < 6, c < 12, j < 6");
}

static void build_attention(void)
{
    enum { N = 5, H = 2, D = 4, C = H * D };
    Tensor *x = INPUT("x", 2, N, C);
    Tensor *qkv = dense("qkv", x, 3 * C);
    Tensor *part[3];
    for (int p = 0; p < 3; p++) {
        Index *h = ix("h", H), *i = ix("i", N), *d = ix("d", D);
        part[p] = define(LOCAL(arena_printf(arena, "%c", "qkv"[p]), 3, H, N, D), rd2(qkv, ei(i), add(in(p * C), add(mul(ei(h), in(D)), ei(d)))), h, i, d);
    }
    Index *h = ix("h", H), *i = ix("i", N), *j = ix("j", N), *d = ix("d", D);
    Tensor *s = define(LOCAL("s", 3, H, N, N), sum(d, mul(mul(rd3(part[0], ei(h), ei(i), ei(d)), rd3(part[1], ei(h), ei(j), ei(d))), f2(FN_DIV, real(1), f1(FN_SQRT, real(D))))), h, i, j);
    Index *h1 = ix("h", H), *i1 = ix("i", N), *j1 = ix("j", N), *j2 = ix("j", N);
    Tensor *e = define(LOCAL("e", 3, H, N, N), f1(FN_EXP, f2(FN_SUB, rd3(s, ei(h1), ei(i1), ei(j1)), red(REDUCE_MAX, j2, rd3(s, ei(h1), ei(i1), ei(j2))))), h1, i1, j1);
    Index *h3 = ix("h", H), *i3 = ix("i", N), *j3 = ix("j", N), *j4 = ix("j", N);
    Tensor *a = define(LOCAL("a", 3, H, N, N), f2(FN_DIV, rd3(e, ei(h3), ei(i3), ei(j3)), sum(j4, rd3(e, ei(h3), ei(i3), ei(j4)))), h3, i3, j3);
    Index *h5 = ix("h", H), *i5 = ix("i", N), *d5 = ix("d", D), *j5 = ix("j", N);
    Tensor *o = LOCAL("o", 2, N, C);
    Equation *merge = equation_new(module, o, NOWHERE, NULL);
    merge->free_count = 3;
    merge->free[0] = i5;
    merge->free[1] = h5;
    merge->free[2] = d5;
    merge->subscripts[0] = ei(i5);
    merge->subscripts[1] = add(mul(ei(h5), in(D)), ei(d5));
    merge->value = sum(j5, mul(rd3(a, ei(h5), ei(i5), ei(j5)), rd3(part[2], ei(h5), ei(j5), ei(d5))));
    output(dense("proj", o, C));
}

static void attention(void **state)
{
    (void)state;
    run(build_attention, NULL, 1e-12);
    /* qkv, scores, max, exp, sum, quotient, mixing, projection */
    if (equations(false) != 8) fail_msg("%d equations:\n%s", equations(false), shown());
    expect_equation("s[h, i, j] = sum[d](qkv.z[i, h * 4 + d] * qkv.z[j, h * 4 + d + 8]) * 0.5  for h < 2, i < 5, j < 5, d < 4");
    expect_equation("o[i, h * 4 + d] = sum[j](a[h, i, j] * qkv.z[j, h * 4 + d + 16])  for i < 5, h < 2, d < 4, j < 5");
}

/* Heads merged by a view with // and % into a dense layer: its k index is split. */
static void build_merge(void)
{
    Tensor *x = INPUT("x", 3, 3, 5, 4);
    Index *i = ix("i", 5), *c = ix("c", 12);
    Tensor *m = define(LOCAL("m", 2, 5, 12), rd3(x, f2(FN_FLOORDIV, ei(c), in(4)), ei(i), f2(FN_MOD, ei(c), in(4))), i, c);
    output(dense("proj", m, 6));
}

static void merged_heads(void **state)
{
    (void)state;
    run(build_merge, NULL, 1e-12);
    assert_int_equal(equations(false), 1);
    expect_equation("proj.z[i, m] = sum[k_o, k_i](x[k_o, i, k_i] * proj.weight[m, k_o * 4 + k_i]) + proj.bias[m]  for i < 5, m < 6, k_o < 3, k_i < 4");
}

/* Patches: a convolution over pixels, flattened by a view, transposed, with a residual of tokens. */
static void build_patches(void)
{
    Tensor *x = INPUT("x", 3, 2, 6, 9), *w = WEIGHT("w", 4, 5, 2, 3, 3), *p = WEIGHT("pos", 2, 6, 5);
    Index *o = ix("o", 5), *i = ix("i", 2), *j = ix("j", 3), *r[3] = {ix("c", 2), ix("u", 3), ix("v", 3)};
    Expr *pixel = rd3(x, ei(r[0]), add(mul(ei(i), in(3)), ei(r[1])), add(mul(ei(j), in(3)), ei(r[2])));
    Expr *weight = expr_read(module, w, 4, (Expr *[]){ei(o), ei(r[0]), ei(r[1]), ei(r[2])}, NULL, NOWHERE);
    Tensor *y = define(LOCAL("y", 3, 5, 2, 3), expr_reduce(module, REDUCE_SUM, 3, r, mul(pixel, weight), NOWHERE), o, i, j);
    Index *n = ix("n", 6), *c = ix("c", 5);
    Tensor *t = define(LOCAL("t", 2, 6, 5), rd3(y, ei(c), f2(FN_FLOORDIV, ei(n), in(3)), f2(FN_MOD, ei(n), in(3))), n, c);
    Index *n2 = ix("n", 6), *c2 = ix("c", 5);
    output(define(LOCAL("z", 2, 6, 5), add(rd2(t, ei(n2), ei(c2)), rd2(p, ei(n2), ei(c2))), n2, c2));
}

static void patches(void **state)
{
    (void)state;
    run(build_patches, NULL, 1e-12);
    assert_int_equal(equations(false), 1);
    expect_equation("z[n_o * 3 + n_i, c] = sum[c'2, u, v](x[c'2, n_o * 3 + u, n_i * 3 + v] * w[c, c'2, u, v]) + pos[n_o * 3 + n_i, c]  for n_o < 2, n_i < 3, c < 5, c'2 < 2, u < 3, v < 3");
}

/* A token in front by concatenation, positions added; then a mean and a matrix read it. */
static void build_concatenation(void)
{
    Tensor *x = INPUT("x", 2, 4, 3), *cls = WEIGHT("cls", 1, 3), *pos = WEIGHT("pos", 2, 5, 3);
    Index *i = ix("i", 5), *c = ix("c", 3);
    Expr *first = expr_read(module, x, 2, (Expr *[]){f2(FN_SUB, ei(i), in(1)), ei(c)}, rd1(cls, ei(c)), NOWHERE);
    Tensor *t = define(LOCAL("t", 2, 5, 3), first, i, c);
    Index *i2 = ix("i", 5), *c2 = ix("c", 3);
    Tensor *y = define(LOCAL("y", 2, 5, 3), add(rd2(t, ei(i2), ei(c2)), rd2(pos, ei(i2), ei(c2))), i2, c2);
    output(dense("head", y, 4));
    Index *i3 = ix("i", 5), *c3 = ix("c", 3);
    output(define(LOCAL("mean", 1, 3), red(REDUCE_MEAN, i3, rd2(y, ei(i3), ei(c3))), c3));
}

static void concatenation(void **state)
{
    (void)state;
    run(build_concatenation, NULL, 1e-12);
    assert_int_equal(equations(false), 3);
    expect_equation("y[i, c] = x[i - 1, c or cls[c]] + pos[i, c]  for i < 5, c < 3");
}

/* exp(w) and a causal mask fold; so does a product of two weights; a table is computed now. */
static void build_weight_only(void)
{
    Tensor *x = INPUT("x", 2, 4, 3), *w = WEIGHT("w", 2, 4, 4), *s = WEIGHT("s", 1, 4);
    Index *i = ix("i", 4), *c = ix("c", 3), *j = ix("j", 4);
    Expr *causal = f3(FN_WHERE, f2(FN_LE, ei(j), ei(i)), f1(FN_EXP, rd2(w, ei(i), ei(j))), real(0));
    Tensor *y = define(LOCAL("y", 2, 4, 3), sum(j, mul(causal, rd2(x, ei(j), ei(c)))), i, c);
    Index *k = ix("k", 4), *l = ix("l", 4);
    Tensor *table = define(LOCAL("table", 2, 4, 4), f1(FN_COS, f2(FN_DIV, mul(mul(real(6.283185307179586), ei(k)), ei(l)), real(4))), k, l);
    Index *i2 = ix("i", 4), *c2 = ix("c", 3), *j2 = ix("j", 4);
    Tensor *z = define(LOCAL("z", 2, 4, 3), sum(j2, mul(mul(rd2(w, ei(i2), ei(j2)), rd2(y, ei(j2), ei(c2))), rd1(s, ei(j2)))), i2, c2);
    Index *i3 = ix("i", 4), *c3 = ix("c", 3), *j3 = ix("j", 4);
    output(define(LOCAL("o", 2, 4, 3), sum(j3, mul(rd2(table, ei(i3), ei(j3)), rd2(z, ei(j3), ei(c3)))), i3, c3));
}

static void weight_only(void **state)
{
    (void)state;
    run(build_weight_only, NULL, 1e-6); /* the table is rounded to f32 */
    assert_int_equal(equations(true), 2);
    assert_int_equal(equations(false), 3);
    const Equation *causal = module->equations.data[0];
    assert_true(causal->packed && causal->result->packed && causal->rank == 2);
    int constants = 0;
    for (int i = 0; i < module->tensors.count; i++) constants += module->tensors.data[i]->kind == TENSOR_CONSTANT;
    assert_int_equal(constants, 1);
}

/* Reductions in reductions, in an outside value, equal ones, and factors that leave a sum. */
static void build_nested(void)
{
    Tensor *x = INPUT("x", 2, 4, 5), *s = WEIGHT("s", 0);
    Index *i = ix("i", 6), *j = ix("j", 5), *k = ix("k", 5), *l = ix("l", 5), *m = ix("m", 4);
    Expr *inner = sum(k, mul(rd2(x, f2(FN_MIN, ei(i), in(3)), ei(k)), rd2(x, ei(m), ei(k))));
    Expr *nested = sum(m, mul(inner, f2(FN_DIV, rd2(x, ei(m), in(0)), rd0(s))));
    Expr *outside = expr_read(module, x, 2, (Expr *[]){ei(i), ei(j)}, red(REDUCE_MEAN, l, rd2(x, f2(FN_SUB, ei(i), in(4)), ei(l))), NOWHERE);
    output(define(LOCAL("y", 2, 6, 5), add(nested, mul(outside, nested)), i, j));
}

static void nested(void **state)
{
    (void)state;
    run(build_nested, "normal", 1e-12);
    assert_true(module_is_normal(module));
    run(build_nested, NULL, 1e-12);
}

static void build_simplify(void)
{
    Tensor *x = INPUT("x", 1, 6);
    Index *i = ix("i", 6);
    Expr *same = add(mul(f2(FN_FLOORDIV, ei(i), in(2)), in(2)), f2(FN_MOD, ei(i), in(2)));
    Expr *decided = f3(FN_WHERE, f2(FN_LT, ei(i), in(6)), expr_read(module, x, 1, (Expr *[]){same}, real(7), NOWHERE), real(0));
    Index *d = ix("d", 6);
    define(LOCAL("dead", 1, 6), rd1(x, ei(d)), d);
    output(define(LOCAL("y", 1, 6), f2(FN_DIV, add(decided, real(0)), f1(FN_SQRT, real(16))), i));
}

static void simplifies(void **state)
{
    (void)state;
    run(build_simplify, "simplify", 1e-15);
    assert_int_equal(module->equations.count, 1);
    expect_equation("y[i] = x[i] * 0.25  for i < 6");
}

/* A map read once goes into its reader, an expensive one read twice stays, a reduction that is broadcast stays. */
static void build_shared(void)
{
    Tensor *x = INPUT("x", 2, 4, 5);
    Index *i = ix("i", 4), *c = ix("c", 5);
    Tensor *e = define(LOCAL("e", 2, 4, 5), f1(FN_EXP, rd2(x, ei(i), ei(c))), i, c);
    Index *i1 = ix("i", 4), *c1 = ix("c", 5);
    Tensor *n = define(LOCAL("n", 2, 4, 5), f1(FN_NEG, rd2(e, ei(i1), ei(c1))), i1, c1);
    Index *i2 = ix("i", 4), *c2 = ix("c", 5);
    Tensor *z = define(LOCAL("z", 1, 4), sum(c2, rd2(n, ei(i2), ei(c2))), i2);
    Index *i3 = ix("i", 4), *c3 = ix("c", 5);
    output(define(LOCAL("y", 2, 4, 5), f2(FN_DIV, rd2(n, ei(i3), ei(c3)), rd1(z, ei(i3))), i3, c3));
}

static void shared_maps(void **state)
{
    (void)state;
    run(build_shared, NULL, 1e-12);
    assert_int_equal(equations(false), 3);
    expect_equation("n[i, c] = -exp(x[i, c])  for i < 4, c < 5");
    expect_equation("y[i, c] = n[i, c] / z[i]  for i < 4, c < 5");
    assert_true(module->notes.count > 0);
}

/* Two tables read by two inputs stay two equations, so that a wrong subscript is reported with its input. */
static void build_embeddings(void)
{
    Tensor *ids = tensor_new(module, TENSOR_INPUT, "ids", TYPE_I32, 1, (int64_t[]){5}, NOWHERE), *kinds = tensor_new(module, TENSOR_INPUT, "kinds", TYPE_I32, 1, (int64_t[]){5}, NOWHERE);
    list_push(arena, &module->inputs, ((Port){"ids", ids, NULL, NOWHERE}));
    list_push(arena, &module->inputs, ((Port){"kinds", kinds, NULL, NOWHERE}));
    Tensor *parts[2];
    for (int p = 0; p < 2; p++) {
        Tensor *table = WEIGHT(p ? "table.kinds" : "table.ids", 2, 3, 4);
        Index *t = ix("t", 5), *d = ix("d", 4);
        parts[p] = define(LOCAL(p ? "b" : "a", 2, 5, 4), rd2(table, rd1(p ? kinds : ids, ei(t)), ei(d)), t, d);
    }
    Index *t = ix("t", 5), *d = ix("d", 4);
    output(define(LOCAL("y", 2, 5, 4), add(rd2(parts[0], ei(t), ei(d)), rd2(parts[1], ei(t), ei(d))), t, d));
}

static void embeddings(void **state)
{
    (void)state;
    run(build_embeddings, NULL, 1e-15);
    assert_int_equal(equations(false), 2);
    expect_equation("y[t, d] = a[t, d] + table.kinds[kinds[t], d]  for t < 5, d < 4");
}

/* Equal tables of two calls are one; a constant map that a padded read keeps is a table; a variance by weights becomes a factor. */
static void build_tables(void)
{
    Tensor *x = INPUT("x", 2, 4, 4), *variance = WEIGHT("variance", 1, 4), *ones = NULL;
    for (int call = 0; call < 2; call++) {
        Index *i = ix("i", 4), *j = ix("j", 4), *k = ix("k", 4), *c = ix("c", 4);
        Tensor *table = define(LOCAL(call ? "table2" : "table1", 2, 4, 4), f1(FN_SIN, mul(mul(real(0.5), ei(i)), ei(j))), i, j);
        Index *r = ix("r", 4);
        x = define(LOCAL(call ? "y2" : "y1", 2, 4, 4), sum(k, mul(rd2(table, ei(r), ei(k)), rd2(x, ei(k), ei(c)))), r, c);
    }
    Index *i = ix("i", 4), *j = ix("j", 4), *u = ix("u", 3), *n = ix("n", 4);
    ones = define(LOCAL("ones", 1, 4), real(1), n);
    Expr *inside = expr_read(module, ones, 1, (Expr *[]){f2(FN_SUB, add(ei(i), ei(u)), in(1))}, real(0), NOWHERE);
    Expr *scaled = f2(FN_DIV, rd2(x, ei(i), ei(j)), f1(FN_SQRT, add(mul(rd1(variance, ei(j)), rd1(variance, ei(j))), real(1))));
    output(define(LOCAL("z", 2, 4, 4), mul(scaled, sum(u, inside)), i, j));
}

static void tables(void **state)
{
    (void)state;
    run(build_tables, NULL, 1e-6);
    int constants = 0;
    for (int i = 0; i < module->tensors.count; i++) constants += module->tensors.data[i]->kind == TENSOR_CONSTANT;
    assert_int_equal(constants, 2); /* the sines, and how many of each window lie inside */
    assert_int_equal(equations(true), 1);
    assert_int_equal(equations(false), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(simplifies), TEST(nested), TEST(gated_block), TEST(attention), TEST(merged_heads),
                                       TEST(patches), TEST(concatenation), TEST(weight_only), TEST(shared_maps), TEST(embeddings), TEST(tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
