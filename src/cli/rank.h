// What is different in a process that is one of several ranks.
#pragma once
#include <chrono>
#include <functional>
#include <string>

#include "comm/comm.h"

namespace autarky::cli {

// Before anything else: of several ranks the first alone writes results and notes. Those that
// `autarky launch` started end with mpirun.
void become_rank();

// Whether launch started this process by way of mpirun: then SIGUSR1 asks it to end, and SIGTERM is
// mpirun's way to end it at once (launch/README.md).
bool under_launch();

// Calls `body` with the communicator of this process, and tells the others when it throws. A wait
// for them ends after `deadline`.
void with_ranks(std::chrono::seconds deadline, const std::function<void(Comm&)>& body);

// Before an error is printed: often all ranks have the same one. Those after the first wait a
// moment, in which mpirun ends them if the first has ended.
void let_rank_0_speak();

// "rank 3: "; nothing for a single process and for rank 0.
std::string rank_prefix();

}  // namespace autarky::cli
