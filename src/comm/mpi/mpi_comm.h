// Ranks as processes, over MPI.
#pragma once
#include <chrono>
#include <memory>

#include "comm/comm.h"

namespace autarky {

// Starts MPI; once in a process, which mpirun or srun started with all others. A wait that takes
// longer than `deadline` ends communication in all ranks. Destroying it ends MPI in order; after a
// failure, or while an exception is thrown, the others are told instead, and the process must end
// with a code other than 0. Throws Error.
std::unique_ptr<Comm> make_mpi_comm(std::chrono::milliseconds deadline);

// The communicator of this process: over MPI where it is one of several ranks (launched.h), else
// of one rank.
std::unique_ptr<Comm> make_comm(std::chrono::milliseconds deadline);

}  // namespace autarky
