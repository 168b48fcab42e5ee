/* Sentences that are near in meaning, by all-MiniLM-L6-v2.
 *
 *   minilm nearest LIST.txt SENTENCE      the five lines of the list nearest to the sentence
 *   minilm compare TEXT.txt EXPECTED.npy  the least cosine between each line's embedding and the expected one (float32, a row a line)
 *   minilm embed SENTENCE                 384 numbers
 *   minilm pieces                         each line of standard input as ids of word pieces
 *
 * In: minilm_64.gmw, minilm_256.gmw and vocab.txt beside the program.
 * Text is cut by gm_text, weights are mapped by gm_map, and the two models differ in their number of tokens alone. */
#define _POSIX_C_SOURCE 200809L
#include "gm_map.h"
#include "gm_text.h"
#include "minilm_256.h"
#include "minilm_64.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT = 64, LONG = 256, WIDTH = 384, SHOWN = 5 };

typedef struct {
  gm_vocabulary *vocabulary;
  int32_t begin, end, unknown;
  gm_mapping short_file, long_file;
  minilm_64_weights short_weights;
  minilm_256_weights long_weights;
  void *arena;
} Encoder;

static void fail(const char *what, const char *which) {
  fprintf(stderr, "minilm: %s %s\n", what, which);
  exit(1);
}

/* A whole file, ended by a zero byte. */
static char *read_file(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  size_t capacity = 1 << 16, used = 0;
  char *text = malloc(capacity + 1);
  if (file == NULL || text == NULL) fail("cannot open", path);
  for (size_t got; (got = fread(text + used, 1, capacity - used, file)) > 0;) {
    used += got;
    if (used == capacity && (text = realloc(text, (capacity *= 2) + 1)) == NULL) fail("no memory for", path);
  }
  fclose(file);
  text[used] = 0;
  *bytes = used;
  return text;
}

static void map_weights(gm_mapping *mapping, const char *path) {
  if (gm_map(mapping, path) != GM_OK) fail(mapping->error, path);
}

static void encoder_open(Encoder *encoder, const char *folder) {
  char path[4096];
  size_t bytes;
  snprintf(path, sizeof path, "%s/vocab.txt", folder);
  char *entries = read_file(path, &bytes);
  gm_text_options options = {.kind = GM_TEXT_WORDPIECE, .plain = 1};
  encoder->vocabulary = gm_vocabulary_new(entries, bytes, &options);
  free(entries);
  if (encoder->vocabulary == NULL) fail("no memory for", path);
  encoder->begin = gm_vocabulary_find(encoder->vocabulary, "[CLS]", 5);
  encoder->end = gm_vocabulary_find(encoder->vocabulary, "[SEP]", 5);
  encoder->unknown = gm_vocabulary_find(encoder->vocabulary, "[UNK]", 5);
  if (encoder->begin < 0 || encoder->end < 0 || encoder->unknown < 0) fail("no [CLS], [SEP], [UNK] in", path);

  snprintf(path, sizeof path, "%s/minilm_64.gmw", folder);
  map_weights(&encoder->short_file, path);
  if (minilm_64_bind(&encoder->short_weights, encoder->short_file.data, encoder->short_file.bytes) != 0) fail("no weights of this model:", path);
  snprintf(path, sizeof path, "%s/minilm_256.gmw", folder);
  map_weights(&encoder->long_file, path);
  if (minilm_256_bind(&encoder->long_weights, encoder->long_file.data, encoder->long_file.bytes) != 0) fail("no weights of this model:", path);
  size_t most = MINILM_64_ARENA_BYTES > MINILM_256_ARENA_BYTES ? MINILM_64_ARENA_BYTES : MINILM_256_ARENA_BYTES;
  encoder->arena = aligned_alloc(MINILM_256_ALIGN, (most + MINILM_256_ALIGN) / MINILM_256_ALIGN * MINILM_256_ALIGN);
  if (encoder->arena == NULL) fail("no memory for", "the arena");
}

/* [CLS] pieces [SEP], at most LONG of them; what does not fit is left out. Returns how many. */
static size_t encode(const Encoder *encoder, const char *text, size_t bytes, int32_t *ids) {
  size_t count = gm_text_encode(encoder->vocabulary, text, bytes, encoder->unknown, ids + 1, LONG - 2, NULL);
  if (count > LONG - 2) count = LONG - 2;
  ids[0] = encoder->begin;
  ids[count + 1] = encoder->end;
  return count + 2;
}

static void embed(Encoder *encoder, const char *text, size_t bytes, float *embedding) {
  int32_t ids[LONG] = {0}, mask[LONG] = {0};
  size_t count = encode(encoder, text, bytes, ids);
  for (size_t i = 0; i < count; i++) mask[i] = 1;
  int status = count <= SHORT ? minilm_64_run(&encoder->short_weights, encoder->arena, ids, mask, embedding)
                              : minilm_256_run(&encoder->long_weights, encoder->arena, ids, mask, embedding);
  if (status != 0) fail("the model cannot run on", text);
}

static double dot(const float *a, const float *b) {
  double sum = 0;
  for (int c = 0; c < WIDTH; c++) sum += (double)a[c] * b[c];
  return sum;
}

