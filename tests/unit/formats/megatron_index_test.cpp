#include "formats/megatron_index.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

using Tokens = std::vector<std::int32_t>;

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int v : values) text.push_back(char(v));
  return text;
}

// Two documents of 3 and 1 tokens, u16, written out by hand.
const std::string kIndex = bytes({'M', 'M', 'I', 'D', 'I', 'D', 'X', 0, 0,  // magic
                                  1,   0,   0,   0,   0,   0,   0,   0,     // version
                                  8,                                        // u16
                                  2,   0,   0,   0,   0,   0,   0,   0,     // sequences
                                  3,   0,   0,   0,   0,   0,   0,   0,     // document entries
                                  3,   0,   0,   0,   1,   0,   0,   0,     // sizes
                                  0,   0,   0,   0,   0,   0,   0,   0,     // pointers
                                  6,   0,   0,   0,   0,   0,   0,   0,     //
                                  0,   0,   0,   0,   0,   0,   0,   0,     // documents
                                  1,   0,   0,   0,   0,   0,   0,   0,     //
                                  2,   0,   0,   0,   0,   0,   0,   0});
const std::string kData = bytes({5, 0, 0x34, 0x12, 0xff, 0xff, 7, 0});

constexpr std::size_t kVersionAt = 9, kCodeAt = 17, kSequencesAt = 18, kEntriesAt = 26,
                      kSizesAt = 34, kPointersAt = 42, kDocumentsAt = 58;

template <typename T>
std::string with(std::string text, std::size_t at, T value) {
  std::memcpy(text.data() + at, &value, sizeof value);
  return text;
}

std::string error_of(const std::string& index, const std::string& data) {
  const ScratchFolder folder;
  folder.write("x.idx", index);
  folder.write("x.bin", data);
  return input_error_of([&] { MegatronDataset{folder / "x"}; });
}

Tokens document(const MegatronDataset& data, std::int64_t d) {
  Tokens tokens(std::size_t(data.document_size(d)));
  data.read_document(d, 0, tokens);
  return tokens;
}

TEST(MegatronIndex, ThatAnotherProcessWritesIsRefusedUntilItEnds) {
  const ScratchFolder folder;
  const fs::path theirs = folder.write("x.bin.tmp1", "half of it");  // a name of process 1
  const int held = ::open(theirs.c_str(), O_RDWR);
  ASSERT_EQ(::flock(held, LOCK_EX), 0);
  const auto write = [&] { MegatronWriter(folder / "x", 100).seal(); };
  EXPECT_EQ(input_error_of(write), (folder / "x.bin").string() +
                                       ": another process is writing this file. " +
                                       "Wait for it to end, or write to another place");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"x.bin.tmp1"});
  ::close(held);
  EXPECT_EQ(input_error_of(write), "");
  EXPECT_EQ(folder.names(), std::vector<std::string>{});
}

TEST(MegatronIndex, WritesTheBytesOfTheFormat) {
  const ScratchFolder folder;
  MegatronWriter writer(folder / "x", 65536);
  writer.add_document(Tokens{5, 0x1234, 65535});
  writer.add_document(Tokens{7});
  writer.seal();
  writer.publish();
  EXPECT_EQ(read_file(folder / "x.idx"), kIndex);
  EXPECT_EQ(read_file(folder / "x.bin"), kData);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"x.bin", "x.idx"}));
}

TEST(MegatronIndex, ReadsTheBytesOfTheFormat) {
  const ScratchFolder folder;
  folder.write("x.idx", kIndex);
  folder.write("x.bin", kData);
  const MegatronDataset data(folder / "x");
  EXPECT_EQ(data.dtype(), DType::u16);
  EXPECT_EQ(data.sequence_count(), 2);
  EXPECT_EQ(data.document_count(), 2);
  EXPECT_EQ(data.token_count(), 4);
  EXPECT_EQ(data.byte_count(), 82 + 8);
  EXPECT_EQ(document(data, 0), (Tokens{5, 0x1234, 65535}));
  EXPECT_EQ(document(data, 1), (Tokens{7}));
  Tokens part(2);
  data.read_sequence(0, 1, part);
  EXPECT_EQ(part, (Tokens{0x1234, 65535}));
}

TEST(MegatronIndex, ADocumentMayHaveSeveralSequencesOrNone) {
  const ScratchFolder folder;
  const auto one_then_none =
      with(with(kIndex, kDocumentsAt + 8, std::int64_t(2)), kDocumentsAt + 16, std::int64_t(2));
  folder.write("x.idx", one_then_none);
  folder.write("x.bin", kData);
  const MegatronDataset data(folder / "x");
  EXPECT_EQ(document(data, 0), (Tokens{5, 0x1234, 65535, 7}));
  EXPECT_EQ(document(data, 1), Tokens{});
}

