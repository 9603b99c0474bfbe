// Training over ranks that are processes: the program as `autarky launch` and mpirun start it.
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "base/rng.h"
#include "e2e/tiny_run.h"
#include "mpi/processes.h"

namespace autarky {
namespace {

std::string mark_of(const std::string& run_dir) { return "--logging.run_dir=" + run_dir; }

class OverRanks : public ::testing::Test {
 protected:
  void SetUp() override {
    make_tiny_run(folder_);
    ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // MPI keeps memory until a process ends
  }

  // Of a run: its ranks, not the launcher nor mpirun.
  std::vector<pid_t> ranks_of(const std::string& run_dir) const {
    std::vector<pid_t> ranks;
    for (const pid_t pid : processes_with(mark_of(run_dir), folder_.path())) {
      const std::string environment = content_of("/proc/" + std::to_string(pid) + "/environ");
      if (contains(environment, "OMPI_COMM_WORLD_RANK=")) ranks.push_back(pid);
    }
    return ranks;
  }

  static std::string launch(int ranks, const std::string& run_dir, const std::string& more,
                            const std::string& options = "") {
    return "launch -n " + std::to_string(ranks) + " --threads 1 " + options +
           " -- train recipe.yaml --logging.run_dir=" + run_dir + " " + kMore + more;
  }
  static std::string plain_mpirun() {
    return "env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe "
           "--bind-to none -n 2";
  }
  // What one rank makes of the run's last checkpoint: whole files, as final_bytes reads them.
  std::string state_of(const std::string& run_dir) {
    const auto more = train(folder_, run_dir, kMore + "--resume --train.steps=41");
    EXPECT_EQ(more.code, 0) << more.err;
    return final_bytes(folder_, run_dir);
  }
  void expect_as_one_rank(const std::string& run_dir) {
    const bool done = fs::exists(folder_ / "one");
    ASSERT_EQ(done ? 0 : train(folder_, "one", kMore).code, 0);
    EXPECT_EQ(timeless_metrics(folder_, run_dir), timeless_metrics(folder_, "one"));
    EXPECT_TRUE(all_gone(mark_of(run_dir), folder_.path()));
  }
  // Whose matrices ZeRO cuts, on two ranks of tp too.
  void use_wide_model() {
    folder_.write("llama.json", R"({"model_type": "llama", "hidden_size": 128,
      "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2,
      "num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 64,
      "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false})");
  }
  // 20 steps on `first` and the rest on `then` are a run on `whole`.
  void expect_resumes(int ranks, const std::string& whole, int first_ranks,
                      const std::string& first, int then_ranks, const std::string& then) {
    const std::string name = std::to_string(++runs_), one = "whole" + name, two = "halves" + name;
    ASSERT_EQ(run(folder_, launch(ranks, one, whole)).code, 0) << whole;
    const auto half = run(folder_, launch(first_ranks, two, first + "--train.steps=20"));
    ASSERT_EQ(half.code, 0) << half.err;
    const auto rest = run(folder_, launch(then_ranks, two, then + "--resume"));
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_TRUE(contains(rest.err, "resumed after step 20")) << rest.err;
    EXPECT_EQ(timeless_metrics(folder_, two), timeless_metrics(folder_, one)) << first << then;
    EXPECT_TRUE(state_of(two) == state_of(one)) << first << then;
  }
  void expect_near_one_rank(const std::string& run_dir) {
    ASSERT_EQ(train(folder_, "one", kMore).code, 0);
    const auto a = metrics_of(folder_, run_dir), b = metrics_of(folder_, "one");
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i)
      if (a[i].contains("loss")) {
        EXPECT_NEAR(double(a[i]["loss"]), double(b[i]["loss"]), 1e-3) << a[i].dump();
      }
  }

