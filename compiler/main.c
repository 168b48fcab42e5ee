/* argv → one row of commands.def, nothing else. */
#include "commands/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *synopsis, *help;
} commands[] = {
#define COMMAND(name, function, synopsis, help) {name, function, synopsis, help},
#include "commands/commands.def"
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void usage(FILE *out)
{
    fprintf(out, "usage: gmlpc MODEL.gm -o MODEL.c        compile a model to C\n"
                 "       gmlpc COMMAND …                  one of:\n\n");
    for (int i = 0; i < COMMANDS; i++) fprintf(out, "  %-8s %s\n           gmlpc %s %s\n", commands[i].name, commands[i].help, commands[i].name, commands[i].synopsis);
    fprintf(out, "\ngmlpc COMMAND --help lists a command's options; the manual is gmlpc(1).\n");
}

static bool looks_like_a_model(const char *word)
{
    size_t length = strlen(word);
    return word[0] == '-' || strchr(word, '/') || (length > 3 && strcmp(word + length - 3, ".gm") == 0);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(word, "--version") == 0) {
        printf("gmlpc %s\n", GMLPC_VERSION);
        return 0;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, word) == 0) return commands[i].run(argc - 1, argv + 1);
    if (looks_like_a_model(word)) {
        argv[0] = (char *)"compile";
        return commands[0].run(argc, argv);
    }
    fprintf(stderr, "gmlpc: there is no command \"%s\" (and a model's name ends in .gm)\n", word);
    usage(stderr);
    return 2;
}

/* What was printed may still fail to arrive: a full disk behind a redirection is an error like any other. */
int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file that grows beyond its limit: the write fails, and the command says so */
    int code = run(argc, argv);
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fprintf(stderr, "gmlpc: standard output can't be written%s%s\n", errno ? ": " : "", errno ? strerror(errno) : "");
    return code ? code : 1;
}
