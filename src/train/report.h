// report.html: what a run was, what it reached and how it got there; opens without a network.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "sim/waterfall.h"

namespace autarky {

struct ReportSample {
  std::string prompt, text;  // UTF-8; the text goes on after the prompt
};
struct MemoryKind {
  std::string name;  // "parameters", "gradients", ...
  std::int64_t bytes = 0;
};

struct ReportInfo {
  std::string title;            // the run's name
  std::string model;            // "quickstart: llama, 4 layers, width 384"
  std::int64_t parameters = 0;  // 0: not known
  std::int64_t steps = 0;       // that the recipe asks for
  std::vector<std::pair<std::string, std::string>> machine;  // "processor": "...", ...
  std::string recipe;                                        // resolved, as YAML
  std::vector<MemoryKind> memory;                            // the plan; its sum is the prediction
  std::vector<ReportSample> samples;
  std::string schedule;                                      // of a pipeline, as SVG; empty: none
  std::vector<WaterfallPart> predicted_step, measured_step;  // of the same names; empty: not known
};

// Reads run_dir/metrics.jsonl and writes run_dir/report.html. Works from the first step on and
// without any line of metrics.
void write_report(const fs::path& run_dir, const ReportInfo& info);

}  // namespace autarky
