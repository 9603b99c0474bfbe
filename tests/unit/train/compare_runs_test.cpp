// `autarky diff` and `autarky replay`, over ranks that are threads.
#include "train/compare_runs.h"

#include <fmt/core.h>

#include <algorithm>

#include "train/plan_run.h"
#include "train/replay.h"
#include "train/watch.h"
#include "unit/train/ranks_fixture.h"

namespace autarky {
namespace {

class Compared : public Ranks {
 protected:
  using Change = std::function<void(TrainingEngine&, int rank)>;

  Recipe recipe(const std::string& run, const Mesh& mesh, const std::string& more) const {
    const auto size = [&](const char* key, Axis a) {
      return fmt::format(" --parallel.{}_parallel_size={}", key, mesh.size(a));
    };
    return load_recipe(
        folder_ / "recipe.yaml",
        options(run, "--train.global_batch_size=8 --logging.trace=true --logging.capture_step=2" +
                         size("data", Axis::dp) + size("tensor", Axis::tp) +
                         size("pipeline", Axis::pp) + " " + more));
  }

  // Two steps, as the trainer does them but for what it measures and saves. `change`: before them.
  void traced(const std::string& run, const std::string& layout, const std::string& more = "",
              const Change& change = {}) {
    const Mesh mesh = parse_mesh(layout).value();
    const Recipe r = recipe(run, mesh, more);
    const EngineOptions o = engine_options(r, model_of(r.model));
    fs::create_directories(r.logging.run_dir);
    write_file_atomic(folder_ / run / "recipe.yaml", to_yaml(r));
    const auto backend = make_cpu_backend();
    run_local_ranks(mesh.ranks(), [&](Comm& comm) {
      set_thread_count(1);
      TrainingEngine engine(o, *backend, comm);
      engine.initialize(std::uint64_t(r.train.seed));
      if (change) change(engine, comm.rank());
      StepWatch watch(r.logging, engine.session(), mesh, comm.rank(), 1);
      for (std::int64_t step = 1; step <= 2; ++step) {
        watch.before(step);
        engine.step(batches(o, engine.index(Axis::dp), step), r.optimizer.lr, step);
        watch.after(step);
      }
    });
  }

  // Those of a data-parallel rank: the step's do not depend on the layout.
  static std::vector<Batch> batches(const EngineOptions& o, int dp, std::int64_t step) {
    std::vector<Batch> all(std::size_t(o.microbatches));
    for (std::size_t m = 0; m < all.size(); ++m) {
      const Random random{std::uint64_t(step), Purpose::test,
                          std::uint32_t(dp * o.microbatches) + std::uint32_t(m)};
      for (std::int64_t i = 0; i < o.batch * o.seq; ++i) {
        all[m].tokens.push_back(std::int32_t(random.bits(std::uint64_t(i)) % 200));
        all[m].targets.push_back((all[m].tokens.back() * 3 + 1) % 256);
        all[m].positions.push_back(std::int32_t(i % o.seq));
        all[m].segments.push_back(0);
      }
    }
    return all;
  }

