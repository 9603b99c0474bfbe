// exact_sum: a sum that does not depend on order or layout. f64 over fixed blocks of 4,096
// elements, the blocks' sums then added as whole numbers in 32-bit digits.
#pragma once
#include <array>
#include <limits>

#include "ops/elementwise.h"

namespace autarky {

// Digits of a number in base 2^32, the lowest worth 2^-64; sums of digits are never carried, so
// adding is exact and needs no order. Not finite: a mark far above any sum in the top digit.
struct Digits {
  static constexpr int kCount = 4;
  static constexpr std::int64_t kBlock = kFlatBlock;  // elements
  static constexpr std::int64_t kNotFinite = std::int64_t(1) << 52;

  static void add(double x, std::span<std::int64_t, kCount> digits) {
    if (!std::isfinite(x) || std::abs(x) >= 0x1p62) {
      digits[kCount - 1] = kNotFinite;
      return;
    }
    const std::int64_t sign = x < 0 ? -1 : 1;
    double rest = std::abs(x);
    for (int i = kCount - 1; i >= 0; --i) {
      const double unit = std::ldexp(1.0, 32 * i - 64);
      const double digit = std::floor(rest / unit);
      digits[std::size_t(i)] += sign * std::int64_t(digit);
      rest -= digit * unit;
    }
  }
  static double value(std::span<const std::int64_t, kCount> digits) {
    if (digits[kCount - 1] >= kNotFinite / 2) return std::numeric_limits<double>::quiet_NaN();
    double sum = 0;
    for (int i = kCount - 1; i >= 0; --i)
      sum += std::ldexp(double(digits[std::size_t(i)]), 32 * i - 64);
    return sum;
  }
};

struct ExactSum {
  static constexpr std::string_view name = "exact_sum";
  struct Attrs {
    bool square = false;  // sums the squares
    static constexpr auto fields() { return std::tuple{field("square", &Attrs::square)}; }
  };
  // x [..] -> digits [z]
  static DimRule rule(const Attrs&, Types in) {
    DimRule r = dim_rule(dim_names(in[0]) + " -> [z]", 1);
    r.given['z'] = Digits::kCount;
    return r;
  }
  static std::vector<DType> out_dtypes(const Attrs&, Types) { return {DType::i64}; }
  static Cost cost(const Attrs&, Types in, Types) {
    return {2 * double(in[0].elements()), double(in[0].bytes())};
  }
  static constexpr std::string_view not_differentiable =
      "it reports; losses are differentiated per token";
  static void reference(const Attrs& a, const HostArgs& x) {
    std::array<std::int64_t, Digits::kCount> digits{};
    for (std::size_t start = 0; start < x.in[0].size(); start += std::size_t(Digits::kBlock)) {
      double sum = 0;
      const auto end = std::min(x.in[0].size(), start + std::size_t(Digits::kBlock));
      for (auto i = start; i < end; ++i) sum += a.square ? x.in[0][i] * x.in[0][i] : x.in[0][i];
      Digits::add(sum, digits);
    }
    for (std::size_t i = 0; i < digits.size(); ++i) x.out[0][i] = double(digits[i]);
  }
  static std::vector<Case> cases() {
    const Type x = sample({{'b', 2}, {'s', 6}, {'e', 20}});
    return {{Attrs{}, {x}, {}}, {Attrs{true}, {x}, {}}};
  }
};

}  // namespace autarky
