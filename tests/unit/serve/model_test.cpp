// Decoding with a cache against scoring without one, on models with random weights.
#include "serve/model.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/process.h"
#include "base/rng.h"
#include "formats/weights.h"
#include "serve/generate.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

using Tokens = std::vector<std::int32_t>;
constexpr std::int32_t kVocab = 24;

constexpr const char* kConfigs[] = {
    R"({"model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 24,
        "max_position_embeddings": 96, "rms_norm_eps": 1e-5, "rope_theta": 10000.0})",
    R"({"model_type": "qwen2", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 24,
        "max_position_embeddings": 96, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "tie_word_embeddings": true})",
    R"({"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 96,
        "vocab_size": 24, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5})",
    R"({"model_type": "mistral", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 24, "head_dim": 12,
        "max_position_embeddings": 96, "rms_norm_eps": 1e-5, "sliding_window": 20})",
    R"({"model_type": "qwen3", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 24, "head_dim": 12,
        "max_position_embeddings": 96, "rms_norm_eps": 1e-6, "tie_word_embeddings": true})",
    R"({"model_type": "telechat", "hidden_size": 32, "ffn_hidden_size": 48, "n_layer": 2,
        "n_head": 4, "num_key_value_heads": 2, "vocab_size": 24, "training_seqlen": 96,
        "base_seqlen": 32, "tie_word_embeddings": false})"};

// Writes a model whose weights are large enough for its choices to be clear.
void write_model(const fs::path& folder, const char* json) {
  const ModelConfig config = parse_config(parse_json(json, "test"), "test");
  std::uint64_t next = 0;
  const Random random{3, Purpose::test};
  save_weights(folder, config, DType::f32,
               [&](const ParameterSpec& spec, std::int64_t, std::span<float> values) {
                 for (float& x : values)
                   x = spec.init.kind == InitKind::ones ? 1 : float(0.3 * random.normal(next++));
               });
}

Tokens random_tokens(std::size_t count) {
  const Random random{4, Purpose::test};
  Tokens tokens;
  for (std::size_t i = 0; i < count; ++i)
    tokens.push_back(std::int32_t(random.bits(i) % std::uint64_t(kVocab)));
  return tokens;
}

Tokens joined(Tokens tokens, const Tokens& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

std::vector<double> log_softmax(std::span<const float> logits) {
  double sum = 0;
  for (float x : logits) sum += std::exp(double(x));
  std::vector<double> result;
  for (float x : logits) result.push_back(double(x) - std::log(sum));
  return result;
}

class ServedModelOf : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    set_thread_count(1);  // products this small gain nothing from more
    write_model(folder_.path(), GetParam());
  }
  ServedModel model(std::int64_t capacity) const {
    return ServedModel(folder_.path(), {std::nullopt, capacity}, *backend_);
  }

  ScratchFolder folder_;
  std::unique_ptr<Backend> backend_ = make_cpu_backend();
};

TEST_P(ServedModelOf, LogitsOfTheCacheAreThoseOfScoring) {
  auto served = model(80);
  const Tokens tokens = random_tokens(75);  // more than one chunk
  for (const std::size_t length : {1u, 64u, 75u}) {
    served.forget();
    const Tokens prompt(tokens.begin(), tokens.begin() + std::ptrdiff_t(length));
    const auto logprobs = log_softmax(served.feed(prompt));
    for (std::int32_t t = 0; t < kVocab; t += 5)
      EXPECT_NEAR(logprobs[std::size_t(t)], served.score(joined(prompt, {t})).back(), 2e-5)
          << length << " " << t;
  }
}

TEST_P(ServedModelOf, PiecesOfAPromptMakeTheWhole) {
  auto served = model(80);
  const Tokens tokens = random_tokens(75);
  const auto at_once = log_softmax(served.feed(tokens));
  for (const std::size_t piece : {1u, 70u}) {
    served.forget();
    std::span<const float> logits;
    for (std::size_t i = 0; i < tokens.size(); i += piece)
      logits = served.feed(std::span(tokens).subspan(i, std::min(piece, tokens.size() - i)));
    EXPECT_EQ(served.fed(), 75);
    const auto pieces = log_softmax(logits);
    for (std::size_t t = 0; t < pieces.size(); ++t) EXPECT_NEAR(pieces[t], at_once[t], 2e-5);
  }
}

TEST_P(ServedModelOf, GreedyTextIsTheMostLikelyOne) {
  auto served = model(7);  // less than a chunk
  const Tokens prompt = random_tokens(3);
  SamplingOptions options;
  options.greedy = true;
  options.max_new_tokens = 4;
  const Tokens made = generate(served, prompt, options);
  ASSERT_EQ(made.size(), 4u);
  Tokens text = prompt;
  for (const auto token : made) {
    double best = -INFINITY;
    for (std::int32_t t = 0; t < kVocab; ++t)
      best = std::max(best, served.score(joined(text, {t})).back());
    text.push_back(token);
    EXPECT_NEAR(served.score(text).back(), best, 2e-5);
  }
  served.forget();
  options.max_new_tokens = 1;
  EXPECT_EQ(generate(served, prompt, options)[0], made[0]);
}

TEST_P(ServedModelOf, MoreThanTheCacheHoldsIsRefused) {
  auto served = model(8);
  served.feed(random_tokens(8));
  EXPECT_THROW(served.feed(Tokens{1}), InputError);
  EXPECT_THROW(model(97), InputError);
  EXPECT_THROW(served.score(random_tokens(98)), InputError);
  EXPECT_EQ(served.score(random_tokens(97)).size(), 96u);
  EXPECT_THROW(served.score(Tokens{1, kVocab}), InputError);
  EXPECT_THROW(served.tokenizer(), InputError);
}

TEST_P(ServedModelOf, ACapacityBeyondThePositionsIsCutWhereLessWillDo) {
  EXPECT_EQ(ServedModel(folder_.path(), {std::nullopt, 97, 5}, *backend_).capacity(), 96);
  EXPECT_EQ(ServedModel(folder_.path(), {std::nullopt, 50, 5}, *backend_).capacity(), 50);
  EXPECT_THROW(ServedModel(folder_.path(), {std::nullopt, 120, 97}, *backend_), InputError);
}

// A token's hidden state alone has 1024 * 4 bytes.
TEST(ServedModel, ATextThatWouldNotFitInMemoryIsRefused) {
  const ScratchFolder folder;
  write_model(folder.path(), R"({"model_type": "llama", "hidden_size": 1024,
      "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 8,
      "vocab_size": 24, "max_position_embeddings": 2147483647})");
  const auto backend = make_cpu_backend();
  ServedModel served(folder.path(), {}, *backend);
  const Tokens tokens(std::size_t(memory_limit_bytes() / 4096) + 2, 1);
  const auto error = input_error_of([&] { served.score(tokens); });
  EXPECT_TRUE(contains(error, "does not fit in memory")) << error;
  EXPECT_EQ(served.score(random_tokens(3)).size(), 2u);
}

INSTANTIATE_TEST_SUITE_P(
    Families, ServedModelOf, ::testing::ValuesIn(kConfigs), [](const auto& test) {
      return parse_json(test.param, "test")["model_type"].template get<std::string>();
    });

}  // namespace
}  // namespace autarky
