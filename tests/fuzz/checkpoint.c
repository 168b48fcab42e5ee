/* libFuzzer entry for the readers of checkpoints: any bytes end in values or in an error.
 *   clang -fsanitize=fuzzer,address,undefined … */
#include "weights/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    Archive *archive = archive_open_bytes(arena, "fuzz", data, size, diags);
    for (int i = 0; archive && i < archive->tensors.count; i++) {
        const ForeignTensor *tensor = archive->tensors.data[i];
        if (tensor->count > 1 << 20) continue;
        archive_read_f32(archive, tensor, arena_new_array(arena, float, tensor->count), diags);
        archive_read_integers(archive, tensor, arena_new_array(arena, int64_t, tensor->count), diags);
    }
    archive_close(archive);
    arena_free(arena);
    return 0;
}
