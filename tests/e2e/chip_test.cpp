#include <gtest/gtest.h>

#include "e2e/program.h"

namespace autarky {
namespace {

TEST(Chip, TheListHasEveryChipWithItsMarks) {
  const ScratchFolder folder;
  const auto outcome = run(folder, "chip list --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto list = last_json(outcome);
  ASSERT_EQ(list["chips"].size(), 55u);
  int found = 0;
  for (const auto& chip : list["chips"]) {
    if (chip["id"] == "a100-40-sxm") {
      EXPECT_EQ(chip["peak_flops_per_s"]["bf16"], 312e12);
      EXPECT_EQ(chip["memory_bytes"], 40e9);
      EXPECT_EQ(chip["link_bytes_per_s"], 300e9);
      EXPECT_GE(chip["marks"]["measured"], 5);
      ++found;
    }
    if (chip["id"] == "system-cloudmatrix-384") {
      EXPECT_EQ(chip["system"]["chip"], "ascend-910c");
      ++found;
    }
  }
  EXPECT_EQ(found, 2);
  const auto text = run(folder, "chip list");
  EXPECT_TRUE(contains(text.out, "\nascend-910b ")) << text.out;
}

TEST(Chip, ASheetIsShownWithMarksAndSources) {
  const ScratchFolder folder;
  const auto outcome = run(folder, "chip show a100-40-sxm");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* part : {"312 TFLOP/s", "declared", "measured", "FlagPerf", "ib-hdr-200"})
    EXPECT_TRUE(contains(outcome.out, part)) << part << outcome.out;
  const auto json = last_json(run(folder, "chip show ascend-910b --json"));
  EXPECT_EQ(json["id"], "ascend-910b");
  EXPECT_EQ(json["sustained"]["bf16"]["mark"], "measured");
  EXPECT_EQ(json["links"][0]["pair_bytes_per_s"]["value"], 28e9);
  const auto network = last_json(run(folder, "chip show nvl72 --json"));
  EXPECT_EQ(network["tiers"][0]["chips"], 72);
}

TEST(Chip, AWrongNameOrFileIsAnsweredWithCode2) {
  const ScratchFolder folder;
  const auto unknown = run(folder, "chip show ascend-901b");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_EQ(unknown.out, "");
  EXPECT_TRUE(contains(unknown.err, "Did you mean 'ascend-910b'?")) << unknown.err;
  folder.write("mine.yaml", "title: mine\nvendor: me\nyear: 2026\n");
  const auto missing = run(folder, "chip show mine.yaml");
  EXPECT_EQ(missing.code, 2);
  EXPECT_TRUE(contains(missing.err, "mine.yaml: peak_flops_per_s is missing")) << missing.err;
  const auto network = run(folder, "chip show rocee-20");
  EXPECT_TRUE(contains(network.err, "Did you mean 'roce-200'?")) << network.err;
  EXPECT_EQ(run(folder, "chip bench --declared h10 --out x.yaml").code, 2);
}

TEST(Chip, TheBenchWritesASheetThatReadsBack) {
  const ScratchFolder folder;
  const auto outcome = run(
      folder, "chip bench --quick --out here.yaml --html here.html --declared epyc-9654 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = last_json(outcome);
  EXPECT_EQ(json["peak_flops_per_s"]["f32"]["mark"], "measured");
  EXPECT_GT(json["sustained"]["f32"]["value"], 0);
  EXPECT_EQ(json["measured_collectives"]["points"].size(), 8u);
  EXPECT_EQ(json["measured_products"]["points"].size(), 16u);
  EXPECT_GT(json["compared"].size(), 3u);
  const auto shown = last_json(run(folder, "chip show here.yaml --json"));
  EXPECT_EQ(shown["overlap"], json["overlap"]);
  EXPECT_TRUE(contains(read_file(folder / "here.html"), "of the measured cores"));
}

}  // namespace
}  // namespace autarky
