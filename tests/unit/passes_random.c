/* Random modules through all passes: equations with random subscripts, functions and reductions; the outputs must keep their values.
 * An argument is the number of modules, a second one the first seed. */
#include "build_module.h"
#include "equation/evaluate.h"
#include "equation/index.h"
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

#include <cmocka.h>

static uint64_t state_bits;
static int module_total = 2000, first_seed = 1;

static int pick(int count)
{
    state_bits = state_bits * 6364136223846793005u + 1442695040888963407u;
    return (int)((state_bits >> 33) % (uint64_t)count);
}

static int extent_of_some_kind(void)
{
    static const int extents[] = {1, 2, 3, 4, 4, 6, 6, 12};
    return extents[pick(8)];
}

typedef struct {
    Index *indices[8];
    int count;
} Scope;

static Expr *random_index(Scope *scope)
{
    return scope->count ? ei(scope->indices[pick(scope->count)]) : expr_int(module, 0);
}

static Expr *random_subscript(Scope *scope, int64_t extent, bool anywhere)
{
    for (int attempt = 0; attempt < 20; attempt++) {
        Expr *s = random_index(scope);
        switch (pick(9)) {
        case 0: s = f2(FN_ADD, f2(FN_MUL, s, expr_int(module, 1 + pick(4))), random_index(scope)); break;
        case 1: s = f2(FN_FLOORDIV, s, expr_int(module, 2 + pick(3))); break;
        case 2: s = f2(FN_MOD, s, expr_int(module, 2 + pick(3))); break;
        case 3: s = f2(FN_MOD, f2(FN_ADD, s, expr_int(module, pick(5))), expr_int(module, extent)); break;
        case 4: s = f2(FN_ADD, s, expr_int(module, pick(4) - 1)); break;
        case 5: s = f2(FN_MAX, f2(FN_SUB, s, expr_int(module, 1)), expr_int(module, 0)); break;
        case 6: s = f2(FN_SUB, expr_int(module, extent - 1), s); break;
        default: break;
        }
        int64_t low, high;
        if (anywhere || (index_range(s, &low, &high) && low >= 0 && high < extent)) return s;
    }
    return expr_int(module, pick((int)extent));
}

static Expr *random_value(Scope *scope, int depth);

static Expr *random_read(Scope *scope, int depth)
{
    Tensor *tensor = module->tensors.data[pick(module->tensors.count)];
    if (pick(3)) tensor = module->tensors.data[module->tensors.count - 1 - pick(module->tensors.count < 3 ? module->tensors.count : 3)];
    if (tensor->kind == TENSOR_LOCAL && tensor == module->equations.data[module->equations.count - 1]->result) tensor = module->tensors.data[0];
    bool padded = pick(6) == 0;
    Expr *subscripts[MAX_RANK];
    for (int axis = 0; axis < tensor->rank; axis++) subscripts[axis] = random_subscript(scope, tensor->extents[axis], padded && pick(2));
    Expr *otherwise = padded ? depth > 2 || pick(2) ? real(0.5) : random_value(scope, depth + 2) : NULL;
    return expr_read(module, tensor, tensor->rank, subscripts, otherwise, NOWHERE);
}

static Expr *random_reduction(Scope *scope, int depth)
{
    static const Reduction kinds[] = {REDUCE_SUM, REDUCE_SUM, REDUCE_SUM, REDUCE_MEAN, REDUCE_MAX, REDUCE_MIN, REDUCE_ARGMAX};
    Reduction kind = kinds[pick(7)];
    Index *indices[2];
    int count = kind == REDUCE_ARGMAX ? 1 : 1 + pick(2);
    Scope inner = *scope;
    if (inner.count + count > 8) return random_read(scope, depth);
    for (int i = 0; i < count; i++) inner.indices[inner.count++] = indices[i] = index_new(module, i ? "l" : "k", extent_of_some_kind(), NOWHERE);
    Expr *body = pick(2) ? f2(FN_MUL, random_read(&inner, depth + 1), random_read(&inner, depth + 1)) : random_value(&inner, depth + 1);
    return expr_reduce(module, kind, count, indices, body, NOWHERE);
}

static Expr *random_value(Scope *scope, int depth)
{
    int kind = pick(depth > 3 ? 3 : 12);
    if (kind < 3) return random_read(scope, depth);
    if (kind < 5) return random_reduction(scope, depth);
    Expr *a = random_value(scope, depth + 1);
    if (kind == 5) return expr_apply(module, FN_TANH, a, NULL, NULL, NOWHERE);
    if (kind == 6) return f2(FN_MUL, a, a);
    if (kind == 7) return f2(FN_DIV, a, real(1 + pick(5)));
    Expr *b = random_value(scope, depth + 1);
    if (kind == 8) return expr_apply(module, FN_WHERE, f2(FN_LE, random_index(scope), random_index(scope)), a, b, NOWHERE);
    if (kind == 9) return f2(FN_MUL, a, b);
    return f2(kind == 10 ? FN_SUB : FN_ADD, a, b);
}

