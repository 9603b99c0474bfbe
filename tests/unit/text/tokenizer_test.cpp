#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"
#include "text_fixture.h"

namespace autarky {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(Tokenizer, AnyBytesRoundTrip) {
  const Random random{11};
  std::uint64_t n = 0;
  for (const char* pattern : {"gpt2", "llama3"}) {
    const Tokenizer t = small_tokenizer(pattern);
    for (int i = 0; i < 3000; ++i) {
      std::string text;
      const auto length = random.bits(n++) % 120;
      const bool ascii = random.bits(n++) % 2;
      for (std::uint64_t k = 0; k < length; ++k)
        text += char(ascii ? random.bits(n++) % 128 : random.bits(n++));
      EXPECT_EQ(t.decode(t.encode(text)), text);
    }
  }
}

TEST(Tokenizer, LongRunsTakeNoQuadraticTime) {
  const Tokenizer t = small_tokenizer();
  for (const std::string& piece : {std::string("a"), std::string("the"), std::string("中文")}) {
    std::string text;
    while (text.size() < 1'000'000) text += piece;
    const Ids ids = t.encode(text);
    EXPECT_LT(ids.size(), text.size());
    EXPECT_EQ(t.decode(ids), text);
  }
}

TEST(Tokenizer, LongAndShortPiecesMergeAlike) {
  // A run of a's of any length merges the same pairs on both sides of the change of algorithm.
  const Tokenizer t = small_tokenizer();
  const Ids four = t.encode("aaaa");
  for (std::size_t fours = 1; fours < 40; ++fours) {
    Ids expected;
    for (std::size_t i = 0; i < fours; ++i)
      expected.insert(expected.end(), four.begin(), four.end());
    EXPECT_EQ(t.encode(std::string(4 * fours, 'a')), expected) << fours;
  }
}

TEST(Tokenizer, SpecialTokensAreIdsOnlyWhereAllowed) {
  const Tokenizer t = small_tokenizer();
  const std::int32_t eos = t.id_of("<|endoftext|>").value(), end = t.id_of("<|end|>").value();
  EXPECT_EQ(t.eos_id(), eos);
  EXPECT_FALSE(t.bos_id());
  EXPECT_EQ(t.encode("<|endoftext|><|end|>"), (Ids{eos, end}));
  const Ids plain = t.encode("<|end|>", false);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), end), 0);
  EXPECT_EQ(t.decode(plain), "<|end|>");
  EXPECT_EQ(t.decode(t.encode("a<|end|>b"), true), "ab");
  EXPECT_EQ(t.decode(t.encode("a<|end|>b")), "a<|end|>b");
  EXPECT_TRUE(t.is_special(end));
  EXPECT_FALSE(t.is_special(0));
}

TEST(Tokenizer, IdsOutsideTheVocabularyAreRefused) {
  const Tokenizer t = small_tokenizer();
  EXPECT_THROW(t.decode(Ids{-1}), InputError);
  EXPECT_THROW(t.decode(Ids{t.vocab_size()}), InputError);
  EXPECT_THROW(t.bytes(1 << 30), InputError);
}

TEST(Tokenizer, SavedAndLoadedItIsTheSame) {
  const TemporaryFolder folder;
  for (const char* pattern : {"gpt2", "llama3", "qwen2"}) {
    const Tokenizer t = small_tokenizer(pattern);
    t.save(folder.path());
    const Tokenizer u = Tokenizer::load(folder.path());
    EXPECT_EQ(u.spec().vocab, t.spec().vocab);
    EXPECT_EQ(u.spec().merges, t.spec().merges);
    EXPECT_EQ(u.spec().pre_tokenizer, t.spec().pre_tokenizer);
    EXPECT_EQ(u.spec().normalizer, t.spec().normalizer);
    EXPECT_EQ(u.spec().decoder, t.spec().decoder);
    EXPECT_EQ(u.spec().added, t.spec().added);
    EXPECT_EQ(u.eos_id(), t.eos_id());
    EXPECT_EQ(u.vocab_size(), t.vocab_size());
    const std::string text = "the cat's e\xcc\x81 12345 \xff<|end|>\n\n";
    EXPECT_EQ(u.encode(text), t.encode(text));
    const std::string first = read_file(folder.path() / "tokenizer.json");
    u.save(folder.path());
    EXPECT_EQ(read_file(folder.path() / "tokenizer.json"), first);
  }
}

