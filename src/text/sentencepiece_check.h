// The SentencePiece library trusts the look-up tables inside a model file; this does not.
#pragma once
#include <string_view>

namespace autarky {

// Throws InputError, naming `where`, if `model` is no protobuf message or a table of its
// normalizers (precompiled_charsmap) leads outside of itself.
void check_sentencepiece_model(std::string_view model, std::string_view where);

}  // namespace autarky
