#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "text/word_counts.h"
#include "text_fixture.h"

namespace autarky {
namespace {

std::vector<std::string> merge_texts(const Tokenizer& t) {
  std::vector<std::string> texts;
  for (const auto& [l, r] : t.spec().merges)
    texts.push_back(std::string(t.bytes(l)) + "+" + std::string(t.bytes(r)));
  return texts;
}

// A number in letters.
std::string in_letters(std::uint64_t number) {
  std::string letters;
  for (int i = 0; i < 8; ++i, number /= 26) letters += char('a' + number % 26);
  return letters;
}

TEST(BpeTrainer, MergesOfATinyTextAreThoseDoneByHand) {
  // Words: "ab" 3 times (once as " ab" twice), "abc" once. Counts: ab 4, " a" 3, bc 1.
  // After a+b: " "+ab 3 (words " ab" x2, " abc"), then ab+c 1 is below the least frequency.
  BpeTrainerOptions options;
  options.vocab_size = 1000;
  const BpeTraining r = train_on({"ab ab ab abc"}, options);
  EXPECT_EQ(merge_texts(r.tokenizer), (std::vector<std::string>{"a+b", " +ab"}));
  EXPECT_EQ(r.tokenizer.vocab_size(), 256 + 2 + 1);  // fewer than asked for
  EXPECT_EQ(r.tokenizer.eos_id(), 258);
  EXPECT_EQ(r.bytes, 12u);
  EXPECT_EQ(r.words, 4u);
  EXPECT_EQ(r.distinct_words, 3u);
}

TEST(BpeTrainer, EquallyFrequentPairsGoByIds) {
  // xy, yz, zx are there twice each; x < y < z in ids.
  BpeTrainerOptions options;
  options.vocab_size = 258;
  EXPECT_EQ(merge_texts(train_on({"zx", "yz", "xy", "xy", "yz", "zx"}, options).tokenizer),
            (std::vector<std::string>{"x+y"}));
}

TEST(BpeTrainer, OverlappingPairsMergeFromTheLeft) {
  // "aaaaa" twice: aa counted 8; then aa+aa 2 and aa+a 2: (a aa) is not there; ids of "aa" are
  // greater, the pair (aa, a) has the smaller right id.
  BpeTrainerOptions options;
  options.vocab_size = 400;
  EXPECT_EQ(merge_texts(train_on({"aaaaa", "aaaaa"}, options).tokenizer),
            (std::vector<std::string>{"a+a", "aa+a", "aa+aaa"}));
}

TEST(BpeTrainer, ResultIsTheSameForAnyNumberOfThreadsAndOrder) {
  const Random random{7};
  std::vector<std::string> documents(200);
  std::uint64_t n = 0;
  for (auto& d : documents)
    for (int i = 0; i < 400; ++i) d += "abcde  fgh"[std::size_t(random.bits(n++) % 10)];
  BpeTrainerOptions options;
  options.vocab_size = 600;
  const int before = thread_count();
  set_thread_count(1);
  const auto expected = train_on(documents, options).tokenizer.spec().merges;
  EXPECT_EQ(expected.size(), 343u);
  for (int threads = 2; threads <= 4; ++threads) {
    set_thread_count(threads);
    std::swap(documents[0], documents[std::size_t(threads)]);
    EXPECT_EQ(train_on(documents, options).tokenizer.spec().merges, expected);
  }
  set_thread_count(before);
}

TEST(WordCounts, AreThoseOfAMap) {
  const Random random{8};
  std::map<std::string, std::uint64_t> expected;
  std::vector<std::string> documents(50);
  std::uint64_t n = 0;
  for (auto& d : documents)
    for (int i = 0; i < 600; ++i) {  // a few often, some 10,000 once
      const auto bits = random.bits(n++);
      const std::string word = " w" + std::string(1 + bits % 20, char('a' + bits / 20 % 2)) +
                               (bits % 3 ? std::string(1 + bits % 9, char('a' + bits / 60 % 26))
                                         : "x" + in_letters(bits));
      ++expected[word];
      d += word;
    }
  std::size_t next = 0;
  const WordCounts counts = count_words(
      [&](std::string_view& d) {
        if (next == documents.size()) return false;
        d = documents[next++];
        return true;
      },
      Normalizer({}, "test"), Splitter({ByteLevel{.add_prefix_space = false}}, "test"));
  ASSERT_EQ(counts.words.size(), expected.size());
  EXPECT_GT(expected.size(), 9000u);
  EXPECT_EQ(counts.total, 50u * 600u);
  auto e = expected.begin();
  for (const WordCount& w : counts.words) {
    EXPECT_EQ(w.word, e->first);
    EXPECT_EQ(w.count, e++->second);
  }
}

TEST(BpeTrainer, ProgressEndsWithTheTotal) {
  BpeTrainerOptions options;
  options.vocab_size = 259;
  std::int64_t done = 0, total = 0;
  options.progress = [&](std::int64_t d, std::int64_t t) { done = d, total = t; };
  train_on({"abab abab cdcd cdcd"}, options);
  EXPECT_EQ(done, 2);
  EXPECT_EQ(total, 2);
}

TEST(BpeTrainer, SpecialTokensAreNeverMadeByMerges) {
  BpeTrainerOptions options;
  options.vocab_size = 300;
  options.special_tokens = {"abc"};
  options.eos_token = "abc";
  const Tokenizer t = train_on({"abc abc abc abc"}, options).tokenizer;
  EXPECT_EQ(t.encode("abc").size(), 1u);
  EXPECT_GT(t.encode("abc", false).size(), 1u);
}

TEST(BpeTrainer, NoTextGivesTheBytesAndTheSpecialTokens) {
  EXPECT_EQ(train_on({}, {}).tokenizer.vocab_size(), 257);
  EXPECT_EQ(train_on({"", ""}, {}).tokenizer.decode(train_on({}, {}).tokenizer.encode("x")), "x");
}

TEST(BpeTrainer, OptionsThatDoNotFitAreRefused) {
  const auto refused = [](auto change) {
    BpeTrainerOptions options;
    change(options);
    EXPECT_THROW(train_on({"a"}, options), InputError);
  };
  refused([](auto& o) { o.vocab_size = 257; });
  refused([](auto& o) { o.vocab_size = -1; });
  refused([](auto& o) { o.vocab_size = 1 << 30; });
  refused([](auto& o) { o.pattern = "other"; });
  refused([](auto& o) { o.special_tokens = {"<s>", "<s>"}; });
  refused([](auto& o) { o.special_tokens = {""}; });
  refused([](auto& o) { o.eos_token = "</s>"; });
  EXPECT_THROW(train_bpe_files({"/no/such/file"}, {}), InputError);
}

}  // namespace
}  // namespace autarky
