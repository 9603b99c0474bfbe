// exact_sum: a block's sum in 32 columns of f64, the blocks as digits.
#include "ops/exact_sum.h"

#include "backend/cpu/kernels.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/supports.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/exact_sum.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h: read once for each instruction set.
#include "backend/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autarky::cpu::HWY_NAMESPACE {

constexpr hn::ScalableTag<double> kWide;
constexpr hn::Rebind<float, hn::ScalableTag<double>> kNarrow;
constexpr hn::Rebind<std::uint16_t, hn::ScalableTag<double>> kNarrowHalves;
constexpr hn::Rebind<std::uint32_t, hn::ScalableTag<double>> kNarrowWords;
using Doubles = hn::Vec<hn::ScalableTag<double>>;

HWY_INLINE Doubles wide(const float* p) { return hn::PromoteTo(kWide, hn::LoadU(kNarrow, p)); }
HWY_INLINE Doubles wide(const bf16* p) {
  const auto bits = hn::LoadU(kNarrowHalves, reinterpret_cast<const std::uint16_t*>(p));
  const auto word = hn::ShiftLeft<16>(hn::PromoteTo(kNarrowWords, bits));
  return hn::PromoteTo(kWide, hn::BitCast(kNarrow, word));
}

// Sums of 32 columns, the element i in column i % 32, whatever the width of a vector; then the
// columns in order. A column's sum over `n` elements at `p`, n a multiple of 32.
template <class T>
HWY_INLINE void column_sums(const T* p, std::int64_t n, bool square, double* sums) {
  const std::int64_t step = std::int64_t(hn::Lanes(kWide));
  const auto term = [&](const T* at, Doubles sum) HWY_ATTR {
    const Doubles x = wide(at);
    return square ? hn::MulAdd(x, x, sum) : hn::Add(x, sum);
  };
  for (std::int64_t col = 0; col < 32; col += 4 * step) {
    Doubles a = hn::Zero(kWide), b = a, c = a, d = a;
    for (std::int64_t i = col; i < n; i += 32) {
      a = term(p + i, a);
      b = term(p + i + step, b);
      c = term(p + i + 2 * step, c);
      d = term(p + i + 3 * step, d);
    }
    hn::StoreU(a, kWide, sums + col);
    hn::StoreU(b, kWide, sums + col + step);
    hn::StoreU(c, kWide, sums + col + 2 * step);
    hn::StoreU(d, kWide, sums + col + 3 * step);
  }
}

double block_sum(const void* data, DType dtype, std::int64_t n, bool square) {
  double total = 0;
  with_storage(dtype, [&](auto element) HWY_ATTR {
    const auto* p = static_cast<const decltype(element)*>(data);
    double sums[32] = {};
    const std::int64_t whole = n / 32 * 32;
    if (whole > 0) column_sums(p, whole, square, sums);
    for (std::int64_t i = whole; i < n; ++i) {
      const double x = double(float(p[i]));
      sums[i % 32] += square ? x * x : x;
    }
    for (const double sum : sums) total += sum;
  });
  return total;
}

}  // namespace autarky::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autarky::cpu {

HWY_EXPORT(block_sum);

namespace {

constexpr std::int64_t kBlocksPerTask = 8;

std::int64_t sum_tasks(const Type& x) {
  return ceil_div(x.elements(), Digits::kBlock * kBlocksPerTask);
}

// Digits add up in any order, so each task has its own.
void launch_exact_sum(const ExactSum::Attrs& a, const KernelArgs& x) {
  const std::int64_t tasks = sum_tasks(*x.in[0].type), n = x.in[0].elements();
  const DType dtype = x.in[0].dtype();
  auto* sums = reinterpret_cast<std::int64_t*>(x.scratch.data());
  parallel_for(tasks, [&](std::int64_t task, int) {
    const std::span<std::int64_t, Digits::kCount> digits(sums + task * Digits::kCount,
                                                         Digits::kCount);
    std::fill(digits.begin(), digits.end(), 0);
    const std::int64_t first = task * kBlocksPerTask * Digits::kBlock;
    const std::int64_t end = std::min(n, first + kBlocksPerTask * Digits::kBlock);
    for (std::int64_t i = first; i < end; i += Digits::kBlock)
      Digits::add(HWY_DYNAMIC_DISPATCH(block_sum)(x.in[0].data + i * byte_size(dtype), dtype,
                                                  std::min(Digits::kBlock, end - i), a.square),
                  digits);
  });
  auto* out = x.out[0].as<std::int64_t>();
  std::fill_n(out, Digits::kCount, 0);
  for (std::int64_t i = 0; i < tasks * Digits::kCount; ++i) out[i % Digits::kCount] += sums[i];
}

}  // namespace

void add_exact_sum_kernels(KernelTable& table) {
  table.add<ExactSum>(TypedKernel<ExactSum>{
      "simd", [](const auto&, Types in, Types) { return wants_storage(in[0], "x"); },
      launch_exact_sum,
      [](const auto&, Types in, Types) {
        return sum_tasks(in[0]) * Digits::kCount * std::int64_t(sizeof(std::int64_t));
      }});
}

}  // namespace autarky::cpu
#endif  // HWY_ONCE
