/* contractions [--tiles] [COUNT [SEED [TARGET [SECONDS]]]], contractions --odd [TARGET [SECONDS]]: random contraction shapes, half with the weights as the vector operand (dense layers), half with the
 * activations (token mixing), each as percent of the multiply-add peak measured just before and after short blocks of runs, the median over the
 * blocks. Machines are shared: a shape under REPEAT_UNDER percent is measured again, up to ROUNDS times; its row shows the first and the best.
 * With --tiles each shape's tile, as the cost model has it, is measured beside the others that it ranks near: percent of the speed of the best
 * of the same run, which flatters the best: it is picked after measuring.
 * With --odd sizes that no tile divides stand beside neighbours that one does, in turns: the share of the neighbour's percent of the peak
 * that is left, multiply-adds of the model alone counted. */
#include "commands/benchmark.h"
#include "commands/tuning.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

typedef struct {
    int m, k, n;
    bool tokens;
} Shape;

static Shape draw_shape(uint64_t *state, int number)
{
    Shape shape = {.tokens = number % 2};
    shape.m = draw(state, 49, 400);
    shape.k = draw(state, 32, 3072);
    shape.n = draw(state, 32, 3072);
    if (shape.tokens) shape.k = draw(state, 32, 784);
    return shape;
}

static const char *model_text(Arena *arena, Shape s)
{
    if (s.tokens)
        return arena_printf(arena, "model m() {\n  input x[%d, %d]\n  param w[%d, %d]\n  param b[%d]\n  output y[i, c] = sum[j](w[i, j] * x[j, c]) + b[i]\n}\n", s.k, s.n, s.m, s.k, s.m);
    return arena_printf(arena, "model m() {\n  input x[%d, %d]\n  param w[%d, %d]\n  param b[%d]\n  output y[i, c] = sum[j](x[i, j] * w[c, j]) + b[c]\n}\n", s.m, s.k, s.n, s.k, s.n);
}

static int failed(Arena *arena, const Diagnostics *diags)
{
    Text message = text_new(arena);
    diagnostics_print(diags, &message, false);
    fputs(text_string(&message), stderr);
    return 1;
}

/* The cost model's tile beside its neighbours. */
static int compare_tiles(int count, uint64_t state, const char *target, double seconds)
{
    double percents[MOST];
    for (int i = 0; i < count; i++) {
        Arena *arena = arena_new();
        Diagnostics *diags = diagnostics_new(arena);
        Shape s = draw_shape(&state, i);
        PipelineRequest request = {.model = {.path = "contraction.gm", .text = model_text(arena, s)}, .target = target};
        Tuning tuning = {0};
        Backend backend;
        if (!backend_find(NULL, &backend, diags) || !tuning_open(arena, &request, backend, &tuning, diags)) return failed(arena, diags);
        TunedShape *shape = &tuning.shapes.data[0];
        if (!tuning.shapes.count || !tuning_measure(&tuning, shape, seconds, diags)) return failed(arena, diags);
        int best = 0;
        for (int k = 2; k < shape->count; k++)
            if (shape->contenders[k].ratio < (best ? shape->contenders[best].ratio : 1)) best = k;
        const Contender *own = &shape->contenders[0], *c = &shape->contenders[best];
        percents[i] = best ? 100 * c->ratio : 100;
        printf("%-6s %4d x %4d -> %4d  %5.1f %% of the best: %2dx%d, %.3f ms; best of %d: %2dx%d in %d groups, %.3f ms%s; noise %.1f %%\n", s.tokens ? "tokens" : "dense", s.m, s.k, s.n,
               percents[i], own->height, own->width, own->ms, shape->count - 1, c->height, c->width, c->groups, c->ms, shape->best ? ", beyond noise" : "", 100 * shape->noise);
        fflush(stdout);
        tuning_close(&tuning);
        arena_free(arena);
    }
    qsort(percents, (size_t)count, sizeof *percents, ascending);
    printf("the cost model's tiles: lowest %.1f, 10th percentile %.1f, median %.1f %% of the best tile of the same run\n", percents[0], percents[count / 10], percents[count / 2]);
    return 0;
}

