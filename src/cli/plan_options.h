// What `autarky plan` is asked.
#pragma once
#include <string>

#include "base/json.h"
#include "plan/fleets.h"

namespace autarky::cli {

class Command;

struct PlanOptions {
  bool validate_local = false;
  std::string validate;   // a table of published runs
  std::string fit, page;  // files for what is fitted to it, and for a page about it
  std::string model, network, profile = "autarky", dtype = "bf16";
  std::string chip;                   // one, or several with commas
  std::string recipe, report, trace;  // files for the best layout's
  bool measure = false;               // run a rank of each kind of the best layout here
  double chip_days_per_failure = 2000;
  double tokens = 0;                // of the whole run
  double budget = 0, deadline = 0;  // US dollars, days; 0: not asked
  double storage_gb_per_s = 50;
  double log_error = 0;  // of predictions: nine of ten fitted runs are within
  PlanRequest request;

  std::vector<std::string> kinds() const;  // of chip
};

// Of a request: "4096 x ascend-910b".
std::string chips_text(const PlanRequest& request);

// False: help was asked for. InputError for unknown names and impossible counts.
bool parse(Command& command, PlanOptions& options);

// --chip local: this machine as it was measured, as one of many on a network. InputError where
// there are many and no network is given.
Device local_device(const PlanOptions& options, const std::string& network, int chips,
                    const Calibration& fitted);
// Whether a rank of the best layout can be measured here: InputError for other chips and software.
void check_measurable(const PlanOptions& options);

// Runs a rank of each kind of stage of a layout here; what it says as words or as JSON.
std::string measured_text(const PlannedLayout& plan, const PlanOptions& options);
Json measured_json(const PlannedLayout& plan, const PlanOptions& options);

// plan --validate-local; threads: of all ranks together
void validate_local(const Command& command, int threads);
// plan --budget, --deadline
void find_fleets(const Command& command, const PlanOptions& options);
// plan --validate
void validate_published(const Command& command, const PlanOptions& options);

}  // namespace autarky::cli
