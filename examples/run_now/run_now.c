/* A model's text in, its answer out: gmlpc as a library. Change the text while the program runs, compile again, and compare.
 * usage: run_now MODEL.gm [NAME=VALUE…]      runs the model on zeros with random weights and prints the first numbers of each output */
#include "gmlpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t size = 0, room = 1 << 20;
    char *text = malloc(room + 1);
    if (file && text) {
        size = fread(text, 1, room, file);
        text[size] = '\0';
        fclose(file);
        return text;
    }
    free(text);
    return NULL;
}

static void *zeros(size_t bytes, size_t alignment)
{
    if (alignment < sizeof(void *)) alignment = sizeof(void *);
    void *memory = aligned_alloc(alignment, (bytes / alignment + 1) * alignment);
    return memory ? memset(memory, 0, bytes) : NULL;
}

/* Works with any gm_model: the one that gm_compile made, or MODEL_model() of a file compiled ahead of time. */
static int run(const gm_model *model, const void *blob, size_t bytes)
{
    void *weights = zeros(model->weights_bytes, 16), *arena = zeros(model->arena_bytes, model->alignment);
    const void *inputs[16];
    void *outputs[16];
    if (model->input_count > 16 || model->output_count > 16) return 1;
    for (int i = 0; i < model->input_count; i++)
        inputs[i] = zeros(gm_tensor_elements(&model->inputs[i]) * gm_element_bytes(model->inputs[i].type), 64);
    for (int i = 0; i < model->output_count; i++)
        outputs[i] = zeros(gm_tensor_elements(&model->outputs[i]) * gm_element_bytes(model->outputs[i].type), 64);
    int status = model->bind(weights, blob, bytes);
    if (status != GM_OK) {
        fprintf(stderr, "%s\n", gm_status_text(status));
        return 1;
    }
    status = model->run(weights, arena, inputs, outputs);
    printf("%s, form %s, arena %zu bytes\n", model->name, model->form(weights), model->arena_bytes);
    for (int i = 0; i < model->output_count; i++) {
        size_t count = gm_tensor_elements(&model->outputs[i]);
        printf("  %s:", model->outputs[i].name);
        for (size_t e = 0; e < count && e < 6; e++)
            if (model->outputs[i].type == GM_F32) printf(" %g", (double)((const float *)outputs[i])[e]);
            else printf(" %d", (int)((const int32_t *)outputs[i])[e]);
        printf(count > 6 ? " ...\n" : "\n");
        free(outputs[i]);
    }
    for (int i = 0; i < model->input_count; i++) free((void *)(uintptr_t)inputs[i]);
    free(arena);
    free(weights);
    return status != 0;
}

int main(int argc, char **argv)
{
    char *text = argc > 1 ? read_text(argv[1]) : NULL;
    if (!text) {
        fprintf(stderr, "usage: run_now MODEL.gm [NAME=VALUE...]\n");
        return 2;
    }
    gm_compile_options options = {0};
    options.name = argv[1];
    options.sets = (const char *const *)(argv + 2);
    options.set_count = argc - 2;
    options.random = 1;
    gm_compiled *compiled = gm_compile(text, &options);
    fputs(gm_compiled_messages(compiled), stderr);
    const gm_model *model = gm_compiled_model(compiled);
    size_t bytes;
    const void *blob = gm_compiled_weights(compiled, &bytes);
    int failed = model ? run(model, blob, bytes) : 1;
    gm_compiled_free(compiled);
    free(text);
    return failed;
}
