#include "train/report.h"

#include <gtest/gtest.h>

#include "train/metrics.h"
#include "train/report_page.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

class ReportTest : public ::testing::Test {
 protected:
  std::string report(int steps, const ReportInfo& info = {}) {
    if (steps > 0) {
      std::string text;
      for (int i = 1; i <= steps; ++i)
        text += to_json_line(TrainingLine{.step = i,
                                          .tokens = 4096 * i,
                                          .loss = 9.0 / i + 3,
                                          .grad_norm = 1 + 1.0 / i,
                                          .lr = 1e-3,
                                          .tokens_per_s = 8000,
                                          .mfu = 0.4,
                                          .step_s = 0.5,
                                          .memory_bytes = 2'000'000'000,
                                          .predicted_step_s = 0.45});
      text += to_json_line(EvaluationLine{.step = steps, .val_loss = 3.25});
      write_file_atomic(dir_ / "metrics.jsonl", text);
    }
    write_report(dir_, info);
    return read_file(dir_ / "report.html");
  }
  const ScratchFolder folder_;
  const fs::path dir_ = folder_.path();
};

TEST(EscapeHtml, MarkupIsTextAndBrokenBytesAreReplaced) {
  EXPECT_EQ(escape_html("a<b>&\"c\"'"), "a&lt;b&gt;&amp;&quot;c&quot;&#39;");
  EXPECT_EQ(escape_html("\xe4\xb8\xad\n\t"), "\xe4\xb8\xad\n\t");
  EXPECT_EQ(escape_html("a\xff"), "a\xef\xbf\xbd");
  EXPECT_EQ(escape_html(std::string_view("\0\x1b", 2)), "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_F(ReportTest, RanksAreListedTheSlowestFirst) {
  EXPECT_EQ(count(report(3), "own work"), 0);
  std::string text;
  for (int i = 1; i <= 3; ++i)
    text += to_json_line(TrainingLine{
        .step = i, .rank_own_s = {0.25, 0.35 + 0.1 * (i % 2)}, .rank_waited_s = {0.2, 0}});
  write_file_atomic(dir_ / "metrics.jsonl", text);
  EXPECT_EQ(count(report(0),
                  "<td>1</td><td class=\"n\">450 ms</td><td class=\"n\">0 ms</td></tr>"
                  "<tr><td>0</td><td class=\"n\">250 ms</td><td class=\"n\">200 ms</td>"),
            1);
}

TEST_F(ReportTest, TheWaterfallEndsAtTheStepsTimePredictedAndMeasured) {
  ReportInfo info;
  EXPECT_EQ(count(report(3, info), "class=\"fall\""), 0);
  info.predicted_step = {{"ideal", 0.3}, {"attention", 0.1}, {"caches", -0.05}};
  info.measured_step = {{"ideal", 0.3}, {"attention", 0.15}, {"caches", -0.05}};
  const std::string html = report(3, info);
  EXPECT_EQ(count(html, "class=\"fall\""), 4);  // three parts and the step
  EXPECT_EQ(count(html, "&minus;50 ms"), 2);
  EXPECT_EQ(count(html, ">350 ms<"), 1);
  EXPECT_EQ(count(html, ">400 ms<"), 2);  // the other one is the table beside
  EXPECT_EQ(count(html, "margin-left:66.67%;width:33.33%"), 1);  // 0.3 to 0.45 of 0.45
}

TEST_F(ReportTest, HoldsTheFiguresTheChartsAndTheSamples) {
  ReportInfo info;
  info.title = "my run";
  info.model = "llama";
  info.parameters = 9'440'000;
  info.steps = 40;
  info.machine = {{"processor", "a chip"}};
  info.recipe = "train:\n  steps: 40\n";
  info.memory = {{"gradients", 600'000'000}, {"optimizer", 1'300'000'000}};
  info.samples = {{"<b>", "\xe4\xb8\xad\xe6\x96\x87"}};
  const std::string html = report(40, info);
  for (const char* part :
       {"<title>my run</title>", "9.44 M parameters", "a chip", "steps: 40", "3.250",
        "perplexity 25.79", "8.00 k", "40.0%", "20.0 s", "1.90 GB", "2.00 GB", "-5.0%", "-10.0%",
        "450 ms", "500 ms", "<mark>&lt;b&gt;</mark>\xe4\xb8\xad\xe6\x96\x87", "40 of 40 steps"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  EXPECT_EQ(count(html, "<svg"), 5u);
  EXPECT_EQ(count(html, "</svg>"), 5u);
}

TEST_F(ReportTest, NeedsNothingFromOutside) {
  const std::string html = report(40);
  for (const char* part : {"http:", "https:", "src=", "<link", "@import", "url("})
    EXPECT_EQ(html.find(part), std::string::npos) << part;
}

TEST_F(ReportTest, WorksForNoStepOneStepAndVeryMany) {
  EXPECT_NE(report(0).find("no data yet"), std::string::npos);
  const std::string one = report(1);
  EXPECT_NE(one.find("<circle"), std::string::npos);
  EXPECT_EQ(one.find("nan"), std::string::npos);
  EXPECT_LT(report(20000).size(), 300'000u);
}

TEST_F(ReportTest, IsTheSameFileEveryTime) { EXPECT_EQ(report(50), report(50)); }

}  // namespace
}  // namespace autarky
