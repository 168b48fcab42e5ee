/* Perplexity and continuation. A window is one run of the model; what a row predicts is found out by trying, not believed. */
#include "commands/language.h"

#include "commands/report.h"
#include "commands/text_input.h"
#include "equation/mathematics.h"
#include "support/text.h"
#include "weights/draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Arena *arena;
    Runner *runner;
    Diagnostics *diags;
    TextInput text;
    int output;            /* its logits: [length, entries] */
    int64_t length, entries;
    void **inputs, **outputs;
} Language;

bool language_wanted(const LanguageOptions *options)
{
    return options->perplexity || options->prompt;
}

int language_call(const LanguageOptions *o, bool inputs_given, bool output_given)
{
    if (o->perplexity && o->prompt) return wrong_call("run", "--perplexity and --prompt exclude each other");
    if (language_wanted(o) && (inputs_given || output_given)) return wrong_call("run", "--perplexity and --prompt make the inputs themselves, and print");
    if ((o->generate >= 0 || o->seed) && !o->prompt) return wrong_call("run", "--generate and --seed belong to --prompt TEXT");
    if (o->stride && !o->perplexity) return wrong_call("run", "--stride belongs to --perplexity FILE");
    if (o->stride < 0) return wrong_call("run", "--stride is at least 1");
    if (!(o->temperature >= 0)) return wrong_call("run", "--temperature is at least 0");
    return -1;
}

/* --- the model ---------------------------------------------------------------------------------------------------- */

static bool no_language(Language *l, const char *problem)
{
    diag_error(l->diags, GM161, (Place){0}, "%s: %s", l->runner->pipeline->module->name, problem);
    return false;
}

static bool find_ports(Language *l, const char *model_path)
{
    const Module *module = l->runner->pipeline->module;
    int ids = text_input_sole(module);
    if (ids < 0) return no_language(l, "one input must say how text becomes ids: ~ text(vocabulary = …, tokenizer = …)");
    if (!text_input_open(l->arena, module, ids, model_path, &l->text, l->diags)) return false;
    l->length = l->text.length;
    for (int i = 0; i < module->inputs.count; i++)
        if (i != ids && i != l->text.mask && i != l->text.types) return no_language(l, arena_printf(l->arena, "input %s is made from no text", module->inputs.data[i].name));
    l->output = -1;
    for (int i = 0; i < module->outputs.count && l->output < 0; i++) {
        const Tensor *tensor = module->outputs.data[i].tensor;
        if (tensor->type == TYPE_F32 && tensor->rank == 2 && tensor->extents[0] == l->length && tensor->extents[1] >= gm_vocabulary_count(l->text.vocabulary)) l->output = i;
    }
    if (l->output < 0) return no_language(l, arena_printf(l->arena, "no output is [%lld, %d or more]: a row for each of the ids, a column for each entry of the vocabulary",
                                                          (long long)l->length, gm_vocabulary_count(l->text.vocabulary)));
    l->entries = module->outputs.data[l->output].tensor->extents[1];
    return true;
}

static void *port_array(Arena *arena, const Tensor *tensor)
{
    return arena_alloc_array(arena, (size_t)tensor_count(tensor), (size_t)element_type_size(tensor->type));
}

static void make_arrays(Language *l)
{
    const Module *module = l->runner->pipeline->module;
    l->inputs = arena_new_array(l->arena, void *, module->inputs.count + 1);
    l->outputs = arena_new_array(l->arena, void *, module->outputs.count + 1);
    for (int i = 0; i < module->inputs.count; i++) l->inputs[i] = port_array(l->arena, module->inputs.data[i].tensor);
    for (int i = 0; i < module->outputs.count; i++) l->outputs[i] = port_array(l->arena, module->outputs.data[i].tensor);
}

/* Row t of the result is for the token after ids[t]. NULL after an error. */
static const float *run_window(Language *l, const int32_t *ids, int64_t count)
{
    text_store_window(&l->text, ids, count, l->inputs);
    int status = runner_run(l->runner, (const void *const *)l->inputs, l->outputs);
    if (status <= 0) return l->outputs[l->output];
    diag_error(l->diags, GM154, l->runner->pipeline->module->inputs.data[status - 1].place, "an id of the vocabulary lies outside the tensor it selects from");
    return NULL;
}

