/* File names and URIs, and the embedded library as files: an editor can only open what has a name of its own. The texts are written, read-only,
 * into a folder of the user's cache that is named after their content, so that two versions of gmlpc never share one. */
#include "lsp/server.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* --- URIs ---------------------------------------------------------------------------------------------------------------- */

static int hexadecimal(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *uri_to_path(Arena *arena, const char *uri)
{
    if (strncmp(uri, "file://", 7) != 0) return NULL;
    const char *from = strchr(uri + 7, '/'); /* behind a host */
    if (!from) return NULL;
    char *path = arena_alloc(arena, strlen(from) + 1), *to = path;
    for (; *from; from++) {
        int high = from[0] == '%' ? hexadecimal(from[1]) : -1, low = high >= 0 ? hexadecimal(from[2]) : -1;
        if (low >= 0 && (high || low)) {
            *to++ = (char)(high * 16 + low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    return path;
}

const char *path_to_uri(Arena *arena, const char *path)
{
    Text uri = text_new(arena);
    text_add(&uri, "file://");
    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;
        if (isalnum(c) || strchr("/-._~", c)) text_add_bytes(&uri, path, 1);
        else text_printf(&uri, "%%%02X", c);
    }
    return text_string(&uri);
}

const char *plain_path(Arena *arena, const char *path)
{
    if (!strstr(path, "/.")) return path;
    char *plain = arena_alloc(arena, strlen(path) + 1), *to = plain;
    for (const char *from = path; *from;) {
        size_t length = strcspn(from + 1, "/") + 1;
        bool here = length == 2 && from[1] == '.', up = length == 3 && from[1] == '.' && from[2] == '.';
        if (*from != '/') {
            *to++ = *from++; /* a name relative to nothing known */
            continue;
        }
        if (up)
            while (to > plain && *--to != '/') continue;
        else if (!here) {
            memcpy(to, from, length);
            to += length;
        }
        from += length;
    }
    *to = 0;
    return plain;
}

/* --- the embedded library ------------------------------------------------------------------------------------------------ */

static unsigned long long library_hash(void)
{
    unsigned long long hash = 0;
    for (int k = 0; k < library_count(); k++) {
        size_t size;
        const char *name = library_name(k), *text = library_find(name, &size);
        hash = XXH64(name, strlen(name), hash);
        hash = XXH64(text, size, hash);
    }
    return hash;
}

static bool make_folders(Arena *arena, const char *path)
{
    char *copy = arena_strdup(arena, path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(copy, 0700) != 0 && errno != EEXIST) return false;
        *slash = '/';
    }
    return true;
}

/* Written once; what is there already, whole, stays. */
static bool write_library_file(Arena *arena, const char *folder, int k)
{
    size_t size;
    const char *text = library_find(library_name(k), &size), *error;
    const char *path = arena_printf(arena, "%s%s", folder, library_name(k));
    struct stat status;
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && (size_t)status.st_size == size) return true;
    return file_write(path, text, size, &error) && chmod(path, 0444) == 0;
}

static const char *cache_folder(Arena *arena)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"), *temporary = getenv("TMPDIR");
    if (cache && cache[0] == '/') return cache;
    if (home && home[0] == '/') return arena_printf(arena, "%s/.cache", home);
    return arena_printf(arena, "%s/gmlpc-%ld", temporary && temporary[0] == '/' ? temporary : "/tmp", (long)getuid());
}

static const char *library_folder(Server *server)
{
    if (server->library) return server->library;
    Arena *scratch = arena_new();
    const char *folder = arena_printf(scratch, "%s/gmlpc/std-%016llx/", cache_folder(scratch), library_hash());
    bool right = make_folders(scratch, folder);
    for (int k = 0; k < library_count() && right; k++) right = write_library_file(scratch, folder, k);
    char *real = right ? realpath(folder, NULL) : NULL;
    server->library = real ? arena_printf(server->arena, "%s/", real) : "";
    free(real);
    arena_free(scratch);
    return server->library;
}

const char *library_source_name(Server *server, Arena *arena, const char *path)
{
    if (!strstr(path, "/gmlpc/std-")) return NULL;
    const char *folder = library_folder(server);
    size_t length = strlen(folder), size;
    if (!length || strncmp(path, folder, length) != 0 || !library_find(path + length, &size)) return NULL;
    return arena_printf(arena, "std/%s", path + length);
}

AstFile *library_file(Server *server, int i)
{
    if (!server->library_files) server->library_files = arena_new_array(server->arena, AstFile *, library_count());
    if (!server->library_files[i]) {
        size_t size;
        const char *text = library_find(library_name(i), &size), *name = arena_printf(server->arena, "std/%s", library_name(i));
        server->library_files[i] = ast_parse(server->arena, source_new(server->arena, name, text, size, true), diagnostics_new(server->arena));
    }
    return server->library_files[i];
}

const char *source_uri(Server *server, const Source *source)
{
    if (!source) return NULL;
    for (int k = 0; k < server->documents.count; k++) /* as the editor spells it */
        if (!strcmp(server->documents.data[k]->shown, source->name)) return server->documents.data[k]->uri;
    if (source->embedded) {
        const char *folder = library_folder(server);
        return *folder ? path_to_uri(server->scratch, arena_printf(server->scratch, "%s%s", folder, source->name + strlen("std/"))) : NULL;
    }
    char *real = realpath(source->name, NULL);
    const Document *document = document_of_path(server, real ? real : source->name);
    const char *uri = document ? document->uri : real ? path_to_uri(server->scratch, real) : NULL;
    free(real);
    return uri;
}

json_t *location_json(Server *server, Place place)
{
    const char *uri = source_uri(server, place.source);
    return uri ? json_pack("{s:s, s:o}", "uri", uri, "range", range_json(server, place)) : NULL;
}
