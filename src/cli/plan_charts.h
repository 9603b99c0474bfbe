// The pictures of a plan's report, as SVG elements for train/report_page.h's style sheet.
#pragma once
#include <string>

#include "plan/goodput.h"
#include "plan/search.h"

namespace autarky::cli {

// Rows of stages, time to the right; only as many as can be read, which the caption says.
std::string draw_timeline(const OutlineTime& step);
// From the FLOPs at the peak to the step's time, a bar for each loss.
std::string draw_waterfall(const Prediction& prediction);
// Of a run's time: training, then what checkpoints and failures take.
std::string draw_run(const Goodput& goodput);
std::string draw_memory(const BytesByKind& memory, std::int64_t limit_bytes);
// Operations of a layer under the roof of peak and memory bandwidth, both axes logarithmic.
std::string draw_roofline(const std::vector<NodeTime>& ops, double peak_flops_per_s,
                          double bytes_per_s);

}  // namespace autarky::cli
