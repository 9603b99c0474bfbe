// What `autarky plan` is asked.
#pragma once
#include <string>

#include "plan/fleets.h"

namespace autarky::cli {

class Command;

struct PlanOptions {
  bool validate_local = false;
  std::string validate;   // a table of published runs
  std::string fit, page;  // files for what is fitted to it, and for a page about it
  std::string model, chip, network, profile = "autarky", dtype = "bf16";
  std::string recipe, report, trace;  // files for the best layout's
  double chip_days_per_failure = 2000;
  double tokens = 0;                // of the whole run
  double budget = 0, deadline = 0;  // US dollars, days; 0: not asked
  double storage_gb_per_s = 50;
  double log_error = 0;  // of predictions: nine of ten fitted runs are within
  PlanRequest request;
};

// False: help was asked for. InputError for unknown names and impossible counts.
bool parse(Command& command, PlanOptions& options);

// plan --validate-local; threads: of all ranks together
void validate_local(const Command& command, int threads);
// plan --budget, --deadline
void find_fleets(const Command& command, const PlanOptions& options);
// plan --validate
void validate_published(const Command& command, const PlanOptions& options);

}  // namespace autarky::cli
