/* Vocabularies and the three ways of cutting text. Unicode facts stand in gm_unicode.def. */
#include "gm_text.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *text;
    size_t bytes;
} Entry;

struct gm_vocabulary {
    gm_text_options options;
    char *text;            /* all entries, each ended by a zero byte */
    Entry *entries;
    int32_t count;
    int32_t *slots;        /* hash → id, -1: free */
    size_t slot_count;     /* a power of two */
    size_t longest;        /* bytes of the longest entry */
};

/* --- vocabulary --------------------------------------------------------------------------------------------------- */

static uint32_t hash_more(uint32_t hash, const char *text, size_t bytes)
{
    size_t i;
    for (i = 0; i < bytes; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash;
}

#define HASH_BEGIN 2166136261u

/* Looks for prefix + text. */
static int32_t find_joined(const gm_vocabulary *v, const char *prefix, size_t prefix_bytes, const char *text, size_t bytes)
{
    uint32_t hash = hash_more(hash_more(HASH_BEGIN, prefix, prefix_bytes), text, bytes);
    size_t slot;
    if (!v->slot_count) return -1;
    for (slot = hash & (v->slot_count - 1); v->slots[slot] >= 0; slot = (slot + 1) & (v->slot_count - 1)) {
        const Entry *entry = &v->entries[v->slots[slot]];
        if (entry->bytes == prefix_bytes + bytes && memcmp(entry->text, prefix, prefix_bytes) == 0 && memcmp(entry->text + prefix_bytes, text, bytes) == 0)
            return v->slots[slot];
    }
    return -1;
}

int32_t gm_vocabulary_find(const gm_vocabulary *v, const char *entry, size_t bytes)
{
    return find_joined(v, "", 0, entry, bytes);
}

int32_t gm_vocabulary_count(const gm_vocabulary *v)
{
    return v->count;
}

const char *gm_vocabulary_entry(const gm_vocabulary *v, int32_t id, size_t *bytes)
{
    if (id < 0 || id >= v->count || !v->entries) return NULL;
    if (bytes) *bytes = v->entries[id].bytes;
    return v->entries[id].text;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* One line into `out`, escapes resolved. Returns its bytes. */
static size_t read_entry(const char *line, size_t bytes, int escapes, char *out)
{
    size_t length = 0, i;
    for (i = 0; i < bytes; i++) {
        char c = line[i];
        if (escapes && c == '\\' && i + 1 < bytes) {
            char next = line[i + 1];
            if (next == 'x' && i + 3 < bytes && hex_digit(line[i + 2]) >= 0 && hex_digit(line[i + 3]) >= 0) {
                c = (char)(hex_digit(line[i + 2]) * 16 + hex_digit(line[i + 3]));
                i += 3;
            } else if (strchr("ntr\\", next) && next) {
                c = next == 'n' ? '\n' : next == 't' ? '\t' : next == 'r' ? '\r' : '\\';
                i++;
            }
        }
        out[length++] = c;
    }
    out[length] = 0;
    return length;
}

static void read_entries(gm_vocabulary *v, const char *text, size_t bytes)
{
    const char *end = text + bytes;
    char *out = v->text;
    while (text < end) {
        const char *stop = (const char *)memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((stop ? stop : end) - text), next = length + 1;
        if (length && text[length - 1] == '\r') length--;
        v->entries[v->count].text = out;
        v->entries[v->count].bytes = read_entry(text, length, v->options.kind == GM_TEXT_PIECES, out);
        if (v->entries[v->count].bytes > v->longest) v->longest = v->entries[v->count].bytes;
        out += v->entries[v->count].bytes + 1;
        v->count++;
        if (next > (size_t)(end - text)) break;
        text += next;
    }
}

static void fill_slots(gm_vocabulary *v)
{
    int32_t id;
    size_t i;
    for (i = 0; i < v->slot_count; i++) v->slots[i] = -1;
    for (id = 0; id < v->count; id++) {
        size_t slot = hash_more(HASH_BEGIN, v->entries[id].text, v->entries[id].bytes) & (v->slot_count - 1);
        if (gm_vocabulary_find(v, v->entries[id].text, v->entries[id].bytes) >= 0) continue; /* the first of equal entries counts */
        while (v->slots[slot] >= 0) slot = (slot + 1) & (v->slot_count - 1);
        v->slots[slot] = id;
    }
}

gm_vocabulary *gm_vocabulary_new(const void *text, size_t bytes, const gm_text_options *options)
{
    gm_vocabulary *v = (gm_vocabulary *)calloc(1, sizeof *v);
    const char *data = (const char *)text;
    size_t lines = 1, i;
    if (!v) return NULL;
    v->options = *options;
    if (options->kind == GM_TEXT_BYTES) {
        v->count = 256 + options->offset;
        return v;
    }
    for (i = 0; i < bytes; i++) lines += data[i] == '\n';
    for (v->slot_count = 16; v->slot_count < 2 * lines;) v->slot_count *= 2;
    v->text = (char *)malloc(bytes + lines + 1);
    v->entries = (Entry *)malloc(lines * sizeof *v->entries);
    v->slots = (int32_t *)malloc(v->slot_count * sizeof *v->slots);
    if (!v->text || !v->entries || !v->slots) {
        gm_vocabulary_free(v);
        return NULL;
    }
    if (bytes) read_entries(v, data, bytes);
    fill_slots(v);
    return v;
}

void gm_vocabulary_free(gm_vocabulary *v)
{
    if (!v) return;
    free(v->text);
    free(v->entries);
    free(v->slots);
    free(v);
}

/* --- what is written ---------------------------------------------------------------------------------------------- */

typedef struct {
    const gm_vocabulary *v;
    int32_t unknown, *ids;
    size_t capacity, count, unknowns;
} Output;

static void put_id(Output *out, int32_t id)
{
    if (out->count < out->capacity) out->ids[out->count] = id;
    out->count++;
}

static void put_unknown(Output *out)
{
    out->unknowns++;
    put_id(out, out->unknown);
}

/* --- code points -------------------------------------------------------------------------------------------------- */

typedef struct {
    uint32_t first, last;
} Range;

static const Range ignored[] = {
#define GM_IGNORED(first, last) {first, last},
#include "gm_unicode.def"
};
static const Range spaces[] = {
#define GM_SPACE(first, last) {first, last},
#include "gm_unicode.def"
};
static const Range punctuation[] = {
#define GM_PUNCTUATION(first, last) {first, last},
#include "gm_unicode.def"
};
static const Range marks[] = {
#define GM_MARK(first, last) {first, last},
#include "gm_unicode.def"
};
static const Range ideographs[] = {{0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xF900, 0xFAFF}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF}, {0x2F800, 0x2FA1F}};
static const struct {
    uint32_t first, last, step, to;
} plain_runs[] = {
#define GM_PLAIN(first, last, step, to) {first, last, step, to},
#include "gm_unicode.def"
};
static const struct {
    uint32_t from, to[4];
} plain_more[] = {
#define GM_PLAIN_MORE(from, a, b, c, d) {from, {a, b, c, d}},
#include "gm_unicode.def"
};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define INSIDE(ranges, code) inside(ranges, COUNT(ranges), code)

static int inside(const Range *ranges, size_t count, uint32_t code)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > ranges[middle].last) low = middle + 1;
        else if (code < ranges[middle].first) high = middle;
        else return 1;
    }
    return 0;
}

