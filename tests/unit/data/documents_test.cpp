#include "data/documents.h"

#include <gtest/gtest.h>

#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

using namespace std::string_literals;
using Texts = std::vector<std::string>;

Texts read_all(const std::vector<fs::path>& inputs, const TextOptions& options = {}) {
  DocumentReader reader(inputs, options);
  Texts all;
  while (auto document = reader.next()) all.push_back(std::move(*document));
  EXPECT_EQ(reader.bytes_read(), reader.total_bytes());
  EXPECT_FALSE(reader.next());
  return all;
}

std::string error_of(const std::vector<fs::path>& inputs, const TextOptions& options = {}) {
  return input_error_of([&] {
    DocumentReader reader(inputs, options);
    while (reader.next()) {
    }
  });
}

TEST(Documents, ATextFileIsOneDocumentByteForByte) {
  const ScratchFolder folder;
  const auto content = "one\r\n\n\xe4\xbd\xa0 \0two\n"s;
  EXPECT_EQ(read_all({folder.write("a.txt", content)}), Texts{content});
}

TEST(Documents, BytesThatAreNoUtf8AreRefusedWithTheirPlace) {
  const ScratchFolder folder;
  const auto in_text = error_of({folder.write("a.txt", "one\n<|endoftext|>\ntwo\nca\xff t\n")});
  EXPECT_EQ(in_text,
            (folder / "a.txt").string() +
                ":4: the text is not UTF-8; found byte 0xff at byte 3 of the line. Convert "
                "it (iconv -t UTF-8), or say --invalid-utf8 replace or keep");
  const auto in_json = error_of({folder.write("a.jsonl", "\n{\"text\": \"\xc3(\"}\n")});
  EXPECT_TRUE(contains(in_json, "a.jsonl:2: the text is not UTF-8; found byte 0xc3 at byte 11"))
      << in_json;
  const auto utf16 = error_of({folder.write("b.txt", "\xff\xfeh\0i\0"s)});
  EXPECT_TRUE(contains(utf16, "b.txt:1: the text is not UTF-8; found byte 0xff")) << utf16;
  // Cut within a code point; a surrogate; an overlong form.
  for (const char* wrong : {"x\xe4\xbd", "\xed\xa0\x80", "\xc0\xaf"})
    EXPECT_TRUE(contains(error_of({folder.write("c.txt", wrong)}), "not UTF-8"));
}

TEST(Documents, BytesThatAreNoUtf8MayBeKeptOrReplaced) {
  const ScratchFolder folder;
  const auto content = "a\xff\xfe\x80\0b\xe4\xbd"s;
  const auto file = folder.write("a.txt", content);
  const auto kept = TextOptions{.invalid_utf8 = InvalidUtf8::keep};
  const auto replaced = TextOptions{.invalid_utf8 = InvalidUtf8::replace};
  EXPECT_EQ(read_all({file}, kept), Texts{content});
  const auto u = "\xef\xbf\xbd"s;
  EXPECT_EQ(read_all({file}, replaced), Texts{"a" + u + u + u + "\0b"s + u + u});
  const auto json = folder.write("a.jsonl", "{\"text\": \"x\xff\"}\n{\"text\": \"y\"}\n");
  EXPECT_EQ(read_all({json}, replaced), (Texts{"x" + u, "y"}));
  EXPECT_TRUE(contains(error_of({json}, kept), "a.jsonl:1: the text is not UTF-8"));
  const std::vector<fs::path> both{file, json};
  DocumentReader reader(both, replaced);
  while (reader.next()) {
  }
  EXPECT_EQ(reader.invalid_documents(), 2);
}

