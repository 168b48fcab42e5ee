/* Compiles a generated C file with $CC into a cache keyed by content, and loads it.
 * The key covers source, header, flags and the compiler's own file, so a changed compiler compiles anew. Files appear in the cache by rename
 * alone: any number of processes may share it. No shell is involved. */
#include "commands/jit_cc.h"

#include "support/bug.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

extern char **environ;

enum { MOST_WORDS = 64, MESSAGE_BYTES = 2000 };

typedef struct {
    Arena *arena;
    Diagnostics *diags;
    const char *words[MOST_WORDS]; /* of $CC, then of $GMLPC_CFLAGS */
    int compiler_words, word_count;
    const char *source, *header;
    const char *header_name, *prefix; /* found in the texts */
    const char *directory;            /* of the cache */
    const char *library;              /* path of the finished object */
} Job;

/* --- the call ----------------------------------------------------------------------------------------------------- */

static void add_words(Job *job, const char *text)
{
    while (*text) {
        text += strspn(text, " \t\n");
        size_t length = strcspn(text, " \t\n");
        if (length && job->word_count < MOST_WORDS) job->words[job->word_count++] = arena_strndup(job->arena, text, length);
        text += length;
    }
}

/* What stands between `before` and `after` at their first place in a text. */
static const char *between(Arena *arena, const char *text, const char *before, const char *after)
{
    const char *start = strstr(text, before);
    if (!start) return NULL;
    start += strlen(before);
    const char *end = strstr(start, after);
    return end ? arena_strndup(arena, start, (size_t)(end - start)) : NULL;
}

static void job_start(Job *job, Arena *arena, const Pipeline *pipeline, Diagnostics *diags)
{
    *job = (Job){.arena = arena, .diags = diags, .source = text_string(&pipeline->source), .header = text_string(&pipeline->header)};
    const char *compiler = getenv("CC"), *flags = getenv("GMLPC_CFLAGS");
    add_words(job, compiler && *compiler ? compiler : "cc");
    if (!job->word_count) add_words(job, "cc");
    job->compiler_words = job->word_count;
    if (flags) add_words(job, flags);
    job->header_name = between(arena, job->source, "#include \"", "\"");
    job->prefix = between(arena, job->header, "const gm_model *", "_model(void);");
    if (!job->header_name || !job->prefix || strchr(job->header_name, '/')) bug("the generated texts name no header or no model");
}

/* --- the cache ---------------------------------------------------------------------------------------------------- */

static bool make_directory(Arena *arena, const char *path)
{
    for (const char *c = path + 1; *c; c++)
        if (*c == '/') (void)mkdir(arena_strndup(arena, path, (size_t)(c - path)), 0700);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return false;
    struct stat about;
    /* What is loaded from here runs as us: nobody else may write it. */
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode) && about.st_uid == geteuid() && !(about.st_mode & (S_IWGRP | S_IWOTH));
}

static bool find_directory(Job *job)
{
    const char *own = getenv("GMLPC_CACHE"), *shared = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own && *own) job->directory = own;
    else if (shared && *shared == '/') job->directory = arena_printf(job->arena, "%s/gmlpc", shared);
    else if (home && *home == '/') job->directory = arena_printf(job->arena, "%s/.cache/gmlpc", home);
    if (job->directory && make_directory(job->arena, job->directory)) return true;
    bool asked = own && *own;
    if (!asked) {
        const char *temporary = getenv("TMPDIR");
        if (!temporary || *temporary != '/') temporary = "/tmp";
        job->directory = arena_printf(job->arena, "%s/gmlpc-%ld", temporary, (long)geteuid());
        if (make_directory(job->arena, job->directory)) return true;
    }
    Diagnostic *diag = diag_error(job->diags, GM177, (Place){0}, "the cache directory %s can't be used", job->directory);
    diag_help(diag, "set GMLPC_CACHE to a directory that you own and nobody else may write, or use --reference");
    return false;
}

const char *cache_directory(Arena *arena, Diagnostics *diags)
{
    Job job = {.arena = arena, .diags = diags};
    return find_directory(&job) ? job.directory : NULL;
}

/* The compiler's file: path, size and time, so that another version means another key. */
static const char *compiler_identity(const Job *job)
{
    const char *name = job->words[0], *paths = getenv("PATH");
    struct stat about;
    if (strchr(name, '/') || !paths) paths = "";
    for (;;) {
        size_t length = strcspn(paths, ":");
        const char *file = length ? arena_printf(job->arena, "%.*s/%s", (int)length, paths, name) : name;
        if ((length || strchr(name, '/')) && stat(file, &about) == 0 && S_ISREG(about.st_mode))
            return arena_printf(job->arena, "%s %lld %lld", file, (long long)about.st_size, (long long)about.st_mtime);
        if (!paths[length]) return name;
        paths += length + 1;
    }
}

static const char *cache_key(const Job *job)
{
    Text text = text_new(job->arena);
    text_printf(&text, "gmlpc %s\n%s\n", GMLPC_VERSION, compiler_identity(job));
    for (int i = 0; i < job->word_count; i++) text_printf(&text, "%s\n", job->words[i]);
    text_add(&text, job->header);
    text_add(&text, job->source);
    XXH128_hash_t hash = XXH3_128bits(text_string(&text), text.length);
    return arena_printf(job->arena, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64, (uint64_t)hash.low64);
}

