// A plan as files: one HTML page, and a trace that Perfetto opens.
#pragma once
#include <string>

#include "cli/plan_options.h"

namespace autarky::cli {

// Self-contained: the best layouts; of the first the time line of its stages, the waterfall from
// FLOPs to the step, what failures leave of the run, memory by kind, roofline of a layer's
// operations. `cost`: of the run, in words.
void write_plan_report(const PlanOptions& options, const SearchResult& result,
                       const Reliability& failures, const std::string& cost);

// Stages of the first layout as processes, its slots as events; after its step a checkpoint.
void write_plan_trace(const PlanOptions& options, const PlannedLayout& plan,
                      const Reliability& failures);

}  // namespace autarky::cli