TEST(Tokenizer, ConfigGivesTokensAndChatTemplate) {
  const TemporaryFolder folder;
  small_tokenizer().save(folder.path());
  write_file_atomic(folder.path() / "tokenizer_config.json",
                    R"({"bos_token":{"content":"<|end|>"},"pad_token":"<|endoftext|>",
                        "eos_token":null,"chat_template":[{"name":"x","template":"1"},
                        {"name":"default","template":"{{ messages }}"}]})");
  const Tokenizer t = Tokenizer::load(folder.path());
  EXPECT_EQ(t.bos_id(), t.id_of("<|end|>"));
  EXPECT_EQ(t.pad_id(), t.id_of("<|endoftext|>"));
  EXPECT_FALSE(t.eos_id());
  EXPECT_EQ(t.chat_template(), "{{ messages }}");
}

// A saved tokenizer.json with one change; what() must hold `names`.
void expect_refused(std::string_view names, const std::function<void(Json&)>& change) {
  const TemporaryFolder folder;
  small_tokenizer("llama3").save(folder.path());
  Json json = read_json(folder.path() / "tokenizer.json");
  change(json);
  write_file_atomic(folder.path() / "tokenizer.json", json.dump());
  try {
    Tokenizer::load(folder.path());
    ADD_FAILURE() << "accepted: " << names;
  } catch (const InputError& e) {
    EXPECT_NE(std::string_view(e.what()).find(names), std::string_view::npos) << e.what();
  }
}

TEST(TokenizerFile, HostileValuesAreRefusedByName) {
  expect_refused("model.vocab", [](Json& j) { j["model"]["vocab"]["b"] = 5; });
  expect_refused("model.vocab", [](Json& j) { j["model"]["vocab"]["zzz"] = 4000000000u; });
  expect_refused("model.vocab", [](Json& j) { j["model"]["vocab"]["zzz"] = -1; });
  expect_refused("model.vocab", [](Json& j) { j["model"]["vocab"]["zzz"] = "1"; });
  expect_refused("model.vocab", [](Json& j) { j["model"]["vocab"][""] = 500; });
  expect_refused("model.vocab", [](Json& j) { j["model"]["vocab"] = Json::array(); });
  expect_refused("model.merges[0]", [](Json& j) { j["model"]["merges"][0] = {"a", "qqq"}; });
  expect_refused("model.merges[0]", [](Json& j) { j["model"]["merges"][0] = "a"; });
  expect_refused("model.merges[0]", [](Json& j) { j["model"]["merges"][0] = 7; });
  expect_refused("model.merges[0]", [](Json& j) { j["model"]["merges"][0] = {"a"}; });
  expect_refused("model.merges", [](Json& j) { j["model"]["merges"][0] = {"q", "q"}; });
  expect_refused("model.type", [](Json& j) { j["model"]["type"] = "Unigram"; });
  expect_refused("model.dropout", [](Json& j) { j["model"]["dropout"] = 0.5; });
  expect_refused("model", [](Json& j) { j["model"] = 3; });
  expect_refused("added_tokens[1]", [](Json& j) { j["added_tokens"][1]["id"] = 3; });
  expect_refused("added_tokens[1].id", [](Json& j) { j["added_tokens"][1]["id"] = 1e30; });
  expect_refused("added_tokens[1]", [](Json& j) { j["added_tokens"][1] = j["added_tokens"][0]; });
  expect_refused("added_tokens[0].content", [](Json& j) { j["added_tokens"][0]["content"] = ""; });
  expect_refused("added_tokens[0].lstrip", [](Json& j) { j["added_tokens"][0]["lstrip"] = 1; });
  expect_refused("model.unk_token", [](Json& j) { j["model"]["unk_token"] = "<unk>"; });
}

TEST(TokenizerFile, ANumberBeyondF64IsAnInputError) {
  const TemporaryFolder folder;
  write_file_atomic(folder.path() / "tokenizer.json", R"({"model": 1e999})");
  EXPECT_THROW(Tokenizer::load(folder.path()), InputError);
}

Json replace_json(const char* what, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", {{"String", what}}}, {"content", content}};
}

