// Steps that explode, from outside: they are skipped and said, the run goes back when they follow
// each other, and nothing of that depends on whether it was interrupted.
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/hash.h"
#include "e2e/tiny_run.h"

namespace autarky {
namespace {

constexpr int kWindow = 5;

// Batches of one short row have gradients of very different lengths, so that a low factor calls
// many of them bad.
const std::string kSpiky =
    "--train.micro_batch_size=1 --train.global_batch_size=1 --train.seq_length=16 "
    "--train.spike_window=5 --schedule.kind=constant --optimizer.lr=0.001 ";

class BadSteps : public ::testing::Test {
 protected:
  void SetUp() override { make_tiny_run(folder_); }

  std::vector<nlohmann::json> training_lines(const std::string& run_dir) const {
    std::vector<nlohmann::json> lines;
    for (auto& line : metrics_of(folder_, run_dir))
      if (line.contains("loss")) lines.push_back(line);
    return lines;
  }
  nlohmann::json history_of(const std::string& run_dir, const std::string& checkpoint = "latest") {
    return nlohmann::json::parse(content_of(
        folder_ / (run_dir + "/checkpoints/" + checkpoint + "/train_state.json")))["history"];
  }
  // Trains in pieces: stopped by a signal, or killed, after at least so many lines of metrics.
  void train_in_pieces(const std::string& run_dir, const std::string& more, int signal,
                       const std::vector<std::size_t>& lines) {
    for (const std::size_t n : lines) {
      Running program(folder_, train_arguments(run_dir, more + "--resume"));
      if (!program.wait_for_lines(run_dir, n)) break;
      program.send(signal);
      program.wait();
    }
    const auto rest = train(folder_, run_dir, more + "--resume");
    EXPECT_EQ(rest.code, 0) << rest.err;
  }

