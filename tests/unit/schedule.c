/* Scheduling: hand-built modules are scheduled for both families, the plan is run step by step on flat memory (layouts, addresses,
 * loops, shared kernels, results in place) and compared with the reference. */
#include "build_module.h"
#include "equation/evaluate.h"
#include "equation/verify.h"
#include "schedule/execute.h"
#include "schedule/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- building modules ---------------------------------------------------------------------------------------------- */

static Tensor *tensor(TensorKind kind, const char *name, int rank, const int64_t *extents)
{
    Tensor *result = tensor_new(module, kind, arena_printf(arena, "%s.%d", name, module->tensors.count), TYPE_F32, rank, extents, NOWHERE);
    if (kind == TENSOR_WEIGHT) {
        result->path = result->name;
        list_push(module->arena, &module->weights, result);
    }
    if (kind == TENSOR_INPUT) {
        result->input_name = name;
        list_push(module->arena, &module->inputs, (Port){.name = name, .tensor = result});
    }
    return result;
}

static Tensor *tensor1(TensorKind kind, const char *name, int64_t a)
{
    return tensor(kind, name, 1, (int64_t[]){a});
}
static Tensor *tensor2(TensorKind kind, const char *name, int64_t a, int64_t b)
{
    return tensor(kind, name, 2, (int64_t[]){a, b});
}
static Tensor *tensor3(TensorKind kind, const char *name, int64_t a, int64_t b, int64_t c)
{
    return tensor(kind, name, 3, (int64_t[]){a, b, c});
}

/* result[free...] = value, the subscripts being the free indices. */
static Tensor *equation(const char *name, int rank, Index *const *free, Expr *value)
{
    int64_t extents[MAX_RANK];
    for (int i = 0; i < rank; i++) extents[i] = free[i]->extent;
    Tensor *result = tensor(TENSOR_LOCAL, name, rank, extents);
    Equation *made = equation_new(module, result, NOWHERE, NULL);
    made->free_count = rank;
    for (int i = 0; i < rank; i++) {
        made->free[i] = free[i];
        made->subscripts[i] = ei(free[i]);
    }
    made->value = value;
    return result;
}

static void output(const char *name, Tensor *result)
{
    result->output_name = name;
    list_push(module->arena, &module->outputs, (Port){.name = name, .tensor = result});
}

static void start(const char *name)
{
    module = module_new(arena, name);
}

/* --- running both -------------------------------------------------------------------------------------------------- */
static double random_value(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 33) / 2147483648.0 * 2 - 1;
}

static void give_values(Evaluation *evaluation)
{
    uint64_t seed = 42;
    for (int i = 0; i < module->tensors.count; i++) {
        Tensor *t = module->tensors.data[i];
        if (t->kind != TENSOR_INPUT && t->kind != TENSOR_WEIGHT) continue;
        int64_t count = tensor_count(t);
        evaluation->values[i] = arena_new_array(arena, double, count);
        for (int64_t j = 0; j < count; j++)
            evaluation->values[i][j] = t->type == TYPE_F32 ? random_value(&seed) : floor((random_value(&seed) + 1) * 4);
    }
}

static Plan *check(Family family, bool keep_all)
{
    module_verify(module, true);
    Evaluation *before = evaluation_new(arena, module);
    int outputs = module->outputs.count;
    double **wanted = arena_new_array(arena, double *, outputs), **found = arena_new_array(arena, double *, outputs);
    give_values(before);
    evaluation_run(before);
    for (int i = 0; i < outputs; i++) {
        wanted[i] = before->values[module->outputs.data[i].tensor->id];
        found[i] = arena_new_array(arena, double, tensor_count(module->outputs.data[i].tensor));
    }
    PlanOptions options = {.keep_all = keep_all};
    Plan *plan = schedule(module, family, &options, diagnostics_new(arena));
    module_verify(module, false);
    plan_verify(plan);
    Text shown = text_new(arena);
    plan_print(plan, &shown);
    if (getenv("SHOW")) puts(text_string(&shown));

    Evaluation *after = evaluation_new(arena, module);
    give_values(after);
    evaluation_run(after);
    plan_execute(plan, after->values, found, 7);
    for (int i = 0; i < outputs; i++)
        for (int64_t j = 0; j < tensor_count(module->outputs.data[i].tensor); j++) {
            double a = wanted[i][j], b = found[i][j], c = after->values[module->outputs.data[i].tensor->id][j];
            if (!(fabs(a - c) <= 1e-9 * (1 + fabs(a)))) fail_msg("output %d, element %ld: %g, rewritten %g", i, (long)j, a, c);
            if (!(fabs(a - b) <= 1e-9 * (1 + fabs(a)))) fail_msg("output %d, element %ld: %g, plan %g", i, (long)j, a, b);
        }
    return plan;
}

