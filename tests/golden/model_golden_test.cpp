// Tiny models against Hugging Face transformers (make_model_golden.py): losses, every gradient, ten
// steps of AdamW.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference.h"
#include "comm/local/local_comm.h"
#include "golden/golden.h"
#include "models/decoder.h"
#include "train/engine.h"

namespace autarky {
namespace {

// How far from torch, as a part of the greatest value of each tensor.
struct Bounds {
  double loss, gradient, later_loss, final;
};

class Trained {
 public:
  Trained(const Golden& golden, const Backend& backend, DType dtype, int microbatches)
      : golden_(golden), comm_(single_rank()) {
    EngineOptions o;
    o.model = golden.config;
    o.dtype = dtype;
    o.batch = kRows / microbatches;
    o.seq = kSeq;
    o.microbatches = microbatches;
    o.optimizer = {0.9, 0.95, 1e-4, 0.1, 1.0};
    engine_ = std::make_unique<TrainingEngine>(o, backend, *comm_);
    for (const auto& p : engine_->parameters())
      engine_->put(StatePart::weight, *p.spec, p.layer,
                   golden.initial.at(buffer_name(*p.spec, p.layer)));
    for (int m = 0; m < microbatches; ++m) batches_.push_back(batch(m * o.batch, o.batch));
  }

  StepResult step() { return engine_->step(batches_, golden_.run.at("lr"), ++steps_); }
  const std::vector<Batch>& batches() const { return batches_; }
  TrainingEngine& engine() { return *engine_; }

  // The greatest distance of a parameter's gradient, or weight, from torch's.
  double gradient_error() {
    return worst(golden_.gradients, [&](const std::string& name, const auto&) {
      return to_doubles(engine_->session().buffer("grad." + name));
    });
  }
  // AdamW goes a whole step however small a gradient is. Where torch's is not above `undecided` of
  // its tensor's greatest, rounding decides the way, and only the way's length is checked: such an
  // element counts as torch's unless it is further away than two walks in opposite directions.
  double weight_error(double undecided) {
    const double furthest = 2.2 * golden_.run.at("lr").get<double>() * double(steps_);
    return worst(golden_.final, [&](const std::string& name, const TrainingEngine::Parameter& p) {
      std::vector<double> values(p.master.begin(), p.master.end());
      const auto& gradient = golden_.gradients.at(name);
      const auto& wanted = golden_.final.at(name);
      double greatest = 0;
      for (float g : gradient) greatest = std::max(greatest, std::abs(double(g)));
      for (std::size_t i = 0; i < values.size(); ++i)
        if (std::abs(gradient[i]) <= undecided * greatest &&
            std::abs(values[i] - double(wanted[i])) <= furthest)
          values[i] = wanted[i];
      return values;
    });
  }

 private:
  Batch batch(std::int64_t row, std::int64_t rows) const {
    const auto slice = [&](const char* name) {
      const auto all = golden_.run.at(name).get<std::vector<std::int32_t>>();
      return std::vector<std::int32_t>(all.begin() + row * kSeq, all.begin() + (row + rows) * kSeq);
    };
    Batch b;
    b.tokens = slice("tokens");
    b.targets = slice("targets");
    b.positions = slice("positions");
    b.segments = slice("segments");
    return b;
  }
  static double greatest_of(const Weights& weights) {
    double greatest = 0;
    for (const auto& [name, values] : weights)
      for (float v : values) greatest = std::max(greatest, std::abs(double(v)));
    return greatest;
  }
  template <class Found>
  double worst(const Weights& wanted, Found&& found) {
    double worst_part = 0;
    const double least = 1e-2 * greatest_of(wanted);  // keys' biases have no gradient but rounding
    for (const auto& p : engine_->parameters()) {
      const std::string name = buffer_name(*p.spec, p.layer);
      const auto values = found(name, p);
      const auto& expected = wanted.at(name);
      double error = 0, greatest = least;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        error = std::max(error, std::abs(values[i] - double(expected[i])));
        greatest = std::max(greatest, std::abs(double(expected[i])));
      }
      worst_part = std::max(worst_part, error / greatest);
    }
    return worst_part;
  }

