/* Outputs as files and as text. The zip's times are fixed, so that equal runs give equal bytes. */
#include "commands/output_files.h"

#include "commands/inputs.h"
#include "commands/text_input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

static int64_t sample_count(const OutputArrays *outputs, int output)
{
    return tensor_count(outputs->module->outputs.data[output].tensor);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

/* An .npy file: version 1.0, header padded so that the data begin at a multiple of 64, as numpy writes it. */
static Text npy_bytes(Arena *arena, const OutputArrays *outputs, int output)
{
    static const char *const types[] = {[TYPE_F32] = "<f4", [TYPE_I32] = "<i4", [TYPE_I64] = "<i8", [TYPE_U8] = "|u1"};
    const Tensor *tensor = outputs->module->outputs.data[output].tensor;
    Text dict = text_new(arena), file = text_new(arena);
    text_printf(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", types[tensor->type]);
    int rank = tensor->rank + (outputs->batched ? 1 : 0);
    for (int d = 0; d < rank; d++) {
        long long extent = outputs->batched ? d ? tensor->extents[d - 1] : outputs->samples : tensor->extents[d];
        text_printf(&dict, "%s%lld", d ? ", " : "", extent);
    }
    text_add(&dict, rank == 1 ? ",), }" : "), }");
    while ((10 + dict.length + 1) % 64) text_add(&dict, " ");
    text_add(&dict, "\n");
    unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)dict.length, (unsigned char)(dict.length >> 8)};
    text_add_bytes(&file, head, sizeof head);
    text_add_bytes(&file, text_string(&dict), dict.length);
    text_add_bytes(&file, outputs->data[output], (size_t)(outputs->samples * tensor_count(tensor)) * (size_t)element_type_size(tensor->type));
    return file;
}

static bool add_member(zip_t *zip, const char *name, const Text *bytes)
{
    enum { FIRST_OF_1980 = 1 << 5 | 1 };
    zip_source_t *source = zip_source_buffer(zip, bytes->data, bytes->length, 0);
    zip_int64_t at = source ? zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8) : -1;
    if (source && at < 0) zip_source_free(source);
    return at >= 0 && zip_set_file_compression(zip, (zip_uint64_t)at, ZIP_CM_STORE, 0) == 0
           && zip_file_set_dostime(zip, (zip_uint64_t)at, 0, FIRST_OF_1980, 0) == 0;
}

/* NULL and *error when it fails; the bytes are on the arena. */
static char *npz_bytes(Arena *arena, const OutputArrays *outputs, size_t *size, const char **error)
{
    zip_error_t problem;
    zip_error_init(&problem);
    *error = "no memory for the zip file";
    zip_source_t *buffer = zip_source_buffer_create(NULL, 0, 0, &problem);
    if (!buffer) return NULL;
    zip_source_keep(buffer);
    zip_t *zip = zip_open_from_source(buffer, ZIP_TRUNCATE, &problem);
    bool good = zip != NULL;
    for (int i = 0; good && i < outputs->module->outputs.count; i++) {
        Text bytes = npy_bytes(arena, outputs, i);
        good = add_member(zip, arena_printf(arena, "%s.npy", outputs->module->outputs.data[i].name), &bytes);
    }
    good = good && zip_close(zip) == 0;
    zip_stat_t status;
    char *result = NULL;
    if (good && zip_source_open(buffer) == 0) {
        if (zip_source_stat(buffer, &status) == 0) {
            result = arena_alloc(arena, status.size);
            *size = status.size;
            if (zip_source_read(buffer, result, status.size) != (zip_int64_t)status.size) result = NULL;
        }
        zip_source_close(buffer);
    }
    if (!good && zip) zip_discard(zip);
    zip_source_free(buffer);
    return result;
}

bool output_files_write(Arena *arena, const char *path, const OutputArrays *outputs, Diagnostics *diags)
{
    const char *error = NULL;
    bool good;
    if (text_ends_with(path, ".npy") && outputs->module->outputs.count != 1) {
        diag_error(diags, GM156, (Place){0}, "%s: an .npy file holds one array, and %s has %d outputs; use .npz", path, outputs->module->name, outputs->module->outputs.count);
        return false;
    }
    if (text_ends_with(path, ".npy")) {
        Text bytes = npy_bytes(arena, outputs, 0);
        good = file_write(path, bytes.data, bytes.length, &error);
    } else {
        size_t size = 0;
        char *bytes = npz_bytes(arena, outputs, &size, &error);
        good = bytes && file_write(path, bytes, size, &error);
    }
    if (!good) diag_error(diags, GM156, (Place){0}, "%s can't be written: %s", path, error);
    return good;
}

