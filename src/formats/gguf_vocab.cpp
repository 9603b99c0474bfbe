#include "formats/gguf_vocab.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "base/error.h"
#include "text/splitter.h"
#include "text/utf8.h"
#include "text/word_cutter.h"

namespace autarky {
namespace {

const std::string kSpace = "\xe2\x96\x81";  // U+2581
constexpr std::size_t kMostMerged = 1024;   // bytes of a token that merges make

const std::vector<ByteLevelKind>& kinds() {
  const auto split = [](const char* name) {
    return Split{{split_pattern(name), false}, SplitBehavior::isolated, false};
  };
  static const std::vector<ByteLevelKind> list{
      {"gpt-2", {ByteLevel{false, true}}, {}, false},
      {"smollm", {Digits{true}, ByteLevel{false, true}}, {}, false},
      {"llama-bpe", {split("llama3"), ByteLevel{false, false}}, {}, true},
      {"qwen2", {split("qwen2"), ByteLevel{false, false}}, {NormalForm::nfc}, false}};
  return list;
}

// The same steps in one way of writing: GPT-2's pattern as part of ByteLevel.
std::vector<PreTokenizerStep> canonical(std::vector<PreTokenizerStep> steps) {
  const Split gpt2{{split_pattern("gpt2"), false}, SplitBehavior::isolated, false};
  const auto n = steps.size();
  if (n < 2 || steps[n - 1] != PreTokenizerStep(ByteLevel{false, false}) ||
      steps[n - 2] != PreTokenizerStep(gpt2))
    return steps;
  steps.pop_back();
  steps.back() = ByteLevel{false, true};
  return steps;
}

InputError no_name(std::string_view what) {
  return InputError(fmt::format("GGUF has no name for this tokenizer's {}", what))
      .wanted(byte_level_kind_names())
      .hint("Keep the model as safetensors");
}

}  // namespace

const ByteLevelKind* find_byte_level_kind(std::string_view pre) {
  for (const auto& kind : kinds())
    if (kind.pre == pre) return &kind;
  return nullptr;
}

std::string byte_level_kind_names() {
  std::vector<std::string_view> names;
  for (const auto& kind : kinds()) names.push_back(kind.pre);
  return fmt::format("one of {}", fmt::join(names, ", "));
}

const ByteLevelKind& byte_level_kind_of(const TokenizerSpec& spec) {
  for (const auto& kind : kinds()) {
    if (canonical(spec.pre_tokenizer) != kind.pre_tokenizer) continue;
    if (!spec.normalizer.empty() && spec.normalizer != kind.normalizer) throw no_name("normalizer");
    return kind;
  }
  throw no_name("split pattern");
}

void set_sentencepiece_steps(TokenizerSpec& spec, bool space_prefix) {
  spec.byte_fallback = spec.fuse_unk = true;
  spec.normalizer = {Replace{{" ", true}, kSpace}};
  spec.decoder = {Replace{{kSpace, true}, " "}, ByteFallback{}, Fuse{}};
  if (!space_prefix) return;
  spec.normalizer.insert(spec.normalizer.begin(), Prepend{kSpace});
  spec.decoder.push_back(StripEnds{" ", 1, 0});
}

bool has_space_prefix(const TokenizerSpec& spec) {
  TokenizerSpec with, without;
  set_sentencepiece_steps(with, true);
  set_sentencepiece_steps(without, false);
  if (spec.byte_fallback && spec.pre_tokenizer.empty())
    for (const auto* kind : {&with, &without})
      if (spec.normalizer == kind->normalizer) return kind == &with;
  const auto* space =
      spec.pre_tokenizer.size() == 1 ? std::get_if<Metaspace>(&spec.pre_tokenizer[0]) : nullptr;
  if (spec.byte_fallback && spec.normalizer.empty() && space && !space->split &&
      space->replacement == kSpace)
    return space->scheme != PrependScheme::never;
  throw InputError("GGUF cannot say what this tokenizer does with a text")
      .wanted(
          "byte-level BPE, or BPE with byte_fallback as SentencePiece makes it, in tokenizer.json")
      .hint("Keep the model as safetensors");
}

bool is_byte_token(std::string_view token) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return token.size() == 6 && token.starts_with("<0x") && digit(token[3]) && digit(token[4]) &&
         token[5] == '>';
}

Merges merges_of_scores(const std::vector<std::string>& vocab, const std::vector<bool>& mergeable,
                        const std::vector<double>& scores, std::string_view where) {
  std::unordered_map<std::string_view, std::int32_t> ids;
  for (std::size_t id = 0; id < vocab.size(); ++id)
    if (mergeable[id] && !vocab[id].empty()) ids.emplace(vocab[id], std::int32_t(id));
  std::vector<std::tuple<double, std::int32_t, std::int32_t>> pairs;
  for (std::size_t id = 0; id < vocab.size(); ++id) {
    if (!mergeable[id]) continue;
    const std::string_view text = vocab[id];
    if (text.size() > kMostMerged)
      throw InputError(fmt::format("token {} is too long", id))
          .at(where)
          .found(fmt::format("{} bytes", text.size()))
          .wanted(fmt::format("at most {}", kMostMerged));
    for (std::size_t cut = 0; cut < text.size();) {
      next_code_point(text, cut);
      const auto left = ids.find(text.substr(0, cut)), right = ids.find(text.substr(cut));
      if (left != ids.end() && right != ids.end())
        pairs.emplace_back(-scores[id], left->second, right->second);
    }
  }
  std::sort(pairs.begin(), pairs.end());
  Merges merges;
  for (const auto& [score, left, right] : pairs) merges.emplace_back(left, right);
  return merges;
}

std::vector<float> scores_of_merges(const TokenizerSpec& spec) {
  constexpr float kNever = -1e9f;  // of a token that no merge gives
  std::unordered_map<std::string, std::int32_t> first;
  for (std::size_t i = 0; i < spec.merges.size(); ++i) {
    const auto& [left, right] = spec.merges[i];
    first.emplace(spec.vocab[std::size_t(left)] + spec.vocab[std::size_t(right)], std::int32_t(i));
  }
  std::vector<float> scores;
  for (const std::string& token : spec.vocab) {
    const auto it = first.find(token);
    scores.push_back(it == first.end() ? kNever : -float(it->second));
  }
  return scores;
}

ScoredTokenizer scored_tokenizer(const TokenizerSpec& model) {
  const auto read = read_sentencepiece_model(model.sentencepiece);
  if (!read.bpe || read.rewrites)
    throw InputError("GGUF cannot say what this tokenizer does with a text")
        .found(read.bpe ? "a SentencePiece model that changes a text first"
                        : "a SentencePiece model that is no BPE")
        .hint("Keep the model as safetensors");
  ScoredTokenizer result{model, {}};
  TokenizerSpec& spec = result.spec;
  spec.sentencepiece.clear();
  set_sentencepiece_steps(spec, read.space_prefix);
  for (const auto& piece : read.pieces) {
    const bool special = piece.kind == PieceKind::control || piece.kind == PieceKind::unknown;
    if (special || piece.kind == PieceKind::user_defined) {
      AddedToken added;
      added.id = std::int32_t(spec.vocab.size());
      added.content = piece.text;
      added.special = special;
      spec.added.push_back(std::move(added));
    }
    if (piece.kind == PieceKind::unknown) spec.unk_token = piece.text;
    spec.vocab.push_back(piece.kind == PieceKind::unused ? "" : piece.text);
    result.scores.push_back(piece.score);
  }
  return result;
}

}  // namespace autarky
