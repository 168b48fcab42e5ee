/* The packed weight file: hashes that tie it to a model and a layout, the image itself, and the self-test at its end.
 *
 * Self-test section, after the payload, little-endian:
 *    0  magic "GMSELFT1"    8  seed (u64)    16  tolerance (f64)
 *   24  for each input: u64, integers of the input are below it
 *       for each output: its expected elements, dense, f32 or i32
 */
#include "emit_c/blob.h"

#include "equation/print.h"
#include "emit_c/emit_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static void describe_tensor(Text *text, const Tensor *tensor)
{
    text_printf(text, "%s %s", tensor->name, element_type_name(tensor->type));
    for (int i = 0; i < tensor->rank; i++) text_printf(text, " %" PRId64, tensor->extents[i]);
    text_add(text, "\n");
}

/* Equations by the numbers of their tensors: what a block is called is no part of what a model computes. */
static void describe_equations(Text *text, const Module *module)
{
    const char **names = arena_new_array(module->arena, const char *, module->tensors.count + 1);
    for (int i = 0; i < module->tensors.count; i++) {
        names[i] = module->tensors.data[i]->name;
        module->tensors.data[i]->name = arena_printf(module->arena, "t%d", i);
    }
    for (int i = 0; i < module->equations.count; i++) {
        equation_print(module->equations.data[i], text);
        text_add(text, "\n");
    }
    for (int i = 0; i < module->tensors.count; i++) module->tensors.data[i]->name = names[i];
}

uint64_t plan_model_hash(const Plan *plan)
{
    const Module *module = plan->module;
    Text text = text_new(module->arena);
    text_printf(&text, "model %s\n", module->name);
    for (int i = 0; i < module->inputs.count; i++) describe_tensor(&text, module->inputs.data[i].tensor);
    for (int i = 0; i < module->outputs.count; i++) describe_tensor(&text, module->outputs.data[i].tensor);
    for (int i = 0; i < module->weights.count; i++) {
        text_printf(&text, "%s ", module->weights.data[i]->path);
        describe_tensor(&text, module->weights.data[i]);
    }
    describe_equations(&text, module);
    uint64_t hash = XXH64(text_string(&text), text.length, 0);
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.data[i];
        if (tensor->kind == TENSOR_CONSTANT && tensor->values) hash = XXH64(tensor->values, (size_t)tensor_count(tensor) * sizeof(double), hash);
    }
    return hash;
}

uint64_t plan_layout_hash(const Plan *plan)
{
    Text text = text_new(plan->module->arena);
    text_printf(&text, "family %s, %" PRId64 " bytes\n", family_name(plan->family), plan->blob_bytes);
    for (int i = 0; i < plan->blob.count; i++) {
        const Tensor *tensor = plan->blob.data[i];
        const Layout *layout = tensor_layout(tensor);
        describe_tensor(&text, tensor);
        text_printf(&text, "at %" PRId64 " strides", layout->offset_bytes);
        for (int axis = 0; axis < tensor->rank; axis++) text_printf(&text, " %" PRId64, layout->strides[axis]);
        text_add(&text, "\n");
    }
    return XXH64(text_string(&text), text.length, 0);
}

static void put32(unsigned char *p, uint32_t value)
{
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(value >> (8 * i));
}

static void put64(unsigned char *p, uint64_t value)
{
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)(value >> (8 * i));
}

unsigned char *blob_build(const Plan *plan, const unsigned char *payload, const unsigned char *selftest, size_t selftest_bytes, size_t *size)
{
    size_t payload_bytes = (size_t)plan->blob_bytes;
    *size = BLOB_HEADER_BYTES + payload_bytes + selftest_bytes;
    /* Aligned, so that the image can be bound where it stands. */
    unsigned char *image = aligned_alloc(64, (*size + 63) / 64 * 64);
    if (!image) return NULL;
    memset(image, 0, BLOB_HEADER_BYTES);
    if (payload_bytes) memcpy(image + BLOB_HEADER_BYTES, payload, payload_bytes);
    if (selftest_bytes) memcpy(image + BLOB_HEADER_BYTES + payload_bytes, selftest, selftest_bytes);
    memcpy(image, "GMWEIGHT", 8);
    put32(image + 8, 1);
    put32(image + 12, 0x01020304);
    put64(image + 16, plan_model_hash(plan));
    put64(image + 24, plan_layout_hash(plan));
    put64(image + 32, payload_bytes);
    put64(image + 40, XXH64(image + BLOB_HEADER_BYTES, payload_bytes + selftest_bytes, 0));
    put64(image + 48, selftest_bytes);
    return image;
}

