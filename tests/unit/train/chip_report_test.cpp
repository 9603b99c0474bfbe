#include "train/chip_report.h"

#include <gtest/gtest.h>

namespace autarky {
namespace {

Figure figure(double value) { return {value, Mark::measured, "a test", 0}; }

ChipSheet sheet(double peak, double cores) {
  ChipSheet s;
  s.title = "mine & <yours>";
  s.peak_flops_per_s.f32 = figure(peak);
  s.matrix_cores = figure(cores);
  return s;
}

TEST(ChipReport, PeaksAreComparedCoreByCore) {
  ChipSheet declared = sheet(100e12, 50), measured = sheet(3e12, 2);
  declared.power_w = figure(300);
  measured.memory_bytes = figure(8e9);
  const auto all = compare_sheets(declared, measured);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].name, "peak_flops_per_s.f32");
  EXPECT_DOUBLE_EQ(*all[0].of_cores, 4e12);
  EXPECT_DOUBLE_EQ(*all[0].ratio(), 0.75);
  EXPECT_EQ(all[1].name, "matrix_cores");
  EXPECT_DOUBLE_EQ(*all[1].ratio(), 0.04);
  EXPECT_FALSE(all[2].ratio() || all[3].ratio());
}

TEST(ChipReport, ThePageHasNothingFromOutsideAndEscapesNames) {
  const ChipSheet measured = sheet(3e12, 2);
  const std::string page = chip_bench_page(measured, nullptr);
  EXPECT_NE(page.find("mine &amp; &lt;yours&gt;"), std::string::npos);
  EXPECT_NE(page.find("3 TFLOP/s"), std::string::npos);
  EXPECT_EQ(page.find("http://"), std::string::npos);
}

}  // namespace
}  // namespace autarky
