// autarky replay: one rank's step again, each operation against its definition.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "train/replay.h"

namespace autarky::cli {
namespace {

std::string line_of(const ReplayedOperation& o) {
  return fmt::format("{:.1e}  {} ({}){}{}", o.distance, o.name, o.source,
                     o.kernel.empty() ? "" : ", kernel ", o.kernel);
}

void show(const Replay& r) {
  std::vector<std::pair<std::string, std::string>> rows = {
      {"step", std::to_string(r.step)},
      {"rank", fmt::format("{} of {}", r.rank, r.layout)},
      {"run on", r.on_reference ? "the operations' definitions" : "this machine's kernels"}};
  if (r.values == 0) rows.emplace_back("bits", "the run kept no values to compare with");
  else
    rows.emplace_back(
        "bits", fmt::format("{} of {} values as in the run", r.values - r.other_bits, r.values));
  rows.emplace_back("compared", fmt::format("{} {}, {} beyond what rounding explains", r.operations,
                                            r.on_reference ? "values" : "operations", r.beyond));
  print(table(rows));
  if (r.first_other_bits)
    print(fmt::format("First with other bits than in the run:\n  {}\n",
                      line_of(*r.first_other_bits)));
  if (r.first_beyond) print(fmt::format("First beyond:\n  {}\n", line_of(*r.first_beyond)));
  if (!r.worst.empty())
    print(fmt::format("Farthest from {}:\n", r.on_reference ? "the run" : "their definitions"));
  for (const auto& o : r.worst) print(fmt::format("  {}\n", line_of(o)));
}

Json to_json(const ReplayedOperation& o) {
  return {{"name", o.name},
          {"source", o.source},
          {"kernel", o.kernel},
          {"distance", o.distance},
          {"beyond", o.beyond}};
}
Json to_json(const std::optional<ReplayedOperation>& o) { return o ? to_json(*o) : Json(nullptr); }

Json to_json(const Replay& r) {
  Json worst = Json::array();
  for (const auto& o : r.worst) worst.push_back(to_json(o));
  return {{"good", r.good()},
          {"step", r.step},
          {"rank", r.rank},
          {"operations", r.operations},
          {"beyond", r.beyond},
          {"first_beyond", to_json(r.first_beyond)},
          {"values", r.values},
          {"other_bits", r.other_bits},
          {"first_other_bits", to_json(r.first_other_bits)},
          {"farthest", worst}};
}

}  // namespace

void run_replay(Command& command) {
  std::string run, on = "kernels";
  ReplayOptions o;
  command.add("run", run, "Folder of a run with a step kept by --logging.capture_step",
              Need::required);
  command.add("--step", o.step, "The step; the last one that was kept if not given");
  command.add("--rank", o.rank, "The rank; 0 if not given");
  command.add("--on", on,
              "kernels: this machine's, each checked by its definition on the same inputs; "
              "reference: the definitions alone, compared with the values that the run kept");
  command.add("--bound", o.bound,
              "Distance from which an operation counts as wrong; by element type if not given");
  if (!command.parse()) return;
  if (on != "kernels" && on != "reference")
    throw InputError("unknown way to replay")
        .at("--on")
        .found("'" + on + "'")
        .wanted("kernels or reference");
  if (command.given("--step") && o.step < 1)
    throw InputError("no such step").at("--step").found(std::to_string(o.step)).wanted("1 or more");
  if (!(o.bound >= 0))
    throw InputError("no such distance").at("--bound").wanted("a number from 0 on");
  o.reference = on == "reference";
  const Replay r = replay(run, o);
  if (command.json()) print_json(to_json(r));
  else show(r);
  if (!r.good()) throw ExitCode{1};
}

}  // namespace autarky::cli
