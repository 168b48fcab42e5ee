/* The MPI module of gmlpc: the only file that includes MPI. See ranks.h. */
#include "explore/ranks.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

static int start(int *rank, int *ranks)
{
    int argc = 0;
    char **argv = NULL;
    if (MPI_Init(&argc, &argv) != MPI_SUCCESS) return 1;
    return MPI_Comm_rank(MPI_COMM_WORLD, rank) != MPI_SUCCESS || MPI_Comm_size(MPI_COMM_WORLD, ranks) != MPI_SUCCESS;
}

static char *all_gather(const char *text)
{
    int ranks = 1, length = (int)strlen(text), total = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    int *lengths = calloc((size_t)ranks, sizeof *lengths), *starts = calloc((size_t)ranks, sizeof *starts);
    char *all = NULL;
    if (lengths && starts && MPI_Allgather(&length, 1, MPI_INT, lengths, 1, MPI_INT, MPI_COMM_WORLD) == MPI_SUCCESS) {
        for (int i = 0; i < ranks; i++) starts[i] = total, total += lengths[i];
        all = calloc((size_t)total + 1, 1);
        if (all && MPI_Allgatherv(text, length, MPI_CHAR, all, lengths, starts, MPI_CHAR, MPI_COMM_WORLD) != MPI_SUCCESS) {
            free(all);
            all = NULL;
        }
    }
    free(lengths);
    free(starts);
    return all;
}

static void end(void)
{
    MPI_Finalize();
}

static void stop(int code)
{
    MPI_Abort(MPI_COMM_WORLD, code);
}

const gm_mpi_functions gm_mpi = {start, all_gather, end, stop};
