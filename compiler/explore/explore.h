/* Exploring variants of a model: which are sound, what they cost, how long they take.
 * In: a sweep (a model, values to vary, a condition, budgets).  Out: a folder with a journal, tables and a report.
 *
 *   sweep.c     the sweep and its variants         screen.c   static costs, a process a job
 *   entrant.c   compiling                          measure.c  timing, interleaved
 *   judge.c     front, ties, accuracy joined       journal.c  what was found so far, safe against a crash at any byte
 *   report.c    table, CSV, JSON, HTML */
#ifndef GM_EXPLORE_EXPLORE_H
#define GM_EXPLORE_EXPLORE_H

#include "commands/compiled.h"
#include "commands/options.h"

#include <jansson.h>

typedef struct {
    const char *name;
    Words values;
} Vary;

typedef struct {
    const char *path, *model, *target, *schedule;
    Backend backend;
    Words sets;             /* what all variants have */
    LIST(Vary) varies;
    const char *where;      /* a condition over what is screened, or NULL */
    long sample;            /* variants drawn from all combinations; 0: all */
    long measured;          /* variants timed, spread evenly over the lower-bound times; 0: all */
    uint64_t seed;
    long jobs;              /* processes that screen and compile */
    double seconds;         /* of measuring each variant */
    long threads;
    const char *folder;     /* results */
    const char *join, *on;  /* a CSV of the user's and its column of names */
    const char *quality;    /* what the front sets against milliseconds: a column of the CSV, or a static cost; NULL: decided by what is there */
    int rank, ranks;        /* under MPI; else 0 of 1 */
} Sweep;

typedef enum { VARIANT_NEW, VARIANT_SCREENED, VARIANT_WRONG } VariantState;

typedef struct {
    int index;              /* in the sweep */
    const char *name;       /* "DEPTH=12 DIM=128": stable */
    const char **values;    /* one for each Vary */
    VariantState state;
    const char *error;      /* WRONG: the first error */
    const char *hash;       /* of the resolved model */
    int64_t parameters, macs, flops, bytes, arena_bytes, weight_bytes;
    double bound_ms;        /* lower bound by the roofline */
    json_t *blocks;         /* rows of the survey */
    bool excluded;          /* by `where` */
    bool chosen;            /* to be measured */
    const char *failure;    /* why it could not be measured */
    LIST(double) slots;     /* medians of milliseconds, one a slot, in order of rounds */
    const char *machine;    /* that measured it */
    double median, low, high; /* of the slots; low and high: 95 % confidence */
    double percent;         /* of the peak */
    double peak;            /* GFLOP/s beside it */
    double quality;
    bool has_quality, on_front;
    int tie;                /* variants of one number (from 1) can't be told apart; 0: no tie */
    const char *note;       /* of a pair measured again */
} Variant;

enum { ROOFLINE_SIZES = 6 };

/* Two variants measured one after the other: a's time over b's. */
typedef struct {
    Variant *a, *b;
    LIST(double) ratios;
    double median, low, high;
} Pair;

typedef struct {
    double peak_gflops;         /* one core */
    double read_gbytes[ROOFLINE_SIZES]; /* reading 256 KiB again and again, 1 MiB, 4 MiB … 256 MiB */
    const char *machine;               /* processor and form */
    const char *form;
} Roofline;

typedef struct Entrant Entrant; /* entrant.h */
typedef struct {
    Entrant *data;
    int count;
} Entrants;

typedef struct {
    Arena *arena;
    const Sweep *sweep;
    Diagnostics *diags;
    LIST(Variant) variants;
    Roofline roofline;
    LIST(Pair) pairs;       /* neighbours on the front */
    double noise;           /* relative difference of one variant measured twice */
    bool has_noise;
    struct Journal *journal;
    Entrants ready;         /* of the rounds, kept for pairs where memory holds them all */
    ParsedFiles parsed;     /* the model and its library, for all variants */
} Exploration;

/* sweep.c */
bool sweep_add_vary(Arena *arena, Sweep *sweep, const char *text, Diagnostics *diags);   /* "DIM=128..512:64,768" */
bool sweep_read_file(Arena *arena, Sweep *sweep, const char *path, Diagnostics *diags);  /* lines as on the command line */
bool sweep_variants(Exploration *exploration);                                            /* all, or the sample */
const char *sweep_identity(Arena *arena, const Sweep *sweep, const char *model_text);
ModelRequest variant_request(Arena *arena, Exploration *exploration, const Variant *variant);

/* roofline.c: measured once a machine, then cached. */
bool roofline_get(Arena *arena, const char *target, Roofline *roofline, Diagnostics *diags);

size_t roofline_bytes(int i);
/* No run can be shorter: its operations at the peak, its bytes (read once) as fast as a set of that size can be read again. */
double roofline_bound_ms(const Roofline *roofline, int64_t flops, int64_t bytes);

/* screen.c */
bool screen(Exploration *exploration);
bool choose_measured(Exploration *exploration);

/* measure.c */
bool measure(Exploration *exploration);
bool measure_pair(Exploration *exploration, Variant *a, Variant *b);
void measure_end(Exploration *exploration); /* frees what measuring has compiled */

/* journal.c: one JSON object a line; a torn last line is dropped. */
typedef struct Journal Journal;
/* Appends to `name` in the folder; what any journal there knows of this sweep is read (other ranks' too). */
Journal *journal_open(Arena *arena, const char *folder, const char *name, const char *identity, Diagnostics *diags);
const json_t *journal_entries(const Journal *journal); /* an array, of this sweep */
bool journal_add(Journal *journal, json_t *entry, Diagnostics *diags); /* takes the entry; on the disk when it returns */
void journal_close(Journal *journal);
json_t *variant_to_json(const Variant *variant);
void variant_from_json(Arena *arena, Variant *variant, const json_t *entry);

/* judge.c */
bool join_quality(Exploration *exploration);  /* from the CSV, or a static cost */
bool judge(Exploration *exploration);         /* medians, intervals, front, pairs, ties */
const char *quality_name(const Sweep *sweep);
double median_of(double *values, int count); /* sorts */
uint64_t random_next(uint64_t *state);       /* splitmix64 */

/* report.c */
bool report_write(Exploration *exploration);

#endif
