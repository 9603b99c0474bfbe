#include "text/word_counts.h"

#include <algorithm>
#include <unordered_map>

#include "base/parallel.h"

namespace autarky {
namespace {

constexpr std::size_t kBatchBytes = std::size_t(8) << 20;

struct ViewHash : std::hash<std::string_view> {
  using is_transparent = void;
};
using Counts = std::unordered_map<std::string, std::uint64_t, ViewHash, std::equal_to<>>;

void count_document(std::string_view text, const Splitter& splitter, Counts& counts) {
  splitter.split(text, true, [&](std::string_view piece) {
    const auto found = counts.find(piece);
    if (found != counts.end()) ++found->second;
    else counts.emplace(piece, 1);
  });
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
  for (std::size_t t = 1; t < by_thread.size(); ++t)
    for (const auto& [word, count] : by_thread[t]) all[word] += count;
  for (const auto& [word, count] : all) {
    result.words.push_back({word, count});
    result.total += count;
  }
  std::sort(result.words.begin(), result.words.end(),
            [](const WordCount& a, const WordCount& b) { return a.word < b.word; });
  return result;
}

}  // namespace autarky