  ScratchFolder folder_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The rule, by the lines' own norms.
void expect_rule(const std::vector<nlohmann::json>& lines, double factor, int& skipped) {
  std::vector<double> norms;
  for (const auto& line : lines) {
    const double norm = line["grad_norm"];
    const bool full = norms.size() >= kWindow;
    const bool bad = full && norm > factor * median({norms.end() - kWindow, norms.end()});
    EXPECT_EQ(line.contains("skipped"), bad) << line;
    if (!bad) {
      norms.push_back(norm);
      continue;
    }
    EXPECT_EQ(line["skipped"], ++skipped) << line;
  }
}

TEST_F(BadSteps, AreSkippedByTheRuleAndARunInPiecesIsTheSameBitForBit) {
  const std::string more = kSpiky +
                           "--train.steps=40 --train.spike_factor=1.2 --train.max_bad_steps=1000 "
                           "--checkpoint.every=1 ";
  const auto outcome = train(folder_, "whole", more);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto lines = training_lines("whole");
  ASSERT_EQ(lines.size(), 40u);
  int skipped = 0;
  expect_rule(lines, 1.2, skipped);
  EXPECT_GE(skipped, 3);
  EXPECT_EQ(history_of("whole")["skipped"], skipped);
  EXPECT_EQ(history_of("whole")["updates"], 40 - skipped);
  for (const auto& line : lines) {
    if (!line.contains("skipped")) continue;
    EXPECT_TRUE(contains(outcome.err, "step " + line["step"].dump() + " skipped: loss "))
        << outcome.err;
  }
  EXPECT_TRUE(contains(outcome.err, ", 1.2 times the median of the last 5 good steps)"))
      << outcome.err;
  EXPECT_TRUE(contains(content_of(folder_ / "whole/report.html"), "Steps skipped"));
  for (const int signal : {SIGTERM, SIGKILL}) {
    const auto name = "pieces" + std::to_string(signal);
    train_in_pieces(name, more, signal, {8, 14, 20, 26});
    EXPECT_TRUE(final_bytes(folder_, name) == final_bytes(folder_, "whole")) << signal;
    EXPECT_EQ(timeless_metrics(folder_, name), timeless_metrics(folder_, "whole"));
    EXPECT_EQ(history_of(name), history_of("whole"));
  }
}

// spike_factor may change when a run is resumed: one far below 1 makes every step bad.
TEST_F(BadSteps, InARowTheyBringBackTheLastGoodCheckpointAndTheDataGoesOn) {
  const std::string more = kSpiky + "--checkpoint.every=2 --checkpoint.keep_last=0 ";
  const std::string all_bad = more + "--train.spike_factor=0.001 --resume ";
  ASSERT_EQ(train(folder_, "run", more + "--train.steps=10").code, 0);
  const auto bytes_of = [&](const std::string& checkpoint) {
    const auto path = folder_ / ("run/checkpoints/" + checkpoint);
    return content_of(path / "model.safetensors") + content_of(path / "optimizer.safetensors");
  };
  const auto back = train(folder_, "run", all_bad + "--train.steps=13");
  ASSERT_EQ(back.code, 0) << back.err;
  EXPECT_TRUE(contains(back.err,
                       "3 bad steps in a row, up to step 13: back to the weights of step "
                       "8; the data goes on with step 14"))
      << back.err;
  EXPECT_TRUE(bytes_of("step_00000013") == bytes_of("step_00000008"));
  EXPECT_FALSE(bytes_of("step_00000013") == bytes_of("step_00000010"));
  EXPECT_FALSE(fs::exists(folder_ / "run/checkpoints/step_00000012"));  // of a bad step
  const auto lines = training_lines("run");
  ASSERT_EQ(lines.size(), 13u);
  EXPECT_EQ(lines[12]["returned_to"], 8);
  EXPECT_EQ(lines[12]["tokens"], 13 * 16) << "what was skipped counts as consumed";
  EXPECT_EQ(history_of("run")["updates"], 8);
  EXPECT_EQ(history_of("run")["returned_at"], 13);
  const auto again = train(folder_, "run", all_bad + "--train.steps=20");
  EXPECT_EQ(again.code, 1);
  EXPECT_TRUE(contains(again.err,
                       "3 bad steps in a row, up to step 16, and the run has gone back "
                       "after step 13 already, with no good checkpoint since; found "
                       "loss "))
      << again.err;
  const auto rest = train(folder_, "run", more + "--train.steps=20 --resume");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(history_of("run")["updates"], 8 + 7);
  EXPECT_EQ(history_of("run")["returned_at"], 13);
}

TEST_F(BadSteps, WithNoGoodCheckpointTheRunEndsWithTheStepTheLossAndTheNorm) {
  ASSERT_EQ(train(folder_, "source", "--train.steps=1").code, 0);
  const auto model = folder_ / "source/checkpoints/latest/model.safetensors";
  std::string bytes = content_of(model);
  for (std::size_t i = 0; i < 64 * 4; ++i) bytes[bytes.size() - 1 - i] = char(0xff);  // NaN
  folder_.write("source/checkpoints/latest/model.safetensors", bytes);
  const auto outcome =
      train(folder_, "run", "--model.init_from=source/checkpoints/latest --checkpoint.every=1");
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  for (const char* part :
       {"step 1 skipped: loss nan, gradient norm nan (not finite)", "step 2 skipped",
        "3 bad steps in a row, up to step 3, and there is no good checkpoint to go back to",
        "found loss nan, gradient norm nan", "optimizer.lr"})
    EXPECT_TRUE(contains(outcome.err, part)) << part << "\n" << outcome.err;
  const auto lines = training_lines("run");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[0]["loss"].is_null());
  EXPECT_EQ(lines[2]["skipped"], 3);
  EXPECT_TRUE(fs::is_empty(folder_ / "run/checkpoints"));
  EXPECT_TRUE(contains(content_of(folder_ / "run/report.html"), "skipped"));
}

// The learning rate rises until the weights are thrown about: the run is brought back once, to no
// avail, and ends; the checkpoints that are there are good.
TEST_F(BadSteps, ALearningRateThatExplodesEndsTheRunAndLeavesGoodCheckpoints) {
  const std::string more =
      "--optimizer.lr=1000 --schedule.warmup_steps=10000000 --schedule.kind=constant "
      "--train.spike_window=10 --train.spike_factor=3 --checkpoint.every=5 ";
  ASSERT_EQ(train(folder_, "run", more + "--train.steps=30").code, 0);
  const auto outcome =
      train(folder_, "run", more + "--train.steps=90 --schedule.warmup_steps=0 --resume");
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "3 bad steps in a row, up to step ")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "; found loss ")) << outcome.err;
  for (const auto& entry : fs::directory_iterator(folder_ / "run/checkpoints")) {
    const auto evaluated = run(
        folder_, "eval --json --model '" + entry.path().string() + "' --data text.txt --threads 1");
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
    EXPECT_LT(last_json(evaluated)["loss"].get<double>(), 8) << entry.path();
  }
}

TEST_F(BadSteps, TheCheckpointsToReturnToOutliveThoseOfAnInterruption) {
  ASSERT_EQ(train(folder_, "run", "--train.steps=6 --checkpoint.every=4").code, 0);
  ASSERT_EQ(train(folder_, "run", "--train.steps=8 --checkpoint.every=4 --resume").code, 0);
  const auto checkpoints = folder_ / "run/checkpoints";
  EXPECT_TRUE(fs::exists(checkpoints / "step_00000004"));
  EXPECT_FALSE(fs::exists(checkpoints / "step_00000006"));
  EXPECT_TRUE(fs::exists(checkpoints / "step_00000008"));
}

TEST_F(BadSteps, ARunMayEndOnOne) {
  const std::string more =
      kSpiky + "--train.spike_factor=1.2 --train.max_bad_steps=1000 --checkpoint.every=4 ";
  ASSERT_EQ(train(folder_, "whole", more + "--train.steps=40").code, 0);
  int bad = 0;
  for (const auto& line : training_lines("whole"))
    if (line.contains("skipped")) bad = line["step"];
  ASSERT_GT(bad, 0);
  const std::string steps = std::to_string(bad);
  const auto outcome = train(folder_, "ended", more + "--train.steps=" + steps);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(last_json(outcome)["steps"], bad);
  EXPECT_EQ(history_of("ended")["bad"].get<int>() > 0, true);
  const auto rest = train(folder_, "ended", more + "--train.steps=40 --resume");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_TRUE(final_bytes(folder_, "ended") == final_bytes(folder_, "whole"));
}

}  // namespace
}  // namespace autarky
