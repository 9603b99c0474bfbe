#include "cli/plan_options.h"

#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "models/presets.h"
#include "sim/calibration.h"
#include "sim/stack_sheet.h"

namespace autarky::cli {
namespace {

template <class T>
T counted(T value, const char* option) {
  if (value > 0) return value;
  throw InputError("this count makes no plan").at(option).found("0").wanted("1 or more");
}

[[noreturn]] void refuse_number(const char* option, double found, const std::string& wanted) {
  throw InputError("this number makes no plan")
      .at(option)
      .found(fmt::format("{}", found))
      .wanted(wanted);
}

void need(const std::string& value, const char* option) {
  if (value.empty())
    throw InputError("a plan needs a model, a chip and how many of them")
        .at(option)
        .found("nothing")
        .hint("`autarky plan --help` has an example; `autarky chip list` names the chips");
}

struct Counts {
  std::string chips;  // of each kind
  std::uint32_t seq = 0, batch = 0;
};

std::vector<std::string> names_of(const std::string& list) {
  if (list.empty()) return {};
  auto names = split(list, ',');
  for (auto& name : names) name = std::string(trim(name));
  return names;
}

int chip_count(const std::string& word) {
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), count);
  constexpr std::uint32_t kMost = 1u << 20;
  if (error == std::errc() && end == word.data() + word.size() && count > 0 && count <= kMost)
    return int(count);
  throw InputError("this count of chips makes no plan")
      .at("--chips")
      .found(word.empty() ? "nothing" : word)
      .wanted(fmt::format("1 to {}; of several kinds of chip one count for each", kMost));
}

void add_options(Command& command, PlanOptions& o, Counts& n) {
  command.add("--model", o.model, "Preset: " + fmt::format("{}", fmt::join(preset_names(), ", ")));
  command.add(
      "--chip", o.chip,
      "Chip: a name of `autarky chip list`, a sheet's path, or local: this machine; several "
      "with commas share one job, or are compared by --budget and --deadline");
  command.add("--chips", n.chips, "How many of them; of several kinds a count for each, 512,256");
  command.add("--network", o.network,
              "Network between nodes, of several kinds of chip for each or for all; the usual one");
  command.add("--seq", n.seq, "Tokens of a sequence; the model's longest");
  command.add("--global-batch", n.batch, "Sequences of a step");
  command.add("--dtype", o.dtype, "Type of the products, bf16 (default) or f32");
  command.add("--profile", o.profile,
              fmt::format("Software: {}; autarky if not given", fmt::join(stack_ids(), ", ")));
  command.add("--chip-days-per-failure", o.chip_days_per_failure,
              "How long a chip runs between failures, on average; 2000");
  command.add("--tokens", o.tokens, "Tokens to train on; 20 for each parameter");
  command.add("--budget", o.budget,
              "US dollars: the quickest run that they pay, of each chip, in place of --chips");
  command.add("--deadline", o.deadline,
              "Days: the fewest of each chip that train the model in them, in place of --chips");
  command.add("--storage-gb-per-s", o.storage_gb_per_s,
              "What checkpoints are written with, all chips together; 50");
  command.add("--recipe", o.recipe, "Write the best layout's recipe to this file");
  command.add("--report", o.report,
              "Write a page with charts of the best layouts to this .html file");
  command.add("--trace", o.trace, "Write the best layout's step for Perfetto to this .json file");
  command.add_flag(
      "--measure", o.measure,
      "Run one rank of each kind of the best layout here, and simulate with its times");
  command.add("--validate", o.validate, "Predict these published runs (.csv) instead");
  command.add_flag("--validate-local", o.validate_local,
                   "Measure some steps on this machine beside their predictions instead: minutes");
  command.add("--fit", o.fit, "With --validate: fit anew, and write the numbers to this file");
  command.add("--page", o.page, "With --validate: write a page about it to this .md file");
}

