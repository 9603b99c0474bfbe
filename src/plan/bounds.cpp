#include "plan/bounds.h"

#include <algorithm>

#include "base/parallel.h"
#include "models/parameters.h"

namespace autarky {
namespace {

// The blocks of one rank do not depend on dp but by what ZeRO adds.
EngineOptions without_data_ranks(EngineOptions o) {
  o.mesh.size(Axis::dp) = 1;
  o.mesh.size(Axis::pp) = 3;
  o.zero_stage = 0;
  return o;
}

}  // namespace

BlockKey block_key(const EngineOptions& o) {
  return {o.mesh.size(Axis::tp) * o.mesh.size(Axis::tpr),
          o.mesh.size(Axis::dp),
          std::min(3, o.mesh.size(Axis::pp)),
          o.batch,
          o.sequence_parallel,
          o.zero_stage,
          o.recompute,
          o.schedule == PipelineSchedule::zero_bubble};
}

Bounds::Bounds(const PlanRequest& r) : r_(r), parameters_(double(parameter_count(r.model))) {}

// As ZeRO lays them out; in f32 a parameter is its own master. The embedding and the head are left
// out.
double Bounds::least_memory(const EngineOptions& o) const {
  const double pp = o.mesh.size(Axis::pp), dp = o.mesh.size(Axis::dp);
  const double tp = double(o.mesh.size(Axis::tp)) * o.mesh.size(Axis::tpr);
  const double ends = 2.0 * double(r_.model.vocab * r_.model.hidden);
  const double mine = std::max(0.0, parameters_ - ends) / (tp * pp);
  const double param = double(byte_size(o.dtype)), states = o.dtype == DType::f32 ? 8 : 12;
  const int z = o.zero_stage;
  return mine * (param / (z == 3 ? dp : 1) + 4 / (z >= 2 ? dp : 1) + states / (z >= 1 ? dp : 1));
}

bool Bounds::is_too_large(const EngineOptions& o) const {
  double memory = 0;
  for (const auto& group : r_.groups) memory += double(group.chips) * double(group.memory_bytes);
  return least_memory(o) * r_.chips() > memory;
}

void Bounds::compile(const std::vector<const EngineOptions*>& layouts) {
  std::map<BlockKey, EngineOptions> wanted;
  for (const auto* layout : layouts) {
    EngineOptions o = without_data_ranks(*layout);
    if (const auto key = block_key(o); !wanted.contains(key)) wanted.emplace(key, std::move(o));
  }
  std::vector<std::pair<BlockKey, EngineOptions>> list(wanted.begin(), wanted.end());
  std::vector<std::vector<ByZero>> works(list.size());
  parallel_for(std::int64_t(list.size()), [&](std::int64_t i, int) {
    works[std::size_t(i)] = least_work(list[std::size_t(i)].second);
  });
  for (std::size_t i = 0; i < list.size(); ++i) least_work_[list[i].first] = std::move(works[i]);
}

// An accumulator that ZeRO cuts is less to read.
std::vector<Bounds::ByZero> Bounds::least_work(const EngineOptions& o) const {
  const auto kinds = stand_in(o, Pass::schedule);
  const bool again = o.recompute == Recompute::selective;
  std::vector<ByZero> by_group;
  for (const auto& group : r_.groups) {
    const StageCosts inner(kinds[1], group.device, again), last(kinds[2], group.device, again);
    // Transfers between data-parallel ranks only add to blocks whose nodes run as they stand. Where
    // a stack runs what can, they may change the order.
    const bool stands = group.device.stack.tensor != TensorOverlap::graph;
    const auto seconds = [&](const StageCosts& costs, const char* block, bool all) {
      const BlockCost* cost = costs.find(block);
      if (!cost) return 0.0;
      if (!stands) return cost->least_s(!all);
      const Seconds& s = cost->seconds;
      return all ? s.total() : s.of_products() + s[Part::tensor];
    };
    ByZero& works = by_group.emplace_back();
    for (const bool all : {true, false}) {
      LeastWork& w = works[all ? 0 : 1];
      w.forward = seconds(inner, "layer.F", all);
      // The first micro-batch writes its gradients in place of adding them.
      w.backward = std::min(seconds(inner, "layer.B", all), seconds(inner, "layer.B.first", all)) +
                   std::min(seconds(inner, "layer.W", all), seconds(inner, "layer.W.first", all));
      w.head = std::min(seconds(last, "head.FB", all), seconds(last, "head.FB.first", all));
    }
  }
  return by_group;
}

double Bounds::least_seconds(const Candidate& layout, const std::vector<int>& part_layers) const {
  const EngineOptions& o = layout.options;
  const auto& by_group = least_work_.at(block_key(without_data_ranks(o)));
  const std::size_t zero = o.zero_stage >= 2 ? 1 : 0;
  if (layout.groups.size() == 1)
    return of_one_kind(o, by_group[layout.groups[0].group][zero], part_layers);
  return of_several_kinds(layout, by_group);
}

// However layers are divided. In T seconds stage s does the work of (T - b) / w layers: w a layer
// of all micro-batches, b the first micro-batch's way through a layer of each part before it, and
// back.
double Bounds::of_several_kinds(const Candidate& layout,
                                const std::vector<ByZero>& by_group) const {
  const EngineOptions& o = layout.options;
  double rates = 0, late = 0, before = 0;
  for (const auto& [group, stages] : layout.groups) {
    const LeastWork& work = by_group[group][o.zero_stage >= 2 ? 1 : 0];
    const double w = o.microbatches * work.layer();
    for (int s = 0; s < stages; ++s) {
      rates += 1 / w;
      late += before / w;
      before += o.schedule == PipelineSchedule::zero_bubble ? work.forward : work.layer();
    }
  }
  return (double(o.model.layers) + late) / rates;
}

// A stage begins when the first micro-batch has come through the stages before it, and has all
// micro-batches of its layers to do; then (where its last work is a backward pass) gradients go
// back through the stages before it.
double Bounds::of_one_kind(const EngineOptions& o, const LeastWork& w,
                           const std::vector<int>& parts) const {
  const int pp = o.mesh.size(Axis::pp);
  const double back = o.schedule == PipelineSchedule::zero_bubble ? 0 : w.backward;
  double least = 0, before = 0;
  for (int s = 0; s < pp; ++s) {
    double layers = 0;
    for (int c = 0; c < o.chunks; ++c) layers += parts[std::size_t(c * pp + s)];
    const double work = layers * w.layer() + (s + 1 == pp ? w.head : 0);
    least = std::max(least, before * (w.forward + back) + o.microbatches * work);
    before += parts[std::size_t(s)];
  }
  return least;
}

}  // namespace autarky
