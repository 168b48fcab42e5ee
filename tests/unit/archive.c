/* Readers of checkpoints: good files of every kind read exactly, hostile ones end in an error. */
#include "weights/archive.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <cmocka.h>

typedef struct {
    Arena *arena;
    Diagnostics *diags;
    Text file;
} Fixture;

static Fixture begin(void)
{
    Arena *arena = arena_new();
    return (Fixture){arena, diagnostics_new(arena), text_new(arena)};
}

static void end(Fixture *f)
{
    arena_free(f->arena);
}

static void add_u64(Text *text, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(value >> (8 * i));
    text_add_bytes(text, bytes, 8);
}

/* A safetensors file of this header and so many zero bytes of data. */
static void safetensors(Fixture *f, const char *header, size_t data)
{
    f->file = text_new(f->arena);
    add_u64(&f->file, strlen(header));
    text_add(&f->file, header);
    for (size_t i = 0; i < data; i++) text_add_bytes(&f->file, "", 1);
}

/* The archive of bytes copied to a block of exactly their size, so that a read beyond the end is seen by the sanitizer. */
static Archive *open_file(Fixture *f, unsigned char **exact)
{
    *exact = malloc(f->file.length ? f->file.length : 1);
    memcpy(*exact, f->file.data, f->file.length);
    return archive_open_bytes(f->arena, "test.safetensors", *exact, f->file.length, f->diags);
}

static bool opens(Fixture *f)
{
    unsigned char *exact;
    Archive *archive = open_file(f, &exact);
    archive_close(archive);
    free(exact);
    assert_int_equal(f->diags->error_count > 0, archive == NULL);
    f->diags = diagnostics_new(f->arena);
    return archive != NULL;
}

/* --- safetensors -------------------------------------------------------------------------------------------------- */

static void test_safetensors_good(void **state)
{
    (void)state;
    Fixture f = begin();
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},\"a.w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[3,19]},"
                         "\"h\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[19,25]},\"b\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[25,27]},"
                         "\"flags\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]},\"e\\u00e9\":{\"dtype\":\"I8\",\"shape\":[0,5],\"data_offsets\":[27,27]},"
                         "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[27,35]}}   ";
    safetensors(&f, header, 35);
    unsigned char *data = (unsigned char *)f.file.data + 8 + strlen(header);
    memcpy(data, "\1\0\1", 3);
    float values[4] = {1.5f, -2, INFINITY, 1e-40f};
    memcpy(data + 3, values, 16); /* not aligned to four bytes */
    memcpy(data + 19, "\x00\x3c\x01\x00\xff\xfb", 6); /* 1, the smallest subnormal, -65504 */
    memcpy(data + 25, "\x80\xbf", 2);                 /* -1 */
    double third = 1.0 / 3;
    memcpy(data + 27, &third, 8);
    unsigned char *exact;
    Archive *archive = open_file(&f, &exact);
    assert_non_null(archive);
    assert_int_equal(archive->tensors.count, 6);
    float out[4];
    assert_true(archive_read_f32(archive, archive_find(archive, "a.w"), out, f.diags));
    assert_memory_equal(out, values, 16);
    assert_true(archive_read_f32(archive, archive_find(archive, "h"), out, f.diags));
    assert_true(out[0] == 1 && out[1] == 0x1p-24f && out[2] == -65504);
    assert_true(archive_read_f32(archive, archive_find(archive, "b"), out, f.diags));
    assert_true(out[0] == -1);
    assert_true(archive_read_f32(archive, archive_find(archive, "d"), out, f.diags));
    assert_true(out[0] == (float)third);
    double wide;
    assert_true(archive_read_f64(archive, archive_find(archive, "d"), &wide, f.diags));
    assert_true(wide == third);
    int64_t flags[3];
    assert_true(archive_read_integers(archive, archive_find(archive, "flags"), flags, f.diags));
    assert_true(flags[0] == 1 && flags[1] == 0 && flags[2] == 1);
    assert_int_equal(archive_find(archive, "e\xc3\xa9")->count, 0);
    assert_false(archive_read_integers(archive, archive_find(archive, "d"), flags, f.diags));
    archive_close(archive);
    free(exact);
    end(&f);
}