TEST(MegatronIndex, LargeVocabulariesAreWrittenAsI32) {
  const ScratchFolder folder;
  MegatronWriter writer(folder / "x", 65537);
  writer.add_document(Tokens{65536, 1});
  writer.add_document({});
  writer.seal();
  writer.publish();
  EXPECT_EQ(read_file(folder / "x.bin"), bytes({0, 0, 1, 0, 1, 0, 0, 0}));
  EXPECT_EQ(read_file(folder / "x.idx")[kCodeAt], 4);
  const MegatronDataset data(folder / "x");
  EXPECT_EQ(data.dtype(), DType::i32);
  EXPECT_EQ(document(data, 0), (Tokens{65536, 1}));
  EXPECT_EQ(data.document_size(1), 0);
}

TEST(MegatronIndex, ManyDocumentsRoundTripThroughThePartsThatAreHeldInMemory) {
  const ScratchFolder folder;
  MegatronWriter writer(folder / "x", 50000);
  for (int d = 0; d < 10000; ++d) writer.add_document(Tokens(std::size_t(d % 7), d));
  writer.add_document(Tokens(9001, 49999));
  writer.seal();
  writer.publish();
  const MegatronDataset data(folder / "x");
  ASSERT_EQ(data.document_count(), 10001);
  for (int d = 0; d < 10000; ++d) ASSERT_EQ(document(data, d), Tokens(std::size_t(d % 7), d));
  EXPECT_EQ(document(data, 10000), Tokens(9001, 49999));
}

TEST(MegatronIndex, NothingIsLeftOfAWriterThatWasNotPublished) {
  const ScratchFolder folder;
  {
    MegatronWriter writer(folder / "x", 100);
    writer.add_document(Tokens{1});
    EXPECT_TRUE(contains(input_error_of([&] { writer.add_document(Tokens{100}); }),
                         "found id 100, wanted 0 to 99"));
    EXPECT_FALSE(input_error_of([&] { writer.add_document(Tokens{-1}); }).empty());
  }
  EXPECT_TRUE(folder.names().empty());
  EXPECT_TRUE(contains(input_error_of([&] { MegatronWriter(folder / "no/x", 100); }), "folder"));
}

TEST(MegatronIndex, ATruncatedIndexIsAnInputError) {
  const ScratchFolder folder;
  folder.write("x.bin", kData);
  for (const std::size_t n : {std::size_t(0), std::size_t(20), kIndex.size() - 1}) {
    folder.write("x.idx", kIndex.substr(0, n));
    EXPECT_THROW(MegatronDataset(folder / "x"), InputError) << n;
  }
}

TEST(MegatronIndex, EveryTruncationIsAnError) {
  for (std::size_t n = 0; n < kIndex.size(); ++n)
    EXPECT_FALSE(error_of(kIndex.substr(0, n), kData).empty()) << n;
  for (std::size_t n = 0; n < kData.size(); ++n)
    EXPECT_TRUE(contains(error_of(kIndex, kData.substr(0, n)), "leaves the .bin")) << n;
  EXPECT_EQ(error_of(kIndex, kData), "");
}

TEST(MegatronIndex, EveryWrongHeaderIsNamed) {
  EXPECT_TRUE(contains(error_of("TNTIDX" + kIndex, kData), "MMIDIDX"));
  EXPECT_TRUE(contains(error_of(with(kIndex, kVersionAt, 2), kData), "found 2, wanted 1"));
  EXPECT_TRUE(contains(error_of(with(kIndex, kCodeAt, char(7)), kData), "float32"));
  EXPECT_TRUE(contains(error_of(with(kIndex, kCodeAt, char(99)), kData), "code 99"));
  EXPECT_TRUE(contains(error_of(kIndex + "12", kData), "multimodal"));
  EXPECT_TRUE(contains(error_of(kIndex + "123", kData), "longer"));
}

TEST(MegatronIndex, HostileCountsDoNotOverflow) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t n : {kMax, kMax / 8, kMax / 12 + 1, std::uint64_t(1) << 63,
                                std::uint64_t(1) << 61, std::uint64_t(3)}) {
    EXPECT_TRUE(contains(error_of(with(kIndex, kSequencesAt, n), kData), "truncated")) << n;
    if (n != 3) {
      EXPECT_TRUE(contains(error_of(with(kIndex, kEntriesAt, n), kData), "truncated")) << n;
    }
  }
  const auto no_entries = with(kIndex.substr(0, kDocumentsAt), kEntriesAt, std::uint64_t(0));
  EXPECT_TRUE(contains(error_of(no_entries, kData), "document index is empty"));
}

