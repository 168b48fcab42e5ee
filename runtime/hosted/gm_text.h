/* Text to token ids and back, for models that read language. C99 and C++11; allocates with malloc, never while encoding.
 *
 * Three ways of cutting text:
 *   GM_TEXT_PIECES     the longest entry of the vocabulary that fits, again and again. A line an entry, with the escapes \n \t \r \\ and
 *                      \xHH. A vocabulary of single characters cuts into characters.
 *   GM_TEXT_WORDPIECE  words and signs, each cut into the longest entries that fit, those inside a word written with ## before them:
 *                      the cleaning, splitting and cutting of the "uncased" (plain != 0) and "cased" encoders. Marked names that the
 *                      vocabulary has, like [MASK], stay whole.
 *   GM_TEXT_BYTES      a byte an id, plus an offset; no vocabulary.
 */
#ifndef GM_TEXT_H
#define GM_TEXT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { GM_TEXT_PIECES, GM_TEXT_WORDPIECE, GM_TEXT_BYTES };

typedef struct {
    int kind;
    int plain;      /* WORDPIECE: small letters without accents, as "uncased" vocabularies want */
    int32_t offset; /* BYTES: of byte 0 */
} gm_text_options;

typedef struct gm_vocabulary gm_vocabulary;

/* Copies a vocabulary file's bytes: a line an entry, ids from 0. NULL without memory. BYTES: no text. */
gm_vocabulary *gm_vocabulary_new(const void *text, size_t bytes, const gm_text_options *options);
void gm_vocabulary_free(gm_vocabulary *vocabulary);
int32_t gm_vocabulary_count(const gm_vocabulary *vocabulary);
/* The id of an entry, -1 when there is none. */
int32_t gm_vocabulary_find(const gm_vocabulary *vocabulary, const char *entry, size_t bytes);
/* The entry of an id, ended by a zero byte; NULL outside. It may hold zero bytes itself: *bytes (may be NULL) is its length. */
const char *gm_vocabulary_entry(const gm_vocabulary *vocabulary, int32_t id, size_t *bytes);

/* Cuts UTF-8 text. Writes at most `capacity` ids and returns how many the text has; `unknown` stands for what the vocabulary lacks
 * (a word, or a byte), and *unknowns (may be NULL) counts it. */
size_t gm_text_encode(const gm_vocabulary *vocabulary, const char *text, size_t bytes, int32_t unknown, int32_t *ids, size_t capacity, size_t *unknowns);

/* The text of an id when `first` says that nothing stands before it: PIECES and BYTES give their bytes; WORDPIECE puts a space before what
 * begins a word. Writes at most `capacity` bytes and returns how many it has. */
size_t gm_text_decode(const gm_vocabulary *vocabulary, int32_t id, int first, char *out, size_t capacity);

#ifdef __cplusplus
}
#endif
#endif
