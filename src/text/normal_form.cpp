#include "text/normal_form.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include "base/error.h"
#include "text/utf8.h"

namespace autarky {
namespace {

// ICU counts bytes in 32 bits: longer texts are cut before a character that never combines.
constexpr std::size_t kChunk = std::size_t(1) << 28;

// Characters that the library which tokenizers are made with knows: those of Unicode 9. Newer ones
// stay as they are and where they are.
const icu::UnicodeSet& known_characters() {
  static const icu::UnicodeSet set = [] {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeSet known(icu::UnicodeString(u"[:Age=9.0:]"), status);
    if (U_FAILURE(status)) throw Error("the Unicode library has no ages of characters");
    known.freeze();
    return known;
  }();
  return set;
}

const icu::Normalizer2& whole_normalizer(NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* n = nullptr;
  switch (form) {
    case NormalForm::nfc:
      n = icu::Normalizer2::getNFCInstance(status);
      break;
    case NormalForm::nfd:
      n = icu::Normalizer2::getNFDInstance(status);
      break;
    case NormalForm::nfkc:
      n = icu::Normalizer2::getNFKCInstance(status);
      break;
    case NormalForm::nfkd:
      n = icu::Normalizer2::getNFKDInstance(status);
      break;
  }
  if (U_FAILURE(status) || n == nullptr)
    throw Error("the Unicode library has no data of normal forms").hint("Reinstall libicu.");
  return *n;
}

std::size_t chunk_end(const icu::Normalizer2& n, std::string_view text) {
  std::size_t end = utf8_floor(text, kChunk);
  while (end < text.size()) {
    std::size_t next = end;
    if (n.hasBoundaryBefore(UChar32(next_code_point(text, next)))) break;
    end = next;
  }
  return end;
}

void append_normal(const icu::Normalizer2& n, std::string_view valid, std::string& out) {
  icu::StringByteSink<std::string> sink(&out);
  while (!valid.empty()) {
    const std::size_t end = chunk_end(n, valid);
    UErrorCode status = U_ZERO_ERROR;
    n.normalizeUTF8(0, icu::StringPiece(valid.data(), std::int32_t(end)), sink, nullptr, status);
    if (U_FAILURE(status)) throw Error("normalising a text failed").found(u_errorName(status));
    valid.remove_prefix(end);
  }
}

}  // namespace

std::string normal_form(NormalForm form, std::string_view bytes) {
  const icu::FilteredNormalizer2 n(whole_normalizer(form), known_characters());
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t valid = valid_utf8_prefix(bytes);
    append_normal(n, bytes.substr(0, valid), out);
    bytes.remove_prefix(valid);
    if (!bytes.empty()) {
      out += bytes.front();
      bytes.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace autarky