void check_numbers(const Command& command, const PlanOptions& o) {
  const auto within = [](const char* option, double value, double least, double most) {
    if (!(value >= least && value <= most))
      refuse_number(option, value, fmt::format("{:g} to {:g}", least, most));
  };
  within("--chip-days-per-failure", o.chip_days_per_failure, 0.01, 1e6);
  within("--storage-gb-per-s", o.storage_gb_per_s, 0.001, 1e6);
  if (command.given("--tokens")) within("--tokens", o.tokens, 1, 1e18);
  if (command.given("--budget")) within("--budget", o.budget, 0.01, 1e15);
  if (command.given("--deadline")) within("--deadline", o.deadline, 1e-6, 1e6);
}

void read_model(const Command& command, PlanOptions& o, const Counts& n) {
  PlanRequest& r = o.request;
  r.model = preset_config(o.model);
  r.dtype = parse_dtype_option(o.dtype).value_or(DType::bf16);
  if (!command.given("--tokens")) o.tokens = compute_optimal_tokens(r.model);
  r.seq = command.given("--seq") ? counted(n.seq, "--seq") : r.model.max_positions;
  if (r.seq > r.model.max_positions)
    throw InputError("sequences are longer than the model's positions")
        .at("--seq")
        .found(std::to_string(r.seq))
        .wanted(fmt::format("at most {}", r.model.max_positions));
  r.global_batch = counted(n.batch, "--global-batch");
}

// What goes with a number of chips does not go with the question for it.
void check_question(const Command& command) {
  if (command.given("--budget") && command.given("--deadline"))
    throw InputError("a budget and a deadline are two questions")
        .at("--budget and --deadline")
        .wanted("one of them");
  for (const char* option : {"--chips", "--recipe", "--report", "--trace", "--measure"})
    if (command.given(option))
      throw InputError("a budget or a deadline asks how many chips, and of each kind")
          .at(option)
          .hint(fmt::format("Leave {} out, and plan again with the number", option));
}

std::vector<ChipGroup> read_groups(const PlanOptions& o, const std::string& chips,
                                   const Calibration& fitted) {
  const auto kinds = o.kinds(), counts = names_of(chips);
  auto networks = names_of(o.network);
  if (counts.size() != kinds.size())
    throw InputError("a plan needs a count of every kind of chip")
        .at("--chips")
        .found(chips.empty() ? "nothing" : chips)
        .wanted(fmt::format("a count for {}", fmt::join(kinds, " and for ")));
  constexpr std::size_t kMostKinds = 4;
  if (kinds.size() > kMostKinds)
    throw InputError("too many kinds of chip for one job")
        .at("--chip")
        .found(std::to_string(kinds.size()))
        .wanted(fmt::format("at most {}", kMostKinds));
  if (networks.size() < 2) networks.resize(kinds.size(), networks.empty() ? "" : networks[0]);
  if (networks.size() != kinds.size())
    throw InputError("networks and kinds of chip differ in number")
        .at("--network")
        .found(std::to_string(networks.size()))
        .wanted(fmt::format("one, or {}", kinds.size()));
  std::vector<ChipGroup> groups;
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    const int count = chip_count(counts[k]);
    groups.push_back(chip_group(kinds[k] == "local"
                                    ? local_device(o, networks[k], count, fitted)
                                    : device(kinds[k], networks[k], o.profile, fitted),
                                count));
  }
  return groups;
}

}  // namespace

bool parse(Command& command, PlanOptions& o) {
  Counts n;
  add_options(command, o, n);
  if (!command.parse()) return false;
  if (!o.validate.empty() || o.validate_local) return true;
  check_numbers(command, o);
  need(o.model, "--model");
  need(o.chip, "--chip");
  read_model(command, o, n);
  const Calibration fitted = calibration();
  o.log_error = fitted.error;
  if (command.given("--budget") || command.given("--deadline")) {
    check_question(command);
    return true;
  }
  if (o.measure) check_measurable(o);
  o.request.groups = read_groups(o, n.chips, fitted);
  return true;
}

std::vector<std::string> PlanOptions::kinds() const { return names_of(chip); }

std::string chips_text(const PlanRequest& request) {
  std::string text;
  for (const auto& group : request.groups)
    text +=
        fmt::format("{}{} x {}", text.empty() ? "" : " and ", group.chips, group.device.chip.name);
  return text;
}

}  // namespace autarky::cli
