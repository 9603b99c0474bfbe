// The command line of mpirun, and how many threads a rank gets.
#pragma once
#include <string>
#include <vector>

#include "launch/child.h"

namespace autarky {

inline constexpr int kMostRanks = 1 << 20;

// The same work on fewer ranks.
struct Smaller {
  int ranks = 1;
  std::vector<std::string> arguments;
};

struct LaunchOptions {
  int ranks = 1;
  std::string hosts;  // "a,b:4", a number being the ranks on that host; "": this machine
  int threads = 0;    // of a rank; 0: the cores of a machine, shared by its ranks
  int max_restarts = 0;
  std::string program;                 // this one
  std::vector<std::string> arguments;  // the verb and what follows it
  std::vector<Smaller> smaller;        // what may be started instead, the largest first
};

// The most ranks that share a machine. InputError for hosts that cannot be read.
int ranks_on_a_machine(const LaunchOptions& options);
// Threads of a rank, at least 1; `cores`: of a machine.
int threads_of_a_rank(const LaunchOptions& options, int cores);
// "a:2,b:3": hosts with the ranks on each, as given or shared evenly; "" for this machine.
std::string host_list(const LaunchOptions& options);
// mpirun with its options, the program and its arguments; ranks find variables of `environment` in
// theirs.
std::vector<std::string> mpirun_command(const LaunchOptions& options, const std::string& mpirun,
                                        const Environment& environment, bool root);

}  // namespace autarky
