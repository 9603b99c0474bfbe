// How this process was started: what mpirun and srun say in the environment.
#pragma once
#include <optional>

namespace autarky {

// This process among the ranks of a run.
struct Launched {
  int rank = 0, size = 1;
  int node_rank = 0, ranks_on_node = 1;  // 0 and 1 where it is not said
};

// Nothing where no mpirun or srun started this process with MPI.
std::optional<Launched> launched();

// Whether mpirun or srun started this process as one of several ranks.
bool under_mpi();

}  // namespace autarky
