// The few numbers that no sheet says, fitted jointly to published runs: maximum a posteriori, with
// the uncertainty of each figure as its prior.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "plan/validate.h"
#include "sim/calibration.h"

namespace autarky {

struct FitOptions {
  double noise = 0.04;  // relative, one standard deviation: runs of one layout differ by as much
  int rounds = 8;       // of Gauss and Newton
};

// Adjusts `start`. Runs far off count less (Huber), so that one odd row does not bend the others.
Calibration fit(std::span<const CompiledRun> runs, const Calibration& start,
                const FitOptions& options = {});

// Each run as predicted by what is fitted without any run of its source: one step of Gauss and
// Newton away from `fitted`.
std::vector<ValidatedRun> leave_sources_out(std::span<const CompiledRun> runs,
                                            const Calibration& fitted,
                                            const FitOptions& options = {});

}  // namespace autarky
