/* A host as small as one gets: maps the weight file, binds, runs once on zeros. Compiled with -DMODEL=gmlp_s16 and its header;
 * prints milliseconds to the first answer and the peak memory of the process beside what it may need. */
#include HEADER
#include "gm_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Of this program alone: getrusage counts what the process was before it became this program too. */
static double peak_mb(void)
{
    char line[128];
    long kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && kilobytes == 0 && fgets(line, sizeof line, status))
        if (strncmp(line, "VmHWM:", 6) == 0) kilobytes = strtol(line + 6, NULL, 10);
    if (status) fclose(status);
    if (kilobytes > 0) return (double)kilobytes / 1024;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

int main(int argc, char **argv)
{
    double begin = now_ms();
    gm_mapping mapping;
    const gm_model *model = PASTE(MODEL, model)();
    void *weights = malloc(model->weights_bytes), *arena = aligned_alloc(64, (model->arena_bytes + 63) / 64 * 64), *inputs[16], *outputs[16];
    if (argc < 2 || gm_map(&mapping, argv[1]) != GM_OK) return 1;
    double mapped = now_ms();
    int status = model->bind(weights, mapping.data, mapping.bytes);
    if (status != GM_OK) {
        fprintf(stderr, "%s\n", gm_status_text(status));
        return 1;
    }
    double bound = now_ms();
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < (side ? model->output_count : model->input_count); i++) {
            const gm_tensor *tensor = side ? &model->outputs[i] : &model->inputs[i];
            size_t count = 8;
            for (int axis = 0; axis < tensor->rank; axis++) count *= (size_t)tensor->extents[axis];
            (side ? outputs : inputs)[i] = calloc(count, 1);
        }
    model->run(weights, arena, (const void *const *)inputs, outputs);
    double answered = now_ms();
    double peak = peak_mb();
    printf("map %.1f ms, bind %.1f ms, run %.1f ms; peak memory %.1f MB = weights %.1f + arena %.1f + %.1f MB\n", mapped - begin, bound - mapped, answered - bound,
           peak, (double)mapping.bytes / 1048576, (double)model->arena_bytes / 1048576, peak - (double)(mapping.bytes + model->arena_bytes) / 1048576);
    return 0;
}
