/* A host of one model generated with --profile; MODEL_TABLE and MODEL_PROFILED name its tables, STAMPS what its header says.
 * usage: profile FILE.gmw.  With a clock that counts its readings: every stamp is taken once and in order, nothing behind them is written, calls
 * have names, outputs are those of a run without, on one thread and on three. Exits with 0 when all is as it should be. */
#include "gm_map.h"
#include "gm_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
const gm_model *MODEL_TABLE(void);
const gm_profiled *MODEL_PROFILED(void);
#ifdef __cplusplus
}
#endif

enum { MOST_PORTS = 16 };
static const uint64_t untouched = 0xA5A5A5A5A5A5A5A5u;

static int failures;

static void expect(int good, const char *what)
{
    if (good) return;
    printf("%s: %s\n", MODEL_TABLE()->name, what);
    failures++;
}

static uint64_t count_readings(void *context)
{
    return ++*(uint64_t *)context;
}

static void *zeros(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!memory) exit(1);
    memset(memory, 0, bytes + 64);
    return memory;
}

typedef struct {
    void *weights, *arena, *in[MOST_PORTS], *out[MOST_PORTS], *plain[MOST_PORTS];
    size_t bytes[MOST_PORTS];
} Host;

static void check_run(Host *host, const gm_executor *executor, size_t count)
{
    const gm_profiled *profiled = MODEL_PROFILED();
    uint64_t readings = 0, *stamps = (uint64_t *)malloc((count + 1) * sizeof *stamps);
    gm_profile profile = {count_readings, &readings, stamps};
    if (!stamps) exit(1);
    for (size_t i = 0; i <= count; i++) stamps[i] = untouched;
    for (int i = 0; i < MODEL_TABLE()->output_count; i++) memset(host->out[i], 0xFF, host->bytes[i]);
    profiled->run(host->weights, host->arena, executor, &profile, (const void *const *)host->in, host->out);
    expect(readings == count, "the clock is not read once a call and once more");
    for (size_t i = 0; i < count; i++) expect(stamps[i] == i + 1, "a stamp is missing or out of order");
    expect(stamps[count] == untouched, "more stamps than the header says");
    for (int i = 0; i < MODEL_TABLE()->output_count; i++) expect(memcmp(host->out[i], host->plain[i], host->bytes[i]) == 0, "other outputs than without profile");
    free(stamps);
}

int main(int argc, char **argv)
{
    const gm_model *model = MODEL_TABLE();
    const gm_profiled *profiled = MODEL_PROFILED();
    gm_mapping mapping;
    Host host;
    if (argc != 2 || gm_map(&mapping, argv[1]) != GM_OK) return 2;
    host.weights = zeros(model->weights_bytes);
    host.arena = zeros(model->arena_bytes);
    expect(model->bind(host.weights, mapping.data, mapping.bytes) == GM_OK, "bind");
    for (int i = 0; i < model->input_count; i++) host.in[i] = zeros(gm_tensor_elements(&model->inputs[i]) * gm_element_bytes(model->inputs[i].type));
    for (int i = 0; i < model->output_count; i++) {
        host.bytes[i] = gm_tensor_elements(&model->outputs[i]) * gm_element_bytes(model->outputs[i].type);
        host.out[i] = zeros(host.bytes[i]);
        host.plain[i] = zeros(host.bytes[i]);
    }
    model->run(host.weights, host.arena, (const void *const *)host.in, host.plain);
    size_t count = (size_t)profiled->call_count * (size_t)profiled->turns + 1;
    expect(count == STAMPS, "the header's number of stamps is another than the table's");
    for (int i = 0; i < profiled->call_count; i++) {
        const gm_call *call = &profiled->calls[i];
        expect(call->block && call->kernel && *call->kernel && call->macs >= 0 && call->flops >= 0, "a call is not described");
    }
    gm_pool *pool = gm_pool_new(3);
    check_run(&host, NULL, count);
    check_run(&host, gm_pool_executor(pool), count);
    gm_pool_free(pool);
    return failures != 0;
}
