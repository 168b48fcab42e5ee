/* Lowering: hand-built and random modules are scheduled, lowered for every form and interpreted, call by call on flat memory, and
 * compared with the reference evaluator. Every access is checked against its tensor. */
#include "build_equations.h"
#include "equation/evaluate.h"
#include "equation/index.h"
#include "equation/verify.h"
#include "loop/build.h"
#include "loop_interpreter.h"
#include "schedule/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

/* --- running a program on a plan's memory -------------------------------------------------------------------------- */
typedef struct {
    const Plan *plan;
    const LoopForm *form;
    double *arena_memory, *blob, **ports_in, **ports_out, **statics; /* a double for every byte */
    int64_t turns[4];
    int depth, status;
} Machine;

static double *empty_memory(int64_t bytes)
{
    double *memory = arena_new_array(arena, double, bytes + 64);
    for (int64_t i = 0; i < bytes + 64; i++) memory[i] = NAN;
    return memory;
}

static int64_t byte_of(const Tensor *t, int64_t element)
{
    int64_t offset = 0;
    for (int axis = t->rank - 1; axis >= 0; axis--) {
        offset += element % t->extents[axis] * tensor_layout(t)->strides[axis];
        element /= t->extents[axis];
    }
    return offset * element_type_size(t->type);
}

static void fill(double *memory, const Tensor *t, const double *values)
{
    for (int64_t i = 0; i < tensor_count(t); i++)
        memory[tensor_layout(t)->offset_bytes + byte_of(t, i)] = t->type == TYPE_F32 ? (double)(float)values[i] : values[i];
}

static double *base_of(Machine *machine, const CallArgument *argument)
{
    const Layout *layout = tensor_layout(argument->tensor);
    int64_t offset = layout->offset_bytes;
    for (int i = 0; i < machine->depth; i++) offset += argument->step_bytes[i] * machine->turns[i];
    switch (layout->storage) {
    case STORE_INPUT: return machine->ports_in[layout->port] + offset;
    case STORE_OUTPUT: return machine->ports_out[layout->port] + offset;
    case STORE_ARENA: return machine->arena_memory + offset;
    case STORE_BLOB: return machine->blob + offset;
    case STORE_STATIC: return machine->statics[argument->tensor->id] + offset;
    case STORE_NONE: break;
    }
    fail_msg("argument %s has no place", argument->tensor->name);
    return NULL;
}

static void run_steps(Machine *machine, Step *const *steps, int count)
{
    for (int s = 0; s < count; s++) {
        const Step *step = steps[s];
        if (step->kind == STEP_LOOP) {
            int depth = machine->depth++;
            for (machine->turns[depth] = 0; machine->turns[depth] < step->count; machine->turns[depth]++)
                run_steps(machine, step->steps.data, step->steps.count);
            machine->depth--;
            continue;
        }
        Memory memories[64];
        for (int k = 0; k < step->arguments.count; k++) {
            const Tensor *t = step->kernel->parameters.data[k].tensor;
            int64_t size = element_type_size(t->type);
            memories[k] =
                (Memory){.data = base_of(machine, &step->arguments.data[k]), .count = tensor_layout(t)->bytes / size, .pitch = size};
        }
        if (interpret_kernel(arena, machine->form, machine->form->kernels.data[step->kernel->id], memories))
            machine->status = step->kernel->status_input;
    }
}