/* Builds afresh for every family and mode, since scheduling rewrites the module. Returns the plan for vectors. */
static Plan *check_all(void (*build)(void))
{
    build();
    check(FAMILY_SCALAR, false);
    build();
    check(FAMILY_VECTOR, true);
    build();
    return check(FAMILY_VECTOR, false);
}

static int count_loops(const Plan *plan, int64_t *turns)
{
    int loops = 0;
    for (int i = 0; i < plan->steps.count; i++)
        if (plan->steps.data[i]->kind == STEP_LOOP) {
            loops++;
            *turns = plan->steps.data[i]->count;
        }
    return loops;
}

static int count_form(const Plan *plan, KernelForm form)
{
    int count = 0;
    for (int i = 0; i < plan->kernels.count; i++) count += plan->kernels.data[i]->form == form;
    return count;
}

/* --- parts of models ----------------------------------------------------------------------------------------------- */
static Tensor *dense(Tensor *x, int64_t outputs, Function function, Tensor *residual)
{
    Index *i = ix("i", x->extents[0]), *m = ix("m", outputs), *k = ix("k", x->extents[1]);
    Tensor *weight = tensor2(TENSOR_WEIGHT, "weight", outputs, x->extents[1]), *bias = tensor1(TENSOR_WEIGHT, "bias", outputs);
    Expr *value = add(red(REDUCE_SUM, k, mul(rd2(x, ei(i), ei(k)), rd2(weight, ei(m), ei(k)))), rd1(bias, ei(m)));
    if (function != FUNCTION_COUNT) value = f1(function, value);
    if (residual) value = add(value, rd2(residual, ei(i), ei(m)));
    return equation("y", 2, (Index *[]){i, m}, value);
}

/* Of the columns [from, from + count) of x. */
static Tensor *layernorm(Tensor *x, int64_t from, int64_t count)
{
    int64_t rows = x->extents[0];
    Tensor *scale = tensor1(TENSOR_WEIGHT, "scale", count), *bias = tensor1(TENSOR_WEIGHT, "shift", count);
    Index *i = ix("i", rows), *c = ix("c", count);
    Tensor *mean = equation("mean", 1, &i, red(REDUCE_MEAN, c, rd2(x, ei(i), add(ei(c), in(from)))));
    i = ix("i", rows), c = ix("c", count);
    Expr *d = f2(FN_SUB, rd2(x, ei(i), add(ei(c), in(from))), rd1(mean, ei(i)));
    Tensor *variance = equation("variance", 1, &i, f1(FN_RSQRT, add(red(REDUCE_MEAN, c, mul(d, d)), real(1e-5))));
    i = ix("i", rows), c = ix("c", count);
    d = f2(FN_SUB, rd2(x, ei(i), add(ei(c), in(from))), rd1(mean, ei(i)));
    return equation("normal", 2, (Index *[]){i, c}, add(mul(mul(d, rd1(variance, ei(i))), rd1(scale, ei(c))), rd1(bias, ei(c))));
}

static Tensor *gated_block(Tensor *x, int64_t hidden)
{
    int64_t n = x->extents[0];
    Tensor *h = dense(layernorm(x, 0, x->extents[1]), 2 * hidden, FN_TANH, NULL), *v = layernorm(h, hidden, hidden);
    Tensor *w = tensor2(TENSOR_WEIGHT, "mixing", n, n), *b = tensor1(TENSOR_WEIGHT, "token_bias", n);
    Index *i = ix("i", n), *j = ix("j", n), *c = ix("c", hidden);
    Expr *mixed = add(red(REDUCE_SUM, j, mul(rd2(w, ei(i), ei(j)), rd2(v, ei(j), ei(c)))), rd1(b, ei(i)));
    Tensor *gated = equation("gated", 2, (Index *[]){i, c}, mul(rd2(h, ei(i), ei(c)), mixed));
    return dense(gated, x->extents[1], FUNCTION_COUNT, x);
}

