#include "formats/gguf_tokenizer.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "formats/gguf_vocab.h"
#include "text/utf8.h"

namespace autarky {
namespace {

const std::string kKeys = "tokenizer.ggml.";
using Ids = std::unordered_map<std::string_view, std::int32_t>;

class Reader {
 public:
  explicit Reader(const GgufReader& file) : file_(file) {}

  TokenizerSpec read() {
    const std::string model = text(kKeys + "model");
    if (model != "gpt2" && model != "llama")
      throw wrong("model", "'" + model + "'", "gpt2 or llama");
    read_tokens();
    spec_.bos_token = token("bos_token_id");
    spec_.eos_token = token("eos_token_id");
    spec_.pad_token = token("padding_token_id");
    spec_.unk_token = model == "llama" ? token("unknown_token_id") : "";
    spec_.chat_template = text("tokenizer.chat_template");
    const bool byte_level = model == "gpt2";
    byte_level ? read_byte_level() : read_sentencepiece();
    if (flag("add_bos_token", !byte_level || text(kKeys + "pre") == "llama-bpe"))
      add_around(spec_.prefix, spec_.bos_token);
    if (flag("add_eos_token", false)) add_around(spec_.suffix, spec_.eos_token);
    return std::move(spec_);
  }

 private:
  InputError wrong(const std::string& key, const std::string& found,
                   std::string_view wanted) const {
    InputError error(fmt::format("key '{}{}' has a value that cannot be used", kKeys, key));
    error.at(file_.path().string()).found(found).wanted(wanted);
    return error;
  }

  // "" where it is not there.
  std::string text(const std::string& key) const {
    const auto it = file_.metadata().find(key);
    if (it == file_.metadata().end()) return "";
    const bool valid = it->is_string() && valid_utf8_prefix(it->get_ref<const std::string&>()) ==
                                              it->get_ref<const std::string&>().size();
    if (!valid)
      throw InputError(fmt::format("key '{}' has a value that cannot be used", key))
          .at(file_.path().string())
          .wanted("a text in UTF-8");
    return it->get<std::string>();
  }
  bool flag(const std::string& key, bool otherwise) const {
    const auto it = file_.metadata().find(kKeys + key);
    if (it == file_.metadata().end()) return otherwise;
    if (!it->is_boolean()) throw wrong(key, "another kind", "true or false");
    return it->get<bool>();
  }
  // The token with the id that `key` has; "" for none.
  std::string token(const std::string& key) const {
    const auto it = file_.metadata().find(kKeys + key);
    if (it == file_.metadata().end()) return "";
    const bool fits = it->is_number_integer() && *it >= 0 && *it < spec_.vocab.size();
    if (!fits)
      throw wrong(key, it->is_number() ? it->dump() : "no number",
                  fmt::format("the id of one of {} tokens", spec_.vocab.size()));
    return spec_.vocab[it->get<std::size_t>()];
  }
  // What stands around a text is special, whatever kind the file gives it.
  void add_around(std::vector<std::string>& list, const std::string& token) {
    if (token.empty()) return;
    list.push_back(token);
    const auto same = [&](const AddedToken& t) { return t.content == token; };
    if (std::any_of(spec_.added.begin(), spec_.added.end(), same)) return;
    const auto at = std::find(spec_.vocab.begin(), spec_.vocab.end(), token);
    add_added(std::size_t(at - spec_.vocab.begin()), token, true);
  }

  void read_tokens() {
    const auto tokens = file_.strings(kKeys + "tokens");
    const auto kinds = file_.integers(kKeys + "token_type");
    if (tokens.empty() || tokens.size() > std::size_t(TokenizerSpec::kMaxVocab))
      throw wrong("tokens", fmt::format("{} tokens", tokens.size()),
                  fmt::format("1 to {}", TokenizerSpec::kMaxVocab));
    if (!kinds.empty() && kinds.size() != tokens.size())
      throw wrong("token_type", fmt::format("{} numbers", kinds.size()),
                  fmt::format("one for each of {} tokens", tokens.size()));
    spec_.vocab.resize(tokens.size());
    Ids seen;
    for (std::size_t id = 0; id < tokens.size(); ++id) {
      kinds_.push_back(kinds.empty() ? PieceKind::normal : PieceKind(kinds[id]));
      if (kinds_[id] != PieceKind::unused && !tokens[id].empty()) add_token(id, tokens[id], seen);
    }
    while (!spec_.vocab.empty() && spec_.vocab.back().empty()) spec_.vocab.pop_back();
  }

