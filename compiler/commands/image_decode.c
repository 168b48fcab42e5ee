/* PNG by libpng, JPEG by libjpeg, PPM and PGM by hand: foreign bytes → 8-bit RGB.
 * 16-bit samples keep their high byte, but those of gray pictures end at 255, as PIL converts them; palettes are looked up, gray is
 * repeated, alpha is dropped, CMYK is taken as Adobe writes it. */
#include "commands/image.h"

#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h> /* needs FILE */

#include <jerror.h>

enum { MAX_PIXELS = 178956970, MAX_SIDE = 1 << 24 };

static bool image_allocate(Arena *arena, uint64_t width, uint64_t height, Image *image, const char **error)
{
    *error = "it has no pixels";
    if (width == 0 || height == 0) return false;
    *error = "it has too many pixels (more than 178,956,970)";
    if (width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS) return false;
    *image = (Image){(int)width, (int)height, 3, arena_alloc_array(arena, width * height, 3)};
    return true;
}

/* --- PNG ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    const unsigned char *at;
    size_t left;
    char message[120];
} PngBytes;

static void png_take(png_structp png, png_bytep out, size_t count)
{
    PngBytes *bytes = png_get_io_ptr(png);
    if (count > bytes->left) png_error(png, "the file is cut short");
    memcpy(out, bytes->at, count);
    bytes->at += count;
    bytes->left -= count;
}

static void png_failed(png_structp png, png_const_charp message)
{
    PngBytes *bytes = png_get_error_ptr(png);
    snprintf(bytes->message, sizeof bytes->message, "%s", message);
    png_longjmp(png, 1);
}

static void png_warned(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void png_make_rgb(png_structp png)
{
    png_set_strip_16(png);
    png_set_palette_to_rgb(png);
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_strip_alpha(png);
    png_set_gray_to_rgb(png);
}

static void clip_gray(const unsigned char *big_endian, Image *image)
{
    size_t count = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < count; i++) memset(image->pixels + 3 * i, big_endian[2 * i] ? 255 : big_endian[2 * i + 1], 3);
}

static bool decode_png(Arena *arena, const unsigned char *data, size_t size, Image *image, const char **error)
{
    PngBytes *bytes = arena_new_object(arena, PngBytes);
    *bytes = (PngBytes){data, size, ""};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, bytes, png_failed, png_warned);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    *error = "out of memory";
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return false;
    }
    *error = NULL;
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        *error = *bytes->message ? bytes->message : "it is damaged";
        return false;
    }
    png_set_user_limits(png, MAX_SIDE, MAX_SIDE);
    png_set_read_fn(png, bytes, png_take);
    png_read_info(png, info);
    /* Deflate packs at most 1:1032, so a header can't promise more than the file could hold. */
    if ((uint64_t)png_get_rowbytes(png, info) * png_get_image_height(png, info) / 1040 > size) png_error(png, "the file is cut short");
    if (!image_allocate(arena, png_get_image_width(png, info), png_get_image_height(png, info), image, error)) {
        png_destroy_read_struct(&png, &info, NULL);
        return false;
    }
    bool wide = png_get_color_type(png, info) == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) == 16;
    if (!wide) png_make_rgb(png);
    size_t row = (size_t)image->width * (wide ? 2 : 3);
    unsigned char *rows = wide ? arena_alloc_array(arena, (size_t)image->height, row) : image->pixels;
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != row) png_error(png, "an unusual colour type");
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < image->height; y++) png_read_row(png, rows + (size_t)y * row, NULL);
    png_read_end(png, NULL);
    if (wide) clip_gray(rows, image);
    png_destroy_read_struct(&png, &info, NULL);
    return true;
}

/* --- JPEG --------------------------------------------------------------------------------------------------------- */

typedef struct {
    struct jpeg_error_mgr base; /* first, so that libjpeg's pointer is ours */
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
} JpegErrors;

static void jpeg_failed(j_common_ptr jpeg)
{
    JpegErrors *errors = (JpegErrors *)jpeg->err;
    errors->base.format_message(jpeg, errors->message);
    longjmp(errors->escape, 1);
}

/* A damaged picture is decoded as far as it goes, as PIL does; one that is cut short is an error. */
static void jpeg_warned(j_common_ptr jpeg, int level)
{
    if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF) jpeg_failed(jpeg);
}

static unsigned char multiply(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;
    return (unsigned char)(((t >> 8) + t) >> 8);
}

/* One row of samples as libjpeg gives them → RGB. */
static void convert_row(const unsigned char *from, int components, int width, unsigned char *to)
{
    for (int x = 0; x < width; x++, from += components, to += 3) {
        if (components == 4) { /* Adobe stores CMYK inverted: 255 - c is what stands in the file */
            unsigned keep = from[3];
            for (int c = 0; c < 3; c++) to[c] = (unsigned char)(keep - multiply(255u - from[c], keep));
        } else {
            for (int c = 0; c < 3; c++) to[c] = from[components == 3 ? c : 0];
        }
    }
}

