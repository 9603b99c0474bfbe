#include "plan/search.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "base/parallel.h"
#include "plan/bounds.h"
#include "plan/layouts.h"
#include "plan/placed_stages.h"

namespace autarky {
namespace {

struct Bounded {
  double least_s;
  std::size_t layout;
};

class Search {
 public:
  Search(const PlanRequest& r, const SearchProgress& progress, bool prune)
      : r_(r), progress_(progress), prune_(prune), bounds_(r), all_(all_layouts(r)) {}

  SearchResult run() {
    if (all_.empty())
      throw InputError("no layout is possible")
          .found(fmt::format("{} chips, a global batch of {}", chips_text(), r_.global_batch))
          .wanted(r_.groups.size() == 1
                      ? "chips = tp x pp x dp, and a batch that dp divides"
                      : "of each kind chips = tp x dp x stages, in all at most as many stages as "
                        "layers, and a batch that dp divides");
    result_.layouts = std::int64_t(all_.size());
    bound_all();
    constexpr std::size_t kGroup = 64;
    for (std::size_t at = 0; at < order_.size(); at += kGroup) {
      progress_(std::int64_t(at) + refused_, result_.layouts);
      if (prune_ && order_[at].least_s >= worst_kept()) {
        result_.bounded += std::int64_t(order_.size() - at);
        break;
      }
      simulate_group(at, std::min(at + kGroup, order_.size()));
    }
    finish();
    return std::move(result_);
  }

 private:
  std::string chips_text() const {
    std::string text;
    for (const auto& group : r_.groups)
      text += fmt::format("{}{}", text.empty() ? "" : " and ", group.chips);
    return text;
  }

  double worst_kept() const {
    return result_.best.size() < r_.keep ? std::numeric_limits<double>::infinity()
                                         : result_.best.back().prediction.step_s;
  }

  void bound_all() {
    std::vector<const EngineOptions*> small;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const EngineOptions& o = all_[i].options;
      if (prune_ && bounds_.is_too_large(o)) {
        ++result_.too_large;
        continue;
      }
      order_.push_back({0, i});
      small.push_back(&o);
    }
    refused_ = result_.too_large;
    bounds_.compile(small);
    for (auto& b : order_) {
      const Candidate& layout = all_[b.layout];
      b.least_s = bounds_.least_seconds(layout, parts_of(layout.options));
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [](const auto& a, const auto& b) { return a.least_s < b.least_s; });
  }

  using PartsKey = std::tuple<int, int, bool>;  // stages, chunks, lighter ends
  static PartsKey parts_key(const EngineOptions& o) {
    return {o.mesh.size(Axis::pp), o.chunks, !o.stage_layers.empty()};
  }
  const std::vector<int>& parts_of(const EngineOptions& o) const {
    auto& parts = parts_[parts_key(o)];
    if (parts.empty()) parts = layers_of_parts(o);
    return parts;
  }

  void simulate_group(std::size_t from, std::size_t to) {
    std::map<BlockKey, const EngineOptions*> missing;
    for (std::size_t i = from; i < to; ++i) {
      const EngineOptions& o = all_[order_[i].layout].options;
      if (const auto key = block_key(o); !kinds_.contains(key)) missing.emplace(key, &o);
    }
    std::vector<std::pair<BlockKey, const EngineOptions*>> list(missing.begin(), missing.end());
    std::vector<std::optional<StageKinds>> made(list.size());
    parallel_for(std::int64_t(list.size()), [&](std::int64_t i, int) {
      made[std::size_t(i)] = stage_kinds(*list[std::size_t(i)].second);
    });
    for (std::size_t i = 0; i < list.size(); ++i) kinds_[list[i].first] = std::move(*made[i]);
    for (std::size_t i = from; i < to; ++i) parts_of(all_[order_[i].layout].options);
    std::vector<std::optional<PlannedLayout>> plans(to - from);
    const double limit = worst_kept();
    parallel_for(std::int64_t(to - from), [&](std::int64_t i, int) {
      const Bounded& b = order_[from + std::size_t(i)];
      if (!prune_ || b.least_s < limit) plans[std::size_t(i)] = plan(all_[b.layout], limit);
    });
    for (auto& p : plans)
      if (p) keep(std::move(*p));
      else ++result_.bounded;
  }

