#include "comm/measure.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <vector>

#include "base/median.h"
#include "comm/agree.h"

namespace autarky {
namespace {

constexpr int kTries = 7;

// Buffers of one rank, and the ways to use them.
class Measured {
 public:
  Measured(Comm& comm, std::size_t bytes)
      : comm_(comm),
        part_(std::max<std::size_t>(1, bytes / sizeof(float) / std::size_t(comm.size()))),
        in_(part_ * std::size_t(comm.size()), 1),
        out_(in_.size()),
        world_(std::size_t(comm.size())) {
    std::iota(world_.begin(), world_.end(), 0);
  }

  void run(CollectiveKind what) {
    const auto in = std::as_bytes(std::span(in_));
    const auto out = std::as_writable_bytes(std::span(out_));
    const CommTag tag{std::string(kCollectiveNames[std::size_t(what)]), "measure.cpp"};
    const std::size_t part = part_ * sizeof(float);
    switch (what) {
      case CollectiveKind::all_reduce:
        comm_.all_reduce(world_, DType::f32, Reduction::sum, in, out, tag)->wait();
        break;
      case CollectiveKind::all_gather:
        comm_.all_gather(world_, in.first(part), out, tag)->wait();
        break;
      case CollectiveKind::all_to_all:
        comm_.all_to_all(world_, in, out, tag)->wait();
        break;
      case CollectiveKind::reduce_scatter:
        comm_.reduce_scatter(world_, DType::f32, Reduction::sum, in, out.first(part), tag)->wait();
        break;
    }
  }

 private:
  Comm& comm_;
  std::size_t part_;
  std::vector<float> in_, out_;
  std::vector<int> world_;
};

}  // namespace

double measured_seconds(Comm& comm, CollectiveKind what, std::size_t bytes) {
  Measured measured(comm, bytes);
  std::vector<double> seconds;
  for (int i = 0; i < kTries; ++i) {
    barrier(comm);
    const auto start = std::chrono::steady_clock::now();
    measured.run(what);
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return median(seconds);
}

double bus_bytes(CollectiveKind what, std::size_t bytes, int ranks) {
  const double once = double(bytes) * (ranks - 1) / ranks;
  return what == CollectiveKind::all_reduce ? 2 * once : once;
}

}  // namespace autarky
