#include "text/bpe_trainer.h"

#include <fmt/core.h>

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "text/byte_level.h"
#include "text/pair_map.h"
#include "text/word_counts.h"
#include "text/word_cutter.h"

namespace autarky {
namespace {

constexpr std::int64_t kProgressEvery = 256;  // merges
constexpr std::uint32_t kEnd = ~0u;
constexpr std::int32_t kGone = -1;

// All distinct words as linked lists of symbols, and the count of every pair with the places where
// it is or was. A merge visits only those places.
class Merger {
 public:
  Merger(const std::vector<WordCount>& words, const std::vector<std::string>& forbidden);

  // Merges the most frequent pair; false when none is at least `min_frequency`.
  bool merge_next(std::uint64_t min_frequency);

  std::vector<std::string> tokens;                            // bytes by id
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;  // ids

 private:
  struct Symbol {
    std::int32_t id;
    std::uint32_t previous, next, word;
  };
  struct Pair {
    std::int64_t count = 0;
    bool is_rule = false;    // already one of `merges`
    bool has_grown = false;  // is in `grown_`
    std::vector<std::uint32_t> places;
  };
  struct Candidate {
    std::int64_t count;
    PairKey key;
    bool operator<(const Candidate& o) const {  // the greatest is merged first
      return count != o.count ? count < o.count : key > o.key;
    }
  };

  void add_word(const WordCount& word, std::uint32_t index,
                const std::array<std::int32_t, 256>& ids);
  void count_pair(std::uint32_t left, std::int64_t sign);
  void merge_everywhere(PairKey key, std::int32_t result, std::vector<std::uint32_t> places);
  void push_grown();
  void merge_at(std::uint32_t place, PairKey key, std::int32_t result);
  std::int32_t token_id(const std::string& bytes);

