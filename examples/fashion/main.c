/* Runs the generated classifier over the 10,000 test images of Fashion-MNIST.
 * In: fashion.gmw (packed weights) and the data set's idx.gz files.  Out: accuracy, time an image, a few images drawn.
 *
 *   fashion [WEIGHTS.gmw [DATA_DIRECTORY]]
 *
 * Everything of the model is in fashion.h: bind checks the weights, run computes one image. Memory is the caller's. */
#include "fashion.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, SHOWN = 3 };

static const char *const class_names[CLASSES] = {"T-shirt/top", "Trouser", "Pullover", "Dress",   "Coat",
                                                 "Sandal",      "Shirt",   "Sneaker",  "Bag",     "Ankle boot"};

static void fail(const char *what, const char *which) {
  fprintf(stderr, "fashion: %s%s%s\n", what, which ? " " : "", which ? which : "");
  exit(1);
}

/* Reads DIRECTORY/NAME, an idx file of bytes: its first size goes to *count, and each entry must have `each` bytes. */
static unsigned char *read_idx(const char *directory, const char *name, size_t each, size_t *count) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  gzFile file = gzopen(path, "rb");
  if (file == NULL) fail("cannot open", path);
  unsigned char header[16];
  unsigned rank = each == 1 ? 1 : 3;
  unsigned header_bytes = 4 + 4 * rank;
  if (gzread(file, header, header_bytes) != (int)header_bytes || header[2] != 8 || header[3] != rank) fail("no idx file of bytes:", path);
  *count = (size_t)header[4] << 24 | (size_t)header[5] << 16 | (size_t)header[6] << 8 | header[7];
  if (*count == 0 || *count > 1000000 || (rank == 3 && (header[11] != SIDE || header[15] != SIDE))) fail("other sizes than expected:", path);
  unsigned char *bytes = malloc(*count * each);
  if (bytes == NULL || gzread(file, bytes, (unsigned)(*count * each)) != (int)(*count * each)) fail("too short:", path);
  gzclose(file);
  return bytes;
}

/* Reads a file into memory that the model's weights may live in. */
static void *read_aligned(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) fail("cannot open", path);
  long length = ftell(file);
  rewind(file);
  if (length <= 0) fail("cannot read", path);
  *size = (size_t)length;
  void *memory = aligned_alloc(FASHION_ALIGN, (*size + FASHION_ALIGN - 1) / FASHION_ALIGN * FASHION_ALIGN);
  if (memory == NULL || fread(memory, 1, *size, file) != *size) fail("cannot read", path);
  fclose(file);
  return memory;
}

static int largest(const float *logits) {
  int best = 0;
  for (int k = 1; k < CLASSES; k++)
    if (logits[k] > logits[best]) best = k;
  return best;
}

/* Draws SHOWN images side by side, two rows of pixels a line: in shades of grey on a terminal, else in characters. */
static void draw(const unsigned char *images, const int *which, bool colours) {
  static const char ramp[] = " .:-=+*#%@";
  for (int row = 0; row < SIDE; row += 2) {
    for (int n = 0; n < SHOWN; n++) {
      const unsigned char *image = images + (size_t)which[n] * PIXELS;
      for (int column = 0; column < SIDE; column++) {
        int upper = image[row * SIDE + column], lower = image[(row + 1) * SIDE + column];
        if (colours) printf("\033[38;5;%dm\033[48;5;%dm\342\226\200", 232 + upper * 23 / 255, 232 + lower * 23 / 255);
        else putchar(ramp[(upper + lower) * 9 / 510]);
      }
      fputs(colours ? "\033[0m  " : "  ", stdout);
    }
    putchar('\n');
  }
}

static void show(const char *title, const unsigned char *images, const unsigned char *labels, const int *answers, const int *which) {
  printf("\n%s\n\n", title);
  draw(images, which, isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL);
  for (int n = 0; n < SHOWN; n++) {
    char text[64];
    snprintf(text, sizeof text, "%s%s", answers[which[n]] == labels[which[n]] ? "" : "not ", class_names[answers[which[n]]]);
    printf("%-*s  ", SIDE, text);
  }
  putchar('\n');
  for (int n = 0; n < SHOWN; n++) {
    char text[64];
    snprintf(text, sizeof text, "truth: %s", class_names[labels[which[n]]]);
    printf("%-*s  ", SIDE, text);
  }
  putchar('\n');
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv) {
  const char *weights_path = argc > 1 ? argv[1] : "fashion.gmw";
  const char *directory = argc > 2 ? argv[2] : "/usr/share/datasets/fashion-mnist";
  size_t count, label_count, size;
  unsigned char *images = read_idx(directory, "t10k-images-idx3-ubyte.gz", PIXELS, &count);
  unsigned char *labels = read_idx(directory, "t10k-labels-idx1-ubyte.gz", 1, &label_count);
  if (count != label_count) fail("images and labels differ in number in", directory);
  void *blob = read_aligned(weights_path, &size);
  void *arena = aligned_alloc(FASHION_ALIGN, (FASHION_ARENA_BYTES + FASHION_ALIGN) / FASHION_ALIGN * FASHION_ALIGN);
  int *answers = malloc(count * sizeof *answers);
  if (arena == NULL || answers == NULL) fail("out of memory", NULL);

  fashion_weights weights;
  if (fashion_bind(&weights, blob, size) != 0) fail("these are no weights of this model:", weights_path);
  int right = 0;
  double start = seconds();
  for (size_t i = 0; i < count; i++) {
    float logits[CLASSES];
    fashion_run(&weights, arena, images + i * PIXELS, logits);
    answers[i] = largest(logits);
    right += answers[i] == labels[i];
  }
  double spent = seconds() - start;

  int first[SHOWN] = {0}, wrong[SHOWN] = {0}, firsts = 0, wrongs = 0;
  for (size_t i = 0; i < count; i++) {
    if (firsts < SHOWN && answers[i] == labels[i]) first[firsts++] = (int)i;
    if (wrongs < SHOWN && answers[i] != labels[i]) wrong[wrongs++] = (int)i;
  }
  if (firsts == SHOWN) show("Recognised", images, labels, answers, first);
  if (wrongs == SHOWN) show("Mistaken", images, labels, answers, wrong);
  printf("\n%d of %zu test images right: %.2f %%. %.3f ms an image on one thread, %.0f KB of memory besides %.0f KB of weights.\n", right,
         count, 100.0 * right / (double)count, 1000 * spent / (double)count, FASHION_ARENA_BYTES / 1024.0, (double)size / 1024);
  free(answers);
  free(arena);
  free(blob);
  free(labels);
  free(images);
  return 0;
}
