/* The safetensors format: u64 header length, a JSON header, the data. As strict as the reference reader:
 * the header is at most 100,000,000 bytes and begins with '{', keys are unique, the tensors tile the data exactly.
 * In: a mapped file.  Out: its tensors in the archive; for an index, those of its shards. */
#include "weights/formats.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER_BYTES = 100000000, MAX_MEMBERS = 4000000 };

const char *json_prescan(const char *text, size_t length, int max_depth)
{
    int depth = 0, members = 0;
    int64_t items[16] = {0};
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\') i++;
            else if (c == '"') quoted = false;
            continue;
        }
        switch (c) {
        case '"':
            quoted = true;
            break;
        case '{':
        case '[':
            if (++depth > max_depth) return "its JSON is nested too deeply";
            items[depth] = c == '[' ? 0 : INT64_MIN;
            break;
        case '}':
        case ']':
            if (--depth < 0) return "its JSON has a stray bracket";
            break;
        case ',':
            if (++items[depth] > FOREIGN_MAX_RANK) return "an array in its JSON is too long";
            if (depth == 0) return "its JSON has a stray comma";
            break;
        case ':':
            if (++members > MAX_MEMBERS) return "its JSON has too many members";
            break;
        default:
            break;
        }
    }
    return depth ? "its JSON is not closed" : NULL;
}

static bool malformed(const ForeignFile *file, Diagnostics *diags, const char *problem)
{
    diag_error(diags, GM121, (Place){0}, "%s is no safetensors file: %s", file->path, problem);
    return false;
}

/* Nothing that a writer of safetensors begins with. */
static bool other_format(const ForeignFile *file, Diagnostics *diags)
{
    Diagnostic *diag = diag_error(diags, GM121, (Place){0}, "%s is no safetensors file: it does not begin with a header's length and '{'", file->path);
    diag_help(diag, "gmlpc reads .safetensors (also sharded), .npz and .npy");
    return false;
}

static bool malformed_tensor(const ForeignFile *file, Diagnostics *diags, const char *name, const char *problem)
{
    diag_error(diags, GM121, (Place){0}, "%s: tensor \"%s\" %s", file->path, name, problem);
    return false;
}

static bool whole_numbers(const json_t *array, int64_t *out)
{
    size_t i;
    const json_t *item;
    json_array_foreach(array, i, item)
    {
        if (!json_is_integer(item) || json_integer_value(item) < 0) return false;
        out[i] = json_integer_value(item);
    }
    return true;
}

static bool read_entry(Archive *archive, ForeignFile *file, const char *key, const json_t *entry, uint64_t data_begin, Diagnostics *diags)
{
    const json_t *type = json_object_get(entry, "dtype"), *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (!json_is_string(type) || !json_is_array(shape) || !json_is_array(offsets) || json_array_size(offsets) != 2)
        return malformed_tensor(file, diags, key, "has no dtype, shape and data_offsets");
    ForeignTensor *tensor = arena_new_object(archive->arena, ForeignTensor);
    tensor->name = arena_strdup(archive->arena, key);
    tensor->file = file;
    tensor->member = -1;
    if (!foreign_type_find(json_string_value(type), &tensor->type)) return malformed_tensor(file, diags, key, "has an unknown dtype");
    if (json_array_size(shape) > FOREIGN_MAX_RANK) return malformed_tensor(file, diags, key, "has too many axes");
    tensor->rank = (int)json_array_size(shape);
    int64_t *extents = arena_new_array(archive->arena, int64_t, tensor->rank + 1), range[2];
    tensor->extents = extents;
    if (!whole_numbers(shape, extents) || !whole_numbers(offsets, range))
        return malformed_tensor(file, diags, key, "has a shape or data_offsets that are no whole numbers");
    if (!foreign_tensor_measure(tensor)) return malformed_tensor(file, diags, key, "has a shape whose size overflows or is no whole byte");
    uint64_t data_bytes = file->size - data_begin;
    if (range[1] < range[0] || (uint64_t)range[1] > data_bytes) return malformed_tensor(file, diags, key, "has data_offsets outside the file");
    if ((uint64_t)(range[1] - range[0]) != tensor->bytes) {
        diag_error(diags, GM121, (Place){0}, "%s: tensor \"%s\" %s %s needs %llu bytes, and its data_offsets give it %lld", file->path, key,
                   foreign_type_table[tensor->type].name, extents_string(archive->arena, tensor->rank, extents), (unsigned long long)tensor->bytes,
                   (long long)(range[1] - range[0]));
        return false;
    }
    tensor->offset = data_begin + (uint64_t)range[0];
    return archive_add(archive, tensor, diags);
}

static int by_offset(const void *a, const void *b)
{
    const ForeignTensor *x = *(ForeignTensor *const *)a, *y = *(ForeignTensor *const *)b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static bool check_tiling(Archive *archive, const ForeignFile *file, int first, uint64_t data_begin, Diagnostics *diags)
{
    int count = archive->tensors.count - first;
    ForeignTensor **sorted = arena_new_array(archive->arena, ForeignTensor *, count + 1);
    for (int i = 0; i < count; i++) sorted[i] = archive->tensors.data[first + i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_offset);
    uint64_t end = data_begin;
    for (int i = 0; i < count; i++) {
        if (sorted[i]->offset != end)
            return malformed_tensor(file, diags, sorted[i]->name, sorted[i]->offset < end ? "overlaps another one" : "begins after a hole in the data");
        end += sorted[i]->bytes;
    }
    return end == file->size || malformed(file, diags, "bytes follow the last tensor");
}

static bool check_metadata(const ForeignFile *file, const json_t *metadata, Diagnostics *diags)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) return malformed(file, diags, "__metadata__ is no object");
    json_object_foreach((json_t *)metadata, key, value) if (!json_is_string(value)) return malformed(file, diags, "__metadata__ holds something else than strings");
    return true;
}