  std::vector<std::int64_t> word_counts_;
  std::vector<Symbol> symbols_;
  PairMap<Pair> pairs_;
  std::vector<PairKey> grown_;  // pairs that may have grown since the last push, once each
  std::priority_queue<Candidate> heap_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::unordered_set<std::string> forbidden_;
};

Merger::Merger(const std::vector<WordCount>& words, const std::vector<std::string>& forbidden)
    : forbidden_(forbidden.begin(), forbidden.end()) {
  std::array<std::int32_t, 256> byte_ids{};
  for (const std::uint8_t byte : byte_level_order())
    byte_ids[byte] = token_id(std::string(1, char(byte)));
  std::size_t bytes = 0;
  for (const WordCount& w : words) bytes += w.word.size();
  if (bytes >= kEnd)
    throw InputError("too many different words to train a tokenizer on")
        .found(fmt::format("{} bytes of them", bytes))
        .wanted(fmt::format("less than {}", kEnd))
        .hint("Train on a sample of the text.");
  symbols_.reserve(bytes);
  word_counts_.reserve(words.size());
  for (std::uint32_t i = 0; i < words.size(); ++i) add_word(words[i], i, byte_ids);
  push_grown();
}

void Merger::add_word(const WordCount& word, std::uint32_t index,
                      const std::array<std::int32_t, 256>& ids) {
  word_counts_.push_back(std::int64_t(word.count));
  const auto first = std::uint32_t(symbols_.size());
  const auto end = first + std::uint32_t(word.word.size());
  for (std::uint32_t i = first; i < end; ++i) {
    const auto byte = static_cast<unsigned char>(word.word[i - first]);
    symbols_.push_back({ids[byte], i == first ? kEnd : i - 1, i + 1 == end ? kEnd : i + 1, index});
  }
  for (std::uint32_t i = first; i < end; ++i) count_pair(i, +1);
}

// Adds the pair that starts at `left` to its count, or takes it away.
void Merger::count_pair(std::uint32_t left, std::int64_t sign) {
  const Symbol& s = symbols_[left];
  if (s.next == kEnd) return;
  const PairKey key = pair_key(s.id, symbols_[s.next].id);
  Pair& pair = pairs_.at(key);
  pair.count += sign * word_counts_[s.word];
  if (sign < 0) return;
  pair.places.push_back(left);
  if (!std::exchange(pair.has_grown, true)) grown_.push_back(key);
}

std::int32_t Merger::token_id(const std::string& bytes) {
  const auto [entry, is_new] = ids_.try_emplace(bytes, std::int32_t(tokens.size()));
  if (is_new) tokens.push_back(bytes);
  return entry->second;
}

bool Merger::merge_next(std::uint64_t min_frequency) {
  while (!heap_.empty()) {
    const Candidate best = heap_.top();
    heap_.pop();
    Pair& pair = pairs_.at(best.key);
    if (best.count != pair.count) {  // out of date: back with what it is now
      if (pair.count > 0 && pair.count < best.count) heap_.push({pair.count, best.key});
      continue;
    }
    if (best.count < std::int64_t(std::max<std::uint64_t>(min_frequency, 1))) return false;
    const std::int32_t left = left_of(best.key), right = right_of(best.key);
    const std::string bytes = tokens[std::size_t(left)] + tokens[std::size_t(right)];
    if (forbidden_.contains(bytes)) continue;
    const std::int32_t result = token_id(bytes);
    if (!std::exchange(pair.is_rule, true)) merges.emplace_back(left, right);
    merge_everywhere(best.key, result, std::exchange(pair.places, {}));
    return true;
  }
  return false;
}

void Merger::merge_everywhere(PairKey key, std::int32_t result, std::vector<std::uint32_t> places) {
  std::sort(places.begin(), places.end());  // left to right: "aaa" is "aa" + "a"
  constexpr std::size_t kAhead = 16;        // places lie anywhere in memory
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (i + kAhead < places.size()) __builtin_prefetch(&symbols_[places[i + kAhead]]);
    merge_at(places[i], key, result);
  }
  push_grown();
}

void Merger::push_grown() {
  for (const PairKey key : grown_) {
    Pair& pair = pairs_.at(key);
    pair.has_grown = false;
    heap_.push({pair.count, key});
  }
  grown_.clear();
}

void Merger::merge_at(std::uint32_t place, PairKey key, std::int32_t result) {
  Symbol& left = symbols_[place];
  if (left.id != left_of(key) || left.next == kEnd) return;
  Symbol& right = symbols_[left.next];
  if (right.id != right_of(key)) return;
  if (left.previous != kEnd) count_pair(left.previous, -1);
  count_pair(place, -1);
  count_pair(left.next, -1);
  left.id = result;
  right.id = kGone;
  left.next = right.next;
  if (left.next != kEnd) symbols_[left.next].previous = place;
  if (left.previous != kEnd) count_pair(left.previous, +1);
  count_pair(place, +1);
}

void check_options(const BpeTrainerOptions& options) {
  const auto wanted = std::int64_t(256 + options.special_tokens.size() + 1);
  if (options.vocab_size < wanted || options.vocab_size > TokenizerSpec::kMaxVocab)
    throw InputError("this vocabulary size is not possible")
        .found(std::to_string(options.vocab_size))
        .wanted(fmt::format("{} to {} (256 bytes, {} special tokens, 1 or more merges)", wanted,
                            TokenizerSpec::kMaxVocab, options.special_tokens.size()));
  std::unordered_set<std::string> seen;
  for (const std::string& token : options.special_tokens)
    if (token.size() < 2 || token.size() > AddedTokenFinder::kMaxLength ||
        !seen.insert(token).second)
      throw InputError("wrong special token")
          .found(fmt::format("'{}'", token))
          .wanted(fmt::format("different ones of 2 to {} bytes", AddedTokenFinder::kMaxLength));
  for (const std::string& token : {options.bos_token, options.eos_token})
    if (!token.empty() && !seen.contains(token))
      throw InputError(fmt::format("'{}' is not one of the special tokens", token));
}

TokenizerSpec split_spec(const BpeTrainerOptions& options) {
  TokenizerSpec spec;
  if (options.normalize_nfc) spec.normalizer.emplace_back(NormalForm::nfc);
  const bool gpt2 = options.pattern == "gpt2";  // what ByteLevel does by itself
  if (!gpt2) spec.pre_tokenizer.emplace_back(Split{{split_pattern(options.pattern)}});
  spec.pre_tokenizer.emplace_back(ByteLevel{.add_prefix_space = false, .use_regex = gpt2});
  spec.decoder.emplace_back(ByteLevel{});
  spec.bos_token = options.bos_token;
  spec.eos_token = options.eos_token;
  return spec;
}

void run_merges(Merger& merger, const BpeTrainerOptions& options) {
  const auto wanted = std::size_t(options.vocab_size) - options.special_tokens.size();
  const auto total = std::int64_t(wanted - 256);
  const auto report = [&](std::int64_t done) {
    if (options.progress) options.progress(done, total);
  };
  while (merger.tokens.size() < wanted && merger.merge_next(options.min_frequency))
    if (merger.merges.size() % kProgressEvery == 0)
      report(std::int64_t(merger.tokens.size()) - 256);
  report(std::int64_t(merger.tokens.size()) - 256);
}

}  // namespace

BpeTraining train_bpe(const DocumentSource& next, const BpeTrainerOptions& options) {
  check_options(options);
  TokenizerSpec spec = split_spec(options);
  const Normalizer normalizer(spec.normalizer, "tokenizer training");
  const Splitter splitter(spec.pre_tokenizer, "tokenizer training");
  const WordCounts counts = count_words(next, normalizer, splitter);
  Merger merger(counts.words, options.special_tokens);
  run_merges(merger, options);
  for (const std::string& bytes : merger.tokens) spec.vocab.push_back(byte_level_text(bytes));
  spec.merges = std::move(merger.merges);
  for (const std::string& token : options.special_tokens)
    spec.added.push_back({std::int32_t(spec.vocab.size() + spec.added.size()), token});
  return {Tokenizer(std::move(spec)), counts.bytes, counts.total, counts.words.size()};
}

BpeTraining train_bpe_files(const std::vector<fs::path>& files, const BpeTrainerOptions& options) {
  std::size_t next = 0;
  MappedFile file;
  const DocumentSource source = [&](std::string_view& document) {
    if (next == files.size()) return false;
    file = MappedFile(files[next++]);
    document = file.text();
    return true;
  };
  return train_bpe(source, options);
}

}  // namespace autarky