/* A result whose axes are one index each, or two in mixed radix. */
static void random_equation(int number)
{
    Scope scope = {0};
    int rank = pick(4);
    int64_t extents[MAX_RANK];
    Expr *subscripts[MAX_RANK];
    for (int axis = 0; axis < rank; axis++) {
        Index *i = scope.indices[scope.count++] = index_new(module, "i", extent_of_some_kind(), NOWHERE);
        extents[axis] = i->extent;
        subscripts[axis] = ei(i);
        if (pick(5)) continue;
        Index *j = scope.indices[scope.count++] = index_new(module, "j", 1 + pick(4), NOWHERE);
        extents[axis] *= j->extent;
        subscripts[axis] = f2(FN_ADD, f2(FN_MUL, ei(i), expr_int(module, j->extent)), ei(j));
    }
    Tensor *result = tensor_new(module, TENSOR_LOCAL, arena_printf(arena, "t%d", number), TYPE_F32, rank, extents, NOWHERE);
    Equation *equation = equation_new(module, result, NOWHERE, NULL);
    for (int i = 0; i < scope.count; i++) equation->free[equation->free_count++] = scope.indices[i];
    for (int axis = 0; axis < rank; axis++) equation->subscripts[axis] = subscripts[axis];
    equation->value = pick(4) ? random_value(&scope, pick(3)) : random_read(&scope, 3);
}

static void random_module(int seed)
{
    state_bits = (uint64_t)seed * 0x9E3779B97F4A7C15u;
    module = module_new(arena, "random");
    for (int i = 0; i < 4; i++) {
        int rank = pick(4);
        int64_t extents[3] = {extent_of_some_kind(), extent_of_some_kind(), extent_of_some_kind()};
        tensor_new(module, i < 2 ? TENSOR_INPUT : TENSOR_WEIGHT, arena_printf(arena, i < 2 ? "x%d" : "w%d", i), TYPE_F32, rank, extents, NOWHERE);
    }
    int count = 2 + pick(6);
    for (int i = 0; i < count; i++) random_equation(i);
    for (int i = count - 1; i >= 0 && (i == count - 1 || module->outputs.count < 1 + pick(2)); i--) {
        Tensor *tensor = module->equations.data[i]->result;
        tensor->output_name = tensor->name;
        list_push(arena, &module->outputs, ((Port){tensor->name, tensor, NULL, NOWHERE}));
    }
}

static double **evaluate(void)
{
    Evaluation *evaluation = evaluation_new(arena, module);
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.data[i];
        if (tensor->kind != TENSOR_INPUT && tensor->kind != TENSOR_WEIGHT) continue;
        evaluation->values[i] = arena_new_array(arena, double, tensor_count(tensor));
        for (int64_t k = 0; k < tensor_count(tensor); k++) evaluation->values[i][k] = sin((double)(k * 5 + tensor->name[1] * 3)) + 0.2;
    }
    evaluation_run(evaluation);
    double **outputs = arena_new_array(arena, double *, module->outputs.count);
    for (int i = 0; i < module->outputs.count; i++) outputs[i] = evaluation->values[module->outputs.data[i].tensor->id];
    return outputs;
}

static void check_module(int seed)
{
    random_module(seed);
    module_verify(module, false);
    double **before = evaluate();
    Text text = text_new(arena);
    module_print(module, &text);
    if (getenv("SHOW_MODULES")) fprintf(stderr, "seed %d\n%s\n", seed, text_string(&text));
    assert_true(run_passes(module, NULL, VERIFY_EACH_PASS, NULL));
    double **after = evaluate();
    for (int i = 0; i < module->outputs.count; i++) {
        int64_t count = tensor_count(module->outputs.data[i].tensor);
        for (int64_t k = 0; k < count; k++) {
            double a = before[i][k], b = after[i][k];
            if (fabs(a - b) <= 3e-6 * fmax(1, fabs(a)) || (isnan(a) && isnan(b)) || a == b) continue; /* tables are rounded to f32 */
            Text changed = text_new(arena);
            module_print(module, &changed);
            fail_msg("seed %d: element %d of %s: %.12g became %.12g\n%s\nbecame\n%s", seed, (int)k, module->outputs.data[i].name, a, b, text_string(&text),
                     text_string(&changed));
        }
    }
}

static void random_modules(void **state)
{
    (void)state;
    for (int i = 0; i < module_total; i++) {
        arena = arena_new();
        check_module(first_seed + i);
        arena_free(arena);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) module_total = atoi(argv[1]);
    if (argc > 2) first_seed = atoi(argv[2]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_modules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
