#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"
#include "text_fixture.h"

namespace autarky {
namespace {

using Ids = std::vector<std::int32_t>;

fs::path golden(const char* name) {
  return fs::path(AUTARKY_SOURCE_DIR) / "tests" / "golden" / "text" / name;
}

void expect_golden(const Tokenizer& t, const char* name) {
  for (const Json& c : read_json(golden(name) / "expected.json")) {
    const Ids ids = t.encode(c["text"].get<std::string>());
    EXPECT_EQ(ids, c["ids"].get<Ids>()) << c["text"];
    EXPECT_EQ(t.decode(ids), c["decoded"].get<std::string>());
  }
}

// Made by tests/golden/text/make_sentencepiece_golden.py.
TEST(SentencePieceModel, IdsAndTextsAreThoseOfTheLibrary) {
  const TemporaryFolder folder;
  for (const char* name : {"sp_bpe", "sp_unigram"}) {
    const Tokenizer t = Tokenizer::load(golden(name));
    expect_golden(t, name);
    expect_golden(Tokenizer::load(golden(name) / "tokenizer.model"), name);
    t.save(folder.path());
    expect_golden(Tokenizer::load(folder.path()), name);
    EXPECT_EQ(read_file(folder.path() / "tokenizer.model"),
              read_file(golden(name) / "tokenizer.model"));
  }
}

TEST(SentencePieceModel, BeginAndEndAreControlTokens) {
  const Tokenizer t = Tokenizer::load(golden("sp_bpe"));
  EXPECT_EQ(t.bos_id(), 1);
  EXPECT_EQ(t.eos_id(), 2);
  EXPECT_FALSE(t.pad_id());
  EXPECT_TRUE(t.is_special(1));
  EXPECT_EQ(t.bytes(1), "");
  EXPECT_EQ(t.bytes(t.id_of("<0x41>").value()), "A");
  EXPECT_EQ(t.encode("the", true, true).front(), 1);
  EXPECT_THROW(t.decode(Ids{t.vocab_size()}), InputError);
}

TEST(SentencePieceModel, TheConfigSaysWhatGoesAroundAText) {
  const TemporaryFolder folder;
  fs::copy(golden("sp_bpe") / "tokenizer.model", folder.path());
  write_file_atomic(folder.path() / "tokenizer_config.json",
                    R"({"add_bos_token": false, "add_eos_token": true, "chat_template": "x"})");
  const Tokenizer t = Tokenizer::load(folder.path());
  Ids expected = t.encode("the");
  expected.push_back(2);
  EXPECT_EQ(t.encode("the", true, true), expected);
  EXPECT_EQ(t.chat_template(), "x");
}

// Loads changed bytes of a model: an InputError that names the file, or a tokenizer that works.
void load_changed(std::string bytes) {
  TokenizerSpec spec;
  spec.sentencepiece = std::move(bytes);
  if (spec.sentencepiece.empty()) return;
  try {
    const Tokenizer t(std::move(spec), "tokenizer.model");
    t.encode("The quick \xef\xac\x81 e\xcc\x81 \xe4\xb8\xad 12");
  } catch (const InputError& e) {
    EXPECT_NE(std::string_view(e.what()).find("tokenizer.model"), std::string_view::npos);
  }
}

TEST(SentencePieceModel, TruncatedAndGarbledFilesAreErrorsOrModels) {
  const TemporaryFolder folder;
  const Random random{5};
  std::uint64_t n = 0;
  for (const char* name : {"sp_bpe", "sp_unigram"}) {
    const std::string whole = read_file(golden(name) / "tokenizer.model");
    for (std::size_t size = 0; size < whole.size(); size += 53) load_changed(whole.substr(0, size));
    for (int i = 0; i < 1000; ++i) {
      std::string bytes = whole;
      for (int k = 0; k < 3; ++k) {
        const auto at = random.bits(n++) % bytes.size();
        bytes[at] = char(random.bits(n++));
      }
      load_changed(bytes);
    }
  }
  write_file_atomic(folder.path() / "tokenizer.model", "no model at all");
  try {
    Tokenizer::load(folder.path());
    ADD_FAILURE();
  } catch (const InputError& e) {
    EXPECT_NE(std::string_view(e.what()).find("not a SentencePiece model"), std::string_view::npos);
  }
}

}  // namespace
}  // namespace autarky
