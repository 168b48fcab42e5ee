/* The generator behind `gmlpc init` and `--random`. */
#include "weights/draw.h"

#include "equation/mathematics.h"

#include <math.h>

Draw draw_start(uint64_t seed, const char *path)
{
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (; *path; path++) state = (state ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
    return (Draw){state};
}

uint64_t draw_bits(Draw *draw)
{
    uint64_t z = draw->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

double draw_unit(Draw *draw)
{
    return (double)(draw_bits(draw) >> 11) * 0x1p-53;
}

double draw_normal(Draw *draw)
{
    static const double pi = 3.14159265358979323846;
    double radius = sqrt(-2 * math_log(1 - draw_unit(draw)));
    return radius * math_cos(2 * pi * draw_unit(draw));
}
