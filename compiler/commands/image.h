/* Pictures as inputs: decode, resize, crop, normalise, as PIL and timm's evaluation do, to the bit.
 *
 *   image_decode.c   PNG, JPEG, PPM → 8-bit RGB, as PIL's convert('RGB')
 *   image_resize.c   Pillow's antialiased resampling in fixed point, rounded to 8 bits after each pass
 *   image.c          what `~ image(…)` says → the values of an input
 */
#ifndef GM_COMMANDS_IMAGE_H
#define GM_COMMANDS_IMAGE_H

#include "equation/equation.h"

typedef struct {
    int width, height, channels; /* channels: 3 or 1, interleaved */
    unsigned char *pixels;
} Image;

typedef enum { FILTER_BICUBIC, FILTER_BILINEAR, FILTER_LANCZOS, FILTER_BOX, FILTER_NEAREST } ImageFilter;

/* RGB. On failure returns false and *error. Foreign bytes never crash it; more than 178,956,970 pixels are refused, as PIL does. */
bool image_decode(Arena *arena, const unsigned char *data, size_t size, Image *image, const char **error);
/* Does the file begin like a picture? */
bool image_recognise(const unsigned char *data, size_t size);
Image image_to_gray(Arena *arena, const Image *image); /* PIL's convert('L') */
Image image_resize(Arena *arena, const Image *image, int width, int height, ImageFilter filter);
/* The middle width x height, as torchvision's CenterCrop: zeros where the picture is smaller. */
Image image_crop(Arena *arena, const Image *image, int width, int height);

/* What `~ image(crop_pct = …, mean = …, std = …, resize = …, mode = …)` says. */
typedef struct {
    double crop_pct;            /* 1 unless said */
    double mean[3], std[3];     /* 0 and 1 unless said */
    ImageFilter filter;         /* bicubic unless said */
    bool squash;                /* mode = squash: resized to the size over crop_pct, aspect ignored */
} ImageHint;
/* False after an error (GM157). A NULL hint gives the defaults. */
bool image_hint(const Port *port, ImageHint *hint, Diagnostics *diags);
/* The picture in the layout of an input [3, H, W], [1, H, W], [H, W, 3], [H, W, 1] or [H, W]; f32, or u8 without mean and std.
 * Writes tensor_count elements of the input's type to `out`. False after an error. */
bool image_to_input(const Image *image, const Port *port, const ImageHint *hint, void *out, Diagnostics *diags);

#endif