  static constexpr const char* kConstant =
      "--train.steps=40 --schedule.kind=constant --parallel.lanes=4 --train.micro_batch_size=1 "
      "--train.global_batch_size=8 --checkpoint.every=2 ";
  const static inline std::string kMore = kConstant;
  ScratchFolder folder_;
  int runs_ = 0;
};

TEST_F(OverRanks, DataPipelineAndZeroHaveTheBitsOfOneRank) {
  const std::pair<int, std::string> layouts[] = {
      {2, "--parallel.data_parallel_size=2"},
      {2,
       "--parallel.pipeline_parallel_size=2 --parallel.pipeline_schedule=zero-bubble "
       "--recompute=full --parallel.deadline=20"},
      {4, "--parallel.data_parallel_size=4 --parallel.zero_stage=1"},
      {4, "--parallel.data_parallel_size=2 --parallel.pipeline_parallel_size=2"}};
  int number = 0;
  std::vector<std::string> runs;
  for (const auto& [ranks, layout] : layouts) {
    runs.push_back("many" + std::to_string(number++));
    const auto outcome = run(folder_, launch(ranks, runs.back(), layout));
    ASSERT_EQ(outcome.code, 0) << layout << outcome.err;
    expect_as_one_rank(runs.back());
  }
  runs.push_back("plain");
  const auto plain = run(folder_,
                         "train recipe.yaml --threads 1 " + mark_of("plain") + " " + kMore +
                             "--parallel.data_parallel_size=2",
                         plain_mpirun());
  ASSERT_EQ(plain.code, 0) << plain.err;
  expect_as_one_rank("plain");
  const std::string one = state_of("one");
  for (const auto& r : runs) EXPECT_TRUE(state_of(r) == one) << r;
}

TEST_F(OverRanks, TensorParallelRanksTrainAndResumeAsOne) {
  const auto outcome =
      run(folder_, launch(2, "tp", "--parallel.tensor_parallel_size=2 --train.steps=20"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto rest = train(folder_, "tp", kMore + "--resume");
  ASSERT_EQ(rest.code, 0) << rest.err;
  expect_near_one_rank("tp");
}

// Half of the steps on one mesh and half on another: the bits of one run with the same tp.
TEST_F(OverRanks, MeshesWithTensorParallelismResumeOnEachOther) {
  use_wide_model();
  const std::string tp = "--parallel.tensor_parallel_size=2 ",
                    zero = tp + "--parallel.data_parallel_size=2 --parallel.zero_stage=",
                    pipe = tp + "--parallel.pipeline_parallel_size=2 ";
  expect_resumes(2, tp, 4, zero + "1 ", 4, pipe);
  expect_resumes(2, tp, 4, pipe, 4, zero + "1 ");
  // ZeRO 2 and 3 have sums of their own.
  expect_resumes(4, zero + "2 ", 4, zero + "3 ", 8,
                 zero + "2 --parallel.pipeline_parallel_size=2 ");
}

TEST_F(OverRanks, AWrongNumberOfRanksIsTheUsersMistake) {
  const auto outcome = run(folder_, launch(2, "wrong", "--parallel.data_parallel_size=4"));
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "found 2 ranks")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "autarky launch -n 4")) << outcome.err;
}

TEST_F(OverRanks, AskedToEndTheLauncherSavesAndLeavesNoProcess) {
  Running program(folder_, launch(2, "asked",
                                  "--parallel.data_parallel_size=2 "
                                  "--train.steps=100000 --checkpoint.every=0"));
  ASSERT_TRUE(program.wait_for_lines("asked", 5));
  program.send(SIGTERM);
  const auto outcome = program.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(folder_ / "asked/checkpoints/latest/manifest.json")) << outcome.err;
  EXPECT_TRUE(all_gone(mark_of("asked"), folder_.path()));
}

