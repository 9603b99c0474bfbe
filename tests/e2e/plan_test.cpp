// autarky plan, as a user runs it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "e2e/program.h"

namespace autarky {
namespace {

const std::string kSmall =
    "plan --model llama-17m --chip a100-80-sxm --chips 2 --seq 256 --global-batch 8 ";

TEST(Plan, GivesLayoutsWithTheirRecipes) {
  const ScratchFolder folder;
  const auto outcome = run(folder, kSmall + "--recipe plan.yaml --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = last_json(outcome);
  ASSERT_EQ(json["plans"].size(), 10u);
  double before = 0;
  for (const auto& plan : json["plans"]) {
    EXPECT_GE(plan["step_s"].get<double>(), before);  // fastest first
    before = plan["step_s"];
    EXPECT_TRUE(plan["fits"].get<bool>());
    double parts = 0, memory = 0;
    for (const auto& [name, seconds] : plan["waterfall"].items()) parts += seconds.get<double>();
    for (const auto& [kind, bytes] : plan["memory"].items()) memory += bytes.get<double>();
    EXPECT_NEAR(parts, before, 1e-6 * before);
    EXPECT_EQ(memory, plan["memory_bytes"].get<double>());
    EXPECT_NEAR(plan["tokens_per_s"].get<double>() * before, 8 * 256, 1e-3);
    EXPECT_GT(plan["mfu"].get<double>(), 0);
  }
  double time = json["goodput"]["share"];
  EXPECT_GT(time, 0.9);
  for (const auto& [loss, share] : json["goodput"]["lost"].items()) time += share.get<double>();
  EXPECT_NEAR(time, 1, 1e-9);
  EXPECT_LT(json["sensitivity"]["peak of products"].get<double>(), 0);
  EXPECT_EQ(json["plans"][0]["recipe"], read_file(folder / "plan.yaml"));
  const auto dry = run(folder, "train plan.yaml --dry-run --json");
  EXPECT_EQ(dry.code, 0) << dry.err;
}

TEST(Plan, WritesAReportAndATrace) {
  const ScratchFolder folder;
  const auto outcome = run(folder, kSmall + "--report plan.html --trace plan.json --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = last_json(outcome);
  const std::string page = read_file(folder / "plan.html");
  for (const char* wanted :
       {"</html>", "llama-17m", "Roofline", "layer.F contract", "at most ", "work done again"})
    EXPECT_NE(page.find(wanted), std::string::npos) << wanted;
  EXPECT_EQ(page.find("http"), std::string::npos);  // nothing from outside
  const auto trace = nlohmann::json::parse(read_file(folder / "plan.json"));
  double end_us = 0;
  for (const auto& e : trace["traceEvents"])
    if (e["ph"] == "X" && e["cat"] != "checkpoint")
      end_us = std::max(end_us, e["ts"].get<double>() + e["dur"].get<double>());
  EXPECT_GT(end_us, 0);
  EXPECT_TRUE(contains(trace.dump(), "\"optimizer\""));
  EXPECT_TRUE(contains(trace.dump(), "\"checkpoint\""));
  EXPECT_LE(end_us, json["plans"][0]["step_s"].get<double>() * 1e6);
  EXPECT_GT(json["plans"][0]["hfu"].get<double>(), 0);
  EXPECT_GT(json["run"]["train_energy_kwh"].get<double>(), 0);
}

TEST(Plan, SaysHowManyChipsADeadlineOrABudgetWants) {
  const ScratchFolder folder;
  const std::string question =
      "plan --model llama-17m --seq 256 --global-batch 2 --tokens 1e8 --json --chip "
      "a100-80-sxm,ascend-910b ";
  const auto deadline = last_json(run(folder, question + "--deadline 1"));
  ASSERT_EQ(deadline["fleets"].size(), 2u);
  for (const auto& fleet : deadline["fleets"]) EXPECT_LE(fleet["train_days"].get<double>(), 1);
  EXPECT_EQ(run(folder, question + "--budget 0.0001").code, 2);
}

// This machine's figures are those that other tests of the program have measured, or it does.
void use_kept_figures() {
  const auto cache = fs::path(AUTARKY_BINARY).parent_path() / "e2e-cache";
  ::setenv("XDG_CACHE_HOME", cache.c_str(), 1);
}

const std::string kLocal =
    "plan --model quickstart --chip local --seq 32 --global-batch 4 --dtype f32 --threads 1 ";

TEST(Plan, RunsARankOfEachKindHere) {
  use_kept_figures();
  const ScratchFolder folder;
  const auto outcome = run(folder, kLocal + "--chips 2 --network ethernet-100 --measure --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = last_json(outcome);
  const auto& measured = json["measured"];
  EXPECT_DOUBLE_EQ(measured["modelled"]["step_s"], json["plans"][0]["step_s"]);
  EXPECT_TRUE(measured["update_measured"].get<bool>());
  EXPECT_GT(measured["measured"]["mfu"].get<double>(), 0);
  EXPECT_NEAR(measured["measured"]["tokens_per_s"].get<double>() *
                  measured["measured"]["step_s"].get<double>(),
              4 * 32, 1e-3);
  for (const auto& kind : measured["kinds"])
    for (const auto& [block, seconds] : kind["blocks"].items()) {
      EXPECT_GT(seconds["modelled_s"].get<double>(), 0) << block;
      EXPECT_GT(seconds["measured_s"].get<double>(), 0) << block;
    }
  EXPECT_TRUE(measured["kinds"][0]["blocks"].contains("layer.F"));
}

TEST(Plan, SizesStagesToSeveralKindsOfChip) {
  use_kept_figures();
  const ScratchFolder folder;
  const auto outcome = run(folder,
                           "plan --model llama-17m --chip a100-80-sxm,ascend-910b --chips 2,1 "
                           "--seq 256 --global-batch 8 --recipe plan.yaml --report plan.html "
                           "--trace plan.json --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto best = nlohmann::json::parse(outcome.out)["plans"][0];
  ASSERT_EQ(best["stages"].size(), 2u);
  EXPECT_EQ(int(best["stages"][0]["stages"]) + int(best["stages"][1]["stages"]), 3);
  EXPECT_TRUE(contains(read_file(folder / "plan.yaml"), "stage_layers"));
  const std::string page = read_file(folder / "plan.html");
  EXPECT_TRUE(contains(page, "Roofline of a100-80-sxm") &&
              contains(page, "Roofline of ascend-910b"));
}

TEST(Plan, SaysWhatIsWrong) {
  use_kept_figures();
  const ScratchFolder folder;
  const auto refused = [&](const std::string& arguments, const std::string& words) {
    const auto outcome = run(folder, arguments);
    EXPECT_EQ(outcome.code, 2) << arguments;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  };
  refused("plan --model lama-17m --chip a100-80-sxm --chips 2 --global-batch 8", "llama-17m");
  refused("plan --model llama-17m --chip a100-80-sxn --chips 2 --global-batch 8", "a100-80-sxm");
  refused("plan --model llama-17m --chip a100-80-sxm --chips 2", "--global-batch");
  refused("plan --model llama-17m --chip a100-80-sxm --global-batch 8", "--chips");
  refused("plan --model llama-17m --chip a100-80-sxm --chips 7919 --global-batch 3", "no layout");
  refused("plan --model llama3-70b --chip a100-80-sxm --chips 2 --global-batch 8",
          "no layout fits");
  refused("plan --validate missing.csv", "missing.csv");
  refused("plan --model llama-17m --chip a100-80-sxm,ascend-910b --chips 2 --global-batch 8",
          "a count for a100-80-sxm and for ascend-910b");
  refused("plan --model llama-17m --chip a100-80-sxm --chips 2x --global-batch 8", "2x");
  refused("plan --model llama-17m --chip a100-80-sxm,ascend-910b --chips 13,7 --global-batch 8",
          "13 and 7 chips");
  refused(kSmall + "--budget 5", "--chips");
  refused("plan --model llama-17m --chip a100-80-sxm --global-batch 8 --budget 5 --deadline 5",
          "two questions");
  refused("plan --model llama-17m --chip a100-80-sxm --global-batch 8 --deadline 0", "1e-06");
  refused(kSmall + "--tokens -1", "--tokens");
  refused(kSmall + "--measure", "--chip local");
  refused(kLocal + "--chips 2 --profile mindspore --measure", "--profile mindspore");
  refused(kLocal + "--chips 2", "--network");
}

}  // namespace
}  // namespace autarky
