// A rank that is slower than the others, on which all wait in every step.
#pragma once
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace autarky {

// What a rank did in a step: all that is not waiting for other ranks is its own.
struct StepTimes {
  double own_s = 0, waited_s = 0;
};

struct Straggler {
  int rank = 0;
  double own_s = 0, others_s = 0;  // a step; medians over steps, and over the other ranks
};

// Looks at the last steps: one slow step is a fault of nobody.
class StragglerWatch {
 public:
  static constexpr std::size_t kSteps = 20;
  static constexpr double kFactor = 1.3;  // above the others

  // Of a step, by rank. The slowest rank if it is one, once for each time that this changes.
  std::optional<Straggler> add(std::vector<double> own_s);

 private:
  std::deque<std::vector<double>> steps_;
  int known_ = -1;
};

std::string describe(const Straggler& straggler, const std::string& host);

}  // namespace autarky
