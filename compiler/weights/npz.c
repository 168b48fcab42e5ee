/* numpy's formats: .npy (versions 1 to 3) and .npz, a zip of them, stored or deflated.
 * In: a mapped file.  Out: its tensors in the archive; a member's bytes when asked for.
 * Nothing is allocated from a header's word alone: it must agree with the member's size, and that with the bytes in the file. */
#include "weights/formats.h"

#include <string.h>
#include <zip.h>

enum { MAX_NPY_HEADER = 65536, LARGEST_DEFLATE_RATIO = 1040 };

/* --- .npy --------------------------------------------------------------------------------------------------------- */

/* The header is a Python dict literal: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } */
typedef struct {
    const char *at, *end;
} Cursor;

static void skip_space(Cursor *cursor)
{
    while (cursor->at < cursor->end && strchr(" \t\n\r", *cursor->at) && *cursor->at) cursor->at++;
}

static bool take(Cursor *cursor, const char *word)
{
    skip_space(cursor);
    size_t length = strlen(word);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0) return false;
    cursor->at += length;
    return true;
}

static bool take_string(Cursor *cursor, char *out, size_t room)
{
    skip_space(cursor);
    if (cursor->at >= cursor->end || (*cursor->at != '\'' && *cursor->at != '"')) return false;
    char quote = *cursor->at++;
    size_t length = 0;
    while (cursor->at < cursor->end && *cursor->at != quote) {
        if (*cursor->at == '\\' || length + 1 >= room) return false;
        out[length++] = *cursor->at++;
    }
    out[length] = 0;
    return take(cursor, quote == '"' ? "\"" : "'");
}

static bool take_number(Cursor *cursor, int64_t *number)
{
    skip_space(cursor);
    const char *begin = cursor->at;
    *number = 0;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9')
        if (__builtin_mul_overflow(*number, 10, number) || __builtin_add_overflow(*number, *cursor->at++ - '0', number)) return false;
    return cursor->at > begin;
}

static bool take_shape(Cursor *cursor, int64_t *extents, int *rank)
{
    *rank = 0;
    if (!take(cursor, "(")) return false;
    while (!take(cursor, ")")) {
        if (*rank == FOREIGN_MAX_RANK || !take_number(cursor, &extents[(*rank)++])) return false;
        take(cursor, "L"); /* Python 2 wrote 3L */
        if (take(cursor, ",")) continue;
        if (*rank == 1) return false; /* (3) is a number, not a tuple */
        return take(cursor, ")");
    }
    return true;
}

static const char *parse_descr(const char *descr, ForeignTensor *tensor)
{
    if (descr[0] == 'O' || (descr[0] && descr[1] == 'O')) return "holds Python objects (dtype object): reading it would run a pickle; save plain arrays instead";
    if (!strchr("<>|=", descr[0]) || !descr[0]) return "has a dtype without byte order";
    bool one_byte = descr[1] && descr[2] == '1' && !descr[3];
    tensor->big_endian = descr[0] == '>';
    for (int i = 0; i < FOREIGN_TYPE_COUNT; i++) {
        const ForeignTypeInfo *info = &foreign_type_table[i];
        if (!*info->npy || strcmp(info->npy, descr + 1) != 0) continue;
        if (descr[0] == '|' && !one_byte && i != FOREIGN_BF16) return "has a dtype of several bytes without byte order";
        tensor->type = (ForeignType)i;
        return NULL;
    }
    return "has a dtype that is neither a number of at most 64 bits nor a flag";
}

