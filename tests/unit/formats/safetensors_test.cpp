#include "formats/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <fstream>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "formats/safetensors_writer.h"

namespace autarky {
namespace {

class Safetensors : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "autarky-safetensors-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path save(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }
  // A file of that header and data.
  fs::path file(const std::string& header, const std::string& data) const {
    std::string length(8, '\0');
    for (int i = 0; i < 8; ++i) length[std::size_t(i)] = char(header.size() >> (8 * i) & 0xff);
    return save("x.safetensors", length + header + data);
  }
  // The message of the user's error on opening.
  static std::string refusal(const fs::path& path) {
    try {
      SafetensorsReader reader(path);
    } catch (const Error& e) {
      EXPECT_EQ(e.exit_code(), 2);
      return e.what();
    }
    return "accepted";
  }
  std::string refusal(const std::string& header, const std::string& data) const {
    return refusal(file(header, data));
  }
  std::size_t files_left() const {
    return std::size_t(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

void expect_says(const std::string& message, std::initializer_list<const char*> parts) {
  for (const char* part : parts) EXPECT_NE(message.find(part), message.npos) << message;
}

std::vector<float> floats(std::int64_t n) {
  std::vector<float> v(static_cast<std::size_t>(n));
  std::iota(v.begin(), v.end(), 0.5f);
  return v;
}

// For the length of a statement.
std::span<const std::byte> raw(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<float> as_floats(const SafetensorsTensor& t) {
  std::vector<float> v(t.bytes.size() / sizeof(float));
  if (!v.empty()) std::memcpy(v.data(), t.bytes.data(), t.bytes.size());
  return v;
}

TEST_F(Safetensors, ReadsAFileWrittenByHand) {
  const SafetensorsReader reader(
      file(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[3],"data_offsets":[4,7]},)"
           R"("a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}   )",
           std::string("\x80\x3f\x00\xc0\x01\x02\x03", 7)));
  EXPECT_EQ(reader.tensors().size(), 2u);
  const auto& a = reader.tensor("a");
  EXPECT_EQ(a.dtype, DType::bf16);
  EXPECT_EQ(a.shape, (std::vector<std::int64_t>{1, 2}));
  bf16 values[2];
  std::memcpy(values, a.bytes.data(), 4);
  EXPECT_EQ(float(values[0]), 1.0f);
  EXPECT_EQ(float(values[1]), -2.0f);
  EXPECT_EQ(reader.tensor("b").bytes[2], std::byte{3});
}

// The bytes as the format's description has them.
TEST_F(Safetensors, WritesTheBytesOfTheFormat) {
  SafetensorsWriter writer(folder_ / "w.safetensors", {{"t", DType::f32, {2}}});
  const float values[2] = {1, -2};
  writer.write("t", std::as_bytes(std::span(values)));
  const WrittenFile written = writer.finish();
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::size_t padded = (header.size() + 7) / 8 * 8;
  const std::string wanted = std::string(1, char(padded)) + std::string(7, '\0') + header +
                             std::string(padded - header.size(), ' ') +
                             std::string("\0\0\x80\x3f\0\0\0\xc0", 8);
  const std::string found = read_file(folder_ / "w.safetensors");
  EXPECT_EQ(found, wanted);
  EXPECT_EQ(written.name, "w.safetensors");
  EXPECT_EQ(written.bytes, std::int64_t(wanted.size()));
  EXPECT_EQ(written.xxh3, xxh3(wanted));
}

TEST_F(Safetensors, ReadsWhatItWritesInEveryDtype) {
  std::vector<SafetensorsSpec> specs;
  for (const auto& d : kDTypes) specs.push_back({std::string(d.name), d.dtype, {3, 5}});
  specs.push_back({"scalar", DType::f32, {}});
  specs.push_back({"empty", DType::f32, {0, 4}});
  SafetensorsWriter writer(folder_ / "w.safetensors", specs);
  for (const auto& spec : specs) {
    const std::vector<std::byte> bytes(std::size_t(spec.bytes()), std::byte(spec.bytes()));
    writer.write(spec.name, std::span(bytes).first(bytes.size() / 2));
    writer.write(spec.name, std::span(bytes).subspan(bytes.size() / 2));
  }
  writer.finish();
  const SafetensorsReader reader(folder_ / "w.safetensors");
  ASSERT_EQ(reader.tensors().size(), specs.size());
  for (const auto& spec : specs) {
    const auto& t = reader.tensor(spec.name);
    EXPECT_EQ(t.dtype, spec.dtype);
    EXPECT_EQ(t.shape, spec.shape);
    EXPECT_EQ(std::int64_t(t.bytes.size()), spec.bytes());
    for (const std::byte b : t.bytes) EXPECT_EQ(b, std::byte(spec.bytes()));
  }
}

TEST_F(Safetensors, SplitsIntoShardsWithAnIndexAndReadsThemAsOne) {
  const std::vector<SafetensorsSpec> specs = {{"a", DType::f32, {10}},
                                              {"b", DType::f32, {2, 10}},
                                              {"c", DType::f32, {5}},
                                              {"none", DType::f32, {0}}};
  SafetensorsSetWriter writer(folder_, "model", specs, 100);
  for (const auto& spec : specs) writer.write(spec.name, raw(floats(spec.bytes() / 4)));
  const auto files = writer.finish();
  ASSERT_EQ(files.size(), 3u);  // a (40 bytes, b has no room), b and c (100), the index
  EXPECT_EQ(files[0].name, "model-00001-of-00002.safetensors");
  EXPECT_EQ(files[1].name, "model-00002-of-00002.safetensors");
  EXPECT_EQ(files[2].name, "model.safetensors.index.json");
  for (const auto& f : files) EXPECT_EQ(f.xxh3, xxh3(read_file(folder_ / f.name)));
  EXPECT_EQ(files_left(), 3u);
  const SafetensorsReader reader(folder_);
  EXPECT_EQ(reader.tensors().size(), 4u);
  for (const auto& spec : specs)
    EXPECT_EQ(as_floats(reader.tensor(spec.name)), floats(spec.bytes() / 4)) << spec.name;
}

TEST_F(Safetensors, ASetThatFitsIsOneFileWithoutIndex) {
  SafetensorsSetWriter writer(folder_, "model", {{"a", DType::f32, {4}}}, 1000);
  writer.write("a", raw(floats(4)));
  ASSERT_EQ(writer.finish().size(), 1u);
  EXPECT_TRUE(fs::exists(folder_ / "model.safetensors"));
  EXPECT_EQ(as_floats(SafetensorsReader(folder_).tensor("a")), floats(4));
}

TEST_F(Safetensors, NothingIsLeftOfAFileThatWasNotFinished) {
  {
    SafetensorsWriter writer(folder_ / "w.safetensors", {{"a", DType::f32, {4}}});
    writer.write("a", raw(floats(2)));
    EXPECT_FALSE(writer.complete());
  }
  EXPECT_EQ(files_left(), 0u);
}

TEST_F(Safetensors, AFolderThatCannotBeWrittenIsAnError) {
  EXPECT_THROW(SafetensorsWriter(folder_ / "no" / "w.safetensors", {}), Error);
}

TEST_F(Safetensors, NamesTheNearestTensorWhenOneIsMissing) {
  const SafetensorsReader reader(
      file(R"({"model.norm.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"));
  EXPECT_FALSE(reader.contains("norm"));
  try {
    reader.tensor("model.norm.weights");
    FAIL();
  } catch (const Error& e) {
    expect_says(e.what(), {"model.norm.weights", "nearest", "'model.norm.weight'"});
  }
}

TEST_F(Safetensors, RefusesAFileCutAnywhere) {
  const std::string whole = read_file(
      file(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", std::string(8, 'x')));
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_NE(refusal(save("cut.safetensors", whole.substr(0, n))), "accepted") << n;
  EXPECT_EQ(refusal(save("cut.safetensors", whole)), "accepted");
  expect_says(refusal(save("cut.safetensors", whole + "y")), {"longer than its tensors"});
}

TEST_F(Safetensors, RefusesAHeaderLengthBeyondFileOrLimit) {
  expect_says(refusal(save("h.safetensors", std::string(8, '\xff'))), {"18446744073709551615"});
  expect_says(refusal(save("h.safetensors", std::string("\x64\0\0\0\0\0\0\0{}", 10))),
              {"truncated", "108"});
}

TEST_F(Safetensors, RefusesDamagedHeaders) {
  expect_says(refusal("{\"a\":", ""), {"not valid JSON", "x.safetensors"});
  expect_says(refusal("[]", ""), {"object"});
  expect_says(refusal(R"({"a":1e999})", ""), {"not valid JSON"});
  expect_says(refusal(std::string(100000, '['), ""), {"nested"});
  expect_says(refusal(R"({"a":3})", ""), {"'a'", "shape"});
  expect_says(refusal(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", "x"), {"no dtype"});
  expect_says(refusal(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "x"), {"shape"});
  expect_says(refusal(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", "x"),
              {"data_offsets"});
  expect_says(refusal(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                      R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                      "x"),
              {"'a' is there twice"});
}

TEST_F(Safetensors, AHeaderOfManyTensorsTakesNoQuadraticTime) {
  constexpr int kTensors = 150'000;
  std::string header = "{", map = R"({"weight_map":{)";
  for (int i = 0; i < kTensors; ++i) {
    const std::string name = (i ? ",\"a" : "\"a") + std::to_string(i) + "\":";
    header += name + R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
    map += name + "\"x.safetensors\"";
  }
  const auto start = std::clock();
  EXPECT_EQ(SafetensorsReader(file(header + "}", "")).tensors().size(), kTensors);
  EXPECT_EQ(SafetensorsReader(save("x.index.json", map + "}}")).tensors().size(), kTensors);
  EXPECT_LT(double(std::clock() - start) / CLOCKS_PER_SEC, 20);
}

TEST_F(Safetensors, RefusesADtypeItDoesNotStoreByName) {
  expect_says(refusal(R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", "x"),
              {"a", "F8_E4M3", "BF16"});
}

TEST_F(Safetensors, RefusesOffsetsThatDoNotFit) {
  const auto one = [&](const char* shape, const char* offsets) {
    return refusal(std::string(R"({"a":{"dtype":"F32","shape":)") + shape + R"(,"data_offsets":)" +
                       offsets + "}}",
                   std::string(8, 'x'));
  };
  expect_says(one("[2]", "[0,12]"), {"outside the file", "8 bytes"});
  expect_says(one("[2]", "[8,0]"), {"outside the file"});
  expect_says(one("[2]", "[0,9223372036854775807]"), {"outside the file"});
  expect_says(one("[1]", "[0,8]"), {"do not fit its shape", "8 bytes", "4 bytes"});
  expect_says(one("[4294967296,4294967296,2]", "[0,8]"), {"overflows"});
  expect_says(one("[1]", "[4,8]"), {"gap"});
  expect_says(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                      R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                      std::string(6, 'x')),
              {"'b'", "overlaps"});
}

TEST_F(Safetensors, RefusesBadIndexFiles) {
  file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x");
  const auto index = [&](const std::string& text) {
    return refusal(save("model.safetensors.index.json", text));
  };
  EXPECT_EQ(index(R"({"weight_map":{"a":"x.safetensors"}})"), "accepted");
  expect_says(index("{}"), {"weight_map"});
  expect_says(index(R"({"weight_map":{"a":1}})"), {"'a'"});
  expect_says(index(R"({"weight_map":{"b":"x.safetensors"}})"), {"'b'", "not in the file"});
  expect_says(index(R"({"weight_map":{"a":"../x.safetensors"}})"), {"same folder"});
  expect_says(index(R"({"weight_map":{"a":"gone.safetensors"}})"), {"gone.safetensors"});
  fs::remove(folder_ / "model.safetensors.index.json");
  expect_says(refusal(folder_), {"no weights", "model.safetensors"});
}

}  // namespace
}  // namespace autarky