static Tensor *pooled(Tensor *x)
{
    Index *t = ix("t", x->extents[0]), *c = ix("c", x->extents[1]);
    return equation("pooled", 1, &c, red(REDUCE_MEAN, t, rd2(x, ei(t), ei(c))));
}

/* --- tests --------------------------------------------------------------------------------------------------------- */
static void build_gated(void)
{
    start("gated");
    Tensor *x = dense(tensor2(TENSOR_INPUT, "x", 17, 24), 48, FUNCTION_COUNT, NULL);
    for (int layer = 0; layer < 5; layer++) x = gated_block(x, 64);
    output("y", pooled(x));
}

static void depth_is_a_loop(void **state)
{
    (void)state;
    int64_t turns = 0;
    Plan *plan = check_all(build_gated);
    assert_int_equal(count_loops(plan, &turns), 1);
    assert_int_equal(turns, 5);
    assert_int_equal(plan->kernels.count, 1 + 5 + 1);
    assert_int_equal(count_form(plan, KERNEL_CONTRACTION), 4);
    /* stem, loop, pool */
    assert_int_equal(plan->steps.count, 3);
    const Step *loop = plan->steps.data[1];
    assert_int_equal(loop->steps.count, 5);
    /* The residual stream, hidden rows and one normalised copy: gate and normalised half lie over the hidden rows. */
    int64_t stream = 16 * 48 * 4 + 48 * 4 + 48 * 4, hidden = 17 * 144 * 4;
    assert_true(plan->arena_bytes <= 2 * (stream + 512) + hidden + 512);
    assert_int_equal(plan->arena_bytes, plan->arena_bound);
}

/* Without a residual nothing can be written over its own operand: turns alternate between two places. */
static void build_alternating(void)
{
    start("alternating");
    Tensor *x = tensor2(TENSOR_INPUT, "x", 9, 32);
    for (int layer = 0; layer < 9; layer++) x = dense(x, 32, FN_TANH, NULL);
    output("y", x);
}

static void two_places_alternate(void **state)
{
    (void)state;
    int64_t turns = 0;
    Plan *plan = check_all(build_alternating);
    assert_int_equal(count_loops(plan, &turns), 1);
    assert_true(turns >= 3);
    assert_true(plan->arena_bytes <= 2 * 9 * 48 * 4 + 256);
}

/* Heads as parts of one axis; keys rearranged; softmax in one row kernel. */
static Tensor *attention(Tensor *x, int64_t heads)
{
    int64_t n = x->extents[0], c = x->extents[1], d = c / heads;
    Tensor *qkv = dense(layernorm(x, 0, c), 3 * c, FUNCTION_COUNT, NULL);
    Index *h = ix("h", heads), *i = ix("i", n), *j = ix("j", n), *e = ix("e", d);
    Expr *q = rd2(qkv, ei(i), add(mul(ei(h), in(d)), ei(e)));
    Expr *k = rd2(qkv, ei(j), add(add(mul(ei(h), in(d)), ei(e)), in(c)));
    Tensor *s = equation("s", 3, (Index *[]){h, i, j}, mul(red(REDUCE_SUM, e, mul(q, k)), real(0.25)));
    h = ix("h", heads), i = ix("i", n), j = ix("j", n);
    Tensor *top = equation("top", 2, (Index *[]){h, i}, red(REDUCE_MAX, j, rd3(s, ei(h), ei(i), ei(j))));
    h = ix("h", heads), i = ix("i", n), j = ix("j", n);
    Tensor *p = equation("p", 3, (Index *[]){h, i, j}, f1(FN_EXP, f2(FN_SUB, rd3(s, ei(h), ei(i), ei(j)), rd2(top, ei(h), ei(i)))));
    h = ix("h", heads), i = ix("i", n), j = ix("j", n);
    Tensor *total = equation("total", 2, (Index *[]){h, i}, red(REDUCE_SUM, j, rd3(p, ei(h), ei(i), ei(j))));
    h = ix("h", heads), i = ix("i", n), j = ix("j", n);
    Tensor *a = equation("a", 3, (Index *[]){h, i, j}, f2(FN_DIV, rd3(p, ei(h), ei(i), ei(j)), rd2(total, ei(h), ei(i))));
    h = ix("h", heads), i = ix("i", n), j = ix("j", n), e = ix("e", d);
    Expr *v = rd2(qkv, ei(j), add(add(mul(ei(h), in(d)), ei(e)), in(2 * c)));
    Tensor *o = tensor2(TENSOR_LOCAL, "o", n, c);
    Equation *made = equation_new(module, o, NOWHERE, NULL);
    made->free_count = 3;
    made->free[0] = i, made->free[1] = h, made->free[2] = e;
    made->subscripts[0] = ei(i);
    made->subscripts[1] = add(mul(ei(h), in(d)), ei(e));
    made->value = red(REDUCE_SUM, j, mul(rd3(a, ei(h), ei(i), ei(j)), v));
    return dense(o, c, FUNCTION_COUNT, x);
}

