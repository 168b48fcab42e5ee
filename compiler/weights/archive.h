/* A checkpoint as named tensors, whatever its format.
 * In: a .safetensors file (or a directory or index of shards), .npz, .npy.  Out: names, shapes, types; values when asked for.
 * Every byte is checked before it is believed: sizes against the file, offsets against each other, no allocation beyond what the
 * file really holds.  What the tensors mean is left to bind.c. */
#ifndef GM_WEIGHTS_ARCHIVE_H
#define GM_WEIGHTS_ARCHIVE_H

#include "support/arena.h"
#include "support/diagnostics.h"
#include "support/list.h"
#include "support/map.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
#define FOREIGN_TYPE(enumerator, name, npy, bits, class) enumerator,
#include "weights/foreign_types.def"
    FOREIGN_TYPE_COUNT
} ForeignType;
typedef enum { FOREIGN_REAL, FOREIGN_INTEGER, FOREIGN_OPAQUE } ForeignClass;
typedef struct {
    const char *name, *npy;
    int bits;
    ForeignClass class;
} ForeignTypeInfo;
extern const ForeignTypeInfo foreign_type_table[FOREIGN_TYPE_COUNT];

enum { FOREIGN_MAX_RANK = 64 };

typedef struct ForeignFile ForeignFile;
typedef struct {
    const char *name;
    ForeignType type;
    int rank;
    const int64_t *extents;
    int64_t count;       /* elements */
    uint64_t bytes;      /* of the data */
    bool big_endian, fortran;
    ForeignFile *file;
    uint64_t offset;     /* of the data in the file, or in the zip member */
    int64_t member;      /* zip: which; else -1 */
} ForeignTensor;

typedef struct {
    Arena *arena;
    const char *path;    /* for messages */
    LIST(ForeignTensor *) tensors;
    Map names;           /* name → ForeignTensor */
    LIST(ForeignFile *) files;
} Archive;

/* NULL after an error (GM120-GM124, GM139). Close it to unmap its files. */
Archive *archive_open(Arena *arena, const char *path, Diagnostics *diags);
/* The same on bytes that stay alive; no shards. */
Archive *archive_open_bytes(Arena *arena, const char *name, const void *data, size_t size, Diagnostics *diags);
void archive_close(Archive *archive);

ForeignTensor *archive_find(const Archive *archive, const char *name);
/* Row-major values. F16 and BF16 widen exactly, F64 rounds once; integers up to 2^24 are exact in f32. False after an error. */
bool archive_read_f32(Archive *archive, const ForeignTensor *tensor, float *out, Diagnostics *diags);
bool archive_read_f64(Archive *archive, const ForeignTensor *tensor, double *out, Diagnostics *diags);
/* Of integer types only; a u64 above 2^63 - 1 is an error. */
bool archive_read_integers(Archive *archive, const ForeignTensor *tensor, int64_t *out, Diagnostics *diags);

/* "[3, 224, 224]" */
const char *extents_string(Arena *arena, int rank, const int64_t *extents);

#endif
