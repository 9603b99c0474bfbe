#include "plan/search.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "base/parallel.h"
#include "models/parameters.h"
#include "plan/layouts.h"

namespace autarky {
namespace {

// What decides the blocks of a step, whatever the number of stages and micro-batches.
using BlockKey = std::tuple<int, int, int, std::int64_t, bool, int, Recompute, bool>;
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

// What layers and head take at the least on one rank, per micro-batch.
struct LeastWork {
  double forward = 0, backward = 0;  // of a layer
  double head = 0;
};

double of_products(const Seconds& s) {
  return s[Part::flops] + s[Part::products] + s[Part::attention] + s[Part::tensor];
}

struct StageKinds {
  std::vector<StageCosts> costs;
  std::vector<StageMemory> memory;
};

struct Bounded {
  double least_s;
  std::size_t layout;
};

class Search {
 public:
  Search(const PlanRequest& r, const SearchProgress& progress, bool prune)
      : r_(r), progress_(progress), prune_(prune), all_(all_layouts(r)) {}

  SearchResult run() {
    if (all_.empty())
      throw InputError("no layout is possible")
          .found(fmt::format("{} chips, a global batch of {}", r_.chips, r_.global_batch))
          .wanted("chips = tp x pp x dp, and a batch that dp divides");
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
  double worst_kept() const {
    return result_.best.size() < r_.keep ? std::numeric_limits<double>::infinity()
                                         : result_.best.back().prediction.step_s;
  }

  // ---- bounds
  void bound_all() {
    const double parameters = double(parameter_count(r_.model));
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (prune_ && double(r_.memory_bytes) < least_memory(all_[i], parameters))
        ++result_.too_large;
      else order_.push_back({0, i});
    }
    refused_ = result_.too_large;
    compile_least_work();
    for (auto& b : order_) b.least_s = least_seconds(all_[b.layout]);
    std::stable_sort(order_.begin(), order_.end(),
                     [](const auto& a, const auto& b) { return a.least_s < b.least_s; });
  }

  // Of the stage with most layers: parameters, gradients in f32, masters and moments, as ZeRO lays
  // them out; in f32 a parameter is its own master. The embedding and the head are left out.
  double least_memory(const EngineOptions& o, double parameters) const {
    const double pp = o.mesh.size(Axis::pp), dp = o.mesh.size(Axis::dp);
    const double tp = double(o.mesh.size(Axis::tp)) * o.mesh.size(Axis::tpr);
    const double ends = 2.0 * double(r_.model.vocab * r_.model.hidden);
    const double mine = std::max(0.0, parameters - ends) / (tp * pp);
    const double param = double(byte_size(o.dtype)), states = o.dtype == DType::f32 ? 8 : 12;
    const int z = o.zero_stage;
    return mine * (param / (z == 3 ? dp : 1) + 4 / (z >= 2 ? dp : 1) + states / (z >= 1 ? dp : 1));
  }

  // The blocks of one rank do not depend on dp but by what ZeRO adds.
  static EngineOptions without_data_ranks(EngineOptions o) {
    o.mesh.size(Axis::dp) = 1;
    o.mesh.size(Axis::pp) = 3;
    o.zero_stage = 0;
    return o;
  }

  void compile_least_work() {
    std::map<BlockKey, EngineOptions> wanted;
    for (const auto& b : order_) {
      EngineOptions o = without_data_ranks(all_[b.layout]);
      if (const auto key = block_key(o); !wanted.contains(key)) wanted.emplace(key, std::move(o));
    }
    std::vector<std::pair<BlockKey, EngineOptions>> list(wanted.begin(), wanted.end());
    std::vector<std::array<LeastWork, 2>> works(list.size());
    parallel_for(std::int64_t(list.size()), [&](std::int64_t i, int) {
      works[std::size_t(i)] = least_work(list[std::size_t(i)].second);
    });
    for (std::size_t i = 0; i < list.size(); ++i) least_work_[list[i].first] = works[i];
  }

