#include "plan/layouts.h"

#include <algorithm>
#include <numeric>

namespace autarky {
namespace {

std::vector<std::int64_t> divisors(std::int64_t n, std::int64_t most) {
  std::vector<std::int64_t> all;
  for (std::int64_t d = 1; d <= std::min(n, most); ++d)
    if (n % d == 0) all.push_back(d);
  return all;
}

// The first and the last part, which also have the embedding and the head, have a layer less than
// their share (Llama 3, arXiv:2407.21783, section 3.3.2). Empty where there are too few layers.
std::vector<int> lighter_ends(int layers, int parts) {
  if (parts < 3 || layers < 2 * parts) return {};
  std::vector<int> counts;
  for (int k = 0; k < parts; ++k)
    counts.push_back((layers + 2) * (k + 1) / parts - (layers + 2) * k / parts);
  --counts.front();
  --counts.back();
  return counts;
}

class Layouts {
 public:
  explicit Layouts(const PlanRequest& r) : r_(r) {}

  std::vector<Candidate> list() {
    std::int64_t shared = 0;  // what divides the chips of each kind
    for (const auto& group : r_.groups) shared = std::gcd(shared, group.chips);
    for (const auto tp : divisors(shared, r_.model.heads))
      for (const auto dp : divisors(shared / tp, r_.global_batch)) {
        const std::int64_t pp = r_.chips() / (tp * dp);
        if (r_.global_batch % dp != 0 || pp > r_.model.layers) continue;
        groups_.clear();
        for (std::size_t g = 0; g < r_.groups.size(); ++g)
          groups_.push_back({g, int(r_.groups[g].chips / (tp * dp))});
        mesh(int(tp), int(pp), int(dp));
      }
    return std::move(all_);
  }

 private:
  void mesh(int tp, int pp, int dp) {
    EngineOptions o;
    o.model = r_.model;
    o.dtype = r_.dtype;
    o.seq = r_.seq;
    o.mesh = training_mesh(r_.model, dp, tp, pp);
    for (const auto batch : divisors(r_.global_batch / dp, 64)) {
      constexpr std::int64_t kMostSlots = 10'000'000;  // of a schedule
      if (r_.global_batch / dp / batch * r_.model.layers > kMostSlots) continue;
      o.batch = batch;
      o.microbatches = int(r_.global_batch / dp / batch);
      for (const bool sequence : {false, true}) {
        if (sequence && (tp == 1 || r_.seq % tp != 0)) continue;
        o.sequence_parallel = sequence;
        recompute(o);
      }
    }
  }

  void recompute(EngineOptions o) {
    for (const auto policy : {Recompute::none, Recompute::selective, Recompute::full})
      for (int stage = 0; stage <= (o.mesh.size(Axis::dp) > 1 ? 3 : 0); ++stage) {
        o.recompute = policy;
        o.zero_stage = stage;
        schedules(o);
      }
  }

  void schedules(EngineOptions o) {
    const int pp = o.mesh.size(Axis::pp);
    o.schedule = PipelineSchedule::one_f_one_b;
    stages(o);
    if (pp == 1) return;
    o.schedule = PipelineSchedule::zero_bubble;
    stages(o);
    o.schedule = PipelineSchedule::interleaved;
    // Groups of as many micro-batches as stages go round; with others stages wait for each other.
    if (o.microbatches % pp != 0) return;
    for (o.chunks = 2; o.chunks * pp <= r_.model.layers; ++o.chunks) stages(o);
  }

  // Balanced, and with lighter ends; kinds of chip in every order.
  void stages(EngineOptions o) {
    if (groups_.size() > 1) {
      auto groups = groups_;
      const auto by_group = [](const StageGroup& a, const StageGroup& b) {
        return a.group < b.group;
      };
      do all_.push_back({o, groups});
      while (std::next_permutation(groups.begin(), groups.end(), by_group));
      return;
    }
    all_.push_back({o, groups_});
    o.stage_layers = lighter_ends(int(o.model.layers), o.mesh.size(Axis::pp) * o.chunks);
    if (!o.stage_layers.empty()) all_.push_back({std::move(o), groups_});
  }

  const PlanRequest& r_;
  std::vector<StageGroup> groups_;  // of the mesh, in their order in the request
  std::vector<Candidate> all_;
};

}  // namespace

std::vector<Candidate> all_layouts(const PlanRequest& request) { return Layouts(request).list(); }

}  // namespace autarky