  RunDifference diff(const std::string& a, const std::string& b, double tolerance = 0) const {
    return compare_runs(folder_ / a, folder_ / b, tolerance);
  }
  Replay replayed(const std::string& run, const ReplayOptions& options) const {
    return replay(folder_ / run, options);
  }
  std::string refusal(const std::string& a, const std::string& b) const {
    try {
      diff(a, b);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
};

TEST_F(Compared, LayoutsThatKeepTheBitsHaveTheSameValues) {
  traced("one", "one rank");
  const std::pair<std::string, std::string> layouts[] = {
      {"dp2", ""},
      {"dp4", "--parallel.zero_stage=1"},
      {"pp2", "--parallel.pipeline_schedule=zero-bubble"},
      {"pp2 dp2", "--recompute=full"}};
  int number = 0;
  for (const auto& [layout, more] : layouts) {
    const std::string run = "run" + std::to_string(number++);
    traced(run, layout, more);
    const auto d = diff("one", run);
    EXPECT_TRUE(d.same()) << layout;
    EXPECT_EQ(d.value_steps, 2);
    EXPECT_GT(d.values, 1500) << layout;
    EXPECT_FALSE(d.recipe.empty());
  }
}

TEST_F(Compared, TensorParallelRunsPartByRoundingOnly) {
  traced("one", "one rank");
  traced("tp2", "tp2", "--parallel.sequence_parallel=true");
  traced("zero3", "dp2", "--parallel.zero_stage=3");
  const auto bits = diff("one", "tp2");
  ASSERT_FALSE(bits.same());
  EXPECT_EQ(bits.step, 1);
  // The first sum over tp: the projection of attention's heads.
  EXPECT_TRUE(contains(to_string(bits.differences[0].name), "layer 0, micro-batch 0, contract"));
  EXPECT_TRUE(contains(bits.differences[0].source, "decoder.cpp:"));
  EXPECT_LT(bits.differences[0].distance, 1e-6);
  EXPECT_TRUE(bits.contradictions_b.empty());
  for (const std::string run : {"tp2", "zero3"}) {
    const auto near = diff("one", run, 1e-3);
    EXPECT_TRUE(near.same()) << run << to_string(near.differences[0].name);
    EXPECT_GT(near.values, 1000) << run;
  }
}

TEST_F(Compared, AnotherLearningRateShowsInTheOptimizerAlone) {
  traced("one", "one rank");
  traced("faster", "dp2", "--optimizer.lr=0.02");
  const auto d = diff("one", "faster");
  ASSERT_FALSE(d.same());
  EXPECT_EQ(d.step, 1);
  EXPECT_TRUE(d.differences[0].name.block.starts_with("optimizer"))
      << to_string(d.differences[0].name);
  EXPECT_TRUE(contains(d.differences[0].name.operation, "master."));
  const auto key = KeyDifference{"optimizer.lr", "0.01", "0.02"};
  EXPECT_NE(std::find(d.recipe.begin(), d.recipe.end(), key), d.recipe.end());
}

TEST_F(Compared, AFlippedBitIsFoundInItsOperationMicroBatchAndRank) {
  traced("right", "dp2");
  traced("wrong", "dp2", "", [](TrainingEngine& engine, int rank) {
    for (const auto& p : engine.parameters())
      if (rank == 1 && p.layer == 2 && contains(p.spec->name, "up_proj"))
        p.copy.data[6] ^= std::byte{8};
  });
  const auto d = diff("right", "wrong");
  ASSERT_FALSE(d.differences.empty());
  const auto& first = d.differences[0];
  EXPECT_EQ(d.step, 1);
  EXPECT_EQ(first.name.layer, 2);
  EXPECT_EQ(first.name.microbatch, 2);  // the first that rank 1 has
  EXPECT_TRUE(first.name.operation.starts_with("contract #")) << to_string(first.name);
  EXPECT_EQ(first.ranks_a, std::vector{1});
  EXPECT_EQ(first.ranks_b, std::vector{1});
  EXPECT_TRUE(d.contradictions_a.empty());
  // After the update the two copies are no longer replicas.
  ASSERT_FALSE(d.contradictions_b.empty());
  EXPECT_TRUE(contains(d.contradictions_b[0], "rank 1 has other bits than rank 0"))
      << d.contradictions_b[0];
}

TEST_F(Compared, WithoutValuesLossesDecide) {
  const std::string few = "--train.steps=2 --train.eval_every=0";
  train("two", "dp2", few);
  train("pipeline", "pp2", few);
  train("other", "dp2", few + " --train.seed=9");
  EXPECT_TRUE(diff("two", "pipeline").same());
  const auto d = diff("two", "other");
  EXPECT_FALSE(d.traced_a);
  ASSERT_TRUE(d.first_loss.has_value());
  EXPECT_EQ(d.first_loss->step, 1);
  EXPECT_FALSE(d.same());
}

TEST_F(Compared, WhatCannotBeComparedIsRefused) {
  traced("one", "one rank");
  traced("longer", "one rank", "--train.seq_length=32");
  EXPECT_TRUE(contains(refusal("one", "nowhere"), "there is no run in this folder"));
  EXPECT_TRUE(contains(refusal("one", "longer"), "a value has other sizes"));
  const fs::path values = value_path(folder_ / "one", 1, 0);
  std::ofstream(values) << "{}\n";
  EXPECT_TRUE(contains(refusal("one", "longer"), "no values of a run"));
  std::ofstream(values) << "{\"format\":1,\"mesh\":\"dp2\",\"rank\":7,\"values\":[]}\n";
  EXPECT_TRUE(contains(refusal("one", "longer"), "wanted a rank of a mesh"));
}

TEST_F(Compared, AStepThatWasCutOffIsLeftOut) {
  traced("one", "one rank");
  traced("cut", "one rank");
  const fs::path values = value_path(folder_ / "cut", 1, 0);
  fs::resize_file(values, fs::file_size(values) - 1);
  const auto d = diff("one", "cut");
  EXPECT_TRUE(d.same());
  EXPECT_EQ(d.value_steps, 1);
}

TEST_F(Compared, AResumedRunsStepsCountFromWhereItWentOn) {
  const std::string more =
      "--train.eval_every=0 --schedule.kind=constant --logging.trace=true --train.steps=";
  train("whole", "dp4", more + "3");
  train("parts", "dp2", more + "1");
  train("parts", "pp2", more + "3", true);
  EXPECT_EQ(value_sessions(folder_ / "parts"), (std::vector<std::int64_t>{1, 2}));
  const auto d = diff("whole", "parts");
  EXPECT_TRUE(d.same());
  EXPECT_EQ(d.value_steps, 3);
}

TEST_F(Compared, RunsOfOtherLossesAreNotTheSameWhereNoValuesWereKept) {
  const std::string more = "--train.eval_every=0 --logging.trace=true --logging.trace_every=9 ";
  train("a", "dp2", more + "--schedule.kind=constant --train.steps=4");
  train("b", "dp2", more + "--schedule.kind=constant --train.steps=2");
  train("b", "dp2", more + "--schedule.kind=cosine --train.steps=4", true);
  const auto d = diff("a", "b");
  EXPECT_EQ(d.value_steps, 1);
  ASSERT_TRUE(d.first_loss);
  EXPECT_FALSE(d.same());
}

TEST_F(Compared, AnUntracedSessionLeavesNoValuesOfTheStepsThatItDoesAgain) {
  const std::string more = "--train.eval_every=0 --schedule.kind=constant --checkpoint.every=2 ";
  train("run", "dp2", more + "--train.steps=2 --logging.trace=true --logging.capture_step=2");
  EXPECT_EQ(tapes(folder_ / "run").size(), 2u);
  forget_values_from(folder_ / "run", 2);
  EXPECT_EQ(RunValues(folder_ / "run").steps(), (std::vector<std::int64_t>{1}));
  EXPECT_TRUE(tapes(folder_ / "run").empty());
  forget_values_from(folder_ / "run", 1);
  EXPECT_TRUE(value_sessions(folder_ / "run").empty());
}

TEST_F(Compared, ASessionThatWasKilledAsItBeganIsPassedOver) {
  const std::string more = "--train.eval_every=0 --logging.trace=true --train.steps=2";
  train("run", "dp2", more);
  fs::create_directories(value_path(folder_ / "run", 3, 0).parent_path());
  std::ofstream(value_path(folder_ / "run", 3, 0)) << R"({"format": 1)";
  EXPECT_EQ(RunValues(folder_ / "run").steps(), (std::vector<std::int64_t>{1, 2}));
}

TEST_F(Compared, AnyRanksStepReplaysAndAgreesWithTheDefinitions) {
  for (const std::string dtype : {"f32", "bf16"}) {
    const std::string run = "run." + dtype;
    traced(run, "pp2 tp2", "--train.dtype=" + dtype);
    for (int rank = 0; rank < 4; ++rank)
      for (const bool reference : {false, true}) {
        if (reference && rank != 3) continue;
        const Replay r = replayed(run, {.rank = rank, .reference = reference});
        EXPECT_EQ(r.step, 2);
        EXPECT_GT(r.operations, 100);
        EXPECT_TRUE(r.good()) << dtype << " rank " << rank << ": "
                              << (r.first_beyond ? r.first_beyond->name : "other bits");
        EXPECT_TRUE(reference || r.other_bits == 0);
        EXPECT_GT(r.values, 100);
      }
  }
}

TEST_F(Compared, AWrongValueIsFoundByReplay) {
  traced("run", "dp2");
  // A bit of one value's hash: what a kernel that was wrong at that time leaves behind.
  const fs::path values = value_path(folder_ / "run", 1, 1);
  const ValueReader reader(values);
  std::string bytes = read_file(values);
  const std::size_t at = reader.steps().at(2) + 500 * sizeof(ValueSummary);
  bytes[at] = char(bytes[at] ^ 1);
  std::ofstream(values, std::ios::binary) << bytes;
  const Replay r = replayed("run", {.step = 2, .rank = 1});
  EXPECT_FALSE(r.good());
  EXPECT_EQ(r.other_bits, 1);
  EXPECT_EQ(r.first_other_bits->name, to_string(reader.values()[500].name));
  // A bound that no rounding keeps: every kernel that is not its definition bit for bit is shown.
  const Replay tight = replayed("run", {.step = 2, .rank = 0, .bound = 1e-12});
  EXPECT_GT(tight.beyond, 10);
  EXPECT_TRUE(tight.first_beyond->beyond);
  EXPECT_THROW(replayed("run", {.rank = 2}), InputError);
  EXPECT_THROW(replayed("run", {.step = 1}), InputError);
}

}  // namespace
}  // namespace autarky
