#include "train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

TrainingLine line(std::int64_t step) {
  return {.step = step,
          .tokens = 4096 * step,
          .loss = 9.0 / double(step),
          .grad_norm = 1.5,
          .lr = 1e-3,
          .tokens_per_s = 8000,
          .mfu = 0.4,
          .step_s = 0.5,
          .memory_bytes = 1 << 30,
          .predicted_step_s = 0.45};
}

class MetricsTest : public ::testing::Test {
 protected:
  void put(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }

  const ScratchFolder folder_;
  const fs::path path_ = folder_ / "metrics.jsonl";
};

TEST_F(MetricsTest, LinesHaveTheKeysThatScriptsReadInOneOrder) {
  EXPECT_EQ(to_json_line(line(3)),
            "{\"step\":3,\"tokens\":12288,\"loss\":3,\"grad_norm\":1.5,\"lr\":0.001,"
            "\"tokens_per_s\":8000,\"mfu\":0.4,\"step_s\":0.5,\"memory_bytes\":1073741824,"
            "\"predicted_step_s\":0.45}\n");
  EXPECT_EQ(to_json_line(EvaluationLine{.step = 3, .val_loss = 2.5}),
            "{\"step\":3,\"val_loss\":2.5}\n");
}

TEST_F(MetricsTest, TimesOfRanksAreListsThatReadBack) {
  auto two = line(3);
  two.rank_own_s = {0.25, 0.5};
  two.rank_waited_s = {0.25, 0};
  EXPECT_TRUE(
      to_json_line(two).ends_with("\"rank_own_s\":[0.25,0.5],\"rank_waited_s\":[0.25,0]}\n"));
  put(to_json_line(two));
  EXPECT_EQ(read_metrics(path_).training.at(0).rank_own_s, two.rank_own_s);
  EXPECT_EQ(read_metrics(path_).training.at(0).rank_waited_s, two.rank_waited_s);
}

TEST_F(MetricsTest, EachLineIsThereAsSoonAsItIsWritten) {
  MetricsWriter writer(path_);
  writer.write(line(1));
  EXPECT_EQ(read_file(path_), to_json_line(line(1)));
  writer.write(EvaluationLine{.step = 1, .val_loss = 2.5});
  const Metrics metrics = read_metrics(path_);
  ASSERT_EQ(metrics.training.size(), 1u);
  ASSERT_EQ(metrics.evaluations.size(), 1u);
  EXPECT_EQ(metrics.training[0].memory_bytes, 1 << 30);
  EXPECT_EQ(metrics.training[0].predicted_step_s, 0.45);
  EXPECT_EQ(metrics.evaluations[0].val_loss, 2.5);
}

TEST_F(MetricsTest, AResumedRunLeavesTheFileOfAnUndisturbedOne) {
  {
    MetricsWriter writer(path_);
    for (int i = 1; i <= 6; ++i) writer.write(line(i));
    writer.write(EvaluationLine{.step = 6, .val_loss = 2});
  }
  const std::string undisturbed = read_file(path_);
  {
    MetricsWriter writer(path_, 4);
    EXPECT_EQ(read_metrics(path_).training.size(), 4u);
    for (int i = 5; i <= 6; ++i) writer.write(line(i));
    writer.write(EvaluationLine{.step = 6, .val_loss = 2});
  }
  EXPECT_EQ(read_file(path_), undisturbed);
}

TEST_F(MetricsTest, ALineThatWasCutOffIsLeftOutAndThenRemoved) {
  put(to_json_line(line(1)) + to_json_line(line(2)).substr(0, 20));
  EXPECT_EQ(read_metrics(path_).training.size(), 1u);
  MetricsWriter writer(path_, 2);
  writer.write(line(2));
  EXPECT_EQ(read_file(path_), to_json_line(line(1)) + to_json_line(line(2)));
}

TEST_F(MetricsTest, ANewRunStartsANewFile) {
  put(to_json_line(line(1)));
  MetricsWriter writer(path_);
  EXPECT_EQ(read_file(path_), "");
}

TEST_F(MetricsTest, ResumingWithoutAFileStartsOne) {
  MetricsWriter writer(path_, 7);
  writer.write(line(8));
  EXPECT_EQ(read_metrics(path_).training.at(0).step, 8);
}

TEST_F(MetricsTest, ANumberThatIsNotFiniteStaysValidJson) {
  TrainingLine diverged = line(1);
  diverged.loss = std::nan("");
  diverged.grad_norm = INFINITY;
  const std::string text = to_json_line(diverged);
  EXPECT_TRUE(parse_json(text, "line").at("loss").is_null());
  put(text);
  EXPECT_TRUE(std::isnan(read_metrics(path_).training.at(0).loss));
}

TEST_F(MetricsTest, DamagedLinesAreRefusedWithTheirNumber) {
  for (const char* bad : {"nonsense\n", "[1]\n", "{}\n", "{\"step\":\"x\",\"val_loss\":1}\n",
                          "{\"step\":1.5,\"val_loss\":1}\n", "{\"step\":1,\"val_loss\":true}\n"}) {
    put(to_json_line(line(1)) + bad);
    try {
      read_metrics(path_);
      ADD_FAILURE() << bad;
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find("metrics.jsonl:2"), std::string::npos) << e.what();
    }
  }
  put("{\"loss\":1}\n");
  EXPECT_THROW(MetricsWriter(path_, 3), InputError);
}

TEST_F(MetricsTest, AFileThatCannotBeWrittenIsAnError) {
  try {
    MetricsWriter("no/such/folder/metrics.jsonl");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 2);
    EXPECT_NE(std::string(e.what()).find("cannot write 'no/such/folder/metrics.jsonl'"),
              std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace autarky
