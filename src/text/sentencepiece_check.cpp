#include "text/sentencepiece_check.h"

#include <fmt/core.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "base/error.h"
#include "text/tokenizer_spec.h"

namespace autarky {
namespace {

// Field numbers of ModelProto and NormalizerSpec in sentencepiece_model.proto.
constexpr std::uint32_t kPieces = 1, kNormalizer = 3, kDenormalizer = 5, kCharsmap = 2;

struct Field {
  std::uint32_t number = 0;
  std::string_view bytes;  // of length-delimited fields, else empty
};

// Fields of a protobuf message in order; `broken` where it ends early.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}
  bool broken = false;

  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const std::uint64_t key = varint();
    Field field{std::uint32_t(key >> 3), {}};
    switch (key & 7) {
      case 0:
        varint();
        break;
      case 1:
        take(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        take(4);
        break;
      default:
        broken = true;
    }
    if (broken) return std::nullopt;
    return field;
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    broken = true;
    return 0;
  }
  std::string_view take(std::uint64_t n) {
    broken |= n > rest_.size();
    if (broken) return {};
    const std::string_view bytes = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return bytes;
  }

  std::string_view rest_;
};

// A unit of a double-array trie (Darts-clone): from unit i, byte b leads to i ^ offset ^ b, and the
// value of a node that is an end is at i ^ offset.
struct Unit {
  std::uint32_t bits;
  bool is_value() const { return bits >> 31; }
  bool has_value() const { return (bits >> 8) & 1; }
  std::uint32_t value() const { return bits & 0x7FFFFFFF; }
  std::uint32_t offset() const { return (bits >> 10) << ((bits & (1u << 9)) >> 6); }
};

// A charsmap: bytes of the trie (u32), the trie, texts that end with NUL; values are places there.
bool charsmap_is_closed(std::string_view map) {
  if (map.empty()) return true;
  std::uint32_t size = 0;
  if (map.size() <= sizeof size) return false;
  std::memcpy(&size, map.data(), sizeof size);
  map.remove_prefix(sizeof size);
  if (size >= map.size() || size % sizeof(Unit) != 0 || size == 0 || map.back() != '\0')
    return false;
  std::vector<Unit> units(size / sizeof(Unit));
  std::memcpy(units.data(), map.data(), size);
  const std::size_t texts = map.size() - size;
  for (std::uint32_t i = 0; i < units.size(); ++i) {
    if (i > 0 && units[i].is_value()) continue;  // no byte leads there; the first is the root
    const std::uint32_t child = i ^ units[i].offset();
    if ((child | 0xFF) >= units.size()) return false;
    if (units[i].has_value() && units[child].value() >= texts) return false;
  }
  return true;
}

}  // namespace

void check_sentencepiece_model(std::string_view model, std::string_view where) {
  const auto refuse = [&](std::string_view why) {
    return InputError("not a SentencePiece model")
        .at(where)
        .found(why)
        .hint("The file may be truncated: copy it again.");
  };
  std::int32_t pieces = 0;
  Fields fields(model);
  while (const auto field = fields.next()) {
    if (field->number == kPieces && ++pieces > TokenizerSpec::kMaxVocab)
      throw refuse(fmt::format("more than {} pieces", TokenizerSpec::kMaxVocab));
    if (field->number != kNormalizer && field->number != kDenormalizer) continue;
    Fields inner(field->bytes);
    while (const auto part = inner.next())
      if (part->number == kCharsmap && !charsmap_is_closed(part->bytes))
        throw refuse("a table of its normalizer that leads outside of itself");
    if (inner.broken) throw refuse("a normalizer that ends early");
  }
  if (fields.broken)
    throw refuse(fmt::format("a message of {} bytes that ends early", model.size()));
  if (pieces == 0) throw refuse("no pieces");
}

}  // namespace autarky
