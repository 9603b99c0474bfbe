// Runs ranks to their end, and starts again what failed.
#pragma once
#include <functional>
#include <string_view>

#include "launch/mpirun.h"

namespace autarky {

using Note = std::function<void(std::string_view)>;

// Runs the ranks to their end and returns the exit code: that of the first rank that failed, 128 +
// the signal that ended it, or 0. Signals to this process go to the ranks, but for SIGUSR1: train
// then saves and goes on. What ends otherwise than with 0 (done), 2 (the input is wrong) or by a
// signal to this process is started again, at most max_restarts times; train then resumes. A
// start again in which no rank finished a step is followed by one on the next smaller number of
// ranks, if there is one: hosts are filled in their order, as many ranks on each as at first.
// `note` gets what a user should know. InputError: mpirun is missing.
int launch(const LaunchOptions& options, const Note& note);

}  // namespace autarky
