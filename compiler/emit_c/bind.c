/* bind: checks a weight file before believing it, and chooses a form by CPU and operating system. The checksum is XXH64.
 * Also the accessor of weights that are compiled in. */
#include "emit_c/emit_private.h"

#include "support/bug.h"

#include <inttypes.h>
#include <string.h>

/* --- reading and hashing ------------------------------------------------------------------------------------------ */

/* See print_c_template for "@". */
static const char hash_text[] =
    "static uint32_t @_read32(const unsigned char *p)\n"
    "{\n"
    "    uint32_t value;\n"
    "    memcpy(&value, p, sizeof value);\n"
    "    return value;\n"
    "}\n"
    "\n"
    "static uint64_t @_read64(const unsigned char *p)\n"
    "{\n"
    "    uint64_t value;\n"
    "    memcpy(&value, p, sizeof value);\n"
    "    return value;\n"
    "}\n"
    "\n"
    "/* XXH64 with seed 0. */\n"
    "#define GM_ROTATE(a, bits) (((a) << (bits)) | ((a) >> (64 - (bits))))\n"
    "static uint64_t @_round(uint64_t state, uint64_t word)\n"
    "{\n"
    "    state += word * UINT64_C(0xC2B2AE3D27D4EB4F);\n"
    "    return GM_ROTATE(state, 31) * UINT64_C(0x9E3779B185EBCA87);\n"
    "}\n"
    "\n"
    "static uint64_t @_hash(const unsigned char *p, size_t bytes)\n"
    "{\n"
    "    const uint64_t p1 = UINT64_C(0x9E3779B185EBCA87), p2 = UINT64_C(0xC2B2AE3D27D4EB4F), p3 = UINT64_C(0x165667B19E3779F9);\n"
    "    const uint64_t p4 = UINT64_C(0x85EBCA77C2B2AE63), p5 = UINT64_C(0x27D4EB2F165667C5);\n"
    "    const unsigned char *const end = p + bytes;\n"
    "    uint64_t hash = p5;\n"
    "    if (bytes >= 32) {\n"
    "        uint64_t a = p1 + p2, b = p2, c = 0, d = 0 - p1;\n"
    "        for (; end - p >= 32; p += 32) {\n"
    "            a = @_round(a, @_read64(p));\n"
    "            b = @_round(b, @_read64(p + 8));\n"
    "            c = @_round(c, @_read64(p + 16));\n"
    "            d = @_round(d, @_read64(p + 24));\n"
    "        }\n"
    "        hash = GM_ROTATE(a, 1) + GM_ROTATE(b, 7) + GM_ROTATE(c, 12) + GM_ROTATE(d, 18);\n"
    "        hash = (hash ^ @_round(0, a)) * p1 + p4;\n"
    "        hash = (hash ^ @_round(0, b)) * p1 + p4;\n"
    "        hash = (hash ^ @_round(0, c)) * p1 + p4;\n"
    "        hash = (hash ^ @_round(0, d)) * p1 + p4;\n"
    "    }\n"
    "    hash += (uint64_t)bytes;\n"
    "    for (; end - p >= 8; p += 8) {\n"
    "        hash ^= @_round(0, @_read64(p));\n"
    "        hash = GM_ROTATE(hash, 27) * p1 + p4;\n"
    "    }\n"
    "    if (end - p >= 4) {\n"
    "        hash ^= (uint64_t)@_read32(p) * p1;\n"
    "        hash = GM_ROTATE(hash, 23) * p2 + p3;\n"
    "        p += 4;\n"
    "    }\n"
    "    for (; p < end; p++) {\n"
    "        hash ^= (uint64_t)*p * p5;\n"
    "        hash = GM_ROTATE(hash, 11) * p1;\n"
    "    }\n"
    "    hash = (hash ^ (hash >> 33)) * p2;\n"
    "    hash = (hash ^ (hash >> 29)) * p3;\n"
    "    return hash ^ (hash >> 32);\n"
    "}\n"
    "#undef GM_ROTATE\n"
    "\n";

void print_c_template(const Emitter *emitter, Writer *writer, const char *text)
{
    for (const char *at; (at = strchr(text, '@')); text = at) {
        bool macro = at[1] == '@';
        text_add_bytes(writer->out, text, (size_t)(at - text));
        text_add(writer->out, macro ? emitter->macro : emitter->prefix);
        at += macro ? 2 : 1;
    }
    text_add(writer->out, text);
}

/* --- the choice of a form ----------------------------------------------------------------------------------------- */

