// Outlines beside the very programs: the same blocks, called in the same order, must take as long.
#include "plan/predict.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "models/flops.h"
#include "models/presets.h"
#include "plan/stage_memory.h"
#include "sim/simulate.h"

namespace autarky {
namespace {

Device test_device() {
  Device d;
  d.chip.flops_per_s = {{DType::f32, 1e13}, {DType::bf16, 1e14}};
  d.chip.bytes_per_s = 1e12;
  d.chip.products = 0.8;
  LinkTier near, far;
  near.chips = 4;
  near.bytes_per_s = near.pair_bytes_per_s = 1e11;
  near.latency_s = 1e-6;
  far.bytes_per_s = far.pair_bytes_per_s = 1e10;
  far.latency_s = 1e-5;
  d.chip.links = {near, far};
  return d;
}

struct Layout {
  const char* name;
  int dp, tp, pp, zero;
  bool sequence;
  PipelineSchedule schedule;
  int chunks, microbatches;
  Recompute recompute;
};

EngineOptions options_of(const Layout& l) {
  EngineOptions o;
  o.model = preset_config("llama-17m");
  o.model.layers = 8;
  o.batch = 1;
  o.seq = 512;
  o.mesh = training_mesh(o.model, l.dp, l.tp, l.pp);
  o.zero_stage = l.zero;
  o.sequence_parallel = l.sequence;
  o.schedule = l.schedule;
  o.chunks = l.chunks;
  o.microbatches = l.microbatches;
  o.recompute = l.recompute;
  return o;
}

constexpr auto k1f1b = PipelineSchedule::one_f_one_b;
const Layout kLayouts[] = {
    {"one", 1, 1, 1, 0, false, k1f1b, 1, 4, Recompute::selective},
    {"dp", 4, 1, 1, 0, false, k1f1b, 1, 4, Recompute::none},
    {"zero1", 4, 1, 1, 1, false, k1f1b, 1, 4, Recompute::selective},
    {"zero2", 4, 1, 1, 2, false, k1f1b, 1, 4, Recompute::selective},
    {"zero3", 4, 1, 1, 3, false, k1f1b, 1, 4, Recompute::full},
    {"tp", 1, 2, 1, 0, false, k1f1b, 1, 4, Recompute::selective},
    {"tp_sp", 2, 2, 1, 1, true, k1f1b, 1, 4, Recompute::none},
    {"pp", 1, 1, 4, 0, false, k1f1b, 1, 8, Recompute::selective},
    {"pp_two", 1, 1, 2, 0, false, k1f1b, 1, 8, Recompute::selective},
    {"gpipe", 1, 1, 4, 0, false, PipelineSchedule::gpipe, 1, 8, Recompute::selective},
    {"interleaved", 1, 1, 4, 0, false, PipelineSchedule::interleaved, 2, 8, Recompute::selective},
    {"zero_bubble", 1, 1, 4, 0, false, PipelineSchedule::zero_bubble, 1, 8, Recompute::selective},
    {"all", 2, 2, 4, 1, true, k1f1b, 1, 8, Recompute::full},
};

class Outlines : public testing::TestWithParam<Layout> {};

TEST_P(Outlines, TakeAsLongAsTheProgramsTheyStandFor) {
  const EngineOptions o = options_of(GetParam());
  const Device device = test_device();
  const auto programs = compile_stages(training_graphs(o), step_options(o));
  const double whole = simulate(programs, device).step_s;
  const Prediction outline = predict(o, stand_in(o), device);
  EXPECT_NEAR((outline.step_s - outline.spent[Part::input]) / whole, 1, 0.02);
  EXPECT_NEAR(outline.spent.total(), outline.step_s, 1e-9 * outline.step_s);
}

TEST_P(Outlines, NeedTheMemoryThatThePlanOfTheProgramsHas) {
  const EngineOptions o = options_of(GetParam());
  const auto kinds = stand_in(o);
  const std::vector<StageMemory> memory(kinds.begin(), kinds.end());
  const Schedule schedule =
      make_schedule(o.schedule, o.mesh.size(Axis::pp), o.chunks, o.microbatches);
  const auto outlined = memory_of_stages(memory, schedule, layers_of_parts(o));
  std::int64_t planned = 0;
  for (const auto& p : compile_stages(training_graphs(o), step_options(o)))
    planned = std::max(planned, p.arena_bytes());
  EXPECT_NEAR(double(most(outlined)) / double(planned), 1, 0.04);
  std::vector<int> stages(outlined.size());
  std::iota(stages.begin(), stages.end(), 0);
  EXPECT_NEAR(double(most(planned_memory(o, stages))), double(planned), 1024);  // alignment
}

// What the backward pass leaves for the gradients of weights is most of the memory of a last stage.
TEST(OutlinedMemory, OfASplitBackwardPassHoldsWhatWaitsForGradientsOfWeights) {
  EngineOptions o =
      options_of({"", 1, 4, 2, 0, true, PipelineSchedule::zero_bubble, 1, 8, Recompute::selective});
  o.batch = 16;
  o.stage_layers = {2, 6};
  const auto kinds = stand_in(o);
  const std::vector<StageMemory> memory(kinds.begin(), kinds.end());
  const auto outlined =
      memory_of_stages(memory, make_schedule(o.schedule, 2, 1, o.microbatches), o.stage_layers);
  const auto planned = planned_memory(o, std::array{0, 1});
  for (std::size_t s = 0; s < 2; ++s)
    EXPECT_NEAR(double(total(outlined[s])) / double(total(planned[s])), 1, 0.06) << s;
}

// Micro-batches that a full pipeline takes one after the other are not compiled.
TEST(PlannedMemory, OfManyMicroBatchesIsExact) {
  for (auto schedule : {k1f1b, PipelineSchedule::interleaved, PipelineSchedule::zero_bubble}) {
    const int chunks = schedule == PipelineSchedule::interleaved ? 2 : 1;
    const EngineOptions o =
        options_of({"", 1, 1, 2, 0, false, schedule, chunks, 64, Recompute::none});
    std::int64_t planned = 0;
    for (const auto& p : compile_stages(training_graphs(o), step_options(o)))
      planned = std::max(planned, p.arena_bytes());
    EXPECT_NEAR(double(most(planned_memory(o, std::array{0, 1}))), double(planned), 8192)
        << int(schedule);
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, Outlines, testing::ValuesIn(kLayouts),
                         [](const auto& test) { return std::string(test.param.name); });

// Two devices with the same figures are one, but for messages between them, which always take the
// outermost tier.
TEST(Predict, OnEqualKindsOfChipIsTheSame) {
  const EngineOptions o = options_of({"", 2, 2, 4, 1, true, k1f1b, 1, 8, Recompute::full});
  const Device one = test_device(), other = test_device();
  const auto kinds = stand_in(o);
  EXPECT_DOUBLE_EQ(predict(o, kinds, {&one, &one, &other, &other}).step_s,
                   predict(o, kinds, one).step_s);
  const EngineOptions near = options_of({"", 1, 1, 2, 0, false, k1f1b, 1, 8, Recompute::none});
  EXPECT_GT(predict(near, stand_in(near), {&one, &other}).step_s,
            predict(near, stand_in(near), one).step_s * 1.0001);
}

TEST(Predict, OfAMixedClusterCountsEveryChipsPeak) {
  EngineOptions o = options_of({"", 1, 1, 2, 0, false, k1f1b, 1, 64, Recompute::none});
  const Device slow = test_device();
  Device quick = test_device();
  for (auto& [type, peak] : quick.chip.flops_per_s) peak *= 3;
  quick.chip.bytes_per_s *= 3;
  const auto kinds = stand_in(o);
  const Prediction alone = predict(o, kinds, slow);
  o.stage_layers = {2, 6};  // as the chips are quick
  const Prediction mixed = predict(o, kinds, {&slow, &quick});
  EXPECT_LT(mixed.step_s / alone.step_s, 0.55);
  EXPECT_NEAR(mixed.mfu / (alone.mfu / 2), alone.step_s / mixed.step_s, 1e-9);
  EXPECT_NEAR(mixed.hfu / mixed.mfu, 1, 0.02);
}

TEST(Predict, NamesWhatIsMadeAgainAndWhatWaitsForSlowerStages) {
  EngineOptions o = options_of({"", 1, 1, 4, 0, false, k1f1b, 1, 8, Recompute::none});
  const Prediction even = predict(o, stand_in(o), test_device());
  EXPECT_LT(even.spent[Part::again], 0.01 * even.step_s);
  EXPECT_DOUBLE_EQ(even.spent[Part::input], 8.0 * 512 * 8 / kHostBytesPerS);
  o.recompute = Recompute::full;
  const Prediction again = predict(o, stand_in(o), test_device());
  EXPECT_NEAR(again.spent[Part::flops], even.spent[Part::flops], 0.01 * even.spent[Part::flops]);
  EXPECT_GT(again.spent[Part::again], 0.15 * again.spent[Part::flops]);
  // The first stage is done last; it waits for the third, which has most to do.
  o.stage_layers = {1, 1, 5, 1};
  const Prediction uneven = predict(o, stand_in(o), test_device());
  EXPECT_GT(uneven.spent[Part::slower], uneven.spent[Part::bubble]);
  EXPECT_NEAR(uneven.spent.total(), uneven.step_s, 1e-9 * uneven.step_s);
}

TEST(Predict, HfuCountsWhatIsMadeAgain) {
  EngineOptions o = options_of({"", 1, 1, 4, 0, false, k1f1b, 1, 8, Recompute::none});
  const Prediction once = predict(o, stand_in(o), test_device());
  EXPECT_NEAR(once.hfu / once.mfu, 1, 0.02);
  // Every layer's forward pass but its last product, which nothing needs again.
  o.recompute = Recompute::full;
  const Prediction twice = predict(o, stand_in(o), test_device());
  const auto flops = forward_flops_per_token(o.model, o.seq);
  const double layers = flops.layer * double(o.model.layers),
               once_more = layers - 2.0 * double(o.model.hidden * o.model.ffn * o.model.layers);
  EXPECT_NEAR(twice.hfu / twice.mfu, 1 + once_more / (3 * (layers + flops.head)), 0.02);
}

// Collectives over lists: a view and a copy of each rank's part of each of the seven matrices of a
// layer, gathered twice and scattered once for each of two micro-batches.
TEST(Predict, CallsForPartsTakeTheHostsTime) {
  EngineOptions o = options_of({"", 4, 1, 1, 3, false, k1f1b, 1, 2, Recompute::full});
  Device device = test_device();
  device.stack.gradients_wait = device.stack.overlap_gradients = false;
  device.stack.overlap_parameters = false;
  device.stack.host_s = 1e-3;
  const double before = predict(o, stand_in(o), device).step_s;
  device.stack.part_calls = 2;
  const double parts = predict(o, stand_in(o), device).step_s - before;
  const double of_layers = 8 * 7 * 3 * 2 * 4 * 2e-3;  // the embedding and the head come on top
  EXPECT_GE(parts, of_layers * (1 - 1e-9));
  EXPECT_LT(parts, 1.1 * of_layers);
}

// As if every node that computes had taken `factor` times what the model says.
std::vector<MeasuredBlocks> measured_as_modelled(std::span<const Program> kinds, const Device& d,
                                                 double factor) {
  std::vector<MeasuredBlocks> measured;
  for (const auto& program : kinds) {
    measured.emplace_back();
    for (const auto& block : program.blocks) {
      std::vector<double> seconds(block.graph.nodes.size(), -1);
      for (const auto& span : block_cost(block.graph, program.mesh, d).spans)
        if (!span.queue.axis) seconds[span.node] = factor * span.seconds;
      measured.back().try_emplace(block.graph.name, std::move(seconds));
    }
  }
  return measured;
}

TEST_P(Outlines, StayWhereWhatIsMeasuredIsWhatIsModelled) {
  const EngineOptions o = options_of(GetParam());
  const Device d = test_device();
  const auto kinds = stand_in(o);
  const double modelled = predict(o, kinds, d).step_s;
  EXPECT_NEAR(predict(o, kinds, d, measured_as_modelled(kinds, d, 1)).step_s / modelled, 1, 1e-9);
  EXPECT_GT(predict(o, kinds, d, measured_as_modelled(kinds, d, 2)).step_s, modelled);
}

TEST(Predict, TakesMeasuredSecondsInPlaceOfModelledOnes) {
  const Device d = test_device();
  const EngineOptions alone = options_of(kLayouts[0]);
  const auto kinds = stand_in(alone);
  const auto twice = measured_as_modelled(kinds, d, 2);
  const Prediction modelled = predict(alone, kinds, d), measured = predict(alone, kinds, d, twice);
  const double input = modelled.spent[Part::input];
  EXPECT_NEAR(measured.step_s - input, 2 * (modelled.step_s - input), 1e-9 * modelled.step_s);
  EXPECT_DOUBLE_EQ(measured.spent[Part::flops], modelled.spent[Part::flops]);
  EXPECT_NEAR(measured.mfu * measured.step_s, modelled.mfu * modelled.step_s, 1e-9);
  // A block that was not measured is modelled.
  auto layers = twice;
  std::erase_if(layers[0], [](const auto& b) { return !b.first.starts_with("layer."); });
  const double between = predict(alone, kinds, d, layers).step_s;
  EXPECT_GT(between, modelled.step_s);
  EXPECT_LT(between, measured.step_s);
}

// What passes between ranks stays simulated.
TEST(Predict, KeepsCollectivesWhereComputationTakesNoTime) {
  const EngineOptions o = options_of({"", 1, 2, 1, 0, false, k1f1b, 1, 4, Recompute::none});
  Device d = test_device();
  const auto kinds = stand_in(o);
  const auto nothing = measured_as_modelled(kinds, d, 0);
  const Prediction p = predict(o, kinds, d, nothing);
  EXPECT_NEAR(p.spent[Part::tensor] + p.spent[Part::update] + p.spent[Part::input], p.step_s, 1e-9);
  for (auto& link : d.chip.links) link.bytes_per_s /= 2, link.pair_bytes_per_s /= 2;
  EXPECT_GT(predict(o, kinds, d, nothing).step_s, 1.5 * p.step_s);
}

// Stand-ins of a model of 10^12 parameters cost as little as those of a small one.
TEST(Predict, TakesModelsOfAnySize) {
  EngineOptions o;
  o.model = preset_config("tele-flm-1t");
  o.seq = 4096;
  o.mesh = training_mesh(o.model, 64, 16, 64);
  o.microbatches = 64;
  o.sequence_parallel = true;
  o.zero_stage = 1;
  const Prediction p = predict(o, stand_in(o), test_device());
  EXPECT_GT(p.step_s, 0);
  EXPECT_GT(p.mfu, 0);
  EXPECT_LT(p.mfu, 0.8);  // what products reach
}

}  // namespace
}  // namespace autarky
