/* Text to ids: pieces, bytes, and words cut as Hugging Face's tokenizer cuts them (expected values by transformers 5.23.0). */
#include "gm_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char words[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nun\n##want\n##ed\nrun\n##ning\n,\n.\n!\n?\n'\nit\ns\n5\n##30\n##pm\n:\n"
    "cafe\nstrasse\nistanbul\nnaive\n\344\273\212\n\346\227\245\n\343\201\257\n\341\204\222\n##\341\205\241\n"
    "##\341\206\253\n\303\237\nCaf\303\251\n##e\n(\n)\n[\n]\nhello\na\n##a\n"
    "\317\203\316\277\317\206\316\277\317\202\nfi\n\357\254\201\n";

static const struct {
    int plain;
    const char *text, *entries;
} cases[] = {
    {1, "unwanted  running", "un ##want ##ed run ##ning"},
    {1, "UnWanted, RUNNING!", "un ##want ##ed , run ##ning !"},
    {1, "it's 5:30pm.", "it ' s 5 : [UNK] ."},
    {1, "Caf\303\251 cafe\314\201", "cafe cafe"},
    {1, "\304\260stanbul", "istanbul"},
    {1, "na\303\257ve\342\200\213na\303\257ve", "[UNK]"},
    {1, "\344\273\212\346\227\245\343\201\257", "\344\273\212 \346\227\245 \343\201\257"},
    {1, "\355\225\234", "\341\204\222 ##\341\205\241 ##\341\206\253"},
    {1, "[MASK] the[MASK]. [mask]", "[MASK] the [MASK] . [ [UNK] ]"},
    {1, "the\302\240the\011the\012the", "the the the the"},
    {1, "unknowable the", "[UNK] the"},
    {1, "\316\243\316\237\316\246\316\237\316\243", "[UNK]"},
    {1, "\357\254\201", "\357\254\201"},
    {1, "hello\001\357\277\275hello", "[UNK]"},
    {1, "stra\303\237e (the)", "[UNK] ( the )"},
    {1, "", ""},
    {1, "   ", ""},
    {0, "unwanted  running", "un ##want ##ed run ##ning"},
    {0, "UnWanted, RUNNING!", "[UNK] , [UNK] !"},
    {0, "it's 5:30pm.", "it ' s 5 : [UNK] ."},
    {0, "Caf\303\251 cafe\314\201", "Caf\303\251 [UNK]"},
    {0, "\304\260stanbul", "[UNK]"},
    {0, "na\303\257ve\342\200\213na\303\257ve", "[UNK]"},
    {0, "\344\273\212\346\227\245\343\201\257", "\344\273\212 \346\227\245 \343\201\257"},
    {0, "\355\225\234", "[UNK]"},
    {0, "[MASK] the[MASK]. [mask]", "[MASK] the [MASK] . [ [UNK] ]"},
    {0, "the\302\240the\011the\012the", "the the the the"},
    {0, "unknowable the", "[UNK] the"},
    {0, "\316\243\316\237\316\246\316\237\316\243", "[UNK]"},
    {0, "\357\254\201", "\357\254\201"},
    {0, "hello\001\357\277\275hello", "[UNK]"},
    {0, "stra\303\237e (the)", "[UNK] ( the )"},
    {0, "", ""},
    {0, "   ", ""},
};

static void check(const gm_vocabulary *v, const char *text, size_t bytes, int32_t unknown, const char *wanted)
{
    int32_t ids[256];
    char got[1024] = "";
    size_t count = gm_text_encode(v, text, bytes, unknown, ids, 256, NULL);
    assert_true(count <= 256);
    for (size_t i = 0; i < count; i++) {
        if (i) strcat(got, " ");
        strcat(got, gm_vocabulary_entry(v, ids[i], NULL));
    }
    assert_string_equal(got, wanted);
}

static void test_words(void **state)
{
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        const gm_text_options options = {GM_TEXT_WORDPIECE, plain, 0};
        gm_vocabulary *v = gm_vocabulary_new(words, sizeof words - 1, &options);
        assert_int_equal(gm_vocabulary_find(v, "the", 3), 5);
        assert_int_equal(gm_vocabulary_find(v, "th", 2), -1);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            if (cases[i].plain == plain) check(v, cases[i].text, strlen(cases[i].text), 1, cases[i].entries);
        char text[102];
        int32_t ids[200];
        memset(text, 'a', sizeof text);
        assert_int_equal(gm_text_encode(v, text, 100, 1, ids, 200, NULL), 100); /* a word of 100 is cut, of 101 is unknown */
        assert_int_equal(gm_text_encode(v, text, 101, 1, ids, 200, NULL), 1);
        assert_int_equal(ids[0], 1);
        gm_vocabulary_free(v);
    }
}

