/* The journal of a sweep: a line of JSON for everything found, appended and on the disk before the next step.
 * In: entries.  Out: those of an earlier run of the same sweep. A line that a crash tore is dropped; nothing else can be lost. */
#include "explore/explore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct Journal {
    int file;
    const char *path, *identity;
    json_t *entries;
};

static bool failed(const Journal *journal, Diagnostics *diags)
{
    diag_error(diags, GM182, (Place){0}, "%s: %s", journal->path, strerror(errno));
    return false;
}

static bool append(const Journal *journal, const char *bytes, size_t count, Diagnostics *diags)
{
    while (count) {
        ssize_t written = write(journal->file, bytes, count);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return failed(journal, diags);
        bytes += written;
        count -= (size_t)written;
    }
    return fdatasync(journal->file) == 0 || errno == EINVAL || failed(journal, diags);
}

/* Every whole line that is an object of this sweep. */
static void take_lines(Journal *journal, const char *text)
{
    for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *entry = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
        const char *sweep = json_string_value(json_object_get(entry, "sweep"));
        if (sweep && strcmp(sweep, journal->identity) == 0) json_array_append_new(journal->entries, entry);
        else json_decref(entry);
    }
}

/* The entries of one file; *torn when its last line is not whole. */
static bool read_file(Arena *arena, Journal *journal, const char *path, bool *torn, Diagnostics *diags)
{
    char *text = NULL;
    size_t size = 0;
    const char *error = NULL;
    *torn = false;
    if (access(path, F_OK) != 0) return true;
    if (!file_read(arena, path, &text, &size, &error)) {
        diag_error(diags, GM182, (Place){0}, "%s: %s", path, error);
        return false;
    }
    if (size) take_lines(journal, text);
    *torn = size && text[size - 1] != '\n';
    return true;
}

static int is_journal(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return strncmp(entry->d_name, "journal.", 8) == 0 && length > 6 && strcmp(entry->d_name + length - 6, ".jsonl") == 0;
}

Journal *journal_open(Arena *arena, const char *folder, const char *name, const char *identity, Diagnostics *diags)
{
    Journal *journal = arena_new_object(arena, Journal);
    *journal = (Journal){.path = arena_printf(arena, "%s/%s", folder, name), .identity = identity, .entries = json_array()};
    struct dirent **files = NULL;
    int count = scandir(folder, &files, is_journal, alphasort);
    bool torn, own_torn = false, good = true;
    for (int i = 0; i < count; i++) {
        good = good && read_file(arena, journal, arena_printf(arena, "%s/%s", folder, files[i]->d_name), &torn, diags);
        if (strcmp(files[i]->d_name, name) == 0) own_torn = torn;
        free(files[i]);
    }
    free(files);
    if (!good) return NULL;
    journal->file = open(journal->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (journal->file < 0) {
        failed(journal, diags);
        return NULL;
    }
    return !own_torn || append(journal, "\n", 1, diags) ? journal : NULL;
}

const json_t *journal_entries(const Journal *journal)
{
    return journal->entries;
}

bool journal_add(Journal *journal, json_t *entry, Diagnostics *diags)
{
    json_object_set_new(entry, "sweep", json_string(journal->identity));
    char *text = json_dumps(entry, JSON_COMPACT | JSON_SORT_KEYS);
    size_t length = strlen(text);
    text[length] = '\n'; /* one write a line */
    bool good = append(journal, text, length + 1, diags);
    free(text);
    json_array_append_new(journal->entries, entry);
    return good;
}

void journal_close(Journal *journal)
{
    if (!journal) return;
    json_decref(journal->entries);
    close(journal->file);
}

/* --- variants ----------------------------------------------------------------------------------------------------- */

json_t *variant_to_json(const Variant *v)
{
    if (v->state == VARIANT_WRONG) return json_pack("{s:s, s:s, s:s}", "what", "screened", "name", v->name, "error", v->error);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "what", "screened", "name", v->name, "hash", v->hash, "parameters", (json_int_t)v->parameters,
                     "macs", (json_int_t)v->macs, "flops", (json_int_t)v->flops, "bytes", (json_int_t)v->bytes, "arena", (json_int_t)v->arena_bytes, "weights",
                     (json_int_t)v->weight_bytes, "blocks", v->blocks);
}

static const char *text_of(Arena *arena, const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));
    return text ? arena_strdup(arena, text) : NULL;
}

static int64_t number_of(const json_t *entry, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(entry, key));
}

void variant_from_json(Arena *arena, Variant *v, const json_t *entry)
{
    v->error = text_of(arena, entry, "error");
    v->state = v->error ? VARIANT_WRONG : VARIANT_SCREENED;
    v->hash = text_of(arena, entry, "hash");
    v->parameters = number_of(entry, "parameters");
    v->macs = number_of(entry, "macs");
    v->flops = number_of(entry, "flops");
    v->bytes = number_of(entry, "bytes");
    v->arena_bytes = number_of(entry, "arena");
    v->weight_bytes = number_of(entry, "weights");
    json_decref(v->blocks);
    v->blocks = json_incref(json_object_get(entry, "blocks"));
}
