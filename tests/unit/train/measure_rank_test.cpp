// A rank of each kind of a small model's layout over twelve ranks, run without the other eleven.
#include "train/measure_rank.h"

#include <gtest/gtest.h>

#include <cmath>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "models/engine_options.h"
#include "models/presets.h"
#include "train/lone_program.h"

namespace autarky {
namespace {

EngineOptions options(int zero) {
  EngineOptions o;
  o.model = preset_config("quickstart");
  o.model.layers = 3;
  o.model.hidden = 64;
  o.model.heads = o.model.kv_heads = 4;
  o.model.head_dim = 16;
  o.model.ffn = 96;
  o.model.vocab = 128;
  o.batch = 2;
  o.seq = 32;
  o.microbatches = 2;
  o.mesh = training_mesh(o.model, 2, 2, 3);
  o.sequence_parallel = true;
  o.zero_stage = zero;
  return o;
}

MeasureRequest request(const EngineOptions& o) {
  MeasureRequest r;
  StepOptions step = step_options(o);
  step.last_pass = Pass::bucket;
  r.kinds = compile_stages(training_graphs(o), step);
  r.vocab = o.model.vocab;
  r.seq = o.seq;
  r.memory_bytes = std::int64_t(1) << 30;
  r.least_s = 0;
  r.least_runs = 1;
  return r;
}

// Counts results that are no numbers.
class NumberWatch : public Observer {
 public:
  void made(std::size_t, std::size_t, std::span<const Tensor> out) override {
    for (const Tensor& t : out) {
      if (!is_floating(t.dtype())) continue;
      ++tensors;
      for (std::int64_t i = 0; i < t.elements(); ++i)
        if (!std::isfinite(t.dtype() == DType::bf16 ? float(t.as<bf16>()[i]) : t.as<float>()[i]))
          return void(++broken);
    }
  }
  int tensors = 0, broken = 0;
};

class LoneRanks : public testing::TestWithParam<int> {};

TEST_P(LoneRanks, RunWithoutTheOthersAndStayFinite) {
  MeasureRequest r = request(options(GetParam()));
  NumberWatch watch;
  r.watch = &watch;
  double done = 0, all = 0;
  r.work_s = [](const Cost& cost) { return cost.flops + cost.bytes; };
  r.progress = [&](double d, double a) {
    EXPECT_GE(d, done);
    done = d, all = a;
  };
  const MeasuredRanks ranks = measure_ranks(r, *make_cpu_backend());
  EXPECT_GT(watch.tensors, 100);
  EXPECT_EQ(watch.broken, 0);
  EXPECT_TRUE(ranks.update);
  EXPECT_LE(done, all * (1 + 1e-9));
  ASSERT_EQ(ranks.kinds.size(), 3u);
  for (std::size_t k = 0; k < 3; ++k) {
    const Program& p = r.kinds[k];
    EXPECT_TRUE(ranks.kinds[k].contains("layer.B.first"));
    for (const auto& name : computing_blocks(p)) {
      const auto& nodes = p.blocks[std::size_t(p.find_block(name))].graph.nodes;
      const auto& seconds = ranks.kinds[k].at(name);
      ASSERT_EQ(seconds.size(), nodes.size()) << name;
      for (std::size_t n = 0; n < nodes.size(); ++n)
        EXPECT_TRUE(nodes[n].op->movement != Movement::none || seconds[n] > 0) << name << " " << n;
    }
  }
  EXPECT_EQ(ranks.kinds[0].at("layer.F"), ranks.kinds[1].at("layer.F"));  // measured once
  EXPECT_FALSE(ranks.kinds[1].contains("head.FB"));
}

INSTANTIATE_TEST_SUITE_P(Zero, LoneRanks, testing::Values(0, 1, 3));

TEST(Measurement, LeaveTheOptimizerOutWhereItDoesNotFit) {
  MeasureRequest r = request(options(0));
  const auto backend = make_cpu_backend();
  r.memory_bytes = measure_ranks(r, *backend).memory_bytes - 1;
  const MeasuredRanks without = measure_ranks(r, *backend);
  EXPECT_FALSE(without.update);
  EXPECT_LE(without.memory_bytes, r.memory_bytes);
  EXPECT_TRUE(without.kinds[0].contains("layer.B"));
  EXPECT_FALSE(without.kinds[0].contains("optimizer.layer"));
  r.memory_bytes = 1000;
  EXPECT_THROW(measure_ranks(r, *backend), InputError);
}

// Medians want several runs of all that is short.
TEST(Measurement, RunsAsOftenAsIsAsked) {
  const auto tensors = [](int runs) {
    MeasureRequest r = request(options(0));
    NumberWatch watch;
    r.watch = &watch;
    r.least_runs = runs;
    measure_ranks(r, *make_cpu_backend());
    return watch.tensors;
  };
  EXPECT_EQ(tensors(5), 3 * tensors(1));  // the first warms up: 6 runs, and 2
}

TEST(OneCallOfEach, TakesMemoryForWhatItRunsAlone) {
  const Program whole = request(options(0)).kinds[1];
  const auto scratch = [](const Node&, Types, Types) { return std::int64_t(0); };
  const Program part = one_call_of_each(whole, {"layer.F"}, scratch);
  ASSERT_EQ(part.calls.size(), 1u);
  ASSERT_EQ(part.blocks.size(), 1u);
  for (const Buffer& b : part.buffers) {
    EXPECT_FALSE(b.name.starts_with("m.layer") && b.offset >= 0) << b.name;
    EXPECT_FALSE(b.name.starts_with("grad.layer") && b.offset >= 0) << b.name;
  }
  const Call& call = part.calls[0];
  for (int b : call.inputs) EXPECT_GE(part.buffers[std::size_t(b)].offset, 0);
  for (int b : call.outputs) EXPECT_GE(part.buffers[std::size_t(b)].offset, 0);
}

}  // namespace
}  // namespace autarky