TEST(MegatronIndex, HostileSizesAndPointersAreNamed) {
  const auto size = [](std::int32_t v) { return error_of(with(kIndex, kSizesAt + 4, v), kData); };
  EXPECT_TRUE(contains(size(-1), "sequence 1 has -1 tokens"));
  EXPECT_TRUE(contains(size(std::numeric_limits<std::int32_t>::max()), "leaves the .bin"));
  const auto start = [](std::int64_t v) {
    return error_of(with(kIndex, kPointersAt + 8, v), kData);
  };
  EXPECT_TRUE(contains(start(-2), "starts at byte -2"));
  EXPECT_TRUE(contains(start(5), "wanted a multiple of 2"));
  EXPECT_TRUE(contains(start(8), "leaves the .bin"));
  EXPECT_TRUE(contains(start(std::numeric_limits<std::int64_t>::max() - 1), "leaves the .bin"));
  EXPECT_EQ(start(4), "");  // documents may overlap
}

TEST(MegatronIndex, HostileDocumentsAreNamed) {
  const auto entry = [](int i, std::int64_t v) {
    return error_of(with(kIndex, kDocumentsAt + 8 * std::size_t(i), v), kData);
  };
  EXPECT_TRUE(contains(entry(0, 1), "found 1 to 2, wanted 0 to 2"));
  EXPECT_TRUE(contains(entry(2, 3), "found 0 to 3"));
  EXPECT_TRUE(contains(entry(1, 3), "document 0 has sequences 0 to 3"));
  EXPECT_TRUE(contains(entry(1, -1), "document 0 has sequences 0 to -1"));
  const auto apart = with(kIndex, kPointersAt + 8, std::int64_t(4));
  EXPECT_TRUE(
      contains(error_of(with(apart, kDocumentsAt + 8, std::int64_t(2)), kData), "does not follow"));
}

TEST(MegatronIndex, FilesOfMegatronsBuilderAreReadAsTheyAre) {
  const fs::path golden = fs::path(AUTARKY_SOURCE_DIR) / "tests/golden/megatron";
  const Json expected = read_json(golden / "expected.json");
  for (const std::string dtype : {"uint16", "int32"}) {
    const MegatronDataset data(golden / dtype);
    EXPECT_EQ(data.dtype(), dtype == "int32" ? DType::i32 : DType::u16);
    const auto& documents = expected[dtype];
    ASSERT_EQ(data.document_count(), std::int64_t(documents.size()));
    std::int64_t sequence = 0;
    for (std::size_t d = 0; d < documents.size(); ++d) {
      Tokens whole;
      for (const auto& wanted : documents[d]) {
        const auto tokens = wanted.get<Tokens>();
        ASSERT_EQ(data.sequence_size(sequence), std::int64_t(tokens.size()));
        Tokens read(tokens.size());
        data.read_sequence(sequence++, 0, read);
        EXPECT_EQ(read, tokens);
        whole.insert(whole.end(), tokens.begin(), tokens.end());
      }
      EXPECT_EQ(document(data, std::int64_t(d)), whole);
    }
    EXPECT_EQ(data.sequence_count(), sequence);
  }
}

TEST(MegatronIndex, DocumentsThatDoNotAscendAreNamed) {
  // Three documents of one sequence each, side by side.
  std::string index = kIndex.substr(0, kSizesAt);
  index = with(with(index, kSequencesAt, std::uint64_t(3)), kEntriesAt, std::uint64_t(4));
  const auto append = [&](auto value) {
    index.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  for (int i = 0; i < 3; ++i) append(std::int32_t(1));
  for (int i = 0; i < 3; ++i) append(std::int64_t(2 * i));
  const std::size_t documents_at = index.size();
  for (const std::int64_t entry : {0, 1, 2, 3}) append(entry);
  EXPECT_EQ(error_of(index, kData), "");
  const auto falling =
      with(with(index, documents_at + 8, std::int64_t(2)), documents_at + 16, std::int64_t(1));
  EXPECT_TRUE(contains(error_of(falling, kData),
                       "document 1 has sequences 2 to 1, wanted rising numbers up to 3"));
}

TEST(MegatronIndex, AMissingFileIsNamed) {
  const ScratchFolder folder;
  folder.write("x.idx", kIndex);
  EXPECT_TRUE(contains(input_error_of([&] { MegatronDataset{folder / "x"}; }), "x.bin"));
  EXPECT_TRUE(contains(input_error_of([&] { MegatronDataset{folder / "y"}; }), "y.idx"));
}

}  // namespace
}  // namespace autarky
