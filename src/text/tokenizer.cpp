#include "text/tokenizer.h"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "text/bpe.h"
#include "text/byte_level.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/sentencepiece.h"
#include "text/splitter.h"
#include "text/word_cache.h"

namespace autarky {
namespace {

using IdsByText = std::unordered_map<std::string_view, std::int32_t>;

std::size_t id_count(const TokenizerSpec& spec) {
  std::size_t size = spec.vocab.size();
  for (const AddedToken& t : spec.added) size = std::max(size, std::size_t(t.id) + 1);
  return size;
}

// What every token stands for in a text: bytes where they are written in the byte-level alphabet.
std::vector<std::string> piece_texts(const TokenizerSpec& spec) {
  std::vector<std::string> texts(id_count(spec));
  for (std::size_t id = 0; id < spec.vocab.size(); ++id) {
    texts[id] = spec.vocab[id];
    if (!spec.byte_level()) continue;
    if (auto bytes = byte_level_bytes(spec.vocab[id])) texts[id] = *std::move(bytes);
  }
  return texts;
}

IdsByText ids_by_text(const std::vector<std::string>& vocab) {
  IdsByText ids;
  ids.reserve(vocab.size());
  for (std::size_t id = 0; id < vocab.size(); ++id)
    if (!vocab[id].empty()) ids.emplace(vocab[id], std::int32_t(id));
  return ids;
}

std::vector<MergeRule> merge_rules(const TokenizerSpec& spec, const IdsByText& ids,
                                   std::string_view where) {
  std::vector<MergeRule> rules;
  rules.reserve(spec.merges.size());
  for (const auto& [left, right] : spec.merges) {
    const std::string merged = spec.vocab[std::size_t(left)] + spec.vocab[std::size_t(right)];
    const auto result = ids.find(merged);
    if (result == ids.end())
      throw InputError(
          fmt::format("merge {} gives '{}', which is not in the vocabulary", rules.size(), merged))
          .at(std::string(where) + ": model.merges");
    rules.push_back({left, right, result->second});
  }
  return rules;
}

BpeSymbols piece_symbols(const TokenizerSpec& spec, const IdsByText& ids, std::string_view where) {
  BpeSymbols symbols;
  symbols.bytes = spec.byte_level();
  symbols.fuse_unk = spec.fuse_unk;
  for (std::size_t b = 0; b < 256 && spec.byte_fallback; ++b)
    if (const auto id = ids.find(fmt::format("<0x{:02X}>", b)); id != ids.end())
      symbols.fallback[b] = id->second;
  if (spec.unk_token.empty()) return symbols;
  const auto unk = ids.find(spec.unk_token);
  if (unk == ids.end())
    throw InputError("the token for unknown characters is not in the vocabulary")
        .at(std::string(where) + ": model.unk_token")
        .found(fmt::format("'{}'", spec.unk_token));
  symbols.unk = unk->second;
  return symbols;
}

}  // namespace

struct Tokenizer::State {
  State(TokenizerSpec s, std::string_view where);
  void make_bpe(std::string_view where);
  void make_sentencepiece(std::string_view where);
  std::optional<std::int32_t> find(std::string_view token) const;

  TokenizerSpec spec;
  std::vector<std::string> texts;  // that tokens stand for, by id
  std::vector<std::string> bytes;  // decoded, by id
  std::vector<bool> special;       // by id
  IdsByText ids, added_ids;
  AddedTokenFinder raw, normalized;
  Normalizer normalizer;
  Splitter splitter;
  Decoder decoder;
  std::unique_ptr<const Bpe> bpe;
  mutable WordCaches caches;
  std::unique_ptr<const SentencePiece> sentencepiece;  // instead of all above
};

Tokenizer::State::State(TokenizerSpec s, std::string_view where)
    : spec(std::move(s)),
      normalizer(spec.normalizer, std::string(where) + ": normalizer"),
      splitter(spec.pre_tokenizer, std::string(where) + ": pre_tokenizer"),
      decoder(spec.decoder, std::string(where) + ": decoder") {
  spec.sentencepiece.empty() ? make_bpe(where) : make_sentencepiece(where);
}

void Tokenizer::State::make_bpe(std::string_view where) {
  texts = piece_texts(spec);
  for (const AddedToken& t : spec.added)
    texts[std::size_t(t.id)] = t.normalized ? normalizer.apply(t.content) : t.content;
  special.resize(texts.size());
  std::vector<std::string_view> plain(texts.begin(), texts.end());  // what merges may make
  for (const std::string& token : spec.vocab) bytes.push_back(decoder.token(token, false));
  bytes.resize(texts.size());
  for (const AddedToken& t : spec.added) {
    const auto id = std::size_t(t.id);
    if (t.special || id >= spec.vocab.size() || spec.vocab[id].empty()) plain[id] = {};
    special[id] = t.special;
    added_ids.emplace(t.content, t.id);
    bytes[id] = spec.byte_level() ? texts[id] : decoder.token(texts[id], false);
    if (!texts[id].empty()) (t.normalized ? normalized : raw).add(texts[id], t);
  }
  for (std::size_t id = 0; id < texts.size(); ++id)
    if (!plain[id].empty()) ids.emplace(plain[id], std::int32_t(id));
  const IdsByText by_text = ids_by_text(spec.vocab);
  bpe = std::make_unique<Bpe>(plain, merge_rules(spec, by_text, where),
                              piece_symbols(spec, by_text, where), spec.ignore_merges);
}

void Tokenizer::State::make_sentencepiece(std::string_view where) {
  sentencepiece = std::make_unique<SentencePiece>(spec.sentencepiece, where);
  for (std::int32_t id = 0; id < sentencepiece->size(); ++id) {
    texts.push_back(sentencepiece->piece(id));
    bytes.push_back(sentencepiece->bytes(id));
    special.push_back(sentencepiece->is_control(id));
  }
  ids = ids_by_text(texts);
}

std::optional<std::int32_t> Tokenizer::State::find(std::string_view token) const {
  if (const auto added = added_ids.find(token); added != added_ids.end()) return added->second;
  if (const auto id = ids.find(token); id != ids.end()) return id->second;
  return std::nullopt;
}

// One call of encode().
class Tokenizer::Encoding {
 public:
  Encoding(const State& state, bool allow_special)
      : state_(state), allow_special_(allow_special), cache_(state.caches.take()) {}
  ~Encoding() { state_.caches.give_back(std::move(cache_)); }
  Encoding(const Encoding&) = delete;

