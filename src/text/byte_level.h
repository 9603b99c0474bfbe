// The byte-level alphabet of GPT-2: each of the 256 bytes is written as one visible character, so
// that any byte string is a text without spaces. Bytes 33-126, 161-172 and 174-255 stand for
// themselves; the n-th other byte is U+0100 + n.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace autarky {

std::string byte_level_text(std::string_view bytes);

// The bytes that `text` (valid UTF-8) writes; nothing if a character is not of the alphabet.
std::optional<std::string> byte_level_bytes(std::string_view text);

// All bytes, ordered by their characters: the order of ids 0 to 255 in GPT-2's vocabulary.
std::array<std::uint8_t, 256> byte_level_order();

}  // namespace autarky
