/* Processes of one exploration under MPI: each takes its share, the first writes the report.
 * gmlpc itself does not link MPI: the module gmlpc-mpi.so, loaded when the environment says that mpirun started us, does. */
#ifndef GM_EXPLORE_RANKS_H
#define GM_EXPLORE_RANKS_H

#include "explore/explore.h"

/* What the module exports as gm_mpi. */
typedef struct {
    int (*start)(int *rank, int *ranks);                                   /* 0 when it worked */
    /* Gives every rank the texts of all, joined in order of rank; free() it. */
    char *(*all_gather)(const char *text);
    void (*end)(void);
    void (*abort)(int code);
} gm_mpi_functions;

/* Under mpirun: rank and ranks of the sweep. Otherwise nothing. */
bool ranks_start(Sweep *sweep, Diagnostics *diags);
/* Every rank learns what the others found. */
bool ranks_exchange(Exploration *exploration);
/* `good` false: the whole job ends. */
void ranks_end(bool good);

#endif
