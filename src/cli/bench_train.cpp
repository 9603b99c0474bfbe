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
#include "cli/verbs.h"
#include "models/presets.h"
#include "train/bench.h"
#include "train/calibrate.h"

namespace autarky::cli {
namespace {

struct Options {
  std::string model, dtype = "bf16", recompute = "selective";
  std::uint32_t batch = 4, seq = 256, steps = 8, microbatches = 1;
  bool profile = false;
};

bool parse(Command& command, Options& o) {
  command.add("--model", o.model, "Preset: " + fmt::format("{}", fmt::join(preset_names(), ", ")),
              Need::required);
  command.add("--batch", o.batch, "Sequences of a micro-batch; 4");
  command.add("--seq", o.seq, "Tokens of a sequence; 256");
  command.add("--dtype", o.dtype, "Type of the products, bf16 (default) or f32");
  command.add("--steps", o.steps, "Steps to measure, after one to warm up; 8");
  command.add("--micro-batches", o.microbatches, "Micro-batches of a step; 1");
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
  if (o.batch == 0 || o.seq == 0 || o.steps == 0 || o.microbatches == 0)
    throw InputError("--batch, --seq, --steps and --micro-batches must be 1 or more");
  if (o.seq > e.model.max_positions)
    throw InputError("sequences are longer than the model's positions")
        .at("--seq")
        .found(std::to_string(o.seq))
        .wanted(fmt::format("at most {}", e.model.max_positions));
  e.recompute = *recompute;
  e.batch = o.batch;
  e.seq = o.seq;
  e.microbatches = int(o.microbatches);
  return e;
}

// Rows by block, operation and kernel: time, share, FLOP/s, bytes/s.
std::string profile_table(const BenchResult& r) {
  std::map<std::string, NodeTime> rows;
  double total = 0;
  for (const auto& n : r.profile) {
    auto& row = rows[n.block + " " + n.op + " (" + n.kernel + ")"];
    row.seconds += n.seconds;
    row.calls += n.calls;
    row.cost.flops += n.cost.flops;
    row.cost.bytes += n.cost.bytes;
    total += n.seconds;
  }
  std::vector<std::pair<std::string, NodeTime>> sorted(rows.begin(), rows.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  std::string text = fmt::format("{:>9} {:>6} {:>7} {:>9} {:>8}  operation\n", "seconds", "share",
                                 "calls", "GFLOP/s", "GB/s");
  for (const auto& [name, n] : sorted)
    text += fmt::format("{:9.4f} {:5.1f}% {:7} {:9.1f} {:8.1f}  {}\n", n.seconds,
                        100 * n.seconds / total, n.calls, n.cost.flops / n.seconds / 1e9,
                        n.cost.bytes / n.seconds / 1e9, name);
  return text;
}

Json to_json(const BenchResult& r) {
  return {{"tokens_per_s", r.tokens_per_s},
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

}  // namespace

void run_bench_train(Command& command) {
  Options o;
  if (!parse(command, o)) return;
  const EngineOptions options = engine_options(o);
  const auto backend = make_cpu_backend();
  BenchResult r;
  {
    WorkProgress progress("steps");
    r = bench_training(options, int(o.steps), *backend, o.profile,
                       [&](int done, double) { progress.update(done, o.steps); });
  }
  if (command.json()) return print_json(to_json(r));
  report(r);
  if (o.profile) print(profile_table(r));
}

}  // namespace autarky::cli
