/* gmlpc run time, the freestanding core: what a host of compiled models needs and the language lacks.
 * C99 and C++11; no allocation, no files, no globals, no library. The types below stand in every generated header too, guarded alike, so the
 * order of inclusion doesn't matter. No obligation comes with this code: see the licence. */
#ifndef GM_RUNTIME_H
#define GM_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef GM_EXECUTOR
#define GM_EXECUTOR
/* Calls body(argument, index) for every index < count, in any order and on any thread; all are done when it returns. `threads` changes no
 * result: each thread is taken to begin with the first task of its share, thread k of n with index count * k / n, and fetches ahead there
 * what it meets for the first time; where there are several, tasks beside each other share rows. */
typedef struct {
    void *context;
    void (*parallel_for)(void *context, int count, void (*body)(void *argument, int index), void *argument);
    int threads; /* that share the calls; 0: unknown */
} gm_executor;
#endif

#ifndef GM_STATUS
#define GM_STATUS
/* What bind and selftest return. runtime/gm_runtime.h has gm_status_text(). */
enum {
    GM_OK = 0,
    GM_ERROR_NULL = -1,        /* a pointer is NULL */
    GM_ERROR_ALIGNMENT = -2,   /* the weights' or the arena's address is not a multiple of the alignment */
    GM_ERROR_SHORT = -3,       /* fewer bytes than the header says, or than a header has */
    GM_ERROR_MAGIC = -4,       /* not a weight file */
    GM_ERROR_VERSION = -5,     /* a weight file of another format version */
    GM_ERROR_BYTE_ORDER = -6,  /* a weight file of another byte order */
    GM_ERROR_MODEL = -7,       /* the weights of another model */
    GM_ERROR_LAYOUT = -8,      /* packed for another target family */
    GM_ERROR_SIZE = -9,        /* sizes in the header contradict the model or the file */
    GM_ERROR_CHECKSUM = -10,   /* damaged */
    GM_ERROR_CPU = -11,        /* this processor or operating system can't run any form in the file */
    GM_ERROR_NO_SELFTEST = -12,/* the weights were packed without a self-test */
    GM_ERROR_SELFTEST = -13,   /* the self-test's outputs are wrong */
    GM_ERROR_FILE = -14        /* the file can't be opened or mapped */
};
#endif

#ifndef GM_MODEL
#define GM_MODEL
enum { GM_F32 = 0, GM_I32 = 1, GM_I64 = 2, GM_U8 = 3 };
typedef struct {
    const char *name;
    int type;               /* GM_F32, GM_I32, ... */
    int rank;
    const int64_t *extents; /* rank of them; arrays are dense, the last axis fastest */
} gm_tensor;
/* A model as a table, for programs that know it at run time only. `weights` points to weights_bytes bytes of the host's. */
typedef struct {
    const char *name;
    int input_count, output_count;
    const gm_tensor *inputs, *outputs;
    size_t arena_bytes, alignment, blob_bytes, selftest_bytes, weights_bytes;
    const void *(*blob)(size_t *bytes); /* the weights compiled in; NULL: they come as a file, or there are none */
    int (*bind)(void *weights, const void *blob, size_t bytes);
    int (*run)(const void *weights, void *arena, const void *const *inputs, void *const *outputs);
    int (*run_on)(const void *weights, void *arena, const gm_executor *executor, const void *const *inputs, void *const *outputs);
    int (*selftest)(const void *weights, void *arena, double *worst);
    const char *(*form)(const void *weights);            /* name of the form that bind chose: "avx512", ... */
    int (*choose_form)(void *weights, const char *form); /* after bind: another one of the file; GM_ERROR_CPU if it can't run */
} gm_model;
#endif

#ifndef GM_PROFILE
#define GM_PROFILE
/* How a profiled run takes times: it reads the host's clock and writes what it says, nothing else. stamps[0] is the reading when the run begins,
 * stamps[1 + i] that when kernel call i is done: a call's time is the difference, and all of them add up to the run. */
typedef struct {
    uint64_t (*clock)(void *context); /* any unit; it only goes forward */
    void *context;
    uint64_t *stamps;                 /* call_count * turns + 1 of them */
} gm_profile;
/* One kernel call. */
typedef struct {
    const char *block, *kernel; /* "blocks.0.mlp": where in the model; which function computes it */
    int64_t macs, flops;        /* multiply-adds; all operations, a multiply-add counted as two */
} gm_call;
typedef struct {
    int call_count, turns;      /* a run makes all calls in order, `turns` times over (parts of a batch; else 1) */
    const gm_call *calls;
    int (*run)(const void *weights, void *arena, const gm_executor *executor, const gm_profile *profile, const void *const *inputs,
               void *const *outputs); /* executor NULL: on one thread */
} gm_profiled;
#endif

/* What a code of bind or selftest means, in a few words ("the weights are damaged (checksum)"); never NULL. A code above 0, from run, says
 * that an input was out of range. */
const char *gm_status_text(int status);

/* Little-endian fields of a weight file, on any machine and at any address. */
uint32_t gm_read_u32(const void *bytes);
uint64_t gm_read_u64(const void *bytes);

/* Bytes of one element of a gm_tensor, and elements of the whole. */
size_t gm_element_bytes(int type);
size_t gm_tensor_elements(const gm_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
