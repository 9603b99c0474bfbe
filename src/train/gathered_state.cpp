#include "train/gathered_state.h"

#include <algorithm>

#include "base/error.h"
#include "ir/part.h"

namespace autarky {
namespace {

// One rank for every piece of a value, as near to `owner` as can be: it differs from it along the
// axes that split the value only.
std::vector<int> holders(const Type& type, const Mesh& mesh, int owner) {
  std::vector<int> ranks = {owner};
  const auto spread = [&](const std::vector<Axis>& axes) {
    for (const Axis axis : axes) {
      std::vector<int> more;
      for (const int r : ranks)
        for (const int member : mesh.group(r, axis)) more.push_back(member);
      ranks = std::move(more);
    }
  };
  for (const auto& axes : type.layout.split) spread(axes);
  spread(type.layout.flat);
  return ranks;
}

}  // namespace

CheckpointShare share_of(const EngineOptions& o, int rank) {
  if (o.mesh.ranks() == 1) return {};
  return checkpoint_share(o.model, o.mesh, rank, [&](ParameterBlock block, std::int64_t layer) {
    return stage_of(o, block, layer);
  });
}

GatheredState::GatheredState(const TrainingEngine& engine, const CheckpointShare& share)
    : engine_(engine),
      share_(share),
      parameters_(parameter_instances(engine.options().model)),
      order_(state_order(engine.options().model)) {}

void GatheredState::get(StatePart part, const ParameterSpec& spec, std::int64_t layer,
                        std::span<float> values) {
  AUTARKY_CHECK(next_ < order_.size() && order_[next_].part == part &&
                    parameters_[order_[next_].parameter].name() == layer_name(spec.name, layer),
                "parts are asked for in the order of state_order");
  gather(order_[next_++], values);
  serve_others();
}

void GatheredState::serve_others() {
  while (next_ < order_.size() && !share_.mine(order_[next_].parameter))
    gather(order_[next_++], {});
}

void GatheredState::gather(const StateItem& item, std::span<float> whole) {
  const ParameterInstance& instance = parameters_[item.parameter];
  const auto* mine = engine_.find(instance.spec, instance.layer);
  if (!mine) return;  // another stage's
  const Mesh& mesh = engine_.options().mesh;
  Comm& comm = engine_.comm();
  const int owner = share_.owner(item.parameter);
  const auto from = holders(mine->type, mesh, owner);
  const auto values = mine->values(item.part);
  const CommTag tag{"gathering of " + instance.name(), "checkpoint"};
  if (comm.rank() != owner) {
    if (std::find(from.begin(), from.end(), comm.rank()) != from.end())
      comm.send(owner, std::as_bytes(values), tag)->wait();
    return;
  }
  part_.resize(values.size());
  for (const int rank : from) {
    std::span<const float> piece = values;
    if (rank != owner) {
      comm.receive(rank, std::as_writable_bytes(std::span(part_)), tag)->wait();
      piece = part_;
    }
    for (const Stretch& r : stretches_of(mine->type, mesh, mesh.coordinates(rank)))
      std::copy_n(piece.begin() + r.part, r.count, whole.begin() + r.whole);
  }
}

}  // namespace autarky