static const char *parse_dict(Cursor *cursor, ForeignTensor *tensor, int64_t *extents)
{
    bool seen[3] = {false, false, false};
    if (!take(cursor, "{")) return "has a header that is no dict";
    while (!take(cursor, "}")) {
        char key[32], descr[32];
        if (!take_string(cursor, key, sizeof key) || !take(cursor, ":")) return "has a malformed header";
        int which = strcmp(key, "descr") == 0 ? 0 : strcmp(key, "fortran_order") == 0 ? 1 : strcmp(key, "shape") == 0 ? 2 : -1;
        if (which < 0 || seen[which]) return "has a header with a wrong or repeated key";
        seen[which] = true;
        if (which == 0) {
            if (take(cursor, "[")) return "is a structured array";
            if (!take_string(cursor, descr, sizeof descr)) return "has a malformed dtype";
            const char *problem = parse_descr(descr, tensor);
            if (problem) return problem;
        } else if (which == 1) {
            tensor->fortran = take(cursor, "True");
            if (!tensor->fortran && !take(cursor, "False")) return "has a malformed fortran_order";
        } else if (!take_shape(cursor, extents, &tensor->rank)) {
            return "has a malformed shape";
        }
        if (take(cursor, ",")) continue;
        if (take(cursor, "}")) break;
        return "has a malformed header";
    }
    skip_space(cursor);
    if (cursor->at != cursor->end) return "has bytes after its header's dict";
    return seen[0] && seen[1] && seen[2] ? NULL : "has a header without descr, fortran_order or shape";
}

bool npy_header(Arena *arena, const unsigned char *data, size_t have, uint64_t size, ForeignTensor *tensor, const char **problem)
{
    *problem = "is no .npy file";
    if (have < 10 || memcmp(data, "\x93NUMPY", 6) != 0) return false;
    int version = data[6];
    *problem = "has an unknown .npy version";
    if (version < 1 || version > 3 || data[7] != 0) return false;
    size_t begin = version == 1 ? 10 : 12;
    *problem = "is cut short";
    if (have < begin) return false;
    uint64_t length = data[8] | (uint64_t)data[9] << 8;
    if (version > 1) length |= (uint64_t)data[10] << 16 | (uint64_t)data[11] << 24;
    *problem = "has a header of more than 65,536 bytes";
    if (length > MAX_NPY_HEADER) return false;
    *problem = "is cut short";
    if (length > have - begin) return false;
    int64_t extents[FOREIGN_MAX_RANK];
    Cursor cursor = {(const char *)data + begin, (const char *)data + begin + length};
    *problem = parse_dict(&cursor, tensor, extents);
    if (*problem) return false;
    int64_t *copy = arena_new_array(arena, int64_t, tensor->rank + 1);
    memcpy(copy, extents, (size_t)tensor->rank * sizeof *copy);
    tensor->extents = copy;
    *problem = "has a shape whose size overflows";
    if (!foreign_tensor_measure(tensor)) return false;
    tensor->offset = begin + length;
    if (tensor->bytes == size - tensor->offset) return true;
    *problem = arena_printf(arena, "declares %llu bytes of data and has %llu", (unsigned long long)tensor->bytes,
                            (unsigned long long)(size - tensor->offset));
    return false;
}

static bool malformed(const ForeignFile *file, Diagnostics *diags, const char *member, const char *problem)
{
    if (member) diag_error(diags, GM122, (Place){0}, "%s: member \"%s\" %s", file->path, member, problem);
    else diag_error(diags, GM122, (Place){0}, "%s %s", file->path, problem);
    return false;
}

bool npy_read(Archive *archive, ForeignFile *file, const char *name, Diagnostics *diags)
{
    ForeignTensor *tensor = arena_new_object(archive->arena, ForeignTensor);
    tensor->name = name;
    tensor->file = file;
    tensor->member = -1;
    const char *problem;
    if (!npy_header(archive->arena, file->data, file->size, file->size, tensor, &problem)) return malformed(file, diags, NULL, problem);
    return archive_add(archive, tensor, diags);
}

/* --- .npz --------------------------------------------------------------------------------------------------------- */

/* Reads exactly `size` bytes. */
static bool read_exactly(zip_file_t *member, void *out, uint64_t size)
{
    unsigned char *at = out;
    while (size) {
        zip_int64_t got = zip_fread(member, at, size < (1u << 30) ? size : (1u << 30));
        if (got <= 0) return false;
        at += got;
        size -= (uint64_t)got;
    }
    return true;
}