  void around(const std::vector<std::string>& names) {
    for (const std::string& name : names)
      if (const auto id = state_.find(name)) out.push_back(*id);
  }

  void text(std::string_view text) {
    if (state_.sentencepiece) return state_.sentencepiece->encode(text, out);
    between(state_.raw, text, [&](std::string_view part, bool is_first) {
      if (state_.normalizer.changes_nothing()) return normalized(part, is_first);
      normalized(state_.normalizer.apply(part), is_first);
    });
  }

  std::vector<std::int32_t> out;

 private:
  // Calls part(text, whether it is where the text begins) for what is between added tokens and
  // appends those.
  template <typename Part>
  void between(const AddedTokenFinder& finder, std::string_view text, const Part& part) {
    std::size_t done = 0;
    while (const auto match = finder.find(text, done, allow_special_)) {
      if (match->start > done) part(text.substr(done, match->start - done), done == 0);
      out.push_back(match->id);
      done = match->start + match->length;
    }
    if (done < text.size()) part(text.substr(done), done == 0);
  }

  void normalized(std::string_view text, bool is_first) {
    between(state_.normalized, text, [&](std::string_view part, bool is_start) {
      state_.splitter.split(part, is_first && is_start,
                            [&](std::string_view piece) { this->piece(piece); });
    });
  }

  void piece(std::string_view piece) {
    const Bpe& bpe = *state_.bpe;
    const auto make = [&](std::string_view part, std::vector<std::int32_t>& ids) {
      bpe.encode(part, ids);
    };
    while (!piece.empty()) {
      const std::string_view part = piece.substr(0, bpe.part_end(piece));
      cache_->append(part, out, make);
      piece.remove_prefix(part.size());
    }
  }

  const State& state_;
  bool allow_special_;
  std::unique_ptr<WordCache> cache_;
};

Tokenizer::Tokenizer(TokenizerSpec spec, std::string_view where)
    : state_(std::make_unique<const State>(std::move(spec), where)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

fs::path Tokenizer::file_in(const fs::path& path) {
  for (const char* name : {"tokenizer.json", "tokenizer.model"})
    if (fs::exists(path / name)) return path / name;
  return path;
}
Tokenizer Tokenizer::load(const fs::path& path) {
  return Tokenizer(read_tokenizer_spec(path), file_in(path).string());
}
void Tokenizer::save(const fs::path& dir) const { write_tokenizer_spec(state_->spec, dir); }

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool allow_special,
                                            bool add_special) const {
  Encoding encoding(*state_, allow_special);
  if (add_special) encoding.around(state_->spec.prefix);
  encoding.text(text);
  if (add_special) encoding.around(state_->spec.suffix);
  return std::move(encoding.out);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  for (const std::int32_t id : ids) bytes(id);  // all are in the vocabulary
  if (state_->sentencepiece) return state_->sentencepiece->decode(ids);
  std::string text;
  bool is_first = state_->decoder.first_differs();
  for (const std::int32_t id : ids) {
    if (skip_special && is_special(id)) continue;
    if (std::exchange(is_first, false))
      text += state_->decoder.token(state_->texts[std::size_t(id)], true);
    else text += bytes(id);
  }
  return state_->decoder.finish(std::move(text));
}

std::int32_t Tokenizer::vocab_size() const { return std::int32_t(state_->texts.size()); }
std::optional<std::int32_t> Tokenizer::bos_id() const { return id_of(spec().bos_token); }
std::optional<std::int32_t> Tokenizer::eos_id() const { return id_of(spec().eos_token); }
std::optional<std::int32_t> Tokenizer::pad_id() const { return id_of(spec().pad_token); }
std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
  return state_->find(token);
}
const std::string& Tokenizer::chat_template() const { return spec().chat_template; }
const TokenizerSpec& Tokenizer::spec() const { return state_->spec; }

std::string_view Tokenizer::bytes(std::int32_t id) const {
  if (id < 0 || id >= vocab_size())
    throw InputError("a token id is not in the vocabulary")
        .found(std::to_string(id))
        .wanted(fmt::format("0 to {}", vocab_size() - 1))
        .hint("Use the tokenizer that the data or the model was made with.");
  return state_->bytes[std::size_t(id)];
}
bool Tokenizer::is_special(std::int32_t id) const {
  return id >= 0 && id < vocab_size() && state_->special[std::size_t(id)];
}

}  // namespace autarky
