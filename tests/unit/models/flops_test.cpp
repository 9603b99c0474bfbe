#include "models/flops.h"

#include <gtest/gtest.h>

#include "models/presets.h"

namespace autarky {
namespace {

// 3 (forward, and backward twice that) * (2 per weight of a matrix + attention), where attention at
// half is 2 products * 2 * T * width / 2 per layer.
constexpr double hand(double layers, double weights_of_a_layer, double head, double seq,
                      double width) {
  return 3 * (2 * (layers * weights_of_a_layer + head) + layers * 2 * seq * width);
}

TEST(ModelFlops, AreThoseOfTheHandCountForLlama17m) {
  // Queries, keys, values, output: 4 * 384 * 384; gate, up, down: 3 * 384 * 1024.
  constexpr double kLayer = 589'824 + 1'179'648, kHead = 384 * 8192;
  EXPECT_EQ(hand(6, kLayer, kHead, 256, 384), 86'114'304);
  EXPECT_EQ(model_flops_per_token(preset_config("llama-17m"), 256), 86'114'304);
}

TEST(ModelFlops, AreThoseOfTheHandCountForLlama160m) {
  constexpr double kLayer = 4 * 768 * 768 + 3 * 768 * 2048, kHead = 768 * 50257;
  EXPECT_EQ(hand(12, kLayer, kHead, 1024, 768), 797'815'296);
  EXPECT_EQ(model_flops_per_token(preset_config("llama-160m"), 1024), 797'815'296);
}

// The head's product is there though its matrix is the embedding; positions and biases are free.
TEST(ModelFlops, CountATiedHead) {
  constexpr double kLayer = 12 * 768 * 768, kHead = 768 * 50257;
  EXPECT_EQ(model_flops_per_token(preset_config("gpt2-124m"), 1024),
            hand(12, kLayer, kHead, 1024, 768));
}

// Fewer keys and values than queries: smaller matrices, the same attention.
TEST(ModelFlops, CountGroupedQueries) {
  constexpr double kLayer = 2 * 896 * 896 + 2 * 896 * 128 + 3 * 896 * 4864;
  EXPECT_EQ(model_flops_per_token(preset_config("qwen2-0.5b"), 1024),
            hand(24, kLayer, 896.0 * 151936, 1024, 896));
}

// A window of 4 at T = 8: tokens see 1 2 3 4 4 4 4 4 keys, 26 in all; less half a key for each of
// the first 4 tokens (T / 2 of T keys leaves it out, too) 24, so 3 a token.
TEST(ModelFlops, CountTheKeysWithinTheWindow) {
  ModelConfig c = preset_config("llama-17m");
  const double whole = model_flops_per_token(c, 8);
  c.window = 4;
  EXPECT_EQ(whole - model_flops_per_token(c, 8), 3 * 4 * (4 - 3) * 384 * 6);
  c.window = 8;
  EXPECT_EQ(model_flops_per_token(c, 8), whole);
  c.window = 9;
  EXPECT_EQ(model_flops_per_token(c, 8), whole);
}

// docs/formats/flops.md does this one by hand, too.
TEST(ModelFlops, AreThoseOfTheHandCountForMistral7b) {
  constexpr double kLayer = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3.0 * 4096 * 14336;
  constexpr double kWeights = 32 * kLayer + 4096.0 * 32000;
  EXPECT_EQ(kWeights, 7'110'393'856);
  EXPECT_EQ(model_flops_per_token(preset_config("mistral-7b"), 32768),
            3 * (2 * kWeights + 4.0 * 3840 * 4096 * 32));
}

}  // namespace
}  // namespace autarky
