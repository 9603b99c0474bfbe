// Unicode normalisation form C (ICU).
#pragma once
#include <string>
#include <string_view>

namespace autarky {

// NFC of each maximal stretch of valid UTF-8; other bytes stay as they are.
std::string nfc(std::string_view bytes);

}  // namespace autarky
