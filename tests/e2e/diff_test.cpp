// The verbs diff and replay, on runs of one process and of several.
#include "e2e/tiny_run.h"

namespace autarky {
namespace {

class Diff : public ::testing::Test {
 protected:
  void SetUp() override {
    make_tiny_run(folder_);
    ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // MPI keeps memory until a process ends
  }

  // Two steps on two ranks.
  void launched(const std::string& run_dir, const std::string& more) {
    const auto outcome = run(folder_, "launch -n 2 -- " + train_arguments(run_dir,
                                                                          "--train.steps=2 "
                                                                          "--train.eval_every=0 " +
                                                                              more));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  // With all values, and the second step kept.
  void traced(const std::string& run_dir, const std::string& more) {
    launched(run_dir, "--logging.trace=true --logging.capture_step=2 --parallel.lanes=2 " + more);
  }

  ScratchFolder folder_;
};

TEST_F(Diff, SaysWhereTwoRunsPartAndReplaysARank) {
  traced("pp2", "--parallel.pipeline_parallel_size=2");
  traced("dp2", "--parallel.data_parallel_size=2");
  traced("seed", "--parallel.data_parallel_size=2 --train.seed=7");

  const auto same = run(folder_, "diff pp2 dp2");
  EXPECT_EQ(same.code, 0) << same.out << same.err;
  EXPECT_TRUE(contains(same.out, "parallel.data_parallel_size is 1 in A, 2 in B")) << same.out;
  EXPECT_TRUE(contains(same.out, "of 2 steps compared")) << same.out;
  EXPECT_TRUE(contains(same.out, "The runs are the same")) << same.out;

  const auto other = run(folder_, "diff pp2 seed");
  EXPECT_EQ(other.code, 1) << other.err;
  EXPECT_TRUE(contains(other.out, "train.seed is")) << other.out;
  EXPECT_TRUE(contains(other.out, "embedding #0 (decoder.cpp:")) << other.out;
  const auto json = last_json(run(folder_, "diff pp2 seed --json"));
  EXPECT_EQ(json["same"], false);
  EXPECT_EQ(json["step"], 1);
  EXPECT_EQ(json["first"][0]["block"], "embed");
  EXPECT_GT(json["first"][0]["relative_difference"], 0.1);

  const auto replayed = last_json(run(folder_, "replay dp2 --rank 1 --json"));
  EXPECT_EQ(replayed["good"], true) << replayed;
  EXPECT_EQ(replayed["step"], 2);
  EXPECT_EQ(replayed["other_bits"], 0);
  EXPECT_EQ(run(folder_, "replay dp2 --rank 1 --bound 1e-12").code, 1);
  EXPECT_EQ(run(folder_, "replay dp2 --rank 1 --on reference").code, 0);
}

TEST_F(Diff, WrongInputIsTheUsersMistake) {
  const auto nowhere = run(folder_, "diff one two");
  EXPECT_EQ(nowhere.code, 2);
  EXPECT_TRUE(contains(nowhere.err, "there is no run in this folder")) << nowhere.err;
  launched("plain", "--parallel.data_parallel_size=2");
  const auto uncaptured = run(folder_, "replay plain");
  EXPECT_EQ(uncaptured.code, 2);
  EXPECT_TRUE(contains(uncaptured.err, "--logging.capture_step=N")) << uncaptured.err;
  EXPECT_EQ(run(folder_, "replay plain --on gpu").code, 2);
  const auto untraced = run(folder_, "diff plain plain");
  EXPECT_EQ(untraced.code, 0);
  EXPECT_TRUE(contains(untraced.out, "--logging.trace=true")) << untraced.out;
}

}  // namespace
}  // namespace autarky