#define ENTRY(name, type, shape, from, to) "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static void test_safetensors_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        bool good;
    } cases[] = {
        {"{" ENTRY("a", "F32", "[1]", "0", "4") "}", 4, true},
        {"{}", 0, true},
        {"{" ENTRY("a", "F4", "[4]", "0", "2") "}", 2, true},
        {"{" ENTRY("a", "F32", "[1]", "0", "4") "}", 5, false},                                          /* trailing byte */
        {"{" ENTRY("a", "F32", "[1]", "0", "4") "}", 3, false},                                          /* cut short */
        {"{" ENTRY("a", "F32", "[1]", "1", "5") "}", 5, false},                                          /* hole at the front */
        {"{" ENTRY("a", "F32", "[1]", "0", "4") "," ENTRY("b", "F32", "[1]", "2", "6") "}", 6, false},   /* overlap */
        {"{" ENTRY("a", "F32", "[1]", "0", "4") "," ENTRY("b", "F32", "[1]", "5", "9") "}", 9, false},   /* hole */
        {"{" ENTRY("a", "F32", "[1]", "0", "4") "," ENTRY("a", "F32", "[1]", "4", "8") "}", 8, false},   /* the same name twice */
        {"{" ENTRY("a", "F32", "[2]", "0", "4") "}", 4, false},                                          /* shape against bytes */
        {"{" ENTRY("a", "F32", "[4611686018427387904,4]", "0", "0") "}", 0, false},                      /* overflow to zero */
        {"{" ENTRY("a", "F32", "[9223372036854775807,9223372036854775807]", "0", "4") "}", 4, false},
        {"{" ENTRY("a", "F32", "[18446744073709551617]", "0", "4") "}", 4, false},
        {"{" ENTRY("a", "F32", "[-1]", "0", "4") "}", 4, false},
        {"{" ENTRY("a", "F32", "[1.0]", "0", "4") "}", 4, false},
        {"{" ENTRY("a", "F32", "[1]", "4", "0") "}", 4, false},
        {"{" ENTRY("a", "F32", "[1]", "-4", "0") "}", 4, false},
        {"{" ENTRY("a", "F32", "[1]", "0", "4000000000000") "}", 4, false},
        {"{" ENTRY("a", "F4", "[3]", "0", "2") "}", 2, false},                                           /* no whole byte */
        {"{" ENTRY("a", "Q7", "[1]", "0", "4") "}", 4, false},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, false},
        {"{\"a\":[1,2]}", 0, false},
        {"{\"a\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, false},
        {"{\"__metadata__\":{\"n\":1}}", 0, false},
        {"{\"__metadata__\":[]}", 0, false},
        {" {}", 0, false},
        {"[]", 0, false},
        {"{", 0, false},
        {"{}{}", 0, false},
        {"{},", 0, false},
        {"{\"a\xff\":{}}", 0, false},
        {"", 0, false},
    };
    Fixture f = begin();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        safetensors(&f, cases[i].header, cases[i].data);
        if (opens(&f) != cases[i].good) fail_msg("case %zu: %s", i, cases[i].header);
    }
    end(&f);
}

static void test_safetensors_limits(void **state)
{
    (void)state;
    Fixture f = begin();
    for (size_t length = 0; length < 8; length++) { /* shorter than the length itself */
        f.file = text_new(f.arena);
        text_add_bytes(&f.file, "\2\0\0\0\0\0\0\0", length);
        assert_false(opens(&f));
    }
    static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 7, 100000001, 11, (uint64_t)1 << 63};
    for (int i = 0; i < 5; i++) {
        f.file = text_new(f.arena);
        add_u64(&f.file, lengths[i]);
        text_add(&f.file, "{}        ");
        assert_false(opens(&f));
    }
    Text deep = text_new(f.arena);
    text_add(&deep, "{\"a\":");
    for (int i = 0; i < 1000000; i++) text_add(&deep, "[");
    safetensors(&f, text_string(&deep), 0);
    assert_false(opens(&f));
    Text wide = text_new(f.arena);
    text_add(&wide, "{\"a\":{\"dtype\":\"F32\",\"shape\":[0");
    for (int i = 0; i < 1000000; i++) text_add(&wide, ",1");
    text_add(&wide, "],\"data_offsets\":[0,0]}}");
    safetensors(&f, text_string(&wide), 0);
    assert_false(opens(&f));
    end(&f);
}

/* Every prefix and every flipped byte of a good file: an answer, never a crash. */
static void test_safetensors_damaged(void **state)
{
    (void)state;
    Fixture f = begin();
    safetensors(&f, "{" ENTRY("a", "F32", "[2,1]", "0", "8") "," ENTRY("b", "I64", "[]", "8", "16") "}", 16);
    size_t size = f.file.length;
    char *good = arena_strndup(f.arena, f.file.data, size);
    for (size_t cut = 0; cut < size; cut++) {
        f.file.length = cut;
        assert_false(opens(&f));
    }
    f.file.length = size;
    for (size_t i = 0; i < size - 16; i++) {
        for (int bit = 0; bit < 8; bit++) {
            f.file.data[i] = (char)(good[i] ^ (1 << bit));
            opens(&f);
        }
        f.file.data[i] = good[i];
    }
    end(&f);
}

