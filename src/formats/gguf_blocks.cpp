#include "formats/gguf_blocks.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <cstring>

#include "base/dtype.h"
#include "base/error.h"

namespace autarky {
namespace {

constexpr std::int64_t kBlock = 32;
constexpr GgufTypeInfo kTypes[] = {{GgufType::f32, "f32", 1, 4},
                                   {GgufType::f16, "f16", 1, 2},
                                   {GgufType::bf16, "bf16", 1, 2},
                                   {GgufType::q8_0, "q8_0", kBlock, 2 + kBlock},
                                   {GgufType::q4_0, "q4_0", kBlock, 2 + kBlock / 2},
                                   {GgufType::q4_1, "q4_1", kBlock, 4 + kBlock / 2}};

// By number; "" where none was ever given.
constexpr std::string_view kNames[] = {
    "F32",     "F16",    "Q4_0",    "Q4_1",  "",       "",      "Q5_0",  "Q5_1",
    "Q8_0",    "Q8_1",   "Q2_K",    "Q3_K",  "Q4_K",   "Q5_K",  "Q6_K",  "Q8_K",
    "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS",
    "I8",      "I16",    "I32",     "I64",   "F64",    "IQ1_M", "BF16"};

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
float half(const std::byte* from) { return static_cast<float>(load<f16>(from)); }

template <typename Stored>
void decode_plain(const std::byte* in, std::span<float> values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(load<Stored>(in + i * sizeof(Stored)));
}

template <typename Stored>
void encode_plain(std::span<const float> values, std::byte* out) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Stored x(values[i]);
    std::memcpy(out + i * sizeof x, &x, sizeof x);
  }
}

void decode_q8_0(const std::byte* in, float* out) {
  const float d = half(in);
  for (int i = 0; i < kBlock; ++i) out[i] = d * float(load<std::int8_t>(in + 2 + i));
}

// x = d (q - shift) + m
void decode_nibbles(const std::byte* in, float d, int shift, float m, float* out) {
  constexpr int half_block = kBlock / 2;
  for (int i = 0; i < half_block; ++i) {
    const int byte = std::to_integer<int>(in[i]);
    out[i] = d * float((byte & 15) - shift) + m;
    out[i + half_block] = d * float((byte >> 4) - shift) + m;
  }
}

void encode_q8_0(const float* in, std::byte* out, std::string_view where) {
  float most = 0;
  for (int i = 0; i < kBlock; ++i) {
    most = std::max(most, std::fabs(in[i]));
    if (std::isnan(in[i])) most = NAN;
  }
  const float scale = most / 127;
  const f16 d(scale);
  if (!std::isfinite(static_cast<float>(d)))
    throw InputError("a number does not fit into Q8_0")
        .at(where)
        .found(fmt::format("{}", most))
        .wanted("finite, at most 8319008");
  const float inverse = scale > 0 ? 1 / scale : 0;
  std::memcpy(out, &d, sizeof d);
  for (int i = 0; i < kBlock; ++i) {
    const auto q = static_cast<std::int8_t>(std::round(in[i] * inverse));
    std::memcpy(out + 2 + i, &q, 1);
  }
}

void encode_q8_0_blocks(std::span<const float> values, std::byte* out, std::string_view where) {
  for (std::size_t i = 0; i < values.size(); i += kBlock, out += 2 + kBlock)
    encode_q8_0(values.data() + i, out, where);
}

void check_sizes(GgufType type, std::size_t values, std::size_t bytes) {
  const GgufTypeInfo& info = gguf_type_info(type);
  AUTARKY_CHECK(values % std::size_t(info.values) == 0 &&
                    values / std::size_t(info.values) * std::size_t(info.bytes) == bytes,
                "whole blocks");
}

}  // namespace

const GgufTypeInfo* find_gguf_type(std::uint32_t code) {
  for (const auto& info : kTypes)
    if (std::uint32_t(info.type) == code) return &info;
  return nullptr;
}

const GgufTypeInfo& gguf_type_info(GgufType type) {
  const GgufTypeInfo* info = find_gguf_type(std::uint32_t(type));
  AUTARKY_CHECK(info, "every type has a line in the table");
  return *info;
}

std::optional<GgufType> parse_gguf_type(std::string_view name) {
  for (const auto& info : kTypes)
    if (info.name == name) return info.type;
  return std::nullopt;
}

std::string gguf_type_name(std::uint32_t code) {
  if (code < std::size(kNames) && !kNames[code].empty()) return std::string(kNames[code]);
  return fmt::format("type {}", code);
}

void decode_blocks(GgufType type, std::span<const std::byte> bytes, std::span<float> values) {
  check_sizes(type, values.size(), bytes.size());
  const std::byte* in = bytes.data();
  if (type == GgufType::f32) return decode_plain<float>(in, values);
  if (type == GgufType::f16) return decode_plain<f16>(in, values);
  if (type == GgufType::bf16) return decode_plain<bf16>(in, values);
  const auto step = gguf_type_info(type).bytes;
  float* out = values.data();
  for (std::size_t i = 0; i < values.size(); i += kBlock, in += step, out += kBlock) {
    if (type == GgufType::q8_0) decode_q8_0(in, out);
    else if (type == GgufType::q4_0) decode_nibbles(in + 2, half(in), 8, 0, out);
    else decode_nibbles(in + 4, half(in), 0, half(in + 2), out);
  }
}

void encode_blocks(GgufType type, std::span<const float> values, std::span<std::byte> bytes,
                   std::string_view where) {
  check_sizes(type, values.size(), bytes.size());
  if (type == GgufType::f32) return encode_plain<float>(values, bytes.data());
  if (type == GgufType::f16) return encode_plain<f16>(values, bytes.data());
  if (type == GgufType::bf16) return encode_plain<bf16>(values, bytes.data());
  AUTARKY_CHECK(type == GgufType::q8_0, "a type that is written");
  encode_q8_0_blocks(values, bytes.data(), where);
}

}  // namespace autarky
