// UTF-8: finding the valid stretches of arbitrary bytes, writing and reading code points.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace autarky {

// Length in bytes of the longest prefix that is valid UTF-8 (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF).
std::size_t valid_utf8_prefix(std::string_view bytes);

// Length of the longest prefix of at most `limit` bytes that cuts no code point of valid text.
std::size_t utf8_floor(std::string_view text, std::size_t limit);

// Where the last code point of text begins; text.size() if its end is not valid UTF-8.
std::size_t last_code_point(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);

// The code point that starts at `position` of valid UTF-8; moves `position` behind it.
char32_t next_code_point(std::string_view valid, std::size_t& position);

}  // namespace autarky