TEST(TokenizerFile, MoreStepsThanAnyTokenizerHasAreRefused) {
  const Json::array_t many(17, Json{{"type", "NFC"}});
  const Json::array_t fuses(17, replace_json("a", "a"));
  expect_refused("normalizer: too many steps; found 17, wanted at most 16", [&](Json& j) {
    j["normalizer"] = {{"type", "Sequence"}, {"normalizers", many}};
  });
  expect_refused("decoder: too many steps; found 18", [&](Json& j) {
    Json::array_t steps = fuses;
    steps.push_back({{"type", "ByteLevel"}});
    j["decoder"] = {{"type", "Sequence"}, {"decoders", steps}};
  });
  expect_refused("post_processor.single", [](Json& j) {
    Json::array_t parts(64, {{"SpecialToken", {{"id", "<|end|>"}, {"type_id", 0}}}});
    parts.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
    j["post_processor"] = {{"type", "TemplateProcessing"}, {"single", parts}};
  });
}

// Five steps, each of which makes 100 characters of one.
TEST(TokenizerFile, ReplacingDoesNotFillTheMemory) {
  Json::array_t steps;
  for (const char* what : {"a", "b", "c", "d", "e"})
    steps.push_back(replace_json(what, std::string(100, char(*what + 1))));
  const TemporaryFolder folder;
  small_tokenizer("llama3").save(folder.path());
  Json json = read_json(folder.path() / "tokenizer.json");
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  write_file_atomic(folder.path() / "tokenizer.json", json.dump());
  const Tokenizer t = Tokenizer::load(folder.path());
  EXPECT_EQ(t.decode(t.encode("e e")), std::string(100, 'f') + " " + std::string(100, 'f'));
  try {
    t.encode("a");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("normalizer: replacing 'b' makes a text too long, "
                                         "wanted at most 320 bytes"),
              std::string::npos)
        << e.what();
  }
  expect_refused("decoder: replacing 'b' makes a text too long", [&](Json& j) {
    steps.push_back({{"type", "ByteLevel"}});
    j["decoder"] = {{"type", "Sequence"}, {"decoders", steps}};
  });
}

TEST(TokenizerFile, WhatIsNotSupportedIsNamed) {
  const auto first_step = [](Json& j) -> Json& { return j["pre_tokenizer"]["pretokenizers"][0]; };
  expect_refused("normalizer.type", [](Json& j) { j["normalizer"] = {{"type", "Lowercase"}}; });
  expect_refused("decoder", [](Json& j) { j["pre_tokenizer"] = nullptr; });
  expect_refused("pre_tokenizer.pretokenizers[2].type", [](Json& j) {
    j["pre_tokenizer"]["pretokenizers"].push_back({{"type", "Digits"}});
  });
  expect_refused("normalizer.normalizers[1].pattern", [](Json& j) {
    j["normalizer"] = {{"type", "Sequence"},
                       {"normalizers", {{{"type", "NFC"}}, {{"type", "Replace"}}}}};
  });
  expect_refused("decoder.replacement", [](Json& j) {
    j["decoder"] = {{"type", "Metaspace"}, {"replacement", "ab"}};
  });
  expect_refused("decoder.stop", [](Json& j) {
    j["decoder"] = {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", -1}};
  });
  expect_refused("pre_tokenizer.type", [](Json& j) { j["pre_tokenizer"]["type"] = "Whitespace"; });
  expect_refused("behavior", [&](Json& j) { first_step(j)["behavior"] = "Kept"; });
  expect_refused("pre_tokenizer", [&](Json& j) { first_step(j)["pattern"] = {{"Regex", "(a"}}; });
  expect_refused("Regex", [&](Json& j) { first_step(j)["pattern"] = {{"Regex", 1}}; });
  expect_refused("post_processor", [](Json& j) { j["post_processor"] = {{"type", "Bert"}}; });
  expect_refused("decoder.type", [](Json& j) { j["decoder"] = {{"type", "WordPiece"}}; });
  expect_refused("decoder", [](Json& j) { j["decoder"] = {{"type", "Fuse"}}; });
}

TEST(TokenizerFile, EveryTruncationIsAnError) {
  const TemporaryFolder folder;
  EXPECT_THROW(Tokenizer::load(folder.path()), InputError);
  small_tokenizer().save(folder.path());
  const std::string whole = read_file(folder.path() / "tokenizer.json");
  for (std::size_t n = 0; n + 3 < whole.size(); n += 97) {
    write_file_atomic(folder.path() / "tokenizer.json", whole.substr(0, n));
    EXPECT_THROW(Tokenizer::load(folder.path()), InputError) << n;
  }
  write_file_atomic(folder.path() / "tokenizer.json", std::string(100000, '['));
  EXPECT_THROW(Tokenizer::load(folder.path()), InputError);
}

}  // namespace
}  // namespace autarky
