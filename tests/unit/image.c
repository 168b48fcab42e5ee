/* Pictures: bit for bit what Pillow makes of them (images/make.py), and hostile ones end in an error. */
#include "commands/image.h"
#include "support/text.h"
#include "weights/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    Arena *arena;
    Diagnostics *diags;
    Archive *expected;
} Fixture;

static const char *path_of(Arena *arena, const char *name)
{
    const char *slash = strrchr(__FILE__, '/');
    return arena_printf(arena, "%.*simages/%s", slash ? (int)(slash + 1 - __FILE__) : 0, __FILE__, name);
}

static Fixture begin(void)
{
    Fixture f = {.arena = arena_new()};
    f.diags = diagnostics_new(f.arena);
    f.expected = archive_open(f.arena, path_of(f.arena, "expected.npz"), f.diags);
    assert_non_null(f.expected);
    return f;
}

static void end(Fixture *f)
{
    archive_close(f->expected);
    arena_free(f->arena);
}

static Image decode(Fixture *f, const char *name)
{
    char *data;
    size_t size;
    const char *error;
    Image image;
    assert_true(file_read(f->arena, path_of(f->arena, name), &data, &size, &error));
    assert_true(image_recognise((unsigned char *)data, size));
    if (!image_decode(f->arena, (unsigned char *)data, size, &image, &error)) fail_msg("%s: %s", name, error);
    return image;
}

static void assert_pixels(Fixture *f, const char *key, const Image *image)
{
    const ForeignTensor *wanted = archive_find(f->expected, key);
    if (!wanted) fail_msg("no %s", key);
    assert_int_equal(wanted->extents[0], image->height);
    assert_int_equal(wanted->extents[1], image->width);
    int64_t *values = arena_new_array(f->arena, int64_t, wanted->count);
    assert_true(archive_read_integers(f->expected, wanted, values, f->diags));
    for (int64_t i = 0; i < wanted->count; i++)
        if (values[i] != image->pixels[i]) fail_msg("%s: element %lld is %d, Pillow has %lld", key, (long long)i, image->pixels[i], (long long)values[i]);
}

static void test_decode(void **state)
{
    (void)state;
    static const char *const names[] = {"rgb.png", "rgba.png", "gray.png", "gray16.png", "gray_alpha.png", "palette.png", "bits.png", "colour.jpg", "progressive.jpg",
                                        "gray.jpg", "cmyk.jpg", "raw.ppm", "raw.pgm", "plain.ppm"};
    Fixture f = begin();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        Image image = decode(&f, names[i]);
        assert_pixels(&f, arena_printf(f.arena, "%s/rgb", names[i]), &image);
    }
    end(&f);
}

static void test_resize(void **state)
{
    (void)state;
    static const char *const filters[] = {"bicubic", "bilinear", "lanczos", "box", "nearest"};
    static const int sizes[][2] = {{16, 16}, {53, 20}, {70, 37}, {90, 61}, {1, 1}};
    Fixture f = begin();
    Image rgb = decode(&f, "rgb.png");
    for (int filter = 0; filter < 5; filter++)
        for (int s = 0; s < 5; s++) {
            Image image = image_resize(f.arena, &rgb, sizes[s][0], sizes[s][1], (ImageFilter)filter);
            assert_pixels(&f, arena_printf(f.arena, "size/%s/%dx%d", filters[filter], sizes[s][0], sizes[s][1]), &image);
        }
    end(&f);
}

static Port make_port(Arena *arena, ElementType type, int rank, int64_t a, int64_t b, int64_t c)
{
    Module *module = module_new(arena, "test");
    int64_t extents[3] = {a, b, c};
    return (Port){"pixels", tensor_new(module, TENSOR_INPUT, "pixels", type, rank, extents, (Place){0}), NULL, {0}};
}

