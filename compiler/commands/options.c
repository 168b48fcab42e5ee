/* Options: a table in, getopt_long underneath. */
#include "commands/options.h"

#include "commands/report.h"
#include "equation/batch.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(const char *command, const char *synopsis, const char *help, const Option *options, int count)
{
    printf("usage: gmlpc %s %s\n%s\n\n", command, synopsis, help);
    for (int i = 0; i <= count; i++) {
        static const Option self = {"help", 'h', OPTION_FLAG, NULL, NULL, "this text"};
        const Option *option = i < count ? &options[i] : &self;
        char left[80];
        int n = option->letter ? snprintf(left, sizeof left, "  -%c, --%s", option->letter, option->name)
                               : snprintf(left, sizeof left, "      --%s", option->name);
        if (option->argument) snprintf(left + n, sizeof left - (size_t)n, "=%s", option->argument);
        printf("%-34s %s\n", left, option->help);
    }
}

static bool take(Arena *arena, const char *command, const Option *option, const char *text)
{
    char *end = NULL;
    errno = 0;
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->value = true;
        return true;
    case OPTION_TEXT:
        *(const char **)option->value = text;
        return true;
    case OPTION_LIST:
        list_push(arena, (Words *)option->value, text);
        return true;
    case OPTION_INT:
        *(long *)option->value = strtol(text, &end, 10);
        break;
    case OPTION_REAL:
        *(double *)option->value = strtod(text, &end);
        break;
    }
    if (*text && !*end && errno == 0) return true;
    fprintf(stderr, "gmlpc %s: --%s wants a number, not \"%s\"\n", command, option->name, text);
    return false;
}

int options_parse(Arena *arena, int argc, char **argv, const char *synopsis, const char *help, const Option *options, int count, Words *positional)
{
    enum { HELP = 1000, FIRST = 2000 };
    struct option *longs = arena_new_array(arena, struct option, count + 2);
    char *letters = arena_alloc(arena, (size_t)count * 2 + 4), *l = letters;
    *l++ = 'h';
    for (int i = 0; i < count; i++) {
        bool wants = options[i].kind != OPTION_FLAG;
        longs[i] = (struct option){options[i].name, wants ? required_argument : no_argument, NULL, FIRST + i};
        if (!options[i].letter) continue;
        *l++ = options[i].letter;
        if (wants) *l++ = ':';
    }
    longs[count] = (struct option){"help", no_argument, NULL, HELP};
    const char *command = argv[0];
    char *name = arena_printf(arena, "gmlpc %s", command);
    argv[0] = name;
    optind = 0;
    int result = -1, c;
    while (result < 0 && (c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (c == HELP || c == 'h') {
            print_help(command, synopsis, help, options, count);
            result = 0;
        } else if (c == '?') {
            fprintf(stderr, "gmlpc %s --help lists the options\n", command);
            result = 2;
        } else {
            int row = c - FIRST;
            for (int i = 0; i < count && c < FIRST; i++)
                if (options[i].letter == c) row = i;
            if (!take(arena, command, &options[row], optarg)) result = 2;
        }
    }
    argv[0] = (char *)command;
    for (; result < 0 && optind < argc; optind++) list_push(arena, positional, argv[optind]);
    return result;
}

int check_batch(const char *command, const ModelOptions *options)
{
    if (options->batch >= 1 && options->batch <= MOST_BATCH) return -1;
    return wrong_call(command, "--batch is 1 to %d, not %ld", MOST_BATCH, options->batch);
}

ModelRequest model_request(Arena *arena, const ModelOptions *options, const char *path)
{
    ModelRequest request = {.path = path, .model = options->model, .batch = options->batch};
    for (int i = 0; i < options->sets.count; i++) list_push(arena, &request.sets, options->sets.data[i]);
    return request;
}
