#include "values/recorder.h"

namespace autarky {
namespace {
constexpr std::int64_t kMostElements = 1 << 14;  // of a run: what a thread takes at a time
}

ValueRecorder::ValueRecorder(const Program& program, int rank)
    : values_(name_values(program, program.mesh.coordinates(rank))), summaries_(values_.size()) {
  for (const Call& c : program.calls)
    first_.emplace_back(program.blocks[std::size_t(c.block)].graph.nodes.size(), -1);
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const NamedValue& v = values_[i];
    const auto [runs, fresh] = runs_by_type_.try_emplace(to_string(v.type));
    if (fresh)
      runs->second =
          stretches_of(v.type, program.mesh, program.mesh.coordinates(rank), kMostElements);
    runs_.push_back(&runs->second);
    int& first = first_[std::size_t(v.call)][std::size_t(v.node)];
    if (first < 0) first = int(i);
  }
}

void ValueRecorder::made(std::size_t call, std::size_t node, std::span<const Tensor> out) {
  const int first = first_[call][node];
  if (first < 0) return;
  for (auto i = std::size_t(first); i < values_.size(); ++i) {
    const NamedValue& v = values_[i];
    if (std::size_t(v.call) != call || std::size_t(v.node) != node) return;
    summaries_[i] = summarize(out[std::size_t(v.result)], *runs_[i]);
  }
}

}  // namespace autarky
