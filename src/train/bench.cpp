#include "train/bench.h"

#include <algorithm>

#include "backend/cpu/cpu_info.h"
#include "base/median.h"
#include "base/process.h"
#include "base/rng.h"
#include "comm/agree.h"
#include "models/flops.h"
#include "sim/simulate.h"
#include "train/links.h"
#include "train/machine_sheet.h"

namespace autarky {
namespace {

Batch random_batch(const EngineOptions& o, std::uint32_t number) {
  Batch batch;
  batch.resize(o.batch, o.seq);
  const Random random{1, Purpose::test, number};
  for (std::int64_t i = 0; i < o.batch * o.seq; ++i) {
    const auto token = [&](std::int64_t at) {
      return std::int32_t(random.bits(std::uint64_t(at)) % std::uint64_t(o.model.vocab));
    };
    batch.tokens[std::size_t(i)] = token(i);
    batch.targets[std::size_t(i)] = token(i + 1);
    batch.positions[std::size_t(i)] = std::int32_t(i % o.seq);
    batch.segments[std::size_t(i)] = 0;
  }
  return batch;
}

std::int64_t largest(const std::vector<std::int64_t>& values) {
  return *std::max_element(values.begin(), values.end());
}

double peak_of(DType dtype) {
  const auto peaks = cpu::measure_peaks();
  return dtype == DType::bf16 ? peaks.bf16 : peaks.f32;
}

}  // namespace

BenchResult bench_training(const EngineOptions& o, int steps, const Backend& backend, Comm& comm,
                           bool profile, const std::function<void(int, double)>& progress) {
  BenchResult r;
  r.chip = local_chip(backend, o.dtype, Sheet::fresh);
  measure_links(comm, r.chip);
  r.peak_flops_per_s = r.chip.peak(o.dtype);
  const Simulation predicted = simulate(compile_engine(o, backend), {r.chip});
  r.predicted_step_s = predicted.step_s;
  r.predicted = predicted.ops;
  const std::int64_t baseline = resident_bytes();
  TrainingEngine engine(o, backend, comm);
  r.predicted_memory_bytes = baseline + engine.planned_bytes();
  engine.initialize(1);
  std::vector<double> seconds;
  const int ranks = o.mesh.size(Axis::dp);
  for (int i = 0; i <= steps; ++i) {
    std::vector<Batch> batches;
    for (int m = 0; m < o.microbatches; ++m) {
      const int of_step = engine.index(Axis::dp) * o.microbatches + m;
      batches.push_back(random_batch(o, std::uint32_t(i * ranks * o.microbatches + of_step)));
    }
    engine.session().set_profiling(profile && i > 0);
    const auto result = engine.step(batches, 1e-4, i + 1);
    if (i > 0) seconds.push_back(result.seconds);
    r.memory_bytes = std::max(r.memory_bytes, resident_bytes());
    progress(i, result.seconds);
  }
  r.step_s = median(seconds);
  barrier(comm);  // all ranks measure at the same time, as they computed
  r.peak_flops_per_s = std::max(r.peak_flops_per_s, peak_of(o.dtype)) * comm.size();
  r.memory_bytes = largest(gather_all(comm, r.memory_bytes));
  r.predicted_memory_bytes = largest(gather_all(comm, r.predicted_memory_bytes));
  const double tokens = double(o.batch * o.seq * o.microbatches * ranks);
  r.tokens_per_s = tokens / r.step_s;
  r.model_flops_per_s = r.tokens_per_s * model_flops_per_token(o.model, o.seq);
  r.mfu = r.model_flops_per_s / r.peak_flops_per_s;
  if (profile) r.profile = engine.session().profile();
  return r;
}

}  // namespace autarky
