#include "serve/convert.h"

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "formats/model_files.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

const fs::path kGolden = fs::path(AUTARKY_SOURCE_DIR) / "tests" / "golden";

using Values = std::map<std::string, std::vector<float>>;
Values values_of(const fs::path& path) {
  Values values;
  ModelFiles(path).load(
      [&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> v) {
        values[layer_name(spec.name, layer)].assign(v.begin(), v.end());
      });
  return values;
}

Conversion convert(const fs::path& from, const fs::path& to, std::optional<GgufType> type = {},
                   bool force = false, std::int64_t shard = 5'000'000'000) {
  const auto backend = make_cpu_backend();
  return convert_model({from, to, type, shard, force}, *backend);
}

class ConvertFamily : public testing::TestWithParam<const char*> {
 protected:
  fs::path source() const { return kGolden / "models" / GetParam(); }
};

TEST_P(ConvertFamily, ThereAndBackEveryValueIsKept) {
  const ScratchFolder folder;
  const Conversion there = convert(source(), folder / "x.gguf");
  EXPECT_EQ(there.type, GgufType::f32);
  EXPECT_EQ(there.largest_difference, 0);
  EXPECT_EQ(there.tolerance, 0);
  EXPECT_GT(there.largest_logit, 0);
  const Conversion back = convert(folder / "x.gguf", folder / "y", {}, false, 30'000);
  EXPECT_EQ(back.largest_difference, 0);
  EXPECT_EQ(values_of(folder / "y"), values_of(source()));
  EXPECT_TRUE(fs::exists(folder / "y/model.safetensors.index.json"));
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"x.gguf", "y"}));
}

TEST_P(ConvertFamily, NarrowerTypesStayWithinTheirTolerance) {
  const ScratchFolder folder;
  for (const GgufType type : {GgufType::f16, GgufType::bf16, GgufType::q8_0}) {
    const Conversion c = convert(source(), folder / "x.gguf", type, true);
    EXPECT_GT(c.largest_difference, 0);
    EXPECT_LE(c.largest_difference, c.tolerance);
    EXPECT_EQ(c.type, type);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, ConvertFamily, testing::Values("llama", "qwen2", "gpt2"),
                         [](const auto& param) { return std::string(param.param); });

TEST(Convert, AModelThatTheTypeCannotHoldIsNotPublished) {
  const ScratchFolder folder;
  const ModelConfig config = read_model_config(kGolden / "models" / "llama");
  fs::create_directories(folder / "m");
  save_weights(folder / "m", config, DType::f32,
               [](const ParameterSpec&, std::int64_t, std::span<float> values) {
                 std::fill(values.begin(), values.end(), 1e5f);  // f16 ends at 65504
               });
  const auto message = [&](GgufType type) -> std::string {
    try {
      convert(folder / "m", folder / "x.gguf", type);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 1);
      return error.what();
    }
    return "";
  };
  EXPECT_TRUE(contains(message(GgufType::f16), "does not compute what the source does"));
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"m"}));
}

TEST(Convert, WhatIsThereIsKeptUnlessForced) {
  const ScratchFolder folder;
  const fs::path llama = kGolden / "models" / "llama", gpt2 = kGolden / "models" / "gpt2";
  convert(llama, folder / "x");
  const auto before = values_of(folder / "x");
  EXPECT_TRUE(
      contains(input_error_of([&] { convert(gpt2, folder / "x"); }), "it is already there"));
  EXPECT_TRUE(contains(input_error_of([&] { convert(folder / "x", folder / "x", {}, true); }),
                       "the source would be replaced by itself"));
  EXPECT_EQ(values_of(folder / "x"), before);
  convert(gpt2, folder / "x", {}, true);
  EXPECT_EQ(values_of(folder / "x"), values_of(gpt2));
  folder.write("letters/a.txt", "precious");
  EXPECT_TRUE(contains(input_error_of([&] { convert(gpt2, folder / "letters", {}, true); }),
                       "what is there is no model, so it is not replaced"));
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"letters", "x"}));
}

TEST(Convert, WhatCannotBeConvertedLeavesNothing) {
  const ScratchFolder folder;
  const fs::path llama = kGolden / "models" / "llama";
  EXPECT_TRUE(contains(input_error_of([&] { convert(llama, folder / "x", GgufType::q8_0); }),
                       "safetensors have no q8_0"));
  EXPECT_TRUE(contains(input_error_of([&] { convert(folder / "none", folder / "x"); }), "none"));
  EXPECT_TRUE(
      contains(input_error_of([&] { convert(folder / "no.gguf", folder / "x"); }), "no.gguf"));
  EXPECT_TRUE(contains(
      input_error_of([&] { convert(folder.write("bad.gguf", "GGUF"), folder / "x"); }), "no GGUF"));
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"bad.gguf"}));
}

TEST(Convert, TheTokenizerGoesAlong) {
  const ScratchFolder folder;
  fs::copy(kGolden / "models" / "llama", folder / "m");
  fs::copy(kGolden / "text" / "gpt2" / "tokenizer.json", folder / "m/tokenizer.json");
  EXPECT_TRUE(contains(input_error_of([&] { convert(folder / "m", folder / "x.gguf"); }),
                       "the tokenizer has more tokens than the model"));
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"m"}));
}

}  // namespace
}  // namespace autarky
