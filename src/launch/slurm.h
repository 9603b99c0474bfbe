// A launch as a job of Slurm (https://slurm.schedmd.com/sbatch.html).
#pragma once
#include <string>
#include <vector>

namespace autarky {

struct SlurmJob {
  std::string name;
  int ranks = 1, threads = 1;  // of a rank
  std::string options;         // more of sbatch's, as on a command line
  std::vector<std::string> command;
};

// The batch script: asks for a task of so many processors per rank, and for SIGTERM two minutes
// before the time is up; runs the command in the folder where it was submitted.
std::string slurm_script(const SlurmJob& job);

// The path of sbatch; InputError where there is none.
std::string find_sbatch();
// Gives it the script and returns the job's id. InputError where it refuses.
std::string submit(const std::string& sbatch, const std::string& script);

}  // namespace autarky
