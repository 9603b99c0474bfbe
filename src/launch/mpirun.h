// Starting ranks: the command line of mpirun, how many threads a rank gets, starting again.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace autarky {

inline constexpr int kMostRanks = 1 << 20;

struct LaunchOptions {
  int ranks = 1;
  std::string hosts;  // "a,b:4", a number being the ranks on that host; "": this machine
  int threads = 0;    // of a rank; 0: the cores of a machine, shared by its ranks
  int max_restarts = 0;
  std::string program;                 // this one
  std::vector<std::string> arguments;  // the verb and what follows it
};

// The most ranks that share a machine. InputError for hosts that cannot be read.
int ranks_on_a_machine(const LaunchOptions& options);
// Threads of a rank, at least 1; `cores`: of a machine.
int threads_of_a_rank(const LaunchOptions& options, int cores);
// mpirun with its options, the program and its arguments.
std::vector<std::string> mpirun_command(const LaunchOptions& options, const std::string& mpirun,
                                        int threads, bool root);

using Note = std::function<void(std::string_view)>;

// Runs the ranks to their end and returns the exit code: that of the first rank that failed, 128 +
// the signal that ended it, or 0. Signals to this process go to the ranks. What ends otherwise than
// with 0 (done), 2 (the input is wrong) or by a signal to this process is started again, at most
// max_restarts times; train then resumes. `note` gets what a user should know. InputError: mpirun
// is missing.
int launch(const LaunchOptions& options, const Note& note);

}  // namespace autarky
