// Keeps a summary of every value of a session's runs.
#pragma once
#include "runtime/session.h"
#include "values/value_file.h"

namespace autarky {

class ValueRecorder : public Observer {
 public:
  ValueRecorder(const Program& program, int rank);

  void made(std::size_t call, std::size_t node, std::span<const Tensor> out) override;

  const std::vector<NamedValue>& values() const { return values_; }
  // Of the run before, in the same order.
  std::span<const ValueSummary> summaries() const { return summaries_; }

 private:
  std::vector<NamedValue> values_;
  std::vector<const std::vector<Stretch>*> runs_;  // by value: where its elements are
  std::map<std::string, std::vector<Stretch>> runs_by_type_;
  std::vector<std::vector<int>> first_;  // by call and node: of the node's values; -1: it has none
  std::vector<ValueSummary> summaries_;
};

}  // namespace autarky
