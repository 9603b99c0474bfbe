#include "train/bad_steps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "base/rng.h"
#include "comm/local/local_comm.h"
#include "train/engine.h"
#include "train/recipe.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

EngineOptions tiny(DType dtype) {
  EngineOptions o;
  o.model.family = Family::llama;
  o.model.layers = 2;
  o.model.hidden = 16;
  o.model.heads = o.model.kv_heads = 2;
  o.model.head_dim = 8;
  o.model.ffn = 24;
  o.model.vocab = 32;
  o.model.max_positions = 8;
  o.dtype = dtype;
  o.batch = 2;
  o.seq = 8;
  return o;
}

std::vector<Batch> batch(const EngineOptions& o, std::uint32_t number) {
  std::vector<Batch> batches(1);
  Batch& b = batches[0];
  b.resize(o.batch, o.seq);
  const Random random{1, Purpose::test, number};
  for (std::size_t i = 0; i < b.tokens.size(); ++i) {
    b.tokens[i] = std::int32_t(random.bits(i) % 32);
    b.targets[i] = std::int32_t(random.bits(i + 1) % 32);
    b.positions[i] = std::int32_t(std::int64_t(i) % o.seq);
    b.segments[i] = 0;
  }
  return batches;
}

// An engine after two good steps.
class Trained {
 public:
  explicit Trained(DType dtype) : options_(tiny(dtype)), engine_(options_, *backend_, *comm_) {
    engine_.initialize(3);
    for (int i = 1; i <= 2; ++i) EXPECT_FALSE(step(std::uint32_t(i)).skipped);
  }
  // A step that is the engine's update number `updates + 1`.
  StepResult step(std::uint32_t number, StepLimits limits = {}) {
    const auto result = engine_.step(batch(options_, number), 0.01, updates_ + 1, limits);
    updates_ += !result.skipped;
    return result;
  }
  std::string bits() const {
    std::string all;
    const auto add = [&](const void* data, std::size_t n) {
      all.append(static_cast<const char*>(data), n);
    };
    for (const auto& p : engine_.parameters()) {
      for (const auto part : {p.master, p.m, p.v}) add(part.data(), part.size_bytes());
      add(p.copy.data, std::size_t(p.copy.type->bytes()));
    }
    return all;
  }
  TrainingEngine& engine() { return engine_; }

 private:
  EngineOptions options_;
  std::unique_ptr<Backend> backend_ = make_cpu_backend();
  std::unique_ptr<Comm> comm_ = single_rank();
  TrainingEngine engine_;
  std::int64_t updates_ = 0;
};

class BadStep : public testing::TestWithParam<DType> {};

TEST_P(BadStep, AGradientAboveTheLimitChangesNotABitAndTheNextStepIsAsIfItHadNotBeen) {
  Trained disturbed(GetParam()), undisturbed(GetParam());
  const std::string before = disturbed.bits();
  const StepResult free = Trained(GetParam()).step(7);
  const StepResult bad = disturbed.step(7, {.norm = free.grad_norm * 0.999});
  EXPECT_TRUE(bad.skipped);
  EXPECT_EQ(bad.loss, free.loss);
  EXPECT_EQ(bad.grad_norm, free.grad_norm);
  EXPECT_TRUE(disturbed.bits() == before);
  EXPECT_TRUE(disturbed.step(7, {.loss = free.loss * 0.999}).skipped);
  EXPECT_TRUE(disturbed.step(8, {.norm = 1e-30}).skipped);
  EXPECT_TRUE(disturbed.bits() == before);
  const StepResult next = disturbed.step(9, {1e9, 1e9}), same = undisturbed.step(9);
  EXPECT_FALSE(next.skipped);
  EXPECT_EQ(next.loss, same.loss);
  EXPECT_FALSE(disturbed.bits() == before);
  EXPECT_TRUE(disturbed.bits() == undisturbed.bits());
}

TEST_P(BadStep, ALossThatIsNotFiniteChangesNotABit) {
  for (const float poison :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Trained trained(GetParam());
    EXPECT_TRUE(trained.engine().finite());
    const auto& last = trained.engine().parameters().back();
    std::vector<float> values(last.master.begin(), last.master.end());
    values.back() = poison;
    trained.engine().put(StatePart::weight, *last.spec, last.layer, values);
    EXPECT_FALSE(trained.engine().finite());
    const std::string before = trained.bits();
    const StepResult bad = trained.step(7);
    EXPECT_TRUE(bad.skipped);
    EXPECT_FALSE(std::isfinite(bad.loss) && std::isfinite(bad.grad_norm));
    EXPECT_TRUE(trained.bits() == before);
  }
}

