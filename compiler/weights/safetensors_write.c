/* Weights as a .safetensors file: u64 header length, a JSON header padded with spaces to a multiple of 8, the data.
 * In: values by weight.  Out: a file with every weight under its path, in the module's order. Times and machine leave no trace. */
#include "support/text.h"
#include "weights/weights.h"

#include <string.h>

typedef struct {
    const char *name;
    int bytes;
} StoredType;

static StoredType stored_type(ElementType type)
{
    switch (type) {
    case TYPE_F32: return (StoredType){"F32", 4};
    case TYPE_I32: return (StoredType){"I32", 4};
    case TYPE_I64: return (StoredType){"I64", 8};
    case TYPE_U8: return (StoredType){"U8", 1};
    }
    return (StoredType){"F32", 4};
}

static void add_string(Text *text, const char *string)
{
    text_add(text, "\"");
    for (const unsigned char *c = (const unsigned char *)string; *c; c++) {
        if (*c == '"' || *c == '\\') text_printf(text, "\\%c", *c);
        else if (*c < 0x20) text_printf(text, "\\u%04x", *c);
        else text_add_bytes(text, c, 1);
    }
    text_add(text, "\"");
}

static Text header_of(Arena *arena, const Module *module)
{
    Text text = text_new(arena);
    int64_t at = 0;
    text_add(&text, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = 0; i < module->weights.count; i++) {
        const Tensor *weight = module->weights.data[i];
        StoredType type = stored_type(weight->type);
        int64_t end = at + tensor_count(weight) * type.bytes;
        text_add(&text, ",");
        add_string(&text, weight->path);
        text_printf(&text, ":{\"dtype\":\"%s\",\"shape\":[", type.name);
        for (int d = 0; d < weight->rank; d++) text_printf(&text, "%s%lld", d ? "," : "", (long long)weight->extents[d]);
        text_printf(&text, "],\"data_offsets\":[%lld,%lld]}", (long long)at, (long long)end);
        at = end;
    }
    text_add(&text, "}");
    while (text.length % 8) text_add(&text, " ");
    return text;
}

/* Little-endian, whatever the machine. */
static void put(unsigned char *out, uint64_t bits, int bytes)
{
    for (int b = 0; b < bytes; b++) out[b] = (unsigned char)(bits >> (8 * b));
}

static bool write_weight(FileWriter *writer, const WeightValues *values, const Tensor *weight)
{
    enum { CHUNK = 4096 };
    unsigned char buffer[CHUNK * 8];
    int bytes = stored_type(weight->type).bytes;
    int64_t count = tensor_count(weight);
    for (int64_t begin = 0; begin < count; begin += CHUNK) {
        int64_t end = begin + CHUNK < count ? begin + CHUNK : count;
        for (int64_t e = begin; e < end; e++) {
            uint32_t bits = 0;
            if (weight->type == TYPE_F32) memcpy(&bits, &values->f32[weight->id][e], sizeof bits);
            put(buffer + (e - begin) * bytes, weight->type == TYPE_F32 ? bits : (uint64_t)values->integers[weight->id][e], bytes);
        }
        if (!file_writer_add(writer, buffer, (size_t)((end - begin) * bytes))) return false;
    }
    return true;
}

bool weights_write(const char *path, const WeightValues *values, Diagnostics *diags)
{
    Arena *scratch = arena_new();
    const char *error = NULL;
    Text header = header_of(scratch, values->module);
    unsigned char length[8];
    put(length, header.length, 8);
    FileWriter *writer = file_writer_open(scratch, path, &error);
    if (writer) {
        file_writer_add(writer, length, sizeof length);
        file_writer_add(writer, text_string(&header), header.length);
        for (int i = 0; i < values->module->weights.count; i++) write_weight(writer, values, values->module->weights.data[i]);
        if (file_writer_close(writer, &error)) error = NULL;
    }
    if (error) diag_error(diags, GM171, (Place){0}, "%s can't be written: %s", path, error);
    arena_free(scratch);
    return !error;
}