static bool decode_jpeg(Arena *arena, const unsigned char *data, size_t size, Image *image, const char **error)
{
    struct jpeg_decompress_struct jpeg;
    JpegErrors *errors = arena_new_object(arena, JpegErrors);
    jpeg.err = jpeg_std_error(&errors->base);
    errors->base.error_exit = jpeg_failed;
    errors->base.emit_message = jpeg_warned;
    if (setjmp(errors->escape)) {
        jpeg_destroy_decompress(&jpeg);
        *error = *errors->message ? errors->message : "it is damaged";
        return false;
    }
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, data, (unsigned long)size);
    jpeg_read_header(&jpeg, TRUE);
    *error = "the file is cut short"; /* even a blank picture takes more than a bit for an 8 x 8 block of its luminance */
    bool plausible = (uint64_t)jpeg.image_width * jpeg.image_height / 4096 <= size;
    if (!plausible || !image_allocate(arena, jpeg.image_width, jpeg.image_height, image, error)) {
        jpeg_destroy_decompress(&jpeg);
        return false;
    }
    bool cmyk = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
    jpeg.out_color_space = cmyk ? JCS_CMYK : jpeg.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&jpeg);
    unsigned char *row = arena_alloc_array(arena, (size_t)jpeg.output_width, (size_t)jpeg.output_components);
    for (int y = 0; y < image->height; y++) {
        jpeg_read_scanlines(&jpeg, &row, 1);
        convert_row(row, jpeg.output_components, image->width, image->pixels + (size_t)y * (size_t)image->width * 3);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    return true;
}

/* --- PPM, PGM ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const unsigned char *at, *end;
} Bytes;

static bool is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool take_number(Bytes *bytes, unsigned *number)
{
    while (bytes->at < bytes->end && (is_space(*bytes->at) || *bytes->at == '#')) {
        if (*bytes->at == '#')
            while (bytes->at < bytes->end && *bytes->at != '\n') bytes->at++;
        else bytes->at++;
    }
    *number = 0;
    const unsigned char *begin = bytes->at;
    while (bytes->at < bytes->end && *bytes->at >= '0' && *bytes->at <= '9' && *number < 100000000) *number = *number * 10 + (*bytes->at++ - '0');
    return bytes->at > begin && *number < 100000000;
}

static bool take_sample(Bytes *bytes, bool plain, unsigned largest, unsigned *sample)
{
    if (plain) return take_number(bytes, sample) && *sample <= largest;
    size_t size = largest > 255 ? 2 : 1;
    if ((size_t)(bytes->end - bytes->at) < size) return false;
    *sample = size == 2 ? (unsigned)bytes->at[0] << 8 | bytes->at[1] : bytes->at[0];
    bytes->at += size;
    return true;
}

static bool decode_ppm(Arena *arena, const unsigned char *data, size_t size, Image *image, const char **error)
{
    Bytes bytes = {data + 2, data + size};
    bool plain = data[1] == '2' || data[1] == '3', colour = data[1] == '3' || data[1] == '6';
    unsigned width, height, largest;
    *error = "its header is malformed";
    if (!take_number(&bytes, &width) || !take_number(&bytes, &height) || !take_number(&bytes, &largest) || largest < 1 || largest > 65535) return false;
    if (bytes.at >= bytes.end || !is_space(*bytes.at++)) return false;
    *error = "the file is cut short";
    uint64_t least = (uint64_t)width * height * (colour ? 3 : 1) * (!plain && largest > 255 ? 2 : 1);
    if ((uint64_t)(bytes.end - bytes.at) < least) return false;
    if (!image_allocate(arena, width, height, image, error)) return false;
    *error = "it is cut short, or a sample is too large";
    int64_t count = (int64_t)width * height;
    for (int64_t i = 0; i < count; i++)
        for (int c = 0; c < 3; c++) {
            unsigned sample;
            if (c && !colour) {
                image->pixels[i * 3 + c] = image->pixels[i * 3];
                continue;
            }
            if (!take_sample(&bytes, plain, largest, &sample)) return false;
            double scaled = rint((double)sample / largest * 255);
            image->pixels[i * 3 + c] = (unsigned char)(scaled > 255 ? 255 : scaled);
        }
    return true;
}

/* --- which -------------------------------------------------------------------------------------------------------- */

typedef enum { PICTURE_NONE, PICTURE_PNG, PICTURE_JPEG, PICTURE_PPM } PictureKind;

static PictureKind picture_kind(const unsigned char *data, size_t size)
{
    if (size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0) return PICTURE_PNG;
    if (size >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0) return PICTURE_JPEG;
    if (size >= 3 && data[0] == 'P' && data[1] && strchr("2356", data[1]) && (is_space(data[2]) || data[2] == '#')) return PICTURE_PPM;
    return PICTURE_NONE;
}

bool image_recognise(const unsigned char *data, size_t size)
{
    return picture_kind(data, size) != PICTURE_NONE;
}

bool image_decode(Arena *arena, const unsigned char *data, size_t size, Image *image, const char **error)
{
    switch (picture_kind(data, size)) {
    case PICTURE_PNG: return decode_png(arena, data, size, image, error);
    case PICTURE_JPEG: return decode_jpeg(arena, data, size, image, error);
    case PICTURE_PPM: return decode_ppm(arena, data, size, image, error);
    case PICTURE_NONE: break;
    }
    *error = "it is no PNG, JPEG, PPM or PGM";
    return false;
}
