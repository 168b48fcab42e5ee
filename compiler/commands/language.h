/* What `gmlpc run` does with a model of language: perplexity over a text file, and the continuation of a prompt.
 * In: a runner of a model whose output row t is for the token after ids[t].  Out: text on standard output. */
#ifndef GM_COMMANDS_LANGUAGE_H
#define GM_COMMANDS_LANGUAGE_H

#include "commands/options.h"
#include "commands/runner.h"

typedef struct {
    const char *perplexity, *prompt;
    long stride;      /* tokens counted a window after the first; 0: half of a window */
    long generate;    /* tokens; -1: not given */
    long seed;
    double temperature;
} LanguageOptions;

#define LANGUAGE_DEFAULTS {.generate = -1, .temperature = 0.8}
#define LANGUAGE_OPTIONS(o)                                                                                                     \
    {"perplexity", 0, OPTION_TEXT, &(o).perplexity, "FILE", "of a causal language model over a text file, and its bits per character"}, \
    {"stride", 0, OPTION_INT, &(o).stride, "N", "tokens counted in a window of --perplexity after the first (default: half of it)"}, \
    {"prompt", 0, OPTION_TEXT, &(o).prompt, "TEXT", "continue a text"},                                                         \
    {"generate", 0, OPTION_INT, &(o).generate, "N", "by so many tokens (default 100), among the --top K most likely"},           \
    {"temperature", 0, OPTION_REAL, &(o).temperature, "T", "0: always the most likely token (default 0.8)"},                     \
    {"seed", 0, OPTION_INT, &(o).seed, "S", "of what is drawn (default 0)"},

bool language_wanted(const LanguageOptions *options);
/* -1, or an exit code after a message about a wrong call. */
int language_call(const LanguageOptions *options, bool inputs_given, bool output_given);
/* False after errors (GM153, GM160, GM161). top 0: all tokens. */
bool language_run(Arena *arena, Runner *runner, const LanguageOptions *options, int top, const char *model_path, Diagnostics *diags);

#endif