/* --- compiling ---------------------------------------------------------------------------------------------------- */

static bool no_compiler(Job *job, int error)
{
    Diagnostic *diag = diag_error(job->diags, GM175, (Place){0}, "the C compiler \"%s\" can't be started: %s", job->words[0], strerror(error));
    diag_help(diag, "install one (cc, gcc or clang), name one in the environment variable CC, or use --reference, which needs none");
    return false;
}

static bool spawn(Job *job, char *const *arguments, const char *messages)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, messages, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t child;
    int error = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error) return no_compiler(job, error);
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return no_compiler(job, errno);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return no_compiler(job, ENOENT); /* how some systems report a missing program */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    char *text = (char *)"";
    size_t size = 0;
    const char *ignored;
    (void)file_read(job->arena, messages, &text, &size, &ignored);
    Diagnostic *diag = diag_error(job->diags, GM176, (Place){0}, "the C compiler \"%s\" fails on the generated file", job->words[0]);
    if (size) diag_note(diag, (Place){0}, "it says:\n%.*s", size > MESSAGE_BYTES ? MESSAGE_BYTES : (int)size, text);
    diag_help(diag, "another compiler may be named in CC; --reference needs none");
    return false;
}

static bool compile_in(Job *job, const char *directory)
{
    Arena *arena = job->arena;
    const char *source = arena_printf(arena, "%s/model.c", directory), *object = arena_printf(arena, "%s/model.so", directory);
    const char *error = NULL;
    if (!file_write(source, job->source, strlen(job->source), &error)
        || !file_write(arena_printf(arena, "%s/%s", directory, job->header_name), job->header, strlen(job->header), &error)) {
        diag_error(job->diags, GM177, (Place){0}, "the cache directory %s can't be written: %s", job->directory, error);
        return false;
    }
    const char *arguments[MOST_WORDS + 16];
    int count = 0;
    for (int i = 0; i < job->compiler_words; i++) arguments[count++] = job->words[i];
    arguments[count++] = "-O2";
    arguments[count++] = "-fPIC";
    arguments[count++] = "-shared";
    for (int i = job->compiler_words; i < job->word_count; i++) arguments[count++] = job->words[i];
    arguments[count++] = "-o";
    arguments[count++] = object;
    arguments[count++] = source;
    arguments[count++] = "-lm";
    arguments[count] = NULL;
    if (!spawn(job, (char *const *)arguments, arena_printf(arena, "%s/messages", directory))) return false;
    if (rename(object, job->library) == 0) return true;
    diag_error(job->diags, GM177, (Place){0}, "the cache directory %s can't be written: %s", job->directory, strerror(errno));
    return false;
}

static void remove_directory(Arena *arena, const char *directory, const char *header_name)
{
    const char *const files[] = {"model.c", "model.so", "messages", header_name};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) (void)unlink(arena_printf(arena, "%s/%s", directory, files[i]));
    (void)rmdir(directory);
}

static bool compile(Job *job)
{
    char *directory = arena_printf(job->arena, "%s/build-XXXXXX", job->directory);
    if (!mkdtemp(directory)) {
        diag_error(job->diags, GM177, (Place){0}, "the cache directory %s can't be written: %s", job->directory, strerror(errno));
        return false;
    }
    bool done = compile_in(job, directory);
    remove_directory(job->arena, directory, job->header_name);
    return done;
}

/* --- loading ------------------------------------------------------------------------------------------------------ */

static bool load(const Job *job, LoadedLibrary *compiled)
{
    struct stat about;
    if (stat(job->library, &about) != 0 || about.st_uid != geteuid()) return false;
    void *handle = dlopen(job->library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return false;
    void *symbol = dlsym(handle, arena_printf(job->arena, "%s_model", job->prefix)), *times = dlsym(handle, arena_printf(job->arena, "%s_profiled", job->prefix));
    if (!symbol) {
        dlclose(handle);
        return false;
    }
    const gm_model *(*table)(void);
    const gm_profiled *(*profiled)(void);
    memcpy(&table, &symbol, sizeof table); /* a data pointer that POSIX promises to be a function's */
    memcpy(&profiled, &times, sizeof profiled);
    *compiled = (LoadedLibrary){.model = table(), .profiled = times ? profiled() : NULL, .handle = handle, .library = job->library};
    return true;
}

bool library_load(Arena *arena, const Pipeline *pipeline, LoadedLibrary *compiled, Diagnostics *diags)
{
    *compiled = (LoadedLibrary){0};
    Job job;
    job_start(&job, arena, pipeline, diags);
    if (!find_directory(&job)) return false;
    job.library = arena_printf(arena, "%s%s/%s.so", strchr(job.directory, '/') ? "" : "./", job.directory, cache_key(&job));
    if (load(&job, compiled)) return true;
    if (!compile(&job)) return false;
    if (load(&job, compiled)) return true;
    const char *why = dlerror();
    diag_error(diags, GM176, (Place){0}, "the compiled model %s can't be loaded: %s", job.library, why ? why : "it lacks the model's table");
    return false;
}

void library_unload(LoadedLibrary *compiled)
{
    if (!compiled->model) return;
    dlclose(compiled->handle);
    *compiled = (LoadedLibrary){0};
}
