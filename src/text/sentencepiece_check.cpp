#include "text/sentencepiece_check.h"

#include <fmt/core.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/protobuf_wire.h"
#include "text/tokenizer_spec.h"

namespace autarky {
namespace {

// ProtobufField numbers of ModelProto and NormalizerSpec in sentencepiece_model.proto.
constexpr std::uint32_t kPieces = 1, kNormalizer = 3, kDenormalizer = 5, kCharsmap = 2;

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
  ProtobufFields fields(model);
  while (const auto field = fields.next()) {
    if (field->number == kPieces && ++pieces > TokenizerSpec::kMaxVocab)
      throw refuse(fmt::format("more than {} pieces", TokenizerSpec::kMaxVocab));
    if (field->number != kNormalizer && field->number != kDenormalizer) continue;
    ProtobufFields inner(field->bytes);
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
