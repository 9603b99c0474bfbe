#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "comm/comm.h"

namespace autarky {
namespace {

template <class T>
T combine(Reduction how, T a, T b) {
  if (how == Reduction::sum) return T(a + b);
  if (how == Reduction::max) return std::max(a, b);
  const double top = std::max(double(a), double(b)), low = std::min(double(a), double(b));
  return std::isinf(top) ? T(top) : T(top + std::log1p(std::exp(low - top)));
}

template <class T>
void reduce_as(Reduction how, std::span<std::byte> into, std::span<const std::byte> other) {
  auto* a = reinterpret_cast<T*>(into.data());
  const auto* b = reinterpret_cast<const T*>(other.data());
  for (std::size_t i = 0; i < into.size() / sizeof(T); ++i) a[i] = combine(how, a[i], b[i]);
}

void reduce_bf16(Reduction how, std::span<std::byte> into, std::span<const std::byte> other) {
  auto* a = reinterpret_cast<bf16*>(into.data());
  const auto* b = reinterpret_cast<const bf16*>(other.data());
  for (std::size_t i = 0; i < into.size() / sizeof(bf16); ++i)
    a[i] = bf16(combine(how, float(a[i]), float(b[i])));
}

}  // namespace

void reduce_into(DType dtype, Reduction how, std::span<std::byte> into,
                 std::span<const std::byte> other) {
  switch (dtype) {
    case DType::f64:
      return reduce_as<double>(how, into, other);
    case DType::f32:
      return reduce_as<float>(how, into, other);
    case DType::bf16:
      return reduce_bf16(how, into, other);
    case DType::i64:
      return reduce_as<std::int64_t>(how, into, other);
    case DType::i32:
      return reduce_as<std::int32_t>(how, into, other);
    default:
      AUTARKY_CHECK(false, dtype_name(dtype));
  }
}

}  // namespace autarky
