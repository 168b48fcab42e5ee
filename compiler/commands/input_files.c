/* Files as inputs. Values are converted only where that is exact; shapes must be the declared ones. */
#include "commands/input_files.h"

#include "commands/image.h"
#include "commands/inputs.h"
#include "support/text.h"
#include "weights/archive.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    Arena *arena;
    const Module *module;
    bool batched;
    InputArrays *arrays;
    Diagnostics *diags;
    bool *given, *is_picture; /* by input */
    int64_t *pictures;        /* by input: samples so far */
    const char *model_path;
} Reader;

static int64_t input_bytes(const Tensor *tensor)
{
    return tensor_count(tensor) * element_type_size(tensor->type);
}

static int find_input(const Module *module, const char *name, size_t length)
{
    for (int i = 0; i < module->inputs.count; i++)
        if (strlen(module->inputs.data[i].name) == length && memcmp(module->inputs.data[i].name, name, length) == 0) return i;
    return -1;
}

static const char *input_names(Reader *reader)
{
    Text text = text_new(reader->arena);
    for (int i = 0; i < reader->module->inputs.count; i++) text_printf(&text, "%s%s", i ? ", " : "", reader->module->inputs.data[i].name);
    return text_string(&text);
}

static void unknown_input(Reader *reader, const char *name)
{
    int count = reader->module->inputs.count;
    const char **names = arena_new_array(reader->arena, const char *, count + 1);
    for (int i = 0; i < count; i++) names[i] = reader->module->inputs.data[i].name;
    Diagnostic *diag = diag_error(reader->diags, GM150, (Place){0}, "%s has no input %s", reader->module->name, name);
    const char *near = nearest_name(name, names, count);
    if (near) diag_help(diag, "did you mean %s?", near);
    else diag_help(diag, "its inputs are: %s", input_names(reader));
}

/* --- arrays ------------------------------------------------------------------------------------------------------- */

static bool inexact(Reader *reader, const Port *port, const ForeignTensor *foreign, const char *value, int64_t at)
{
    Diagnostic *diag = diag_error(reader->diags, GM152, port->place, "input %s is %s, and its array of %s has %s at element %lld", port->name,
                                  element_type_name(port->tensor->type), foreign_type_table[foreign->type].name, value, (long long)at);
    if (port->tensor->type == TYPE_F32) diag_help(diag, "that is not exact in f32; round it where it is made: x.astype(np.float32)");
    return false;
}

static bool convert_reals(Reader *reader, const Port *port, Archive *archive, const ForeignTensor *foreign, float *out)
{
    if (foreign->type == FOREIGN_F32 || foreign->type == FOREIGN_F16 || foreign->type == FOREIGN_BF16) return archive_read_f32(archive, foreign, out, reader->diags);
    Arena *scratch = arena_new();
    double *values = arena_new_array(scratch, double, foreign->count);
    bool good = archive_read_f64(archive, foreign, values, reader->diags);
    for (int64_t i = 0; good && i < foreign->count; i++) {
        out[i] = (float)values[i];
        if ((double)out[i] != values[i] && !isnan(values[i])) good = inexact(reader, port, foreign, arena_printf(reader->arena, "%.17g", values[i]), i);
    }
    arena_free(scratch);
    return good;
}

static bool convert_integers(Reader *reader, const Port *port, Archive *archive, const ForeignTensor *foreign, void *out)
{
    ElementType type = port->tensor->type;
    if (foreign_type_table[foreign->type].class != FOREIGN_INTEGER) {
        Diagnostic *diag = diag_error(reader->diags, GM152, port->place, "input %s is %s, and its array is %s", port->name, element_type_name(type), foreign_type_table[foreign->type].name);
        diag_help(diag, "convert it where it is made: ids.astype(np.%s)", type == TYPE_U8 ? "uint8" : type == TYPE_I32 ? "int32" : "int64");
        return false;
    }
    Arena *scratch = arena_new();
    int64_t *values = arena_new_array(scratch, int64_t, foreign->count);
    int64_t low = type == TYPE_I32 ? INT32_MIN : type == TYPE_U8 ? 0 : INT64_MIN, high = type == TYPE_I32 ? INT32_MAX : type == TYPE_U8 ? 255 : INT64_MAX;
    bool good = archive_read_integers(archive, foreign, values, reader->diags);
    for (int64_t i = 0; good && i < foreign->count; i++) {
        if (values[i] < low || values[i] > high) good = inexact(reader, port, foreign, arena_printf(reader->arena, "%lld", (long long)values[i]), i);
        else if (type == TYPE_I32) ((int32_t *)out)[i] = (int32_t)values[i];
        else if (type == TYPE_U8) ((uint8_t *)out)[i] = (uint8_t)values[i];
        else ((int64_t *)out)[i] = values[i];
    }
    arena_free(scratch);
    return good;
}

