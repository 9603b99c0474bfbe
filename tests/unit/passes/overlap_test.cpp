// What moves between ranks is asked for early enough to go on beside other work.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "models/decoder.h"
#include "models/presets.h"
#include "passes/compile.h"

namespace autarky {
namespace {

Program step_on_two_data_ranks(int zero_stage) {
  ModelConfig config = preset_config("llama-17m");
  config.layers = 3;
  StepOptions options;
  options.mesh.size(Axis::dp) = 2;
  options.zero_stage = zero_stage;
  options.microbatches = 2;
  options.update = true;
  options.rules = default_rules(false);
  options.scratch = [](const Node&, Types, Types) { return 0; };
  return compile_step(build_decoder(config, {DType::bf16, 2, 16}), options, 0);
}

const std::string& name_of(const Program& p, std::size_t call) {
  return p.blocks[std::size_t(p.calls[call].block)].graph.name;
}

std::size_t last_call(const Program& p, const std::string& block, int layer) {
  std::size_t last = 0;
  for (std::size_t c = 0; c < p.calls.size(); ++c)
    if (name_of(p, c) == block && p.calls[c].layer == layer) last = c;
  EXPECT_GT(last, 0u) << block;
  return last;
}

TEST(Overlap, ALayersGradientsAreReducedBeforeTheNextOnesAreMade) {
  const Program p = step_on_two_data_ranks(0);
  std::vector<std::size_t> reductions;
  for (std::size_t c = 0; c < p.calls.size(); ++c)
    if (name_of(p, c) == "reduce.layer") {
      EXPECT_EQ(p.calls[c].queue, (Queue{Axis::dp}));
      reductions.push_back(c);
    }
  ASSERT_EQ(reductions.size(), 3u);
  for (int layer = 2; layer > 0; --layer) {
    const std::size_t reduction = reductions[std::size_t(2 - layer)];
    EXPECT_GT(reduction, last_call(p, "layer.B", layer));
    EXPECT_LT(reduction, last_call(p, "layer.B", layer - 1));
  }
}

TEST(Overlap, ZeroThreeGathersParametersOneCallAhead) {
  const Program p = step_on_two_data_ranks(3);
  int gathers = 0;
  for (std::size_t g = 0; g < p.calls.size(); ++g) {
    if (!name_of(p, g).starts_with("gather.")) continue;
    const auto& made = p.calls[g].outputs;
    const auto needs = [&](std::size_t c) {
      const auto& in = p.calls[c].inputs;
      return std::find(in.begin(), in.end(), made.front()) != in.end();
    };
    std::size_t user = g + 1, between = 0;
    for (; user < p.calls.size() && !needs(user); ++user) between += p.calls[user].queue == Queue{};
    ASSERT_LT(user, p.calls.size());
    if (gathers++ > 0) {
      EXPECT_GE(between, 1u) << "nothing runs beside " << name_of(p, g);
    }
  }
  EXPECT_GT(gathers, 12);
}

TEST(Overlap, ZeroThreeKeepsTwoSetsOfGatheredParametersAtMost) {
  const Program p = step_on_two_data_ranks(3);
  for (std::size_t c = 0; c < p.calls.size(); ++c) {
    std::set<int> sets;  // the calls that made what is alive
    for (const auto& b : p.buffers)
      if (b.name.starts_with("whole.") && b.first <= int(c) && int(c) <= b.last)
        sets.insert(b.first);
    EXPECT_LE(sets.size(), 2u) << c;
  }
}

}  // namespace
}  // namespace autarky