static void build_attention(void)
{
    start("attention");
    Tensor *x = dense(tensor2(TENSOR_INPUT, "x", 19, 24), 48, FUNCTION_COUNT, NULL);
    for (int layer = 0; layer < 3; layer++) x = attention(x, 3);
    output("y", x);
}

static void attention_blocks(void **state)
{
    (void)state;
    int64_t turns = 0;
    Plan *plan = check_all(build_attention);
    assert_int_equal(count_loops(plan, &turns), 1);
    assert_true(turns >= 2);
    bool softmax = false;
    for (int i = 0; i < plan->kernels.count; i++)
        softmax |= plan->kernels.data[i]->equations.count == 4 && plan->kernels.data[i]->row_count == 2;
    assert_true(softmax);
    assert_int_equal(count_form(plan, KERNEL_CONTRACTION), 6); /* stem, qkv, scores, values, projection in the loop and at the end */
}

/* A convolution with zeros outside, then one of stride 2 without. */
static Tensor *conv(Tensor *x, int64_t outputs, int64_t size, int64_t stride, int64_t pad)
{
    int64_t h = (x->extents[1] + 2 * pad - size) / stride + 1, w = (x->extents[2] + 2 * pad - size) / stride + 1;
    Tensor *weight = tensor(TENSOR_WEIGHT, "kernel", 4, (int64_t[]){outputs, x->extents[0], size, size});
    Index *o = ix("o", outputs), *i = ix("i", h), *j = ix("j", w), *c = ix("c", x->extents[0]), *u = ix("u", size), *v = ix("v", size);
    Expr *at[] = {ei(c), add(add(mul(ei(i), in(stride)), ei(u)), in(-pad)), add(add(mul(ei(j), in(stride)), ei(v)), in(-pad))};
    Expr *read = expr_read(module, x, 3, at, pad ? real(0) : NULL, NOWHERE);
    Expr *kernel = expr_read(module, weight, 4, (Expr *[]){ei(o), ei(c), ei(u), ei(v)}, NULL, NOWHERE);
    Expr *sum = expr_reduce(module, REDUCE_SUM, 3, (Index *[]){c, u, v}, mul(read, kernel), NOWHERE);
    return equation("image", 3, (Index *[]){o, i, j}, f2(FN_MAX, sum, real(0)));
}

static void build_conv(void)
{
    start("conv");
    Tensor *x = tensor3(TENSOR_INPUT, "x", 3, 12, 11);
    x = conv(conv(x, 8, 3, 1, 1), 10, 3, 2, 0);
    output("y", x);
}

static void convolutions(void **state)
{
    (void)state;
    Plan *plan = check_all(build_conv);
    assert_int_equal(count_form(plan, KERNEL_CONTRACTION), 2);
    for (int i = 0; i < plan->kernels.count; i++) { /* windows are read where they are: no copy of them all */
        const Kernel *kernel = plan->kernels.data[i];
        if (kernel->form == KERNEL_CONTRACTION) assert_null(strstr(kernel->contraction.rows->tensor->name, ".rows"));
    }
}

/* A filter for each channel, zeros outside: the channels are the fastest axis, and windows are computed several at a time. */
static void build_depthwise(void)
{
    start("depthwise");
    Tensor *x = dense(tensor2(TENSOR_INPUT, "x", 12, 5), 77, FUNCTION_COUNT, NULL), *map = NULL;
    Index *c = ix("c", 11), *i = ix("i", 12), *j = ix("j", 7);
    map = equation("map", 3, (Index *[]){c, i, j}, f1(FN_TANH, rd2(x, ei(i), add(mul(ei(c), in(7)), ei(j)))));
    Tensor *weight = tensor3(TENSOR_WEIGHT, "taps", 11, 3, 3);
    c = ix("c", 11), i = ix("i", 12), j = ix("j", 7);
    Index *u = ix("u", 3), *v = ix("v", 3);
    Expr *at[] = {ei(c), add(add(ei(i), ei(u)), in(-1)), add(add(ei(j), ei(v)), in(-1))};
    Expr *body = mul(expr_read(module, map, 3, at, real(0), NOWHERE), rd3(weight, ei(c), ei(u), ei(v)));
    output("y", equation("y", 3, (Index *[]){c, i, j}, expr_reduce(module, REDUCE_SUM, 2, (Index *[]){u, v}, body, NOWHERE)));
}

