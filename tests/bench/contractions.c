/* contractions [COUNT [SEED [TARGET [SECONDS]]]]: random contraction shapes, half with the weights as the vector operand (dense layers), half with the
 * activations (token mixing), each as percent of the multiply-add peak measured just before and after short blocks of runs, the median over the
 * blocks. Machines are shared: a shape under REPEAT_UNDER percent is measured again, up to ROUNDS times; its row shows the first and the best. */
#include "commands/benchmark.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 1000, ROUNDS = 6, REPEAT_UNDER = 65 };

static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Log-uniform in [low, high]. */
static int draw(uint64_t *state, int low, int high)
{
    double u = (double)(next(state) >> 11) / 9007199254740992.0;
    return (int)(low * pow((double)high / low, u) + 0.5);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 100;
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    const char *target = argc > 3 ? argv[3] : "all";
    double seconds = argc > 4 ? atof(argv[4]) : 0.3, percents[MOST], firsts[MOST];
    if (count < 1 || count > MOST) return 2;
    for (int i = 0; i < count; i++) {
        Arena *arena = arena_new();
        Diagnostics *diags = diagnostics_new(arena);
        int m = draw(&state, 49, 400), k = draw(&state, 32, 3072), n = draw(&state, 32, 3072), tokens = i % 2;
        if (tokens) k = draw(&state, 32, 784);
        const char *text =
            tokens ? arena_printf(arena, "model m() {\n  input x[%d, %d]\n  param w[%d, %d]\n  param b[%d]\n  output y[i, c] = sum[j](w[i, j] * x[j, c]) + b[i]\n}\n", k, n, m, k, m)
                   : arena_printf(arena, "model m() {\n  input x[%d, %d]\n  param w[%d, %d]\n  param b[%d]\n  output y[i, c] = sum[j](x[i, j] * w[c, j]) + b[c]\n}\n", m, k, n, k, n);
        PipelineRequest request = {.model = {.path = "contraction.gm", .text = text}, .target = target, .stop = STAGE_C};
        Timing timing, best = {0};
        int rounds = 0;
        for (; rounds < ROUNDS && best.beside < REPEAT_UNDER; rounds++) {
            if (!benchmark(arena, &request, NULL, seconds, 1, &timing, diags)) {
                Text message = text_new(arena);
                diagnostics_print(diags, &message, false);
                fputs(text_string(&message), stderr);
                return 1;
            }
            if (!rounds) firsts[i] = timing.beside;
            if (timing.beside > best.beside) best = timing;
        }
        percents[i] = best.beside;
        printf("%-6s %4d x %4d -> %4d  %6.1f %% of peak at first, %6.1f %% in the best of %d (%s, %.3g GFLOP/s; the fastest peak seen: %.3g)\n", tokens ? "tokens" : "dense", m, k, n, firsts[i],
               best.beside, rounds, best.form, best.gflops, best.peak);
        fflush(stdout);
        arena_free(arena);
    }
    qsort(firsts, (size_t)count, sizeof *firsts, ascending);
    qsort(percents, (size_t)count, sizeof *percents, ascending);
    printf("at first: lowest %.1f, 10th percentile %.1f, median %.1f %% of peak\n", firsts[0], firsts[count / 10], firsts[count / 2]);
    printf("best:     lowest %.1f, 10th percentile %.1f, median %.1f %% of peak\n", percents[0], percents[count / 10], percents[count / 2]);
    return 0;
}
