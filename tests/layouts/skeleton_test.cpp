// The walking skeleton: a tiny model through every pass, on a local mesh, against one rank.
#include <gtest/gtest.h>

#include "base/error.h"
#include "layouts/run_layout.h"
#include "sim/simulate.h"

namespace autarky {
namespace {

Mesh mesh(int tp, int dp, int pp) {
  Mesh m;
  m.size(Axis::tp) = tp;
  m.size(Axis::dp) = dp;
  m.size(Axis::pp) = pp;
  return m;
}

struct NamedRun {
  std::string name;
  Family family;
  LayoutRun run;
};
std::ostream& operator<<(std::ostream& out, const NamedRun& r) { return out << r.name; }

class Layouts : public testing::TestWithParam<NamedRun> {};

TEST_P(Layouts, LossAndGradientsEqualThoseOfOneRank) {
  const ModelConfig config = tiny_config(GetParam().family);
  LayoutRun one;
  one.mesh = mesh(1, 1, 1);
  expect_same(run_layout(config, one), run_layout(config, GetParam().run), 1e-10);
}

std::vector<NamedRun> runs() {
  const auto llama = [](std::string name, LayoutRun r) {
    return NamedRun{std::move(name), Family::llama, r};
  };
  std::vector<NamedRun> all = {
      llama("Tp2Dp2Pp2", {mesh(2, 2, 2)}),
      llama("Tp2Dp2Pp2SequenceParallel", {mesh(2, 2, 2), true}),
      llama("Tp2", {mesh(2, 1, 1)}),
      llama("Tp2SequenceParallel", {mesh(2, 1, 1), true}),
      llama("Dp2", {mesh(1, 2, 1)}),
      llama("Dp4", {mesh(1, 4, 1)}),
      llama("Pp2", {mesh(1, 1, 2)}),
      llama("Pp4Gpipe", {mesh(1, 1, 4), false, Recompute::selective, PipelineSchedule::gpipe}),
      llama("FullRecompute", {mesh(1, 1, 1), false, Recompute::full}),
      llama("NoRecomputeTp2Pp2", {mesh(2, 1, 2), false, Recompute::none}),
      {"Gpt2TiedTp2Dp2", Family::gpt2, {mesh(2, 2, 1), true}},
      {"Qwen2Tp2Dp2Pp2", Family::qwen2, {mesh(2, 2, 2), true, Recompute::full}},
      {"MistralTp2Pp2", Family::mistral, {mesh(2, 1, 2), true}},
      {"Qwen3Tp2Dp2", Family::qwen3, {mesh(2, 2, 1), true}},
      {"Qwen3Tp2FullRecompute", Family::qwen3, {mesh(2, 1, 1), false, Recompute::full}},
      {"TelechatTp2Dp2Pp2", Family::telechat, {mesh(2, 2, 2), true}}};
  return all;
}

INSTANTIATE_TEST_SUITE_P(Skeleton, Layouts, testing::ValuesIn(runs()),
                         [](const auto& test) { return test.param.name; });

// At fixed tp the bits do not depend on dp (a divisor of lanes), schedule or stage count.
TEST(OrderOfSums, DataParallelAndPipelineKeepTheBits) {
  const ModelConfig config = tiny_config(Family::llama);
  LayoutRun one;
  one.mesh = mesh(1, 1, 1);
  one.dtype = DType::f32;
  const LayoutResult whole = run_layout(config, one);
  for (const auto& m : {mesh(1, 2, 1), mesh(1, 4, 1), mesh(1, 1, 2), mesh(1, 2, 2)}) {
    LayoutRun other = one;
    other.mesh = m;
    const LayoutResult result = run_layout(config, other);
    EXPECT_EQ(result.loss, whole.loss) << m.to_string();
    EXPECT_EQ(result.gradients, whole.gradients) << m.to_string();
  }
}

// Norms' gradients are partial over tp too; lanes are added before those.
TEST(OrderOfSums, DataParallelKeepsTheBitsUnderSequenceParallelism) {
  const ModelConfig config = tiny_config(Family::llama);
  LayoutRun run{mesh(2, 1, 1), true};
  run.dtype = DType::f32;
  const LayoutResult whole = run_layout(config, run);
  for (int dp : {2, 4}) {
    run.mesh = mesh(2, dp, 1);
    const LayoutResult result = run_layout(config, run);
    EXPECT_EQ(result.loss, whole.loss) << dp;
    EXPECT_EQ(result.gradients, whole.gradients) << dp;
  }
}

// A program that went through its text is the same program: losses and gradients bit for bit.
TEST(ProgramText, AParsedProgramRunsToTheSameBits) {
  for (const auto& m : {mesh(1, 1, 1), mesh(2, 2, 2)}) {
    LayoutRun run{m};
    run.dtype = DType::f32;
    run.update = true;
    const LayoutResult whole = run_layout(tiny_config(Family::llama), run);
    run.through_text = true;
    const LayoutResult parsed = run_layout(tiny_config(Family::llama), run);
    EXPECT_EQ(parsed.loss, whole.loss) << m.to_string();
    EXPECT_EQ(parsed.gradients, whole.gradients) << m.to_string();
    EXPECT_FALSE(whole.gradients.empty());
  }
}

std::vector<Program> stages_of(const LayoutRun& run, const ModelConfig& config) {
  const int dp = run.mesh.size(Axis::dp);
  StepOptions o;
  o.mesh = run.mesh;
  o.microbatches = run.global_batch / dp;
  o.lanes = run.lanes / dp;
  o.schedule = run.schedule;
  o.chunks = run.chunks;
  return compile_stages(build_decoder(config, {DType::f32, dp, 8}), o);
}

ChipModel test_chip() {
  ChipModel chip;
  chip.flops_per_s = {{DType::f32, 1e9}};
  chip.bytes_per_s = 1e9;
  chip.launch_s = 1e-6;
  LinkTier link;
  link.bytes_per_s = link.pair_bytes_per_s = 1e8;
  link.latency_s = 1e-5;
  chip.links = {link};
  return chip;
}

// The very programs that the layouts above run are costed along their queues.
TEST(Simulator, FollowsTheQueuesOfTheProgramThatRuns) {
  const ModelConfig config = tiny_config(Family::llama);
  const auto one = simulate(stages_of({mesh(1, 1, 1)}, config), {test_chip()});
  const auto eight = simulate(stages_of({mesh(2, 2, 2)}, config), {test_chip()});
  ASSERT_EQ(eight.stage_s.size(), 2u);
  double communication = 0;
  for (const auto& q : eight.queues)
    if (q.name != "compute") communication += q.busy_s;
  EXPECT_GT(communication, 0);
  EXPECT_EQ(one.queues.size(), 1u);                         // compute alone
  EXPECT_LT(eight.queues[0].busy_s, one.queues[0].busy_s);  // a stage does less than the whole
  EXPECT_GE(eight.step_s, eight.stage_s[0]);
  EXPECT_LT(eight.memory_bytes, one.memory_bytes);
}

TEST(Simulator, GpipeKeepsMoreThanOneFOneB) {
  const ModelConfig config = tiny_config(Family::llama);
  LayoutRun run{mesh(1, 1, 4)};
  const auto few = simulate(stages_of(run, config), {test_chip()});
  run.schedule = PipelineSchedule::gpipe;
  const auto many = simulate(stages_of(run, config), {test_chip()});
  EXPECT_LT(few.memory_bytes, many.memory_bytes);
}

// Eight layers on four stages: fewer units idle, as the schedules promise.
TEST(Simulator, InterleavedAndZeroBubbleStepsAreShorter) {
  const ModelConfig config = tiny_config(Family::llama, 8);
  ChipModel chip = test_chip();
  chip.launch_s = 0;
  chip.links[0].latency_s = 1e-7;
  const auto seconds = [&](PipelineSchedule schedule, int chunks) {
    LayoutRun run{mesh(1, 1, 4)};
    run.schedule = schedule;
    run.chunks = chunks;
    run.lanes = 1;
    return simulate(stages_of(run, config), {chip}).step_s;
  };
  const double plain = seconds(PipelineSchedule::one_f_one_b, 1);
  EXPECT_LT(seconds(PipelineSchedule::interleaved, 2), plain);
  EXPECT_LT(seconds(PipelineSchedule::zero_bubble, 1), plain);
}

TEST(Simulator, TakesAParsedProgramForTheOneThatWasPrinted) {
  for (const Mesh& m : {mesh(1, 1, 1), mesh(2, 2, 2)}) {
    const auto stages = stages_of({m}, tiny_config(Family::llama));
    std::vector<Program> parsed;
    for (const auto& p : stages) parsed.push_back(parse_program(print(p)));
    const auto a = simulate(stages, {test_chip()}), b = simulate(parsed, {test_chip()});
    EXPECT_EQ(a.step_s, b.step_s);
    EXPECT_EQ(a.stage_s, b.stage_s);
    EXPECT_EQ(a.ops, b.ops);
    EXPECT_EQ(a.memory_bytes, b.memory_bytes);
    ASSERT_EQ(a.queues.size(), b.queues.size());
    for (std::size_t q = 0; q < a.queues.size(); ++q) {
      EXPECT_EQ(a.queues[q].name, b.queues[q].name);
      EXPECT_EQ(a.queues[q].busy_s, b.queues[q].busy_s);
    }
  }
}

TEST(Simulator, FindsAReceiveWithoutASend) {
  auto stages = stages_of({mesh(1, 1, 2)}, tiny_config(Family::llama));
  std::erase_if(stages[0].calls, [&](const Call& c) {
    return stages[0].blocks[std::size_t(c.block)].graph.name == "send.y";
  });
  EXPECT_THROW(simulate(stages, {test_chip()}), Error);
}

}  // namespace
}  // namespace autarky
