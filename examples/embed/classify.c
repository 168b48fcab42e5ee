/* Two generated models in one C program: a classifier, and the calibration of its answer. Both carry their weights.
 *
 *   classify PICTURE.pgm        a binary grey map of 28 x 28 */
#include "calibrate.h"
#include "fashion.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[10] = {"T-shirt/top", "Trouser", "Pullover", "Dress",   "Coat",
                                      "Sandal",      "Shirt",   "Sneaker",  "Bag",     "Ankle boot"};

/* The caller owns all memory. Arenas may be static: their sizes are macros. */
static _Alignas(FASHION_ALIGN) unsigned char fashion_arena[FASHION_ARENA_BYTES + 1];
static _Alignas(CALIBRATE_ALIGN) unsigned char calibrate_arena[CALIBRATE_ARENA_BYTES + 1];

int main(int argc, char **argv) {
  unsigned char pixels[28 * 28];
  int width = 0, height = 0;
  FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (file == NULL || fscanf(file, "P5 %d %d 255", &width, &height) != 2 || fgetc(file) == EOF || width != 28 || height != 28 ||
      fread(pixels, 1, sizeof pixels, file) != sizeof pixels) {
    fprintf(stderr, "usage: classify PICTURE.pgm (P5, 28 x 28)\n");
    return 2;
  }
  fclose(file);

  fashion_weights fashion;
  calibrate_weights calibrate;
  size_t bytes;
  const void *blob = fashion_blob(&bytes);
  int status = fashion_bind(&fashion, blob, bytes);
  if (status == GM_OK) {
    blob = calibrate_blob(&bytes);
    status = calibrate_bind(&calibrate, blob, bytes);
  }
  if (status != GM_OK) {
    fprintf(stderr, "classify: the weights don't fit (%d)\n", status);
    return 1;
  }

  float logits[10], probabilities[10];
  int32_t best;
  fashion_run(&fashion, fashion_arena, pixels, logits);
  calibrate_run(&calibrate, calibrate_arena, logits, probabilities, &best);
  printf("%s, %.1f %%\n", names[best], 100.0 * (double)probabilities[best]);
  return 0;
}