  const Golden& golden_;
  std::unique_ptr<Comm> comm_;
  std::unique_ptr<TrainingEngine> engine_;
  std::vector<Batch> batches_;
  std::int64_t steps_ = 0;
};

void expect_like_torch(const std::string& family, const Backend& backend, DType dtype,
                       int microbatches, const Bounds& bounds) {
  const Golden golden = read_golden(family);
  Trained trained(golden, backend, dtype, microbatches);
  const auto losses = golden.run.at("losses").get<std::vector<double>>();
  const auto norms = golden.run.at("norms").get<std::vector<double>>();
  double later_loss = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const StepResult result = trained.step();
    const double error = std::abs(result.loss - losses[i]) / losses[i];
    later_loss = std::max(later_loss, error);
    if (i > 0) continue;
    const double gradient = trained.gradient_error();
    EXPECT_LE(error, bounds.loss) << family;
    EXPECT_LE(gradient, bounds.gradient) << family;
    EXPECT_NEAR(result.grad_norm, norms[0], bounds.gradient * norms[0]) << family;
    testing::Test::RecordProperty(family + "_gradient", fmt::format("{:.2e}", gradient));
    fmt::print("{} {} {}: loss {:.1e}, gradients {:.1e}", family, backend.name(), dtype_name(dtype),
               error, gradient);
  }
  const double weights = trained.weight_error(dtype == DType::bf16 ? bounds.gradient : 0);
  EXPECT_LE(later_loss, bounds.later_loss) << family;
  EXPECT_LE(weights, bounds.final) << family;
  fmt::print(", ten losses {:.1e}, weights {:.1e}\n", later_loss, weights);
}

constexpr Bounds kF32 = {1e-5, 1e-5, 1e-5, 1e-5}, kBf16 = {1e-3, 6e-2, 2e-3, 2e-2};

class ModelGolden : public testing::TestWithParam<const char*> {};

TEST_P(ModelGolden, ReferenceInF32IsLikeTorch) {
  expect_like_torch(GetParam(), *make_reference_backend(), DType::f32, 2, kF32);
}
TEST_P(ModelGolden, CpuInF32IsLikeTorch) {
  expect_like_torch(GetParam(), *make_cpu_backend(), DType::f32, 2, kF32);
  expect_like_torch(GetParam(), *make_cpu_backend(), DType::f32, 1, kF32);
}
TEST_P(ModelGolden, CpuInBf16IsNearTorch) {
  expect_like_torch(GetParam(), *make_reference_backend(), DType::bf16, 2, kBf16);
  expect_like_torch(GetParam(), *make_cpu_backend(), DType::bf16, 2, kBf16);
}

TEST_P(ModelGolden, LossesPerTokenAreLikeTorch) {
  const Golden golden = read_golden(GetParam());
  const auto wanted = golden.run.at("token_losses").get<std::vector<double>>();
  const auto backend = make_cpu_backend();
  Trained trained(golden, *backend, DType::f32, 1);
  StepOptions options;
  options.borrow = true;
  options.scratch = scratch_of(*backend);
  Program program =
      compile_forward(build_decoder(golden.config, {DType::f32, kRows, kSeq}), options, 0);
  auto memory = backend->allocate(program.arena_bytes());
  const auto comm = single_rank();
  Session session(std::move(program), *backend, std::move(memory), *comm,
                  &trained.engine().session());
  const Batch& b = trained.batches()[0];
  for (const auto& [name, values] : {std::pair("tokens.0", &b.tokens),
                                     {"targets.0", &b.targets},
                                     {"positions.0", &b.positions},
                                     {"segments.0", &b.segments}})
    std::copy(values->begin(), values->end(), session.buffer(name).as<std::int32_t>());
  session.run();
  const auto found = to_doubles(session.buffer("loss.0"));
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 2e-5) << i;
}

INSTANTIATE_TEST_SUITE_P(Families, ModelGolden, testing::ValuesIn(kGoldenModels),
                         [](const auto& family) { return std::string(family.param); });

}  // namespace
}  // namespace autarky