static void depthwise(void **state)
{
    (void)state;
    Plan *plan = check_all(build_depthwise);
    int windows = 0;
    for (int i = 0; i < plan->kernels.count; i++) {
        const Kernel *kernel = plan->kernels.data[i];
        if (!kernel->windows) continue;
        windows++;
        assert_int_equal(kernel->equations.data[0]->result->extents[2], 11);
    }
    assert_int_equal(windows, 1);
}

/* Scores of enough tokens never leave a block of rows: scores, softmax and values are one kernel. */
static void build_long_attention(void)
{
    start("long_attention");
    output("y", attention(tensor2(TENSOR_INPUT, "x", 70, 24), 2));
}

static int count_chains(const Plan *plan)
{
    int chains = 0;
    for (int i = 0; i < plan->kernels.count; i++) chains += plan->kernels.data[i]->chain != NULL;
    return chains;
}

static void attention_chain(void **state)
{
    (void)state;
    assert_int_equal(count_chains(check_all(build_long_attention)), 1);
}

/* A head behind a norm: every block of rows reads its columns again, so a vocabulary of them is no part of a chain. */
static void build_head(int64_t words)
{
    start("head");
    Tensor *hidden = dense(tensor2(TENSOR_INPUT, "x", 70, 24), 64, FUNCTION_COUNT, NULL);
    output("y", dense(layernorm(hidden, 0, 64), words, FUNCTION_COUNT, NULL));
}

static void many_columns_are_no_chain(void **state)
{
    (void)state;
    build_head(40);
    assert_int_equal(count_chains(check(FAMILY_VECTOR, false)), 1);
    build_head(5000);
    assert_int_equal(count_chains(check(FAMILY_VECTOR, false)), 0);
}

/* Patches of an image into tokens: the image is gathered, both groups merge. */
static void build_patches(void)
{
    start("patches");
    Tensor *x = tensor3(TENSOR_INPUT, "x", 3, 12, 16), *weight = tensor(TENSOR_WEIGHT, "weight", 4, (int64_t[]){40, 3, 4, 4});
    Index *i = ix("i", 3), *j = ix("j", 4), *m = ix("m", 40), *c = ix("c", 3), *u = ix("u", 4), *v = ix("v", 4);
    Expr *read = rd3(x, ei(c), add(mul(ei(i), in(4)), ei(u)), add(mul(ei(j), in(4)), ei(v)));
    Expr *kernel = expr_read(module, weight, 4, (Expr *[]){ei(m), ei(c), ei(u), ei(v)}, NULL, NOWHERE);
    Tensor *y = tensor2(TENSOR_LOCAL, "tokens", 12, 40);
    Equation *made = equation_new(module, y, NOWHERE, NULL);
    made->free_count = 3;
    made->free[0] = i, made->free[1] = j, made->free[2] = m;
    made->subscripts[0] = add(mul(ei(i), in(4)), ei(j));
    made->subscripts[1] = ei(m);
    made->value = expr_reduce(module, REDUCE_SUM, 3, (Index *[]){c, u, v}, mul(read, kernel), NOWHERE);
    output("y", dense(y, 40, FUNCTION_COUNT, y));
}

static void patches(void **state)
{
    (void)state;
    Plan *plan = check_all(build_patches);
    const Kernel *kernel = plan->kernels.data[1];
    assert_int_equal(kernel->form, KERNEL_CONTRACTION);
    assert_int_equal(kernel->contraction.m_count, 1);
    assert_int_equal(kernel->contraction.k_count, 1);
    assert_int_equal(kernel->contraction.m[0]->extent, 12);
    assert_int_equal(kernel->contraction.k[0]->extent, 48);
}

