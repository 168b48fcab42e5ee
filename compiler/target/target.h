/* What the code is for. `--target` names one form, or a set of forms in one file (`all`). */
#ifndef GM_TARGET_TARGET_H
#define GM_TARGET_TARGET_H

#include <stdbool.h>

typedef enum {
#define TARGET(enumerator, ...) enumerator,
#include "target/targets.def"
    TARGET_COUNT
} TargetName;
typedef enum { FAMILY_SCALAR, FAMILY_VECTOR } Family;

typedef struct {
    const char *name;
    Family family;
    const char *machine;
    int lanes, registers;
    bool spreads;
    int alignment;
    const char *attribute, *cpu, *help;
} Target;
extern const Target target_table[TARGET_COUNT];

/* The forms of one output file, best first; all of one family's layout. `all` is avx512, avx2, neon, scalar over panels of 32 columns. */
typedef struct {
    const char *name;  /* "all", "avx2" … */
    Family family;     /* whose panels the weights have */
    int count;
    const Target *forms[TARGET_COUNT];
} TargetSet;
bool target_set_find(const char *name, TargetSet *set);
/* Names for help and errors: "all, scalar, avx2, avx512, neon". */
const char *target_set_names(void);
/* Columns of a packed panel: 32 for vectors, 8 for scalar. */
int family_panel_columns(Family family);
const char *family_name(Family family);
/* Whether this machine runs the code of a target. */
bool target_runs(const Target *target);
/* The best set of one form that this machine runs ("avx512"), for run, verify and bench. */
const char *target_native(void);
/* Whether this processor and its operating system run the form. */
bool target_runs(const Target *target);

#endif
