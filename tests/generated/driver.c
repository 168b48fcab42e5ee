/* A host of one generated model, linked with it and the runtime; MODEL_TABLE names its table, e.g. mixer_model.
 * usage: driver FILE.gmw.  For every form that this processor runs: the self-test, the same bits from 1, 2 and 3 threads, nothing written outside
 * the arena and the outputs, and a run that makes no system call. Exits with 0 when all is as it should be.
 *        driver FILE.gmw hash    prints "FORM HASH" for every form instead: of all output bits, one value for every NaN. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "gm_map.h"
#include "gm_pool.h"

#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C"
#endif
const gm_model *MODEL_TABLE(void);

enum { MOST_PORTS = 16, GUARD = 256 };

static int failures;

static void expect(int good, const char *form, const char *what)
{
    if (good) return;
    printf("%s, %s: %s\n", MODEL_TABLE()->name, form, what);
    failures++;
}

/* Memory between two guards of known bytes. */
static unsigned char *guarded(size_t bytes)
{
    unsigned char *whole = (unsigned char *)aligned_alloc(64, (bytes + 2 * GUARD + 63) / 64 * 64);
    if (!whole) exit(1);
    memset(whole, 0xA5, bytes + 2 * GUARD);
    return whole + GUARD;
}

static int guards_hold(const unsigned char *memory, size_t bytes)
{
    for (int i = 0; i < GUARD; i++)
        if (memory[-1 - i] != 0xA5 || memory[bytes + (size_t)i] != 0xA5) return 0;
    return 1;
}

static void make_input(unsigned char *memory, const gm_tensor *tensor)
{
    size_t count = gm_tensor_elements(tensor);
    uint32_t state = 12345;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        if (tensor->type == GM_F32) ((float *)(void *)memory)[i] = (float)(int32_t)(state >> 8) * (1.0f / 8388608.0f) - 1.0f;
        else if (tensor->type == GM_I32) ((int32_t *)(void *)memory)[i] = (int32_t)(state >> 31);
        else if (tensor->type == GM_I64) ((int64_t *)(void *)memory)[i] = (int64_t)(state >> 31);
        else memory[i] = (unsigned char)(state >> 24);
    }
}

typedef struct {
    const gm_model *model;
    void *weights;
    unsigned char *arena, *in[MOST_PORTS], *out[MOST_PORTS], *first[MOST_PORTS];
    size_t out_bytes[MOST_PORTS];
} Host;

static void run(Host *host, const gm_executor *executor)
{
    const gm_model *model = host->model;
    memset(host->arena, 0xFF, model->arena_bytes); /* the arena needs no clearing */
    for (int i = 0; i < model->output_count; i++) memset(host->out[i], 0xFF, host->out_bytes[i]);
    const void *const *in = (const void *const *)host->in;
    if (executor) model->run_on(host->weights, host->arena, executor, in, (void *const *)host->out);
    else model->run(host->weights, host->arena, in, (void *const *)host->out);
}

static void check_threads(Host *host, const char *form)
{
    run(host, NULL);
    for (int i = 0; i < host->model->output_count; i++) memcpy(host->first[i], host->out[i], host->out_bytes[i]);
    for (int threads = 1; threads <= 3; threads++) {
        gm_pool *pool = gm_pool_new(threads);
        for (int turn = 0; turn < 3; turn++) {
            run(host, gm_pool_executor(pool));
            for (int i = 0; i < host->model->output_count; i++)
                expect(memcmp(host->first[i], host->out[i], host->out_bytes[i]) == 0, form, "threads change the result");
        }
        gm_pool_free(pool);
    }
    expect(guards_hold(host->arena, host->model->arena_bytes), form, "writes outside the arena");
    for (int i = 0; i < host->model->output_count; i++) expect(guards_hold(host->out[i], host->out_bytes[i]), form, "writes outside an output");
}

/* In strict mode a thread may read, write and exit; any other system call kills it. */
static void check_system_calls(Host *host, const char *form)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) _exit(77);
        run(host, NULL);
        syscall(SYS_exit, 0);
    }
    expect(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77), form,
           "run makes a system call");
}

/* FNV-1a of 64 bits. */
static void print_hash(Host *host, const char *form)
{
    const gm_model *model = host->model;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    if (model->choose_form(host->weights, form) != GM_OK) return;
    run(host, NULL);
    for (int i = 0; i < model->output_count; i++)
        for (size_t k = 0; k < host->out_bytes[i]; k += 4) {
            uint32_t bits;
            memcpy(&bits, host->out[i] + k, 4);
            if (model->outputs[i].type == GM_F32 && (bits & 0x7fffffffu) > 0x7f800000u) bits = 0x7fc00000u;
            hash = (hash ^ bits) * UINT64_C(0x100000001b3);
        }
    printf("%s %016llx\n", form, (unsigned long long)hash);
}

static void check_form(Host *host, const char *form)
{
    const gm_model *model = host->model;
    if (model->choose_form(host->weights, form) != GM_OK) return;
    double worst = 0;
    unsigned char *memory = guarded(model->arena_bytes + model->selftest_bytes);
    int status = model->selftest(host->weights, memory, &worst);
    if (status != GM_ERROR_NO_SELFTEST || model->blob_bytes) expect(status == GM_OK, form, gm_status_text(status));
    expect(guards_hold(memory, model->arena_bytes + model->selftest_bytes), form, "the self-test writes outside its memory");
    free(memory - GUARD);
    check_threads(host, form);
#if !defined(__SANITIZE_ADDRESS__)
    check_system_calls(host, form);
#else
    (void)check_system_calls;
#endif
}

int main(int argc, char **argv)
{
    Host host;
    memset(&host, 0, sizeof host);
    const gm_model *model = host.model = MODEL_TABLE();
    gm_mapping mapping;
    if (argc < 2 || gm_map(&mapping, argv[1]) != GM_OK) return printf("%s: no weights\n", model->name), 1;
    host.weights = calloc(1, model->weights_bytes);
    int status = model->bind(host.weights, mapping.data, mapping.bytes);
    if (status != GM_OK) return printf("%s: %s\n", model->name, gm_status_text(status)), 1;
    host.arena = guarded(model->arena_bytes);
    for (int i = 0; i < model->input_count; i++) {
        host.in[i] = guarded(gm_tensor_elements(&model->inputs[i]) * gm_element_bytes(model->inputs[i].type));
        make_input(host.in[i], &model->inputs[i]);
    }
    for (int i = 0; i < model->output_count; i++) {
        host.out_bytes[i] = gm_tensor_elements(&model->outputs[i]) * gm_element_bytes(model->outputs[i].type);
        host.out[i] = guarded(host.out_bytes[i]);
        host.first[i] = guarded(host.out_bytes[i]);
    }
    static const char *const forms[] = {"avx512", "avx2", "neon", "scalar"};
    for (int i = 0; i < 4; i++) (argc > 2 ? print_hash : check_form)(&host, forms[i]);
    for (int i = 0; i < model->input_count; i++) free(host.in[i] - GUARD);
    for (int i = 0; i < model->output_count; i++) free(host.out[i] - GUARD), free(host.first[i] - GUARD);
    free(host.arena - GUARD);
    free(host.weights);
    gm_unmap(&mapping);
    return failures ? 1 : 0;
}
