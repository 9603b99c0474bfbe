#include "train/links.h"

#include <algorithm>

#include "comm/agree.h"
#include "comm/measure.h"

namespace autarky {
namespace {

constexpr double kSharedMemoryLatency = 20e-6;  // seconds, where it is not measured

}  // namespace

// An all-reduce takes 2 (n - 1) rounds of alpha + bytes / n / beta (sim/simulate.cpp).
void measure_links(Comm& comm, ChipModel& chip) {
  LinkTier link;
  link.name = "measured";
  link.bytes_per_s = chip.bytes_per_s / 4;
  link.latency_s = kSharedMemoryLatency;
  if (comm.size() > 1) {
    constexpr std::size_t kLarge = 4 << 20;
    const auto n = std::size_t(comm.size());
    const double rounds = 2 * double(n - 1);
    const double small = measured_seconds(comm, CollectiveKind::all_reduce, sizeof(float) * n);
    const double large =
        std::max(measured_seconds(comm, CollectiveKind::all_reduce, kLarge) - small, 1e-9);
    link.latency_s = gather_all(comm, small / rounds).front();
    link.bytes_per_s = gather_all(comm, rounds * double(kLarge / n) / large).front();
  }
  link.pair_bytes_per_s = link.bytes_per_s;
  chip.links = {link};
}

}  // namespace autarky