static bool wrong_shape(Reader *reader, const Port *port, const char *path, const ForeignTensor *foreign)
{
    const Tensor *tensor = port->tensor;
    Diagnostic *diag = diag_error(reader->diags, GM151, port->place, "input %s is %s%s, and %s holds %s", port->name,
                                  reader->batched ? "[N, …] of " : "", extents_string(reader->arena, tensor->rank, tensor->extents), path,
                                  extents_string(reader->arena, foreign->rank, foreign->extents));
    if (!reader->batched && foreign->rank == tensor->rank + 1 && memcmp(foreign->extents + 1, tensor->extents, (size_t)tensor->rank * sizeof *tensor->extents) == 0)
        diag_help(diag, "one more axis in front makes samples of it: --batched");
    return false;
}

static bool use_array(Reader *reader, int input, const char *path, Archive *archive, const ForeignTensor *foreign)
{
    const Port *port = &reader->module->inputs.data[input];
    const Tensor *tensor = port->tensor;
    int extra = reader->batched && foreign->rank == tensor->rank + 1;
    if (foreign->rank != tensor->rank + extra || foreign->count == 0) return wrong_shape(reader, port, path, foreign);
    for (int d = 0; d < tensor->rank; d++)
        if (foreign->extents[d + extra] != tensor->extents[d]) return wrong_shape(reader, port, path, foreign);
    unsigned char *out = arena_alloc_array(reader->arena, (size_t)foreign->count, (size_t)element_type_size(tensor->type));
    reader->arrays->data[input] = out;
    if (extra) {
        reader->arrays->sample_bytes[input] = input_bytes(tensor);
        reader->pictures[input] = foreign->extents[0];
    }
    return tensor->type == TYPE_F32 ? convert_reals(reader, port, archive, foreign, (float *)out) : convert_integers(reader, port, archive, foreign, out);
}

static bool given_once(Reader *reader, int input, bool picture)
{
    bool again = reader->given[input] && !(reader->batched && picture && reader->is_picture[input]);
    if (again) {
        Diagnostic *diag = diag_error(reader->diags, GM150, (Place){0}, "input %s is given twice", reader->module->inputs.data[input].name);
        if (picture && !reader->batched) diag_help(diag, "several pictures are run one after the other with --batched");
    }
    reader->given[input] = true;
    reader->is_picture[input] = picture;
    return !again;
}

/* The tensor of an archive that is meant for an input. */
static const ForeignTensor *choose_member(Reader *reader, const Archive *archive, const char *path, const char *member, const char *name)
{
    const ForeignTensor *found = archive_find(archive, member ? member : name);
    if (!found && !member && archive->tensors.count == 1) found = archive->tensors.data[0];
    if (found) return found;
    int count = archive->tensors.count;
    const char **names = arena_new_array(reader->arena, const char *, count + 1);
    for (int i = 0; i < count; i++) names[i] = archive->tensors.data[i]->name;
    const char *near = nearest_name(member ? member : name, names, count);
    Diagnostic *diag = diag_error(reader->diags, GM153, (Place){0}, "%s holds no array \"%s\"", path, member ? member : name);
    if (near || count) diag_help(diag, "it holds \"%s\"%s: write %s=%s:MEMBER", near ? near : names[0], count > 1 ? " and others" : "", name, path);
    return NULL;
}

/* --- pictures ----------------------------------------------------------------------------------------------------- */

