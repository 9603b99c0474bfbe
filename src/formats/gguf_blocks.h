// Element types of GGUF tensors. Quantised ones store a row in blocks of 32 values; d and m are
// f16:
//   Q8_0: d, i8 q[32]        x = d q
//   Q4_0: d, nibbles q[32]   x = d (q - 8)
//   Q4_1: d, m, nibbles      x = d q + m
// Nibble j is the low half of byte j for j < 16, the high half of byte j - 16 above.
// Source: docs/gguf.md and src/ggml-common.h of the ggml project.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace autarky {

enum class GgufType : std::uint32_t { f32 = 0, f16 = 1, q4_0 = 2, q4_1 = 3, q8_0 = 8, bf16 = 30 };

struct GgufTypeInfo {
  GgufType type;
  std::string_view name;       // "q8_0", as in options
  std::int64_t values, bytes;  // of a block; 1 value for plain types
};

// nullptr for a type that is not read here.
const GgufTypeInfo* find_gguf_type(std::uint32_t code);
const GgufTypeInfo& gguf_type_info(GgufType type);
std::optional<GgufType> parse_gguf_type(std::string_view name);
// What others call a type's number: "Q4_K"; "type 77" for one that has no name.
std::string gguf_type_name(std::uint32_t code);

// Values of whole blocks, as f32. `bytes` has as many blocks as `values`.
void decode_blocks(GgufType type, std::span<const std::byte> bytes, std::span<float> values);
// f32, f16, bf16 (to nearest even) and Q8_0: d = max |x| / 127, q = x/d rounded half away from 0.
// InputError, naming `where`, for numbers that Q8_0 cannot hold: not finite, or above 127 x 65504.
void encode_blocks(GgufType type, std::span<const float> values, std::span<std::byte> bytes,
                   std::string_view where);

}  // namespace autarky