// A checkpoint of a run that goes on: asked of the launcher, of mpirun, of a single process.
TEST_F(OverRanks, AskedToSaveItSavesAndGoesOn) {
  const std::string more = " --train.steps=100000 --checkpoint.every=0";
  const std::string two = "--parallel.data_parallel_size=2" + more;
  const std::pair<std::string, std::string> cases[] = {
      {"by-launcher", launch(2, "by-launcher", two)},
      {"by-mpirun", "train recipe.yaml --threads 1 " + mark_of("by-mpirun") + " " + kMore + two},
      {"alone", train_arguments("alone", kMore + more)}};
  for (const auto& [name, arguments] : cases) {
    Running program(folder_, arguments, name == "by-mpirun" ? plain_mpirun() : "");
    ASSERT_TRUE(program.wait_for_lines(name, 5));
    const auto saved = [&] { return fs::exists(folder_ / (name + "/checkpoints/latest")); };
    const auto lines = metrics_of(folder_, name).size();
    program.send(SIGUSR1);
    for (int i = 0; i < 1000 && !saved(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(saved()) << name;
    EXPECT_TRUE(program.wait_for_lines(name, lines + 20)) << name;
    program.send(SIGTERM);
    program.wait();
    EXPECT_TRUE(all_gone(mark_of(name), folder_.path()));
  }
}

// Ranks are killed at moments that nobody chose, checkpoint writes included; the launcher starts
// the run again each time. AUTARKY_TEST_KILLS: how often, 8 if it is not there.
TEST_F(OverRanks, KilledAtRandomItIsStartedAgainAndEndsWithTheSameBits) {
  const char* given = std::getenv("AUTARKY_TEST_KILLS");
  const int kills = given ? std::atoi(given) : 8;
  const Random random{11, Purpose::test};
  Running program(folder_, launch(2, "killed", "--parallel.data_parallel_size=2",
                                  "--max-restarts " + std::to_string(kills + 1)));
  std::uint64_t next = 0;
  int killed = 0;
  for (; killed < kills; ++killed) {
    const auto lines = [&] {
      return fs::exists(folder_ / "killed/metrics.jsonl") ? metrics_of(folder_, "killed").size()
                                                          : 0;
    };
    const auto before = std::min<std::size_t>(lines(), 30);
    if (!program.wait_for_lines("killed", killed % 4 == 3 ? 0 : before)) break;
    std::this_thread::sleep_for(std::chrono::microseconds(random.bits(next++) % 60'000));
    std::vector<pid_t> ranks;
    while ((ranks = ranks_of("killed")).size() < 2 && lines() < 41)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (ranks.empty()) break;
    ::kill(ranks[random.bits(next++) % ranks.size()], SIGKILL);
  }
  const auto outcome = program.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_GE(killed, std::min(kills, 4)) << outcome.err;
  std::cout << killed << " kills" << std::endl;
  expect_as_one_rank("killed");
  EXPECT_TRUE(state_of("killed") == state_of("one"));
}

// Nothing on the disk yet when a rank is killed: the run goes on with what is kept in memory, which
// goes with the launcher.
TEST_F(OverRanks, AStateInMemoryIsGoneOnWith) {
  Running program(folder_, launch(2, "memory",
                                  "--parallel.data_parallel_size=2 --checkpoint.every=0 "
                                  "--checkpoint.memory_every=1",
                                  "--max-restarts 3"));
  for (const std::size_t lines : {10, 25}) {
    ASSERT_TRUE(program.wait_for_lines("memory", lines));
    const auto ranks = ranks_of("memory");
    ASSERT_FALSE(ranks.empty());
    ::kill(ranks.back(), SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  const auto outcome = program.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const auto at = outcome.err.rfind("resumed after step ");
  ASSERT_NE(at, std::string::npos) << outcome.err;
  EXPECT_GE(std::stoi(outcome.err.substr(at + 19)), 22) << outcome.err;
  const auto folder = outcome.err.substr(outcome.err.find("from /", at) + 5);
  EXPECT_TRUE(contains(folder, "/checkpoints/step_")) << folder;
  EXPECT_FALSE(fs::exists(folder.substr(0, folder.find("/checkpoints/"))));
  expect_as_one_rank("memory");
  EXPECT_TRUE(state_of("memory") == state_of("one"));
}

// Four ranks cannot be started a second time, as where a machine is lost: the run goes on with two
// of them, its lanes and its bits.
TEST_F(OverRanks, WithoutARankItGoesOnWithFewer) {
  const auto shim = folder_.write("mpirun", R"(#!/bin/sh
[ -e second ] && case "$*" in *" -n 4 "*) exit 3 ;; esac
touch second
PATH=${PATH#*:} exec mpirun "$@"
)");
  fs::permissions(shim, fs::perms::owner_all);
  Running program(
      folder_,
      launch(4, "fewer", "--parallel.data_parallel_size=4", "--max-restarts 5 --min-ranks 2"),
      "env PATH=" + folder_.path().string() + ":$PATH");
  ASSERT_TRUE(program.wait_for_lines("fewer", 5));
  const auto ranks = ranks_of("fewer");
  if (!ranks.empty()) ::kill(ranks.back(), SIGKILL);
  const auto outcome = program.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "code 3; starting it again on 2 ranks (2 of 5)"))
      << outcome.err;
  EXPECT_FALSE(contains(outcome.err, "lanes")) << outcome.err;
  expect_as_one_rank("fewer");
}

// A rank that stands still: the others end within the deadline, with who and what they waited for.
TEST_F(OverRanks, AStoppedRankEndsTheRunWithItsName) {
  // Measures the machine if need be: it takes longer than the deadline.
  ASSERT_EQ(train(folder_, "first", kMore + "--train.steps=1").code, 0);
  Running program(folder_, launch(2, "stopped",
                                  "--parallel.data_parallel_size=2 "
                                  "--train.steps=100000 --parallel.deadline=3"));
  ASSERT_TRUE(program.wait_for_lines("stopped", 5));
  const auto ranks = ranks_of("stopped");
  ASSERT_EQ(ranks.size(), 2u);
  const auto begin = std::chrono::steady_clock::now();
  ::kill(std::max(ranks[0], ranks[1]), SIGSTOP);
  const auto outcome = program.wait();
  const auto taken = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_LT(taken, std::chrono::seconds(30));
  EXPECT_TRUE(contains(outcome.err, "did not complete within 3000 ms")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "last finished steps: rank")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "rank 1 gave no sign for ")) << outcome.err;
  EXPECT_TRUE(all_gone(mark_of("stopped"), folder_.path()));
}

// Stopped at the moment when its share of a checkpoint is missing. Whether rank 0 waits for that
// share or for the next step is the machine's choice.
TEST_F(OverRanks, AStoppedRankEndsTheRunWhileACheckpointIsWritten) {
  ASSERT_EQ(train(folder_, "first", kMore + "--train.steps=1").code, 0);
  Running program(folder_, launch(2, "written",
                                  "--parallel.data_parallel_size=2 --checkpoint.every=1 "
                                  "--train.steps=100000 --parallel.deadline=3"));
  ASSERT_TRUE(program.wait_for_lines("written", 3));
  const auto ranks = ranks_of("written");
  ASSERT_EQ(ranks.size(), 2u);
  const auto is_writing = [&] {
    for (const auto& entry : fs::directory_iterator(folder_ / "written" / "checkpoints"))
      if (entry.path().filename().string().starts_with("."))
        return !fs::exists(entry.path() / ".part-1");
    return false;
  };
  const auto begin = std::chrono::steady_clock::now();
  while (!is_writing() && std::chrono::steady_clock::now() - begin < std::chrono::seconds(20))
    continue;
  ::kill(std::max(ranks[0], ranks[1]), SIGSTOP);
  const auto outcome = program.wait();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(50));
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_TRUE(all_gone(mark_of("written"), folder_.path()));
}

}  // namespace
}  // namespace autarky
