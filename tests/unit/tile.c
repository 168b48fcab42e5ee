/* What tiles and rows are made of: counted in the loops of hand-built modules, not run. lower.c compares results. */
#include "build_equations.h"
#include "loop/tile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

/* A block's copy of its columns is made by its first row tile: no loop but one with multiply-adds stores to it. */
static int multiply_adds(const Block *block)
{
    int count = 0;
    for (int i = 0; i < block->count; i++) {
        const Statement *statement = block->data[i];
        count += statement->kind == LOOP_SET && statement->variable->accumulator;
        count += multiply_adds(&statement->body) + multiply_adds(&statement->otherwise);
    }
    return count;
}

static void count_copies(const Block *block, int *passing, int *alone)
{
    for (int i = 0; i < block->count; i++) {
        const Statement *statement = block->data[i];
        if (statement->kind == LOOP_STORE && statement->buffer->local && strncmp(statement->buffer->name, "columns", 7) == 0) ++*(multiply_adds(block) ? passing : alone);
        count_copies(&statement->body, passing, alone);
    }
}

static void columns_are_copied_in_passing(void **state)
{
    (void)state;
    arena = arena_new();
    start();
    Tensor *x = input(2, 126, 72, 0), *w = weight(2, 126, 126, 0);
    Index *row = ix("i", 126), *n = ix("n", 72), *j = ix("j", 126);
    output(equation("y", 2, (Index *[]){row, n}, red(REDUCE_SUM, j, mul(rd(w, NULL, ei(row), ei(j), NULL), rd(x, NULL, ei(j), ei(n), NULL)))));
    TargetSet set;
    assert_true(target_set_find("avx512", &set));
    LoopProgram *program = lower(schedule(module, set.family, NULL, diagnostics_new(arena)), &set, diagnostics_new(arena));
    const LoopForm *form = program->forms.data[0];
    int passing = 0, alone = 0;
    for (int k = 0; k < form->kernels.count; k++) count_copies(&form->kernels.data[k]->body, &passing, &alone);
    assert_int_equal(alone, 0);
    assert_true(passing > 0);
    arena_free(arena);
}

/* Rows that are memory operands leave three in ten loads free, where there is any choice. */
static void rows_in_memory_leave_loads_free(void **state)
{
    (void)state;
    const Target *target = &target_table[TARGET_AVX512];
    assert_int_equal(spread_rows(target, 14, 2), 3);
    assert_int_equal(spread_rows(&target_table[TARGET_AVX2], 6, 2), 0);
    for (int width = 2; width <= MOST_WIDTH; width++)
        for (int height = 1; height <= most_rows(target, width); height++) {
            int spread = spread_rows(target, height, width), loads = width + height - spread + spread * width;
            if (spread && loads > 0.7 * height * width) fail_msg("%d x %d: %d rows, %d loads", height, width, spread, loads);
        }
}

/* p[i, j] = softmax over j of s. */
static void build_softmax(void)
{
    start();
    Tensor *s = input(2, 24, 40, 0);
    Index *i = ix("i", 24), *j = ix("j", 40);
    Tensor *top = equation("top", 1, (Index *[]){i}, red(REDUCE_MAX, j, rd(s, NULL, ei(i), ei(j), NULL)));
    i = ix("i", 24), j = ix("j", 40);
    Tensor *e = equation("e", 2, (Index *[]){i, j}, f1(FN_EXP, f2(FN_SUB, rd(s, NULL, ei(i), ei(j), NULL), rd(top, NULL, ei(i), NULL, NULL))));
    i = ix("i", 24), j = ix("j", 40);
    Tensor *z = equation("z", 1, (Index *[]){i}, red(REDUCE_SUM, j, rd(e, NULL, ei(i), ei(j), NULL)));
    i = ix("i", 24), j = ix("j", 40);
    output(equation("p", 2, (Index *[]){i, j}, f2(FN_DIV, rd(e, NULL, ei(i), ei(j), NULL), rd(z, NULL, ei(i), NULL, NULL))));
}

static int divisions(const Value *value)
{
    int count = value ? value->op == OP_DIV && value->type == VALUE_VECTOR : 0;
    for (int k = 0; value && k < 4; k++) count += divisions(value->operands[k]);
    return count;
}

static int divisions_in(const Block *block)
{
    int count = 0;
    for (int i = 0; i < block->count; i++) count += divisions(block->data[i]->value) + divisions_in(&block->data[i]->body) + divisions_in(&block->data[i]->otherwise);
    return count;
}

/* p = e / z is e * (1 / z), but where every target is to round alike. */
static void softmax_divides_once_a_row(void **state)
{
    (void)state;
    for (int reproducible = 0; reproducible < 2; reproducible++) {
        arena = arena_new();
        build_softmax();
        TargetSet set;
        assert_true(target_set_find("avx512", &set));
        PlanOptions options = {.reproducible = reproducible};
        LoopProgram *program = lower(schedule(module, set.family, &options, diagnostics_new(arena)), &set, diagnostics_new(arena));
        int count = 0;
        for (int k = 0; k < program->forms.data[0]->kernels.count; k++) count += divisions_in(&program->forms.data[0]->kernels.data[k]->body);
        if (reproducible) assert_true(count > 0);
        else assert_int_equal(count, 0);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_copied_in_passing),
        cmocka_unit_test(rows_in_memory_leave_loads_free),
        cmocka_unit_test(softmax_divides_once_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
