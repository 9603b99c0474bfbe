// Element types and their conversions.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace autarky {

enum class DType : std::uint8_t { f64, f32, bf16, f16, i64, i32, u16, u8 };

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  int bytes;
  bool floating;
};
inline constexpr DTypeInfo kDTypes[] = {
    {DType::f64, "f64", 8, true},  {DType::f32, "f32", 4, true},  {DType::bf16, "bf16", 2, true},
    {DType::f16, "f16", 2, true},  {DType::i64, "i64", 8, false}, {DType::i32, "i32", 4, false},
    {DType::u16, "u16", 2, false}, {DType::u8, "u8", 1, false}};

constexpr const DTypeInfo& dtype_info(DType t) { return kDTypes[static_cast<int>(t)]; }
constexpr std::int64_t byte_size(DType t) { return dtype_info(t).bytes; }
constexpr std::string_view dtype_name(DType t) { return dtype_info(t).name; }
constexpr bool is_floating(DType t) { return dtype_info(t).floating; }
constexpr std::optional<DType> parse_dtype(std::string_view name) {
  for (const auto& d : kDTypes)
    if (d.name == name) return d.dtype;
  return std::nullopt;
}

// bfloat16: the upper half of an f32; rounds to nearest even, keeps NaN a NaN.
struct bf16 {
  std::uint16_t bits = 0;
  bf16() = default;
  explicit bf16(float x) {
    auto u = std::bit_cast<std::uint32_t>(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) bits = std::uint16_t((u >> 16) | 0x40);
    else bits = std::uint16_t((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(std::uint32_t(bits) << 16); }
};
static_assert(sizeof(bf16) == 2);

// IEEE half precision, rounds to nearest even. Storage only.
struct f16 {
  std::uint16_t bits = 0;
  f16() = default;
  explicit f16(float x) : bits(from_float(x)) {}
  explicit operator float() const {
    const std::uint32_t sign = std::uint32_t(bits & 0x8000u) << 16;
    const std::uint32_t exponent = (bits >> 10) & 0x1fu, mantissa = bits & 0x3ffu;
    if (exponent == 0) {
      const float magnitude = std::ldexp(float(mantissa), -24);
      return sign ? -magnitude : magnitude;
    }
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  }

 private:
  static std::uint16_t from_float(float x) {
    const auto u = std::bit_cast<std::uint32_t>(x);
    const std::uint16_t sign = std::uint16_t((u >> 16) & 0x8000u);
    const std::uint32_t a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return sign | 0x7e00u;
    if (a >= 0x477ff000u) return sign | 0x7c00u;  // rounds to infinity
    if (a < 0x38800000u)                          // subnormal: exact scaling, then round to even
      return sign | std::uint16_t(std::nearbyint(std::ldexp(double(std::bit_cast<float>(a)), 24)));
    return sign | std::uint16_t((a + 0xfffu + ((a >> 13) & 1) - 0x38000000u) >> 13);
  }
};

}  // namespace autarky