/* Other tokens in the later half must leave the earlier rows as they are. */
static bool check_causal(Language *l)
{
    if (l->length < 2) return true;
    int64_t early = l->length / 2, count = early * l->entries;
    int32_t *ids = arena_new_array(l->arena, int32_t, l->length);
    float *before = arena_new_array(l->arena, float, count);
    Draw draw = draw_start(1, "causal");
    for (int64_t i = 0; i < l->length; i++) ids[i] = (int32_t)(draw_bits(&draw) % (uint64_t)gm_vocabulary_count(l->text.vocabulary));
    const float *rows = run_window(l, ids, l->length);
    if (!rows) return false;
    memcpy(before, rows, (size_t)count * sizeof *before);
    for (int64_t i = early; i < l->length; i++) ids[i] = (ids[i] + 1) % gm_vocabulary_count(l->text.vocabulary);
    rows = run_window(l, ids, l->length);
    for (int64_t i = 0; rows && i < count; i++)
        if (!(fabsf(rows[i] - before[i]) <= 1e-4f * (1 + fabsf(before[i]))))
            return no_language(l, arena_printf(l->arena, "it is not causal: row %lld of %s changes when a token after it does", (long long)(i / l->entries),
                                               l->runner->pipeline->module->outputs.data[l->output].name));
    return rows != NULL;
}

/* The ids of a text with the start before them; *begin is the first that is the text's. NULL after an error. */
static int32_t *started(Language *l, const char *data, size_t bytes, int64_t *count, int64_t *begin, size_t *unknowns)
{
    size_t have;
    int32_t *ids = text_ids(l->arena, &l->text, data, bytes, &have, unknowns), *all = arena_new_array(l->arena, int32_t, have + 2);
    *begin = l->text.start >= 0;
    all[0] = l->text.start;
    memcpy(all + *begin, ids, have * sizeof *ids);
    *count = (int64_t)have + *begin;
    if (!*unknowns || l->text.unknown >= 0) return all;
    diag_error(l->diags, GM160, (Place){0}, "%zu characters of the text are not in the vocabulary, and it has no entry for what is unknown", *unknowns);
    return NULL;
}

/* --- perplexity --------------------------------------------------------------------------------------------------- */

/* The natural logarithm of what softmax gives the entry. */
static double log_probability(const float *row, int64_t entries, int32_t entry)
{
    double largest = (double)row[0], sum = 0;
    for (int64_t i = 1; i < entries; i++) largest = fmax(largest, (double)row[i]);
    for (int64_t i = 0; i < entries; i++) sum += math_exp((double)row[i] - largest);
    return (double)row[entry] - largest - math_log(sum);
}

/* Each id from `next` on is predicted once, in windows that begin so early that all but the first ids have length - stride before them. */
static bool sum_bits(Language *l, const int32_t *ids, int64_t count, int64_t stride, double *nats)
{
    int64_t next = 1;
    *nats = l->text.start >= 0 ? 0 : math_log((double)l->entries); /* nothing stands before the first id: it costs what any does */
    while (next < count) {
        int64_t begin = next == 1 ? 0 : next - 1 - (l->length - stride), end = begin + l->length < count ? begin + l->length : count - 1;
        const float *rows = run_window(l, ids + begin, end - begin);
        if (!rows) return false;
        for (; next <= end; next++) *nats -= log_probability(rows + (next - 1 - begin) * l->entries, l->entries, ids[next]);
        progress("tokens", next, count);
    }
    return true;
}

