#include "text/tokenizer.h"

#include <fmt/core.h>

#include <unordered_map>

#include "base/error.h"
#include "text/bpe.h"
#include "text/byte_level.h"
#include "text/nfc.h"

namespace autarky {
namespace {

using IdsByBytes = std::unordered_map<std::string_view, std::int32_t>;

// What an added token stands for in a text: its content, normalised if it is matched that way.
std::string added_content(const AddedToken& t, const TokenizerSpec& spec) {
  return t.normalized && spec.normalize_nfc ? nfc(t.content) : t.content;
}

// The bytes of every token; where the text is not of the byte-level alphabet, the text itself.
std::vector<std::string> token_bytes(const TokenizerSpec& spec) {
  std::size_t size = spec.vocab.size();
  for (const AddedToken& t : spec.added) size = std::max(size, std::size_t(t.id) + 1);
  std::vector<std::string> tokens(size);
  for (std::size_t id = 0; id < spec.vocab.size(); ++id)
    tokens[id] = byte_level_bytes(spec.vocab[id]).value_or(spec.vocab[id]);
  for (const AddedToken& t : spec.added) tokens[std::size_t(t.id)] = added_content(t, spec);
  return tokens;
}

void check_all_bytes(const IdsByBytes& ids, std::string_view where) {
  for (int b = 0; b < 256; ++b) {
    const char byte = char(b);
    if (!ids.contains(std::string_view(&byte, 1)))
      throw InputError(fmt::format("the vocabulary has no token for byte {:#04x}", b))
          .at(std::string(where) + ": model.vocab")
          .hint("Only byte-level vocabularies with all 256 bytes are supported.");
  }
}

std::vector<MergeRule> merge_rules(const TokenizerSpec& spec, std::string_view where) {
  IdsByBytes ids;
  for (std::size_t id = 0; id < spec.vocab.size(); ++id)
    if (!spec.vocab[id].empty()) ids.emplace(spec.vocab[id], std::int32_t(id));
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

}  // namespace

struct Tokenizer::State {
  State(TokenizerSpec s, std::string_view where);
  std::optional<std::int32_t> find(std::string_view token) const;
  std::vector<std::int32_t> ids_of(const std::vector<std::string>& names) const;

  TokenizerSpec spec;
  std::vector<std::string> tokens;  // bytes by id
  std::vector<bool> special;        // by id
  IdsByBytes ids, added_ids;
  AddedTokenFinder raw, normalized;
  Splitter splitter;
  std::unique_ptr<const Bpe> bpe;
};

Tokenizer::State::State(TokenizerSpec s, std::string_view where)
    : spec(std::move(s)),
      tokens(token_bytes(spec)),
      special(tokens.size()),
      splitter(spec.steps, std::string(where) + ": pre_tokenizer") {
  std::vector<std::string_view> plain(tokens.begin(), tokens.end());  // what merges may make
  for (const AddedToken& t : spec.added) {
    const auto id = std::size_t(t.id);
    if (id >= spec.vocab.size() || spec.vocab[id].empty() || t.special) plain[id] = {};
    special[id] = t.special;
    added_ids.emplace(t.content, t.id);
    (t.normalized ? normalized : raw).add(tokens[id], t.id, t.special);
  }
  for (std::size_t id = 0; id < tokens.size(); ++id)
    if (!plain[id].empty()) ids.emplace(plain[id], std::int32_t(id));
  check_all_bytes(ids, where);
  bpe = std::make_unique<Bpe>(plain, merge_rules(spec, where), spec.ignore_merges);
}

std::optional<std::int32_t> Tokenizer::State::find(std::string_view token) const {
  if (const auto added = added_ids.find(token); added != added_ids.end()) return added->second;
  if (const auto id = ids.find(token); id != ids.end()) return id->second;
  return std::nullopt;
}

// One call of encode().
class Tokenizer::Encoding {
 public:
  Encoding(const State& state, bool allow_special) : state_(state), allow_special_(allow_special) {}

  void around(const std::vector<std::string>& names) {
    for (const std::string& name : names)
      if (const auto id = state_.find(name)) out.push_back(*id);
  }

  void text(std::string_view text) {
    between(state_.raw, text, [&](std::string_view part) {
      if (!state_.spec.normalize_nfc) return normalized(part);
      normalized(nfc(part));
    });
  }

  std::vector<std::int32_t> out;

 private:
  // Calls part() for what is between added tokens and appends those.
  template <typename Part>
  void between(const AddedTokenFinder& finder, std::string_view text, const Part& part) {
    std::size_t done = 0;
    while (const auto match = finder.find(text, done, allow_special_)) {
      if (match->start > done) part(text.substr(done, match->start - done));
      out.push_back(match->id);
      done = match->start + match->length;
    }
    if (done < text.size()) part(text.substr(done));
  }

  void normalized(std::string_view text) {
    between(state_.normalized, text, [&](std::string_view part) {
      if (!state_.spec.add_prefix_space || part.front() == ' ') return pieces(part);
      pieces(" " + std::string(part));
    });
  }

  void pieces(std::string_view text) {
    state_.splitter.split(text, [&](std::string_view piece) { state_.bpe->encode(piece, out); });
  }

  const State& state_;
  bool allow_special_;
};

Tokenizer::Tokenizer(TokenizerSpec spec, std::string_view where)
    : state_(std::make_unique<const State>(std::move(spec), where)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer Tokenizer::load(const fs::path& dir) {
  return Tokenizer(read_tokenizer_spec(dir), (dir / "tokenizer.json").string());
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
  std::string text;
  for (const std::int32_t id : ids)
    if (!skip_special || !is_special(id)) text += bytes(id);
  return text;
}

std::int32_t Tokenizer::vocab_size() const { return std::int32_t(state_->tokens.size()); }
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
  return state_->tokens[std::size_t(id)];
}
bool Tokenizer::is_special(std::int32_t id) const {
  return id >= 0 && id < vocab_size() && state_->special[std::size_t(id)];
}

}  // namespace autarky