  void add_token(std::size_t id, std::string_view text, Ids& seen) {
    if (valid_utf8_prefix(text) != text.size())
      throw wrong("tokens", fmt::format("token {} that is no UTF-8", id), "texts");
    if (const auto [at, added] = seen.emplace(text, std::int32_t(id)); !added)
      throw wrong("tokens", fmt::format("token {} that is also token {}", id, at->second),
                  "different texts");
    spec_.vocab[id] = text;
    const bool special = kinds_[id] == PieceKind::control || kinds_[id] == PieceKind::unknown;
    if (special || kinds_[id] == PieceKind::user_defined) add_added(id, text, special);
  }

  void add_added(std::size_t id, std::string_view text, bool special) {
    if (text.size() > AddedTokenFinder::kMaxLength)
      throw wrong("tokens", fmt::format("token {} of {} bytes", id, text.size()),
                  fmt::format("at most {} for a special one", AddedTokenFinder::kMaxLength));
    AddedToken token;
    token.id = std::int32_t(id);
    token.content = text;
    token.special = special;
    spec_.added.push_back(std::move(token));
  }

  void read_byte_level() {
    const std::string pre = text(kKeys + "pre");
    const auto* kind = find_byte_level_kind(pre);
    if (!kind) throw wrong("pre", "'" + pre + "'", byte_level_kind_names());
    spec_.pre_tokenizer = kind->pre_tokenizer;
    spec_.normalizer = kind->normalizer;
    spec_.ignore_merges = kind->ignore_merges;
    spec_.decoder = {ByteLevel{false, true}};
    Ids ids;
    for (std::size_t id = 0; id < spec_.vocab.size(); ++id)
      if (!spec_.vocab[id].empty()) ids.emplace(spec_.vocab[id], std::int32_t(id));
    const auto id_of = [&](std::size_t merge, std::string_view text) {
      const auto it = ids.find(text);
      if (it == ids.end())
        throw wrong("merges", fmt::format("merge {} of what is no token", merge),
                    "pairs of tokens");
      return it->second;
    };
    const auto merges = file_.strings(kKeys + "merges");
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const auto space = merges[i].find(' ');
      if (space == merges[i].npos || merges[i].find(' ', space + 1) != merges[i].npos)
        throw wrong("merges", fmt::format("merge {}", i), "two tokens with one space between");
      const auto left = id_of(i, merges[i].substr(0, space));
      spec_.merges.emplace_back(left, id_of(i, merges[i].substr(space + 1)));
    }
  }

  void read_sentencepiece() {
    const auto scores = file_.numbers(kKeys + "scores");
    if (scores.size() < spec_.vocab.size())
      throw wrong("scores", fmt::format("{} numbers", scores.size()),
                  fmt::format("one for each of {} tokens", spec_.vocab.size()));
    set_sentencepiece_steps(spec_, flag("add_space_prefix", true));
    std::vector<bool> mergeable(spec_.vocab.size());
    for (std::size_t id = 0; id < mergeable.size(); ++id)
      mergeable[id] = kinds_[id] == PieceKind::normal;
    spec_.merges = merges_of_scores(spec_.vocab, mergeable, scores, file_.path().string());
  }

