// What llama.cpp's two kinds of vocabularies mean as steps of a tokenizer.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/sentencepiece_model.h"
#include "text/tokenizer_spec.h"

namespace autarky {

// A byte-level tokenizer that has a name (`pre`).
struct ByteLevelKind {
  std::string_view pre;
  std::vector<PreTokenizerStep> pre_tokenizer;
  std::vector<NormalizerStep> normalizer;  // llama.cpp has none: what Hugging Face's files have
  bool ignore_merges = false;
};
const ByteLevelKind* find_byte_level_kind(std::string_view pre);  // nullptr: not known
std::string byte_level_kind_names();
// InputError for steps that have no name.
const ByteLevelKind& byte_level_kind_of(const TokenizerSpec& spec);

// Steps of a SentencePiece BPE with byte fallback: spaces are U+2581, one more in front with
// `space_prefix`.
void set_sentencepiece_steps(TokenizerSpec& spec, bool space_prefix);
// InputError for steps that are not of this kind.
bool has_space_prefix(const TokenizerSpec& spec);
bool is_byte_token(std::string_view token);  // <0x00> to <0xFF>

// A tokenizer that is a .model file as one of that kind, without merges, and its pieces' scores.
// InputError for a model that is no BPE, or changes a text before it cuts it.
struct ScoredTokenizer {
  TokenizerSpec spec;
  std::vector<float> scores;  // by id
};
ScoredTokenizer scored_tokenizer(const TokenizerSpec& model);

using Merges = std::vector<std::pair<std::int32_t, std::int32_t>>;
// All pairs of mergeable tokens that together are one, by its score, the highest first, then by
// ids. InputError, at `where`, for a token too long to be one.
Merges merges_of_scores(const std::vector<std::string>& vocab, const std::vector<bool>& mergeable,
                        const std::vector<double>& scores, std::string_view where);
// Scores that lead to the same order: minus the rank of the first merge that gives the token.
std::vector<float> scores_of_merges(const TokenizerSpec& spec);

}  // namespace autarky
