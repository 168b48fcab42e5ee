/* The size of a contraction's tiles, from what the target has and what the operands are.
 * In: rows, columns and steps of the contraction.  Out: vectors and rows of a tile; nothing is built here.
 *
 * The cycles of a step are those of its busiest part: multiply-adds, loads, or instructions. Around that a tile costs a little for each
 * accumulator and each start of the loop, and its columns come from a cache. Only differences between tiles matter. */
#include "loop/tile.h"

enum { FMAS_A_CYCLE = 2, LOADS_A_CYCLE = 2, FMA_LATENCY = 4 };

/* Accumulators, the column vectors, a row's scalar, and one to spare. */
int most_rows(const Target *target, int width)
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

/* A row whose scalar is a multiply-add's operand in memory saves an instruction and costs width - 1 loads. On a quiet core with two loads a
 * cycle tiles of 14x32 reach 97 % of the peak with 16 to 20 loads in the 14 cycles of a step, 92 with 23 and 88 with 28: loads wait for
 * each other and for lines that arrive long before all cycles have two. */
int spread_rows(const Target *target, int height, int width)
{
    if (!target->spreads) return 0;
    if (width == 1) return height;
    const double share_of_loads = 0.7;
    int free = (int)(share_of_loads * LOADS_A_CYCLE * height * width / FMAS_A_CYCLE) - width - height;
    int rows = free / (width - 1);
    return rows < 0 ? 0 : rows > height ? height : rows;
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

static double cut_cycles(const Target *target, Cut cut, int width, int64_t steps)
{
    double cycles = (double)cut.tall * tile_cycles(target, cut.height, width, steps);
    if (cut.tall < cut.tiles) cycles += (double)(cut.tiles - cut.tall) * tile_cycles(target, cut.height - 1, width, steps);
    return cycles;
}

/* Tiles start where panels do, or lie inside of one. */
static bool fits_panels(int width, int64_t vectors, int panel)
{
    return panel == 0 || width % panel == 0 || panel % width == 0 || width == vectors;
}

/* Of all columns, in blocks of `width` vectors whose rows are cut into tiles of at most `height`. */
static double size_cycles(const Target *target, int64_t rows, int64_t vectors, int64_t steps, int height, int width)
{
    int rest = (int)(vectors % width);
    double cycles = (double)(vectors / width) * cut_cycles(target, cut_evenly(rows, height), width, steps);
    return rest ? cycles + cut_cycles(target, cut_rows(target, rows, rest), rest, steps) : cycles;
}

int choose_width(const Target *target, int64_t rows, int64_t columns, int64_t steps, int panel)
{
    int64_t vectors = (columns + target->lanes - 1) / target->lanes;
    int best = 1;
    double least = 0;
    for (int width = 1; width <= MOST_WIDTH && width <= vectors; width++) {
        if (!fits_panels(width, vectors, panel / target->lanes)) continue;
        double cycles = size_cycles(target, rows, vectors, steps, most_rows(target, width), width);
        if (width > 1 && cycles >= least) continue;
        least = cycles;
        best = width;
    }
    return best;
}

/* --- measured instead of computed ------------------------------------------------------------------------------------ */
const char *why_no_tile(const Target *target, int64_t columns, int panel, int height, int width)
{
    int64_t vectors = (columns + target->lanes - 1) / target->lanes;
    if (width > MOST_WIDTH || width > vectors) return "the tile is wider than the columns, or than any tile";
    if (!fits_panels(width, vectors, panel / target->lanes)) return "the tile's width neither divides a panel nor holds whole ones";
    return height > most_rows(target, width) ? "the tile needs more registers than the target has" : NULL;
}

static void insert_size(TileSize *sizes, int *count, int most, TileSize size)
{
    int at = *count;
    for (int i = 0; i < *count; i++)
        if (sizes[i].height == size.height && sizes[i].width == size.width) return;
    if (at == most && size.cycles >= sizes[at - 1].cycles) return;
    if (at == most) at--;
    else ++*count;
    for (; at > 1 && sizes[at - 1].cycles > size.cycles; at--) sizes[at] = sizes[at - 1];
    sizes[at] = size;
}

int tile_candidates(const Target *target, int64_t rows, int64_t columns, int64_t steps, int panel, TileSize *sizes, int most)
{
    int64_t vectors = (columns + target->lanes - 1) / target->lanes;
    int count = 1, own = choose_width(target, rows, columns, steps, panel);
    sizes[0] = (TileSize){cut_rows(target, rows, own).height, own, 0};
    for (int width = 1; width <= MOST_WIDTH; width++)
        for (int less = 0; less < 4; less++) { /* fewer rows: more tiles, of which more are full */
            int64_t tiles = cut_rows(target, rows, width).tiles + less;
            int height = (int)((rows + tiles - 1) / tiles);
            if (tiles > rows || why_no_tile(target, columns, panel, height, width)) continue;
            insert_size(sizes, &count, most, (TileSize){height, width, size_cycles(target, rows, vectors, steps, height, width)});
        }
    return count;
}