static void run_program(const Plan *plan, const LoopForm *form, double *const *values, double **outputs, int *status)
{
    Machine machine = {.plan = plan, .form = form};
    machine.arena_memory = empty_memory(plan->arena_bytes);
    machine.blob = empty_memory(plan->blob_bytes);
    machine.ports_in = arena_new_array(arena, double *, 16);
    machine.ports_out = arena_new_array(arena, double *, 16);
    machine.statics = arena_new_array(arena, double *, module->tensors.count);
    for (int i = 0; i < module->inputs.count; i++) {
        const Tensor *t = module->inputs.data[i].tensor;
        machine.ports_in[i] = empty_memory(tensor_layout(t)->bytes);
        fill(machine.ports_in[i], t, values[t->id]);
    }
    for (int i = 0; i < module->outputs.count; i++)
        machine.ports_out[i] = empty_memory(tensor_layout(module->outputs.data[i].tensor)->bytes);
    for (int i = 0; i < plan->blob.count; i++) {
        const Tensor *t = plan->blob.data[i];
        fill(machine.blob, t, t->kind == TENSOR_CONSTANT ? t->values : values[t->id]);
    }
    for (int i = 0; i < plan->statics.count; i++) {
        const Tensor *t = plan->statics.data[i];
        machine.statics[t->id] = empty_memory(tensor_layout(t)->bytes);
        fill(machine.statics[t->id], t, t->values);
    }
    run_steps(&machine, plan->steps.data, plan->steps.count);
    for (int i = 0; i < module->outputs.count; i++) {
        const Tensor *t = module->outputs.data[i].tensor;
        for (int64_t j = 0; j < tensor_count(t); j++) outputs[i][j] = machine.ports_out[i][byte_of(t, j)];
    }
    *status = machine.status;
}

/* --- comparing ----------------------------------------------------------------------------------------------------- */
static uint64_t seed;
static double draw(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 33) / 2147483648.0;
}
static int64_t pick(int64_t count) { return (int64_t)(draw() * (double)count); }

static void give_values(Evaluation *evaluation)
{
    uint64_t before = seed;
    seed = 42;
    for (int i = 0; i < module->tensors.count; i++) {
        Tensor *t = module->tensors.data[i];
        if (t->kind != TENSOR_INPUT && t->kind != TENSOR_WEIGHT) continue;
        evaluation->values[i] = arena_new_array(arena, double, tensor_count(t));
        for (int64_t j = 0; j < tensor_count(t); j++)
            evaluation->values[i][j] = t->type == TYPE_F32 ? (double)(float)(draw() * 2 - 1) : (double)pick(9);
    }
    seed = before;
}

static void compare_form(const Plan *plan, const LoopForm *form, Evaluation *reference, int wanted_status)
{
    int outputs = module->outputs.count, status = 0;
    double **found = arena_new_array(arena, double *, outputs);
    for (int i = 0; i < outputs; i++) found[i] = arena_new_array(arena, double, tensor_count(module->outputs.data[i].tensor));
    run_program(plan, form, reference->values, found, &status);
    if ((status != 0) != (wanted_status != 0)) fail_msg("%s: status %d, not %d", form->target->name, status, wanted_status);
    for (int i = 0; i < outputs; i++) {
        const Tensor *t = module->outputs.data[i].tensor;
        double worst = 0, largest = 1;
        for (int64_t j = 0; j < tensor_count(t); j++) {
            double wanted = reference->values[t->id][j], got = found[i][j];
            if (isnan(wanted) != isnan(got) || (isinf(wanted) && wanted != got && fabs(wanted) < 3e38))
                fail_msg("%s: %s[%ld] is %g, not %g", form->target->name, t->name, (long)j, got, wanted);
            if (!isfinite(wanted)) continue;
            if (fabs(wanted) > largest) largest = fabs(wanted);
            if (fabs(wanted - got) > worst) worst = fabs(wanted - got);
        }
        if (!(worst <= 1e-4 * largest)) fail_msg("%s: %s is off by %g of %g", form->target->name, t->name, worst, largest);
    }
}

static void check(const char *set_name)
{
    TargetSet set;
    assert_true(target_set_find(set_name, &set));
    module_verify(module, true);
    PlanOptions options = {false};
    Plan *plan = schedule(module, set.family, &options, diagnostics_new(arena));
    plan_verify(plan);
    if (getenv("SHOW")) {
        Text shown = text_new(arena);
        plan_print(plan, &shown);
        puts(text_string(&shown));
    }
    LoopProgram *program = lower(plan, &set, diagnostics_new(arena));
    Text text = text_new(arena);
    loop_print(program, &text);
    if (getenv("SHOW")) puts(text_string(&text));
    Evaluation *reference = evaluation_new(arena, module);
    give_values(reference);
    int status = evaluation_run(reference);
    for (int k = 0; k < program->forms.count; k++) compare_form(plan, program->forms.data[k], reference, status);
}

static void check_all(void (*build)(void))
{
    arena = arena_new();
    build();
    check("all");
    build();
    check("scalar");
    arena_free(arena);
}

