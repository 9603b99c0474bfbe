// Counting the pieces of documents on all threads.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/normalizer.h"
#include "text/splitter.h"

namespace autarky {

struct WordCount {
  std::string word;
  std::uint64_t count = 0;
};

struct WordCounts {
  std::vector<WordCount> words;  // ordered by bytes
  std::uint64_t bytes = 0, total = 0;
};

// Counts the pieces of all documents. Documents are copied in batches of about 8 MB.
WordCounts count_words(const std::function<bool(std::string_view&)>& next,
                       const Normalizer& normalizer, const Splitter& splitter);

}  // namespace autarky
