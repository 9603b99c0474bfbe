// Matrix products at the shapes of a small model: GFLOP/s and share of the measured peak.
// Usage: gemm_bench [rounds]. Every round runs all cases once, in turn; the median is printed.
#include <dnnl.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "backend/cpu/cpu_info.h"
#include "backend/cpu/gemm.h"
#include "base/parallel.h"

namespace {

using namespace autarky;

struct Case {
  std::string name;
  cpu::GemmShape shape;
  DType in, out;
  bool transposed_a, transposed_b, onednn;
  std::vector<double> seconds;
};

cpu::GemmOperand operand(const void* data, DType dtype, std::int64_t rows, std::int64_t cols,
                         bool transposed) {
  return transposed ? cpu::GemmOperand{data, dtype, 1, rows}
                    : cpu::GemmOperand{data, dtype, cols, 1};
}

double run(const Case& c, const void* a, const void* b, void* out) {
  const auto [m, n, k, split] = c.shape;
  const auto start = std::chrono::steady_clock::now();
  if (c.onednn)
    dnnl_sgemm(c.transposed_a ? 'T' : 'N', c.transposed_b ? 'T' : 'N', m, n, k, 1.0f,
               static_cast<const float*>(a), c.transposed_a ? m : k, static_cast<const float*>(b),
               c.transposed_b ? k : n, 0.0f, static_cast<float*>(out), n);
  else
    cpu::gemm(c.shape, operand(a, c.in, m, k, c.transposed_a),
              operand(b, c.in, k, n, c.transposed_b), {out, c.out, n, false});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<Case> make_cases() {
  struct Shape {
    const char* name;
    cpu::GemmShape shape;
    bool ta, tb;
  };
  const Shape shapes[] = {{"forward", {4096, 384, 384}, false, true},
                          {"forward", {4096, 1024, 384}, false, true},
                          {"data gradient", {4096, 384, 1024}, false, false},
                          {"weight gradient", {384, 1024, 4096, true}, true, false},
                          {"forward", {4096, 768, 768}, false, false},
                          {"forward", {4096, 2048, 768}, false, true},
                          {"data gradient", {4096, 768, 2048}, false, false},
                          {"weight gradient", {768, 2048, 4096, true}, true, false},
                          {"weight gradient", {64, 64, 65536, true}, true, false},
                          {"logits chunk", {512, 50257, 768}, false, true},
                          {"decode", {1, 2048, 2048}, false, true},
                          {"decode", {1, 50257, 768}, false, true},
                          {"decode", {1, 2048, 2048}, false, false},
                          {"decode", {4, 2048, 2048}, false, true},
                          {"decode", {8, 2048, 2048}, false, true},
                          {"decode", {32, 2048, 2048}, false, true}};
  std::vector<Case> cases;
  for (const auto& s : shapes) {
    cases.push_back({s.name, s.shape, DType::f32, DType::f32, s.ta, s.tb, false, {}});
    cases.push_back({s.name, s.shape, DType::f32, DType::f32, s.ta, s.tb, true, {}});
    const DType out = s.shape.split_k ? DType::f32 : DType::bf16;
    cases.push_back({s.name, s.shape, DType::bf16, out, s.ta, s.tb, false, {}});
  }
  return cases;
}

void report(Case& c, const cpu::Peaks& peaks) {
  std::sort(c.seconds.begin(), c.seconds.end());
  const double seconds = c.seconds[c.seconds.size() / 2];
  const double m = double(c.shape.m), n = double(c.shape.n), k = double(c.shape.k);
  const double rate = 2 * m * n * k / seconds;
  const double peak = c.in == DType::bf16 ? peaks.bf16 : peaks.f32;
  const double bytes = double(byte_size(c.in)) * (m * k + k * n) + double(byte_size(c.out)) * m * n;
  fmt::print("{:16} {:5} x {:5} x {:5} {:4} {:8} {:8.1f} GFLOP/s {:5.1f}% {:7.1f} GB/s\n", c.name,
             c.shape.m, c.shape.n, c.shape.k, dtype_name(c.in), c.onednn ? "oneDNN" : "autarky",
             rate * 1e-9, 100 * rate / peak, bytes / seconds * 1e-9);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 7;
  const cpu::Peaks peaks = cpu::measure_peaks();
  fmt::print("{}, {} threads: peak {:.1f} GFLOP/s f32, {:.1f} bf16, reads {:.1f} GB/s\n",
             cpu::isa_name(), thread_count(), peaks.f32 * 1e-9, peaks.bf16 * 1e-9,
             peaks.read_bandwidth * 1e-9);
  std::vector<float> a(64 << 20), b(64 << 20), out(64 << 20);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = b[i] = float(i % 17) * 0.01f;
  std::vector<Case> cases = make_cases();
  for (int round = 0; round <= rounds; ++round)
    for (Case& c : cases) {
      const double seconds = run(c, a.data(), b.data(), out.data());
      if (round > 0) c.seconds.push_back(seconds);
    }
  for (Case& c : cases) report(c, peaks);
}
