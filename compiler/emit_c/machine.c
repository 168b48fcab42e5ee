/* The machines of a file's forms: a macro for each, defined where the file is compiled for it by a compiler that knows its vectors.
 * In: the forms' targets.  Out: the macros and includes at the top of the file, conditions for what only some forms need. */
#include "emit_c/emit_private.h"

#include "support/bug.h"

#include <string.h>

static const struct {
    unsigned bit;
    const char *macro, *condition, *include, *called;
} machines[] = {
    {MACHINE_X86, "GM_X86", "defined(__x86_64__)", "immintrin.h", "x86-64"},
    {MACHINE_ARM64, "GM_ARM64", "defined(__aarch64__) && defined(__ARM_NEON)", "arm_neon.h", "aarch64"},
};
enum { MACHINES = sizeof machines / sizeof machines[0] };

unsigned machine_bit(const Target *target)
{
    if (!*target->machine) return USED_ANYWHERE;
    for (int i = 0; i < MACHINES; i++)
        if (strcmp(machines[i].macro, target->machine) == 0) return machines[i].bit;
    bug("no machine %s", target->machine);
}

const char *machine_condition(const Emitter *emitter, unsigned wanted)
{
    Text text = text_new(emitter->arena);
    for (int i = 0; i < MACHINES; i++)
        if (wanted & machines[i].bit) text_printf(&text, "%sdefined(%s)", text.length ? " || " : "", machines[i].macro);
    return text_string(&text);
}

void print_c_machines(const Emitter *emitter, Writer *writer, bool runs_anywhere)
{
    if (!emitter->machines) return;
    if (runs_anywhere) writer_comment(writer, "GM_PORTABLE, defined, leaves out all but the scalar form.");
    Text called = text_new(emitter->arena);
    for (int i = 0; i < MACHINES; i++) {
        if (!(emitter->machines & machines[i].bit)) continue;
        text_printf(&called, "%s%s", called.length ? " or " : "", machines[i].called);
        writer_directive(writer, "#if !defined(%s) && !defined(GM_PORTABLE) && %s && defined(__GNUC__)", machines[i].macro, machines[i].condition);
        writer_directive(writer, "#define %s", machines[i].macro);
        writer_directive(writer, "#endif");
        writer_directive(writer, "#if defined(%s)", machines[i].macro);
        writer_directive(writer, "#include <%s>", machines[i].include);
        writer_directive(writer, "#endif");
    }
    if (!runs_anywhere) {
        writer_directive(writer, "#if !(%s)", machine_condition(emitter, emitter->machines));
        writer_directive(writer, "#error \"this file was made for %s and gcc or clang; --target all or scalar makes one for any machine\"",
                         text_string(&called));
        writer_directive(writer, "#endif");
    }
    writer_directive(writer, "#if !defined(GM_ALIGN) && defined(__GNUC__)");
    writer_directive(writer, "#define GM_ALIGN __attribute__((aligned(64)))");
    writer_directive(writer, "#elif !defined(GM_ALIGN)");
    writer_directive(writer, "#define GM_ALIGN");
    writer_directive(writer, "#endif");
    writer_blank(writer);
}