/* h = tanh(u h + x[t]); y[t] = h: constant subscripts move with the turns. */
static void build_recurrence(void)
{
    start("recurrence");
    enum { STEPS = 12, WIDTH = 40 };
    Tensor *x = tensor2(TENSOR_INPUT, "x", STEPS, WIDTH), *weight = tensor2(TENSOR_WEIGHT, "u", WIDTH, WIDTH);
    Tensor *y = tensor2(TENSOR_LOCAL, "y", STEPS, WIDTH), *h = NULL;
    for (int t = 0; t < STEPS; t++) {
        Index *d = ix("d", WIDTH), *k = ix("k", WIDTH);
        Expr *value = rd2(x, in(t), ei(d));
        if (h) value = add(value, red(REDUCE_SUM, k, mul(rd2(weight, ei(d), ei(k)), rd1(h, ei(k)))));
        h = equation("h", 1, &d, f1(FN_TANH, value));
        d = ix("d", WIDTH);
        Equation *made = equation_new(module, y, NOWHERE, NULL);
        made->free_count = 1;
        made->free[0] = d;
        made->subscripts[0] = in(t);
        made->subscripts[1] = ei(d);
        made->value = rd1(h, ei(d));
    }
    output("y", y);
}

static void recurrence_is_a_loop(void **state)
{
    (void)state;
    int64_t turns = 0;
    Plan *plan = check_all(build_recurrence);
    assert_int_equal(count_loops(plan, &turns), 1);
    assert_true(turns >= 5);
}

/* Layers of recurrences: a loop over steps inside a loop over layers, whose weights differ. */
static void build_nested(void)
{
    start("nested");
    enum { STEPS = 9, WIDTH = 20, LAYERS = 6 };
    Tensor *x = tensor2(TENSOR_INPUT, "x", STEPS, WIDTH);
    for (int layer = 0; layer < LAYERS; layer++) {
        Tensor *weight = tensor2(TENSOR_WEIGHT, "u", WIDTH, WIDTH), *y = tensor2(TENSOR_LOCAL, "y", STEPS, WIDTH);
        Index *d = ix("d", WIDTH), *k = ix("k", WIDTH);
        Tensor *h = equation("h", 1, &d, rd2(x, in(0), ei(d)));
        for (int t = 0; t < STEPS; t++) {
            d = ix("d", WIDTH), k = ix("k", WIDTH);
            Expr *value = add(rd2(x, in(t), ei(d)), red(REDUCE_SUM, k, mul(rd2(weight, ei(d), ei(k)), rd1(h, ei(k)))));
            Tensor *g = equation("g", 1, &d, f1(FN_TANH, value));
            d = ix("d", WIDTH);
            h = equation("h", 1, &d, add(rd1(h, ei(d)), rd1(g, ei(d))));
            d = ix("d", WIDTH);
            Equation *made = equation_new(module, y, NOWHERE, NULL);
            made->free_count = 1;
            made->free[0] = d;
            made->subscripts[0] = in(t);
            made->subscripts[1] = ei(d);
            made->value = rd1(h, ei(d));
        }
        x = y;
    }
    output("y", pooled(x));
}

static int loop_depth(const Step *step)
{
    int deepest = 0;
    for (int i = 0; i < step->steps.count; i++) {
        int depth = loop_depth(step->steps.data[i]);
        if (depth > deepest) deepest = depth;
    }
    return deepest + (step->kind == STEP_LOOP);
}

static void loops_nest(void **state)
{
    (void)state;
    Plan *plan = check_all(build_nested);
    int deepest = 0;
    for (int i = 0; i < plan->steps.count; i++) {
        int depth = loop_depth(plan->steps.data[i]);
        if (depth > deepest) deepest = depth;
    }
    assert_int_equal(deepest, 2);
}

/* Token ids select rows of a table; the ids of the second read are computed. */
static void build_embedding(void)
{
    start("embedding");
    Tensor *ids = tensor1(TENSOR_INPUT, "ids", 7), *table = tensor2(TENSOR_WEIGHT, "table", 8, 48);
    ids->type = TYPE_I32;
    Index *t = ix("t", 7), *c = ix("c", 48);
    Tensor *x = equation("x", 2, (Index *[]){t, c}, rd2(table, rd1(ids, ei(t)), ei(c)));
    x = gated_block(x, 32);
    output("y", x);
}