static bool use_picture(Reader *reader, int input, const char *path, const char *data, size_t size)
{
    const Port *port = &reader->module->inputs.data[input];
    ImageHint hint;
    if (!image_hint(port, &hint, reader->diags)) return false;
    Arena *scratch = arena_new();
    Image image;
    const char *error;
    int64_t bytes = input_bytes(port->tensor), before = reader->pictures[input];
    bool good = image_decode(scratch, (const unsigned char *)data, size, &image, &error);
    if (!good) diag_error(reader->diags, GM153, (Place){0}, "%s can't be decoded: %s", path, error);
    if (good) {
        unsigned char *grown = arena_alloc_array(reader->arena, (size_t)(before + 1), (size_t)bytes);
        if (before) memcpy(grown, reader->arrays->data[input], (size_t)(before * bytes));
        reader->arrays->data[input] = grown;
        good = image_to_input(&image, port, &hint, grown + before * bytes, reader->diags);
    }
    arena_free(scratch);
    if (reader->batched) {
        reader->pictures[input]++;
        reader->arrays->sample_bytes[input] = bytes;
    }
    return good;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

/* Room for one more sample of an input. */
static unsigned char *grow(Reader *reader, int input)
{
    int64_t bytes = input_bytes(reader->module->inputs.data[input].tensor), before = reader->pictures[input];
    unsigned char *grown = arena_alloc_array(reader->arena, (size_t)(before + 1), (size_t)bytes);
    if (before) memcpy(grown, reader->arrays->data[input], (size_t)(before * bytes));
    reader->arrays->data[input] = grown;
    reader->given[input] = true;
    reader->pictures[input]++;
    if (reader->batched) reader->arrays->sample_bytes[input] = bytes;
    return grown + before * bytes;
}

static bool open_text(Reader *reader, int input)
{
    InputArrays *arrays = reader->arrays;
    if (arrays->text && arrays->text->ids == input) return true;
    input_files_close(arrays);
    arrays->text = arena_new_object(reader->arena, TextInput);
    if (text_input_open(reader->arena, reader->module, input, reader->model_path, arrays->text, reader->diags)) return true;
    arrays->text = NULL;
    return false;
}

/* One sample; pair NULL: none. */
static bool add_text(Reader *reader, int input, const char *data, size_t size, const char *pair, size_t pair_size)
{
    InputArrays *arrays = reader->arrays;
    if (reader->given[input] && !reader->batched) {
        diag_help(diag_error(reader->diags, GM150, (Place){0}, "input %s is given twice", reader->module->inputs.data[input].name), "several texts are run one after the other with --batched");
        return false;
    }
    if (!open_text(reader, input)) return false;
    const TextInput *text = arrays->text;
    void **places = arena_new_array(reader->arena, void *, reader->module->inputs.count + 1);
    const int parts[] = {text->ids, text->mask, text->types};
    for (int i = 0; i < 3; i++)
        if (parts[i] >= 0) places[parts[i]] = grow(reader, parts[i]);
    int64_t used = text_sample(reader->arena, text, data, size, pair, pair_size, places, reader->diags), samples = reader->pictures[input];
    int64_t *all = arena_new_array(reader->arena, int64_t, samples);
    for (int64_t i = 0; i + 1 < samples && arrays->text_used; i++) all[i] = arrays->text_used[i];
    all[samples - 1] = used;
    arrays->text_used = all;
    return used >= 0;
}

/* Batched: a line a sample, a tab before its pair. Else the whole file, its last line end aside. */
static bool read_text(Reader *reader, int input, const char *path)
{
    char *data;
    size_t size;
    const char *error;
    if (!file_read(reader->arena, path, &data, &size, &error)) {
        diag_error(reader->diags, GM153, (Place){0}, "%s: %s", path, error);
        return false;
    }
    if (size && data[size - 1] == '\n') size--;
    bool good = true;
    for (const char *line = data, *end = data + size; good && line <= end;) {
        const char *stop = reader->batched ? memchr(line, '\n', (size_t)(end - line)) : NULL;
        size_t length = (size_t)((stop ? stop : end) - line);
        const char *tab = reader->batched ? memchr(line, '\t', length) : NULL;
        size_t first = tab ? (size_t)(tab - line) : length;
        good = add_text(reader, input, line, first, tab ? tab + 1 : NULL, tab ? length - first - 1 : 0);
        line += length + 1;
    }
    return good;
}

/* --text and --pair, in order. */
static bool use_texts(Reader *reader, const Words *texts, const Words *pairs)
{
    if (!texts->count && !pairs->count) return true;
    int input = text_input_sole(reader->module);
    if (input < 0) {
        diag_error(reader->diags, GM160, (Place){0}, "--text needs one input with `~ text(vocabulary = …, tokenizer = …)`");
        return false;
    }
    if (pairs->count && pairs->count != texts->count) {
        diag_error(reader->diags, GM150, (Place){0}, "there are %d of --text and %d of --pair", texts->count, pairs->count);
        return false;
    }
    bool good = true;
    for (int i = 0; i < texts->count && good; i++) {
        const char *pair = pairs->count ? pairs->data[i] : NULL;
        good = add_text(reader, input, texts->data[i], strlen(texts->data[i]), pair, pair ? strlen(pair) : 0);
    }
    return good;
}

Labels input_rows(Arena *arena, const InputArrays *arrays, const Tensor *output, int64_t sample)
{
    Labels rows = {0};
    const TextInput *text = arrays->text;
    if (!text || output->rank != 2 || output->extents[0] != text->length) return rows;
    const unsigned char *data = arrays->data[text->ids] + sample * arrays->sample_bytes[text->ids];
    for (int64_t i = 0; i < arrays->text_used[sample]; i++)
        list_push(arena, &rows, text_shown(arena, text, (int32_t)array_element(data, text->module->inputs.data[text->ids].tensor->type, i)));
    return rows;
}

Labels input_entries(Arena *arena, const InputArrays *arrays, const Tensor *output)
{
    Labels entries = {0};
    const TextInput *text = arrays->text;
    int32_t count = text ? gm_vocabulary_count(text->vocabulary) : 0;
    if (output->rank == 0 || output->extents[output->rank - 1] != count) return entries;
    for (int32_t i = 0; i < count; i++) list_push(arena, &entries, text_shown(arena, text, i));
    return entries;
}

void input_files_close(InputArrays *arrays)
{
    if (arrays->text) text_input_close(arrays->text);
    arrays->text = NULL;
}

/* --- words -------------------------------------------------------------------------------------------------------- */

static bool file_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

/* "x.npz:ids" → "x.npz", "ids"; a file whose name has a colon wins. */
static const char *split_member(Arena *arena, const char *word, const char **member)
{
    const char *colon = strrchr(word, ':');
    *member = NULL;
    if (!colon || file_exists(word)) return word;
    *member = colon + 1;
    return arena_strndup(arena, word, (size_t)(colon - word));
}

/* Looks at the first bytes alone: arrays may be large. */
static bool looks_like_picture(const char *path)
{
    unsigned char head[16];
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(head, 1, sizeof head, file) : 0;
    if (file) fclose(file);
    return image_recognise(head, size);
}

/* By name: what is no array's file. */
static bool looks_like_text(const char *path)
{
    static const char *const others[] = {".npy", ".npz", ".safetensors", ".json", ".pth", ".pt", ".bin"};
    const char *dot = strrchr(path, '.');
    struct stat status;
    for (int i = 0; dot && i < (int)(sizeof others / sizeof *others); i++)
        if (strcmp(dot, others[i]) == 0) return false;
    return stat(path, &status) != 0 || !S_ISDIR(status.st_mode);
}

static bool read_picture(Reader *reader, int input, const char *path)
{
    Arena *scratch = arena_new();
    char *data;
    size_t size;
    const char *error;
    bool good = file_read(scratch, path, &data, &size, &error);
    if (!good) diag_error(reader->diags, GM153, (Place){0}, "%s: %s", path, error);
    good = good && given_once(reader, input, true) && use_picture(reader, input, path, data, size);
    arena_free(scratch);
    return good;
}

static bool read_word(Reader *reader, const char *word)
{
    const char *equals = strchr(word, '='), *member;
    int inputs = reader->module->inputs.count;
    int input = equals ? find_input(reader->module, word, (size_t)(equals - word)) : -1;
    if (equals && input < 0 && !file_exists(word)) {
        unknown_input(reader, arena_strndup(reader->arena, word, (size_t)(equals - word)));
        return false;
    }
    const char *path = split_member(reader->arena, input >= 0 ? equals + 1 : word, &member);
    if (input < 0 && inputs == 1) input = 0;
    if (input >= 0 && !member && looks_like_picture(path)) return read_picture(reader, input, path);
    if (input >= 0 && !member && looks_like_text(path) && text_input_declared(&reader->module->inputs.data[input])) return read_text(reader, input, path);
    Archive *archive = archive_open(reader->arena, path, reader->diags);
    if (!archive) return false;
    bool good = true;
    if (input >= 0) {
        const ForeignTensor *foreign = choose_member(reader, archive, path, member, reader->module->inputs.data[input].name);
        good = foreign && given_once(reader, input, false) && use_array(reader, input, path, archive, foreign);
    } else {
        int used = 0;
        for (int i = 0; i < inputs; i++) {
            const ForeignTensor *foreign = archive_find(archive, reader->module->inputs.data[i].name);
            if (!foreign) continue;
            used++;
            good = given_once(reader, i, false) && use_array(reader, i, path, archive, foreign) && good;
        }
        if (!used) diag_error(reader->diags, GM150, (Place){0}, "%s holds none of the inputs: %s", path, input_names(reader));
        good = good && used;
    }
    archive_close(archive);
    return good;
}

static bool count_samples(Reader *reader)
{
    int64_t samples = 0;
    const char *first = NULL;
    for (int i = 0; i < reader->module->inputs.count; i++) {
        if (!reader->arrays->sample_bytes[i]) continue;
        const char *name = reader->module->inputs.data[i].name;
        if (first && reader->pictures[i] != samples) {
            diag_error(reader->diags, GM151, (Place){0}, "%s has %lld samples and %s has %lld", first, (long long)samples, name, (long long)reader->pictures[i]);
            return false;
        }
        first = name;
        samples = reader->pictures[i];
    }
    reader->arrays->samples = first ? samples : 1;
    if (reader->batched && !first && reader->module->inputs.count) diag_error(reader->diags, GM151, (Place){0}, "--batched, and no input has one more axis in front");
    return !reader->batched || first || !reader->module->inputs.count;
}

bool input_files_read(Arena *arena, const Module *module, const InputWords *words, InputArrays *arrays, Diagnostics *diags)
{
    int inputs = module->inputs.count;
    *arrays = (InputArrays){.samples = 1, .data = arena_new_array(arena, unsigned char *, inputs + 1), .sample_bytes = arena_new_array(arena, int64_t, inputs + 1)};
    Reader reader = {.arena = arena, .module = module, .batched = words->batched, .arrays = arrays, .diags = diags, .model_path = words->model_path};
    reader.given = arena_new_array(arena, bool, inputs + 1);
    reader.is_picture = arena_new_array(arena, bool, inputs + 1);
    reader.pictures = arena_new_array(arena, int64_t, inputs + 1);
    bool good = true;
    for (int i = 0; i < words->files->count; i++) good = read_word(&reader, words->files->data[i]) && good;
    good = good && use_texts(&reader, words->texts, words->pairs);
    for (int i = 0; i < inputs && good; i++) {
        if (reader.given[i]) continue;
        const Tensor *tensor = module->inputs.data[i].tensor;
        Diagnostic *diag = diag_error(diags, GM150, module->inputs.data[i].place, "input %s %s%s was not given", module->inputs.data[i].name,
                                      element_type_name(tensor->type), extents_string(arena, tensor->rank, tensor->extents));
        if (text_input_sole(module) == i) diag_help(diag, "--text TEXT, or --input %s=FILE", module->inputs.data[i].name);
        else diag_help(diag, "--input %s=FILE", module->inputs.data[i].name);
        good = false;
    }
    return good && count_samples(&reader);
}
