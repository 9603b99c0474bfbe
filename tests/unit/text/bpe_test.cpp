// Merging against its definition done naively, on vocabularies whose merges come in any order.
#include "text/bpe.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "base/rng.h"
#include "text/utf8.h"

namespace autarky {
namespace {

using Ids = std::vector<std::int32_t>;

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<MergeRule> merges;

  std::int32_t id_of(const std::string& token) {
    for (std::size_t id = 0; id < tokens.size(); ++id)
      if (tokens[id] == token) return std::int32_t(id);
    tokens.push_back(token);
    return std::int32_t(tokens.size()) - 1;
  }
};

// All bytes or the given symbols, and merges of random tokens: several may make the same one, and a
// pair may be there twice, of which the later counts.
Vocabulary random_vocabulary(const Random& random, std::uint64_t& n,
                             const std::vector<std::string>& symbols, int merges) {
  Vocabulary v;
  if (symbols.front().size() == 1)
    for (int b = 0; b < 256; ++b) v.tokens.emplace_back(1, char(b));
  std::vector<std::int32_t> used;
  for (const std::string& s : symbols) used.push_back(v.id_of(s));
  for (int i = 0; i < merges; ++i) {
    const std::int32_t left = used[random.bits(n++) % used.size()];
    const std::int32_t right = used[random.bits(n++) % used.size()];
    const std::string text = v.tokens[std::size_t(left)] + v.tokens[std::size_t(right)];
    if (text.size() > 40) continue;
    const std::int32_t result = v.id_of(text);
    v.merges.push_back({left, right, result});
    used.push_back(result);
  }
  for (std::size_t i = v.merges.size(); i > 1; --i)
    std::swap(v.merges[i - 1], v.merges[random.bits(n++) % i]);
  return v;
}

// Again and again the pair of least rank, the leftmost of equals.
Ids merge_naively(const Vocabulary& v, Ids ids) {
  std::map<std::pair<std::int32_t, std::int32_t>, std::size_t> ranks;
  for (std::size_t r = 0; r < v.merges.size(); ++r)
    ranks[{v.merges[r].left, v.merges[r].right}] = r;
  while (true) {
    std::size_t best = v.merges.size(), at = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i)
      if (const auto found = ranks.find({ids[i], ids[i + 1]});
          found != ranks.end() && found->second < best)
        best = found->second, at = i;
    if (best == v.merges.size()) return ids;
    ids[at] = v.merges[best].result;
    ids.erase(ids.begin() + std::ptrdiff_t(at) + 1);
  }
}

// Texts of every length up to 80 (both algorithms, and the change between them) and some longer.
std::string random_text(const Random& random, std::uint64_t& n,
                        const std::vector<std::string>& symbols, std::size_t length) {
  std::string text;
  std::size_t used = 1 + random.bits(n++) % symbols.size();  // one: a run
  for (std::size_t i = 0; i < length; ++i) text += symbols[random.bits(n++) % used];
  return text;
}

void expect_as_by_definition(const std::vector<std::string>& symbols, bool bytes) {
  const Random random{bytes ? 21u : 22u};
  std::uint64_t n = 0;
  for (int round = 0; round < 16; ++round) {
    Vocabulary v = random_vocabulary(random, n, symbols, 2 << (round % 8));
    const std::vector<std::string_view> views(v.tokens.begin(), v.tokens.end());
    const Bpe bpe(views, v.merges, {.bytes = bytes}, false);
    for (std::size_t length = 0; length < 400; length += length < 80 ? 1 : 61) {
      const std::string text = random_text(random, n, symbols, length);
      Ids start, got = {-7};
      for (std::size_t at = 0, end = 0; at < text.size(); at = end) {
        bytes ? void(++end) : void(next_code_point(text, end));
        start.push_back(v.id_of(text.substr(at, end - at)));
      }
      bpe.encode(text, got);
      Ids expected = merge_naively(v, start);
      expected.insert(expected.begin(), -7);  // what was there stays
      ASSERT_EQ(got, expected) << text;
    }
  }
}

TEST(Bpe, MergesBytesAsByDefinition) {
  expect_as_by_definition({"a"}, true);
  expect_as_by_definition({"a", "b", "c"}, true);
  expect_as_by_definition({"\xe4", "\xb8", "\xad", "\xe6", "\x96", "\x87"}, true);
}

TEST(Bpe, MergesChineseCharactersAsByDefinition) {
  expect_as_by_definition({"中", "文", "的", "是", "a"}, false);
}

TEST(Bpe, TokenThatNoMergeLeadsToIsTakenOnlyWhole) {
  const std::vector<std::string_view> tokens = {"a", "b", "ab", "abb"};
  const std::vector<MergeRule> merges = {{0, 1, 2}};
  for (const bool ignore_merges : {false, true}) {
    const Bpe bpe(tokens, merges, {}, ignore_merges);
    Ids ids;
    bpe.encode("abb", ids);
    bpe.encode("ab", ids);
    bpe.encode("abba", ids);
    EXPECT_EQ(ids, ignore_merges ? (Ids{3, 2, 2, 1, 0}) : (Ids{2, 1, 2, 2, 1, 0}));
  }
}

TEST(Bpe, BytesThatAreNoTokenAreLeftOutOrUnknown) {
  const std::vector<std::string_view> tokens = {"a", "b", "ab", "?"};
  const std::vector<MergeRule> merges = {{0, 1, 2}};
  Ids left_out, nothing, unknown;
  Bpe(tokens, merges, {}, false).encode("axbab", left_out);
  Bpe(tokens, merges, {}, false).encode("xyz", nothing);
  Bpe(tokens, merges, {.unk = 3}, false).encode("axbab", unknown);
  EXPECT_EQ(left_out, (Ids{2, 2}));
  EXPECT_EQ(nothing, Ids{});
  EXPECT_EQ(unknown, (Ids{0, 3, 1, 2}));
}

}  // namespace
}  // namespace autarky