/* Where CPUID reports a feature, and the register state that the operating system must save for it. */
static const struct {
    const char *name;
    int leaf;
    const char *word;
    int bit;
    unsigned state;
} cpu_features[] = {
    {"fma", 1, "c", 12, 0x6},       {"avx2", 7, "b", 5, 0x6},       {"avx512f", 7, "b", 16, 0xe6},
    {"avx512dq", 7, "b", 17, 0xe6}, {"avx512bw", 7, "b", 30, 0xe6}, {"avx512vl", 7, "b", 31, 0xe6},
};

static const char cpuid_text[] =
    "static void @_cpuid(uint32_t leaf, uint32_t *b, uint32_t *c)\n"
    "{\n"
    "    uint32_t a = leaf, d;\n"
    "    *c = 0;\n"
    "    __asm__ volatile(\"cpuid\" : \"+a\"(a), \"=b\"(*b), \"+c\"(*c), \"=d\"(d));\n"
    "    (void)d;\n"
    "}\n"
    "\n";

/* The condition that a form's features are all there, over leaf1_c, leaf7_b and state. */
static const char *feature_condition(const Emitter *emitter, const Target *target)
{
    uint32_t leaf1 = 0, leaf7 = 0;
    unsigned state = 0;
    const char *list = target->cpu;
    while (*list) {
        size_t length = strcspn(list, ",");
        bool found = false;
        for (size_t i = 0; i < sizeof cpu_features / sizeof cpu_features[0]; i++) {
            if (strlen(cpu_features[i].name) != length || strncmp(cpu_features[i].name, list, length) != 0) continue;
            *(cpu_features[i].leaf == 1 ? &leaf1 : &leaf7) |= UINT32_C(1) << cpu_features[i].bit;
            state |= cpu_features[i].state;
            found = true;
        }
        if (!found) bug("bind can't ask for the CPU feature \"%.*s\"", (int)length, list);
        list += length + (list[length] == ',');
    }
    return arena_printf(emitter->arena, "(leaf1_c & 0x%" PRIx32 "u) == 0x%" PRIx32 "u && (leaf7_b & 0x%" PRIx32 "u) == 0x%" PRIx32
                        "u && (state & 0x%xu) == 0x%xu", leaf1, leaf1, leaf7, leaf7, state, state);
}

static void emit_pick_form(const Emitter *emitter, Writer *writer)
{
    const LoopProgram *program = emitter->program;
    if (emitter->machines & MACHINE_X86) {
        writer_directive(writer, "#if defined(GM_X86)");
        print_c_template(emitter, writer, cpuid_text);
        writer_directive(writer, "#endif");
        writer_blank(writer);
    }
    writer_comment(writer, "Whether this processor and operating system run a form.");
    writer_line(writer, "static int %s_runs(int form)", emitter->prefix);
    writer_brace(writer);
    if (emitter->machines & MACHINE_X86) {
        writer_directive(writer, "#if defined(GM_X86)");
        writer_line(writer, "uint32_t most, leaf1_c = 0, leaf7_b = 0, unused, state = 0, high;");
        writer_line(writer, "%s_cpuid(1, &unused, &leaf1_c);", emitter->prefix);
        writer_line(writer, "__asm__ volatile(\"cpuid\" : \"=a\"(most), \"=b\"(unused), \"=c\"(high), \"=d\"(state) : \"0\"(0));");
        writer_line(writer, "state = 0;");
        writer_line(writer, "if (most >= 7) %s_cpuid(7, &leaf7_b, &unused);", emitter->prefix);
        writer_line(writer, "if (leaf1_c & (1u << 27)) /* XGETBV may be used */");
        writer_line(writer, "    __asm__ volatile(\".byte 0x0f, 0x01, 0xd0\" : \"=a\"(state), \"=d\"(high) : \"c\"(0));");
        writer_line(writer, "(void)unused, (void)high, (void)leaf7_b, (void)state;");
        int index = 0; /* in the table as it is on x86 */
        for (int f = 0; f < program->forms.count; f++) {
            const Target *target = program->forms.data[f]->target;
            bool x86 = machine_bit(target) == MACHINE_X86;
            if (!x86 && *target->machine) continue;
            if (x86) writer_line(writer, "if (form == %d) return %s;", index, feature_condition(emitter, target));
            index++;
        }
        writer_directive(writer, "#endif");
    }
    writer_line(writer, "return form >= 0 && form < (int)(sizeof %s_forms / sizeof %s_forms[0]);", emitter->prefix, emitter->prefix);
    writer_close(writer, "");
    writer_blank(writer);
}

