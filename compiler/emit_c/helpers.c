/* Text of the small functions that kernels call: scalar helpers in strict C99, and one section of hooks for each vector width.
 * Every hook carries the target attribute of its width; sums over lanes go through a fixed tree. */
#include "emit_c/emit_private.h"

#include "support/bug.h"

#include <string.h>

/* In order of printing; a helper calls only those above it. */
static const struct {
    Helper helper;
    const char *name, *text;
} helper_table[] = {
    {HELPER_MIN, "MIN", "static inline float gm_min(float a, float b)\n{\n    return a < b ? a : b;\n}\n"},
    {HELPER_MAX, "MAX", "static inline float gm_max(float a, float b)\n{\n    return a > b ? a : b;\n}\n"},
    {HELPER_ABS, "ABS", "static inline float gm_abs(float a)\n{\n    return a > 0.0f ? a : 0.0f - a;\n}\n"},
    {HELPER_SQRT, "SQRT", NULL},
    {HELPER_FMA, "FMA", "static inline float gm_fma(float a, float b, float c)\n{\n    return fmaf(a, b, c);\n}\n"},
    {HELPER_FLOOR, "FLOOR",
     "static inline float gm_floor(float a)\n{\n    float whole;\n    if (a == 0.0f || !(a > -8388608.0f && a < 8388608.0f)) return a;\n"
     "    whole = (float)(int32_t)a;\n    return whole > a ? whole - 1.0f : whole;\n}\n"},
    {HELPER_ROUND, "ROUND",
     "static inline float gm_round(float a)\n{\n    int32_t whole;\n    float rest;\n"
     "    if (!(a > -8388608.0f && a < 8388608.0f)) return a;\n    whole = (int32_t)a;\n    if ((float)whole > a) whole--;\n"
     "    rest = a - (float)whole;\n    if (rest > 0.5f || (rest >= 0.5f && (whole & 1))) whole++;\n"
     "    return whole == 0 ? 0.0f * a : (float)whole;\n}\n"},
    {HELPER_INT_MIN, "INT_MIN", "static inline ptrdiff_t gm_int_min(ptrdiff_t a, ptrdiff_t b)\n{\n    return a < b ? a : b;\n}\n"},
    {HELPER_INT_MAX, "INT_MAX", "static inline ptrdiff_t gm_int_max(ptrdiff_t a, ptrdiff_t b)\n{\n    return a > b ? a : b;\n}\n"},
    {HELPER_INT_ABS, "INT_ABS", "static inline ptrdiff_t gm_int_abs(ptrdiff_t a)\n{\n    return a < 0 ? -a : a;\n}\n"},
    {HELPER_FLOORDIV, "FLOORDIV",
     "/* a / b rounded down */\nstatic inline ptrdiff_t gm_floordiv(ptrdiff_t a, ptrdiff_t b)\n{\n"
     "    return a / b - (a % b != 0 && (a < 0) != (b < 0));\n}\n"},
    {HELPER_MOD, "MOD",
     "/* a modulo b, with the sign of b */\nstatic inline ptrdiff_t gm_mod(ptrdiff_t a, ptrdiff_t b)\n{\n    const ptrdiff_t rest = a % b;\n"
     "    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;\n}\n"},
    {HELPER_AS_FLOAT, "AS_FLOAT",
     "static inline float gm_as_float(int32_t bits)\n{\n    float value;\n    memcpy(&value, &bits, sizeof value);\n    return value;\n}\n"},
    {HELPER_AS_INT, "AS_INT",
     "static inline int32_t gm_as_int(float value)\n{\n    int32_t bits;\n    memcpy(&bits, &value, sizeof bits);\n    return bits;\n}\n"},
    {HELPER_ADD_I32, "ADD_I32", "static inline int32_t gm_add_i32(int32_t a, int32_t b)\n{\n    return (int32_t)((uint32_t)a + (uint32_t)b);\n}\n"},
    {HELPER_SUB_I32, "SUB_I32", "static inline int32_t gm_sub_i32(int32_t a, int32_t b)\n{\n    return (int32_t)((uint32_t)a - (uint32_t)b);\n}\n"},
    {HELPER_MUL_I32, "MUL_I32", "static inline int32_t gm_mul_i32(int32_t a, int32_t b)\n{\n    return (int32_t)((uint32_t)a * (uint32_t)b);\n}\n"},
    {HELPER_SHIFT_LEFT, "SHIFT_LEFT", "static inline int32_t gm_shift_left(int32_t a, int count)\n{\n    return (int32_t)((uint32_t)a << count);\n}\n"},
    {HELPER_SCALE, "SCALE",
     "/* a * 2^n in two steps: 2^n may lie outside the normal range where the result does not */\n"
     "static inline float gm_scale(float a, float n)\n{\n    const int32_t whole = n > -301.0f && n < 301.0f ? (int32_t)n : 0, half = whole / 2;\n"
     "    return a * gm_as_float((127 + half) * 8388608) * gm_as_float((127 + whole - half) * 8388608);\n}\n"},
};