/* --- npy and npz -------------------------------------------------------------------------------------------------- */

static void npy(Text *out, int version, const char *dict, const void *data, size_t bytes)
{
    char head[12] = "\x93NUMPY";
    size_t length = strlen(dict);
    head[6] = (char)version;
    head[8] = (char)length;
    head[9] = (char)(length >> 8);
    text_add_bytes(out, head, version == 1 ? 10 : 12);
    text_add_bytes(out, dict, length);
    text_add_bytes(out, data, bytes);
}

static void test_npy(void **state)
{
    (void)state;
    static const unsigned char zeros[16];
    static const struct {
        const char *dict;
        size_t bytes;
        bool good;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }  \n", 16, true},
        {"{'shape': (4,), 'fortran_order': True, 'descr': '>f4'}\n", 16, true},
        {"{'descr': '|V2', 'fortran_order': False, 'shape': (8,), }\n", 16, true},
        {"{\"descr\": \"|b1\", 'fortran_order': False, 'shape': (16L,), }\n", 16, true},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", 8, true},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 0), }\n", 0, true},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n", 16, false},
        {"{'descr': 'O', 'fortran_order': False, 'shape': (2,), }\n", 16, false},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }\n", 16, false},
        {"{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }\n", 16, false},
        {"{'descr': '<f16', 'fortran_order': False, 'shape': (1,), }\n", 16, false},
        {"{'descr': '|f4', 'fortran_order': False, 'shape': (4,), }\n", 16, false},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (4,), }\n", 16, false},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4), }\n", 16, false},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }\n", 16, false},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }\n", 16, false},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n", 16, false},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }\n", 0, false},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }\n", 16, false},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'x': 1}\n", 16, false},
        {"{'descr': '<f4', 'fortran_order': False, 'fortran_order': False, 'shape': (4,)}\n", 16, false},
        {"{'descr': '<f4', 'fortran_order': False, }\n", 16, false},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4,)", 16, false},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4,)} x\n", 16, false},
        {"__import__('os').system('false')", 16, false},
        {"", 16, false},
    };
    Fixture f = begin();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int version = 1; version <= 3; version++) {
            f.file = text_new(f.arena);
            npy(&f.file, version, cases[i].dict, zeros, cases[i].bytes);
            if (opens(&f) != cases[i].good) fail_msg("case %zu: %s", i, cases[i].dict);
            for (size_t cut = 0; cases[i].good && version == 1 && cut < f.file.length; cut++) {
                size_t whole = f.file.length;
                f.file.length = cut;
                assert_false(opens(&f));
                f.file.length = whole;
            }
        }
    f.file = text_new(f.arena);
    npy(&f.file, 4, cases[0].dict, zeros, 16);
    assert_false(opens(&f));
    end(&f);
}

static void test_npy_order(void **state)
{
    (void)state;
    Fixture f = begin();
    const unsigned char big[] = {0x3f, 0x80, 0, 0, 0x40, 0, 0, 0, 0x40, 0x40, 0, 0, 0x40, 0x80, 0, 0, 0x40, 0xa0, 0, 0, 0x40, 0xc0, 0, 0};
    npy(&f.file, 1, "{'descr': '>f4', 'fortran_order': True, 'shape': (2, 3), }\n", big, sizeof big);
    unsigned char *exact;
    Archive *archive = open_file(&f, &exact);
    float out[6], wanted[6] = {1, 3, 5, 2, 4, 6};
    assert_non_null(archive);
    assert_true(archive_read_f32(archive, archive->tensors.data[0], out, f.diags));
    assert_memory_equal(out, wanted, sizeof out);
    archive_close(archive);
    free(exact);
    end(&f);
}

typedef struct {
    const char *name;
    Text bytes;
    zip_int32_t method;
} Member;

