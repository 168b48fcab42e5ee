/* Targets and sets of them.
 * In: names of the command line, the running machine.  Out: rows of targets.def, in the order a generated `bind` tries them. */
#include "target/target.h"

#include "support/bug.h"

#include <stddef.h>
#include <string.h>

const Target target_table[TARGET_COUNT] = {
#define TARGET(enumerator, name, family, machine, lanes, registers, spreads, alignment, attribute, cpu, help)                              \
    [enumerator] = {name, family, machine, lanes, registers, spreads, alignment, attribute, cpu, help},
#include "target/targets.def"
};

/* The scalar form comes last: over the panels of the others it is what a processor without their vectors runs. */
bool target_set_find(const char *name, TargetSet *set)
{
    memset(set, 0, sizeof *set);
    if (strcmp(name, "all") == 0) {
        set->name = "all";
        set->family = FAMILY_VECTOR;
        set->forms[set->count++] = &target_table[TARGET_AVX512];
        set->forms[set->count++] = &target_table[TARGET_AVX2];
        set->forms[set->count++] = &target_table[TARGET_NEON];
        set->forms[set->count++] = &target_table[TARGET_SCALAR];
        return true;
    }
    for (int i = 0; i < TARGET_COUNT; i++) {
        if (strcmp(target_table[i].name, name) != 0) continue;
        set->name = target_table[i].name;
        set->family = target_table[i].family;
        set->forms[set->count++] = &target_table[i];
        return true;
    }
    return false;
}

const char *target_set_names(void)
{
    return "all"
#define TARGET(enumerator, name, ...) ", " name
#include "target/targets.def"
        ;
}

int family_panel_columns(Family family)
{
    switch (family) {
    case FAMILY_SCALAR:
        return 8;
    case FAMILY_VECTOR:
        return 32;
    }
    bug("family_panel_columns: no family %d", (int)family);
}

const char *family_name(Family family)
{
    switch (family) {
    case FAMILY_SCALAR:
        return "scalar";
    case FAMILY_VECTOR:
        return "vector";
    }
    bug("family_name: no family %d", (int)family);
}

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
/* The compiler's own check asks both CPUID and XGETBV: a processor whose operating system does not save the wide registers
 * does not count. It takes string literals only, hence the table. */
static bool feature_runs(const char *name, size_t length)
{
#define FEATURE(text)                                                                                                                      \
    if (length == sizeof text - 1 && strncmp(name, text, length) == 0) return __builtin_cpu_supports(text) != 0
    FEATURE("avx2");
    FEATURE("fma");
    FEATURE("avx512f");
    FEATURE("avx512vl");
    FEATURE("avx512bw");
    FEATURE("avx512dq");
#undef FEATURE
    return false;
}
#else
static bool feature_runs(const char *name, size_t length)
{
#if defined(__aarch64__) && defined(__ARM_NEON)
    if (length == strlen("asimd") && strncmp(name, "asimd", length) == 0) return true;
#endif
    (void)name, (void)length;
    return false;
}
#endif

bool target_runs(const Target *target)
{
    for (const char *feature = target->cpu; *feature;) {
        size_t length = strcspn(feature, ",");
        if (!feature_runs(feature, length)) return false;
        feature += length + (feature[length] == ',');
    }
    return true;
}

const char *target_native(void)
{
    const Target *best = &target_table[TARGET_SCALAR];
    for (int i = 0; i < TARGET_COUNT; i++)
        if (target_table[i].lanes > best->lanes && target_runs(&target_table[i])) best = &target_table[i];
    return best->name;
}
