/* The packed weight file (.gmw): what `pack` writes and the generated `bind` checks. All fields little-endian.
 *
 *   0  magic "GMWEIGHT"          8  format version (u32, 1)     12  byte order mark 0x01020304 (u32)
 *  16  model hash (u64)         24  layout hash (u64)           32  payload bytes (u64)
 *  40  checksum (u64, XXH64 seed 0 of everything after byte 64)
 *  48  self-test bytes (u64, 0: none)                           56  reserved, 0
 *  64  payload: tensors at their layout's offsets
 *  64 + payload bytes: self-test (selftest_build; blob.c has its fields)
 */
#ifndef GM_EMIT_C_BLOB_H
#define GM_EMIT_C_BLOB_H

#include "schedule/plan.h"

enum { BLOB_HEADER_BYTES = 64 };
/* The same module gives the same hash on every machine. */
uint64_t plan_model_hash(const Plan *plan);
/* Names, shapes, strides and offsets of the blob's tensors, and the family. */
uint64_t plan_layout_hash(const Plan *plan);
/* The whole image, malloc'ed (free it): header, payload, self-test (may be NULL, 0). */
unsigned char *blob_build(const Plan *plan, const unsigned char *payload, const unsigned char *selftest, size_t selftest_bytes, size_t *size);

int64_t port_bytes(const Tensor *tensor);                     /* of the caller's dense array */
int64_t selftest_memory(const Module *module, int alignment); /* what the self-test needs behind the arena: every port, aligned */

/* The self-test that a weight file may carry: the generated selftest() runs the model on these inputs and compares.
 * Fills one input with its seeded values (f32 in [-1, 1), integers in the range of what they index). */
void selftest_input(const Module *module, int input, uint64_t seed, double *values);
/* The section, from the reference's outputs (in order of the module's, row-major). */
unsigned char *selftest_build(Arena *arena, const Module *module, uint64_t seed, double tolerance, double *const *outputs, size_t *size);

#endif