/* --- contractions -------------------------------------------------------------------------------------------------- */
static int64_t M, N, K;

static Expr *gelu(Expr *x) { return mul(mul(x, real(0.5)), add(f1(FN_ERF, mul(x, real(0.70710678118654752))), real(1))); }

/* Bias, residual and a gate; panels for the first, direct columns for the second. */
static void build_contraction(void)
{
    start();
    Tensor *x = input(2, M, K, 0), *w = weight(2, N, K, 0), *b = weight(1, N, 0, 0), *mix = weight(2, M, M, 0);
    Index *i = ix("i", M), *n = ix("n", N), *k = ix("k", K);
    Expr *sum = red(REDUCE_SUM, k, mul(rd(x, NULL, ei(i), ei(k), NULL), rd(w, NULL, ei(n), ei(k), NULL)));
    Tensor *h = equation("h", 2, (Index *[]){i, n}, gelu(add(sum, rd(b, NULL, ei(n), NULL, NULL))));
    i = ix("i", M), n = ix("c", N), k = ix("j", M);
    sum = red(REDUCE_SUM, k, mul(rd(mix, NULL, ei(i), ei(k), NULL), rd(h, NULL, ei(k), ei(n), NULL)));
    output(equation("y", 2, (Index *[]){i, n}, mul(add(sum, real(1)), rd(h, NULL, ei(i), ei(n), NULL))));
}

static void contractions_of_every_size(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 1000, 24}, {1, 7, 1},   {2, 130, 33}, {3, 70, 9},  {4, 64, 12}, {5, 33, 40}, {7, 32, 16},
                                       {13, 40, 8},   {14, 96, 20}, {15, 31, 50}, {29, 65, 17}, {30, 16, 64}, {43, 50, 5}, {61, 129, 11}, {99, 72, 6}, {14, 64, 56}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        M = sizes[s][0], N = sizes[s][1], K = sizes[s][2];
        check_all(build_contraction);
    }
}

/* The most lines of results that any block asks for at once. */
static int lines_at_once(const Block *block)
{
    int here = 0, most = 0;
    for (int i = 0; i < block->count; i++) {
        const Statement *statement = block->data[i];
        here += statement->kind == LOOP_PREFETCH && statement->buffer->written;
        int inside = lines_at_once(&statement->body);
        if (inside > most) most = inside;
    }
    return here > most ? here : most;
}

/* A tile of 14 x 32 has 28 lines: a row a turn of the reduction, or more where it has few. */
static void results_are_prefetched_by_rows(void **state)
{
    (void)state;
    static const struct {
        int64_t steps;
        int lines;
    } cases[] = {{56, 2}, {768, 2}, {55, 4}, {16, 8}, {8, 0}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        arena = arena_new();
        M = 14, N = 64, K = cases[c].steps;
        start();
        Tensor *x = input(2, M, K, 0), *w = weight(2, N, K, 0);
        Index *i = ix("i", M), *n = ix("n", N), *k = ix("k", K);
        output(equation("y", 2, (Index *[]){i, n}, red(REDUCE_SUM, k, mul(rd(x, NULL, ei(i), ei(k), NULL), rd(w, NULL, ei(n), ei(k), NULL)))));
        TargetSet set;
        assert_true(target_set_find("avx512", &set));
        LoopProgram *program = lower(schedule(module, set.family, NULL, diagnostics_new(arena)), &set, diagnostics_new(arena));
        const LoopKernel *kernel = program->forms.data[0]->kernels.data[0];
        assert_int_equal(kernel->tile->height * kernel->tile->width, 28);
        assert_int_equal(lines_at_once(&kernel->body), cases[c].lines);
        arena_free(arena);
    }
}

