// The steps of tokenizer.json as JSON: `normalizer`, `pre_tokenizer`, `decoder`.
#pragma once
#include <vector>

#include "base/json.h"
#include "text/json_fields.h"
#include "text/tokenizer_steps.h"

namespace autarky {

// Null and Sequence become lists. Throw InputError that names the key.
std::vector<NormalizerStep> read_normalizer(const JsonField& field);
std::vector<PreTokenizerStep> read_pre_tokenizer(const JsonField& field);
std::vector<DecoderStep> read_decoder(const JsonField& field);

// Null for no step, a Sequence for several.
Json normalizer_json(const std::vector<NormalizerStep>& steps);
Json pre_tokenizer_json(const std::vector<PreTokenizerStep>& steps);
Json decoder_json(const std::vector<DecoderStep>& steps);

}  // namespace autarky
