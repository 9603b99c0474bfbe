// autarky plan --chip local, --measure: this machine as one of many, and one rank of a plan run on
// it.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/process.h"
#include "base/words.h"
#include "cli/output.h"
#include "cli/plan_options.h"
#include "sim/stack_sheet.h"
#include "train/calibrate.h"
#include "train/machine_sheet.h"
#include "train/measure_rank.h"

namespace autarky::cli {
namespace {

// Share of the time in which others disturb what is measured.
constexpr double kBusy = 0.1;

// A stage's kind of the stand-in's.
std::string kind_name(std::size_t kind, std::size_t kinds) {
  if (kinds == 1) return "the only stage";
  return kind == 0 ? "first stage" : kind + 1 == kinds ? "last stage" : "inner stages";
}

// Of a block: "0.52 ms", "13 s".
std::string block_seconds(double s) {
  return s < 1 ? fmt::format("{:.2f} ms", s * 1e3) : human_seconds(s);
}

struct BlockRow {
  std::string block;
  double modelled_s = 0, measured_s = 0;
};

// What a block of a kind takes to compute by the model and here; those that were measured.
std::vector<BlockRow> rows_of(const Program& program, const MeasuredBlocks& measured,
                              const Device& device) {
  std::vector<BlockRow> rows;
  for (const auto& [name, seconds] : measured) {
    const Graph& graph = program.blocks[std::size_t(program.find_block(name))].graph;
    rows.push_back({name, block_cost(graph, program.mesh, device).compute_s(),
                    block_cost(graph, program.mesh, device, seconds).compute_s()});
  }
  return rows;
}

Json to_json(const Prediction& p) {
  return {{"step_s", p.step_s}, {"tokens_per_s", p.tokens_per_s}, {"mfu", p.mfu}};
}

struct LayoutTimes {
  std::vector<Program> kinds;
  MeasuredRanks ranks;
  Prediction modelled, measured;
  double took_s = 0;
  double busy = 0;  // share of that time in which something waited for a processor
};

LayoutTimes run_ranks(const EngineOptions& options, const Device& device) {
  LayoutTimes t;
  const Stopwatch watch;
  const double waited_s = processor_wait_s();
  WorkProgress line("Measuring one rank of each kind");
  MeasureRequest request;
  request.kinds = stand_in(options, Pass::bucket);
  request.vocab = options.model.vocab;
  request.seq = options.seq;
  request.memory_bytes = free_memory_bytes();
  request.work_s = [&](const Cost& cost) { return device.chip.roofline_s(cost, options.dtype); };
  request.progress = [&](double done, double all) {
    line.update(std::int64_t(done * 1e9), std::int64_t(all * 1e9));
  };
  t.ranks = measure_ranks(request, *make_cpu_backend());
  t.kinds = std::move(request.kinds);
  t.modelled = predict(options, t.kinds, device);
  t.measured = predict(options, t.kinds, device, t.ranks.kinds);
  t.took_s = watch.seconds();
  t.busy = (processor_wait_s() - waited_s) / t.took_s;
  return t;
}

std::string text_of(const LayoutTimes& t, const PlannedLayout& plan, const Device& device) {
  std::string text = fmt::format(
      "\nThe first, with one rank of each kind run here ({}), all others absent:\n  {:<15}{:<24}"
      "{:>12}{:>12}{:>9}\n",
      machine_name(), "", "computing of one call", "modelled", "measured", "");
  std::vector<std::vector<double>> shown;
  for (std::size_t k = 0; k < t.kinds.size(); ++k) {
    std::string kind = kind_name(k, t.kinds.size()), same;
    for (const auto& row : rows_of(t.kinds[k], t.ranks.kinds[k], device)) {
      const auto& seconds = t.ranks.kinds[k].at(row.block);
      if (std::find(shown.begin(), shown.end(), seconds) != shown.end()) {
        same += (same.empty() ? "" : ", ") + row.block;
        continue;
      }
      shown.push_back(seconds);
      text += fmt::format("  {:<15}{:<24}{:>12}{:>12}{:>+8.0f}%\n", kind, row.block,
                          block_seconds(row.modelled_s), block_seconds(row.measured_s),
                          100 * (row.measured_s / row.modelled_s - 1));
      kind.clear();
    }
    if (!same.empty()) text += fmt::format("  {:<15}as before: {}\n", kind, same);
  }
  if (!t.ranks.update)
    text += "  Optimizer and norm do not fit here beside the rest: their times are modelled\n";
  if (t.busy > kBusy)
    text += fmt::format(
        "  The machine was busy: {:.0f}% of the time something waited for a processor. Measure "
        "again when it is idle\n",
        100 * t.busy);
  const auto line = [&](const char* what, const Prediction& p) {
    return fmt::format("  {:<10}{} a step, {:.0f} tokens/s, MFU {:.1f}%\n", what,
                       human_seconds(p.step_s), p.tokens_per_s, 100 * p.mfu);
  };
  text += line("modelled", t.modelled) + line("measured", t.measured);
  return text + fmt::format("  {} chips; collectives are simulated; took {} and {}\n",
                            plan.options.mesh.ranks(), human_seconds(t.took_s),
                            human_bytes(double(t.ranks.memory_bytes)));
}

Json json_of(const LayoutTimes& t, const Device& device) {
  Json kinds = Json::array();
  for (std::size_t k = 0; k < t.kinds.size(); ++k) {
    Json blocks = Json::object();
    for (const auto& row : rows_of(t.kinds[k], t.ranks.kinds[k], device))
      blocks[row.block] = {{"modelled_s", row.modelled_s}, {"measured_s", row.measured_s}};
    kinds.push_back({{"kind", kind_name(k, t.kinds.size())}, {"blocks", blocks}});
  }
  return {{"machine", machine_name()},
          {"kinds", kinds},
          {"update_measured", t.ranks.update},
          {"modelled", to_json(t.modelled)},
          {"measured", to_json(t.measured)},
          {"memory_bytes", t.ranks.memory_bytes},
          {"took_s", t.took_s},
          {"busy", t.busy}};
}

}  // namespace

Device local_device(const PlanOptions& o, const std::string& network, int chips,
                    const Calibration& fitted) {
  if (chips > 1 && network.empty())
    throw InputError("this machine's sheet names no network")
        .at("--network")
        .found("nothing")
        .wanted("the network between many of this machine")
        .hint("`autarky chip list` names those that are known");
  Device d;
  d.chip = local_chip(*make_cpu_backend(), o.request.dtype);
  d.chip.memory_bytes = memory_limit_bytes();
  ChipSheet alone;
  alone.id = d.chip.name = "local";
  // The search bounds layouts by a pipeline's blocks, even those of one chip.
  d.chip.links = link_tiers(alone, network_sheet(network.empty() ? "shared-memory" : network));
  d.stack = stack_sheet(o.profile).facts;
  apply(fitted, d.chip.name, o.profile, d);
  // Kernels were measured as they run here: starts and passes over memory are in their times.
  d.stack.host_s = 0;
  d.stack.memory_passes = 1;
  return d;
}

void check_measurable(const PlanOptions& o) {
  if (o.kinds().size() > 1)
    throw InputError("what is measured is one kind of chip")
        .at("--measure")
        .found("--chip " + o.chip)
        .wanted("one chip");
  const auto ids = chip_ids();
  if (std::find(ids.begin(), ids.end(), o.chip) != ids.end())
    throw InputError("what is measured is this machine's processor")
        .at("--measure")
        .found("--chip " + o.chip)
        .wanted("--chip local, or the sheet that `autarky chip bench` writes here");
  if (o.profile != "autarky")
    throw InputError("what is measured is this program")
        .at("--measure")
        .found("--profile " + o.profile)
        .wanted("no --profile");
}

std::string measured_text(const PlannedLayout& plan, const PlanOptions& o) {
  const Device& device = o.request.groups.front().device;
  return text_of(run_ranks(plan.options, device), plan, device);
}

Json measured_json(const PlannedLayout& plan, const PlanOptions& o) {
  const Device& device = o.request.groups.front().device;
  return json_of(run_ranks(plan.options, device), device);
}

}  // namespace autarky::cli