/* In a file with vector forms the root is an instruction, so that it needs no library. */
static const char root_plain[] = "static inline float gm_sqrt(float a)\n{\n    return sqrtf(a);\n}\n";
static const char root_vectors[] = "static inline float gm_sqrt(float a)\n{\n#if defined(GM_X86)\n"
                               "    return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(a)));\n#elif defined(GM_ARM64)\n    return vsqrt_f32(vdup_n_f32(a))[0];\n#else\n    return sqrtf(a);\n#endif\n}\n";

void helper_use(KernelPrinter *printer, Helper helper)
{
    printer->emitter->helpers[helper] |= machine_bit(printer->form->target);
}

void print_c_helpers(const Emitter *emitter, Writer *writer)
{
    bool any = false;
    for (size_t i = 0; i < sizeof helper_table / sizeof helper_table[0]; i++) {
        Helper helper = helper_table[i].helper;
        if (!emitter->helpers[helper]) continue;
        any = true;
        /* Guarded, so that two generated files may stand in one translation unit. */
        const char *machines = emitter->helpers[helper] & USED_ANYWHERE ? "" : machine_condition(emitter, emitter->helpers[helper]);
        writer_directive(writer, *machines ? "#if (%s) && !defined(GM_HELPER_%s)" : "#if %s!defined(GM_HELPER_%s)", machines, helper_table[i].name);
        writer_directive(writer, "#define GM_HELPER_%s", helper_table[i].name);
        writer_text(writer, helper == HELPER_SQRT ? (emitter->machines ? root_vectors : root_plain) : helper_table[i].text);
        writer_directive(writer, "#endif");
    }
    if (any) writer_blank(writer);
}

/* gcc 12 moves accumulators from one register to another, and into memory, unless it is told where each of them stays; only while it
 * optimises: else nothing stays in a register. Such variables are operands of asm alone, the one use that gcc promises to keep them for;
 * the volatile ones keep their order where two tiles use the same registers one after the other. A call keeps no vector registers: where
 * gcc is not to inline, or instruments code, they are ordinary variables (GM_ORDINARY_ACCUMULATORS says so for what no macro tells). */
#define GM_ACCUMULATOR_HOOKS(lanes, register_name)                                                                                          \
    "/* Sums of products. ACCUMULATOR declares one, which stays in register `number`; ACCUMULATE adds a * b, ACCUMULATE_SPREAD p[at] in\n"   \
    " * every lane times b; SUM is its value. Define GM_ORDINARY_ACCUMULATORS where gcc adds calls of its own (-pg, -finstrument-functions). */\n"                                                                                         \
    "#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) && !defined(__OPTIMIZE_SIZE__) && !defined(__NO_INLINE__) \\\n"      \
    "    && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(GM_ORDINARY_ACCUMULATORS)\n"                        \
    "#define GM_V" lanes "_ACCUMULATOR(sum, number, start) register gm_v" lanes " sum __asm__(\"" register_name "\" #number); "              \
    "__asm__ volatile(\"\" : \"=v\"(sum) : \"0\"(start))\n"                                                                                   \
    "#define GM_V" lanes "_ACCUMULATE(sum, a, b) __asm__(\"vfmadd231ps\\t{%2, %1, %0|%0, %1, %2}\" : \"+v\"(sum) : \"v\"(b), \"v\"(a))\n"     \
    "#define GM_V" lanes "_ACCUMULATE_SPREAD(sum, p, at, b) "                                                                               \
    "__asm__(\"vfmadd231ps\\t{%2%{1to16%}, %1, %0|%0, %1, %2%{1to16%}}\" : \"+v\"(sum) : \"v\"(b), \"m\"((p)[at]))\n"                           \
    "#define GM_V" lanes "_SUM(sum) __extension__({ gm_v" lanes " sum_; __asm__ volatile(\"\" : \"=v\"(sum_) : \"0\"(sum)); sum_; })\n"        \
    "#else\n"                                                                                                                               \
    "#define GM_V" lanes "_ACCUMULATOR(sum, number, start) gm_v" lanes " sum = start\n"                                                     \
    "#define GM_V" lanes "_ACCUMULATE(sum, a, b) ((sum) = gm_v" lanes "_fma(a, b, sum))\n"                                                  \
    "#define GM_V" lanes "_ACCUMULATE_SPREAD(sum, p, at, b) ((sum) = gm_v" lanes "_fma_spread(p, at, b, sum))\n"                            \
    "#define GM_V" lanes "_SUM(sum) (sum)\n"                                                                                                \
    "#endif\n"