static void embedding(void **state)
{
    (void)state;
    Plan *plan = check_all(build_embedding);
    assert_int_equal(plan->kernels.data[0]->status_input, 1);
    assert_true(plan->kernels.data[0]->serial);
}

/* The input again at the end, an output that is read again, a single token, a rank-0 result. */
static void build_odd(void)
{
    start("odd");
    Tensor *x = tensor2(TENSOR_INPUT, "x", 1, 64), *y = x;
    for (int layer = 0; layer < 3; layer++) y = dense(y, 64, FN_TANH, y);
    output("middle", y);
    Tensor *z = dense(layernorm(y, 0, 64), 70, FUNCTION_COUNT, NULL);
    output("z", z);
    Index *i = ix("i", 1), *c = ix("c", 64);
    output("sum",
           equation("sum", 0, NULL,
                    expr_reduce(module, REDUCE_SUM, 2, (Index *[]){i, c}, mul(rd2(x, ei(i), ei(c)), rd2(y, ei(i), ei(c))), NOWHERE)));
    output("same", x);
}

static void odd_ends(void **state)
{
    (void)state;
    check_all(build_odd);
}

/* Two forms in turn, a skip from the input over all of them, all intermediate results used at the end. */
static void build_mixed(void)
{
    start("mixed");
    Tensor *x = dense(tensor2(TENSOR_INPUT, "x", 13, 48), 48, FUNCTION_COUNT, NULL), *first = x, *levels[4];
    for (int layer = 0; layer < 4; layer++) {
        x = gated_block(x, 32);
        x = attention(x, 2);
        levels[layer] = pooled(x);
    }
    Index *i = ix("i", 13), *c = ix("c", 48);
    Expr *value = add(rd2(first, ei(i), ei(c)), rd2(x, ei(i), ei(c)));
    for (int layer = 0; layer < 4; layer++) value = add(value, rd1(levels[layer], ei(c)));
    output("y", equation("all", 2, (Index *[]){i, c}, value));
}

static void alternating_forms(void **state)
{
    (void)state;
    int64_t turns = 0;
    Plan *plan = check_all(build_mixed);
    assert_int_equal(count_loops(plan, &turns), 1);
    assert_true(turns >= 3);
}

/* Products of several factors, a mask on weights, a division inside the sum, a mean. */
static void build_factors(void)
{
    start("factors");
    Tensor *x = tensor2(TENSOR_INPUT, "x", 18, 40), *k = dense(x, 40, FUNCTION_COUNT, NULL), *w = tensor2(TENSOR_WEIGHT, "w", 18, 18);
    Index *t = ix("t", 18), *s = ix("s", 18), *d = ix("d", 40);
    Expr *masked = expr_apply(module, FN_WHERE, f2(FN_LE, ei(s), ei(t)), f1(FN_EXP, rd2(w, ei(t), ei(s))), real(0), NOWHERE);
    Expr *product = mul(masked, mul(f1(FN_EXP, rd2(k, ei(s), ei(d))), rd2(x, ei(s), ei(d))));
    Expr *scaled = f2(FN_DIV, product, add(mul(rd2(x, ei(t), ei(d)), rd2(x, ei(t), ei(d))), real(1)));
    output("y", equation("y", 2, (Index *[]){t, d}, f1(FN_SIGMOID, red(REDUCE_MEAN, s, f1(FN_NEG, scaled)))));
}

static void factors(void **state)
{
    (void)state;
    Plan *plan = check_all(build_factors);
    assert_int_equal(count_form(plan, KERNEL_CONTRACTION), 2);
}

static void build_scalar_output(void)
{
    start("scalars");
    Tensor *x = tensor1(TENSOR_INPUT, "x", 100);
    Index *i = ix("i", 100);
    Tensor *sum = equation("sum", 0, NULL, red(REDUCE_SUM, i, rd1(x, ei(i))));
    i = ix("i", 100);
    output("y", equation("y", 1, &i, f2(FN_DIV, rd1(x, ei(i)), rd0(sum))));
}

static void scalars(void **state)
{
    (void)state;
    Plan *plan = check_all(build_scalar_output);
    assert_int_equal(plan->kernels.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(depth_is_a_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_places_alternate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(attention_blocks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(attention_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(convolutions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(depthwise, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(recurrence_is_a_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_columns_are_no_chain, set_up, tear_down), cmocka_unit_test_setup_teardown(loops_nest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(embedding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(alternating_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(factors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scalars, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