/* Small, without accents: up to four code points. Runs may interleave (every second letter): a code point is in the last run that begins
 * at or before it, or in the one before that. */
static int make_plain(uint32_t code, uint32_t *out)
{
    size_t low = 0, high = COUNT(plain_runs), i;
    int back;
    if (code < 0x80) {
        out[0] = code >= 'A' && code <= 'Z' ? code + 32 : code;
        return 1;
    }
    if (INSIDE(marks, code)) return 0;
    if (code >= 0xAC00 && code <= 0xD7A3) {
        uint32_t syllable = code - 0xAC00, tail = syllable % 28;
        out[0] = 0x1100 + syllable / 588;
        out[1] = 0x1161 + syllable % 588 / 28;
        out[2] = 0x11A7 + tail;
        return tail ? 3 : 2;
    }
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (plain_runs[middle].first <= code) low = middle + 1;
        else high = middle;
    }
    for (back = 1; back <= 2 && low >= (size_t)back; back++) {
        i = low - (size_t)back;
        if (code > plain_runs[i].last || (code - plain_runs[i].first) % plain_runs[i].step) continue;
        out[0] = plain_runs[i].to + (code - plain_runs[i].first);
        return 1;
    }
    for (i = 0; i < COUNT(plain_more); i++) {
        int count = 0;
        if (plain_more[i].from != code) continue;
        while (count < 4 && plain_more[i].to[count]) count++;
        memcpy(out, plain_more[i].to, sizeof plain_more[i].to);
        return count;
    }
    out[0] = code;
    return 1;
}