/* Rows of columns: while a block of 32 is used, its tiles ask for each line of the next block once, or twice where the tiles are not shared out evenly. */
static void columns_are_fetched_once(void **state)
{
    (void)state;
    static const struct {
        int64_t rows;
        int most;
    } cases[] = {{14, 1}, {28, 1}, {56, 1}, {84, 2}, {112, 1}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        arena = arena_new();
        M = cases[c].rows, N = 320, K = 64;
        start();
        Tensor *x = input(2, K, N, 0), *w = weight(2, M, K, 0);
        Index *i = ix("i", M), *n = ix("n", N), *k = ix("k", K);
        Tensor *y = equation("y", 2, (Index *[]){i, n}, red(REDUCE_SUM, k, mul(rd(w, NULL, ei(i), ei(k), NULL), rd(x, NULL, ei(k), ei(n), NULL))));
        output(y);
        TargetSet set;
        assert_true(target_set_find("avx512", &set));
        const Plan *plan = schedule(module, set.family, NULL, diagnostics_new(arena));
        LoopProgram *program = lower(plan, &set, diagnostics_new(arena));
        const LoopForm *form = program->forms.data[0];
        assert_int_equal(form->kernels.data[0]->tile->height * form->kernels.data[0]->tile->width, 28);
        Memory memories[3];
        const Kernel *kernel = plan->kernels.data[0];
        int *fetched = arena_new_array(arena, int, K * N);
        for (int p = 0; p < kernel->parameters.count; p++) {
            const Tensor *t = kernel->parameters.data[p].tensor;
            memories[p] = (Memory){.data = arena_new_array(arena, double, tensor_layout(t)->bytes), .count = tensor_layout(t)->bytes / 4, .fetched = t == x ? fetched : NULL};
        }
        interpret_kernel(arena, form, form->kernels.data[0], memories);
        for (int64_t row = 0; row < K; row++)
            for (int64_t line = 2; line < N / 16; line++) {
                int times = 0;
                for (int64_t at = 0; at < 16; at++) times += fetched[row * N + line * 16 + at];
                if (times < 1 || times > cases[c].most) fail_msg("%d rows: line %d of row %d fetched %d times", (int)M, (int)line, (int)row, times);
            }
        arena_free(arena);
    }
}

