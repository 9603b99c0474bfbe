// autarky bench train: the speed of training steps on made-up tokens, predicted beside measured.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/cpu_info.h"
#include "base/error.h"
#include "base/process.h"
#include "base/rng.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "comm/local/local_comm.h"
#include "models/flops.h"
#include "models/presets.h"
#include "sim/simulate.h"
#include "train/calibrate.h"
#include "train/engine.h"

namespace autarky::cli {
namespace {

struct Options {
  std::string preset, dtype = "bf16";
  std::uint32_t batch = 4, seq = 256, steps = 8;
};

struct Bench {
  double step_s = 0, peak = 0, flops = 0;  // median seconds, flop/s, model FLOPs of a step
  double predicted_step_s = 0;
  std::int64_t memory = 0, predicted_memory = 0, tokens = 0;
};

bool parse(Command& command, Options& options) {
  command.add("--model", options.preset,
              "Preset: " + fmt::format("{}", fmt::join(preset_names(), ", ")), Need::required);
  command.add("--batch", options.batch, "Sequences of a step; 4");
  command.add("--seq", options.seq, "Tokens of a sequence; 256");
  command.add("--dtype", options.dtype, "Type of the products, bf16 (default) or f32");
  command.add("--steps", options.steps, "Steps to measure, after one to warm up; 8");
  return command.parse();
}

EngineOptions engine_options(const Options& options) {
  EngineOptions engine;
  engine.model = preset_config(options.preset);
  engine.dtype = parse_dtype_option(options.dtype).value_or(DType::bf16);
  engine.batch = options.batch;
  engine.seq = options.seq;
  if (options.batch == 0 || options.seq == 0 || options.steps == 0)
    throw InputError("--batch, --seq and --steps must be 1 or more");
  if (engine.seq > engine.model.max_positions)
    throw InputError("sequences are longer than the model's positions")
        .at("--seq")
        .found(std::to_string(engine.seq))
        .wanted(fmt::format("at most {}", engine.model.max_positions));
  return engine;
}

Batch random_batch(const EngineOptions& engine) {
  const Random random{1, Purpose::test};
  Batch batch;
  batch.resize(engine.batch, engine.seq);
  for (std::size_t i = 0; i < batch.tokens.size(); ++i) {
    const auto token = [&](std::uint64_t at) {
      return std::int32_t(random.bits(at) % std::uint64_t(engine.model.vocab));
    };
    batch.tokens[i] = token(i);
    batch.targets[i] = token(i + 1);
    batch.positions[i] = std::int32_t(std::int64_t(i) % engine.seq);
    batch.segments[i] = 0;
  }
  batch.target_count = std::int64_t(batch.targets.size());
  return batch;
}

// What the step will take, before it runs.
Bench predict(const EngineOptions& engine, const Backend& backend) {
  Bench bench;
  const ChipModel chip = local_chip(backend, engine.dtype);
  const Program program = compile_engine(engine, backend);
  bench.tokens = engine.batch * engine.seq;
  bench.flops = model_flops_per_token(engine.model, engine.seq) * double(bench.tokens);
  bench.predicted_step_s = simulate({&program, 1}, chip).step_s;
  bench.predicted_memory = resident_bytes();
  for (const auto& [kind, bytes] : program.bytes_by_kind()) bench.predicted_memory += bytes;
  if (bench.predicted_memory > memory_limit_bytes())
    throw InputError("the step does not fit in memory")
        .found(human_bytes(double(bench.predicted_memory)))
        .wanted(fmt::format("at most {}", human_bytes(double(memory_limit_bytes()))))
        .hint("Lower --batch or --seq");
  return bench;
}

void measure(const EngineOptions& engine, const Backend& backend, std::uint32_t steps,
             Bench& bench) {
  const auto peaks = cpu::measure_peaks();
  bench.peak = engine.dtype == DType::bf16 ? peaks.bf16 : peaks.f32;
  const auto comm = single_rank();
  TrainingEngine training(engine, backend, *comm);
  training.initialize(1);
  training.refresh_copies();
  const Batch batch = random_batch(engine);
  std::vector<double> seconds;
  WorkProgress progress("steps");
  for (std::uint32_t step = 0; step <= steps; ++step) {
    const auto result = training.step({&batch, 1}, 1e-4, step + 1);
    if (step > 0) seconds.push_back(result.seconds);
    bench.memory = std::max(bench.memory, resident_bytes());
    progress.update(step + 1, steps + 1);
  }
  std::nth_element(seconds.begin(), seconds.begin() + std::ptrdiff_t(steps / 2), seconds.end());
  bench.step_s = seconds[steps / 2];
}

void report(const Command& command, const Bench& b) {
  const double rate = b.flops / b.step_s;
  if (command.json())
    return print_json({{"tokens_per_s", double(b.tokens) / b.step_s},
                       {"step_s", b.step_s},
                       {"model_flops_per_s", rate},
                       {"peak_flops_per_s", b.peak},
                       {"mfu", rate / b.peak},
                       {"memory_bytes", b.memory},
                       {"predicted_step_s", b.predicted_step_s},
                       {"predicted_memory_bytes", b.predicted_memory}});
  print(table({{"speed", human_count(double(b.tokens) / b.step_s) + " tokens/s"},
               {"model FLOPs", fmt::format("{:.1f} GFLOP/s, {:.1f}% of the measured peak of {:.1f}",
                                           rate / 1e9, 100 * rate / b.peak, b.peak / 1e9)},
               {"step", fmt::format("{}, predicted {}", human_seconds(b.step_s),
                                    human_seconds(b.predicted_step_s))},
               {"memory", fmt::format("{}, predicted {}", human_bytes(double(b.memory)),
                                      human_bytes(double(b.predicted_memory)))}}));
}

}  // namespace

void run_bench_train(Command& command) {
  Options options;
  if (!parse(command, options)) return;
  const auto engine = engine_options(options);
  const auto backend = make_cpu_backend();
  Bench bench = predict(engine, *backend);
  measure(engine, *backend, options.steps, bench);
  report(command, bench);
}

}  // namespace autarky::cli
