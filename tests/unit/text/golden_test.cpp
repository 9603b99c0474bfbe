// Ids and texts of Hugging Face tokenizers, made by tests/golden/text/make_tokenizer_golden.py.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
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

INSTANTIATE_TEST_SUITE_P(Families, TokenizerGolden,
                         testing::Values("gpt2", "qwen2", "llama3", "spaced"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace autarky
