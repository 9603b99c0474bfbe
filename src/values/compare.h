// Where the values of two runs part, whatever layouts they had.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "values/value_file.h"

namespace autarky {

// All that a run kept of its values.
class RunValues {
 public:
  explicit RunValues(const fs::path& run);

  bool empty() const { return sessions_.empty(); }
  // Those that every rank has written, rising.
  std::vector<std::int64_t> steps() const;
  // The files that have one of these steps, by rank. Of a step that was done again after a resume
  // the last session's count.
  const std::vector<ValueReader>& ranks(std::int64_t step) const;

 private:
  std::map<std::int64_t, std::vector<ValueReader>> sessions_;
};

// A value of one step as a whole, put together from the parts of the ranks.
struct WholeValue {
  const NamedValue* value = nullptr;  // of the first rank that has it
  std::string layout;  // with the sizes of the axes in it: equal ones compare by rank
  ValueSummary whole;
  std::map<int, ValueSummary> by_rank;
};
struct StepValues {
  std::map<ValueName, WholeValue> values;
  // "rank 3 has other bits than rank 1, which holds the same part": of values that several ranks
  // hold, or that are made or moved twice.
  std::vector<std::string> contradictions;
};
StepValues values_of(const std::vector<ValueReader>& ranks, std::int64_t step);

struct ValueDifference {
  ValueName name;
  std::string source;
  std::vector<int> ranks_a, ranks_b;  // with other bits, if both have the layout; else all
  ValueSummary a, b;
  double distance = 0;
};
struct StepDifference {
  std::int64_t compared = 0;                 // values
  std::vector<ValueDifference> differences;  // as a single rank would make them
};
// Values that are in both and not equal bit for bit, if further apart than `tolerance`. Of one that
// is partial in either, only if the layouts are the same. InputError if the shapes differ.
StepDifference compare(const StepValues& a, const StepValues& b, double tolerance);

}  // namespace autarky
