// Random meshes, schedules, cuts and rule tables against one rank. AUTARKY_TEST_SEED in the
// environment chooses others.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "base/rng.h"
#include "layouts/run_layout.h"

namespace autarky {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kDraws = 6;
#else
constexpr int kDraws = 40;
#endif

std::uint64_t seed() {
  const char* given = std::getenv("AUTARKY_TEST_SEED");
  const std::uint64_t value = given ? std::strtoull(given, nullptr, 10) : 20261122;
  std::cout << "AUTARKY_TEST_SEED=" << value << std::endl;
  return value;
}

struct Draw {
  Family family = Family::llama;
  int layers = 4;
  LayoutRun run;
};

class Drawer {
 public:
  Drawer(std::uint64_t seed, int number) : random_{seed, Purpose::test}, next_(number * 1000) {}

  Draw draw() {
    Draw d;
    d.family = pick({Family::gpt2, Family::llama, Family::qwen2, Family::mistral, Family::qwen3,
                     Family::telechat});
    LayoutRun& r = d.run;
    const int tp = pick({1, 1, 2}), dp = pick({1, 1, 2, 4});
    const int pp = below(std::min(4, 8 / (tp * dp))) + 1;
    r.mesh.size(Axis::tp) = tp;
    r.mesh.size(Axis::dp) = dp;
    r.mesh.size(Axis::pp) = pp;
    r.schedule = pick({PipelineSchedule::gpipe, PipelineSchedule::one_f_one_b,
                       PipelineSchedule::zero_bubble, PipelineSchedule::interleaved});
    if (pp == 1 && r.schedule == PipelineSchedule::interleaved)
      r.schedule = PipelineSchedule::zero_bubble;
    if (r.schedule == PipelineSchedule::interleaved) r.chunks = pick({2, 2, 3});
    const int parts = pp * r.chunks;
    d.layers = parts + below(3);
    if (below(2) == 0) r.stage_layers = cut(d.layers, parts);
    r.recompute = pick({Recompute::none, Recompute::selective, Recompute::full});
    r.lanes = dp * pick({1, 2});
    r.global_batch = r.lanes * (below(std::max(1, 8 / r.lanes)) + 1);
    r.rules = table(tp);
    r.steps = 2;
    r.update = true;
    return d;
  }

 private:
  int below(int n) { return int(random_.bits(std::uint64_t(next_++)) % std::uint64_t(n)); }
  template <class T>
  T pick(std::initializer_list<T> list) {
    return list.begin()[below(int(list.size()))];
  }
  std::vector<int> cut(int layers, int parts) {
    std::vector<int> all(std::size_t(parts), 1);
    for (int l = parts; l < layers; ++l) ++all[std::size_t(below(parts))];
    return all;
  }
  // Some of the dims that tp may split, in any order; the batch stays with dp.
  ShardingRules table(int tp) {
    std::string dims = "gfv";
    for (std::size_t i = dims.size(); i > 1; --i)
      std::swap(dims[i - 1], dims[std::size_t(below(int(i)))]);
    dims.resize(std::size_t(below(4)));
    ShardingRules rules;
    if (tp > 1 && !dims.empty()) rules.push_back({dims, Axis::tp});
    if (tp > 1 && below(2) == 0) rules.push_back({"s", Axis::tp});
    rules.insert(below(2) == 0 ? rules.begin() : rules.end(), ShardingRule{"b", Axis::dp});
    return rules;
  }

  Random random_;
  int next_;
};

TEST(RandomLayouts, TrainAsOneRankDoes) {
  const std::uint64_t chosen = seed();
  for (int i = 0; i < kDraws && !testing::Test::HasFailure(); ++i) {
    const Draw d = Drawer(chosen, i).draw();
    const ModelConfig config = tiny_config(d.family, d.layers);
    SCOPED_TRACE(std::string(family_name(d.family)) + " of " + std::to_string(d.layers) +
                 " layers on " + describe(d.run));
    LayoutRun one = without_pipeline(d.run);
    one.mesh = {};
    one.rules.reset();
    expect_same(run_layout(config, one), run_layout(config, d.run), 1e-10);
    LayoutRun narrow = d.run;
    narrow.dtype = DType::f32;
    const LayoutResult whole = run_layout(config, without_pipeline(narrow)),
                       parts = run_layout(config, narrow);
    EXPECT_EQ(parts.losses, whole.losses);
    EXPECT_TRUE(parts.gradients == whole.gradients) << first_difference(parts, whole);
  }
}

}  // namespace
}  // namespace autarky
