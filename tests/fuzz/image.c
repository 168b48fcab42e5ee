/* libFuzzer entry for pictures: any bytes end in pixels or in an error. */
#include "commands/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *arena = arena_new();
    Image image;
    const char *error;
    if (image_decode(arena, data, size, &image, &error) && (int64_t)image.width * image.height < 1 << 20) image_resize(arena, &image, 17, 23, FILTER_BICUBIC);
    arena_free(arena);
    return 0;
}
