#include "plan/published.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "base/error.h"
#include "models/flops.h"
#include "plan/csv.h"
#include "plan/fit.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

const fs::path kRuns = fs::path(AUTARKY_SOURCE_DIR) / "fits" / "published-runs.csv";

const PublishedRun& find(const std::vector<PublishedRun>& runs, const std::string& id) {
  for (const auto& run : runs)
    if (run.id == id) return run;
  throw Error("no row " + id);
}

TEST(PublishedRuns, AreReadWithTheirLayouts) {
  const auto runs = read_published_runs(kRuns);
  const auto& tele = find(runs, "telechat2_115B_512");
  EXPECT_EQ(tele.refused, "");
  EXPECT_EQ(tele.options.mesh.ranks(), 512);
  EXPECT_EQ(tele.options.chunks, 3);
  EXPECT_EQ(tele.options.microbatches, 8);
  ASSERT_EQ(tele.options.stage_layers.size(), 24u);  // stages 10,11,12,13,13,13,13,11 by chunks
  int first = 0;
  for (int c = 0; c < 3; ++c) first += tele.options.stage_layers[std::size_t(8 * c)];
  EXPECT_EQ(first, 10);
  EXPECT_TRUE(tele.half_batches);
  EXPECT_NEAR(tele.step_s, 6.481, 1e-9);
  // Chunks of one layer, but the first and the last.
  const auto& llama = find(runs, "llama3_405B_16k").options.stage_layers;
  ASSERT_EQ(llama.size(), 128u);
  EXPECT_EQ(llama.front(), 0);
  EXPECT_EQ(llama.back(), 0);
  EXPECT_NE(find(runs, "deepseek_v3").refused, "");
  EXPECT_NE(find(runs, "megatron_gpt3_175B_1024").refused, "");
}