/* Rows of a kernel of two equations: each line of a row is asked for once, `ahead` rows before; not where rows are short or near. */
static void rows_are_fetched_ahead(void **state)
{
    (void)state;
    static const struct {
        int64_t rows, columns, ahead;
    } cases[] = {{196, 256, 4}, {100, 768, 1}, {300, 64, 8}, {300, 48, 0}, {20, 256, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        arena = arena_new();
        M = cases[k].rows, N = cases[k].columns;
        start();
        Tensor *x = input(2, M, N, 0);
        Index *i = ix("i", M), *c = ix("c", N), *j = ix("j", M), *d = ix("d", N);
        Tensor *mean = equation("mean", 1, &i, red(REDUCE_MEAN, c, rd(x, NULL, ei(i), ei(c), NULL)));
        Tensor *y = equation("y", 2, (Index *[]){j, d}, f2(FN_SUB, rd(x, NULL, ei(j), ei(d), NULL), rd(mean, NULL, ei(j), NULL, NULL)));
        output(y);
        TargetSet set;
        assert_true(target_set_find("avx512", &set));
        const Plan *plan = schedule(module, set.family, NULL, diagnostics_new(arena));
        assert_int_equal(plan->kernels.count, 1);
        LoopProgram *program = lower(plan, &set, diagnostics_new(arena));
        const LoopForm *form = program->forms.data[0];
        Memory memories[3];
        int *fetched[2] = {arena_new_array(arena, int, M * N), arena_new_array(arena, int, M * N)};
        for (int p = 0; p < plan->kernels.data[0]->parameters.count; p++) {
            const Tensor *t = plan->kernels.data[0]->parameters.data[p].tensor;
            memories[p] = (Memory){.data = arena_new_array(arena, double, tensor_layout(t)->bytes), .count = tensor_layout(t)->bytes / 4, .fetched = fetched[t == y]};
        }
        interpret_kernel(arena, form, form->kernels.data[0], memories);
        for (int64_t line = 0; line < 2 * M * N / 16; line++) {
            int times = 0;
            int64_t row = line * 16 / N % M;
            for (int64_t at = 0; at < 16; at++) times += fetched[line >= M * N / 16][line * 16 % (M * N) + at];
            assert_int_equal(times, cases[k].ahead && row >= cases[k].ahead);
        }
        arena_free(arena);
    }
}

/* Threads need some microseconds to meet: products and maps that take not many more are one task, longer ones are shared out. */
static void small_kernels_are_not_shared_out(void **state)
{
    (void)state;
    static const struct {
        int64_t rows, columns, steps; /* steps 0: a map */
        bool shared;
    } cases[] = {{64, 96, 96, false}, {196, 256, 64, true}, {100, 100, 99, false}, {100, 100, 101, true}, {64, 96, 0, false}, {512, 512, 0, true}};
    for (size_t each = 0; each < sizeof cases / sizeof *cases; each++) {
        arena = arena_new();
        start();
        int64_t m = cases[each].rows, n = cases[each].columns, steps = cases[each].steps;
        Index *i = ix("i", m), *c = ix("c", n), *k = ix("k", steps ? steps : 1);
        Tensor *x = input(2, m, steps ? steps : n, 0), *w = weight(2, k->extent, n, 0);
        Expr *sum = red(REDUCE_SUM, k, mul(rd(x, NULL, ei(i), ei(k), NULL), rd(w, NULL, ei(k), ei(c), NULL)));
        output(equation("y", 2, (Index *[]){i, c}, steps ? sum : add(rd(x, NULL, ei(i), ei(c), NULL), real(1))));
        TargetSet set;
        assert_true(target_set_find("all", &set));
        LoopProgram *program = lower(schedule(module, set.family, NULL, diagnostics_new(arena)), &set, diagnostics_new(arena));
        for (int f = 0; f < program->forms.count; f++) {
            int64_t tasks = program->forms.data[f]->kernels.data[0]->tasks;
            if (cases[each].shared) assert_in_range(tasks, 4, 16);
            else assert_int_equal(tasks, 1);
        }
        arena_free(arena);
    }
}

/* --- windows ------------------------------------------------------------------------------------------------------- */
/* y[i, c] = sum[a](w[a, c] x[i + a, c]): positions far apart, so that every form copies what a block of channels reads. */
static void build_far_windows(void)
{
    start();
    enum { L = 9, C = 512, A = 17 };
    Tensor *x = input(2, L + A - 1, C, 0), *w = weight(2, A, C, 0);
    Index *i = ix("i", L), *c = ix("c", C), *a = ix("a", A);
    Expr *products = mul(rd(w, NULL, ei(a), ei(c), NULL), rd(x, NULL, add(ei(i), ei(a)), ei(c), NULL));
    output(equation("y", 2, (Index *[]){i, c}, add(red(REDUCE_SUM, a, products), real(1))));
}

static void windows_far_apart(void **state)
{
    (void)state;
    check_all(build_far_windows);
}

/* s[h, i, j] = sum[d](q[i, h, d] k[j, h, d]); o[i, h, d] = sum[j](softmax(s)[h, i, j] v[j, h, d]), heads in the middle. */
static void build_heads(void)
{
    start();
    enum { H = 3, T = 21, D = 20 };
    Tensor *q = input(3, T, H, D), *key = input(3, T, H, D);
    Index *h = ix("h", H), *i = ix("i", T), *j = ix("j", T), *d = ix("d", D);
    Expr *sum = red(REDUCE_SUM, d, mul(rd(q, NULL, ei(i), ei(h), ei(d)), rd(key, NULL, ei(j), ei(h), ei(d))));
    Expr *masked = f3(FN_WHERE, f2(FN_LE, ei(j), ei(i)), mul(sum, real(0.3)), real(-INFINITY));
    Tensor *s = equation("s", 3, (Index *[]){h, i, j}, masked);
    h = ix("h", H), i = ix("i", T), j = ix("j", T);
    Tensor *top = equation("top", 2, (Index *[]){h, i}, red(REDUCE_MAX, j, rd(s, NULL, ei(h), ei(i), ei(j))));
    h = ix("h", H), i = ix("i", T), j = ix("j", T);
    Tensor *p =
        equation("p", 3, (Index *[]){h, i, j}, f1(FN_EXP, f2(FN_SUB, rd(s, NULL, ei(h), ei(i), ei(j)), rd(top, NULL, ei(h), ei(i), NULL))));
    h = ix("h", H), i = ix("i", T), j = ix("j", T);
    Tensor *total = equation("total", 2, (Index *[]){h, i}, red(REDUCE_SUM, j, rd(p, NULL, ei(h), ei(i), ei(j))));
    h = ix("h", H), i = ix("i", T), j = ix("j", T);
    Tensor *a = equation("a", 3, (Index *[]){h, i, j}, f2(FN_DIV, rd(p, NULL, ei(h), ei(i), ei(j)), rd(total, NULL, ei(h), ei(i), NULL)));
    h = ix("h", H), i = ix("i", T), j = ix("j", T), d = ix("d", D);
    Tensor *o = equation("o", 3, (Index *[]){i, h, d},
                         red(REDUCE_SUM, j, mul(rd(a, NULL, ei(h), ei(i), ei(j)), rd(key, NULL, ei(j), ei(h), ei(d)))));
    output(o);
}

static void attention(void **state)
{
    (void)state;
    check_all(build_heads);
}

/* --- rows ---------------------------------------------------------------------------------------------------------- */
/* Layernorm, a maximum that meets a NaN and one that doesn't, argmax, a product, a transposed copy. */
static void build_rows(void)
{
    start();
    Tensor *x = input(2, M, N, 0), *scale = weight(1, N, 0, 0);
    Index *i = ix("i", M), *c = ix("c", N);
    Tensor *mean = equation("mean", 1, &i, red(REDUCE_MEAN, c, rd(x, NULL, ei(i), ei(c), NULL)));
    i = ix("i", M), c = ix("c", N);
    Expr *d = f2(FN_SUB, rd(x, NULL, ei(i), ei(c), NULL), rd(mean, NULL, ei(i), NULL, NULL));
    Tensor *rstd = equation("rstd", 1, &i, f1(FN_RSQRT, add(red(REDUCE_MEAN, c, mul(d, d)), real(1e-6))));
    i = ix("i", M), c = ix("c", N);
    d = f2(FN_SUB, rd(x, NULL, ei(i), ei(c), NULL), rd(mean, NULL, ei(i), NULL, NULL));
    output(equation("normal", 2, (Index *[]){i, c}, mul(mul(d, rd(rstd, NULL, ei(i), NULL, NULL)), rd(scale, NULL, ei(c), NULL, NULL))));
    i = ix("i", M), c = ix("c", N);
    Expr *hole = f3(FN_WHERE, f2(FN_EQ, ei(c), f2(FN_MUL, ei(i), in(2))), real(NAN), rd(x, NULL, ei(i), ei(c), NULL));
    output(equation("greatest", 1, &i, red(REDUCE_MAX, c, hole)));
    i = ix("i", M), c = ix("c", N);
    output(equation("least", 1, &i, add(red(REDUCE_MIN, c, rd(x, NULL, ei(i), ei(c), NULL)), real(1))));
    i = ix("i", M), c = ix("c", N);
    output(equation("which", 1, &i, red(REDUCE_ARGMAX, c, rd(x, NULL, ei(i), ei(c), NULL))));
    i = ix("i", M), c = ix("c", N);
    output(equation("product", 1, &i, red(REDUCE_PROD, c, add(rd(x, NULL, ei(i), ei(c), NULL), real(1.5)))));
    i = ix("i", M), c = ix("c", N);
    output(equation("pooled", 1, &c, red(REDUCE_MEAN, i, rd(x, NULL, ei(i), ei(c), NULL))));
    i = ix("i", M), c = ix("c", N);
    output(equation("turned", 2, (Index *[]){c, i}, f1(FN_TANH, rd(x, NULL, ei(i), ei(c), NULL))));
    i = ix("i", M), c = ix("c", N);
    output(equation("relu", 2, (Index *[]){i, c}, f2(FN_MAX, rd(x, NULL, ei(i), ei(c), NULL), real(0))));
}

static void rows_of_every_size(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {3, 7}, {5, 8}, {2, 16}, {17, 19}, {4, 64}, {9, 77}, {33, 130}, {40, 3}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        M = sizes[s][0], N = sizes[s][1];
        check_all(build_rows);
    }
}

