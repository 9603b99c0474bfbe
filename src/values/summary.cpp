#include "values/summary.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "ops/exact_sum.h"

namespace autarky {
namespace {

// The finalizer of SplitMix64 (Steele, Lea, Flood, 2014): every bit of x changes half of the
// result's.
constexpr std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

template <class T>
std::uint64_t bits_of(T x) {
  if constexpr (sizeof(T) == 8) return std::bit_cast<std::uint64_t>(x);
  else if constexpr (sizeof(T) == 4) return std::bit_cast<std::uint32_t>(x);
  else if constexpr (sizeof(T) == 2) return std::bit_cast<std::uint16_t>(x);
  else return std::bit_cast<std::uint8_t>(x);
}

template <class T>
double number_of(T x) {
  if constexpr (std::is_same_v<T, bf16>) return double(float(x));
  else return double(x);
}

template <class T>
ValueSummary sum_of(const T* values, std::int64_t first, std::int64_t count) {
  ValueSummary s;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint64_t drawn = mixed(std::uint64_t(first + i) + 0x9e3779b97f4a7c15ull);
    s.hash += mixed(drawn ^ bits_of(values[i]));
    const double x = number_of(values[i]);
    if (!std::isfinite(x)) {
      ++s.bad;
      continue;
    }
    s.squares += x * x;
    for (std::size_t k = 0; k < s.lot.size(); ++k) s.lot[k] += (drawn >> k) & 1 ? x : -x;
    s.least = std::min(s.least, float(x));
    s.greatest = std::max(s.greatest, float(x));
  }
  s.present = std::uint32_t(count);
  return s;
}

ValueSummary sum_of(const Tensor& t, const Stretch& r) {
  const auto of = [&]<class T>(const T* values) {
    return sum_of(values + r.part, r.whole, r.count);
  };
  switch (t.dtype()) {
    case DType::f64:
      return of(t.as<const double>());
    case DType::f32:
      return of(t.as<const float>());
    case DType::bf16:
      return of(t.as<const bf16>());
    case DType::i64:
      return of(t.as<const std::int64_t>());
    case DType::i32:
      return of(t.as<const std::int32_t>());
    case DType::u16:
      return of(t.as<const std::uint16_t>());
    case DType::u8:
      return of(t.as<const std::uint8_t>());
    case DType::f16:
      break;
  }
  AUTARKY_CHECK(false, "f16 is no element type of a program");
}

}  // namespace

std::optional<double> exact_sum_of(const Tensor& t) {
  if (t.dtype() != DType::i64 || t.elements() != Digits::kCount) return std::nullopt;
  return Digits::value(
      std::span<const std::int64_t, Digits::kCount>(t.as<const std::int64_t>(), Digits::kCount));
}

ValueSummary summarize(const Tensor& part, std::span<const Stretch> runs) {
  if (const auto sum = exact_sum_of(part)) {
    ValueSummary s = sum_of(&*sum, 0, 1);
    s.hash = 0;
    for (const auto& r : runs) s.hash += sum_of(part, r).hash;
    return s;
  }
  constexpr std::int64_t kGroup = 64;  // runs that a thread adds in their order
  const auto groups = (std::int64_t(runs.size()) + kGroup - 1) / kGroup;
  std::vector<ValueSummary> sums(std::size_t(groups), ValueSummary{});
  parallel_for(groups, [&](std::int64_t g, int) {
    for (auto i = g * kGroup; i < std::min((g + 1) * kGroup, std::int64_t(runs.size())); ++i)
      sums[std::size_t(g)] = sums[std::size_t(g)] + sum_of(part, runs[std::size_t(i)]);
  });
  ValueSummary all;
  for (const auto& s : sums) all = all + s;
  return all;
}

ValueSummary operator+(ValueSummary a, const ValueSummary& b) {
  a.hash += b.hash;
  a.squares += b.squares;
  for (std::size_t k = 0; k < a.lot.size(); ++k) a.lot[k] += b.lot[k];
  a.least = std::min(a.least, b.least);
  a.greatest = std::max(a.greatest, b.greatest);
  a.bad += b.bad;
  a.present += b.present;
  return a;
}

double distance(const ValueSummary& a, const ValueSummary& b) {
  if (a.bad != b.bad) return std::numeric_limits<double>::infinity();
  double square = 0;
  for (std::size_t k = 0; k < a.lot.size(); ++k) square += std::pow(a.lot[k] - b.lot[k], 2);
  const double size = std::max(a.squares, b.squares);
  return size > 0 ? std::min(2.0, std::sqrt(square / double(a.lot.size()) / size)) : 0;
}

}  // namespace autarky
