/* The writer: lines, comments, names and literals of generated C. */
#include "emit_c/writer.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 132, INDENT = 4 };

static void indent(Writer *writer, int depth)
{
    for (int i = 0; i < depth * INDENT; i++) text_add_bytes(writer->out, " ", 1);
}

/* Where to break a line of which at most `room` bytes fit: the last blank outside a string literal; else the first after it. */
static size_t break_at(const char *line, size_t length, size_t room)
{
    size_t best = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (line[i] == '"' && (i == 0 || line[i - 1] != '\\')) quoted = !quoted;
        if (line[i] != ' ' || quoted || i == 0) continue;
        if (i > room && best) break;
        best = i;
        if (i > room) break;
    }
    return best ? best : length;
}

static void put_line(Writer *writer, const char *line)
{
    size_t length = strlen(line);
    int depth = writer->depth;
    while (length > 0) {
        indent(writer, depth);
        size_t room = depth * INDENT < COLUMNS - 40 ? (size_t)(COLUMNS - depth * INDENT) : 40;
        size_t part = length <= room ? length : break_at(line, length, room);
        text_add_bytes(writer->out, line, part);
        text_add(writer->out, "\n");
        line += part;
        length -= part;
        while (length && *line == ' ') line++, length--;
        depth = writer->depth + 2;
    }
}

static void put_formatted(Writer *writer, const char *format, va_list arguments, const char *after)
{
    char *line = arena_vprintf(writer->out->arena, format, arguments);
    put_line(writer, after ? arena_printf(writer->out->arena, "%s%s", line, after) : line);
}

void writer_line(Writer *writer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_formatted(writer, format, arguments, NULL);
    va_end(arguments);
}

void writer_open(Writer *writer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_formatted(writer, format, arguments, " {");
    va_end(arguments);
    writer->depth++;
}

void writer_brace(Writer *writer)
{
    put_line(writer, "{");
    writer->depth++;
}

void writer_close(Writer *writer, const char *after)
{
    writer->depth--;
    writer_line(writer, "}%s", after);
}

void writer_directive(Writer *writer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_add(writer->out, arena_vprintf(writer->out->arena, format, arguments));
    va_end(arguments);
    text_add(writer->out, "\n");
}

void writer_blank(Writer *writer)
{
    text_add(writer->out, "\n");
}

void writer_text(Writer *writer, const char *text)
{
    text_add(writer->out, text);
}

/* Makes text safe inside a block comment: no end, no start, no trigraph, no control character. */
static char *comment_safe(Arena *arena, const char *text)
{
    Text safe = text_new(arena);
    for (const char *c = text; *c; c++) {
        bool splits = (c[0] == '*' && c[1] == '/') || (c[0] == '/' && c[1] == '*') || (c[0] == '?' && c[1] == '?');
        unsigned char byte = (unsigned char)*c;
        if (byte < 32 && byte != '\n') byte = ' ';
        text_add_bytes(&safe, &byte, 1);
        if (splits) text_add(&safe, " ");
    }
    return safe.data ? safe.data : (char *)"";
}

void writer_comment(Writer *writer, const char *text)
{
    char *rest = comment_safe(writer->out->arena, text);
    size_t room = (size_t)(COLUMNS - writer->depth * INDENT - 6);
    const char *start = "/* ";
    while (rest) {
        char *newline = strchr(rest, '\n');
        size_t length = newline ? (size_t)(newline - rest) : strlen(rest);
        do {
            size_t part = length <= room ? length : break_at(rest, length, room);
            indent(writer, writer->depth);
            text_add(writer->out, start);
            text_add_bytes(writer->out, rest, part);
            start = " * ";
            rest += part;
            length -= part;
            while (length && *rest == ' ') rest++, length--;
            if (length) text_add(writer->out, "\n");
        } while (length);
        rest = newline ? newline + 1 : NULL;
        text_add(writer->out, rest ? "\n" : " */\n");
    }
}

/* --- names -------------------------------------------------------------------------------------------------------- */

/* Keywords of C and C++, macros of common headers and compilers, and what generated code itself uses without a prefix. */
static const char *const reserved[] = {
    "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "char16_t",
    "char32_t", "char8_t", "class", "co_await", "co_return", "co_yield", "compl", "complex", "concept", "const", "const_cast", "consteval",
    "constexpr", "constinit", "continue", "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "errno",
    "explicit", "export", "extern", "false", "far", "final", "float", "for", "friend", "goto", "huge", "i386", "if", "imaginary", "import",
    "inline", "int", "interface", "linux", "long", "main", "module", "mutable", "namespace", "near", "new", "noexcept", "noreturn", "not",
    "not_eq", "nullptr", "operator", "or", "or_eq", "override", "private", "protected", "public", "register", "reinterpret_cast",
    "requires", "restrict", "return", "short", "signed", "sizeof", "small", "static", "static_assert", "static_cast", "struct", "switch",
    "template", "this", "thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "typeof", "union", "unix", "unsigned",
    "using", "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq", "NULL", "EOF", "INFINITY", "NAN", "HUGE_VAL", "HUGE_VALF",
    "I", "offsetof", "memcpy", "memset", "memcmp", "sqrtf", "stdin", "stdout", "stderr", "size_t", "ptrdiff_t", "int8_t", "int16_t",
    "int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "arguments", "task_index", "argument", "weights", "arena",
    "executor", "form", "call", "status", "blob", "bytes", "worst", "base", "memory", "turn", "serial",
};

bool name_is_reserved(const char *name)
{
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(reserved[i], name) == 0) return true;
    return false;
}

/* Words of the implementation, of our own helpers, and of intrinsic headers all begin alike; and a name begins with a letter. */
static bool begins_badly(const char *name)
{
    return !isalpha((unsigned char)name[0]) || strncmp(name, "gm_", 3) == 0 || strncmp(name, "GM_", 3) == 0;
}

const char *names_take(Arena *arena, Names *names, const char *wanted)
{
    char *name = arena_printf(arena, "%s%s", begins_badly(wanted) ? "n" : "", wanted);
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_') *c = '_';
    while (name_is_reserved(name) || map_get(&names->taken, name)) name = arena_printf(arena, "%s_", name);
    map_put(arena, &names->taken, name, name);
    return name;
}

/* --- literals ----------------------------------------------------------------------------------------------------- */

const char *float_literal(Arena *arena, double number)
{
    float rounded = (float)number;
    if (isnan(rounded)) return "NAN";
    if (isinf(rounded)) return rounded > 0 ? "INFINITY" : "-INFINITY";
    char digits[40];
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)rounded);
        float back;
        if (sscanf(digits, "%f", &back) == 1 && back == rounded) break;
    }
    return arena_printf(arena, "%s%sf", digits, strpbrk(digits, ".e") ? "" : ".0");
}

const char *string_literal(Arena *arena, const char *text)
{
    Text out = text_new(arena);
    text_add(&out, "\"");
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\') text_printf(&out, "\\%c", *c);
        else if (*c < 32 || *c >= 127 || *c == '?') text_printf(&out, "\\%03o", *c);
        else text_add_bytes(&out, c, 1);
    }
    text_add(&out, "\"");
    return text_string(&out);
}

const char *upper_case(Arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    for (char *c = copy; *c; c++) *c = (char)toupper((unsigned char)*c);
    return copy;
}

const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
