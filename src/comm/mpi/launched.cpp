#include "comm/mpi/launched.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace autarky {
namespace {

std::optional<int> number(const char* name) {
  const char* text = name ? std::getenv(name) : nullptr;
  if (!text) return std::nullopt;
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto result = std::from_chars(text, end, value);
  if (result.ec != std::errc() || result.ptr != end || value < 0) return std::nullopt;
  return value;
}

struct Names {
  const char *sign, *size, *rank, *node_rank, *ranks_on_node;  // null: not said
};

// Open MPI's mpirun; PMI of MPICH's mpirun and srun; srun with PMIx. A job's script has Slurm's
// variables too, so these count only beside PMIx's.
constexpr Names kStarters[] = {
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK",
     "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"PMI_SIZE", "PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
    {"PMIX_RANK", "SLURM_NTASKS", "PMIX_RANK", "SLURM_LOCALID", nullptr}};

}  // namespace

std::optional<Launched> launched() {
  for (const Names& names : kStarters) {
    const auto size = number(names.size), rank = number(names.rank);
    if (!number(names.sign) || !size || !rank || *rank >= *size) continue;
    return Launched{*rank, *size, number(names.node_rank).value_or(0),
                    number(names.ranks_on_node).value_or(1)};
  }
  return std::nullopt;
}

bool under_mpi() {
  const auto l = launched();
  return l && l->size > 1;
}

}  // namespace autarky
