// Training that is killed, or asked to end, at moments that nobody chose.
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "base/rng.h"
#include "e2e/tiny_run.h"

namespace autarky {
namespace {

// Moments: AUTARKY_TEST_SEED in the environment, or the same ones every time.
std::uint64_t seed() {
  const char* given = std::getenv("AUTARKY_TEST_SEED");
  const std::uint64_t value = given ? std::strtoull(given, nullptr, 10) : 1;
  std::cout << "AUTARKY_TEST_SEED=" << value << std::endl;
  return value;
}

class Moments {
 public:
  Moments() : random_{seed(), Purpose::test} {}
  void sleep_up_to(std::chrono::microseconds most) {
    const auto pause = random_.bits(next_++) % std::uint64_t(most.count());
    std::this_thread::sleep_for(std::chrono::microseconds(pause));
  }

 private:
  Random random_;
  std::uint64_t next_ = 0;
};

class Killed : public ::testing::Test {
 protected:
  void SetUp() override {
    make_tiny_run(folder_);
    ASSERT_EQ(train(folder_, "whole", kMore).code, 0);
  }
  std::size_t lines(const std::string& run_dir) const {
    const auto path = folder_ / (run_dir + "/metrics.jsonl");
    return fs::exists(path) ? metrics_of(folder_, run_dir).size() : 0;
  }
  bool writes_a_checkpoint(const std::string& run_dir) const {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder_ / (run_dir + "/checkpoints"), none))
      if (entry.path().filename().string().starts_with(".tmp-step_")) return true;
    return false;
  }
  void expect_whole(const std::string& run_dir) {
    const auto rest = train(folder_, run_dir, kMore + "--resume");
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_FALSE(contains(rest.err, "damaged")) << rest.err;
    EXPECT_TRUE(final_bytes(folder_, run_dir) == final_bytes(folder_, "whole"));
    EXPECT_EQ(timeless_metrics(folder_, run_dir), timeless_metrics(folder_, "whole"));
    EXPECT_FALSE(writes_a_checkpoint(run_dir));
  }

  const std::string kMore =
      "--train.steps=400 --checkpoint.every=1 --train.micro_batch_size=1 "
      "--train.global_batch_size=1 --train.eval_every=50 --train.eval_samples=2 ";
  ScratchFolder folder_;
};

// One in five at any moment from the start on, the others soon after a step.
TEST_F(Killed, FiftyTimesAtRandomItEndsWithTheSameBits) {
  using std::chrono::milliseconds;
  Moments moments;
  int in_a_write = 0;
  for (int kill = 0; kill < 50; ++kill) {
    const auto before = lines("killed");
    Running program(folder_, train_arguments("killed", kMore + "--resume"));
    if (kill % 5 != 0) {
      ASSERT_TRUE(program.wait_for_lines("killed", std::min<std::size_t>(before, 380))) << kill;
      moments.sleep_up_to(milliseconds(12));
    } else {
      moments.sleep_up_to(milliseconds(250));
    }
    program.send(SIGKILL);
    ASSERT_EQ(program.wait().code, -1) << "the run ended before kill " << kill;
    in_a_write += writes_a_checkpoint("killed");
  }
  EXPECT_GE(in_a_write, 3);
  std::cout << in_a_write << " of 50 kills fell into the writing of a checkpoint" << std::endl;
  expect_whole("killed");
}

TEST_F(Killed, AskedToEndAtAnyMomentItSavesOrLeavesWhatWasThere) {
  Moments moments;
  int saved = 0;
  for (int i = 0; i < 12; ++i) {
    Running program(folder_, train_arguments("stopped", kMore + "--resume"));
    moments.sleep_up_to(std::chrono::milliseconds(i % 2 ? 400 : 1200));
    program.send(SIGTERM);
    const auto outcome = program.wait();
    // Before it has begun to listen it ends as any program does.
    EXPECT_TRUE(outcome.code == 0 || outcome.code == -1) << outcome.err;
    EXPECT_FALSE(contains(outcome.err, "error")) << outcome.err;
    if (outcome.code == 0) ++saved;
  }
  EXPECT_GE(saved, 1);
  expect_whole("stopped");
}

TEST_F(Killed, AskedTwiceItEndsAtOnce) {
  Running program(folder_, train_arguments("twice", kMore));
  ASSERT_TRUE(program.wait_for_lines("twice", 3));
  program.send(SIGTERM);
  program.send(SIGINT);
  const int code = program.wait().code;
  EXPECT_TRUE(code == 128 + SIGINT || code == 128 + SIGTERM || code == 0) << code;
  expect_whole("twice");
}

}  // namespace
}  // namespace autarky
