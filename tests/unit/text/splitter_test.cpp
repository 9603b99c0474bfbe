#include "text/splitter.h"

#include <gtest/gtest.h>

#include <ctime>

#include <unicode/uchar.h>

#include "base/error.h"
#include "base/rng.h"
#include "text/byte_level.h"
#include "text/normal_form.h"
#include "text/regex.h"
#include "text/utf8.h"
#include "text/word_cutter.h"

namespace autarky {
namespace {

using Pieces = std::vector<std::string>;

Pieces split_steps(const std::vector<PreTokenizerStep>& steps, std::string_view text) {
  Pieces pieces;
  Splitter(steps, "test").split(text, true, [&](std::string_view p) { pieces.emplace_back(p); });
  return pieces;
}
Pieces split_as(std::string_view name, std::string_view text) {
  return split_steps({Split{{split_pattern(name)}}}, text);
}

TEST(Splitter, Gpt2KeepsASpaceWithItsWordAndCutsContractions) {
  EXPECT_EQ(split_as("gpt2", "Hello world, it's  we'll 12345!"),
            (Pieces{"Hello", " world", ",", " it", "'s", " ", " we", "'ll", " 12345", "!"}));
  EXPECT_EQ(split_as("gpt2", "IT'S"), (Pieces{"IT", "'", "S"}));
  EXPECT_EQ(split_as("gpt2", "a \n\nb  "), (Pieces{"a", " \n", "\n", "b", "  "}));
}

TEST(Splitter, Llama3CutsNumbersInThreesAndKeepsLineEndsTogether) {
  EXPECT_EQ(split_as("llama3", "IT'S 1234567"), (Pieces{"IT", "'S", " ", "123", "456", "7"}));
  EXPECT_EQ(split_as("llama3", "x;\n\n y"), (Pieces{"x", ";\n\n", " y"}));
  EXPECT_EQ(split_as("llama3", "(abc) \r\n  z"), (Pieces{"(abc", ")", " \r\n", " ", " z"}));
}

TEST(Splitter, Qwen2CutsEveryDigit) {
  EXPECT_EQ(split_as("qwen2", "a123"), (Pieces{"a", "1", "2", "3"}));
}

TEST(Splitter, ChineseAndEmojiAreLettersAndSymbols) {
  EXPECT_EQ(split_as("gpt2", "中文 中文，😀😀a"), (Pieces{"中文", " 中文", "，😀😀", "a"}));
  EXPECT_EQ(split_as("qwen2", "，中文😀"), (Pieces{"，中文", "😀"}));
}

TEST(Splitter, InvalidBytesArePiecesOfTheirOwn) {
  EXPECT_EQ(split_as("gpt2", "ab\xff\xfe cd"), (Pieces{"ab", "\xff", "\xfe", " cd"}));
  EXPECT_EQ(split_as("gpt2", "\xe4\xb8"), (Pieces{"\xe4", "\xb8"}));              // truncated
  EXPECT_EQ(split_as("gpt2", "\xed\xa0\x80"), (Pieces{"\xed", "\xa0", "\x80"}));  // surrogate
  EXPECT_EQ(split_as("gpt2", "\xc0\x80"), (Pieces{"\xc0", "\x80"}));              // overlong
  EXPECT_EQ(split_as("gpt2", "\xf4\x90\x80\x80").size(), 4u);                     // too great
}

TEST(Splitter, MongolianVowelSeparatorIsNoWhiteSpace) {
  EXPECT_EQ(split_as("gpt2", "!\xe1\xa0\x8e!"), (Pieces{"!\xe1\xa0\x8e!"}));
}

TEST(Splitter, StepsFollowEachOtherAndEmptyMatchesCut) {
  EXPECT_EQ(split_steps({Split{{"-", true}}, Split{{R"(\d)"}}}, "ab-c1d"),
            (Pieces{"ab", "-", "c", "1", "d"}));
  EXPECT_EQ(split_steps({Split{{"(?=b)"}}}, "abab"), (Pieces{"a", "ba", "b"}));
  EXPECT_EQ(split_steps({Split{{".", true}}}, "a.b"), (Pieces{"a", ".", "b"}));
  EXPECT_EQ(split_steps({}, "a b"), (Pieces{"a b"}));
}

TEST(Splitter, BadPatternsAreRefused) {
  EXPECT_THROW(split_steps({Split{{"(a"}}}, "a"), InputError);
  EXPECT_THROW(split_steps({Split{{""}}}, "a"), InputError);
  EXPECT_THROW(split_steps({Split{{std::string(70000, 'a')}}}, "a"), InputError);
  EXPECT_THROW(split_steps({Split{{"(((a{9999}){9999}){9999})"}}}, "a"), InputError);
  EXPECT_THROW(split_steps(std::vector<PreTokenizerStep>(17, Split{{"a"}}), "a"), InputError);
  EXPECT_THROW(split_pattern("gpt5"), InputError);
}

TEST(Splitter, EndlessBacktrackingIsAnErrorNotAHang) {
  EXPECT_THROW(split_steps({Split{{R"((?:a|aa)+$)"}}}, std::string(99, 'a') + "!"), InputError);
  const auto start = std::clock();  // interpreted, a step takes longer
  EXPECT_THROW(split_steps({Split{{R"((*NO_JIT)(a+)+$)"}}}, std::string(99, 'a') + "!"),
               InputError);
  EXPECT_LT(double(std::clock() - start) / CLOCKS_PER_SEC, 2);
}

// Compares the cutter with PCRE2 on one text.
void expect_same_cuts(const WordCutter& cutter, RegexMatches& matches, const std::string& text) {
  matches.start(text);
  std::size_t done = 0, from, to;
  while (matches.next(from, to)) {
    ASSERT_EQ(from, done) << text;
    ASSERT_EQ(cutter.end(text, from), to) << text << " from " << from;
    done = to;
  }
  ASSERT_EQ(done, text.size());
}

bool is_unicode14(UChar32 c) {
  UVersionInfo age;
  u_charAge(c, age);
  return age[0] > 0 && age[0] <= 14 && (c < 0xD800 || c > 0xDFFF);
}

const std::string kQwen35 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N})"
                            R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

