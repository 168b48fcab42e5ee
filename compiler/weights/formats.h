/* What archive.c and the readers of single formats share. */
#ifndef GM_WEIGHTS_FORMATS_H
#define GM_WEIGHTS_FORMATS_H

#include "weights/archive.h"

#include <stddef.h>

struct ForeignFile {
    const char *path;
    const unsigned char *data; /* the whole file */
    size_t size;
    bool mapped;
    void *zip;                 /* npz: its zip_t */
};

/* Each adds the tensors of one file; false after an error. */
bool safetensors_read(Archive *archive, ForeignFile *file, Diagnostics *diags);
bool npz_read(Archive *archive, ForeignFile *file, Diagnostics *diags);
bool npy_read(Archive *archive, ForeignFile *file, const char *name, Diagnostics *diags);
/* model.safetensors.index.json: opens the shards beside it. */
bool shards_read(Archive *archive, ForeignFile *index, Diagnostics *diags);

/* The bytes [offset, offset + size) of a zip member's contents. */
bool npz_member_bytes(const ForeignTensor *tensor, void *out, Diagnostics *diags);
void npz_close(ForeignFile *file);

/* Parses the header of an .npy of `size` bytes in all, of which `data` holds the first `have`. On success fills type, rank, extents,
 * count, bytes, byte order and offset. Else returns false and *problem. */
bool npy_header(Arena *arena, const unsigned char *data, size_t have, uint64_t size, ForeignTensor *tensor, const char **problem);

/* Maps a file; false after an error. */
bool foreign_file_map(Arena *arena, const char *path, ForeignFile **file, Diagnostics *diags);
/* Fills count and bytes from type, rank and extents; false when they overflow or are no whole bytes. */
bool foreign_tensor_measure(ForeignTensor *tensor);
bool foreign_type_find(const char *safetensors_name, ForeignType *type);
/* A new tensor of the archive; false (and an error) when its name is taken. */
bool archive_add(Archive *archive, ForeignTensor *tensor, Diagnostics *diags);

/* JSON that jansson may read without harm: depth and size of arrays bounded. NULL, or what is wrong. */
const char *json_prescan(const char *text, size_t length, int max_depth);

#endif
