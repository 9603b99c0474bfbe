// An operation's number is its name in every layout, schedule and policy.
#include <gtest/gtest.h>

#include <map>

#include "unit/passes/tiny_programs.h"

namespace autarky {
namespace {

// "layer 14" -> "contract decoder.cpp:57". The fused loss stands for four operations.
std::map<std::string, std::string> numbered(const StepOptions& options) {
  std::map<std::string, std::string> names;
  for (const Program& p : small_stages(options))
    for (const Block& b : p.blocks)
      for (const Node& n : b.graph.nodes) {
        if (n.number < 0 || b.graph.name.starts_with("head")) continue;
        const auto key =
            b.graph.name.substr(0, b.graph.name.find('.')) + ' ' + std::to_string(n.number);
        const auto name = std::string(n.op->name) + ' ' + n.source;
        EXPECT_EQ(names.emplace(key, name).first->second, name) << key;
      }
  return names;
}

TEST(Numbers, AreTheSameInEveryLayoutScheduleAndPolicy) {
  const auto single = numbered(small_options(1, 1, 1));
  EXPECT_GT(single.size(), 40u);
  std::vector<StepOptions> others = {small_options(2, 1, 1), small_options(1, 2, 1),
                                     small_options(2, 2, 2)};
  others[1].zero_stage = 1;
  others[2].rules = default_rules(true);
  others[2].schedule = PipelineSchedule::zero_bubble;
  others.push_back(others[2]);
  others.back().recompute = Recompute::full;
  for (const auto& o : others) EXPECT_EQ(numbered(o), single) << o.mesh.to_string();
}

TEST(Numbers, AreOnEveryOperationOfAModelsBlockButMovements) {
  for (const Program& p : small_stages(small_options(2, 2, 2)))
    for (const Block& b : p.blocks)
      for (const Node& n : b.graph.nodes)
        if (b.graph.name.starts_with("layer.")) {
          EXPECT_EQ(n.number < 0, n.op->movement != Movement::none) << b.graph.name;
        }
}

}  // namespace
}  // namespace autarky
