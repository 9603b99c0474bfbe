#include "train/links.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <vector>

#include "base/median.h"
#include "comm/agree.h"

namespace autarky {
namespace {

constexpr double kSharedMemoryLatency = 20e-6;  // seconds, where it is not measured
constexpr int kTries = 7;

// Median seconds of an all-reduce of `count` f32.
double all_reduce_seconds(Comm& comm, std::size_t count) {
  std::vector<float> in(count, 1), out(count);
  std::vector<int> world(std::size_t(comm.size()));
  std::iota(world.begin(), world.end(), 0);
  std::vector<double> seconds;
  for (int i = 0; i < kTries; ++i) {
    barrier(comm);
    const auto start = std::chrono::steady_clock::now();
    comm.all_reduce(world, DType::f32, Reduction::sum, std::as_bytes(std::span(in)),
                    std::as_writable_bytes(std::span(out)), {"measuring links", "links.cpp"})
        ->wait();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return median(seconds);
}

}  // namespace

// An all-reduce takes 2 (n - 1) rounds of alpha + bytes / n / beta (sim/simulate.cpp).
void measure_links(Comm& comm, ChipModel& chip) {
  chip.link_latency_s = kSharedMemoryLatency;
  chip.link_bytes_per_s = chip.bytes_per_s / 4;
  if (comm.size() == 1) return;
  constexpr std::size_t kLarge = 1 << 20;
  const double n = comm.size(), rounds = 2 * (n - 1);
  const double small = all_reduce_seconds(comm, std::size_t(comm.size()));
  const double large = std::max(all_reduce_seconds(comm, kLarge) - small, 1e-9);
  chip.link_latency_s = gather_all(comm, small / rounds).front();
  chip.link_bytes_per_s = gather_all(comm, rounds * sizeof(float) * kLarge / n / large).front();
}

}  // namespace autarky
