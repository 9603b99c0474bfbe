#include "formats/gguf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "formats/gguf_writer.h"
#include "formats/safetensors.h"
#include "formats/weights.h"
#include "unit/formats/gguf_bytes.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

const fs::path kGolden = fs::path(AUTARKY_SOURCE_DIR) / "tests" / "golden" / "gguf";

std::vector<float> golden_values(const std::string& name) {
  const SafetensorsReader expected(kGolden / "types.safetensors");
  std::vector<float> values(3 * 64);
  read_floats(expected.tensor(name), values);
  return values;
}

std::string refusal(std::string_view content) {
  const ScratchFolder folder;
  const auto path = folder.write("x.gguf", content);
  return input_error_of([&] { const GgufReader reader(path); });
}

TEST(Gguf, MetadataOfEveryKindIsThatOfTheOtherImplementation) {
  const GgufReader file(kGolden / "types.gguf");
  const Json& m = file.metadata();
  EXPECT_EQ(m["general.architecture"], "test");
  EXPECT_EQ(m["a.u8"], 200);
  EXPECT_EQ(m["a.i8"], -100);
  EXPECT_EQ(m["a.u16"], 65535);
  EXPECT_EQ(m["a.i16"], -32768);
  EXPECT_EQ(m["a.u32"], 4294967295u);
  EXPECT_EQ(m["a.i32"], -2147483648LL);
  EXPECT_EQ(m["a.u64"], std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(m["a.i64"], std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(m["a.f32"].get<double>(), 1e-5);
  EXPECT_EQ(m["a.f64"].get<double>(), 0.1);
  EXPECT_EQ(m["a.true"], true);
  EXPECT_EQ(m["a.false"], false);
  EXPECT_EQ(m["a.string"],
            "gr\xc3\xbc\xc3\x9f"
            "e \xe4\xb8\xad");
  EXPECT_EQ(file.strings("a.strings"),
            (std::vector<std::string_view>{"", "one", "\xc3\xa9\xc3\xa9"}));
  EXPECT_EQ(file.integers("a.integers"), (std::vector<std::int64_t>{3, -1, 2}));
  EXPECT_EQ(file.numbers("a.floats"), (std::vector<double>{0.5, -2.25}));
  EXPECT_TRUE(file.strings("a.none").empty());
  EXPECT_NE(input_error_of([&] { file.strings("a.u8"); }).find("an array of strings"),
            std::string::npos);
}

TEST(Gguf, EveryTypeIsDequantisedToTheSameBits) {
  const GgufReader file(kGolden / "types.gguf");
  for (const std::string name : {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1"}) {
    const GgufTensor& t = file.tensor(name);
    EXPECT_EQ(t.shape, (std::vector<std::int64_t>{3, 64}));
    EXPECT_EQ(gguf_type_info(t.type).name, name);
    std::vector<float> values(3 * 64);
    decode_blocks(t.type, t.bytes, values);
    EXPECT_EQ(values, golden_values(name)) << name;
  }
}

TEST(Gguf, EveryWrittenTypeHasTheBytesOfTheOtherImplementation) {
  const GgufReader file(kGolden / "types.gguf");
  for (const std::string name : {"f32", "bf16", "q8_0"}) {
    const GgufTensor& t = file.tensor(name);
    std::vector<std::byte> bytes(t.bytes.size());
    encode_blocks(t.type, golden_values("source"), bytes, "a test");
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), t.bytes.begin())) << name;
  }
}

TEST(Gguf, VersionTwoIsReadLikeVersionThree) {
  const ScratchFolder folder;
  std::string content = read_file(kGolden / "types.gguf");
  content[4] = 2;
  const GgufReader file(folder.write("v2.gguf", content));
  EXPECT_EQ(file.tensors().size(), 6u);
}

