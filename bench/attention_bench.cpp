// Causal attention, heads of 64: GFLOP/s (causal half of the products counted) and share of the
// peak. Usage: attention_bench [rounds]; medians.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "backend/cpu/attention_core.h"
#include "backend/cpu/cpu_info.h"
#include "base/parallel.h"

namespace {

using namespace autarky;
using Clock = std::chrono::steady_clock;

struct Case {
  std::int64_t b, s, g, r;
  DType dtype;
  std::vector<double> forward, backward;
};

constexpr std::int64_t kHeadSize = 64;

void run(Case& c, const std::vector<float>& in, std::vector<std::vector<float>>& out) {
  std::vector<std::int32_t> pos(std::size_t(c.b * c.s)), seg(pos.size(), 0);
  for (std::size_t i = 0; i < pos.size(); ++i) pos[i] = std::int32_t(i % std::size_t(c.s));
  cpu::Attention x;
  x.b = c.b, x.s = x.t = c.s, x.g = c.g, x.r = c.r, x.d = kHeadSize, x.dtype = c.dtype;
  x.scale = 0.125f;
  const std::int64_t q_row = c.g * c.r * kHeadSize, k_row = c.g * kHeadSize;
  x.q = {in.data(), c.s * q_row, q_row};
  x.k = x.v = {in.data() + 64, c.s * k_row, k_row};
  x.q_pos = x.k_pos = pos.data(), x.q_seg = x.k_seg = seg.data();
  const auto write = [&](int i, std::int64_t row) {
    return cpu::WriteRows{out[std::size_t(i)].data(), c.s * row, row};
  };
  const auto start = Clock::now();
  cpu::attention_forward(x, write(0, q_row), out[1].data());
  const auto middle = Clock::now();
  cpu::attention_backward(x, {{out[0].data(), c.s * q_row, q_row},
                              out[1].data(),
                              x.q,
                              write(2, q_row),
                              write(3, k_row),
                              write(4, k_row)});
  c.forward.push_back(std::chrono::duration<double>(middle - start).count());
  c.backward.push_back(std::chrono::duration<double>(Clock::now() - middle).count());
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 5;
  const cpu::Peaks peaks = cpu::measure_peaks();
  fmt::print("{}, {} threads: peak {:.1f} GFLOP/s f32, {:.1f} bf16\n", cpu::isa_name(),
             thread_count(), peaks.f32 * 1e-9, peaks.bf16 * 1e-9);
  std::vector<float> in(8 << 20);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = float(i % 31) * 0.1f - 1.5f;
  std::vector<std::vector<float>> out(5, std::vector<float>(8 << 20));
  std::vector<Case> cases = {{1, 1024, 12, 1, DType::f32, {}, {}},
                             {1, 1024, 12, 1, DType::bf16, {}, {}},
                             {1, 1024, 3, 4, DType::f32, {}, {}},
                             {1, 4096, 2, 1, DType::f32, {}, {}}};
  for (int i = 0; i <= rounds; ++i)
    for (Case& c : cases) run(c, in, out);
  for (const Case& c : cases) {
    const double heads = double(c.b * c.g * c.r), flop = heads * double(c.s * c.s) * kHeadSize * 2;
    const double peak = c.dtype == DType::bf16 ? peaks.bf16 : peaks.f32;
    const double forward = flop / median(c.forward), backward = 2.5 * flop / median(c.backward);
    fmt::print(
        "b {} s {:4} g {:2} r {} {:4} forward {:6.1f} ({:4.1f}%) backward {:6.1f} ({:4.1f}%)\n",
        c.b, c.s, c.g, c.r, dtype_name(c.dtype), forward * 1e-9, 100 * forward / peak,
        backward * 1e-9, 100 * backward / peak);
  }
}
