#include "models/presets.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "models/parameters.h"

namespace autarky {
namespace {

std::int64_t count(const char* name) { return parameter_count(preset_config(name)); }

// The sizes of the published checkpoints (the safetensors totals on their model pages).
TEST(Presets, HaveTheParametersOfThePublishedCheckpoints) {
  EXPECT_EQ(count("gpt2-124m"), 124'439'808);
  EXPECT_EQ(count("qwen2-0.5b"), 494'032'768);
  EXPECT_EQ(count("qwen2-7b"), 7'615'616'512);
  EXPECT_EQ(count("qwen2-72b"), 72'706'203'648);
  EXPECT_EQ(count("llama3-8b"), 8'030'261'248);
  EXPECT_EQ(count("mistral-7b"), 7'241'732'096);
  EXPECT_EQ(count("smollm2-135m"), 134'515'008);
  // The file of Qwen3-0.6B, 751,632,384, has the tied head a second time.
  EXPECT_EQ(count("qwen3-0.6b"), 751'632'384 - 151'936 * 1'024);
  EXPECT_EQ(count("llama3-70b"), 70'553'706'496);
  EXPECT_EQ(count("llama3-405b"), 405'853'388'800);
}

// Llama's block written out as a formula: queries and output, keys and values, gate, up and down,
// two norms; embedding and head; last norm.
constexpr std::int64_t formula(std::int64_t layers, std::int64_t hidden, std::int64_t kv_width,
                               std::int64_t ffn, std::int64_t vocab, std::int64_t layer_biases) {
  return layers * (2 * hidden * hidden + 2 * hidden * kv_width + 3 * hidden * ffn + 2 * hidden +
                   layer_biases) +
         2 * vocab * hidden + hidden;
}

// No totals to the last digit are published for these: the arithmetic of the published shapes, and
// the size in the name within 3%; a trillion is more than 10^12.
TEST(Presets, HaveTheParametersOfThePublishedShapes) {
  EXPECT_EQ(count("telechat2-3b"), formula(24, 3072, 3072, 6144, 131072, 2 * 3072));
  EXPECT_EQ(count("telechat2-7b"), formula(30, 4096, 4096, 12288, 131072, 2 * 4096));
  EXPECT_EQ(count("telechat2-35b"), formula(64, 6144, 6144, 20480, 131072, 2 * 6144));
  EXPECT_EQ(count("telechat2-115b"), formula(96, 8192, 1024, 40960, 131072, 2 * 8192));
  EXPECT_EQ(count("tele-flm-52b"), formula(64, 8192, 8192, 21824, 80000, 0));
  EXPECT_EQ(count("tele-flm-1t"), formula(140, 20480, 20480, 98304, 80000, 0));
  EXPECT_NEAR(double(count("telechat2-3b")), 3e9, 0.1e9);
  EXPECT_NEAR(double(count("telechat2-35b")), 35e9, 1e9);
  EXPECT_NEAR(double(count("telechat2-115b")), 115e9, 3e9);
  EXPECT_NEAR(double(count("tele-flm-52b")), 52e9, 1e9);
  EXPECT_NEAR(double(count("tele-flm-1t")), 1.0837e12, 0.0001e12);
}

TEST(Presets, OursAreOfTheSizesTheirNamesSay) {
  EXPECT_EQ(count("llama-17m"), 16'913'280);
  EXPECT_EQ(count("llama-160m"), 162'148'608);
  EXPECT_EQ(count("quickstart"), 9'440'640);
}

TEST(Presets, AreValidAndCanBeSaved) {
  for (const auto& p : presets()) {
    EXPECT_NO_THROW(validate(p.config, p.name)) << p.name;
    EXPECT_EQ(parse_config(to_config_json(p.config), p.name), p.config) << p.name;
  }
}

TEST(Presets, AnUnknownNameIsAnsweredWithTheNearestAndAll) {
  try {
    preset_config("lama3-8b");
    FAIL() << "found";
  } catch (const InputError& e) {
    const std::string message = e.what();
    EXPECT_NE(message.find("did you mean 'llama3-8b'"), message.npos) << message;
    for (const auto& name : preset_names()) EXPECT_NE(message.find(name), message.npos) << message;
  }
}

}  // namespace
}  // namespace autarky
