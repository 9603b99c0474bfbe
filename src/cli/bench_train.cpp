// autarky bench train: a preset's training step, timed and compared with its prediction.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/rank.h"
#include "cli/verbs.h"
#include "models/presets.h"
#include "train/bench.h"
#include "train/calibrate.h"

namespace autarky::cli {
namespace {

struct Options {
  std::string model, dtype = "bf16", recompute = "selective";
  std::uint32_t batch = 4, seq = 256, steps = 8, microbatches = 1;
  std::uint32_t dp = 1, tp = 1, pp = 1, zero = 0;
  bool profile = false, sequence_parallel = false;
};

bool parse(Command& command, Options& o) {
  command.add("--model", o.model, "Preset: " + fmt::format("{}", fmt::join(preset_names(), ", ")),
              Need::required);
  command.add("--batch", o.batch, "Sequences of a micro-batch; 4");
  command.add("--seq", o.seq, "Tokens of a sequence; 256");
  command.add("--dtype", o.dtype, "Type of the products, bf16 (default) or f32");
  command.add("--steps", o.steps, "Steps to measure, after one to warm up; 8");
  command.add("--micro-batches", o.microbatches, "Micro-batches of a data-parallel rank's step; 1");
  command.add("--data-parallel-size", o.dp, "Under `autarky launch`: data-parallel ranks; 1");
  command.add("--tensor-parallel-size", o.tp, "Tensor-parallel ranks; 1");
  command.add("--pipeline-parallel-size", o.pp, "Pipeline stages; 1");
  command.add("--zero-stage", o.zero, "What data-parallel ranks divide, 0 (default) to 3");
  command.add_flag("--sequence-parallel", o.sequence_parallel,
                   "Split norms and residuals by tokens over tensor-parallel ranks");
  command.add("--recompute", o.recompute, "none, selective (default) or full");
  command.add_flag("--profile", o.profile, "Show where the time goes, operation by operation");
  return command.parse();
}

EngineOptions engine_options(const Options& o) {
  EngineOptions e;
  e.model = preset_config(o.model);
  e.dtype = parse_dtype_option(o.dtype).value_or(DType::bf16);
  const auto recompute = parse_recompute(o.recompute);
  if (!recompute)
    throw InputError("unknown policy")
        .at("--recompute")
        .found(o.recompute)
        .wanted("none, selective or full");
  for (const auto n : {o.batch, o.seq, o.steps, o.microbatches, o.dp, o.tp, o.pp})
    if (n == 0)
      throw InputError("--batch, --seq, --steps, --micro-batches and parallel sizes are 1 or more");
  if (o.zero > 3) throw InputError("unknown stage").at("--zero-stage").wanted("0 to 3");
  // Rotary positions have no table that ends.
  if (e.model.position == PositionKind::rope)
    e.model.max_positions = std::max<std::int64_t>(e.model.max_positions, o.seq);
  if (o.seq > e.model.max_positions)
    throw InputError("sequences are longer than the model's positions")
        .at("--seq")
        .found(std::to_string(o.seq))
        .wanted(fmt::format("at most {}", e.model.max_positions));
  e.recompute = *recompute;
  e.batch = o.batch;
  e.seq = o.seq;
  e.microbatches = int(o.microbatches);
  e.mesh = training_mesh(e.model, int(o.dp), int(o.tp), int(o.pp));
  e.zero_stage = int(o.zero);
  e.sequence_parallel = o.sequence_parallel;
  return e;
}

struct ProfileRow {
  std::string name, kernels;
  double seconds = 0, predicted_s = 0;  // of one step
  std::int64_t calls = 0;
  Cost cost;
};

// By block and operation, the longest first.
std::vector<ProfileRow> profile_rows(const BenchResult& r, double steps) {
  std::map<std::string, ProfileRow> rows;
  for (const auto& n : r.profile) {
    auto& row = rows[n.block + " " + n.op];
    if (row.kernels.find(n.kernel) == std::string::npos)
      row.kernels += (row.kernels.empty() ? "" : ", ") + n.kernel;
    row.seconds += n.seconds / steps;
    row.calls += n.calls / std::int64_t(steps);
    row.cost.flops += n.cost.flops / steps;
    row.cost.bytes += n.cost.bytes / steps;
  }
  for (const auto& n : r.predicted)
    if (const auto it = rows.find(n.block + " " + n.op); it != rows.end())
      it->second.predicted_s = n.seconds;
  std::vector<ProfileRow> sorted;
  for (auto& [name, row] : rows) {
    row.name = name;
    sorted.push_back(row);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return sorted;
}

// How near the row comes to its limit, and which that is: "78% flops", "61% bytes".
std::string of_roofline(const ProfileRow& row, const BenchResult& r, DType dtype) {
  const double limit = r.chip.roofline_s(row.cost, dtype);
  const bool by_flops = row.cost.flops / r.chip.peak(dtype) >= limit;
  return fmt::format("{:.0f}% {}", 100 * limit / row.seconds, by_flops ? "flops" : "bytes");
}

std::string profile_table(const BenchResult& r, DType dtype, double steps) {
  const auto rows = profile_rows(r, steps);
  double total = 0;
  for (const auto& row : rows) total += row.seconds;
  std::string text =
      fmt::format("{:>9} {:>6} {:>9} {:>6} {:>8} {:>7} {:>11}  one step by operation (kernel)\n",
                  "seconds", "share", "predicted", "calls", "GFLOP/s", "GB/s", "of roofline");
  for (const auto& row : rows)
    text += fmt::format("{:9.4f} {:5.1f}% {:9.4f} {:6} {:8.1f} {:7.1f} {:>11}  {} ({})\n",
                        row.seconds, 100 * row.seconds / total, row.predicted_s, row.calls,
                        row.cost.flops / row.seconds / 1e9, row.cost.bytes / row.seconds / 1e9,
                        of_roofline(row, r, dtype), row.name, row.kernels);
  return text;
}

Json to_json(const BenchResult& r, const ModelConfig& m) {
  return {{"model",
           {{"layers", m.layers},
            {"hidden", m.hidden},
            {"heads", m.heads},
            {"ffn", m.ffn},
            {"vocab", m.vocab}}},
          {"tokens_per_s", r.tokens_per_s},
          {"step_s", r.step_s},
          {"model_flops_per_s", r.model_flops_per_s},
          {"peak_flops_per_s", r.peak_flops_per_s},
          {"mfu", r.mfu},
          {"memory_bytes", r.memory_bytes},
          {"predicted_step_s", r.predicted_step_s},
          {"predicted_memory_bytes", r.predicted_memory_bytes}};
}

std::string off_by(double predicted, double measured) {
  return fmt::format("{:+.1f}%", 100 * (predicted / measured - 1));
}

void report(const BenchResult& r) {
  const double memory = double(r.memory_bytes), planned = double(r.predicted_memory_bytes);
  print(table({{"machine", machine_name()},
               {"speed", human_count(r.tokens_per_s) + " tokens/s"},
               {"model FLOPs",
                fmt::format("{:.1f} GFLOP/s, {:.1f}% of the measured peak of {:.1f}",
                            r.model_flops_per_s / 1e9, 100 * r.mfu, r.peak_flops_per_s / 1e9)},
               {"step", fmt::format("{}, predicted {} ({})", human_seconds(r.step_s),
                                    human_seconds(r.predicted_step_s),
                                    off_by(r.predicted_step_s, r.step_s))},
               {"memory", fmt::format("{}, predicted {} ({})", human_bytes(memory),
                                      human_bytes(planned), off_by(planned, memory))}}));
}

void bench(const Command& command, const Options& o, const EngineOptions& options, Comm& comm) {
  const auto backend = make_cpu_backend();
  if (comm.size() != options.mesh.ranks())
    throw InputError("the parallel sizes need another number of ranks")
        .found(fmt::format("{}", comm.size()))
        .wanted(fmt::format("{} ({})", options.mesh.ranks(), options.mesh.to_string()))
        .hint(fmt::format("autarky launch -n {} -- bench train ...", options.mesh.ranks()));
  BenchResult r;
  {
    WorkProgress progress("steps");
    r = bench_training(options, int(o.steps), *backend, comm, o.profile,
                       [&](int done, double) { progress.update(done, o.steps); });
  }
  if (command.json()) return print_json(to_json(r, options.model));
  report(r);
  if (o.profile) print(profile_table(r, options.dtype, o.steps));
}

}  // namespace

void run_bench_train(Command& command) {
  Options o;
  if (!parse(command, o)) return;
  const EngineOptions options = engine_options(o);
  with_ranks(std::chrono::seconds(600), [&](Comm& comm) { bench(command, o, options, comm); });
}

}  // namespace autarky::cli