TEST_P(BadStep, APoisonedMomentIsNotFinite) {
  Trained trained(GetParam());
  trained.engine().parameters().front().v.front() = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(trained.engine().finite());
}

INSTANTIATE_TEST_SUITE_P(Of, BadStep, testing::Values(DType::f32, DType::bf16),
                         [](const auto& p) { return std::string(dtype_name(p.param)); });

StepResult result(double loss, double norm, bool skipped) {
  StepResult r;
  r.loss = loss;
  r.grad_norm = norm;
  r.skipped = skipped;
  return r;
}

TEST(StepHistory, TheLimitsAreAMultipleOfTheMediansOfTheLastGoodSteps) {
  TrainSection section;
  section.spike_factor = 4;
  section.spike_window = 3;
  StepHistory history;
  const auto expect_limits = [&](double norm, double loss) {
    EXPECT_EQ(step_limits(history, section).norm, norm);
    EXPECT_EQ(step_limits(history, section).loss, loss);
  };
  for (const double norm : {1.0, 2.0}) {
    add_step(history, section, result(3, norm, false));
    expect_limits(0, 0);  // before the window is full
  }
  add_step(history, section, result(5, 9, false));
  expect_limits(8, 12);
  add_step(history, section, result(100, 100, true));
  expect_limits(8, 12);  // a bad step does not count
  EXPECT_EQ(history.bad, 1);
  for (int i = 0; i < 2; ++i) add_step(history, section, result(0.5, 9, false));
  expect_limits(36, 4);
  EXPECT_EQ(history.norms, (std::vector<double>{9, 9, 9}));
  EXPECT_EQ(history.losses, (std::vector<double>{5, 0.5, 0.5}));
  EXPECT_EQ(history.bad, 0);
  EXPECT_EQ(history.skipped, 1);
  EXPECT_EQ(history.updates, 5);
  section.spike_factor = 0;
  expect_limits(0, 0);
}

TEST(StepHistory, ABadStepIsDescribedWithItsNumbers) {
  TrainSection section;
  section.spike_factor = 4;
  section.spike_window = 3;
  const StepLimits limits{8, 12};
  EXPECT_EQ(describe_bad_step(result(3.25, 97, true), limits, section),
            "loss 3.25, gradient norm 97 (the norm is above 8, 4 times the median of the last 3 "
            "good steps)");
  EXPECT_EQ(describe_bad_step(result(13, 7, true), limits, section),
            "loss 13, gradient norm 7 (the loss is above 12, 4 times the median of the last 3 good "
            "steps)");
  EXPECT_EQ(describe_bad_step(result(kNan, kNan, true), limits, section),
            "loss nan, gradient norm nan (not finite)");
}

TEST(StepHistory, ARunGoesBackOnlyToWeightsThatAGoodStepWasComputedFrom) {
  StepHistory history;
  EXPECT_TRUE(may_return_to(history, 12, 10));   // step 11 was good
  EXPECT_FALSE(may_return_to(history, 11, 10));  // no step was good with the weights of step 10
  EXPECT_FALSE(may_return_to(history, 5, 10));
  history.returned_at = 10;
  EXPECT_FALSE(may_return_to(history, 30, 10));
  EXPECT_TRUE(may_return_to(history, 30, 15));
}

TEST(StepHistory, ComesBackFromJsonAndWhatIsNoneIsNamed) {
  const StepHistory history{{0.1, double(1.7f), 1e-300}, {3, 2, 1}, 12, 2, 5, 7};
  const Json json = parse_json(to_json(history).dump(), "x");
  EXPECT_EQ(step_history(json, "x"), history);
  for (const char* key : {"norms", "losses", "updates", "bad", "skipped", "returned_at"}) {
    for (const char* wrong : {"null", "-1", "\"a\"", "[\"a\"]", "[null]", "1e30"}) {
      Json changed = json;
      changed[key] = parse_json(wrong, "x");
      const auto error = input_error_of([&] { step_history(changed, "state.json"); });
      EXPECT_TRUE(contains(error, "state.json") && contains(error, key)) << key << wrong << error;
    }
    Json without = json;
    without.erase(key);
    EXPECT_TRUE(contains(input_error_of([&] { step_history(without, "x"); }), key));
  }
  EXPECT_NE(input_error_of([&] { step_history(Json::array(), "x"); }), "");
}

}  // namespace
}  // namespace autarky