  StageKinds stage_kinds(const EngineOptions& o) const {
    StageKinds kinds;
    kinds.costs.resize(r_.groups.size());
    for (const auto& program : stand_in(o)) {
      for (std::size_t g = 0; g < r_.groups.size(); ++g)
        kinds.costs[g].emplace_back(program, r_.groups[g].device,
                                    o.recompute == Recompute::selective);
      kinds.memory.emplace_back(program);
    }
    return kinds;
  }

  // An outline's memory is near the programs': these decide where it is near what there is and the
  // layout is quick enough, under `limit` seconds.
  PlannedLayout plan(const Candidate& layout, double limit) const {
    constexpr double kOutlineError = 0.08;
    const StageKinds& kinds = kinds_.at(block_key(layout.options));
    PlannedLayout p;
    p.options = layout.options;
    p.stage_groups = layout.groups;
    const EngineOptions& o = p.options;
    const Schedule schedule =
        make_schedule(o.schedule, o.mesh.size(Axis::pp), o.chunks, o.microbatches);
    const PlacedStages stages(r_, p.stage_groups, kinds);
    if (p.stage_groups.size() > 1) p.options.stage_layers = stages.layers(o, schedule);
    const auto& parts = p.stage_groups.size() > 1 ? o.stage_layers : parts_.at(parts_key(o));
    auto memory = memory_of_stages(kinds.memory, schedule, parts);
    p.fullest = stages.fullest(memory);
    take_memory(p, std::move(memory), stages.limits());
    const double outlined = double(p.memory_bytes), most = double(p.memory_limit_bytes);
    if (outlined * (1 - kOutlineError) > most) return p;
    p.prediction = predict(o, schedule, parts, stages.costs());
    if (outlined * (1 + kOutlineError) > most && p.prediction.step_s < limit) plan_memory(p);
    return p;
  }

  void plan_memory(PlannedLayout& p) const {
    std::vector<std::int64_t> limits;
    const auto groups = groups_of_stages(p.stage_groups);
    for (const int stage : p.fullest)
      limits.push_back(r_.groups[groups[std::size_t(stage)]].memory_bytes);
    take_memory(p, planned_memory(p.options, p.fullest), limits);
  }

  // Of the stage that fills most of its chip.
  static void take_memory(PlannedLayout& p, std::vector<BytesByKind> stages,
                          std::span<const std::int64_t> limits) {
    std::size_t most = 0;
    const auto filled = [&](std::size_t s) { return double(total(stages[s])) / double(limits[s]); };
    for (std::size_t s = 1; s < stages.size(); ++s)
      if (filled(s) > filled(most)) most = s;
    p.memory = std::move(stages[most]);
    p.memory_bytes = total(p.memory);
    p.memory_limit_bytes = limits[most];
    p.fits = p.memory_bytes <= p.memory_limit_bytes;
  }

  // Of those with the least bound on memory the one that needs least.
  PlannedLayout smallest() {
    constexpr std::size_t kTried = 64;
    const auto thrift = [&](const EngineOptions& o) {
      return std::tuple(bounds_.least_memory(o), o.recompute != Recompute::full,
                        !o.sequence_parallel, o.batch);
    };
    std::vector<const Candidate*> order;
    for (const auto& layout : all_) order.push_back(&layout);
    const std::size_t tried = std::min(kTried, order.size());
    std::partial_sort(
        order.begin(), order.begin() + std::ptrdiff_t(tried), order.end(),
        [&](const auto* a, const auto* b) { return thrift(a->options) < thrift(b->options); });
    std::optional<PlannedLayout> least;
    for (std::size_t i = 0; i < tried; ++i) {
      const EngineOptions& o = order[i]->options;
      if (const auto key = block_key(o); !kinds_.contains(key)) kinds_.emplace(key, stage_kinds(o));
      parts_of(o);
      if (auto p = plan(*order[i], 0); !least || overfilled(p) < overfilled(*least)) least = p;
    }
    return *least;
  }

  static double overfilled(const PlannedLayout& p) {
    return double(p.memory_bytes) / double(p.memory_limit_bytes);
  }