TEST(PublishedRuns, WantTheirColumnsAndNumbers) {
  const ScratchFolder folder;
  const fs::path path = folder / "runs.csv";
  const auto message = [&](const std::string& text) {
    write_file_atomic(path, text);
    try {
      read_published_runs(path);
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(message("id,chips\na,8\n").find("lacks columns"), std::string::npos);
  EXPECT_NE(message("id,chips\na,8\n").find("global_batch_sequences"), std::string::npos);
  EXPECT_NE(message("id,chips\na\n").find("another number of fields"), std::string::npos);
  EXPECT_NE(message("id,\"chips\na,8\n").find("comma-separated"), std::string::npos);
  std::string text = read_file(kRuns);
  const std::string chips = ",A100-80 SXM,128,";
  text.replace(text.find(chips), chips.size(), ",A100-80 SXM,many,");
  const std::string wrong = message(text);
  EXPECT_NE(wrong.find(":2, column chips"), std::string::npos) << wrong;
  EXPECT_NE(wrong.find("'many'"), std::string::npos) << wrong;
}

// A table with one of the runs, whose columns are changed.
fs::path table_of(const ScratchFolder& folder, const std::string& id,
                  const std::map<std::string, std::string>& changed) {
  std::string names, values;
  for (const auto& read : read_csv(kRuns)) {
    auto row = read.fields;
    if (row["id"] != id) continue;
    for (const auto& [column, value] : changed) row[column] = value;
    for (const auto& [column, value] : row) {
      names += (names.empty() ? "" : ",") + column;
      values += (values.empty() ? "\"" : ",\"") + value + "\"";
    }
  }
  return folder.write("one.csv", names + "\n" + values + "\n");
}

TEST(PublishedRuns, WithTheirMfuAloneHaveAStepTime) {
  const ScratchFolder folder;
  const auto whole = read_published_runs(kRuns);
  const auto& run = find(whole, "llama3_405B_16k");
  const double flops = double(run.options.batch * run.options.seq) * run.options.microbatches *
                       run.options.mesh.size(Axis::dp) *
                       model_flops_per_token(run.options.model, run.options.seq);
  std::map<std::string, std::string> only = {{"step_time_s", ""},
                                             {"tokens_per_s", ""},
                                             {"achieved_tflops_per_chip", ""},
                                             {"mfu_percent", "40"},
                                             {"flops_definition", "mfu_causal"}};
  const auto read = read_published_runs(table_of(folder, run.id, only));
  EXPECT_EQ(read[0].refused, "");
  EXPECT_NEAR(read[0].step_s, flops / (0.4 * 989.4e12 * run.chips), 1e-3 * read[0].step_s);
  const auto refusal = [&](const std::string& column, const std::string& value) {
    auto changed = only;
    changed[column] = value;
    return read_published_runs(table_of(folder, run.id, changed))[0].refused;
  };
  EXPECT_NE(refusal("precision_gemm", "fp8"), "");
  EXPECT_TRUE(contains(refusal("chip_id", "metax-c550"), "peak of metax-c550"));
  EXPECT_TRUE(contains(refusal("chip_id", "h101-sxm"), "h101-sxm"));
}

// One row that cannot be understood does not keep the others from being compared.
TEST(PublishedRuns, OfUnknownChipsStacksAndLayoutsAreRefusedWithTheReason) {
  const ScratchFolder folder;
  std::string text = read_file(kRuns);
  const auto replace = [&](const std::string& id, const std::string& from, const std::string& to) {
    const auto row = text.find("\n" + id + ",");
    text.replace(text.find(from, row), from.size(), to);
  };
  replace("megatron_sc21_7.5B", "a100-80-sxm", "a100-81-sxm");
  replace("megatron_sc21_39.1B", ",megatron-2021,", ",megatron-1921,");
  replace("megatron_sc21_145.6B", ",96,96,49152,", ",7,5,49152,");
  replace("korth22_530B_full", ",49.05,11691,", ",0,,");
  replace("bloom_176B", ",2048,4,12,", ",2047,4,12,");
  replace("telechat2_115B_512", "[stage_layers=10,", "[stage_layers=99999999999,");
  // The first twelve rows, those changed and a few others.
  std::string few;
  std::istringstream lines(text);
  int kept = 0;
  for (std::string line; std::getline(lines, line);)
    if (kept++ < 13 || line.starts_with("bloom_176B") || line.starts_with("korth22_530B_full") ||
        line.starts_with("telechat2_115B_512"))
      few += line + "\n";
  write_file_atomic(folder / "runs.csv", few);
  const auto v = validate_runs(folder / "runs.csv", false, [](int, int) {});
  EXPECT_GE(v->rows.size(), 5u);
  EXPECT_NE(find(v->runs, "megatron_sc21_7.5B").refused.find("a100-80-sxm"), std::string::npos);
  EXPECT_NE(find(v->runs, "megatron_sc21_39.1B").refused.find("megatron-2021"), std::string::npos);
  EXPECT_NE(find(v->runs, "megatron_sc21_145.6B").refused, "");
  EXPECT_NE(find(v->runs, "korth22_530B_full").refused.find("no step time"), std::string::npos);
  EXPECT_NE(find(v->runs, "bloom_176B").refused.find("no multiple"), std::string::npos);
  EXPECT_TRUE(std::isfinite(Errors::mean(v->errors.left_out)));
  EXPECT_TRUE(find(v->runs, "telechat2_115B_512").options.stage_layers.empty());
}

// What docs/validation.md says of them must not get worse unseen.
TEST(PublishedRuns, ArePredictedByTheNumbersInTheProgram) {
  const auto runs = read_published_runs(kRuns);
  const Calibration fitted = calibration();
  double sum = 0, tele = 1;
  int rows = 0;
  for (const auto& run : runs) {
    if (!run.refused.empty()) continue;
    const double error = CompiledRun(run).validate(fitted).error();
    sum += std::abs(error);
    ++rows;
    if (run.id == "telechat2_115B_512") tele = error;
  }
  EXPECT_EQ(rows, 74);
  EXPECT_LT(sum / rows, 0.05);
  EXPECT_LT(std::abs(tele), 0.06);
}

// Numbers that made the steps are found again from the steps.
TEST(Fit, FindsTheNumbersThatMadeTheRuns) {
  auto runs = read_published_runs(kRuns);
  std::erase_if(
      runs, [](const auto& run) { return !run.refused.empty() || run.profile != "megatron-2021"; });
  Calibration truth = calibration();
  for (auto& p : truth.profiles) p.memory_passes.value = 2;
  for (auto& run : runs) run.step_s = CompiledRun(run).validate(truth).prediction.step_s;
  std::vector<CompiledRun> compiled(runs.begin(), runs.end());
  const Calibration found = fit(compiled, calibration(), {.noise = 0.005, .rounds = 6});
  EXPECT_NEAR(found.stack("megatron-2021").memory_passes.value, 2, 0.1);
  EXPECT_LT(found.error, 0.01);
  for (const auto& row : leave_sources_out(compiled, found)) EXPECT_LT(std::abs(row.error()), 0.05);
}

}  // namespace
}  // namespace autarky