static bool read_header(Archive *archive, ForeignFile *file, const json_t *header, uint64_t data_begin, Diagnostics *diags)
{
    int first = archive->tensors.count;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)header, key, value)
    {
        bool good = strcmp(key, "__metadata__") == 0 ? check_metadata(file, value, diags)
                    : json_is_object(value)          ? read_entry(archive, file, key, value, data_begin, diags)
                                                     : malformed_tensor(file, diags, key, "is described by no object");
        if (!good) return false;
    }
    return check_tiling(archive, file, first, data_begin, diags);
}

/* NULL after an error. */
static json_t *load_json(const ForeignFile *file, const char *text, size_t length, Diagnostics *diags)
{
    const char *harm = json_prescan(text, length, 4);
    json_error_t error;
    json_t *json = harm ? NULL : json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (harm || !json) malformed(file, diags, harm ? harm : arena_printf(diags->arena, "%s at byte %d of its JSON", error.text, error.position));
    if (json && !json_is_object(json)) {
        malformed(file, diags, "its JSON is no object");
        json_decref(json);
        json = NULL;
    }
    return json;
}

bool safetensors_read(Archive *archive, ForeignFile *file, Diagnostics *diags)
{
    if (file->size < 8) return malformed(file, diags, "shorter than 8 bytes");
    uint64_t length = 0;
    for (int i = 0; i < 8; i++) length |= (uint64_t)file->data[i] << (8 * i);
    if (length > file->size - 8 && (file->size < 9 || file->data[8] != '{')) return other_format(file, diags);
    if (length > MAX_HEADER_BYTES) return malformed(file, diags, "its header would be longer than 100,000,000 bytes");
    if (length > file->size - 8) return malformed(file, diags, "its header is longer than the file");
    const char *text = (const char *)file->data + 8;
    if (length < 2 || text[0] != '{') return malformed(file, diags, "its header doesn't begin with '{'");
    json_t *header = load_json(file, text, length, diags);
    if (!header) return false;
    bool good = read_header(archive, file, header, 8 + length, diags);
    json_decref(header);
    return good;
}

/* --- shards ------------------------------------------------------------------------------------------------------- */

static bool bad_index(const ForeignFile *index, Diagnostics *diags, const char *problem, const char *what)
{
    diag_error(diags, GM139, (Place){0}, "%s: %s%s%s%s", index->path, problem, what ? " \"" : "", what ? what : "", what ? "\"" : "");
    return false;
}

static bool leaves_directory(const char *name)
{
    if (!*name || *name == '/') return true;
    for (const char *part = name; part; part = strchr(part, '/')) {
        if (*part == '/') part++;
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || !part[2])) return true;
    }
    return false;
}

/* A shard's own tensors, opened at its first mention. */
static Archive *open_shard(Archive *archive, const ForeignFile *index, const char *name, Diagnostics *diags)
{
    const char *slash = strrchr(index->path, '/');
    const char *path = arena_printf(archive->arena, "%.*s%s", slash ? (int)(slash + 1 - index->path) : 0, index->path, name);
    ForeignFile *file;
    if (!foreign_file_map(archive->arena, path, &file, diags)) return NULL;
    list_push(archive->arena, &archive->files, file);
    Archive *shard = arena_new_object(archive->arena, Archive);
    shard->arena = archive->arena;
    shard->path = path;
    return safetensors_read(shard, file, diags) ? shard : NULL;
}

static bool read_weight_map(Archive *archive, const ForeignFile *index, json_t *map, Diagnostics *diags)
{
    Map shards = {0};
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value)
    {
        if (!json_is_string(value)) return bad_index(index, diags, "weight_map gives no file name for", key);
        const char *name = json_string_value(value);
        if (leaves_directory(name)) return bad_index(index, diags, "a shard outside the index's own directory is not opened:", name);
        Archive *shard = map_get(&shards, name);
        if (!shard) {
            shard = open_shard(archive, index, name, diags);
            if (!shard) return false;
            map_put(archive->arena, &shards, arena_strdup(archive->arena, name), shard);
        }
        ForeignTensor *tensor = archive_find(shard, key);
        if (!tensor) return bad_index(index, diags, arena_printf(diags->arena, "shard %s has no tensor", name), key);
        if (!archive_add(archive, tensor, diags)) return false;
    }
    return true;
}

bool shards_read(Archive *archive, ForeignFile *index, Diagnostics *diags)
{
    if (index->size > MAX_HEADER_BYTES) return bad_index(index, diags, "longer than 100,000,000 bytes", NULL);
    json_t *json = load_json(index, (const char *)index->data, index->size, diags);
    if (!json) return false;
    json_t *map = json_object_get(json, "weight_map");
    bool good = json_is_object(map) ? read_weight_map(archive, index, map, diags)
                                    : bad_index(index, diags, "this is no index of shards: it has no object \"weight_map\"", NULL);
    json_decref(json);
    return good;
}