/* --- labels ------------------------------------------------------------------------------------------------------- */

bool labels_read(Arena *arena, const char *path, Labels *labels, Diagnostics *diags)
{
    char *data;
    size_t size;
    const char *error;
    if (!file_read(arena, path, &data, &size, &error)) {
        diag_error(diags, GM155, (Place){0}, "%s: %s", path, error);
        return false;
    }
    for (char *line = data, *end = data + size; line < end;) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((stop ? stop : end) - line), shown = length;
        while (shown && (line[shown - 1] == '\r' || line[shown - 1] == ' ')) shown--;
        list_push(arena, labels, arena_strndup(arena, line, shown));
        line += length + 1;
    }
    return true;
}

bool labels_of_port(Arena *arena, const Port *port, const char *model_path, Labels *labels, Diagnostics *diags)
{
    if (!port->hint || strcmp(port->hint->name, "classes") != 0 || port->hint->count < 1 || !port->hint->arguments[0].text) return true;
    return labels_read(arena, beside(arena, model_path, port->hint->arguments[0].text), labels, diags);
}

/* --- text --------------------------------------------------------------------------------------------------------- */

typedef struct {
    double value;
    int64_t at;
} Score;

static int by_score(const void *a, const void *b)
{
    const Score *x = a, *y = b;
    if (x->value != y->value && !(isnan(x->value) && isnan(y->value))) {
        if (isnan(x->value) || isnan(y->value)) return isnan(x->value) ? 1 : -1;
        return x->value > y->value ? -1 : 1;
    }
    return (x->at > y->at) - (x->at < y->at);
}

void print_top(Text *text, const OutputArrays *outputs, int output, int64_t sample, int top, const Labels *labels, const Labels *rows)
{
    const Port *port = &outputs->module->outputs.data[output];
    const Tensor *tensor = port->tensor;
    int64_t classes = tensor->rank ? tensor->extents[tensor->rank - 1] : 1, vectors = tensor_count(tensor) / classes;
    int64_t begin = sample * tensor_count(tensor);
    Arena *scratch = arena_new();
    Score *scores = arena_new_array(scratch, Score, classes);
    for (int64_t v = 0; v < vectors && (rows->count == 0 || v < rows->count); v++) {
        text_add(text, port->name);
        if (outputs->batched) text_printf(text, " of sample %lld", (long long)sample);
        if (vectors > 1) text_printf(text, ", row %lld", (long long)v);
        if (v < rows->count) text_printf(text, ", after \"%s\"", rows->data[v]);
        text_add(text, "\n");
        for (int64_t i = 0; i < classes; i++) scores[i] = (Score){array_element(outputs->data[output], tensor->type, begin + v * classes + i), i};
        qsort(scores, (size_t)classes, sizeof *scores, by_score);
        for (int64_t i = 0; i < top && i < classes; i++) {
            text_printf(text, "%12.6g  %6lld", scores[i].value, (long long)scores[i].at);
            if (scores[i].at < labels->count) text_printf(text, "  %s", labels->data[scores[i].at]);
            text_add(text, "\n");
        }
    }
    arena_free(scratch);
}

void print_summary(Text *text, const OutputArrays *outputs, int output)
{
    enum { SHOWN = 16 };
    const Port *port = &outputs->module->outputs.data[output];
    int64_t count = sample_count(outputs, output) * outputs->samples;
    text_printf(text, "%s: %s[", port->name, element_type_name(port->tensor->type));
    if (outputs->batched) text_printf(text, "%lld%s", (long long)outputs->samples, port->tensor->rank ? ", " : "");
    for (int d = 0; d < port->tensor->rank; d++) text_printf(text, "%s%lld", d ? ", " : "", (long long)port->tensor->extents[d]);
    text_add(text, "]");
    double low = INFINITY, high = -INFINITY, sum = 0;
    for (int64_t i = 0; i < count; i++) {
        double value = array_element(outputs->data[output], port->tensor->type, i);
        if (count <= SHOWN) text_printf(text, "%s%.9g", i ? ", " : " = ", value);
        low = fmin(low, value);
        high = fmax(high, value);
        sum += value;
    }
    if (count > SHOWN) text_printf(text, " from %.6g to %.6g, mean %.6g", low, high, sum / (double)count);
    text_add(text, "\n");
}