/* One code point of UTF-8; what is none gives U+FFFD and one byte. */
static uint32_t read_code(const char *text, size_t bytes, size_t *used)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t more = p[0] < 0x80 ? 0 : p[0] >= 0xC2 && p[0] < 0xE0 ? 1 : p[0] >= 0xE0 && p[0] < 0xF0 ? 2 : p[0] >= 0xF0 && p[0] < 0xF5 ? 3 : 9, i;
    uint32_t code = more == 0 ? p[0] : (uint32_t)p[0] & (0x3Fu >> more);
    *used = 1;
    if (more == 0) return code;
    if (more == 9 || more >= bytes) return 0xFFFD;
    for (i = 1; i <= more; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0xFFFD;
        code = code << 6 | (p[i] & 0x3Fu);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000) || (more == 2 && code < 0x800) || (more == 3 && code < 0x10000)) return 0xFFFD;
    *used = more + 1;
    return code;
}

static size_t write_code(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* --- wordpiece ---------------------------------------------------------------------------------------------------- */

enum { MOST_CODES = 100 }; /* of a word; longer ones are unknown */

typedef struct {
    char text[MOST_CODES * 4];
    size_t at[MOST_CODES + 1]; /* where each code point begins, and the end */
    int codes;                 /* may exceed MOST_CODES: then nothing more is kept */
} Word;

static void word_add(Word *word, uint32_t code)
{
    if (word->codes < MOST_CODES) word->at[word->codes + 1] = word->at[word->codes] + write_code(code, word->text + word->at[word->codes]);
    word->codes++;
}

/* Cuts the word; all or nothing. */
static void word_end(Word *word, Output *out)
{
    int32_t found[MOST_CODES];
    int count = 0, begin = 0, i;
    int codes = word->codes;
    word->codes = 0;
    if (codes == 0) return;
    while (codes <= MOST_CODES && begin < codes) {
        int end = codes;
        int32_t id = -1;
        for (; end > begin; end--) {
            id = find_joined(out->v, "##", begin ? 2 : 0, word->text + word->at[begin], word->at[end] - word->at[begin]);
            if (id >= 0) break;
        }
        if (id < 0) break;
        found[count++] = id;
        begin = end;
    }
    if (codes > MOST_CODES || begin < codes) {
        put_unknown(out);
        return;
    }
    for (i = 0; i < count; i++) put_id(out, found[i]);
}

/* "[MASK]" and the like, when the vocabulary has it: its bytes, else 0. */
static size_t marked_name(const gm_vocabulary *v, const char *text, size_t bytes, int32_t *id)
{
    size_t length = 1;
    if (text[0] != '[') return 0;
    while (length < bytes && length < 32 && text[length] >= 'A' && text[length] <= 'Z') length++;
    if (length < 2 || length >= bytes || text[length] != ']') return 0;
    *id = gm_vocabulary_find(v, text, length + 1);
    return *id >= 0 ? length + 1 : 0;
}

static void encode_words(Output *out, const char *text, size_t bytes)
{
    Word word;
    size_t at = 0, used;
    word.codes = 0;
    word.at[0] = 0;
    while (at < bytes) {
        uint32_t codes[4] = {0}, code;
        int32_t id;
        int count = 1, i;
        used = marked_name(out->v, text + at, bytes - at, &id);
        if (used) {
            word_end(&word, out);
            put_id(out, id);
            at += used;
            continue;
        }
        code = read_code(text + at, bytes - at, &used);
        at += used;
        if (INSIDE(ignored, code)) continue;
        if (INSIDE(spaces, code)) {
            word_end(&word, out);
            continue;
        }
        codes[0] = code;
        if (out->v->options.plain) count = make_plain(code, codes);
        for (i = 0; i < count; i++) {
            int alone = INSIDE(punctuation, codes[i]) || INSIDE(ideographs, code);
            if (alone) word_end(&word, out);
            word_add(&word, codes[i]);
            if (alone) word_end(&word, out);
        }
    }
    word_end(&word, out);
}

/* --- pieces, bytes ------------------------------------------------------------------------------------------------ */

static void encode_pieces(Output *out, const char *text, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        size_t length = out->v->longest < bytes - at ? out->v->longest : bytes - at, used;
        int32_t id = -1;
        for (; length; length--) {
            id = gm_vocabulary_find(out->v, text + at, length);
            if (id >= 0) break;
        }
        if (id >= 0) {
            put_id(out, id);
            at += length;
        } else {
            put_unknown(out);
            read_code(text + at, bytes - at, &used);
            at += used;
        }
    }
}

