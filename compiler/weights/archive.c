/* Opening checkpoints and reading values out of them.
 * In: a path.  Out: an Archive; on demand a tensor's values in f32, f64 or int64, row-major.
 * The formats themselves are in safetensors.c and npz.c. */
#include "weights/archive.h"

#include "weights/formats.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const ForeignTypeInfo foreign_type_table[FOREIGN_TYPE_COUNT] = {
#define FOREIGN_TYPE(enumerator, name, npy, bits, class) {name, npy, bits, FOREIGN_##class},
#include "weights/foreign_types.def"
};

bool foreign_type_find(const char *name, ForeignType *type)
{
    for (int i = 0; i < FOREIGN_TYPE_COUNT; i++) {
        if (strcmp(foreign_type_table[i].name, name) != 0) continue;
        *type = (ForeignType)i;
        return true;
    }
    return false;
}

const char *extents_string(Arena *arena, int rank, const int64_t *extents)
{
    Text text = text_new(arena);
    text_add(&text, "[");
    for (int i = 0; i < rank; i++) text_printf(&text, "%s%lld", i ? ", " : "", (long long)extents[i]);
    text_add(&text, "]");
    return text_string(&text);
}

bool foreign_tensor_measure(ForeignTensor *tensor)
{
    int64_t count = 1;
    /* Extents after a zero may still overflow: the reference reader multiplies from the left, so does this. */
    for (int i = 0; i < tensor->rank; i++)
        if (__builtin_mul_overflow(count, tensor->extents[i], &count)) return false;
    uint64_t bits;
    if (__builtin_mul_overflow((uint64_t)count, (uint64_t)foreign_type_table[tensor->type].bits, &bits) || bits % 8) return false;
    tensor->count = count;
    tensor->bytes = bits / 8;
    return true;
}

bool archive_add(Archive *archive, ForeignTensor *tensor, Diagnostics *diags)
{
    if (map_get(&archive->names, tensor->name)) {
        diag_error(diags, GM121, (Place){0}, "%s: two tensors are named \"%s\"", tensor->file->path, tensor->name);
        return false;
    }
    map_put(archive->arena, &archive->names, tensor->name, tensor);
    list_push(archive->arena, &archive->tensors, tensor);
    return true;
}

ForeignTensor *archive_find(const Archive *archive, const char *name)
{
    return map_get(&archive->names, name);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

bool foreign_file_map(Arena *arena, const char *path, ForeignFile **result, Diagnostics *diags)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    const char *problem = NULL;
    if (descriptor < 0 || fstat(descriptor, &status) < 0) problem = strerror(errno);
    else if (!S_ISREG(status.st_mode)) problem = "not a regular file";
    else if (status.st_size == 0) problem = "the file is empty";
    void *data = NULL;
    if (!problem) {
        data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (data == MAP_FAILED) problem = strerror(errno);
    }
    if (descriptor >= 0) close(descriptor);
    if (problem) {
        diag_error(diags, GM120, (Place){0}, "%s: %s", path, problem);
        return false;
    }
    ForeignFile *file = arena_new_object(arena, ForeignFile);
    *file = (ForeignFile){arena_strdup(arena, path), data, (size_t)status.st_size, true, NULL};
    *result = file;
    return true;
}

static bool begins(const ForeignFile *file, const char *magic, size_t length)
{
    return file->size >= length && memcmp(file->data, magic, length) == 0;
}

static bool refuse_pickle(const ForeignFile *file, Diagnostics *diags)
{
    Diagnostic *diag = diag_error(diags, GM123, (Place){0}, "%s is a pickled checkpoint: reading it would run the program inside it", file->path);
    diag_help(diag, "convert it once with Python:\n"
                    "    import torch, safetensors.torch as s; d = torch.load(\"%s\", map_location=\"cpu\", weights_only=True); d = d.get(\"model\", d.get(\"state_dict\", d))\n"
                    "    s.save_file({k: v.clone().contiguous() for k, v in d.items() if torch.is_tensor(v)}, \"model.safetensors\")",
              file->path);
    return false;
}

/* A zip is recognised as torch's by its pickle; a name is enough here, npz_read checks the rest. */
static bool zip_holds_pickle(const ForeignFile *file)
{
    return memmem(file->data, file->size < 65536 ? file->size : 65536, "/data.pkl", 9) != NULL;
}

