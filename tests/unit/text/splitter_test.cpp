#include "text/splitter.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/byte_level.h"
#include "text/normal_form.h"
#include "text/utf8.h"

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

}  // namespace
}  // namespace autarky