/* Ids select rows, out of range ones too; a guard keeps one read inside; concatenation along the fast axis. */
static bool ids_in_range;
static void build_data(void)
{
    start();
    Tensor *ids = tensor(TENSOR_INPUT, TYPE_I32, "ids", 1, (int64_t[]){7}), *table = weight(2, ids_in_range ? 9 : 6, 40, 0),
           *x = input(2, 7, 24, 0);
    Index *t = ix("t", 7), *c = ix("c", 40);
    Tensor *e = equation("e", 2, (Index *[]){t, c}, rd(table, NULL, rd(ids, NULL, ei(t), NULL, NULL), ei(c), NULL));
    output(e);
    t = ix("t", 7), c = ix("c", 64);
    Expr *late = rd(x, NULL, ei(t), f2(FN_SUB, ei(c), in(40)), NULL);
    output(equation("both", 2, (Index *[]){t, c}, rd(e, late, ei(t), ei(c), NULL)));
    t = ix("t", 7), c = ix("c", 40);
    Expr *id = rd(ids, NULL, ei(t), NULL, NULL);
    Expr *far = rd(table, NULL, f2(FN_ADD, id, in(ids_in_range ? 1 : 0)), ei(c), NULL);
    output(equation("guarded", 2, (Index *[]){t, c}, f3(FN_WHERE, f2(FN_LT, id, in(8)), far, real(-1))));
    t = ix("t", 7), c = ix("c", 40);
    Expr *count = f2(FN_MUL, rd(ids, NULL, ei(t), NULL, NULL), in(3));
    output(equation("mask", 2, (Index *[]){t, c},
                    f3(FN_WHERE, f2(FN_LT, ei(c), count), rd(e, NULL, ei(t), ei(c), NULL), f1(FN_FLOOR, f2(FN_DIV, ei(c), in(7))))));
    t = ix("t", 7);
    output(equation("sum", 0, NULL, red(REDUCE_SUM, t, rd(ids, NULL, ei(t), NULL, NULL))));
}

