#include "text/word_counts.h"

#include <algorithm>
#include <deque>

#include "base/error.h"
#include "base/parallel.h"
#include "text/hash_index.h"

namespace autarky {
namespace {

constexpr std::size_t kBatchBytes = std::size_t(8) << 20;

// Words in the order in which they came, found by hash.
class Counts {
 public:
  void add(std::string_view word, std::uint64_t count) {
    const std::uint64_t hash = short_hash(word);
    const auto tag = std::uint32_t(hash >> 32);
    std::size_t i = hash & (slots_.size() - 1);
    for (; slots_[i].word != kNone; i = (i + 1) & (slots_.size() - 1))
      if (slots_[i].tag == tag && words_[slots_[i].word].word == word)
        return void(words_[slots_[i].word].count += count);
    AUTARKY_CHECK(words_.size() < kNone, "number of different words");
    slots_[i] = {tag, std::uint32_t(words_.size())};
    words_.push_back({std::string(word), count});
    if (words_.size() * 2 > slots_.size()) grow();
  }

  std::deque<WordCount>& words() { return words_; }

 private:
  static constexpr std::uint32_t kNone = ~0u;
  struct Slot {
    std::uint32_t tag = 0, word = kNone;
  };

  void grow() {
    slots_.assign(slots_.size() * 2, {});
    for (std::uint32_t w = 0; w < words_.size(); ++w) {
      const std::uint64_t hash = short_hash(words_[w].word);
      std::size_t i = hash & (slots_.size() - 1);
      while (slots_[i].word != kNone) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = {std::uint32_t(hash >> 32), w};
    }
  }

  std::vector<Slot> slots_{1 << 12};
  std::deque<WordCount> words_;
};

void count_document(std::string_view text, const Splitter& splitter, Counts& counts) {
  splitter.split(text, true, [&](std::string_view piece) { counts.add(piece, 1); });
}

// The next documents, at least kBatchBytes if there are as many.
std::vector<std::string> next_batch(const std::function<bool(std::string_view&)>& next) {
  std::vector<std::string> batch;
  std::size_t bytes = 0;
  std::string_view document;
  while (bytes < kBatchBytes && next(document)) {
    batch.emplace_back(document);
    bytes += document.size();
  }
  return batch;
}

}  // namespace

WordCounts count_words(const std::function<bool(std::string_view&)>& next,
                       const Normalizer& normalizer, const Splitter& splitter) {
  WordCounts result;
  const auto threads = std::size_t(thread_count());
  std::vector<Counts> by_thread(threads);
  for (auto batch = next_batch(next); !batch.empty(); batch = next_batch(next)) {
    for (const std::string& document : batch) result.bytes += document.size();
    parallel_for(std::int64_t(batch.size()), [&](std::int64_t i, int thread) {
      const std::string& text = batch[std::size_t(i)];
      Counts& counts = by_thread[std::size_t(thread)];
      if (normalizer.changes_nothing()) count_document(text, splitter, counts);
      else count_document(normalizer.apply(text), splitter, counts);
    });
  }
  Counts& all = by_thread.front();
  for (std::size_t t = 1; t < by_thread.size(); ++t) {
    for (const WordCount& w : by_thread[t].words()) all.add(w.word, w.count);
    by_thread[t] = {};
  }
  result.words.reserve(all.words().size());
  for (WordCount& w : all.words()) {
    result.total += w.count;
    result.words.push_back(std::move(w));
  }
  std::sort(result.words.begin(), result.words.end(),
            [](const WordCount& a, const WordCount& b) { return a.word < b.word; });
  return result;
}

}  // namespace autarky