size_t gm_text_encode(const gm_vocabulary *v, const char *text, size_t bytes, int32_t unknown, int32_t *ids, size_t capacity, size_t *unknowns)
{
    Output out;
    size_t i;
    memset(&out, 0, sizeof out);
    out.v = v;
    out.unknown = unknown;
    out.ids = ids;
    out.capacity = capacity;
    switch (v->options.kind) {
    case GM_TEXT_WORDPIECE: encode_words(&out, text, bytes); break;
    case GM_TEXT_PIECES: encode_pieces(&out, text, bytes); break;
    default:
        for (i = 0; i < bytes; i++) put_id(&out, (unsigned char)text[i] + v->options.offset);
        break;
    }
    if (unknowns) *unknowns = out.unknowns;
    return out.count;
}

static size_t put_bytes(const char *from, size_t bytes, char *out, size_t capacity)
{
    memcpy(out, from, bytes < capacity ? bytes : capacity);
    return bytes;
}

size_t gm_text_decode(const gm_vocabulary *v, int32_t id, int first, char *out, size_t capacity)
{
    size_t bytes = 0;
    const char *entry;
    if (v->options.kind == GM_TEXT_BYTES) {
        char byte = (char)(id - v->options.offset);
        return id < v->options.offset || id >= v->count ? 0 : put_bytes(&byte, 1, out, capacity);
    }
    entry = gm_vocabulary_entry(v, id, &bytes);
    if (!entry) return 0;
    if (v->options.kind == GM_TEXT_PIECES) return put_bytes(entry, bytes, out, capacity);
    if (bytes > 2 && entry[0] == '#' && entry[1] == '#') return put_bytes(entry + 2, bytes - 2, out, capacity);
    if (first) return put_bytes(entry, bytes, out, capacity);
    if (capacity) out[0] = ' ';
    return 1 + put_bytes(entry, bytes, capacity ? out + 1 : out, capacity ? capacity - 1 : 0);
}