TEST(Documents, ADocumentBeyondTheLimitIsRefusedWithoutBeingRead) {
  const ScratchFolder folder;
  const TextOptions small{.max_document_bytes = 100};
  const auto fits = folder.write("a.txt", std::string(100, 'x') + "\n<|endoftext|>\n");
  EXPECT_TRUE(contains(error_of({fits}, small), "a.txt:1: a document is too long"));
  const auto two = folder.write("b.txt", std::string(80, 'x') + "\n<|endoftext|>\n" +
                                             std::string(80, 'y') + "\n" + std::string(19, 'y'));
  EXPECT_EQ(read_all({two}, small).size(), 2u);
  const auto line = folder.write("c.jsonl", "{\"text\": \"" + std::string(100, 'z') + "\"}");
  EXPECT_EQ(error_of({line}, small),
            (folder / "c.jsonl").string() +
                ":1: a line is too long; found more than 100 bytes, wanted what fits in memory as "
                "a whole. Cut it into documents (.txt: by lines of <|endoftext|>), or raise the "
                "limit: --max-document-mb");
}

TEST(Documents, ALineOfAHundredMegabytesIsADocument) {
  const ScratchFolder folder;
  const auto file = folder.write("a.txt", std::string(100'000'000, 'x'));
  DocumentReader reader(std::span(&file, 1));
  const auto document = reader.next();
  ASSERT_TRUE(document);
  EXPECT_EQ(document->size(), 100'000'000u);
  const TextOptions small{.max_document_bytes = 1 << 20};
  EXPECT_TRUE(contains(error_of({file}, small), "a document is too long"));
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
  EXPECT_EQ(read_all({other}, {.key = "content"}), Texts{"x"});
}

TEST(Documents, LinesAreReadAlikeWhicheverParserTakesThem) {
  const ScratchFolder folder;
  const auto read = [&](const std::string& line) {
    return read_all({folder.write("a.jsonl", line + "\n")});
  };
  const std::string text = R"("a\t\"\\\/\u00e9\ud83d\ude00\u0000b")";
  const Texts expected = {std::string("a\t\"\\/\u00e9\U0001F600\0b", 13)};
  const std::string deep = std::string(50, '[') + std::string(50, ']');
  const std::string rest = R"("x": [1, -2.5e3, null, {"text": "no"}], "y": true, )";
  EXPECT_EQ(read("{" + rest + "\"text\": " + text + "}"), expected);
  EXPECT_EQ(read("\t{\"deep\": " + deep + ", \"text\": " + text + "} "), expected);
  EXPECT_EQ(read("{\"n\": 123456789012345678901234567890, \"text\": " + text + "}"), expected);
  EXPECT_EQ(read("{\"text\": \"first\", \"te\\u0078t\": " + text + "}"), expected);
  EXPECT_EQ(read("{\"text\": 1, \"text\": " + text + "}"), expected);
  const std::string mib(std::size_t(1) << 20, 'm');
  EXPECT_EQ(read("{\"m\": \"" + mib + "\", \"text\": " + text + "}"), expected);
  EXPECT_EQ(read("{\"text\": \"" + mib + "\"}"), Texts{mib});
  for (const char* bad : {R"({"text": "\ud800"})", R"({"text": "a"} {})", R"({"text": "a",})",
                          R"({"n": 1e999, "text": "a"})", "{\"text\": \"a\x01\"}"})
    EXPECT_TRUE(contains(error_of({folder.write("a.jsonl", bad)}), "a.jsonl:1")) << bad;
}

TEST(Documents, FoldersAreReadInOrderOfTheirNames) {
  const ScratchFolder folder;
  folder.write("in/b.txt", "b");
  folder.write("in/a/z.txt", "az");
  folder.write("in/c.jsonl", "{\"text\": \"c\"}");
  folder.write("in/notes.md", "not read");
  folder.write("in/archive.gz", "not read");
  folder.write("in/empty.txt", "");
  const auto last = folder.write("first.txt", "first");
  EXPECT_EQ(read_all({last, folder / "in"}), (Texts{"first", "az", "b", "c"}));
  EXPECT_EQ(read_all({last, last}), (Texts{"first", "first"}));
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
  EXPECT_TRUE(contains(error_of({folder.path()}), "no text file under"));
  EXPECT_TRUE(contains(error_of({folder.write("a.pdf", "x")}), "ending '.pdf'"));
  EXPECT_TRUE(contains(error_of({folder.write("a.txt", " \n\n")}), "no document"));
  EXPECT_TRUE(contains(error_of({"/dev/null"}), "neither a file nor a folder"));
}

}  // namespace
}  // namespace autarky
