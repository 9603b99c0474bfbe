// What one simulation of a step takes: tele-flm-1t on 16,384 chips, of blocks whose costs are known
// (as in a search) and with the compilation of its stand-in. Usage: plan_bench [rounds]; medians.
#include <fmt/core.h>

#include <chrono>
#include <cstdlib>

#include "base/median.h"
#include "models/presets.h"
#include "plan/predict.h"
#include "sim/calibration.h"

using namespace autarky;

namespace {

double milliseconds(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

void time_layout(int tp, int pp, int chunks, int dp, int rounds) {
  EngineOptions o;
  o.model = preset_config("tele-flm-1t");
  o.seq = 4096;
  o.mesh = training_mesh(o.model, dp, tp, pp);
  o.schedule = chunks > 1 ? PipelineSchedule::interleaved : PipelineSchedule::one_f_one_b;
  o.chunks = chunks;
  o.microbatches = 4096 / dp;
  o.sequence_parallel = true;
  o.zero_stage = 1;
  const Device d = device("ascend-910b", "", "autarky", calibration());
  std::vector<StageCosts> costs;
  for (const auto& program : stand_in(o)) costs.emplace_back(program, d, true);
  std::vector<const StageCosts*> stages;
  for (int s = 0; s < pp; ++s)
    stages.push_back(&costs[kind_of_stage(std::size_t(s), std::size_t(pp), costs.size())]);
  const Schedule schedule = make_schedule(o.schedule, pp, chunks, o.microbatches);
  const auto parts = layers_of_parts(o);
  std::vector<double> known, whole;
  for (int r = 0; r < rounds; ++r) {
    known.push_back(milliseconds([&] { predict(o, schedule, parts, stages); }));
    whole.push_back(milliseconds([&] { predict(o, stand_in(o), d); }));
  }
  fmt::print("tp {} pp {} x {} dp {}, {} micro-batches: {:.1f} ms, {:.1f} ms with its blocks\n", tp,
             pp, chunks, dp, o.microbatches, median(known), median(whole));
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 21;
  time_layout(16, 16, 1, 64, rounds);
  time_layout(32, 8, 9, 64, rounds);
  time_layout(8, 70, 1, 32, rounds);
}