static const char *base_name(Arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return arena_strndup(arena, name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

/* Chosen by content, not by name: a name lies more often. */
static bool read_file(Archive *archive, ForeignFile *file, bool may_be_index, Diagnostics *diags)
{
    list_push(archive->arena, &archive->files, file);
    if (begins(file, "PK\3\4", 4) || begins(file, "PK\5\6", 4)) {
        if (zip_holds_pickle(file)) return refuse_pickle(file, diags);
        return npz_read(archive, file, diags);
    }
    if (begins(file, "\x93NUMPY", 6)) return npy_read(archive, file, base_name(archive->arena, file->path), diags);
    bool header_fits = file->size > 8 && file->data[8] == '{';
    if (!header_fits && (begins(file, "\x80\2", 2) || begins(file, "\x80\3", 2) || begins(file, "\x80\4", 2) || begins(file, "\x80\5", 2)))
        return refuse_pickle(file, diags);
    if (may_be_index && !header_fits && (begins(file, "{", 1) || text_ends_with(file->path, ".json"))) return shards_read(archive, file, diags);
    const char *kind = begins(file, "\x89HDF\r\n", 6)          ? "an HDF5 file (Keras)"
                       : begins(file, "GGUF", 4)                ? "a GGUF file"
                       : begins(file, "version https://git-lfs", 23) ? "a Git LFS pointer, not the file itself: fetch it with `git lfs pull`"
                                                                : NULL;
    if (kind) {
        Diagnostic *diag = diag_error(diags, GM120, (Place){0}, "%s is %s", file->path, kind);
        diag_help(diag, "gmlpc reads .safetensors (also sharded), .npz and .npy");
        return false;
    }
    return safetensors_read(archive, file, diags);
}

static Archive *archive_new(Arena *arena, const char *path)
{
    Archive *archive = arena_new_object(arena, Archive);
    archive->arena = arena;
    archive->path = arena_strdup(arena, path);
    return archive;
}

/* A directory stands for the one checkpoint in it. */
static const char *resolve_directory(Arena *arena, const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) return path;
    const char *index = arena_printf(arena, "%s/model.safetensors.index.json", path);
    if (access(index, R_OK) == 0) return index;
    return arena_printf(arena, "%s/model.safetensors", path);
}

Archive *archive_open(Arena *arena, const char *path, Diagnostics *diags)
{
    Archive *archive = archive_new(arena, path);
    ForeignFile *file;
    const char *resolved = resolve_directory(arena, path);
    if (resolved != path && access(resolved, F_OK) != 0) {
        diag_error(diags, GM120, (Place){0}, "%s is a directory without model.safetensors and model.safetensors.index.json", path);
        return NULL;
    }
    if (!foreign_file_map(arena, resolved, &file, diags)) return NULL;
    if (read_file(archive, file, true, diags)) return archive;
    archive_close(archive);
    return NULL;
}

Archive *archive_open_bytes(Arena *arena, const char *name, const void *data, size_t size, Diagnostics *diags)
{
    Archive *archive = archive_new(arena, name);
    ForeignFile *file = arena_new_object(arena, ForeignFile);
    *file = (ForeignFile){archive->path, data, size, false, NULL};
    if (read_file(archive, file, false, diags)) return archive;
    archive_close(archive);
    return NULL;
}

void archive_close(Archive *archive)
{
    if (!archive) return;
    for (int i = 0; i < archive->files.count; i++) {
        ForeignFile *file = archive->files.data[i];
        npz_close(file);
        if (file->mapped) munmap((void *)file->data, file->size);
        file->mapped = false;
        file->data = NULL;
        file->size = 0;
    }
    archive->files.count = 0;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static uint64_t load(const unsigned char *bytes, int size, bool big_endian)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value |= (uint64_t)bytes[big_endian ? size - 1 - i : i] << (8 * i);
    return value;
}

static float f32_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float f32_of_f16(uint32_t half)
{
    uint32_t sign = (half & 0x8000u) << 16, exponent = (half >> 10) & 31, fraction = half & 1023;
    if (exponent == 31) return f32_of_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent) return f32_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f;
    return sign ? -small : small;
}