static void test_pieces(void **state)
{
    (void)state;
    const gm_text_options options = {GM_TEXT_PIECES, 0, 0};
    static const char lines[] = "a\nab\nabcd\n the\n\\x20\n\\n\n\\\\\nb\r\n\303\251\nab\n";
    gm_vocabulary *v = gm_vocabulary_new(lines, sizeof lines - 1, &options);
    assert_int_equal(gm_vocabulary_count(v), 10);
    static const int32_t wanted[] = {2, 1, -1, 0, 3, 4, -1, 5, 6, 7, 8, -1};
    int32_t ids[16];
    size_t unknowns, bytes;
    /* abcd ab c a " the" " " t \n \ b e-acute, and a broken byte */
    static const char text[] = "abcdabca the t\n\\b\303\251\377";
    assert_int_equal(gm_text_encode(v, text, sizeof text - 1, -1, ids, 16, &unknowns), 12);
    assert_memory_equal(ids, wanted, sizeof wanted);
    assert_int_equal(unknowns, 3);
    /* no more than asked for is written */
    memset(ids, 0, sizeof ids);
    assert_int_equal(gm_text_encode(v, text, sizeof text - 1, -1, ids, 2, NULL), 12);
    assert_int_equal(ids[2], 0);
    assert_string_equal(gm_vocabulary_entry(v, 4, &bytes), " ");
    assert_int_equal(bytes, 1);
    assert_null(gm_vocabulary_entry(v, 10, NULL));
    assert_null(gm_vocabulary_entry(v, -1, NULL));
    char out[8];
    assert_int_equal(gm_text_decode(v, 3, 0, out, 8), 4);
    assert_memory_equal(out, " the", 4);
    assert_int_equal(gm_text_decode(v, 99, 0, out, 8), 0);
    gm_vocabulary_free(v);
    v = gm_vocabulary_new("", 0, &options);
    assert_int_equal(gm_vocabulary_count(v), 0);
    assert_int_equal(gm_text_encode(v, "ab", 2, 7, ids, 16, &unknowns), 2);
    assert_int_equal(ids[1], 7);
    gm_vocabulary_free(v);
}

static void test_bytes(void **state)
{
    (void)state;
    const gm_text_options options = {GM_TEXT_BYTES, 0, 3};
    gm_vocabulary *v = gm_vocabulary_new(NULL, 0, &options);
    int32_t ids[4];
    char out[4];
    assert_int_equal(gm_text_encode(v, "A\377", 2, -1, ids, 4, NULL), 2);
    assert_int_equal(ids[0], 'A' + 3);
    assert_int_equal(ids[1], 258);
    assert_int_equal(gm_text_decode(v, 'A' + 3, 1, out, 4), 1);
    assert_int_equal(out[0], 'A');
    assert_int_equal(gm_text_decode(v, 2, 1, out, 4), 0);
    assert_int_equal(gm_vocabulary_count(v), 259);
    gm_vocabulary_free(v);
}

static void test_decoding_words(void **state)
{
    (void)state;
    const gm_text_options options = {GM_TEXT_WORDPIECE, 1, 0};
    gm_vocabulary *v = gm_vocabulary_new(words, sizeof words - 1, &options);
    int32_t ids[16];
    char out[64];
    size_t count = gm_text_encode(v, "the unwanted running", 20, 1, ids, 16, NULL), length = 0;
    for (size_t i = 0; i < count; i++) length += gm_text_decode(v, ids[i], i == 0, out + length, sizeof out - length);
    assert_int_equal(length, 20);
    assert_memory_equal(out, "the unwanted running", 20);
    assert_int_equal(gm_text_decode(v, ids[1], 0, out, 0), 3); /* counts where nothing may be written */
    gm_vocabulary_free(v);
}

/* Any bytes: ids stay inside, the count does not depend on the room. */
static void test_any_bytes(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int kind = GM_TEXT_PIECES; kind <= GM_TEXT_BYTES; kind++) {
        const gm_text_options options = {kind, 1, 0};
        gm_vocabulary *v = gm_vocabulary_new(words, sizeof words - 1, &options);
        for (int round = 0; round < 3000; round++) {
            char text[40];
            int32_t ids[200];
            size_t bytes = seed % 40;
            for (size_t i = 0; i < bytes; i++) {
                seed = seed * 1664525u + 1013904223u;
                text[i] = (char)(seed >> 24);
            }
            size_t count = gm_text_encode(v, text, bytes, 1, ids, 200, NULL);
            assert_int_equal(gm_text_encode(v, text, bytes, 1, NULL, 0, NULL), count);
            assert_true(count <= 200);
            for (size_t i = 0; i < count; i++) assert_true(ids[i] >= 0 && ids[i] < gm_vocabulary_count(v));
            seed = seed * 1664525u + 1013904223u;
            seed ^= seed >> 16;
        }
        gm_vocabulary_free(v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words), cmocka_unit_test(test_pieces), cmocka_unit_test(test_bytes), cmocka_unit_test(test_decoding_words), cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