static bool perplexity(Language *l, const LanguageOptions *options)
{
    char *data;
    size_t size, unknowns;
    const char *error;
    if (!file_read(l->arena, options->perplexity, &data, &size, &error)) {
        diag_error(l->diags, GM153, (Place){0}, "%s: %s", options->perplexity, error);
        return false;
    }
    int64_t count, begin, stride = options->stride ? options->stride : (l->length + 1) / 2, characters = 0;
    int32_t *ids = started(l, data, size, &count, &begin, &unknowns);
    double nats;
    if (!ids) return false;
    if (stride > l->length) stride = l->length;
    if (count == begin) return no_language(l, arena_printf(l->arena, "%s holds no token", options->perplexity));
    if (!sum_bits(l, ids, count, stride, &nats)) return false;
    for (size_t i = 0; i < size; i++) characters += ((unsigned char)data[i] & 0xC0) != 0x80;
    double bits = nats / math_log(2);
    printf("%s: %lld characters, %zu bytes, %lld tokens; windows of %lld, %lld counted in each after the first\n", options->perplexity, (long long)characters, size,
           (long long)(count - begin), (long long)l->length, (long long)stride);
    printf("%.4f bits per character, %.4f bits per byte\n", bits / (double)characters, bits / (double)size);
    printf("%.4f bits per token, perplexity %.4f\n", bits / (double)(count - begin), math_exp(nats / (double)(count - begin)));
    if (unknowns) printf("%zu tokens are unknown: what they stand for is not paid for, and bits per character are too few\n", unknowns);
    if (l->text.kind == GM_TEXT_WORDPIECE) printf("the text's spaces are not among the tokens: bits per character are those of its words alone\n");
    return true;
}

/* --- continuation ------------------------------------------------------------------------------------------------- */

typedef struct {
    double score;
    int32_t id;
} Choice;

static int by_score(const void *a, const void *b)
{
    const Choice *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Draws among the `top` best by softmax(row / temperature). */
static int32_t draw_token(const Language *l, const float *row, Choice *choices, double temperature, int top, Draw *draw)
{
    int count = 0;
    for (int32_t id = 0; id < gm_vocabulary_count(l->text.vocabulary); id++)
        if (id != l->text.pad && id != l->text.unknown && !isnan(row[id])) choices[count++] = (Choice){(double)row[id], id};
    if (count == 0) return 0;
    qsort(choices, (size_t)count, sizeof *choices, by_score);
    if (temperature == 0) return choices[0].id;
    if (top > 0 && top < count) count = top;
    double sum = 0, best = choices[0].score;
    for (int i = 0; i < count; i++) sum += choices[i].score = math_exp((choices[i].score - best) / temperature);
    double at = draw_unit(draw) * sum;
    for (int i = 0; i < count; i++) {
        at -= choices[i].score;
        if (at < 0) return choices[i].id;
    }
    return choices[0].id;
}

static void print_token(const Language *l, int32_t id, bool first)
{
    char small[256], *out = small;
    size_t bytes = gm_text_decode(l->text.vocabulary, id, first, small, sizeof small);
    if (bytes > sizeof small) {
        out = arena_alloc(l->arena, bytes);
        gm_text_decode(l->text.vocabulary, id, first, out, bytes);
    }
    fwrite(out, 1, bytes, stdout);
    fflush(stdout);
}

static bool continue_text(Language *l, const LanguageOptions *options, int top)
{
    int64_t count, begin, more = options->generate < 0 ? 100 : options->generate;
    size_t unknowns;
    int32_t *ids = started(l, options->prompt, strlen(options->prompt), &count, &begin, &unknowns);
    if (!ids) return false;
    if (count == 0) return no_language(l, "an empty prompt can be continued where `start = \"…\"` names what stands before a text");
    int32_t *all = arena_new_array(l->arena, int32_t, count + more);
    Choice *choices = arena_new_array(l->arena, Choice, gm_vocabulary_count(l->text.vocabulary) + 1);
    Draw draw = draw_start((uint64_t)options->seed, "generate");
    memcpy(all, ids, (size_t)count * sizeof *ids);
    fputs(options->prompt, stdout);
    for (int64_t i = 0; i < more; i++) {
        int64_t used = count < l->length ? count : l->length;
        const float *rows = run_window(l, all + count - used, used);
        if (!rows) return false;
        int32_t id = draw_token(l, rows + (used - 1) * l->entries, choices, options->temperature, top, &draw);
        if (id == l->text.end) break;
        print_token(l, id, count == begin);
        all[count++] = id;
    }
    printf("\n");
    return true;
}

bool language_run(Arena *arena, Runner *runner, const LanguageOptions *options, int top, const char *model_path, Diagnostics *diags)
{
    Language l = {.arena = arena, .runner = runner, .diags = diags};
    runner->quiet = true;
    bool good = find_ports(&l, model_path);
    if (good) {
        make_arrays(&l);
        good = check_causal(&l) && (options->perplexity ? perplexity(&l, options) : continue_text(&l, options, top));
    }
    text_input_close(&l.text);
    return good;
}