  // All of it, and without what memory takes: an accumulator that ZeRO cuts is less to read.
  std::array<LeastWork, 2> least_work(const EngineOptions& o) const {
    const auto kinds = stand_in(o, Pass::schedule);
    const bool again = o.recompute == Recompute::selective;
    const StageCosts inner(kinds[1], r_.device, again), last(kinds[2], r_.device, again);
    const auto seconds = [](const StageCosts& costs, const char* block, bool all) {
      const BlockCost* cost = costs.find(block);
      return !cost ? 0 : all ? cost->seconds.total() : of_products(cost->seconds);
    };
    std::array<LeastWork, 2> works;
    for (const bool all : {true, false}) {
      LeastWork& w = works[all ? 0 : 1];
      w.forward = seconds(inner, "layer.F", all);
      // The first micro-batch writes its gradients in place of adding them.
      w.backward = std::min(seconds(inner, "layer.B", all), seconds(inner, "layer.B.first", all)) +
                   std::min(seconds(inner, "layer.W", all), seconds(inner, "layer.W.first", all));
      w.head = std::min(seconds(last, "head.FB", all), seconds(last, "head.FB.first", all));
    }
    return works;
  }

  // A stage begins when the first micro-batch has come through the stages before it, and has all
  // micro-batches of its layers to do; then (where its last work is a backward pass) gradients go
  // back through the stages before it.
  double least_seconds(const EngineOptions& o) const {
    const LeastWork& w =
        least_work_.at(block_key(without_data_ranks(o)))[o.zero_stage >= 2 ? 1 : 0];
    const auto& parts = parts_of(o);
    const int pp = o.mesh.size(Axis::pp);
    const double back = o.schedule == PipelineSchedule::zero_bubble ? 0 : w.backward;
    double least = 0, before = 0;
    for (int s = 0; s < pp; ++s) {
      double layers = 0;
      for (int c = 0; c < o.chunks; ++c) layers += parts[std::size_t(c * pp + s)];
      const double work = layers * (w.forward + w.backward) + (s + 1 == pp ? w.head : 0);
      least = std::max(least, before * (w.forward + back) + o.microbatches * work);
      before += parts[std::size_t(s)];
    }
    return least;
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

  // ---- simulation
  void simulate_group(std::size_t from, std::size_t to) {
    std::map<BlockKey, const EngineOptions*> missing;
    for (std::size_t i = from; i < to; ++i) {
      const EngineOptions& o = all_[order_[i].layout];
      if (const auto key = block_key(o); !kinds_.contains(key)) missing.emplace(key, &o);
    }
    std::vector<std::pair<BlockKey, const EngineOptions*>> list(missing.begin(), missing.end());
    std::vector<std::optional<StageKinds>> made(list.size());
    parallel_for(std::int64_t(list.size()), [&](std::int64_t i, int) {
      made[std::size_t(i)] = stage_kinds(*list[std::size_t(i)].second);
    });
    for (std::size_t i = 0; i < list.size(); ++i) kinds_[list[i].first] = std::move(*made[i]);
    for (std::size_t i = from; i < to; ++i) parts_of(all_[order_[i].layout]);
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
    for (const auto& program : stand_in(o)) {
      kinds.costs.emplace_back(program, r_.device, o.recompute == Recompute::selective);
      kinds.memory.emplace_back(program);
    }
    return kinds;
  }

  // An outline's memory is near the programs': these decide where it is near what there is and the
  // layout is quick enough, under `limit` seconds.
  PlannedLayout plan(const EngineOptions& o, double limit) const {
    constexpr double kOutlineError = 0.08;
    const StageKinds& kinds = kinds_.at(block_key(o));
    const auto& parts = parts_.at(parts_key(o));
    const Schedule schedule =
        make_schedule(o.schedule, o.mesh.size(Axis::pp), o.chunks, o.microbatches);
    PlannedLayout p;
    p.options = o;
    LargestStage largest = largest_stage(kinds.memory, schedule, parts);
    p.fullest_inner_stage = largest.inner;
    take_memory(p, std::move(largest.bytes));
    const double outlined = double(p.memory_bytes), most = double(r_.memory_bytes);
    if (outlined * (1 - kOutlineError) > most) return p;
    p.prediction = predict(o, schedule, parts, kinds.costs, r_.device);
    if (outlined * (1 + kOutlineError) > most && p.prediction.step_s < limit)
      take_memory(p, planned_memory(o, largest.inner));
    return p;
  }

  void take_memory(PlannedLayout& p, BytesByKind memory) const {
    p.memory = std::move(memory);
    p.memory_bytes = total(p.memory);
    p.fits = p.memory_bytes <= r_.memory_bytes;
  }

  // Of those with the least bound on memory the one that needs least.
  PlannedLayout smallest() {
    constexpr std::size_t kTried = 64;
    const double parameters = double(parameter_count(r_.model));
    const auto thrift = [&](const EngineOptions& o) {
      return std::tuple(least_memory(o, parameters), o.recompute != Recompute::full,
                        !o.sequence_parallel, o.batch);
    };
    std::vector<const EngineOptions*> order;
    for (const auto& o : all_) order.push_back(&o);
    const std::size_t tried = std::min(kTried, order.size());
    std::partial_sort(order.begin(), order.begin() + std::ptrdiff_t(tried), order.end(),
                      [&](const auto* a, const auto* b) { return thrift(*a) < thrift(*b); });
    std::optional<PlannedLayout> least;
    for (std::size_t i = 0; i < tried; ++i) {
      if (const auto key = block_key(*order[i]); !kinds_.contains(key))
        kinds_.emplace(key, stage_kinds(*order[i]));
      parts_of(*order[i]);
      if (auto p = plan(*order[i], 0); !least || p.memory_bytes < least->memory_bytes) least = p;
    }
    return *least;
  }

  void keep(PlannedLayout p) {
    if (!p.fits) {
      ++result_.too_large;
      if (!nearest_ || p.memory_bytes < nearest_->memory_bytes) nearest_ = std::move(p);
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
    parallel_for(std::int64_t(result_.best.size()), [&](std::int64_t i, int) {
      auto& p = result_.best[std::size_t(i)];
      take_memory(p, planned_memory(p.options, p.fullest_inner_stage));
    });
    progress_(result_.layouts, result_.layouts);
  }

  const PlanRequest& r_;
  const SearchProgress& progress_;
  bool prune_;
  std::vector<EngineOptions> all_;
  std::vector<Bounded> order_;
  std::map<BlockKey, std::array<LeastWork, 2>> least_work_;
  mutable std::map<PartsKey, std::vector<int>> parts_;
  std::map<BlockKey, StageKinds> kinds_;
  std::optional<PlannedLayout> nearest_;  // to fitting
  std::int64_t refused_ = 0;              // by the bound on memory
  SearchResult result_;
};

// A chip's memory that no layout may take: the driver, libraries, the network's buffers.
constexpr double kReserved = 0.06;

}  // namespace

void put_on(PlanRequest& request, Device device) {
  request.device = std::move(device);
  request.memory_bytes = std::int64_t(double(request.device.chip.memory_bytes) * (1 - kReserved));
}

SearchResult search_layouts(const PlanRequest& request, const SearchProgress& progress,
                            bool prune) {
  return Search(request, progress, prune).run();
}

std::string to_string(const EngineOptions& o) {
  std::string text = fmt::format("tp {}", o.mesh.size(Axis::tp) * o.mesh.size(Axis::tpr));
  text += fmt::format(", pp {}", o.mesh.size(Axis::pp));
  if (o.mesh.size(Axis::pp) > 1) {
    text += fmt::format(" {}", pipeline_schedule_name(o.schedule));
    if (o.chunks > 1) text += fmt::format(" x {}", o.chunks);
  }
  if (!o.stage_layers.empty()) text += ", lighter ends";
  text += fmt::format(", dp {}, zero {}", o.mesh.size(Axis::dp), o.zero_stage);
  if (o.sequence_parallel) text += ", sequence parallel";
  return text + fmt::format(", micro-batch {}, recompute {}", o.batch, recompute_name(o.recompute));
}

}  // namespace autarky
