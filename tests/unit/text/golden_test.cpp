// Ids and texts of Hugging Face tokenizers, made by tests/golden/text/make_tokenizer_golden.py.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/rng.h"
#include "text_fixture.h"

namespace autarky {
namespace {

using Ids = std::vector<std::int32_t>;

class TokenizerGolden : public testing::TestWithParam<const char*> {
 protected:
  fs::path folder() const {
    return fs::path(AUTARKY_SOURCE_DIR) / "tests" / "golden" / "text" / GetParam();
  }
  void expect_all(const Tokenizer& t) const {
    const Json cases = read_json(folder() / "expected.json");
    ASSERT_GT(cases.size(), 50u);
    for (const Json& c : cases) {
      const auto text = c["text"].get<std::string>();
      const Ids ids = t.encode(text);
      EXPECT_EQ(ids, c["ids"].get<Ids>()) << c["text"];
      EXPECT_EQ(t.encode(text, true, true), c["with_special"].get<Ids>()) << c["text"];
      EXPECT_EQ(t.decode(ids), c["decoded"].get<std::string>());
      EXPECT_EQ(t.decode(ids, true), c["without_special"].get<std::string>());
    }
  }
};

TEST_P(TokenizerGolden, IdsAndTextsAreThoseOfTheOtherImplementation) {
  expect_all(Tokenizer::load(folder()));
}

TEST_P(TokenizerGolden, SavedByUsItStillGivesThem) {
  const fs::path copy =
      fs::temp_directory_path() / ("autarky_golden_" + std::to_string(::getpid()) + GetParam());
  Tokenizer::load(folder()).save(copy);
  expect_all(Tokenizer::load(copy));
  fs::remove_all(copy);
}

TEST(ByteFallback, AnyBytesRoundTripThroughATokenEach) {
  const Random random{3};
  std::uint64_t n = 0;
  for (const char* name : {"llama2", "mistral"}) {
    const Tokenizer t =
        Tokenizer::load(fs::path(AUTARKY_SOURCE_DIR) / "tests" / "golden" / "text" / name);
    for (int i = 0; i < 1000; ++i) {
      std::string text = "x";
      const auto length = random.bits(n++) % 60;
      for (std::uint64_t k = 0; k < length; ++k)
        text += char(random.bits(n) % 3 ? random.bits(n + 1) % 128 : random.bits(n + 1)), n += 2;
      EXPECT_EQ(t.decode(t.encode(text, false)), text);
    }
    EXPECT_EQ(t.decode(t.encode("x \xff\xfe a")), "x \xff\xfe a");
  }
}

INSTANTIATE_TEST_SUITE_P(Families, TokenizerGolden,
                         testing::Values("gpt2", "qwen2", "llama3", "spaced", "smollm2", "deepseek",
                                         "tekken", "llama2", "mistral", "metaspace", "behaviors"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace autarky