static void data_dependent_reads(void **state)
{
    (void)state;
    ids_in_range = true;
    check_all(build_data);
    ids_in_range = false;
    check_all(build_data);
}

/* --- random equations ---------------------------------------------------------------------------------------------- */
static Index *scope[8];
static int scope_count;

/* An integer expr over the indices in scope. */
static Expr *random_subscript(int depth)
{
    int64_t choice = pick(depth > 0 ? 9 : 3);
    if (choice == 0 || scope_count == 0) return in(pick(4));
    if (choice < 4) return ei(scope[pick(scope_count)]);
    if (choice == 4) return add(random_subscript(depth - 1), random_subscript(depth - 1));
    if (choice == 5) return f2(FN_SUB, random_subscript(depth - 1), random_subscript(depth - 1));
    if (choice == 6) return mul(random_subscript(depth - 1), in(1 + pick(3)));
    if (choice == 7) return f2(pick(2) ? FN_FLOORDIV : FN_MOD, random_subscript(depth - 1), in(1 + pick(5)));
    return f2(pick(2) ? FN_MIN : FN_MAX, random_subscript(depth - 1), random_subscript(depth - 1));
}

static Expr *random_value(int depth);

static Expr *random_read(int depth)
{
    int rank = (int)pick(4);
    Expr *subscripts[3];
    int64_t extents[3] = {1, 1, 1};
    bool open = pick(4) == 0 && rank > 0;
    for (int axis = 0; axis < rank; axis++) {
        Expr *s =
            pick(3) && scope_count ? ei(scope[axis == rank - 1 && pick(2) ? scope_count - 1 : pick(scope_count)]) : random_subscript(2);
        int64_t low = 0, high = 0;
        assert_true(index_range(s, &low, &high));
        if (low < 0 && !(open && pick(2))) s = add(s, in(-low)), high -= low;
        if (high > 4000 || high < 0) s = in(0), high = 0;
        extents[axis] = high + 1;
        if (open && pick(2) && high > 1) extents[axis] = 1 + pick(high);
        subscripts[axis] = s;
    }
    if (extents[0] * extents[1] * extents[2] > 100000) return real(1);
    Tensor *t = tensor(pick(2) ? TENSOR_INPUT : TENSOR_WEIGHT, TYPE_F32, "t", rank, extents);
    if (t->kind == TENSOR_INPUT && module->inputs.count > 12) return real(2);
    return expr_read(module, t, rank, subscripts, open ? (pick(2) ? real(0.5) : random_value(depth - 1)) : NULL, NOWHERE);
}

