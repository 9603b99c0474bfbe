// What a SentencePiece .model file says, for formats that write it in another way.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace autarky {

// The values of ModelProto.SentencePiece.Type and, of the same meaning, of GGUF's token types.
enum class PieceKind : std::int64_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6
};

struct SentencePieceModel {
  struct Piece {
    std::string text;
    float score = 0;
    PieceKind kind = PieceKind::normal;
  };
  std::vector<Piece> pieces;  // by id
  bool bpe = false;           // else unigram, word or char
  bool rewrites = false;      // a text before it is cut, beside spaces as U+2581
  bool space_prefix = true;   // a space in front of every text
};

// Of the bytes of a file that check_sentencepiece_model takes (sentencepiece_model.proto).
SentencePieceModel read_sentencepiece_model(std::string_view bytes);

}  // namespace autarky