TEST(Gguf, WhatTheWriterWritesIsReadBack) {
  const ScratchFolder folder;
  const GgufMetadata metadata{{"u", std::uint32_t(7)},
                              {"i", std::int32_t(-7)},
                              {"x", 0.1f},
                              {"yes", true},
                              {"text", std::string("a b")},
                              {"texts", std::vector<std::string>{"a", "", "c"}},
                              {"numbers", std::vector<std::int32_t>{1, -2}},
                              {"floats", std::vector<float>{-0.5f}}};
  const std::vector<float> a(5, 1.5f), b(64, -3);
  GgufWriter writer(folder / "x.gguf", metadata,
                    {{"a", GgufType::f16, {5}}, {"b", GgufType::q8_0, {2, 32}}});
  EXPECT_EQ(folder.names().size(), 1u);
  EXPECT_NE(folder.names()[0], "x.gguf");  // a temporary name
  writer.write("a", a);
  writer.write("b", std::span(b).first(32));
  writer.write("b", std::span(b).subspan(32));
  writer.finish();
  const GgufReader file(folder / "x.gguf");
  EXPECT_EQ(file.metadata()["u"], 7);
  EXPECT_EQ(file.metadata()["i"], -7);
  EXPECT_EQ(file.metadata()["x"].get<double>(), 0.1);
  EXPECT_EQ(file.metadata()["yes"], true);
  EXPECT_EQ(file.metadata()["text"], "a b");
  EXPECT_EQ(file.strings("texts"), (std::vector<std::string_view>{"a", "", "c"}));
  EXPECT_EQ(file.integers("numbers"), (std::vector<std::int64_t>{1, -2}));
  EXPECT_EQ(file.numbers("floats"), (std::vector<double>{-0.5}));
  std::vector<float> read(64);
  decode_blocks(GgufType::q8_0, file.tensor("b").bytes, read);
  EXPECT_NEAR(read[63], -3, 0.01);
  EXPECT_TRUE(contains(input_error_of([&] { file.tensor("c"); }), "there is no tensor 'c'"));
}

TEST(Gguf, AWriterThatDoesNotFinishLeavesNoFile) {
  const ScratchFolder folder;
  { GgufWriter writer(folder / "x.gguf", {}, {{"a", GgufType::f32, {5}}}); }
  EXPECT_TRUE(folder.names().empty());
}

TEST(Gguf, NumbersThatQ8CannotHoldAreRefused) {
  std::vector<std::byte> bytes(34);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf(""), 1e9f}) {
    std::vector<float> values(32, 1.0f);
    values[3] = bad;
    EXPECT_TRUE(contains(
        input_error_of([&] { encode_blocks(GgufType::q8_0, values, bytes, "tensor 'a'"); }),
        "tensor 'a': a number does not fit into Q8_0"));
  }
}

TEST(GgufHostile, AFileCutAnywhereIsRefused) {
  const std::string whole = read_file(kGolden / "types.gguf");
  const ScratchFolder folder;
  // The last tensor's data ends 0 to 31 bytes before the file does.
  for (std::size_t size = 0; size + 32 <= whole.size(); size += size < 1200 ? 1 : 31) {
    const auto path = folder.write("x.gguf", whole.substr(0, size));
    EXPECT_NE(input_error_of([&] { const GgufReader reader(path); }), "") << size;
  }
}

TEST(GgufHostile, AByteChangedAnywhereDoesNotCrash) {
  const std::string whole = read_file(kGolden / "types.gguf");
  const ScratchFolder folder;
  int refused = 0;
  for (std::size_t at = 0; at < 1100; ++at) {
    for (const int value : {at % 3 == 0 ? 0 : 0x7f, 0xff}) {
      std::string changed = whole;
      changed[at] = char(value);
      const auto path = folder.write("x.gguf", changed);
      refused += input_error_of([&] {
                   const GgufReader reader(path);
                   for (const auto& [name, t] : reader.tensors()) {
                     std::vector<float> values(std::size_t(t.elements()));
                     decode_blocks(t.type, t.bytes, values);
                   }
                 }) != "";
    }
  }
  EXPECT_GT(refused, 500);
}

