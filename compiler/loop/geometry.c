/* The size of a contraction's tiles, from what the target has and what the operands are.
 * In: rows, columns and steps of the contraction.  Out: vectors and rows of a tile; nothing is built here.
 *
 * The cycles of a step are those of its busiest part: multiply-adds, loads, or instructions. Around that a tile costs a little for each
 * accumulator and each start of the loop, and its columns come from a cache. Only differences between tiles matter. */
#include "loop/tile.h"

enum { FMAS_A_CYCLE = 2, LOADS_A_CYCLE = 2, FMA_LATENCY = 4 };

/* Accumulators, the column vectors, a row's scalar, and one to spare. */
static int most_rows(const Target *target, int width)
{
    static const int plain[] = {0, 6, 4, 3, 3, 1, 1, 1, 1};
    if (target->lanes == 1) return plain[width];
    int most = (target->registers - width - 2) / width;
    return most < 1 ? 1 : most > MOST_HEIGHT ? MOST_HEIGHT : most;
}

Cut cut_rows(const Target *target, int64_t rows, int width)
{
    return cut_evenly(rows, most_rows(target, width));
}

Cut cut_evenly(int64_t rows, int most)
{
    Cut cut = {.tiles = (rows + most - 1) / most};
    cut.height = (int)((rows + cut.tiles - 1) / cut.tiles);
    cut.tall = rows - cut.tiles * (cut.height - 1);
    return cut;
}

/* A row whose scalar is a multiply-add's operand in memory saves an instruction and costs width - 1 loads: as many as the loads allow. */
int spread_rows(const Target *target, int height, int width)
{
    if (!target->spreads) return 0;
    if (width == 1) return height;
    int64_t free = (int64_t)LOADS_A_CYCLE * height * width / FMAS_A_CYCLE - width - height;
    int64_t rows = free / (width - 1);
    return rows < 0 ? 0 : rows > height ? height : (int)rows;
}

static double greater(double a, double b)
{
    return a > b ? a : b;
}

/* Cycles of a tile. */
static double tile_cycles(const Target *target, int height, int width, int64_t steps)
{
    const double instructions_a_cycle = 3.5, cycles_a_line = 0.25, cycles_a_start = 40;
    int spread = spread_rows(target, height, width);
    double fmas = height * width, loads = width + (height - spread) + spread * width, instructions = fmas + width + (height - spread) + 2;
    double step = greater(greater(fmas / FMAS_A_CYCLE, FMA_LATENCY), greater(loads / LOADS_A_CYCLE, instructions / instructions_a_cycle));
    step += cycles_a_line * width * target->lanes / 16;
    return step * (double)steps + cycles_a_start + 2 * fmas;
}

static double block_cycles(const Target *target, int64_t rows, int width, int64_t steps)
{
    Cut cut = cut_rows(target, rows, width);
    double cycles = (double)cut.tall * tile_cycles(target, cut.height, width, steps);
    if (cut.tall < cut.tiles) cycles += (double)(cut.tiles - cut.tall) * tile_cycles(target, cut.height - 1, width, steps);
    return cycles;
}

/* Tiles start where panels do, or lie inside of one. */
static bool fits_panels(int width, int64_t vectors, int panel)
{
    return panel == 0 || width % panel == 0 || panel % width == 0 || width == vectors;
}

int choose_width(const Target *target, int64_t rows, int64_t columns, int64_t steps, int panel)
{
    int64_t vectors = (columns + target->lanes - 1) / target->lanes;
    int best = 1;
    double least = 0;
    for (int width = 1; width <= MOST_WIDTH && width <= vectors; width++) {
        if (!fits_panels(width, vectors, panel / target->lanes)) continue;
        double cycles = (double)(vectors / width) * block_cycles(target, rows, width, steps);
        if (vectors % width) cycles += block_cycles(target, rows, (int)(vectors % width), steps);
        if (width > 1 && cycles >= least) continue;
        least = cycles;
        best = width;
    }
    return best;
}
