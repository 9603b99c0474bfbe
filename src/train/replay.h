// One rank's step again, without the others: each of its operations against its definition, and its
// bits against those that the run kept.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace autarky {

struct ReplayOptions {
  std::int64_t step = 0;  // 0: the one that was kept
  int rank = 0;
  bool reference = false;  // run on the definitions alone, not on this machine's kernels
  double bound = 0;        // of an operation's distance; 0: what rounding explains, by element type
};

struct ReplayedOperation {
  std::string name;  // "layer 3, micro-batch 0, contract #14", or block and operation
  std::string source, kernel;
  double distance = 0;  // KernelCheck's; on the definitions alone that of the run's value
  bool beyond = false;  // above the bound
};

struct Replay {
  std::int64_t step = 0;
  int rank = 0;
  std::string layout;
  std::int64_t operations = 0;                    // run and measured
  std::vector<ReplayedOperation> worst;           // the greatest distances first
  std::optional<ReplayedOperation> first_beyond;  // in the order in which they ran
  std::int64_t beyond = 0;
  std::int64_t values = 0, other_bits = 0;  // that the run kept; 0: it was not traced
  std::optional<ReplayedOperation> first_other_bits;

  // On the definitions alone other bits are what rounding makes.
  bool good() const { return beyond == 0 && (other_bits == 0 || on_reference); }
  bool on_reference = false;
};

// InputError where the run kept no such step (logging.capture_step).
Replay replay(const fs::path& run, const ReplayOptions& options);

}  // namespace autarky