/* --- bind --------------------------------------------------------------------------------------------------------- */

static void check(Writer *writer, const char *condition, const char *error)
{
    writer_line(writer, "if (%s) return GM_ERROR_%s;", condition, error);
}

static void emit_check_blob(const Emitter *emitter, Writer *writer)
{
    Arena *arena = emitter->arena;
    const char *prefix = emitter->prefix;
    const Plan *plan = emitter->plan;
    const char *macro = emitter->macro;
    writer_comment(writer, "The image: a header of 64 bytes, the payload, the self-test.");
    writer_line(writer, "static int %s_check(const unsigned char *image, size_t bytes)", prefix);
    writer_brace(writer);
    writer_line(writer, "uint64_t selftest;");
    check(writer, arena_printf(arena, "(uintptr_t)image %% %s_ALIGN != 0", emitter->macro), "ALIGNMENT");
    check(writer, "bytes < 64", "SHORT");
    check(writer, arena_printf(arena, "%s_read32(image + 12) == 0x04030201u", prefix), "BYTE_ORDER");
    check(writer, arena_printf(arena, "%s_read64(image) != UINT64_C(0x5448474945574d47) || %s_read32(image + 12) != 0x01020304u", prefix, prefix),
          "MAGIC");
    check(writer, arena_printf(arena, "%s_read32(image + 8) != 1u", prefix), "VERSION");
    check(writer, arena_printf(arena, "%s_read64(image + 16) != UINT64_C(0x%016" PRIx64 ")", prefix, plan_model_hash(plan)), "MODEL");
    check(writer, arena_printf(arena, "%s_read64(image + 24) != UINT64_C(0x%016" PRIx64 ")", prefix, plan_layout_hash(plan)), "LAYOUT");
    check(writer, arena_printf(arena, "%s_read64(image + 32) != %s_PAYLOAD_BYTES", prefix, macro), "SIZE");
    if (plan->blob_bytes) check(writer, arena_printf(arena, "bytes - 64 < %s_PAYLOAD_BYTES", macro), "SHORT");
    writer_line(writer, "selftest = %s_read64(image + 48);", prefix);
    check(writer, arena_printf(arena, "selftest > bytes - 64 - %s_PAYLOAD_BYTES", macro), "SHORT");
    check(writer, arena_printf(arena, "selftest < bytes - 64 - %s_PAYLOAD_BYTES || %s_read64(image + 56) != 0", macro, prefix), "SIZE");
    check(writer, arena_printf(arena, "%s_read64(image + 40) != %s_hash(image + 64, bytes - 64)", prefix, prefix), "CHECKSUM");
    writer_line(writer, "return GM_OK;");
    writer_close(writer, "");
    writer_blank(writer);
}

static void emit_bind_function(const Emitter *emitter, Writer *writer)
{
    const char *prefix = emitter->prefix;
    writer_line(writer, "int %s_bind(%s_weights *weights, const void *blob, size_t bytes)", prefix, prefix);
    writer_brace(writer);
    writer_line(writer, "int form = 0, status = GM_OK;");
    writer_line(writer, "if (!weights) return GM_ERROR_NULL;");
    writer_line(writer, "weights->base = NULL;");
    writer_line(writer, "weights->form = 0;");
    if (emitter->plan->blob_bytes > 0) writer_line(writer, "if (!blob) return GM_ERROR_NULL;");
    writer_line(writer, "if (blob) status = %s_check((const unsigned char *)blob, bytes);", prefix);
    writer_line(writer, "if (status != GM_OK) return status;");
    writer_line(writer, "while (form < (int)(sizeof %s_forms / sizeof %s_forms[0]) && !%s_runs(form)) form++;", prefix, prefix, prefix);
    writer_line(writer, "if (form == (int)(sizeof %s_forms / sizeof %s_forms[0])) return GM_ERROR_CPU;", prefix, prefix);
    writer_line(writer, "if (blob) weights->base = (const unsigned char *)blob + 64;");
    writer_line(writer, "weights->form = form;");
    writer_line(writer, "return GM_OK;");
    writer_close(writer, "");
    writer_blank(writer);
}

/* --- weights in the program --------------------------------------------------------------------------------------- */