/* @: the target's attribute. */
static const char hooks_16[] =
    "#ifndef GM_AVX512\n"
    "#if defined(__clang__)\n"
    "#define GM_AVX512 __attribute__((target(\"@\"), min_vector_width(512)))\n"
    "#else\n"
    "#define GM_AVX512 __attribute__((target(\"@\")))\n"
    "#endif\n"
    "#define GM_HOOK static inline GM_AVX512 __attribute__((always_inline, unused))\n"
    "typedef __m512 gm_v16;                                               /* 16 x f32 */\n"
    "typedef __mmask16 gm_m16;                                            /* 16 conditions */\n"
    "typedef int32_t gm_i16 __attribute__((vector_size(64)));\n"
    "typedef uint32_t gm_u16 __attribute__((vector_size(64)));\n"
    "GM_HOOK gm_v16 gm_v16_splat(float a) { return _mm512_set1_ps(a); }\n"
    "GM_HOOK gm_i16 gm_i16_splat(int32_t a) { return (gm_i16)_mm512_set1_epi32(a); }\n"
    "GM_HOOK gm_v16 gm_v16_lanes(void)\n"
    "{\n"
    "    const gm_v16 lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};\n"
    "    return lanes;\n"
    "}\n"
    "GM_HOOK gm_m16 gm_m16_splat(int a) { return (gm_m16)(a ? 0xffff : 0); }\n"
    "GM_HOOK gm_m16 gm_m16_first(ptrdiff_t count) { return (gm_m16)((1u << (unsigned)count) - 1u); }\n"
    "GM_HOOK gm_v16 gm_v16_load(const float *p) { return _mm512_loadu_ps(p); }\n"
    "GM_HOOK gm_v16 gm_v16_load_aligned(const float *p) { return _mm512_load_ps(p); }\n"
    "GM_HOOK gm_v16 gm_v16_load_part(const float *p, ptrdiff_t count) { return _mm512_maskz_loadu_ps(gm_m16_first(count), p); }\n"
    "GM_HOOK void gm_v16_store(float *p, gm_v16 a) { _mm512_storeu_ps(p, a); }\n"
    "GM_HOOK void gm_v16_store_aligned(float *p, gm_v16 a) { _mm512_store_ps(p, a); }\n"
    "GM_HOOK void gm_v16_store_part(float *p, ptrdiff_t count, gm_v16 a) { _mm512_mask_storeu_ps(p, gm_m16_first(count), a); }\n"
    "GM_HOOK gm_v16 gm_v16_fma(gm_v16 a, gm_v16 b, gm_v16 c) { return _mm512_fmadd_ps(a, b, c); }\n"
    "/* p[at] in every lane, times b, plus c: as one instruction. Compilers would spread it first when it is used twice. `at` is a constant:\n"
    " * clang would take an index into the address, and then the instruction is two inside of the processor. */\n"
    "GM_HOOK gm_v16 gm_v16_fma_spread(const float *p, ptrdiff_t at, gm_v16 b, gm_v16 c)\n"
    "{\n"
    "#if defined(__clang__) && defined(__OPTIMIZE__)\n"
    "    __asm__(\"vfmadd231ps\\t{%c3(%2)%{1to16%}, %1, %0|%0, %1, dword ptr [%2 + %c3]%{1to16%}}\" : \"+v\"(c) : \"v\"(b), \"r\"(p), \"i\"(4 * at), \"m\"(p[at]));\n"
    "#else\n"
    "    __asm__(\"vfmadd231ps\\t{%2%{1to16%}, %1, %0|%0, %1, %2%{1to16%}}\" : \"+v\"(c) : \"v\"(b), \"m\"(p[at]));\n"
    "#endif\n"
    "    return c;\n"
    "}\n"
    GM_ACCUMULATOR_HOOKS("16", "zmm")
    "GM_HOOK gm_v16 gm_v16_min(gm_v16 a, gm_v16 b) { return _mm512_maskz_min_ps(0xffff, a, b); }\n"
    "GM_HOOK gm_v16 gm_v16_max(gm_v16 a, gm_v16 b) { return _mm512_maskz_max_ps(0xffff, a, b); }\n"
    "GM_HOOK gm_v16 gm_v16_abs(gm_v16 a) { return (gm_v16)((gm_i16)a & 0x7fffffff); }\n"
    "GM_HOOK gm_v16 gm_v16_sqrt(gm_v16 a) { return _mm512_maskz_sqrt_ps(0xffff, a); }\n"
    "#if defined(__OPTIMIZE__) || defined(__clang__)\n"
    "GM_HOOK gm_v16 gm_v16_min_abs(gm_v16 a, gm_v16 b) { return _mm512_maskz_range_ps(0xffff, a, b, 0x0a); }\n"
    "/* By class: NaN, NaN, 0, 1, -infinity, infinity, negative, positive; from the lowest digit: 2 quiet NaN, 1 a, 3 NaN, 8 zero. */\n"
    "GM_HOOK gm_v16 gm_v16_positive(gm_v16 a) { return _mm512_maskz_fixupimm_ps(0xffff, a, a, _mm512_set1_epi32(0x18131122), 0); }\n"
    "GM_HOOK gm_v16 gm_v16_floor(gm_v16 a) { return _mm512_maskz_roundscale_ps(0xffff, a, 0x09); }\n"
    "GM_HOOK gm_v16 gm_v16_round(gm_v16 a) { return _mm512_maskz_roundscale_ps(0xffff, a, 0x08); }\n"
    "#else /* the intrinsics are macros then, and warn */\n"
    "GM_HOOK gm_v16 gm_v16_min_abs(gm_v16 a, gm_v16 b) { return gm_v16_min(b, gm_v16_abs(a)); }\n"
    "GM_HOOK gm_v16 gm_v16_positive(gm_v16 a) { return a - gm_v16_min(a, gm_v16_splat(0.0f)); }\n"
    "GM_HOOK gm_v16 gm_v16_floor(gm_v16 a)\n"
    "{\n"
    "    for (int i = 0; i < 16; i++)\n"
    "        if (a[i] > -8388608.0f && a[i] < 8388608.0f) a[i] = (float)((int)a[i] - (a[i] < (float)(int)a[i]));\n"
    "    return a;\n"
    "}\n"
    "GM_HOOK gm_v16 gm_v16_round(gm_v16 a)\n"
    "{\n"
    "    const gm_v16 whole = gm_v16_floor(a), rest = a - whole;\n"
    "    for (int i = 0; i < 16; i++)\n"
    "        if (a[i] > -8388608.0f && a[i] < 8388608.0f)\n"
    "            a[i] = whole[i] + (rest[i] > 0.5f || (rest[i] >= 0.5f && ((int)whole[i] & 1)) ? 1.0f : 0.0f);\n"
    "    return a;\n"
    "}\n"
    "#endif\n"
    "GM_HOOK gm_m16 gm_v16_lt(gm_v16 a, gm_v16 b) { return _mm512_cmplt_ps_mask(a, b); }\n"
    "GM_HOOK gm_m16 gm_v16_le(gm_v16 a, gm_v16 b) { return _mm512_cmple_ps_mask(a, b); }\n"
    "GM_HOOK gm_m16 gm_v16_eq(gm_v16 a, gm_v16 b) { return _mm512_cmpeq_ps_mask(a, b); }\n"
    "GM_HOOK gm_m16 gm_v16_ne(gm_v16 a, gm_v16 b) { return _mm512_cmpneq_ps_mask(a, b); }\n"
    "GM_HOOK gm_m16 gm_m16_and(gm_m16 a, gm_m16 b) { return (gm_m16)(a & b); }\n"
    "GM_HOOK gm_m16 gm_m16_or(gm_m16 a, gm_m16 b) { return (gm_m16)(a | b); }\n"
    "GM_HOOK gm_m16 gm_m16_not(gm_m16 a) { return (gm_m16)~a; }\n"
    "GM_HOOK gm_v16 gm_v16_select(gm_m16 m, gm_v16 a, gm_v16 b) { return _mm512_mask_blend_ps(m, b, a); }\n"
    "GM_HOOK gm_v16 gm_v16_from_int(gm_i16 a) { return __builtin_convertvector(a, gm_v16); }\n"
    "GM_HOOK gm_i16 gm_v16_to_int(gm_v16 a) { return __builtin_convertvector(a, gm_i16); }\n"
    "GM_HOOK gm_v16 gm_v16_scale(gm_v16 a, gm_v16 n) { return _mm512_maskz_scalef_ps(0xffff, a, n); }\n"
    "/* A constant that stays in a register over a loop: gcc would load it again each time. */\n"
    "GM_HOOK gm_v16 gm_v16_kept(gm_v16 a)\n"
    "{\n"
    "#if defined(__GNUC__) && !defined(__clang__)\n"
    "    __asm__(\"\" : \"+v\"(a));\n"
    "#endif\n"
    "    return a;\n"
    "}\n"
    "GM_HOOK gm_v16 gm_v16_lookup8(const float *table, gm_i16 index)\n"
    "{\n"
    "    return _mm512_maskz_permutexvar_ps(0xffff, (__m512i)index, gm_v16_kept(_mm512_broadcast_f32x8(_mm256_loadu_ps(table))));\n"
    "}\n"
    "GM_HOOK gm_v16 gm_v16_lookup16(const float *table, gm_i16 index)\n"
    "{\n"
    "    return _mm512_maskz_permutexvar_ps(0xffff, (__m512i)index, gm_v16_kept(_mm512_loadu_ps(table)));\n"
    "}\n"
    "GM_HOOK gm_v16 gm_v16_lookup32(const float *table, gm_i16 index)\n"
    "{\n"
    "    return _mm512_permutex2var_ps(gm_v16_kept(_mm512_loadu_ps(table)), (__m512i)index, gm_v16_kept(_mm512_loadu_ps(table + 16)));\n"
    "}\n"
    "GM_HOOK gm_i16 gm_i16_add(gm_i16 a, gm_i16 b) { return (gm_i16)((gm_u16)a + (gm_u16)b); }\n"
    "GM_HOOK gm_i16 gm_i16_sub(gm_i16 a, gm_i16 b) { return (gm_i16)((gm_u16)a - (gm_u16)b); }\n"
    "GM_HOOK gm_i16 gm_i16_mul(gm_i16 a, gm_i16 b) { return (gm_i16)((gm_u16)a * (gm_u16)b); }\n"
    "GM_HOOK gm_i16 gm_i16_shift_left(gm_i16 a, int count) { return (gm_i16)((gm_u16)a << count); }\n"
    "GM_HOOK gm_i16 gm_i16_shift_right(gm_i16 a, int count) { return a >> count; }\n"
    "/* The halves, quarters and pairs exchanged: one level each of the tree of a sum over lanes. */\n"
    "#if defined(__clang__) || __GNUC__ >= 12\n"
    "#define GM_SHUFFLE_16(a, ...) __builtin_shufflevector(a, a, __VA_ARGS__)\n"
    "#else\n"
    "GM_HOOK gm_v16 gm_v16_shuffle(gm_v16 a, gm_i16 lanes) { return __builtin_shuffle(a, lanes); }\n"
    "#define GM_SHUFFLE_16(a, ...) gm_v16_shuffle(a, __extension__(gm_i16){__VA_ARGS__})\n"
    "#endif\n"
    "GM_HOOK gm_v16 gm_v16_swap8(gm_v16 a) { return GM_SHUFFLE_16(a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7); }\n"
    "GM_HOOK gm_v16 gm_v16_swap4(gm_v16 a) { return GM_SHUFFLE_16(a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11); }\n"
    "GM_HOOK gm_v16 gm_v16_swap2(gm_v16 a) { return GM_SHUFFLE_16(a, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13); }\n"
    "GM_HOOK gm_v16 gm_v16_swap1(gm_v16 a) { return GM_SHUFFLE_16(a, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14); }\n"
    "/* The lanes of the halves of a and b in turn. */\n"
    "GM_HOOK gm_v16 gm_v16_zip_low(gm_v16 a, gm_v16 b)\n"
    "{\n"
    "    const gm_i16 lanes = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};\n"
    "    return _mm512_permutex2var_ps(a, (__m512i)lanes, b);\n"
    "}\n"
    "GM_HOOK gm_v16 gm_v16_zip_high(gm_v16 a, gm_v16 b)\n"
    "{\n"
    "    const gm_i16 lanes = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};\n"
    "    return _mm512_permutex2var_ps(a, (__m512i)lanes, b);\n"
    "}\n"
    "GM_HOOK gm_v16 gm_v16_min_nan(gm_v16 a, gm_v16 b) { return gm_v16_select(gm_v16_ne(a, a), a, gm_v16_min(a, b)); }\n"
    "GM_HOOK gm_v16 gm_v16_max_nan(gm_v16 a, gm_v16 b) { return gm_v16_select(gm_v16_ne(a, a), a, gm_v16_max(a, b)); }\n"
    "GM_HOOK float gm_v16_sum(gm_v16 a)\n"
    "{\n"
    "    a = a + gm_v16_swap8(a);\n"
    "    a = a + gm_v16_swap4(a);\n"
    "    a = a + gm_v16_swap2(a);\n"
    "    return a[0] + a[1];\n"
    "}\n"
    "GM_HOOK float gm_v16_product(gm_v16 a)\n"
    "{\n"
    "    a = a * gm_v16_swap8(a);\n"
    "    a = a * gm_v16_swap4(a);\n"
    "    a = a * gm_v16_swap2(a);\n"
    "    return a[0] * a[1];\n"
    "}\n"
    "GM_HOOK float gm_v16_least(gm_v16 a)\n"
    "{\n"
    "    a = gm_v16_min_nan(a, gm_v16_swap8(a));\n"
    "    a = gm_v16_min_nan(a, gm_v16_swap4(a));\n"
    "    a = gm_v16_min_nan(a, gm_v16_swap2(a));\n"
    "    return gm_v16_min_nan(a, gm_v16_swap1(a))[0];\n"
    "}\n"
    "GM_HOOK float gm_v16_greatest(gm_v16 a)\n"
    "{\n"
    "    a = gm_v16_max_nan(a, gm_v16_swap8(a));\n"
    "    a = gm_v16_max_nan(a, gm_v16_swap4(a));\n"
    "    a = gm_v16_max_nan(a, gm_v16_swap2(a));\n"
    "    return gm_v16_max_nan(a, gm_v16_swap1(a))[0];\n"
    "}\n"
    "GM_HOOK float gm_v16_fma1(float a, float b, float c)\n"
    "{\n"
    "    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));\n"
    "}\n"
    "#undef GM_HOOK\n"
    "#endif\n";

