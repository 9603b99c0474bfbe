#include "text/utf8.h"

#include <cstdint>
#include <cstring>

namespace autarky {
namespace {

// Length of the valid code point at p[0, n), or 0. The first byte fixes the length and the range
// of the second (Unicode standard, table 3-7).
std::size_t code_point_length(const unsigned char* p, std::size_t n) {
  const unsigned char first = p[0];
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (n < length) return 0;
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (p[1] < low || p[1] > high) return 0;
  for (std::size_t i = 2; i < length; ++i)
    if ((p[i] & 0xC0) != 0x80) return 0;
  return length;
}

bool eight_ascii(const unsigned char* p) {
  std::uint64_t word;
  std::memcpy(&word, p, 8);
  return (word & 0x8080808080808080ull) == 0;
}

}  // namespace

std::size_t valid_utf8_prefix(std::string_view bytes) {
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  const std::size_t n = bytes.size();
  std::size_t i = 0;
  while (i < n) {
    if (i + 8 <= n && eight_ascii(p + i)) {
      i += 8;
      continue;
    }
    const std::size_t length = code_point_length(p + i, n - i);
    if (length == 0) break;
    i += length;
  }
  return i;
}

std::size_t utf8_floor(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text.size();
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) --limit;
  return limit;
}

std::size_t last_code_point(std::string_view text) {
  std::size_t start = text.size();
  while (start > 0 && text.size() - start < 4)
    if ((static_cast<unsigned char>(text[--start]) & 0xC0) != 0x80) break;
  return valid_utf8_prefix(text.substr(start)) == text.size() - start ? start : text.size();
}

void append_utf8(std::string& out, char32_t c) {
  const auto tail = [&](int shift) { out += char(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    out += char(c);
  } else if (c < 0x800) {
    out += char(0xC0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out += char(0xE0 | (c >> 12));
    tail(6), tail(0);
  } else {
    out += char(0xF0 | (c >> 18));
    tail(12), tail(6), tail(0);
  }
}

char32_t next_code_point(std::string_view valid, std::size_t& position) {
  const auto first = static_cast<unsigned char>(valid[position++]);
  if (first < 0x80) return first;
  const int tails = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
  char32_t c = first & (0x3F >> tails);
  for (int i = 0; i < tails; ++i)
    c = (c << 6) | (static_cast<unsigned char>(valid[position++]) & 0x3F);
  return c;
}

}  // namespace autarky