  const GgufReader& file_;
  std::vector<PieceKind> kinds_;
  TokenizerSpec spec_;
};

// The tokens of a vocabulary of `size`: texts and kinds.
void add_tokens(const TokenizerSpec& spec, std::int64_t size, GgufMetadata& metadata) {
  std::int64_t needed = std::int64_t(spec.vocab.size());
  for (const AddedToken& t : spec.added) needed = std::max(needed, std::int64_t(t.id) + 1);
  if (needed > size)
    throw InputError("the tokenizer has more tokens than the model")
        .found(std::to_string(needed))
        .wanted(fmt::format("at most {}", size));
  std::vector<std::string> texts;
  std::vector<std::int32_t> kinds;
  for (std::int64_t id = 0; id < size; ++id) {
    const bool there = id < std::int64_t(spec.vocab.size()) && !spec.vocab[std::size_t(id)].empty();
    texts.push_back(there ? spec.vocab[std::size_t(id)] : fmt::format("[PAD{}]", id));
    kinds.push_back(std::int32_t(there ? PieceKind::normal : PieceKind::unused));
    if (there && spec.byte_fallback && is_byte_token(texts.back()))
      kinds.back() = std::int32_t(PieceKind::byte);
  }
  for (const AddedToken& t : spec.added) {
    const bool unknown = t.special && spec.byte_fallback && t.content == spec.unk_token;
    texts[std::size_t(t.id)] = t.content;
    kinds[std::size_t(t.id)] = std::int32_t(unknown     ? PieceKind::unknown
                                            : t.special ? PieceKind::control
                                                        : PieceKind::user_defined);
  }
  metadata.emplace_back(kKeys + "tokens", std::move(texts));
  metadata.emplace_back(kKeys + "token_type", std::move(kinds));
}

void add_merges(const TokenizerSpec& spec, GgufMetadata& metadata) {
  std::vector<std::string> merges;
  for (const auto& [left, right] : spec.merges)
    merges.push_back(spec.vocab[std::size_t(left)] + " " + spec.vocab[std::size_t(right)]);
  metadata.emplace_back(kKeys + "merges", std::move(merges));
}

std::optional<std::int64_t> id_of(const TokenizerSpec* spec, const std::string& token) {
  if (!spec || token.empty()) return std::nullopt;
  for (const AddedToken& t : spec->added)
    if (t.content == token) return t.id;
  const auto it = std::find(spec->vocab.begin(), spec->vocab.end(), token);
  if (it == spec->vocab.end()) return std::nullopt;
  return it - spec->vocab.begin();
}

// tokenizer.json may put a token in front that no tokenizer_config.json calls bos; so behind.
std::string end_name(const std::string& named, const std::vector<std::string>& around) {
  return named.empty() && around.size() == 1 ? around[0] : named;
}

// The tokenizer's, where it has one; else the configuration's.
void add_ends(const TokenizerSpec* spec, const ModelConfig& c, GgufMetadata& metadata) {
  const auto add = [&](const char* key, std::int64_t id) {
    metadata.emplace_back(kKeys + key, std::uint32_t(id));
  };
  auto bos = id_of(spec, spec ? end_name(spec->bos_token, spec->prefix) : "");
  auto eos = id_of(spec, spec ? end_name(spec->eos_token, spec->suffix) : "");
  if (!bos && c.bos_id >= 0) bos = c.bos_id;
  if (!eos && !c.eos_ids.empty()) eos = c.eos_ids.front();
  if (bos) add("bos_token_id", *bos);
  if (eos) add("eos_token_id", *eos);
  for (const std::int64_t id : c.eos_ids)
    if (id != *eos) {
      add("eot_token_id", id);
      break;
    }
  if (const auto pad = id_of(spec, spec ? spec->pad_token : "")) add("padding_token_id", *pad);
  if (const auto unk = id_of(spec, spec ? spec->unk_token : "")) add("unknown_token_id", *unk);
}

bool is_just(const std::vector<std::string>& around, const std::string& token) {
  return around.empty() || (around.size() == 1 && (token.empty() || around[0] == token));
}

}  // namespace

std::optional<TokenizerSpec> gguf_tokenizer(const GgufReader& file) {
  if (!file.metadata().contains(kKeys + "model")) return std::nullopt;
  return Reader(file).read();
}

GgufMetadata gguf_tokenizer_metadata(const TokenizerSpec* spec, const ModelConfig& config) {
  std::optional<ScoredTokenizer> scored;
  if (spec && !spec->sentencepiece.empty()) spec = &scored.emplace(scored_tokenizer(*spec)).spec;
  GgufMetadata metadata;
  add_ends(spec, config, metadata);
  if (!spec) return metadata;
  if (!is_just(spec->prefix, spec->bos_token) || !is_just(spec->suffix, spec->eos_token))
    throw InputError("GGUF cannot say which tokens this tokenizer puts around a text")
        .wanted("bos_token in front, eos_token behind, or neither");
  const bool byte_level = spec->byte_level();
  metadata.emplace_back(kKeys + "model", std::string(byte_level ? "gpt2" : "llama"));
  if (byte_level) {
    metadata.emplace_back(kKeys + "pre", std::string(byte_level_kind_of(*spec).pre));
    add_merges(*spec, metadata);
  } else {
    metadata.emplace_back(kKeys + "pre", std::string("default"));
    metadata.emplace_back(kKeys + "add_space_prefix", has_space_prefix(*spec));
    auto scores = scored ? std::move(scored->scores) : scores_of_merges(*spec);
    scores.resize(std::size_t(config.vocab), 0);
    metadata.emplace_back(kKeys + "scores", std::move(scores));
  }
  add_tokens(*spec, config.vocab, metadata);
  metadata.emplace_back(kKeys + "add_bos_token", !spec->prefix.empty());
  metadata.emplace_back(kKeys + "add_eos_token", !spec->suffix.empty());
  if (!spec->chat_template.empty())
    metadata.emplace_back("tokenizer.chat_template", spec->chat_template);
  return metadata;
}

}  // namespace autarky
