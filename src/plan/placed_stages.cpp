#include "plan/placed_stages.h"

#include <algorithm>
#include <map>

namespace autarky {

std::vector<std::size_t> groups_of_stages(const std::vector<StageGroup>& groups) {
  std::vector<std::size_t> all;
  for (const auto& [group, stages] : groups) all.insert(all.end(), std::size_t(stages), group);
  return all;
}

PlacedStages::PlacedStages(const PlanRequest& r, const std::vector<StageGroup>& groups,
                           const StageKinds& kinds)
    : kinds_(kinds), groups_(groups_of_stages(groups)) {
  for (std::size_t s = 0; s < groups_.size(); ++s) {
    costs_.push_back(&kinds.costs[groups_[s]][kind(s)]);
    limits_.push_back(r.groups[groups_[s]].memory_bytes);
  }
}

std::vector<int> PlacedStages::fullest(std::span<const BytesByKind> memory) const {
  const std::size_t end = groups_.size() - 1;
  std::map<std::size_t, std::size_t> inner;  // by group
  for (std::size_t s = 1; s < end; ++s)
    if (const auto [it, first] = inner.emplace(groups_[s], s);
        !first && total(memory[s]) > total(memory[it->second]))
      it->second = s;
  std::vector<int> stages = {0};
  for (const auto& [group, stage] : inner) stages.push_back(int(stage));
  if (end > 0) stages.push_back(int(end));
  return stages;
}

std::vector<int> PlacedStages::layers(const EngineOptions& o, const Schedule& schedule) const {
  auto loads = this->loads(o, schedule);
  auto layers = divide_layers(int(o.model.layers), o.chunks, loads);
  if (!layers) {
    for (auto& load : loads) load.most_layers = o.model.layers;
    layers = divide_layers(int(o.model.layers), o.chunks, loads);
  }
  return layers_of_chunks(*layers, o.chunks);
}

std::size_t PlacedStages::kind(std::size_t s) const {
  return kind_of_stage(s, groups_.size(), kinds_.memory.size());
}

double PlacedStages::seconds(std::size_t s, std::initializer_list<const char*> blocks) const {
  double sum = 0;
  for (const char* name : blocks)
    if (const BlockCost* cost = costs_[s]->find(name)) sum += cost->seconds.total();
  return sum;
}

std::vector<StageLoad> PlacedStages::loads(const EngineOptions& o, const Schedule& schedule) const {
  std::vector<StageLoad> all;
  const std::vector<int> ones(std::size_t(schedule.parts()), 1);
  const std::int64_t c = o.chunks, m = o.microbatches;
  for (std::size_t s = 0; s < groups_.size(); ++s) {
    StageLoad load{seconds(s, {"layer.F", "layer.B", "layer.W"}),
                   seconds(s, {"embed.F", "embed.B", "embed.W", "head.FB", "head.W"}), 0};
    // Memory grows evenly with the layers.
    const StageMemory& memory = kinds_.memory[kind(s)];
    auto waiting = in_flight(schedule, int(s), ones);
    const auto least = total(memory.bytes(c, waiting, m));
    for (auto& w : waiting) w = {2 * w.for_backward, 2 * w.for_weights, 2 * w.between};
    const auto more = total(memory.bytes(2 * c, waiting, m)) - least;
    const auto rounds = (limits_[s] - least) * c / std::max<std::int64_t>(1, more);
    load.most_layers = limits_[s] < least ? 0 : std::min(c + rounds, o.model.layers);
    all.push_back(load);
  }
  return all;
}

}  // namespace autarky