static const char hooks_8[] =
    "#ifndef GM_AVX2\n"
    "#define GM_AVX2 __attribute__((target(\"@\")))\n"
    "#define GM_HOOK static inline GM_AVX2 __attribute__((always_inline, unused))\n"
    "typedef __m256 gm_v8;                                                /* 8 x f32 */\n"
    "typedef int32_t gm_i8 __attribute__((vector_size(32)));\n"
    "typedef uint32_t gm_u8 __attribute__((vector_size(32)));\n"
    "typedef gm_i8 gm_m8;                                                 /* 8 conditions: 0 or -1 */\n"
    "GM_HOOK gm_v8 gm_v8_splat(float a) { return _mm256_set1_ps(a); }\n"
    "GM_HOOK gm_i8 gm_i8_splat(int32_t a) { return (gm_i8)_mm256_set1_epi32(a); }\n"
    "GM_HOOK gm_v8 gm_v8_lanes(void)\n"
    "{\n"
    "    const gm_v8 lanes = {0, 1, 2, 3, 4, 5, 6, 7};\n"
    "    return lanes;\n"
    "}\n"
    "GM_HOOK gm_m8 gm_m8_splat(int a) { return gm_i8_splat(a ? -1 : 0); }\n"
    "GM_HOOK gm_m8 gm_m8_first(ptrdiff_t count)\n"
    "{\n"
    "    const gm_i8 lanes = {0, 1, 2, 3, 4, 5, 6, 7};\n"
    "    return lanes < gm_i8_splat((int32_t)count);\n"
    "}\n"
    "GM_HOOK gm_v8 gm_v8_load(const float *p) { return _mm256_loadu_ps(p); }\n"
    "GM_HOOK gm_v8 gm_v8_load_aligned(const float *p) { return _mm256_load_ps(p); }\n"
    "GM_HOOK gm_v8 gm_v8_load_part(const float *p, ptrdiff_t count) { return _mm256_maskload_ps(p, (__m256i)gm_m8_first(count)); }\n"
    "GM_HOOK void gm_v8_store(float *p, gm_v8 a) { _mm256_storeu_ps(p, a); }\n"
    "GM_HOOK void gm_v8_store_aligned(float *p, gm_v8 a) { _mm256_store_ps(p, a); }\n"
    "GM_HOOK void gm_v8_store_part(float *p, ptrdiff_t count, gm_v8 a) { _mm256_maskstore_ps(p, (__m256i)gm_m8_first(count), a); }\n"
    "GM_HOOK gm_v8 gm_v8_fma(gm_v8 a, gm_v8 b, gm_v8 c) { return _mm256_fmadd_ps(a, b, c); }\n"
    "GM_HOOK gm_v8 gm_v8_min(gm_v8 a, gm_v8 b) { return _mm256_min_ps(a, b); }\n"
    "GM_HOOK gm_v8 gm_v8_max(gm_v8 a, gm_v8 b) { return _mm256_max_ps(a, b); }\n"
    "GM_HOOK gm_v8 gm_v8_abs(gm_v8 a) { return (gm_v8)((gm_i8)a & 0x7fffffff); }\n"
    "GM_HOOK gm_v8 gm_v8_min_abs(gm_v8 a, gm_v8 b) { return gm_v8_min(b, gm_v8_abs(a)); }\n"
    "GM_HOOK gm_v8 gm_v8_positive(gm_v8 a) { return a - gm_v8_min(a, gm_v8_splat(0.0f)); }\n"
    "GM_HOOK gm_v8 gm_v8_sqrt(gm_v8 a) { return _mm256_sqrt_ps(a); }\n"
    "GM_HOOK gm_v8 gm_v8_floor(gm_v8 a) { return _mm256_round_ps(a, 0x09); }\n"
    "GM_HOOK gm_v8 gm_v8_round(gm_v8 a) { return _mm256_round_ps(a, 0x08); }\n"
    "GM_HOOK gm_m8 gm_v8_lt(gm_v8 a, gm_v8 b) { return (gm_m8)(a < b); }\n"
    "GM_HOOK gm_m8 gm_v8_le(gm_v8 a, gm_v8 b) { return (gm_m8)(a <= b); }\n"
    "GM_HOOK gm_m8 gm_v8_eq(gm_v8 a, gm_v8 b) { return (gm_m8)(a == b); }\n"
    "GM_HOOK gm_m8 gm_v8_ne(gm_v8 a, gm_v8 b) { return (gm_m8)(a != b); }\n"
    "GM_HOOK gm_m8 gm_m8_and(gm_m8 a, gm_m8 b) { return a & b; }\n"
    "GM_HOOK gm_m8 gm_m8_or(gm_m8 a, gm_m8 b) { return a | b; }\n"
    "GM_HOOK gm_m8 gm_m8_not(gm_m8 a) { return ~a; }\n"
    "GM_HOOK gm_v8 gm_v8_select(gm_m8 m, gm_v8 a, gm_v8 b) { return _mm256_blendv_ps(b, a, (gm_v8)m); }\n"
    "GM_HOOK gm_v8 gm_v8_from_int(gm_i8 a) { return _mm256_cvtepi32_ps((__m256i)a); }\n"
    "GM_HOOK gm_i8 gm_v8_to_int(gm_v8 a) { return (gm_i8)_mm256_cvttps_epi32(a); }\n"
    "GM_HOOK gm_v8 gm_v8_scale(gm_v8 a, gm_v8 n)\n"
    "{\n"
    "    const gm_i8 whole = (gm_i8)_mm256_cvtps_epi32(n), half = whole >> 1;\n"
    "    return a * (gm_v8)((gm_u8)(half + 127) << 23) * (gm_v8)((gm_u8)(whole - half + 127) << 23);\n"
    "}\n"
    "GM_HOOK gm_v8 gm_v8_lookup8(const float *table, gm_i8 index) { return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), (__m256i)index); }\n"
    "GM_HOOK gm_v8 gm_v8_lookup16(const float *table, gm_i8 index)\n"
    "{\n"
    "    return _mm256_blendv_ps(gm_v8_lookup8(table, index), gm_v8_lookup8(table + 8, index), (gm_v8)(index << 28));\n"
    "}\n"
    "GM_HOOK gm_v8 gm_v8_lookup32(const float *table, gm_i8 index)\n"
    "{\n"
    "    return _mm256_blendv_ps(gm_v8_lookup16(table, index), gm_v8_lookup16(table + 16, index), (gm_v8)(index << 27));\n"
    "}\n"
    "GM_HOOK gm_i8 gm_i8_add(gm_i8 a, gm_i8 b) { return (gm_i8)((gm_u8)a + (gm_u8)b); }\n"
    "GM_HOOK gm_i8 gm_i8_sub(gm_i8 a, gm_i8 b) { return (gm_i8)((gm_u8)a - (gm_u8)b); }\n"
    "GM_HOOK gm_i8 gm_i8_mul(gm_i8 a, gm_i8 b) { return (gm_i8)((gm_u8)a * (gm_u8)b); }\n"
    "GM_HOOK gm_i8 gm_i8_shift_left(gm_i8 a, int count) { return (gm_i8)((gm_u8)a << count); }\n"
    "GM_HOOK gm_i8 gm_i8_shift_right(gm_i8 a, int count) { return a >> count; }\n"
    "/* The halves and pairs exchanged: one level each of the tree of a sum over lanes. */\n"
    "GM_HOOK gm_v8 gm_v8_swap4(gm_v8 a) { return _mm256_permute2f128_ps(a, a, 0x01); }\n"
    "GM_HOOK gm_v8 gm_v8_swap2(gm_v8 a) { return _mm256_shuffle_ps(a, a, 0x4e); }\n"
    "GM_HOOK gm_v8 gm_v8_swap1(gm_v8 a) { return _mm256_shuffle_ps(a, a, 0xb1); }\n"
    "GM_HOOK gm_v8 gm_v8_zip_low(gm_v8 a, gm_v8 b) { return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20); }\n"
    "GM_HOOK gm_v8 gm_v8_zip_high(gm_v8 a, gm_v8 b) { return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31); }\n"
    "GM_HOOK gm_v8 gm_v8_min_nan(gm_v8 a, gm_v8 b) { return gm_v8_select(gm_v8_ne(a, a), a, gm_v8_min(a, b)); }\n"
    "GM_HOOK gm_v8 gm_v8_max_nan(gm_v8 a, gm_v8 b) { return gm_v8_select(gm_v8_ne(a, a), a, gm_v8_max(a, b)); }\n"
    "GM_HOOK float gm_v8_sum(gm_v8 a)\n"
    "{\n"
    "    a = a + gm_v8_swap4(a);\n"
    "    a = a + gm_v8_swap2(a);\n"
    "    return a[0] + a[1];\n"
    "}\n"
    "GM_HOOK float gm_v8_product(gm_v8 a)\n"
    "{\n"
    "    a = a * gm_v8_swap4(a);\n"
    "    a = a * gm_v8_swap2(a);\n"
    "    return a[0] * a[1];\n"
    "}\n"
    "GM_HOOK float gm_v8_least(gm_v8 a)\n"
    "{\n"
    "    a = gm_v8_min_nan(a, gm_v8_swap4(a));\n"
    "    a = gm_v8_min_nan(a, gm_v8_swap2(a));\n"
    "    return gm_v8_min_nan(a, gm_v8_swap1(a))[0];\n"
    "}\n"
    "GM_HOOK float gm_v8_greatest(gm_v8 a)\n"
    "{\n"
    "    a = gm_v8_max_nan(a, gm_v8_swap4(a));\n"
    "    a = gm_v8_max_nan(a, gm_v8_swap2(a));\n"
    "    return gm_v8_max_nan(a, gm_v8_swap1(a))[0];\n"
    "}\n"
    "GM_HOOK float gm_v8_fma1(float a, float b, float c)\n"
    "{\n"
    "    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));\n"
    "}\n"
    "#undef GM_HOOK\n"
    "#endif\n";

static const char *hooks_of(int lanes)
{
    if (lanes == 16) return hooks_16;
    if (lanes == 8) return hooks_8;
    if (lanes == 4) return hooks_4;
    bug("no hooks for vectors of %d lanes", lanes);
}

void print_c_hooks(const Target *target, Writer *writer)
{
    const char *text = hooks_of(target->lanes);
    for (const char *at; (at = strchr(text, '@')); text = at + 1) {
        text_add_bytes(writer->out, text, (size_t)(at - text));
        text_add(writer->out, target->attribute);
    }
    text_add(writer->out, text);
}
