#include "text/sentencepiece_model.h"

#include <bit>

#include "base/protobuf_wire.h"

namespace autarky {
namespace {

// Field numbers of sentencepiece_model.proto.
namespace model {
constexpr std::uint32_t kPiece = 1, kTrainer = 2, kNormalizer = 3;
}
namespace piece {
constexpr std::uint32_t kText = 1, kScore = 2, kKind = 3;
}
namespace trainer {
constexpr std::uint32_t kModelType = 3, kBpe = 2;
}
namespace normalizer {
constexpr std::uint32_t kCharsmap = 2, kDummyPrefix = 3, kRemoveSpaces = 4, kEscapeSpaces = 5;
}

SentencePieceModel::Piece read_piece(std::string_view bytes) {
  SentencePieceModel::Piece result;
  ProtobufFields fields(bytes);
  while (const auto field = fields.next()) {
    if (field->number == piece::kText) result.text = field->bytes;
    if (field->number == piece::kScore)
      result.score = std::bit_cast<float>(std::uint32_t(field->value));
    if (field->number == piece::kKind) result.kind = PieceKind(field->value);
  }
  return result;
}

void read_trainer(std::string_view bytes, SentencePieceModel& result) {
  ProtobufFields fields(bytes);
  while (const auto field = fields.next())
    if (field->number == trainer::kModelType) result.bpe = field->value == trainer::kBpe;
}

void read_normalizer(std::string_view bytes, SentencePieceModel& result) {
  bool charsmap = false, removes = true, escapes = true;
  ProtobufFields fields(bytes);
  while (const auto field = fields.next()) {
    if (field->number == normalizer::kCharsmap) charsmap = !field->bytes.empty();
    if (field->number == normalizer::kDummyPrefix) result.space_prefix = field->value != 0;
    if (field->number == normalizer::kRemoveSpaces) removes = field->value != 0;
    if (field->number == normalizer::kEscapeSpaces) escapes = field->value != 0;
  }
  result.rewrites = charsmap || removes || !escapes;
}

}  // namespace

SentencePieceModel read_sentencepiece_model(std::string_view bytes) {
  SentencePieceModel result;
  result.rewrites = true;  // as a file without a normalizer says
  ProtobufFields fields(bytes);
  while (const auto field = fields.next()) {
    if (field->number == model::kPiece) result.pieces.push_back(read_piece(field->bytes));
    if (field->number == model::kTrainer) read_trainer(field->bytes, result);
    if (field->number == model::kNormalizer) read_normalizer(field->bytes, result);
  }
  return result;
}

}  // namespace autarky