TEST(WordCutter, CutsAsPcre2DoesAroundEveryCodePoint) {
  for (const auto& pattern : {split_pattern("gpt2"), split_pattern("llama3"), kQwen35}) {
    const auto cutter = WordCutter::for_pattern({pattern});
    ASSERT_TRUE(cutter);
    const Regex regex({pattern}, "test");
    RegexMatches matches(regex);
    for (UChar32 c = 0; c < 0x110000; ++c) {
      if (!is_unicode14(c)) continue;
      std::string one, text;
      append_utf8(one, char32_t(c));
      text = one + one + "a" + one + " " + one + "1" + one + "!" + one + "\n" + one + "'" + one;
      expect_same_cuts(*cutter, matches, text);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(WordCutter, CutsAsPcre2DoesInRandomTexts) {
  const std::vector<std::string> parts = {
      "'",  "s",  "S",      "t",      "re",     "VE",     "m",      "ll", "L", "d",
      " ",  " ",  "  ",     "\n",     "\r",     "\t",     "1",      "23", "!", "-",
      "中", "，", "\u3000", "\u00a0", "\u0301", "\u017f", "\u212a", "½",  "😀", "é"};
  const Random random{21};
  std::uint64_t n = 0;
  for (const auto& pattern :
       {split_pattern("gpt2"), split_pattern("llama3"), split_pattern("qwen2"), kQwen35}) {
    const auto cutter = WordCutter::for_pattern({pattern});
    ASSERT_TRUE(cutter);
    const Regex regex({pattern}, "test");
    RegexMatches matches(regex);
    for (int i = 0; i < 40000; ++i) {
      std::string text;
      for (auto k = random.bits(n++) % 16; k > 0; --k)
        text += parts[random.bits(n++) % parts.size()];
      expect_same_cuts(*cutter, matches, text);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(WordCutter, OtherPatternsAreLeftToPcre2) {
  EXPECT_FALSE(WordCutter::for_pattern({R"(\p{L}+)"}));
  EXPECT_FALSE(WordCutter::for_pattern({split_pattern("gpt2"), true}));
}

TEST(Utf8, CodePointsAreWrittenAndReadBack) {
  for (const char32_t c : {0x0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFD, 0x10000, 0x10FFFF}) {
    std::string text;
    append_utf8(text, c);
    EXPECT_EQ(valid_utf8_prefix(text), text.size());
    std::size_t at = 0;
    EXPECT_EQ(next_code_point(text, at), c);
    EXPECT_EQ(at, text.size());
  }
  EXPECT_EQ(utf8_floor("a中", 2), 1u);
}

TEST(ByteLevel, SpacesAndControlsGetVisibleCharacters) {
  EXPECT_EQ(byte_level_text(" a\n"), "Ġa\xc4\x8a");  // U+0120, a, U+010A
  std::string all;
  for (int b = 0; b < 256; ++b) all += char(b);
  EXPECT_EQ(byte_level_bytes(byte_level_text(all)), all);
  EXPECT_FALSE(byte_level_bytes("a b"));
  EXPECT_FALSE(byte_level_bytes("中"));
  EXPECT_EQ(byte_level_order()[0], '!');
  EXPECT_EQ(byte_level_order()[188], 0);
}

TEST(NormalForm, ComposesAndLeavesInvalidBytesAlone) {
  EXPECT_EQ(normal_form(NormalForm::nfc,
                        "e\xcc\x81\xff"
                        "e\xcc\x81"),
            "\xc3\xa9\xff\xc3\xa9");
  EXPECT_EQ(normal_form(NormalForm::nfc, "\xe2\x84\xab"), "\xc3\x85");  // the Angstrom sign
  EXPECT_EQ(normal_form(NormalForm::nfd, "\xc3\xa9"), "e\xcc\x81");
  EXPECT_EQ(normal_form(NormalForm::nfkc, "\xef\xac\x81"), "fi");
  EXPECT_EQ(normal_form(NormalForm::nfkd, "\xc2\xbd"),
            "1\xe2\x81\x84"
            "2");
}

TEST(NormalForm, MarksNewerThanUnicode9StayWhereTheyAre) {
  EXPECT_EQ(normal_form(NormalForm::nfc, "b\u0301\u0323"), "\u1e05\u0301");
  EXPECT_EQ(normal_form(NormalForm::nfc, "b\u0301\u08d3"), "b\u0301\u08d3");  // of Unicode 11
}

}  // namespace
}  // namespace autarky
