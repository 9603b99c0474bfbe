// Which rank writes what, and the copy of it that is written.
#include <algorithm>

#include "train/checkpoint.h"

namespace autarky {
namespace {

constexpr std::int64_t kFileBytes = 2'000'000;  // headers, manifest, conversion, the thread

std::vector<int> ranks_of_stage(const Mesh& mesh, int stage) {
  std::vector<int> ranks;
  for (int r = 0; r < mesh.ranks(); ++r)
    if (mesh.coordinates(r)[static_cast<std::size_t>(Axis::pp)] == stage) ranks.push_back(r);
  return ranks;
}

std::map<std::string, std::size_t> index_of(const std::vector<ParameterInstance>& parameters) {
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < parameters.size(); ++i) index[parameters[i].name()] = i;
  return index;
}

}  // namespace

CheckpointShare checkpoint_share(
    const ModelConfig& config, const Mesh& mesh, int rank,
    const std::function<int(ParameterBlock block, std::int64_t layer)>& stage_of) {
  CheckpointShare share;
  share.rank = rank;
  share.ranks = mesh.ranks();
  const auto index = index_of(parameter_instances(config));
  share.parameter_owners.resize(index.size());
  std::vector<std::vector<int>> stages;
  for (int s = 0; s < mesh.size(Axis::pp); ++s) stages.push_back(ranks_of_stage(mesh, s));
  std::vector<std::int64_t> load(std::size_t(share.ranks), 0);
  for_each_tensor(
      tensor_maps(config), config.layers, [&](const TensorMap& map, std::int64_t layer) {
        const auto& able = stages[std::size_t(stage_of(map.block, layer))];
        const int owner = *std::min_element(able.begin(), able.end(), [&](int a, int b) {
          return load[std::size_t(a)] < load[std::size_t(b)];
        });
        std::int64_t count = 1;
        for (const std::int64_t extent : map.hf_shape) count *= extent;
        load[std::size_t(owner)] += count;
        share.tensor_owners.push_back(owner);
        for (const auto& piece : map.pieces)
          share.parameter_owners[index.at(layer_name(piece.parameter, layer))] = owner;
      });
  return share;
}

std::vector<StateItem> state_order(const ModelConfig& config) {
  const auto index = index_of(parameter_instances(config));
  std::vector<StateItem> order;
  for_each_tensor(
      tensor_maps(config), config.layers, [&](const TensorMap& map, std::int64_t layer) {
        for (const auto& piece : map.pieces)
          order.push_back({StatePart::weight, index.at(layer_name(piece.parameter, layer))});
      });
  for (std::size_t i = 0; i < index.size(); ++i) {
    order.push_back({StatePart::m, i});
    order.push_back({StatePart::v, i});
  }
  return order;
}

std::int64_t snapshot_bytes(const ModelConfig& config, const CheckpointShare& share) {
  const auto parameters = parameter_instances(config);
  std::int64_t count = 0, largest = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (share.mine(i)) count += parameters[i].spec.count();
  std::size_t tensor = 0;
  for_each_tensor(tensor_maps(config), config.layers, [&](const TensorMap& map, std::int64_t) {
    if (!share.tensors().mine(tensor++)) return;
    std::int64_t elements = 1;
    for (const std::int64_t extent : map.hf_shape) elements *= extent;
    largest = std::max(largest, elements);
  });
  return 12 * count + 4 * largest + kFileBytes;
}

Snapshot::Snapshot(const ModelConfig& config, const CheckpointShare& share)
    : parameters_(parameter_instances(config)) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!share.mine(i)) continue;
    begin_[parameters_[i].name()] = count_;
    count_ += parameters_[i].spec.count();
  }
  for (const StateItem& item : state_order(config))
    if (share.mine(item.parameter)) order_.push_back(item);
  memory_ = std::make_unique_for_overwrite<float[]>(std::size(kStateParts) * std::size_t(count_));
}

std::span<float> Snapshot::values(StatePart part, const ParameterSpec& spec,
                                  std::int64_t layer) const {
  const std::int64_t begin = begin_.at(layer_name(spec.name, layer));
  return {memory_.get() + static_cast<std::int64_t>(part) * count_ + begin,
          std::size_t(spec.count())};
}

void Snapshot::fill(const StateSource& live) {
  for (const auto& [part, i] : order_) {
    const ParameterInstance& p = parameters_[i];
    live(part, p.spec, p.layer, values(part, p.spec, p.layer));
  }
}

StateSource Snapshot::source() const {
  return
      [this](StatePart part, const ParameterSpec& spec, std::int64_t layer, std::span<float> out) {
        const std::span<const float> copy = values(part, spec, layer);
        std::copy(copy.begin(), copy.end(), out.begin());
      };
}

}  // namespace autarky