static void npz(Fixture *f, const Member *members, int count)
{
    zip_error_t error;
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, &error);
    zip_source_keep(source);
    zip_t *zip = zip_open_from_source(source, ZIP_TRUNCATE, &error);
    for (int i = 0; i < count; i++) {
        zip_int64_t at = zip_file_add(zip, members[i].name, zip_source_buffer(zip, members[i].bytes.data, members[i].bytes.length, 0), 0);
        zip_set_file_compression(zip, (zip_uint64_t)at, members[i].method, 9);
    }
    assert_int_equal(zip_close(zip), 0);
    zip_stat_t status;
    zip_source_open(source);
    zip_source_stat(source, &status);
    f->file = text_new(f->arena);
    char *bytes = arena_alloc(f->arena, status.size);
    zip_source_read(source, bytes, status.size);
    zip_source_close(source);
    zip_source_free(source);
    text_add_bytes(&f->file, bytes, status.size);
}

static const char *const f4 = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000,), }\n";

static void make_npz(Fixture *f, zip_int32_t method)
{
    float values[1000];
    for (int i = 0; i < 1000; i++) values[i] = (float)i;
    Member members[] = {{"a/kernel.npy", text_new(f->arena), method}, {"readme.txt", text_new(f->arena), method}, {"step.npy", text_new(f->arena), method}};
    int64_t step = -7;
    npy(&members[0].bytes, 1, f4, values, sizeof values);
    text_add(&members[1].bytes, "hello");
    npy(&members[2].bytes, 2, "{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", &step, 8);
    npz(f, members, 3);
}

static void test_npz(void **state)
{
    (void)state;
    Fixture f = begin();
    for (int deflated = 0; deflated < 2; deflated++) {
        make_npz(&f, deflated ? ZIP_CM_DEFLATE : ZIP_CM_STORE);
        unsigned char *exact;
        Archive *archive = open_file(&f, &exact);
        assert_non_null(archive);
        assert_int_equal(archive->tensors.count, 2);
        float out[1000];
        assert_true(archive_read_f32(archive, archive_find(archive, "a/kernel"), out, f.diags));
        assert_true(out[0] == 0 && out[999] == 999);
        int64_t step;
        assert_true(archive_read_integers(archive, archive_find(archive, "step"), &step, f.diags));
        assert_int_equal(step, -7);
        archive_close(archive);
        free(exact);
    }
    end(&f);
}

static void read_everything(Fixture *f)
{
    unsigned char *exact;
    Archive *archive = open_file(f, &exact);
    for (int i = 0; archive && i < archive->tensors.count; i++) {
        const ForeignTensor *tensor = archive->tensors.data[i];
        assert_true((uint64_t)tensor->count <= tensor->bytes * 2);
        float *out = malloc((size_t)tensor->count * sizeof *out + 1);
        archive_read_f32(archive, tensor, out, f->diags);
        free(out);
    }
    archive_close(archive);
    free(exact);
    f->diags = diagnostics_new(f->arena);
}

static void test_npz_damaged(void **state)
{
    (void)state;
    for (int deflated = 0; deflated < 2; deflated++) {
        Fixture f = begin();
        make_npz(&f, deflated ? ZIP_CM_DEFLATE : ZIP_CM_STORE);
        size_t size = f.file.length;
        char *good = arena_strndup(f.arena, f.file.data, size);
        for (size_t cut = 0; cut < size; cut += size / 200 + 1) {
            f.file.length = cut;
            assert_false(opens(&f));
        }
        f.file.length = size;
        for (size_t i = 0; i < size; i += i < 200 || i + 400 > size ? 1 : 37) {
            f.file.data[i] = (char)(good[i] ^ 0xff);
            read_everything(&f);
            f.file.data[i] = (char)(good[i] ^ 1);
            read_everything(&f);
            f.file.data[i] = good[i];
        }
        end(&f);
    }
}

/* The checksum of a stored member is looked at: a changed value is an error. */
static void test_npz_checksum(void **state)
{
    (void)state;
    Fixture f = begin();
    make_npz(&f, ZIP_CM_STORE);
    f.file.data[600] ^= 1;
    unsigned char *exact;
    Archive *archive = open_file(&f, &exact);
    assert_non_null(archive);
    float out[1000];
    assert_false(archive_read_f32(archive, archive_find(archive, "a/kernel"), out, f.diags));
    archive_close(archive);
    free(exact);
    end(&f);
}