static double real_of_bits(ForeignType type, uint64_t bits)
{
    if (type == FOREIGN_F32) return f32_of_bits((uint32_t)bits);
    if (type == FOREIGN_F16) return f32_of_f16((uint32_t)bits);
    if (type == FOREIGN_BF16) return f32_of_bits((uint32_t)bits << 16);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int64_t integer_of_bits(ForeignType type, uint64_t bits)
{
    int size = foreign_type_table[type].bits;
    bool is_signed = type == FOREIGN_I8 || type == FOREIGN_I16 || type == FOREIGN_I32;
    if (is_signed && bits >> (size - 1) & 1) bits |= ~UINT64_C(0) << size;
    return (int64_t)bits;
}

typedef enum { AS_F32, AS_F64, AS_INTEGER } Wanted;

static void store(const ForeignTensor *tensor, Wanted wanted, void *out, int64_t at, uint64_t bits)
{
    if (wanted == AS_INTEGER) {
        ((int64_t *)out)[at] = integer_of_bits(tensor->type, bits);
        return;
    }
    double value;
    if (foreign_type_table[tensor->type].class == FOREIGN_REAL) value = real_of_bits(tensor->type, bits);
    else if (tensor->type == FOREIGN_U64) value = (double)bits;
    else value = (double)integer_of_bits(tensor->type, bits);
    if (wanted == AS_F32) ((float *)out)[at] = (float)value;
    else ((double *)out)[at] = value;
}

/* The data lie in column-major order: walks them in that order and writes row-major. */
static void convert_fortran(const ForeignTensor *tensor, const unsigned char *data, Wanted wanted, void *out)
{
    int size = foreign_type_table[tensor->type].bits / 8;
    int64_t strides[FOREIGN_MAX_RANK], at[FOREIGN_MAX_RANK] = {0}, position = 0, stride = 1;
    for (int d = tensor->rank - 1; d >= 0; d--) {
        strides[d] = stride;
        stride *= tensor->extents[d];
    }
    for (int64_t i = 0; i < tensor->count; i++) {
        store(tensor, wanted, out, position, load(data + i * size, size, tensor->big_endian));
        for (int d = 0; d < tensor->rank; d++) {
            position += strides[d];
            if (++at[d] < tensor->extents[d]) break;
            position -= at[d] * strides[d];
            at[d] = 0;
        }
    }
}

static void convert(const ForeignTensor *tensor, const unsigned char *data, Wanted wanted, void *out)
{
    int size = foreign_type_table[tensor->type].bits / 8;
    if (tensor->fortran && tensor->rank > 1) {
        convert_fortran(tensor, data, wanted, out);
    } else if (tensor->type == FOREIGN_F32 && wanted == AS_F32 && !tensor->big_endian && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
        memcpy(out, data, tensor->bytes);
    } else {
        for (int64_t i = 0; i < tensor->count; i++) store(tensor, wanted, out, i, load(data + i * size, size, tensor->big_endian));
    }
}

/* `0xff` as a flag, or a u64 that no int64 holds. */
static bool check_integers(const ForeignTensor *tensor, const int64_t *values, Diagnostics *diags)
{
    if (tensor->type != FOREIGN_U64 && tensor->type != FOREIGN_BOOL) return true;
    for (int64_t i = 0; i < tensor->count; i++) {
        if (values[i] >= 0 && (tensor->type != FOREIGN_BOOL || values[i] <= 1)) continue;
        diag_error(diags, GM124, (Place){0}, "%s: \"%s\" holds %llu at element %lld, which is no %s", tensor->file->path, tensor->name,
                   (unsigned long long)values[i], (long long)i, tensor->type == FOREIGN_BOOL ? "flag" : "64-bit signed integer");
        return false;
    }
    return true;
}

static bool read_values(Archive *archive, const ForeignTensor *tensor, Wanted wanted, void *out, Diagnostics *diags)
{
    (void)archive;
    const ForeignTypeInfo *info = &foreign_type_table[tensor->type];
    if (info->class == FOREIGN_OPAQUE || (wanted == AS_INTEGER && info->class != FOREIGN_INTEGER)) {
        Diagnostic *diag = diag_error(diags, GM124, (Place){0}, "%s: \"%s\" has element type %s, which can't be read%s", tensor->file->path,
                                      tensor->name, info->name, info->class == FOREIGN_OPAQUE ? "" : " as integers");
        if (info->class == FOREIGN_OPAQUE) diag_help(diag, "convert it to F32, F16 or BF16 first");
        return false;
    }
    if (tensor->count == 0) return true;
    if (tensor->member < 0) {
        convert(tensor, tensor->file->data + tensor->offset, wanted, out);
    } else {
        bool direct = wanted == AS_F32 && tensor->type == FOREIGN_F32;
        Arena *scratch = arena_new();
        unsigned char *bytes = direct && !tensor->fortran && !tensor->big_endian ? out : arena_alloc(scratch, tensor->bytes);
        bool read = npz_member_bytes(tensor, bytes, diags);
        if (read && bytes != out) convert(tensor, bytes, wanted, out);
        arena_free(scratch);
        if (!read) return false;
    }
    return wanted != AS_INTEGER || check_integers(tensor, out, diags);
}

bool archive_read_f32(Archive *archive, const ForeignTensor *tensor, float *out, Diagnostics *diags)
{
    return read_values(archive, tensor, AS_F32, out, diags);
}

bool archive_read_f64(Archive *archive, const ForeignTensor *tensor, double *out, Diagnostics *diags)
{
    return read_values(archive, tensor, AS_F64, out, diags);
}

bool archive_read_integers(Archive *archive, const ForeignTensor *tensor, int64_t *out, Diagnostics *diags)
{
    return read_values(archive, tensor, AS_INTEGER, out, diags);
}
