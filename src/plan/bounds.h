// What a layout takes at the least, for a search to leave it out unseen.
#pragma once
#include <array>
#include <map>
#include <tuple>
#include <vector>

#include "plan/layouts.h"

namespace autarky {

// What decides the blocks of a step, whatever the number of stages and micro-batches.
using BlockKey = std::tuple<int, int, int, std::int64_t, bool, int, Recompute, bool>;
BlockKey block_key(const EngineOptions& options);

class Bounds {
 public:
  explicit Bounds(const PlanRequest& request);

  // Whether weights and optimizer alone are more than all chips hold.
  bool is_too_large(const EngineOptions& options) const;
  // Of weights, gradients and moments on a chip, on average over the stages.
  double least_memory(const EngineOptions& options) const;
  // Compiles what least_seconds needs of these layouts.
  void compile(const std::vector<const EngineOptions*>& layouts);
  double least_seconds(const Candidate& layout, const std::vector<int>& part_layers) const;

 private:
  // What layers and head take at the least on one rank, per micro-batch.
  struct LeastWork {
    double forward = 0, backward = 0;  // of a layer
    double head = 0;
    double layer() const { return forward + backward; }
  };
  using ByZero = std::array<LeastWork, 2>;  // all; without what memory takes

  std::vector<ByZero> least_work(const EngineOptions& options) const;
  double of_several_kinds(const Candidate& layout, const std::vector<ByZero>& by_group) const;
  double of_one_kind(const EngineOptions& options, const LeastWork& work,
                     const std::vector<int>& part_layers) const;

  const PlanRequest& r_;
  double parameters_ = 0;
  std::map<BlockKey, std::vector<ByZero>> least_work_;  // by group of chips
};

}  // namespace autarky
