#include "text/byte_level.h"

#include "text/utf8.h"

namespace autarky {
namespace {

constexpr bool is_visible(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

constexpr std::array<char16_t, 256> make_characters() {
  std::array<char16_t, 256> characters{};
  int others = 0;
  for (int byte = 0; byte < 256; ++byte)
    characters[std::size_t(byte)] = char16_t(is_visible(byte) ? byte : 256 + others++);
  return characters;
}
constexpr std::array<char16_t, 256> kCharacters = make_characters();
constexpr int kInvisible = 68;  // bytes that do not stand for themselves

// Byte of each character below U+0144, or -1.
constexpr std::array<std::int16_t, 256 + kInvisible> make_bytes() {
  std::array<std::int16_t, 256 + kInvisible> bytes{};
  for (auto& b : bytes) b = -1;
  for (int byte = 0; byte < 256; ++byte) bytes[kCharacters[std::size_t(byte)]] = std::int16_t(byte);
  return bytes;
}
constexpr auto kBytes = make_bytes();

}  // namespace

std::string byte_level_text(std::string_view bytes) {
  std::string text;
  for (const char b : bytes) append_utf8(text, kCharacters[static_cast<unsigned char>(b)]);
  return text;
}

std::optional<std::string> byte_level_bytes(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = next_code_point(text, i);
    if (c >= kBytes.size() || kBytes[c] < 0) return std::nullopt;
    bytes += char(kBytes[c]);
  }
  return bytes;
}

std::array<std::uint8_t, 256> byte_level_order() {
  std::array<std::uint8_t, 256> order{};
  std::size_t n = 0;
  for (const std::int16_t byte : kBytes)
    if (byte >= 0) order[n++] = std::uint8_t(byte);
  return order;
}

}  // namespace autarky
