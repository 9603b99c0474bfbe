// Runs over several ranks (threads of this process): whatever the layout, the same training.
#include <thread>

#include "base/process.h"
#include "unit/train/ranks_fixture.h"

namespace autarky {
namespace {

TEST_F(Ranks, DataAndPipelineParallelRunsHaveTheBitsOfOneRank) {
  for (const std::string dtype : {"f32", "bf16"}) {
    const std::string type = " --train.dtype=" + dtype;
    train("one." + dtype, "one rank", type);
    for (const std::string layout : {"dp2", "dp4", "pp2", "pp4", "pp2 dp2"}) {
      train(layout + dtype, layout, type);
      expect_same_bits(layout + dtype, "one." + dtype);
    }
  }
}

// Stage 1 adds in the same order; 2 and 3 add over ranks first.
TEST_F(Ranks, ZeroStagesTrainAsOneRank) {
  for (const std::string dtype : {"f32", "bf16"}) {
    const std::string type = " --train.dtype=" + dtype;
    train("one." + dtype, "one rank", type);
    for (const std::string layout : {"dp2", "dp4", "pp2 dp2"}) {
      const std::string run = layout + dtype + ".zero1";
      train(run, layout, type + " --parallel.zero_stage=1");
      expect_same_bits(run, "one." + dtype);
    }
    for (const std::string layout : {"dp2", "dp4", "pp2 dp2", "dp2 tp2"})
      for (const std::string stage : {"2", "3"}) {
        const std::string run = layout + dtype + ".zero" + stage;
        train(run, layout, type + " --parallel.zero_stage=" + stage);
        expect_near(run, "one." + dtype, dtype == "f32" ? 1e-5 : 2e-2);
      }
    expect_same_bits("dp2" + dtype + ".zero2", "dp2" + dtype + ".zero3");
  }
}

TEST_F(Ranks, PipelineSchedulesAndUnevenStagesHaveTheBitsOfOneRank) {
  train("one", "one rank");
  const std::pair<std::string, std::string> pipelines[] = {
      {"pp2", "--parallel.pipeline_schedule=gpipe"},
      {"pp2", "--parallel.pipeline_schedule=zero-bubble"},
      {"pp2 dp2", "--parallel.pipeline_schedule=zero-bubble --parallel.zero_stage=1"},
      {"pp2", "--parallel.pipeline_schedule=interleaved --parallel.virtual_pipeline_size=2"},
      {"pp2", "--parallel.stage_layers=[1,3]"}};
  int number = 0;
  for (const auto& [layout, more] : pipelines) {
    const std::string run = "pipe" + std::to_string(number++);
    train(run, layout, more);
    expect_same_bits(run, "one");
  }
}

TEST_F(Ranks, TensorParallelRunsAreNearOneRank) {
  train("one", "one rank");
  for (const std::string layout : {"tp2", "dp2 tp2", "pp2 tp2"})
    for (const std::string sequence : {"false", "true"}) {
      const std::string run = layout + sequence;
      train(run, layout, " --parallel.sequence_parallel=" + sequence);
      expect_near(run, "one", 1e-5);
    }
  train("dp4tp2", "dp4 tp2");
  expect_same_bits("dp4tp2", "dp2 tp2false");  // at the same tp
}

// The first three steps on one layout, the others on another.
TEST_F(Ranks, ARunGoesOnOnAnyOtherLayout) {
  train("one", "one rank");
  const std::string layouts[] = {"one rank", "dp2", "pp4", "pp2 dp2", "tp2"};
  int pairs = 0;
  for (const auto& before : layouts)
    for (const auto& after : layouts) {
      if (before == after) continue;
      ++pairs;
      const std::string run = before + " then " + after;
      train(run, before, "--train.steps=3 --schedule.kind=constant");
      train(run, after, "--schedule.kind=constant", true);
    }
  train("constant", "one rank", "--schedule.kind=constant");
  EXPECT_GE(pairs, 12);
  for (const auto& before : layouts)
    for (const auto& after : layouts) {
      if (before == after) continue;
      const std::string run = before + " then " + after;
      if (before == "tp2" || after == "tp2") expect_near(run, "constant", 1e-5);
      else expect_same_bits(run, "constant");
    }
}

TEST_F(Ranks, TiedAndFusedWeightsAreTrainedAndSavedOnAnyLayout) {
  const std::string gpt2 = "--model.config=" + (folder_ / "gpt2.json").string();
  train("one", "one rank", gpt2);
  train("dp2", "dp2", gpt2 + " --parallel.zero_stage=1");
  expect_same_bits("dp2", "one");
  // The last stage has a copy of the table; half-way the run changes to a layout without one.
  train("pp2", "pp2", gpt2);
  expect_same_bits("pp2", "one");
  const std::string constant = gpt2 + " --schedule.kind=constant";
  train("constant", "one rank", constant);
  train("moved", "dp2", constant + " --train.steps=3");
  train("moved", "pp2 dp2", constant + " --parallel.zero_stage=1", true);
  expect_same_bits("moved", "constant");
  train("tp2", "dp2 tp2", gpt2 + " --parallel.zero_stage=3");
  expect_near("tp2", "one", 1e-5);
}

TEST_F(Ranks, ARunKeepsItsLanesOnFewerRanks) {
  train("fewer", "dp4", "--parallel.lanes=0 --train.steps=3 --schedule.kind=constant");
  train("fewer", "dp2", "--parallel.lanes=0 --schedule.kind=constant", true);
  train("constant", "dp4", "--parallel.lanes=0 --schedule.kind=constant");
  expect_same_bits("fewer", "constant");
}

TEST_F(Ranks, AFlippedBitInAReplicaIsFoundAndItsRankNamed) {
  EngineOptions o;
  const fs::path config = folder_ / "llama.json";
  o.model = parse_config(read_json(config), config.string());
  o.dtype = DType::bf16;
  o.batch = 1;
  o.seq = 16;
  for (const int ranks : {4, 2})
    for (const int zero : {0, 1}) {
      o.mesh.size(Axis::dp) = ranks;
      o.zero_stage = zero;
      const auto backend = make_cpu_backend();
      try {
        run_local_ranks(ranks, [&](Comm& comm) {
          TrainingEngine engine(o, *backend, comm);
          engine.initialize(1);
          check_replicas(engine);
          if (comm.rank() == 1) engine.parameters()[3].copy.data[5] ^= std::byte{4};
          check_replicas(engine);
        });
        FAIL() << "not found with zero_stage " << zero;
      } catch (const Error& e) {
        const std::string named =
            ranks == 4 ? "rank 1 other than the others" : "ranks 0, 1 other than each other";
        EXPECT_TRUE(contains(e.what(), named)) << e.what();
      }
    }
}

// What one rank's fault makes of the loss and the norm, all have: they skip the step together.
TEST_F(Ranks, ANumberThatIsNotFiniteOnOneRankIsABadStepOfAll) {
  EngineOptions o;
  const fs::path config = folder_ / "llama.json";
  o.model = parse_config(read_json(config), config.string());
  o.batch = 1;
  o.seq = 16;
  o.mesh.size(Axis::dp) = 2;
  const auto backend = make_cpu_backend();
  run_local_ranks(2, [&](Comm& comm) {
    TrainingEngine engine(o, *backend, comm);
    engine.initialize(1);
    std::vector<Batch> batches(1);
    TrainingSet data(std::vector<WeightedPrefix>{{folder_ / "train", {}}},
                     SampleOptions{16, o.model.vocab, 1});
    data.read(comm.rank(), 1, batches[0]);
    EXPECT_FALSE(engine.step(batches, 1e-3, 1).skipped);
    const auto before = engine.parameters()[3].master[7];
    if (comm.rank() == 1)  // NaN in bf16 and in f32
      std::fill_n(engine.parameters()[3].copy.data, 4, std::byte{0xff});
    EXPECT_TRUE(engine.step(batches, 1e-3, 2).skipped) << comm.rank();
    EXPECT_EQ(engine.parameters()[3].master[7], before);
  });
}

// A rank that does something else before it takes part.
// Well above what a step takes.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::chrono::milliseconds kDelay{60};
#else
constexpr std::chrono::milliseconds kDelay{20};
#endif

class SlowComm : public TimedComm {
 public:
  using TimedComm::TimedComm;
  std::unique_ptr<CommHandle> all_gather(std::span<const int> group, std::span<const std::byte> in,
                                         std::span<std::byte> out, const CommTag& tag) override {
    if (rank() == 1) std::this_thread::sleep_for(kDelay);
    return TimedComm::all_gather(group, in, out, tag);
  }
};

TEST_F(Ranks, ASlowRankIsNamedAndTheOthersWaitForIt) {
  const auto recipe = load_recipe(
      folder_ / "recipe.yaml",
      options("slow", "--parallel.data_parallel_size=2 --train.steps=24 --logging.log_every=1"));
  const auto backend = make_cpu_backend();
  std::vector<std::string> notes;
  run_local_ranks(2, [&](Comm& comm) {
    SlowComm slow(comm);
    TrainHooks hooks;
    if (comm.rank() == 0) hooks.note = [&](const std::string& note) { notes.push_back(note); };
    Trainer(recipe, *backend, slow).run(hooks);
  });
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_TRUE(contains(notes[0], "rank 1 on " + host_name() + " is slow")) << notes[0];
  const auto lines = read_metrics(folder_ / "slow/metrics.jsonl").training;
  ASSERT_EQ(lines.size(), 24u);
  int waits = 0;
  for (const auto& line : lines) {
    ASSERT_EQ(line.rank_own_s.size(), 2u);
    EXPECT_GT(line.rank_own_s[1], 0.02);
    waits += line.rank_waited_s[0] > 0.01;
  }
  EXPECT_GT(waits, 12);  // this machine may hold up the other rank now and then
}

TEST_F(Ranks, ARecipeForOtherRanksIsRefused) {
  const Recipe recipe =
      load_recipe(folder_ / "recipe.yaml", options("run", "--parallel.data_parallel_size=4"));
  const auto backend = make_cpu_backend();
  try {
    run_local_ranks(2, [&](Comm& comm) { Trainer(recipe, *backend, comm).run({}); });
    FAIL();
  } catch (const InputError& e) {
    EXPECT_TRUE(contains(e.what(), "2 ranks")) << e.what();
    EXPECT_TRUE(contains(e.what(), "4 (dp4)")) << e.what();
    EXPECT_TRUE(contains(e.what(), "autarky launch -n 4")) << e.what();
  }
}

TEST_F(Ranks, RanksWithOtherRecipesAreRefused) {
  const auto backend = make_cpu_backend();
  try {
    run_local_ranks(2, [&](Comm& comm) {
      const std::string seed = " --train.seed=" + std::to_string(comm.rank());
      const Recipe recipe = load_recipe(folder_ / "recipe.yaml",
                                        options("run", "--parallel.data_parallel_size=2" + seed));
      Trainer(recipe, *backend, comm).run({});
    });
    FAIL();
  } catch (const Error& e) {
    EXPECT_TRUE(contains(e.what(), "the ranks differ in their recipe")) << e.what();
    EXPECT_TRUE(contains(e.what(), "on rank 1")) << e.what();
  }
}

}  // namespace
}  // namespace autarky