static Expr *random_value(int depth)
{
    static const Function unary[] = {FN_NEG, FN_ABS, FN_EXP, FN_TANH, FN_SIGMOID, FN_ERF, FN_FLOOR, FN_SIN, FN_ROUND};
    static const Function binary[] = {FN_ADD, FN_SUB, FN_MUL, FN_MIN, FN_MAX, FN_ADD, FN_MUL, FN_SUB};
    int64_t choice = pick(depth > 0 ? 10 : 3);
    if (choice == 0) return real(draw() * 4 - 2);
    if (choice < 3) return random_read(depth);
    if (choice == 3) return f1(FN_SIN, mul(random_subscript(1), real(0.1)));
    if (choice < 6) {
        Function function = unary[pick(9)];
        /* Jumps make the comparison with double unfair unless what jumps is exact. */
        bool jumps = function == FN_FLOOR || function == FN_ROUND;
        return f1(function, jumps ? mul(random_subscript(1), real(0.5)) : random_value(depth - 1));
    }
    if (choice == 6)
        return f3(FN_WHERE, f2(pick(2) ? FN_LE : FN_NE, random_subscript(1), random_subscript(1)), random_value(depth - 1),
                  random_value(depth - 1));
    Expr *a = random_value(depth - 1);
    return f2(binary[pick(8)], a, pick(6) == 0 ? a : random_value(depth - 1));
}

static uint64_t random_seed;
static void build_random(void)
{
    start();
    seed = random_seed * 0x9e3779b97f4a7c15u + 1;
    draw();
    static const int64_t extents[] = {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 20, 32, 35, 48};
    for (int64_t e = 1 + pick(2); e > 0; e--) {
        int rank = (int)pick(4);
        Index *free[3];
        scope_count = 0;
        for (int i = 0; i < rank; i++)
            scope[scope_count++] = free[i] = ix(i == 0 ? "i" : i == 1 ? "j" : "c", extents[pick(rank == 3 ? 9 : 14)]);
        Expr *value = NULL;
        if (pick(2)) {
            Index *reduced[2];
            int count = 1 + (int)pick(2);
            int64_t place = pick(scope_count + 1);
            for (int k = 0; k < count; k++) {
                reduced[k] = ix("k", extents[pick(12)]);
                memmove(scope + place + 1, scope + place, (size_t)(scope_count - place) * sizeof *scope);
                scope[place] = reduced[k];
                scope_count++;
            }
            static const Reduction reductions[] = {REDUCE_SUM, REDUCE_SUM, REDUCE_MEAN, REDUCE_MAX, REDUCE_MIN};
            value = expr_reduce(module, reductions[pick(5)], count, reduced, random_value(2), NOWHERE);
            scope_count = 0;
            for (int i = 0; i < rank; i++) scope[scope_count++] = free[i];
            if (pick(2)) value = f2(pick(2) ? FN_ADD : FN_MUL, value, random_value(2));
            if (pick(3) == 0) value = f1(FN_TANH, value);
        } else
            value = random_value(4);
        if (value->integer) value = mul(value, real(1));
        output(equation("y", rank, free, value));
    }
}

static void random_equations(void **state)
{
    (void)state;
    const char *one = getenv("SEED"), *many = getenv("COUNT");
    uint64_t from = one ? strtoull(one, NULL, 10) : 1, count = one ? 1 : many ? strtoull(many, NULL, 10) : 150;
    for (random_seed = from; random_seed < from + count; random_seed++) {
        if (many || one) fprintf(stderr, "\rseed %llu ", (unsigned long long)random_seed);
        check_all(build_random);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contractions_of_every_size), cmocka_unit_test(results_are_prefetched_by_rows), cmocka_unit_test(columns_are_fetched_once),
        cmocka_unit_test(rows_are_fetched_ahead),
        cmocka_unit_test(small_kernels_are_not_shared_out), cmocka_unit_test(windows_far_apart), cmocka_unit_test(attention), cmocka_unit_test(rows_of_every_size),
        cmocka_unit_test(data_dependent_reads), cmocka_unit_test(random_equations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