static bool read_member(Archive *archive, ForeignFile *file, zip_uint64_t i, Diagnostics *diags)
{
    zip_stat_t status;
    const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(file->zip, i, 0, &status) != 0 || (status.valid & needed) != needed)
        return malformed(file, diags, NULL, "has a directory that can't be read");
    size_t length = strlen(status.name);
    if (length < 4 || strcmp(status.name + length - 4, ".npy") != 0) return true; /* not an array: numpy leaves it alone too */
    const char *name = arena_strdup(archive->arena, status.name);
    if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE)
        return malformed(file, diags, name, "is packed by another method than deflate");
    if (status.comp_size > file->size || status.size / LARGEST_DEFLATE_RATIO > status.comp_size
        || (status.comp_method == ZIP_CM_STORE && status.size != status.comp_size))
        return malformed(file, diags, name, "claims a size that its packed bytes can't have");

    zip_file_t *member = zip_fopen_index(file->zip, i, 0);
    if (!member) return malformed(file, diags, name, zip_strerror(file->zip));
    Arena *scratch = arena_new();
    size_t have = status.size < MAX_NPY_HEADER + 12 ? status.size : MAX_NPY_HEADER + 12;
    unsigned char *head = arena_alloc(scratch, have + 1);
    /* Most headers are 128 bytes: don't unpack 64 KiB of each member for that. */
    size_t first = have < 128 ? have : 128;
    ForeignTensor *tensor = arena_new_object(archive->arena, ForeignTensor);
    const char *problem = "is damaged";
    bool good = read_exactly(member, head, first);
    bool parsed = good && npy_header(archive->arena, head, first, status.size, tensor, &problem);
    if (good && !parsed && have > first && read_exactly(member, head + first, have - first)) {
        memset(tensor, 0, sizeof *tensor);
        parsed = npy_header(archive->arena, head, have, status.size, tensor, &problem);
    }
    zip_fclose(member);
    arena_free(scratch);
    if (!parsed) return malformed(file, diags, name, problem);
    tensor->name = arena_strndup(archive->arena, name, length - 4);
    tensor->file = file;
    tensor->member = (int64_t)i;
    return archive_add(archive, tensor, diags);
}

bool npz_read(Archive *archive, ForeignFile *file, Diagnostics *diags)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(file->data, file->size, 0, &error);
    file->zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (!file->zip) {
        malformed(file, diags, NULL, arena_printf(diags->arena, "is no readable zip file: %s", zip_error_strerror(&error)));
        if (source) zip_source_free(source);
        zip_error_fini(&error);
        return false;
    }
    zip_error_fini(&error);
    zip_int64_t count = zip_get_num_entries(file->zip, 0);
    for (zip_int64_t i = 0; i < count; i++)
        if (!read_member(archive, file, (zip_uint64_t)i, diags)) return false;
    if (archive->tensors.count == 0) return malformed(file, diags, NULL, "holds no .npy member: it is no .npz file");
    return true;
}

bool npz_member_bytes(const ForeignTensor *tensor, void *out, Diagnostics *diags)
{
    const ForeignFile *file = tensor->file;
    zip_file_t *member = zip_fopen_index(file->zip, (zip_uint64_t)tensor->member, 0);
    if (!member) return malformed(file, diags, tensor->name, zip_strerror(file->zip));
    unsigned char skipped[512], last;
    bool good = true;
    for (uint64_t left = tensor->offset; good && left;) {
        uint64_t part = left < sizeof skipped ? left : sizeof skipped;
        good = read_exactly(member, skipped, part);
        left -= part;
    }
    good = good && read_exactly(member, out, tensor->bytes);
    good = good && zip_fread(member, &last, 1) == 0; /* reaching the end checks the CRC */
    zip_fclose(member);
    return good || malformed(file, diags, tensor->name, "is damaged: its contents or checksum are wrong");
}

void npz_close(ForeignFile *file)
{
    if (file->zip) zip_discard(file->zip);
    file->zip = NULL;
}
