/* What an input's `~ image(…)` says, and a picture made into that input's values: short side to floor(size / crop_pct), centre crop,
 * /255, minus mean, over std, all in f32 as torchvision computes it. */
#include "commands/image.h"

#include <math.h>
#include <string.h>

static bool find_filter(const char *word, ImageFilter *filter)
{
    static const char *const words[] = {[FILTER_BICUBIC] = "bicubic", [FILTER_BILINEAR] = "bilinear", [FILTER_LANCZOS] = "lanczos", [FILTER_BOX] = "box", [FILTER_NEAREST] = "nearest"};
    for (int i = 0; i < (int)(sizeof words / sizeof words[0]); i++) {
        if (strcmp(words[i], word) != 0) continue;
        *filter = (ImageFilter)i;
        return true;
    }
    return false;
}

/* One number for all channels, or three. */
static bool take_channels(const double *numbers, int count, double *out)
{
    if (!numbers || (count != 1 && count != 3)) return false;
    for (int c = 0; c < 3; c++) out[c] = numbers[count == 3 ? c : 0];
    return true;
}

bool image_hint(const Port *port, ImageHint *hint, Diagnostics *diags)
{
    *hint = (ImageHint){.crop_pct = 1, .std = {1, 1, 1}};
    if (!port->hint) return true;
    const char *problem = NULL;
    if (strcmp(port->hint->name, "image") != 0) problem = "this input is not declared as an image: it would need `~ image(…)`";
    for (int i = 0; i < port->hint->count && !problem; i++) {
        const char *name = port->hint->arguments[i].name ? port->hint->arguments[i].name : "", *word = port->hint->arguments[i].text;
        const double *numbers = word ? NULL : port->hint->arguments[i].numbers;
        int count = port->hint->arguments[i].number_count;
        bool good = false;
        if (strcmp(name, "crop_pct") == 0) {
            good = numbers && count == 1 && numbers[0] > 0.01 && numbers[0] <= 10;
            if (good) hint->crop_pct = numbers[0];
        } else if (strcmp(name, "mean") == 0) {
            good = take_channels(numbers, count, hint->mean);
        } else if (strcmp(name, "std") == 0) {
            good = take_channels(numbers, count, hint->std) && hint->std[0] > 0 && hint->std[1] > 0 && hint->std[2] > 0;
        } else if (strcmp(name, "resize") == 0) {
            good = word && find_filter(word, &hint->filter);
        } else if (strcmp(name, "mode") == 0) {
            hint->squash = word && strcmp(word, "squash") == 0;
            good = hint->squash || (word && strcmp(word, "center") == 0);
        }
        if (!good) problem = "`~ image` takes crop_pct = NUMBER, mean and std = one or three numbers, resize = bicubic, bilinear, lanczos, box or nearest, mode = center or squash";
    }
    if (problem) diag_error(diags, GM157, port->place, "%s: %s", port->name, problem);
    return !problem;
}

typedef struct {
    int height, width, channels;
    int64_t y, x, c; /* strides */
} PixelLayout;

static bool pixel_layout(const Tensor *tensor, PixelLayout *layout)
{
    const int64_t *e = tensor->extents;
    for (int d = 0; d < tensor->rank; d++)
        if (e[d] > 1 << 16) return false;
    if (tensor->rank == 3 && (e[0] == 3 || e[0] == 1) && !(e[2] == 3 && e[0] == 1))
        *layout = (PixelLayout){(int)e[1], (int)e[2], (int)e[0], e[2], 1, e[1] * e[2]};
    else if (tensor->rank == 3 && (e[2] == 3 || e[2] == 1))
        *layout = (PixelLayout){(int)e[0], (int)e[1], (int)e[2], e[1] * e[2], e[2], 1};
    else if (tensor->rank == 2)
        *layout = (PixelLayout){(int)e[0], (int)e[1], 1, e[1], 1, 0};
    else
        return false;
    return true;
}

/* The size before the crop. Square inputs as torchvision's Resize, others as timm's ResizeKeepRatio; squashed is that size itself. */
static void resized_size(const Image *image, const PixelLayout *layout, const ImageHint *hint, int *width, int *height)
{
    int target_h = (int)floor(layout->height / hint->crop_pct), target_w = (int)floor(layout->width / hint->crop_pct);
    if (hint->squash) {
        *height = target_h;
        *width = target_w;
    } else if (target_h == target_w) {
        int64_t longer = image->width > image->height ? image->width : image->height, shorter = image->width + image->height - longer;
        int other = (int)((double)(target_h * longer) / (double)shorter);
        *width = image->width <= image->height ? target_h : other;
        *height = image->width <= image->height ? other : target_h;
    } else {
        double ratio_h = (double)image->height / target_h, ratio_w = (double)image->width / target_w, ratio = fmin(ratio_h, ratio_w);
        *height = (int)rint(image->height / ratio);
        *width = (int)rint(image->width / ratio);
    }
    if (*width < 1) *width = 1;
    if (*height < 1) *height = 1;
}

static void write_values(const Image *image, const PixelLayout *layout, const ImageHint *hint, ElementType type, void *out)
{
    for (int y = 0; y < layout->height; y++)
        for (int x = 0; x < layout->width; x++)
            for (int c = 0; c < layout->channels; c++) {
                unsigned char value = image->pixels[((size_t)y * (size_t)layout->width + (size_t)x) * (size_t)layout->channels + (size_t)c];
                int64_t at = y * layout->y + x * layout->x + c * layout->c;
                if (type == TYPE_U8) ((unsigned char *)out)[at] = value;
                else ((float *)out)[at] = ((float)value / 255.0f - (float)hint->mean[c]) / (float)hint->std[c];
            }
}

bool image_to_input(const Image *image, const Port *port, const ImageHint *hint, void *out, Diagnostics *diags)
{
    PixelLayout layout;
    const Tensor *tensor = port->tensor;
    if ((tensor->type != TYPE_F32 && tensor->type != TYPE_U8) || !pixel_layout(tensor, &layout)) {
        diag_error(diags, GM157, port->place, "%s can't be made from a picture: it is no f32 or u8 of [3, H, W], [1, H, W], [H, W, 3], [H, W, 1] or [H, W]", port->name);
        return false;
    }
    Arena *scratch = arena_new();
    Image work = layout.channels == 1 ? image_to_gray(scratch, image) : *image;
    int width, height;
    resized_size(image, &layout, hint, &width, &height);
    bool fits = (int64_t)width * height <= (int64_t)1 << 28;
    if (fits) {
        work = image_resize(scratch, &work, width, height, hint->filter);
        work = image_crop(scratch, &work, layout.width, layout.height);
        write_values(&work, &layout, hint, tensor->type, out);
    } else {
        diag_error(diags, GM151, port->place, "%s: a picture of %d x %d is too narrow to be resized for it", port->name, image->width, image->height);
    }
    arena_free(scratch);
    return fits;
}