/* --- self-test ---------------------------------------------------------------------------------------------------- */

int64_t port_bytes(const Tensor *tensor)
{
    return tensor_count(tensor) * element_type_size(tensor->type);
}

int64_t selftest_memory(const Module *module, int alignment)
{
    int64_t bytes = 0;
    for (int i = 0; i < module->inputs.count; i++) bytes += (port_bytes(module->inputs.data[i].tensor) + alignment - 1) / alignment * alignment;
    for (int i = 0; i < module->outputs.count; i++) bytes += (port_bytes(module->outputs.data[i].tensor) + alignment - 1) / alignment * alignment;
    return bytes;
}

typedef struct {
    const Tensor *input;
    const Tensor *indexed;  /* the tensor whose subscript is being walked, and the axis' extent */
    int64_t extent;
    int64_t limit;
} LimitSearch;

static void note_input_in_subscript(Expr *node, void *context)
{
    LimitSearch *search = context;
    if (node->kind == EXPR_READ && node->tensor == search->input && (!search->limit || search->extent < search->limit)) search->limit = search->extent;
}

static void note_subscripts(Expr *node, void *context)
{
    LimitSearch *search = context;
    if (node->kind != EXPR_READ) return;
    for (int axis = 0; axis < node->count; axis++) {
        search->extent = node->tensor->extents[axis];
        expr_walk(node->args[axis], note_input_in_subscript, search);
    }
}

/* Integers of an input stay below this: the smallest axis that they index, else what the type holds of small numbers. */
static uint64_t input_limit(const Module *module, const Tensor *input)
{
    LimitSearch search = {.input = input};
    for (int i = 0; i < module->equations.count; i++) expr_walk(module->equations.data[i]->value, note_subscripts, &search);
    if (input->type == TYPE_U8) return search.limit && search.limit < 256 ? (uint64_t)search.limit : 256;
    return search.limit ? (uint64_t)search.limit : 2;
}

/* splitmix64, Steele, Lea, Flood 2014. */
static uint64_t next_word(uint64_t *state)
{
    uint64_t word = (*state += UINT64_C(0x9E3779B97F4A7C15));
    word = (word ^ (word >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94D049BB133111EB);
    return word ^ (word >> 31);
}

void selftest_input(const Module *module, int input, uint64_t seed, double *values)
{
    const Tensor *tensor = module->inputs.data[input].tensor;
    uint64_t limit = input_limit(module, tensor), state = seed + ((uint64_t)input << 32);
    int64_t count = tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) {
        uint64_t word = next_word(&state);
        values[i] = tensor->type == TYPE_F32 ? (double)(word >> 40) / 8388608.0 - 1 : (double)(word % limit);
    }
}

unsigned char *selftest_build(Arena *arena, const Module *module, uint64_t seed, double tolerance, double *const *outputs, size_t *size)
{
    size_t bytes = 24 + 8 * (size_t)module->inputs.count;
    for (int i = 0; i < module->outputs.count; i++) bytes += 4 * (size_t)tensor_count(module->outputs.data[i].tensor);
    unsigned char *section = arena_alloc(arena, bytes), *p = section + 24;
    memcpy(section, "GMSELFT1", 8);
    put64(section + 8, seed);
    uint64_t bits;
    memcpy(&bits, &tolerance, sizeof bits);
    put64(section + 16, bits);
    for (int i = 0; i < module->inputs.count; i++, p += 8) put64(p, input_limit(module, module->inputs.data[i].tensor));
    for (int i = 0; i < module->outputs.count; i++) {
        const Tensor *tensor = module->outputs.data[i].tensor;
        int64_t count = tensor_count(tensor);
        for (int64_t e = 0; e < count; e++, p += 4) {
            uint32_t word = 0;
            float real = (float)outputs[i][e];
            if (tensor->type == TYPE_F32) memcpy(&word, &real, sizeof word);
            else word = (uint32_t)(int32_t)outputs[i][e];
            put32(p, word);
        }
    }
    *size = bytes;
    return section;
}