/* A directory that promises petabytes, and a header that promises more than its member. */
static void test_npz_bomb(void **state)
{
    (void)state;
    Fixture f = begin();
    Member member = {"a.npy", text_new(f.arena), ZIP_CM_DEFLATE};
    npy(&member.bytes, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (250000000000,), }\n", "", 1);
    npz(&f, &member, 1);
    assert_false(opens(&f));
    for (size_t i = 0; i + 46 < f.file.length; i++)
        if (memcmp(f.file.data + i, "PK\1\2", 4) == 0) memcpy(f.file.data + i + 24, "\xf0\xff\xff\xff", 4); /* uncompressed size */
    assert_false(opens(&f));
    Member pickle = {"archive/data.pkl", text_new(f.arena), ZIP_CM_STORE};
    text_add(&pickle.bytes, "\x80\2}.");
    npz(&f, &pickle, 1);
    unsigned char *exact;
    assert_null(open_file(&f, &exact));
    assert_true(diagnostic_find("GM123", &(DiagnosticCode){0}));
    Text text = text_new(f.arena);
    diagnostics_print(f.diags, &text, false);
    assert_non_null(strstr(text_string(&text), "GM123"));
    assert_non_null(strstr(text_string(&text), "save_file"));
    free(exact);
    end(&f);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void write_bytes(Fixture *f, const char *path, const void *data, size_t size)
{
    const char *error;
    (void)f;
    assert_true(file_write(path, data, size, &error));
}

static void test_shards(void **state)
{
    (void)state;
    Fixture f = begin();
    char directory[] = "/tmp/gm_shards_XXXXXX";
    assert_non_null(mkdtemp(directory));
    const char *index = arena_printf(f.arena, "%s/model.safetensors.index.json", directory);
    const char *one = arena_printf(f.arena, "%s/one.safetensors", directory), *two = arena_printf(f.arena, "%s/two.safetensors", directory);
    safetensors(&f, "{" ENTRY("a", "F32", "[1]", "0", "4") "}", 4);
    write_bytes(&f, one, f.file.data, f.file.length);
    safetensors(&f, "{" ENTRY("b", "F32", "[2]", "0", "8") "}", 8);
    write_bytes(&f, two, f.file.data, f.file.length);
    static const struct {
        const char *json;
        int count;
    } cases[] = {
        {"{\"metadata\":{\"total_size\":12},\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}", 2},
        {"{\"weight_map\":{\"a\":\"one.safetensors\"}}", 1},
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}", 0},
        {"{\"weight_map\":{\"a\":\"x/../../one.safetensors\"}}", 0},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", 0},
        {"{\"weight_map\":{\"a\":\"two.safetensors\"}}", 0},
        {"{\"weight_map\":{\"a\":\"none.safetensors\"}}", 0},
        {"{\"weight_map\":{\"a\":5}}", 0},
        {"{\"weight_map\":[]}", 0},
        {"{}", 0},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"a\":\"two.safetensors\"}}", 0},
        {"{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}", 0},
        {"{\"weight_map\":{\"a\":\"\"}}", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_bytes(&f, index, cases[i].json, strlen(cases[i].json));
        Archive *archive = archive_open(f.arena, i % 2 ? index : directory, f.diags);
        if ((archive ? archive->tensors.count : 0) != cases[i].count) fail_msg("case %zu: %s", i, cases[i].json);
        if (archive && cases[i].count == 2) {
            float out[2] = {1, 1};
            assert_true(archive_read_f32(archive, archive_find(archive, "b"), out, f.diags));
            assert_true(out[0] == 0 && out[1] == 0);
        }
        archive_close(archive);
    }
    unlink(index);
    unlink(one);
    unlink(two);
    assert_null(archive_open(f.arena, directory, f.diags));
    rmdir(directory);
    assert_null(archive_open(f.arena, directory, f.diags));
    assert_null(archive_open(f.arena, "/dev/zero", f.diags));
    assert_null(archive_open(f.arena, "/dev/null", f.diags));
    end(&f);
}

static void test_other_formats(void **state)
{
    (void)state;
    static const char *const files[] = {"\x80\2}q\1.", "\x80\4\x95", "\x89HDF\r\n\x1a\n", "GGUF\3", "version https://git-lfs.github.com/spec/v1\n", "hello", "PK\3\4", "PK\5\6"};
    Fixture f = begin();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        f.file = text_new(f.arena);
        text_add(&f.file, files[i]);
        assert_false(opens(&f));
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors_good),    cmocka_unit_test(test_safetensors_hostile), cmocka_unit_test(test_safetensors_limits),
        cmocka_unit_test(test_safetensors_damaged), cmocka_unit_test(test_npy),                 cmocka_unit_test(test_npy_order),
        cmocka_unit_test(test_npz),                 cmocka_unit_test(test_npz_damaged),         cmocka_unit_test(test_npz_checksum),
        cmocka_unit_test(test_npz_bomb),            cmocka_unit_test(test_shards),              cmocka_unit_test(test_other_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