static void emit_inline_blob(const Emitter *emitter, Writer *writer)
{
    const EmitOptions *options = emitter->options;
    size_t words = (options->blob_size + 3) / 4;
    writer_comment(writer, "The weight file, word by word.");
    writer_line(writer, "static const uint32_t %s_blob_words[%zu]%s = {", emitter->prefix, words, emitter->machines ? " GM_ALIGN" : "");
    for (size_t i = 0; i < words; i += 12) {
        text_add(writer->out, "   ");
        for (size_t k = i; k < words && k < i + 12; k++) {
            uint32_t word = 0;
            for (size_t b = 0; b < 4 && 4 * k + b < options->blob_size; b++) word |= (uint32_t)options->blob[4 * k + b] << (8 * b);
            char digits[16];
            int length = 0;
            static const char hex[] = "0123456789abcdef";
            digits[length++] = ' ', digits[length++] = '0', digits[length++] = 'x';
            for (int shift = 28; shift >= 0; shift -= 4) digits[length++] = hex[word >> shift & 15];
            digits[length++] = 'u', digits[length++] = ',';
            text_add_bytes(writer->out, digits, (size_t)length);
        }
        text_add(writer->out, "\n");
    }
    writer_line(writer, "};");
    writer_blank(writer);
}

static void emit_incbin(const Emitter *emitter, Writer *writer)
{
    Arena *arena = emitter->arena;
    const char *prefix = emitter->prefix;
    writer_comment(writer, "The weight file, taken in by the assembler.");
    writer_directive(writer, "#if defined(__APPLE__)");
    writer_directive(writer, "__asm__(\".section __DATA,__const\\n.balign 64\\n.private_extern _%s_blob_data\\n_%s_blob_data:\\n.incbin \" %s", prefix,
                     prefix, string_literal(arena, arena_printf(arena, "\"%s\"", emitter->options->incbin_path)));
    writer_directive(writer, "        \"\\n.private_extern _%s_blob_end\\n_%s_blob_end:\\n.byte 0\\n.text\\n\");", prefix, prefix);
    writer_directive(writer, "#else");
    writer_directive(writer, "__asm__(\".pushsection .rodata\\n.balign 64\\n.global %s_blob_data\\n.hidden %s_blob_data\\n%s_blob_data:\\n.incbin \" %s",
                     prefix, prefix, prefix, string_literal(arena, arena_printf(arena, "\"%s\"", emitter->options->incbin_path)));
    writer_directive(writer, "        \"\\n.global %s_blob_end\\n.hidden %s_blob_end\\n%s_blob_end:\\n.byte 0\\n.popsection\\n\");", prefix, prefix, prefix);
    writer_directive(writer, "#endif");
    writer_directive(writer, "#ifdef __cplusplus");
    writer_directive(writer, "extern \"C\" {");
    writer_directive(writer, "#endif");
    writer_line(writer, "extern const unsigned char %s_blob_data[], %s_blob_end[];", prefix, prefix);
    writer_directive(writer, "#ifdef __cplusplus");
    writer_directive(writer, "}");
    writer_directive(writer, "#endif");
    writer_blank(writer);
}

static void emit_blob(const Emitter *emitter, Writer *writer)
{
    const char *prefix = emitter->prefix;
    switch (emitter->options->weights_mode) {
    case WEIGHTS_FILE: return;
    case WEIGHTS_INLINE: emit_inline_blob(emitter, writer); break;
    case WEIGHTS_INCBIN: emit_incbin(emitter, writer); break;
    }
    writer_line(writer, "const void *%s_blob(size_t *bytes)", prefix);
    writer_brace(writer);
    if (emitter->options->weights_mode == WEIGHTS_INLINE) {
        writer_line(writer, "if (bytes) *bytes = %zu;", emitter->options->blob_size);
        writer_line(writer, "return %s_blob_words;", prefix);
    } else {
        writer_line(writer, "if (bytes) *bytes = (size_t)((uintptr_t)%s_blob_end - (uintptr_t)%s_blob_data);", prefix, prefix);
        writer_line(writer, "return %s_blob_data;", prefix);
    }
    writer_close(writer, "");
    writer_blank(writer);
}

void print_c_bind(const Emitter *emitter, Writer *writer)
{
    emit_blob(emitter, writer);
    writer_directive(writer, "#define %s_PAYLOAD_BYTES UINT64_C(%" PRId64 ")", emitter->macro, emitter->plan->blob_bytes);
    writer_blank(writer);
    print_c_template(emitter, writer, hash_text);
    emit_pick_form(emitter, writer);
    emit_check_blob(emitter, writer);
    emit_bind_function(emitter, writer);
}
