/* Resampling as Pillow does it for 8-bit channels: a filter whose support grows with the scale when shrinking, its weights as
 * 22-bit fixed point, first along rows, then along columns, rounded and clipped to 8 bits after each. */
#include "commands/image.h"

#include <math.h>
#include <string.h>

enum { PRECISION_BITS = 32 - 8 - 2 };

static double filter_support(ImageFilter filter)
{
    switch (filter) {
    case FILTER_BICUBIC: return 2;
    case FILTER_BILINEAR: return 1;
    case FILTER_LANCZOS: return 3;
    case FILTER_BOX:
    case FILTER_NEAREST: break;
    }
    return 0.5;
}

static double sinc(double x)
{
    if (x == 0) return 1;
    x *= 3.14159265358979323846;
    return sin(x) / x;
}

static double filter_value(ImageFilter filter, double x)
{
    const double a = -0.5;
    switch (filter) {
    case FILTER_BICUBIC:
        x = fabs(x);
        if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
        if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
        return 0;
    case FILTER_BILINEAR:
        x = fabs(x);
        return x < 1 ? 1 - x : 0;
    case FILTER_LANCZOS:
        return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
    case FILTER_BOX:
    case FILTER_NEAREST:
        break;
    }
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

/* The source samples of each output sample, and their weights. */
typedef struct {
    int taps;       /* room for each */
    int *first, *count;
    int *weights;   /* taps for each */
} Taps;

static Taps make_taps(Arena *arena, int from, int to, ImageFilter filter)
{
    double scale = (double)from / to, filter_scale = scale < 1 ? 1 : scale;
    double support = filter_support(filter) * filter_scale;
    Taps taps = {.taps = (int)ceil(support) * 2 + 1};
    taps.first = arena_new_array(arena, int, to);
    taps.count = arena_new_array(arena, int, to);
    taps.weights = arena_alloc_array(arena, (size_t)to, (size_t)taps.taps * sizeof(int));
    double *exact = arena_new_array(arena, double, taps.taps);
    for (int x = 0; x < to; x++) {
        double centre = (x + 0.5) * scale, total = 0, step = 1 / filter_scale;
        int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
        if (first < 0) first = 0;
        if (end > from) end = from;
        for (int i = 0; i < end - first; i++) total += exact[i] = filter_value(filter, (i + first - centre + 0.5) * step);
        int *weights = taps.weights + (size_t)x * (size_t)taps.taps;
        for (int i = 0; i < end - first; i++) {
            double weight = (total != 0 ? exact[i] / total : exact[i]) * (1 << PRECISION_BITS);
            weights[i] = (int)(weight < 0 ? weight - 0.5 : weight + 0.5);
        }
        taps.first[x] = first;
        taps.count[x] = end - first;
    }
    return taps;
}

static unsigned char clip(int sum)
{
    int value = sum >> PRECISION_BITS;
    return (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static Image image_new(Arena *arena, int width, int height, int channels)
{
    return (Image){width, height, channels, arena_alloc_array(arena, (size_t)width * (size_t)height, (size_t)channels)};
}

static Image resize_rows(Arena *arena, const Image *image, int width, ImageFilter filter)
{
    Image out = image_new(arena, width, image->height, image->channels);
    Taps taps = make_taps(arena, image->width, width, filter);
    int channels = image->channels;
    for (int y = 0; y < image->height; y++) {
        const unsigned char *from = image->pixels + (size_t)y * (size_t)image->width * (size_t)channels;
        unsigned char *to = out.pixels + (size_t)y * (size_t)width * (size_t)channels;
        for (int x = 0; x < width; x++) {
            const int *weights = taps.weights + (size_t)x * (size_t)taps.taps;
            for (int c = 0; c < channels; c++) {
                int sum = 1 << (PRECISION_BITS - 1);
                for (int i = 0; i < taps.count[x]; i++) sum += from[(taps.first[x] + i) * channels + c] * weights[i];
                to[x * channels + c] = clip(sum);
            }
        }
    }
    return out;
}

static Image resize_columns(Arena *arena, const Image *image, int height, ImageFilter filter)
{
    Image out = image_new(arena, image->width, height, image->channels);
    Taps taps = make_taps(arena, image->height, height, filter);
    size_t stride = (size_t)image->width * (size_t)image->channels;
    int *sums = arena_new_array(arena, int, stride);
    for (int y = 0; y < height; y++) {
        const int *weights = taps.weights + (size_t)y * (size_t)taps.taps;
        for (size_t x = 0; x < stride; x++) sums[x] = 1 << (PRECISION_BITS - 1);
        for (int i = 0; i < taps.count[y]; i++) {
            const unsigned char *from = image->pixels + (size_t)(taps.first[y] + i) * stride;
            for (size_t x = 0; x < stride; x++) sums[x] += from[x] * weights[i];
        }
        for (size_t x = 0; x < stride; x++) out.pixels[(size_t)y * stride + x] = clip(sums[x]);
    }
    return out;
}

static Image resize_nearest(Arena *arena, const Image *image, int width, int height)
{
    Image out = image_new(arena, width, height, image->channels);
    size_t channels = (size_t)image->channels;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int from_y = (int)((y + 0.5) * image->height / height), from_x = (int)((x + 0.5) * image->width / width);
            memcpy(out.pixels + ((size_t)y * (size_t)width + (size_t)x) * channels,
                   image->pixels + ((size_t)from_y * (size_t)image->width + (size_t)from_x) * channels, channels);
        }
    return out;
}

Image image_resize(Arena *arena, const Image *image, int width, int height, ImageFilter filter)
{
    if (filter == FILTER_NEAREST) return resize_nearest(arena, image, width, height);
    Image result = *image;
    if (width != result.width) result = resize_rows(arena, &result, width, filter);
    if (height != result.height) result = resize_columns(arena, &result, height, filter);
    return result;
}

Image image_to_gray(Arena *arena, const Image *image)
{
    Image gray = image_new(arena, image->width, image->height, 1);
    size_t count = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < count; i++) {
        const unsigned char *rgb = image->pixels + i * 3;
        gray.pixels[i] = (unsigned char)((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
    }
    return gray;
}

/* Where the crop begins: Python's round((have - want) / 2), halves to even; or minus the padding in front. */
static int crop_offset(int have, int want)
{
    return have < want ? -((want - have) / 2) : (int)rint((have - want) / 2.0);
}

Image image_crop(Arena *arena, const Image *image, int width, int height)
{
    Image out = image_new(arena, width, height, image->channels);
    int top = crop_offset(image->height, height), left = crop_offset(image->width, width);
    size_t channels = (size_t)image->channels;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int from_y = y + top, from_x = x + left;
            if (from_y < 0 || from_y >= image->height || from_x < 0 || from_x >= image->width) continue;
            memcpy(out.pixels + ((size_t)y * (size_t)width + (size_t)x) * channels,
                   image->pixels + ((size_t)from_y * (size_t)image->width + (size_t)from_x) * channels, channels);
        }
    return out;
}
