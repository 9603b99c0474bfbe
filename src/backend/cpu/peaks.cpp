// Peaks of this processor, measured.
#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "backend/cpu/cpu_info.h"
#include "backend/cpu/peaks_bf16.h"
#include "backend/cpu/scratch.h"
#include "base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/peaks.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// `turns` rounds of 12 independent multiply-adds; returns the flop done. `sink`
// keeps them alive.
double multiply_adds(std::int64_t turns, float* sink) {
  const hn::ScalableTag<float> d;
  const auto x = hn::Set(d, 0.5f), y = hn::Set(d, sink[0]);
  auto a = y, b = hn::Add(a, y), c = hn::Add(b, y), e = hn::Add(c, y), f = hn::Add(e, y);
  auto g = hn::Add(f, y), h = hn::Add(g, y), i = hn::Add(h, y), j = hn::Add(i, y);
  auto k = hn::Add(j, y), l = hn::Add(k, y), m = hn::Add(l, y);
  for (std::int64_t turn = 0; turn < turns; ++turn) {
    a = hn::MulAdd(a, x, y), b = hn::MulAdd(b, x, y), c = hn::MulAdd(c, x, y);
    e = hn::MulAdd(e, x, y), f = hn::MulAdd(f, x, y), g = hn::MulAdd(g, x, y);
    h = hn::MulAdd(h, x, y), i = hn::MulAdd(i, x, y), j = hn::MulAdd(j, x, y);
    k = hn::MulAdd(k, x, y), l = hn::MulAdd(l, x, y), m = hn::MulAdd(m, x, y);
  }
  const auto low = hn::Add(hn::Add(hn::Add(a, b), hn::Add(c, e)), hn::Add(f, g));
  const auto high = hn::Add(hn::Add(hn::Add(h, i), hn::Add(j, k)), hn::Add(l, m));
  sink[0] = hn::GetLane(hn::SumOfLanes(d, hn::Add(low, high)));
  return 2.0 * 12 * double(hn::Lanes(d)) * double(turns);
}

// Reads n floats; n a multiple of 64.
void read_floats(const float* p, std::int64_t n, float* sink) {
  const hn::ScalableTag<float> d;
  const std::int64_t lanes = std::int64_t(hn::Lanes(d));
  auto a = hn::Zero(d), b = a;
  for (std::int64_t i = 0; i < n; i += 2 * lanes) {
    a = hn::Add(a, hn::LoadU(d, p + i));
    b = hn::Add(b, hn::LoadU(d, p + i + lanes));
  }
  sink[0] = hn::GetLane(hn::SumOfLanes(d, hn::Add(a, b)));
}

}  // namespace
}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {
namespace {

HWY_EXPORT(multiply_adds);
HWY_EXPORT(read_floats);

constexpr int kTries = 3;          // of which the best counts
constexpr double kSeconds = 0.06;  // of one try

// Work per second of all threads: the best of `tries`. body(thread) returns
// the work it did in one call and is called again until the time is over.
double best_rate(int tries, const std::function<double(std::int64_t thread)>& body) {
  using Clock = std::chrono::steady_clock;
  const int threads = thread_count();
  double best = 0;
  for (int i = 0; i < tries; ++i) {
    std::vector<double> rates(std::size_t(threads), 0.0);
    parallel_for(threads, [&](std::int64_t thread, int) {
      const auto start = Clock::now();
      double work = 0, seconds = 0;
      while (seconds < kSeconds) {
        work += body(thread);
        seconds = std::chrono::duration<double>(Clock::now() - start).count();
      }
      rates[std::size_t(thread)] = work / seconds;
    });
    double sum = 0;
    for (const double rate : rates) sum += rate;
    best = std::max(best, sum);
  }
  return best;
}

double bf16_peak() {
  return best_rate(kTries, [](std::int64_t) {
    float sink = 1;
    return bf16_multiply_adds(100000, &sink);
  });
}

double read_peak() {
  constexpr std::int64_t kFloats = 32 << 20, kStep = 1 << 18;
  Scratch scratch;
  float* data = scratch.get(kFloats);
  parallel_for(kFloats / kStep,
               [&](std::int64_t i, int) { std::fill_n(data + i * kStep, kStep, 1.0f); });
  const std::int64_t threads = thread_count();
  std::vector<std::int64_t> next(std::size_t(threads), 0);
  return best_rate(kTries, [&](std::int64_t thread) {
    // A thread's own part, over and over.
    const std::int64_t steps = std::max<std::int64_t>(kFloats / kStep / threads, 1);
    const std::int64_t step = thread * steps + next[std::size_t(thread)]++ % steps;
    float sink = 0;
    HWY_DYNAMIC_DISPATCH(read_floats)
    (data + step % (kFloats / kStep) * kStep, kStep, &sink);
    return double(kStep) * sizeof(float);
  });
}

}  // namespace

double measure_f32_peak(int tries) {
  isa();
  return best_rate(tries, [](std::int64_t) {
    float sink = 1;
    return HWY_DYNAMIC_DISPATCH(multiply_adds)(100000, &sink);
  });
}

Peaks measure_peaks() {
  isa();
  Peaks peaks;
  peaks.f32 = measure_f32_peak(kTries);
  peaks.bf16 = native_bf16_products() ? bf16_peak() : peaks.f32;
  peaks.read_bandwidth = read_peak();
  return peaks;
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
