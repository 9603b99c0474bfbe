// Ranks as threads of one process: exact, fast to test, works under sanitizers.
#pragma once
#include <functional>
#include <memory>

#include "comm/comm.h"

namespace autarky {

class LocalWorld;

// Runs body(comm) on `ranks` threads and returns when all are done. When one throws, the others'
// waits end with its message, and the first error is rethrown here. A wait that takes longer than
// `deadline` ends the run.
void run_local_ranks(int ranks, const std::function<void(Comm&)>& body,
                     std::chrono::milliseconds deadline = std::chrono::seconds(60));

// A communicator of one rank.
std::unique_ptr<Comm> single_rank();

}  // namespace autarky
