#include "cli/plan_options.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "models/presets.h"
#include "sim/calibration.h"
#include "sim/stack_sheet.h"

namespace autarky::cli {
namespace {

// A chip's memory that no layout may take: the driver, libraries, the network's buffers.
constexpr double kReserved = 0.06;

template <class T>
T counted(T value, const char* option) {
  if (value > 0) return value;
  throw InputError("this count makes no plan").at(option).found("0").wanted("1 or more");
}

void need(const std::string& value, const char* option) {
  if (value.empty())
    throw InputError("a plan needs a model, a chip and how many of them")
        .at(option)
        .found("nothing")
        .hint("`autarky plan --help` has an example; `autarky chip list` names the chips");
}

}  // namespace

bool parse(Command& command, PlanOptions& o) {
  std::uint32_t chips = 0, seq = 0, batch = 0;
  command.add("--model", o.model, "Preset: " + fmt::format("{}", fmt::join(preset_names(), ", ")));
  command.add("--chip", o.chip, "Chip: a name of `autarky chip list`, or a sheet's path");
  command.add("--chips", chips, "How many of them");
  command.add("--network", o.network, "Network between nodes; the chip's usual one");
  command.add("--seq", seq, "Tokens of a sequence; the model's longest");
  command.add("--global-batch", batch, "Sequences of a step");
  command.add("--dtype", o.dtype, "Type of the products, bf16 (default) or f32");
  command.add("--profile", o.profile,
              fmt::format("Software: {}; autarky if not given", fmt::join(stack_ids(), ", ")));
  command.add("--chip-days-per-failure", o.chip_days_per_failure,
              "How long a chip runs between failures, on average; 2000");
  command.add("--recipe", o.recipe, "Write the best layout's recipe to this file");
  command.add("--validate", o.validate, "Predict these published runs (.csv) instead");
  command.add_flag("--validate-local", o.validate_local,
                   "Measure some steps on this machine beside their predictions instead: minutes");
  command.add("--fit", o.fit, "With --validate: fit anew, and write the numbers to this file");
  command.add("--page", o.page, "With --validate: write a page about it to this .md file");
  if (!command.parse()) return false;
  if (!o.validate.empty() || o.validate_local) return true;
  if (!(o.chip_days_per_failure >= 0.01 && o.chip_days_per_failure <= 1e6))
    throw InputError("this is no rate of failures")
        .at("--chip-days-per-failure")
        .found(fmt::format("{}", o.chip_days_per_failure))
        .wanted("0.01 to 1000000");
  need(o.model, "--model");
  need(o.chip, "--chip");
  PlanRequest& r = o.request;
  r.model = preset_config(o.model);
  const Calibration fitted = calibration();
  o.log_error = fitted.error;
  r.device = device(o.chip, o.network, o.profile, fitted);
  r.dtype = parse_dtype_option(o.dtype).value_or(DType::bf16);
  r.chips = int(counted(chips, "--chips"));
  if (chips > (1u << 20))
    throw InputError("too many chips")
        .at("--chips")
        .found(std::to_string(chips))
        .wanted("at most 1048576");
  r.seq = command.given("--seq") ? counted(seq, "--seq") : r.model.max_positions;
  if (r.seq > r.model.max_positions)
    throw InputError("sequences are longer than the model's positions")
        .at("--seq")
        .found(std::to_string(r.seq))
        .wanted(fmt::format("at most {}", r.model.max_positions));
  r.global_batch = counted(batch, "--global-batch");
  r.memory_bytes = std::int64_t(double(r.device.chip.memory_bytes) * (1 - kReserved));
  return true;
}

}  // namespace autarky::cli