typedef struct {
    Shape odd, even;
} Pair;
static const Pair pairs[] = {
    {{197, 384, 1536, false}, {196, 384, 1536, false}}, {{77, 512, 2048, false}, {84, 512, 2048, false}},   {{196, 384, 250, false}, {196, 384, 256, false}},
    {{196, 384, 1000, false}, {196, 384, 1024, false}}, {{196, 250, 1000, false}, {196, 256, 1024, false}}, {{197, 197, 768, true}, {196, 196, 768, true}},
    {{196, 196, 250, true}, {196, 196, 256, true}},     {{196, 196, 1000, true}, {196, 196, 1024, true}},   {{77, 77, 512, true}, {84, 84, 512, true}},
};

static bool measure_shape(Shape s, const char *target, double seconds, double *percent)
{
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    PipelineRequest request = {.model = {.path = "contraction.gm", .text = model_text(arena, s)}, .target = target, .stop = STAGE_C};
    Timing timing;
    bool measured = benchmark(arena, &request, NULL, seconds, 1, &timing, diags);
    if (measured) *percent = timing.beside;
    else (void)failed(arena, diags);
    arena_free(arena);
    return measured;
}

static int compare_odd(const char *target, double seconds)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const Pair *pair = &pairs[i];
        double odd[ROUNDS], even[ROUNDS], shares[ROUNDS];
        for (int r = 0; r < ROUNDS; r++) {
            if (!measure_shape(pair->odd, target, seconds, &odd[r]) || !measure_shape(pair->even, target, seconds, &even[r])) return 1;
            shares[r] = 100 * odd[r] / even[r];
        }
        qsort(odd, ROUNDS, sizeof *odd, ascending);
        qsort(even, ROUNDS, sizeof *even, ascending);
        qsort(shares, ROUNDS, sizeof *shares, ascending);
        printf("%-6s %4d x %4d -> %4d %6.1f %% of peak, beside %4d x %4d -> %4d %6.1f %%: %.1f %% of it (%.1f to %.1f)\n", pair->odd.tokens ? "tokens" : "dense", pair->odd.m,
               pair->odd.k, pair->odd.n, odd[ROUNDS / 2], pair->even.m, pair->even.k, pair->even.n, even[ROUNDS / 2], shares[ROUNDS / 2], shares[0], shares[ROUNDS - 1]);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--odd") == 0) return compare_odd(argc > 2 ? argv[2] : "all", argc > 3 ? atof(argv[3]) : 0.2);
    bool tiles = argc > 1 && strcmp(argv[1], "--tiles") == 0;
    if (tiles) argc--, argv++;
    int count = argc > 1 ? atoi(argv[1]) : 100;
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    const char *target = argc > 3 ? argv[3] : "all";
    double seconds = argc > 4 ? atof(argv[4]) : 0.3, percents[MOST], firsts[MOST];
    if (count < 1 || count > MOST) return 2;
    if (tiles) return compare_tiles(count, state, argc > 3 ? target : target_native(), argc > 4 ? seconds : 1);
    for (int i = 0; i < count; i++) {
        Arena *arena = arena_new();
        Diagnostics *diags = diagnostics_new(arena);
        Shape s = draw_shape(&state, i);
        PipelineRequest request = {.model = {.path = "contraction.gm", .text = model_text(arena, s)}, .target = target, .stop = STAGE_C};
        Timing timing, best = {0};
        int rounds = 0;
        for (; rounds < ROUNDS && best.beside < REPEAT_UNDER; rounds++) {
            if (!benchmark(arena, &request, NULL, seconds, 1, &timing, diags)) return failed(arena, diags);
            if (!rounds) firsts[i] = timing.beside;
            if (timing.beside > best.beside) best = timing;
        }
        percents[i] = best.beside;
        printf("%-6s %4d x %4d -> %4d  %6.1f %% of peak at first, %6.1f %% in the best of %d (%s, %.3g GFLOP/s; the fastest peak seen: %.3g)\n", s.tokens ? "tokens" : "dense", s.m, s.k, s.n, firsts[i],
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