TEST(GgufHostile, WhatIsWrongIsNamed) {
  const std::uint64_t huge = ~std::uint64_t(0);
  EXPECT_TRUE(contains(refusal(""), "this is no GGUF file"));
  EXPECT_TRUE(contains(refusal(GgufBytes().head(0, 0, 1).data(32).text()),
                       "this version of GGUF is not supported; found 1, wanted 2 or 3"));
  EXPECT_TRUE(contains(refusal(GgufBytes().head(0, 0, 0x03000000).data(32).text()), "big-endian"));
  EXPECT_TRUE(contains(refusal(GgufBytes().head(huge, 0).data(32).text()), "more tensors than"));
  EXPECT_TRUE(contains(refusal(GgufBytes().head(0, huge).data(32).text()), "more keys than"));
  EXPECT_TRUE(contains(refusal(GgufBytes().head(0, 1).u64(huge).data(64).text()), "truncated"));
  EXPECT_TRUE(contains(refusal(GgufBytes().head(0, 1).string("").data(64).text()),
                       "the name of a key has a length"));
  EXPECT_TRUE(contains(refusal(GgufBytes().head(0, 1).string("k").u32(13).data(64).text()),
                       "key 'k' has a value of an unknown kind; found 13"));
  EXPECT_TRUE(
      contains(refusal(GgufBytes().head(0, 1).string("k").u32(9).u32(8).u64(huge).data(64).text()),
               "key 'k' holds an array that is longer than the file"));
  EXPECT_TRUE(contains(
      refusal(GgufBytes().head(0, 1).string("k").u32(9).u32(10).u64(huge / 8).data(64).text()),
      "key 'k' holds an array that is longer than the file"));
  GgufBytes nested;
  nested.head(0, 1).string("k").u32(9);
  for (int i = 0; i < 40; ++i) nested.u32(9).u64(1);
  EXPECT_TRUE(contains(refusal(nested.data(64).text()), "nested too deep"));
  EXPECT_TRUE(contains(refusal(GgufBytes()
                                   .head(0, 2)
                                   .string("k")
                                   .u32(0)
                                   .number('a')
                                   .string("k")
                                   .u32(0)
                                   .number('b')
                                   .data(64)
                                   .text()),
                       "key 'k' is there twice"));
  EXPECT_TRUE(contains(
      refusal(GgufBytes().head(0, 1).string("general.alignment").u32(4).u32(48).data(64).text()),
      "'general.alignment' has a value that cannot be used; found 48, wanted a power of two"));
}

TEST(GgufHostile, AWrongTensorIsNamed) {
  const auto one = [](std::uint64_t width, std::uint64_t rows, std::uint32_t type,
                      std::uint64_t offset, std::size_t data) {
    return refusal(GgufBytes().head(1, 0).tensor("t", width, rows, type, offset).data(data).text());
  };
  EXPECT_EQ(one(4, 2, 0, 0, 32), "");
  EXPECT_TRUE(contains(one(4, 2, 0, 0, 31), "tensor 't' has data outside the file"));
  EXPECT_TRUE(contains(one(4, 2, 0, 0, 65), "the file is longer than its tensors"));
  EXPECT_TRUE(contains(one(4, 2, 0, 32, 64), "tensor 't' has data out of place"));
  EXPECT_TRUE(contains(one(4, 2, 0, ~std::uint64_t(31), 64), "data outside the file"));
  EXPECT_TRUE(contains(one(0, 2, 0, 0, 64), "tensor 't' has a shape that cannot be"));
  EXPECT_TRUE(contains(one(1ull << 40, 1ull << 40, 0, 0, 64), "a shape that cannot be"));
  EXPECT_TRUE(contains(one(1ull << 31, 1ull << 31, 0, 0, 64), "larger than the file"));
  EXPECT_TRUE(contains(one(32, 1, 12, 0, 64), "a type that is not supported; found Q4_K, wanted"));
  EXPECT_TRUE(contains(one(32, 1, 4242, 0, 64), "found type 4242"));
  EXPECT_TRUE(contains(one(33, 1, 8, 0, 64), "rows that are no whole blocks"));
  EXPECT_TRUE(
      contains(refusal(GgufBytes().head(1, 0).string("t").u32(5).u64(1).u64(1).data(64).text()),
               "a number of dims that cannot be; found 5"));
  EXPECT_TRUE(contains(
      refusal(
          GgufBytes().head(2, 0).tensor("t", 8, 1, 0, 0).tensor("t", 8, 1, 0, 32).data(64).text()),
      "tensor 't' is there twice"));
  EXPECT_TRUE(contains(
      refusal(
          GgufBytes().head(2, 0).tensor("t", 8, 1, 0, 0).tensor("u", 8, 1, 0, 0).data(64).text()),
      "data that overlaps another's"));
}

}  // namespace
}  // namespace autarky