  void keep(PlannedLayout p) {
    if (!p.fits) {
      ++result_.too_large;
      if (!nearest_ || overfilled(p) < overfilled(*nearest_)) nearest_ = std::move(p);
      return;
    }
    ++result_.simulated;
    auto& best = result_.best;
    const auto at = std::upper_bound(best.begin(), best.end(), p, [](const auto& a, const auto& b) {
      return a.prediction.step_s < b.prediction.step_s;
    });
    best.insert(at, std::move(p));
    if (best.size() > r_.keep) best.pop_back();
  }

  void finish() {
    if (result_.best.empty() && !nearest_) nearest_ = smallest();
    if (result_.best.empty()) result_.best.push_back(std::move(*nearest_));
    parallel_for(std::int64_t(result_.best.size()),
                 [&](std::int64_t i, int) { plan_memory(result_.best[std::size_t(i)]); });
    const auto fits = [](const PlannedLayout& p) { return p.fits; };
    if (std::any_of(result_.best.begin(), result_.best.end(), fits))
      std::erase_if(result_.best, [&](const auto& p) { return !fits(p); });
    progress_(result_.layouts, result_.layouts);
  }

  const PlanRequest& r_;
  const SearchProgress& progress_;
  bool prune_;
  Bounds bounds_;
  std::vector<Candidate> all_;
  std::vector<Bounded> order_;
  mutable std::map<PartsKey, std::vector<int>> parts_;
  std::map<BlockKey, StageKinds> kinds_;
  std::optional<PlannedLayout> nearest_;  // to fitting
  std::int64_t refused_ = 0;              // by the bound on memory
  SearchResult result_;
};

// A chip's memory that no layout may take: the driver, libraries, the network's buffers.
constexpr double kReserved = 0.06;

}  // namespace

ChipGroup chip_group(Device device, int chips) {
  const auto bytes = double(device.chip.memory_bytes) * (1 - kReserved);
  return {std::move(device), chips, std::int64_t(bytes)};
}

int PlanRequest::chips() const {
  int sum = 0;
  for (const auto& group : groups) sum += group.chips;
  return sum;
}

StageDevices devices_of(const PlannedLayout& plan, const PlanRequest& request) {
  StageDevices devices;
  for (const auto group : groups_of_stages(plan.stage_groups))
    devices.push_back(&request.groups[group].device);
  return devices;
}

SearchResult search_layouts(const PlanRequest& request, const SearchProgress& progress,
                            bool prune) {
  return Search(request, progress, prune).run();
}

namespace {

// "8 x ascend-910b with 5 to 6 layers"
std::string stages_text(const StageGroup& group, int first, const PlannedLayout& plan,
                        const PlanRequest& request) {
  const EngineOptions& o = plan.options;
  int least = int(o.model.layers), most = 0;
  for (int s = first; s < first + group.stages; ++s) {
    int layers = 0;
    for (int c = 0; c < o.chunks; ++c)
      layers += o.stage_layers[std::size_t(c * o.mesh.size(Axis::pp) + s)];
    least = std::min(least, layers);
    most = std::max(most, layers);
  }
  return fmt::format(
      "{} x {} with {} layers", group.stages, request.groups[group.group].device.chip.name,
      least == most ? fmt::format("{}", most) : fmt::format("{} to {}", least, most));
}

}  // namespace

std::string to_string(const PlannedLayout& plan, const PlanRequest& request) {
  const EngineOptions& o = plan.options;
  const bool mixed = plan.stage_groups.size() > 1;
  std::string text = fmt::format("tp {}", o.mesh.size(Axis::tp) * o.mesh.size(Axis::tpr));
  text += fmt::format(", pp {}", o.mesh.size(Axis::pp));
  if (o.mesh.size(Axis::pp) > 1) {
    text += fmt::format(" {}", pipeline_schedule_name(o.schedule));
    if (o.chunks > 1) text += fmt::format(" x {}", o.chunks);
  }
  if (!o.stage_layers.empty() && !mixed) text += ", lighter ends";
  text += fmt::format(", dp {}, zero {}", o.mesh.size(Axis::dp), o.zero_stage);
  if (o.sequence_parallel) text += ", sequence parallel";
  text += fmt::format(", micro-batch {}, recompute {}", o.batch, recompute_name(o.recompute));
  int first = 0;
  for (const auto& group : plan.stage_groups) {
    if (mixed)
      text += (first == 0 ? "; stages " : ", then ") + stages_text(group, first, plan, request);
    first += group.stages;
  }
  return text;
}

}  // namespace autarky
