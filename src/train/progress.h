// The one line that says how a run is doing.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace autarky {

struct Progress {
  std::int64_t step = 0;   // done
  std::int64_t steps = 0;  // in all
  double loss = 0;         // nats per token
  std::optional<double> val_loss;
  double lr = 0;
  double tokens_per_s = 0;
  double mfu = 0;           // a share
  double seconds_left = 0;  // below 0: not known yet
};

// For a pipe or a file: "step 120/240 | loss 3.2143 | lr 1.83e-03 | 8.13 k tokens/s | MFU 41.2% |
// 1 min 12 s left".
std::string progress_line(const Progress& progress);

// For a terminal: the same after a bar, in ASCII and at most `columns` long: the bar shrinks away
// first, then the line loses its end.
std::string progress_line(const Progress& progress, int columns);

}  // namespace autarky
