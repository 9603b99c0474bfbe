#include "data/documents.h"

#include <gtest/gtest.h>

#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

using namespace std::string_literals;
using Texts = std::vector<std::string>;

Texts read_all(const std::vector<fs::path>& inputs, const std::string& key = "text") {
  DocumentReader reader(inputs, key);
  Texts all;
  while (auto document = reader.next()) all.push_back(std::move(*document));
  EXPECT_EQ(reader.bytes_read(), reader.total_bytes());
  EXPECT_FALSE(reader.next());
  return all;
}

TEST(Documents, ATextFileIsOneDocumentByteForByte) {
  const ScratchFolder folder;
  const auto content = "one\r\n\n\xff\xfe\x80 \0two\n"s;
  EXPECT_EQ(read_all({folder.write("a.txt", content)}), Texts{content});
}

TEST(Documents, LinesOfTheSeparatorAloneCutATextFile) {
  const ScratchFolder folder;
  const auto file = folder.write("a.txt",
                                 "one\ntwo\n<|endoftext|>\nthree <|endoftext|>\n"
                                 "<|endoftext|>\r\n \n<|endoftext|>\n<|endoftext|>\nfour");
  EXPECT_EQ(read_all({file}), (Texts{"one\ntwo\n", "three <|endoftext|>\n", "four"}));
}

TEST(Documents, EachLineOfJsonlIsADocument) {
  const ScratchFolder folder;
  const auto file = folder.write("a.jsonl",
                                 "\xEF\xBB\xBF{\"text\": \"one\\n\\u4f60\", \"id\": 3}\n\n  \r\n"
                                 "{\"text\": \" \"}\n{\"text\":\"two\"}");
  EXPECT_EQ(read_all({file}), (Texts{"one\n\xe4\xbd\xa0", "two"}));
  const auto other = folder.write("b.jsonl", "{\"content\": \"x\"}\n");
  EXPECT_EQ(read_all({other}, "content"), Texts{"x"});
}

TEST(Documents, FoldersAreReadInOrderOfTheirNames) {
  const ScratchFolder folder;
  folder.write("in/b.txt", "b");
  folder.write("in/a/z.txt", "az");
  folder.write("in/c.jsonl", "{\"text\": \"c\"}");
  folder.write("in/notes.md", "not read");
  folder.write("in/empty.txt", "");
  const auto last = folder.write("first.txt", "first");
  EXPECT_EQ(read_all({last, folder / "in"}), (Texts{"first", "az", "b", "c"}));
  EXPECT_EQ(read_all({last, last}), (Texts{"first", "first"}));
}

std::string error_of(const std::vector<fs::path>& inputs) {
  return input_error_of([&] {
    DocumentReader reader(inputs);
    while (reader.next()) {
    }
  });
}

TEST(Documents, ErrorsOfJsonlNameFileAndLine) {
  const ScratchFolder folder;
  const auto error = [&](std::string_view line) {
    return error_of({folder.write("a.jsonl", "{\"text\": \"x\"}\n\n" + std::string(line) + "\n")});
  };
  EXPECT_TRUE(contains(error("{\"text\": "), "a.jsonl:3: not valid JSON"));
  EXPECT_TRUE(contains(error("{\"content\": 1, \"id\": 2}"),
                       "a.jsonl:3: no key 'text'; found 'content', 'id'"));
  EXPECT_TRUE(contains(error("{\"text\": 5}"), "found number, wanted a string"));
  EXPECT_TRUE(contains(error("[1]"), "found array"));
  EXPECT_TRUE(contains(error("{\"text\": \"\xff\"}"), "a.jsonl:3"));
  EXPECT_TRUE(contains(error(std::string(100000, '[')), "a.jsonl:3"));
}

TEST(Documents, InputsThatHoldNothingAreErrors) {
  const ScratchFolder folder;
  EXPECT_TRUE(contains(error_of({}), "no input files"));
  EXPECT_TRUE(contains(error_of({folder / "no.txt"}), "no file"));
  EXPECT_TRUE(contains(error_of({folder.path()}), "no .txt or .jsonl file"));
  EXPECT_TRUE(contains(error_of({folder.write("a.pdf", "x")}), "ending '.pdf'"));
  EXPECT_TRUE(contains(error_of({folder.write("a.txt", " \n\n")}), "no document"));
  EXPECT_TRUE(contains(error_of({"/dev/null"}), "neither a file nor a folder"));
}

}  // namespace
}  // namespace autarky