/* The next line of text, without its end; NULL after the last. */
static const char *next_line(const char **text, size_t *bytes) {
  const char *line = *text, *stop = strchr(line, '\n');
  if (*line == 0) return NULL;
  *bytes = stop ? (size_t)(stop - line) : strlen(line);
  *text = stop ? stop + 1 : line + *bytes;
  return line;
}

/* Lines are "reference<tab>text" or text alone; the reference is shown, not embedded. */
static void nearest(Encoder *encoder, const char *list, const char *sentence) {
  size_t size, bytes;
  char *text = read_file(list, &size);
  const char *rest = text, *line;
  float wanted[WIDTH], one[WIDTH];
  double best[SHOWN];
  const char *lines[SHOWN];
  size_t lengths[SHOWN], count = 0;
  embed(encoder, sentence, strlen(sentence), wanted);
  while ((line = next_line(&rest, &bytes)) != NULL) {
    const char *tab = memchr(line, '\t', bytes);
    size_t skip = tab ? (size_t)(tab + 1 - line) : 0;
    embed(encoder, line + skip, bytes - skip, one);
    double cosine = dot(wanted, one);
    size_t at = count < SHOWN ? count++ : SHOWN;
    for (; at > 0 && best[at - 1] < cosine; at--) {
      if (at == SHOWN) continue;
      best[at] = best[at - 1], lines[at] = lines[at - 1], lengths[at] = lengths[at - 1];
    }
    if (at < SHOWN) best[at] = cosine, lines[at] = line, lengths[at] = bytes;
  }
  printf("\n%s\n", sentence);
  for (size_t k = 0; k < count; k++) printf("  %.3f  %.*s\n", best[k], (int)lengths[k], lines[k]);
  free(text);
}

/* The numbers of an .npy file: little-endian float32, [lines, WIDTH]. */
static const float *npy_rows(const char *data, size_t bytes, size_t *rows, const char *path) {
  size_t header = bytes > 10 ? 10u + (unsigned char)data[8] + 256u * (unsigned char)data[9] : 0;
  if (header == 0 || header > bytes || memcmp(data, "\x93NUMPY\x01", 7) != 0 || strstr(data + 10, "'<f4'") == NULL) fail("no float32 array:", path);
  *rows = (bytes - header) / (WIDTH * sizeof(float));
  return (const float *)(const void *)(data + header);
}

static void compare(Encoder *encoder, const char *path, const char *expected_path) {
  size_t size, bytes, rows, k = 0;
  char *text = read_file(path, &size), *data = read_file(expected_path, &size);
  const float *expected = npy_rows(data, size, &rows, expected_path);
  const char *rest = text, *line;
  double least = 1;
  for (; (line = next_line(&rest, &bytes)) != NULL; k++) {
    float ours[WIDTH], theirs[WIDTH];
    if (k == rows) fail("fewer rows than lines in", expected_path);
    memcpy(theirs, expected + k * WIDTH, sizeof theirs);
    embed(encoder, line, bytes, ours);
    double cosine = dot(ours, theirs) / sqrt(dot(ours, ours) * dot(theirs, theirs));
    if (!(cosine >= least)) least = cosine;
  }
  if (k != rows || k == 0) fail("more rows than lines in", expected_path);
  printf("%zu sentences, least cosine %.9f\n", k, least);
  free(text);
  free(data);
}

static void pieces(const Encoder *encoder) {
  char *line = NULL;
  size_t capacity = 0;
  for (ssize_t got; (got = getline(&line, &capacity, stdin)) >= 0;) {
    int32_t ids[LONG];
    size_t bytes = (size_t)got - (got > 0 && line[got - 1] == '\n'), count = encode(encoder, line, bytes, ids);
    for (size_t i = 0; i < count; i++) printf("%s%d", i ? " " : "", (int)ids[i]);
    putchar('\n');
  }
  free(line);
}

int main(int argc, char **argv) {
  static Encoder encoder;
  char folder[4096];
  const char *slash = strrchr(argv[0], '/');
  snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - argv[0]) : 1, slash ? argv[0] : ".");
  const char *verb = argc > 1 ? argv[1] : "";
  if (!(strcmp(verb, "nearest") == 0 && argc == 4) && !(strcmp(verb, "compare") == 0 && argc == 4) && !(strcmp(verb, "embed") == 0 && argc == 3) &&
      !(strcmp(verb, "pieces") == 0 && argc == 2)) {
    fprintf(stderr, "usage: minilm nearest LIST.txt SENTENCE | compare TEXT.txt EXPECTED.npy | embed SENTENCE | pieces\n");
    return 2;
  }
  encoder_open(&encoder, folder);
  if (verb[0] == 'n') nearest(&encoder, argv[2], argv[3]);
  else if (verb[0] == 'c') compare(&encoder, argv[2], argv[3]);
  else if (verb[0] == 'p') pieces(&encoder);
  else {
    float embedding[WIDTH];
    embed(&encoder, argv[2], strlen(argv[2]), embedding);
    for (int c = 0; c < WIDTH; c++) printf("%.7g\n", (double)embedding[c]);
  }
  return 0;
}
