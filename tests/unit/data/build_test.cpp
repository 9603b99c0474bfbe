#include "data/build.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/json.h"
#include "base/parallel.h"
#include "data/inspect.h"
#include "unit/data/shards.h"

namespace autarky {
namespace {

using Names = std::vector<std::string>;

// A token a byte; 256 ends a text.
TextEncoder byte_encoder() {
  return {[](std::string_view text) {
            Tokens tokens;
            for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
            return tokens;
          },
          257, 256, "00ff"};
}

std::string decode(const Tokens& tokens) {
  std::string text;
  for (const auto token : tokens)
    if (token < 256) text.push_back(char(token));
  return text;
}

std::string jsonl(int first, int last) {
  std::string lines;
  for (int i = first; i < last; ++i)
    lines += "{\"text\": \"document number " + std::to_string(i) + "\"}\n";
  return lines;
}

BuildCounts build(const fs::path& input, const BuildOptions& options) {
  return build_shards(std::span(&input, 1), byte_encoder(), options);
}

std::vector<std::string> sorted_texts(const fs::path& prefix) {
  std::vector<std::string> texts;
  for (const auto& document : read_shards(prefix)) texts.push_back(decode(document));
  std::sort(texts.begin(), texts.end());
  return texts;
}

TEST(Build, KeepsEveryByteInTheOrderOfTheInput) {
  const ScratchFolder folder;
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes.push_back(char(i));
  folder.write("in/a.txt", all_bytes + "\n<|endoftext|>\nsecond");
  folder.write("in/b.jsonl", jsonl(0, 1));
  const auto counts = build(folder / "in", {.out_prefix = folder / "new/deep/x",
                                            .text = {.invalid_utf8 = InvalidUtf8::keep}});
  const auto documents = read_shards(folder / "new/deep/x");
  ASSERT_EQ(documents.size(), 3u);
  EXPECT_EQ(decode(documents[0]), all_bytes + "\n");
  EXPECT_EQ(documents[1], (Tokens{'s', 'e', 'c', 'o', 'n', 'd', 256}));
  EXPECT_EQ(decode(documents[2]), "document number 0");
  EXPECT_EQ(counts.train.documents, 3);
  EXPECT_EQ(counts.train.bytes, 257 + 6 + 17);
  EXPECT_EQ(counts.train.tokens, 257 + 6 + 17 + 3);
  EXPECT_FALSE(counts.validation);
  EXPECT_EQ(counts.invalid_documents, 1);
}

TEST(Build, WritesItsCounts) {
  const ScratchFolder folder;
  const auto input = folder.write("a.jsonl", jsonl(0, 100));
  const auto counts =
      build(input, {.out_prefix = folder / "x", .validation_fraction = 0.3, .seed = 4});
  EXPECT_EQ(folder.names(), (Names{"a.jsonl", "x.json", "x_train.bin", "x_train.idx",
                                   "x_validation.bin", "x_validation.idx"}));
  const Json json = read_json(folder / "x.json");
  EXPECT_EQ(json["tokenizer_hash"], "00ff");
  EXPECT_EQ(json["vocab_size"], 257);
  EXPECT_EQ(json["dtype"], "u16");
  EXPECT_EQ(json["train"]["prefix"], "x_train");
  EXPECT_EQ(json["validation"]["documents"], counts.validation->documents);
  EXPECT_EQ(counts.train.documents + counts.validation->documents, 100);
  EXPECT_EQ(counts.train.bytes + counts.validation->bytes, 10 * 17 + 90 * 18);
  EXPECT_EQ(json["train"]["tokens"], counts.train.bytes + counts.train.documents);
}

TEST(Build, TheSplitHasItsShareAndDependsOnTheSeed) {
  int held_out = 0, differ = 0;
  for (int i = 0; i < 10000; ++i) {
    const auto text = std::to_string(i);
    held_out += in_validation(text, 0.2, 1);
    differ += in_validation(text, 0.2, 1) != in_validation(text, 0.2, 2);
  }
  EXPECT_NEAR(held_out, 2000, 160);  // four standard deviations
  EXPECT_NEAR(differ, 3200, 190);
}

TEST(Build, ADocumentStaysOnItsSideWhenTheInputIsReordered) {
  const ScratchFolder folder;
  const auto forward = folder.write("f.jsonl", jsonl(0, 60) + jsonl(60, 200));
  const auto back = folder.write("b.jsonl", jsonl(60, 200) + jsonl(0, 60));
  build(forward, {.out_prefix = folder / "f", .validation_fraction = 0.25});
  build(back, {.out_prefix = folder / "b", .validation_fraction = 0.25});
  EXPECT_EQ(sorted_texts(folder / "f_train"), sorted_texts(folder / "b_train"));
  EXPECT_EQ(sorted_texts(folder / "f_validation"), sorted_texts(folder / "b_validation"));
  EXPECT_NE(read_file(folder / "f_train.bin"), read_file(folder / "b_train.bin"));
}

TEST(Build, TheFilesDoNotDependOnTheNumberOfThreads) {
  const ScratchFolder folder;
  const auto input = folder.write("a.jsonl", jsonl(0, 20000));
  const int threads = thread_count();
  set_thread_count(1);
  build(input, {.out_prefix = folder / "one"});
  set_thread_count(4);
  build(input, {.out_prefix = folder / "four"});
  set_thread_count(threads);
  EXPECT_EQ(read_file(folder / "one.bin"), read_file(folder / "four.bin"));
  EXPECT_EQ(read_file(folder / "one.idx"), read_file(folder / "four.idx"));
}

TEST(Build, ReportsProgressUpToTheSizeOfTheInput) {
  const ScratchFolder folder;
  const auto text = jsonl(0, 20000);
  const std::vector<fs::path> inputs{folder.write("a.jsonl", text)};
  std::vector<std::int64_t> done;
  build_shards(inputs, byte_encoder(), {.out_prefix = folder / "x"},
               [&](std::int64_t bytes, std::int64_t total) {
                 done.push_back(bytes);
                 EXPECT_EQ(total, std::int64_t(text.size()));
               });
  EXPECT_GT(done.size(), 1u);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(done.back(), std::int64_t(text.size()));
}

TEST(Build, NothingIsLeftWhenTheEncoderFails) {
  const ScratchFolder folder;
  const std::vector<fs::path> inputs{folder.write("a.jsonl", jsonl(0, 9000))};
  auto encoder = byte_encoder();
  encoder.encode = [](std::string_view text) -> Tokens {
    if (text == "document number 8999") throw std::runtime_error("cannot encode");
    return {1, 2};
  };
  const BuildOptions options{.out_prefix = folder / "x", .validation_fraction = 0.5};
  EXPECT_THROW(build_shards(inputs, encoder, options), std::runtime_error);
  EXPECT_EQ(folder.names(), Names{"a.jsonl"});
  encoder.encode = [](std::string_view) { return Tokens{257}; };
  EXPECT_TRUE(contains(input_error_of([&] { build_shards(inputs, encoder, options); }), "id 257"));
  EXPECT_EQ(folder.names(), Names{"a.jsonl"});
}

TEST(Build, OlderFilesStayWhenABuildFails) {
  const ScratchFolder folder;
  build(folder.write("a.txt", "old"), {.out_prefix = folder / "x"});
  EXPECT_FALSE(input_error_of([&] {
                 build(folder.write("b.jsonl", jsonl(0, 5) + "{"), {.out_prefix = folder / "x"});
               }).empty());
  EXPECT_EQ(sorted_texts(folder / "x"), Names{"old"});
  build(folder.write("a.txt", "new"), {.out_prefix = folder / "x"});
  EXPECT_EQ(sorted_texts(folder / "x"), Names{"new"});
}

TEST(Build, WrongOptionsSayWhatToDo) {
  const ScratchFolder folder;
  const auto input = folder.write("a.txt", "one document alone");
  const auto error = [&](const BuildOptions& options) {
    return input_error_of([&] { build(input, options); });
  };
  const auto lonely = error({.out_prefix = folder / "x", .validation_fraction = 0.1});
  EXPECT_TRUE(contains(lonely, "split gets no document; found 1 document(s)")) << lonely;
  EXPECT_TRUE(contains(error({.out_prefix = folder / "x", .validation_fraction = 1}), "fraction"));
  EXPECT_TRUE(contains(error({.out_prefix = ""}), "prefix"));
  EXPECT_TRUE(contains(error({.out_prefix = input / "x"}), "cannot make the folder"));
  auto encoder = byte_encoder();
  encoder.eos_id.reset();
  const std::vector<fs::path> inputs{input};
  EXPECT_TRUE(
      contains(input_error_of([&] { build_shards(inputs, encoder, {.out_prefix = folder / "x"}); }),
               "no end-of-text token"));
  EXPECT_EQ(folder.names(), Names{"a.txt"});
  build_shards(inputs, encoder, {.out_prefix = folder / "x", .add_eos = false});
  EXPECT_EQ(read_shards(folder / "x")[0].back(), 'e');
}

TEST(Inspect, CountsWhatIsThere) {
  const ScratchFolder folder;
  write_shards(folder / "x", {{7, 9, 8}, {}, Tokens(5000, 300)}, 1000);
  const auto report = inspect_shards(folder / "x", 2, 2);
  EXPECT_EQ(report.documents, 3);
  EXPECT_EQ(report.sequences, 3);
  EXPECT_EQ(report.tokens, 5003);
  EXPECT_EQ(report.bytes, std::int64_t(fs::file_size(folder / "x.bin")) + 34 + 3 * 12 + 4 * 8);
  EXPECT_EQ(report.shortest_document, 0);
  EXPECT_EQ(report.longest_document, 5000);
  EXPECT_DOUBLE_EQ(report.mean_document, 5003.0 / 3);
  EXPECT_EQ(report.min_token, 7);
  EXPECT_EQ(report.max_token, 300);
  EXPECT_EQ(report.first_documents, (std::vector<Tokens>{{7, 9}, {}}));
}

TEST(Inspect, AnEmptyFileHasNoTokens) {
  const ScratchFolder folder;
  write_shards(folder / "x", {}, 1000);
  const auto report = inspect_shards(folder / "x", 5, 5);
  EXPECT_EQ(report.tokens + report.documents + report.max_token, 0);
  EXPECT_TRUE(report.first_documents.empty());
}

}  // namespace
}  // namespace autarky
