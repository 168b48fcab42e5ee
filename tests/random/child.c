/* One model in a child process. */
#include "child.h"

#include "commands/verification.h"
#include "pipeline.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 120, EXIT_REJECTED = 10, EXIT_UNLOCATED = 11, EXIT_WRONG = 12 };

const char *child_result_name(ChildResult result)
{
    static const char *const names[] = {"verified", "rejected", "an error without a place", "wrong numbers", "an internal fault", "a crash", "a hang"};
    return names[result];
}

/* Every diagnostic must be JSON with a file and a line. */
static int located(const Diagnostics *diags)
{
    Text json = text_new(diags->arena);
    diagnostics_json(diags, &json);
    return diags->error_count > 0 && strstr(text_string(&json), "\"line\"") != NULL;
}

static int child(const char *text, const char *target, uint64_t seed, int verify)
{
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    VerifyRequest request = {.model = {.path = "random.gm", .text = text}, .target = target, .seed = seed};
    VerifyResult result = {0};
    bool done;
    /* Some with the same bits from every form, some for several inputs. */
    request.reproducible = seed % 3 == 1;
    request.model.batch = seed % 4 == 2 ? 3 : 1;
    if (verify) {
        done = verify_model(arena, &request, &result, diags);
        request.backend = BACKEND_LLVM;
        if (done && result.passed && stage_built(STAGE_LLVM)) done = verify_model(arena, &request, &result, diags);
    } else {
        Pipeline pipeline;
        PipelineRequest compile = {.model = request.model, .target = target, .stop = STAGE_C, .plan = {.reproducible = request.reproducible}};
        done = pipeline_run(arena, &compile, &pipeline, diags);
        result.passed = true;
    }
    if (!done) {
        Text message = text_new(arena);
        diagnostics_print(diags, &message, false);
        fputs(text_string(&message), stdout);
        return located(diags) ? EXIT_REJECTED : EXIT_UNLOCATED;
    }
    if (result.passed) return 0;
    for (int i = 0; i < result.rows.count; i++) {
        const VerifyRow *row = &result.rows.data[i];
        if (!row->passed) printf("%s: %s: error %g\n", row->form, row->name, row->error);
    }
    return EXIT_WRONG;
}

static void drain(int fd, char *message, size_t size)
{
    size_t used = 0;
    char rest[512];
    for (;;) {
        bool full = used + 1 >= size;
        ssize_t n = read(fd, full ? rest : message + used, full ? sizeof rest : size - 1 - used);
        if (n <= 0) break;
        if (!full) used += (size_t)n;
    }
    if (size) message[used] = 0;
}

ChildResult child_check(const char *text, const char *target, uint64_t seed, int verify, char *message, size_t size)
{
    int ends[2];
    if (pipe(ends) != 0) abort();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) abort();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        alarm(SECONDS);
        int code = child(text, target, seed, verify);
        fflush(NULL);
        _exit(code);
    }
    close(ends[1]);
    drain(ends[0], message, size);
    close(ends[0]);
    int status;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGALRM ? CHILD_HANG : CHILD_CRASH;
    switch (WEXITSTATUS(status)) {
    case 0: return CHILD_VERIFIED;
    case EXIT_REJECTED: return CHILD_REJECTED;
    case EXIT_UNLOCATED: return CHILD_UNLOCATED;
    case EXIT_WRONG: return CHILD_WRONG;
    default: return CHILD_FAULT;
    }
}
