// The stages of a layout on the chips that they run on.
#pragma once
#include <initializer_list>

#include "plan/search.h"
#include "plan/stage_sizes.h"

namespace autarky {

// Of the stand-in's stages: on every group of chips what their blocks take, and their memory.
struct StageKinds {
  std::vector<std::vector<StageCosts>> costs;  // by group of chips
  std::vector<StageMemory> memory;
};

// By stage, the group of chips.
std::vector<std::size_t> groups_of_stages(const std::vector<StageGroup>& groups);

class PlacedStages {
 public:
  PlacedStages(const PlanRequest& request, const std::vector<StageGroup>& groups,
               const StageKinds& kinds);

  std::span<const StageCosts* const> costs() const { return costs_; }
  std::span<const std::int64_t> limits() const { return limits_; }  // of memory

  // The first, the last, and between them of each group of chips the one that needs most.
  std::vector<int> fullest(std::span<const BytesByKind> memory) const;
  // By part: as quick as can be where they fit, else as if they did.
  std::vector<int> layers(const EngineOptions& options, const Schedule& schedule) const;

 private:
  std::size_t kind(std::size_t stage) const;
  double seconds(std::size_t stage, std::initializer_list<const char*> blocks) const;
  std::vector<StageLoad> loads(const EngineOptions& options, const Schedule& schedule) const;

  const StageKinds& kinds_;
  std::vector<std::size_t> groups_;  // by stage
  std::vector<const StageCosts*> costs_;
  std::vector<std::int64_t> limits_;
};

}  // namespace autarky