static void test_input(void **state)
{
    (void)state;
    static const struct {
        int size;
        double crop;
    } cases[] = {{24, 0.875}, {21, 0.9}, {32, 1.0}};
    Fixture f = begin();
    for (int i = 0; i < 6; i++) {
        const char *name = i % 2 ? "colour.jpg" : "rgb.png";
        int size = cases[i / 2].size, count = 3 * size * size;
        Image image = decode(&f, name);
        ImageHint hint = {cases[i / 2].crop, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, FILTER_BICUBIC, false};
        float *out = arena_new_array(f.arena, float, count), *wanted = arena_new_array(f.arena, float, count);
        Port chw = make_port(f.arena, TYPE_F32, 3, 3, size, size), hwc = make_port(f.arena, TYPE_F32, 3, size, size, 3);
        assert_true(image_to_input(&image, &chw, &hint, out, f.diags));
        const char *key = arena_printf(f.arena, i / 2 == 2 ? "input/%s/%d/%.1f" : "input/%s/%d/%g", name, size, cases[i / 2].crop);
        const ForeignTensor *tensor = archive_find(f.expected, key);
        if (!tensor) fail_msg("no %s", key);
        assert_true(archive_read_f32(f.expected, tensor, wanted, f.diags));
        assert_memory_equal(out, wanted, (size_t)count * sizeof(float));
        assert_true(image_to_input(&image, &hwc, &hint, out, f.diags));
        for (int c = 0; c < 3; c++)
            for (int p = 0; p < size * size; p++) assert_true(out[p * 3 + c] == wanted[c * size * size + p]);
    }
    end(&f);
}

/* mode = squash: both sides over crop_pct, then the middle of that. */
static void test_squash(void **state)
{
    (void)state;
    enum { SIZE = 24, COUNT = 3 * SIZE * SIZE };
    Fixture f = begin();
    Image image = decode(&f, "rgb.png");
    ImageHint hint = {0.875, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, FILTER_BICUBIC, true};
    float *out = arena_new_array(f.arena, float, COUNT), *wanted = arena_new_array(f.arena, float, COUNT);
    Port port = make_port(f.arena, TYPE_F32, 3, 3, SIZE, SIZE);
    assert_true(image_to_input(&image, &port, &hint, out, f.diags));
    const ForeignTensor *tensor = archive_find(f.expected, "input/rgb.png/24/squash");
    assert_non_null(tensor);
    assert_true(archive_read_f32(f.expected, tensor, wanted, f.diags));
    assert_memory_equal(out, wanted, COUNT * sizeof(float));
    end(&f);
}

static void test_gray_and_bytes(void **state)
{
    (void)state;
    Fixture f = begin();
    Image image = decode(&f, "gray.png"); /* 11 x 9 */
    ImageHint hint = {1, {0}, {1, 1, 1}, FILTER_BICUBIC, true};
    Port port = make_port(f.arena, TYPE_U8, 2, 9, 11, 1);
    unsigned char out[99];
    assert_true(image_to_input(&image, &port, &hint, out, f.diags));
    for (int i = 0; i < 99; i++) assert_int_equal(out[i], image.pixels[i * 3]);
    Port wrong = make_port(f.arena, TYPE_F32, 3, 4, 9, 11);
    assert_false(image_to_input(&image, &wrong, &hint, out, f.diags));
    Image larger = image_crop(f.arena, &image, 14, 20); /* zeros around it */
    assert_int_equal(larger.pixels[0], 0);
    assert_int_equal(larger.pixels[(5 * 14 + 1) * 3], image.pixels[0]);
    end(&f);
}

/* Every prefix, and many flipped bytes: an answer, never a crash. */
static void test_damaged(void **state)
{
    (void)state;
    static const char *const names[] = {"rgba.png", "palette.png", "bits.png", "gray.jpg", "cmyk.jpg", "raw.ppm", "plain.ppm"};
    Fixture f = begin();
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        char *data;
        size_t size;
        const char *error;
        assert_true(file_read(f.arena, path_of(f.arena, names[n]), &data, &size, &error));
        for (size_t i = 0; i < size; i += size > 1000 ? 7 : 1) {
            Arena *scratch = arena_new();
            Image image;
            unsigned char *exact = malloc(size);
            memcpy(exact, data, size);
            bool cut = image_decode(scratch, exact, i, &image, &error);
            if (cut && i + 4 < size && n != 6) fail_msg("%s decoded from %zu of %zu bytes", names[n], i, size);
            exact[i] ^= (unsigned char)(1 + i % 255);
            image_decode(scratch, exact, size, &image, &error);
            free(exact);
            arena_free(scratch);
        }
    }
    static const char *const bombs[] = {"P6 100000 100000 255\n", "P3 20000 20000 255\n0", "P6 0 5 255\n", "P5 5 5 0\n", "P6", "P6 5 5 255", "P2 -1 5 255 1", "GIF89a"};
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        Image image;
        const char *error;
        assert_false(image_decode(f.arena, (const unsigned char *)bombs[i], strlen(bombs[i]), &image, &error));
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode), cmocka_unit_test(test_resize), cmocka_unit_test(test_input),
                                       cmocka_unit_test(test_squash), cmocka_unit_test(test_gray_and_bytes), cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
