// generate, score and eval on a freshly trained model.
#include <cmath>

#include "e2e/tiny_run.h"

namespace autarky {
namespace {

class Served : public ::testing::Test {
 protected:
  void SetUp() override {
    make_tiny_run(folder_);
    ASSERT_EQ(train(folder_, "run", "--train.steps=25 --train.eval_samples=0").code, 0);
  }

  Outcome on_model(const std::string& verb, const std::string& arguments) {
    return run(folder_, verb + " --model run/checkpoints/latest --threads 1 " + arguments);
  }
  nlohmann::json generate(const std::string& arguments) {
    return last_json(on_model("generate", "--json --prompt 'the cat' " + arguments));
  }
  void expect_refused(const std::string& verb, const std::string& arguments,
                      const std::string& part) {
    const auto outcome = on_model(verb, arguments);
    EXPECT_EQ(outcome.code, 2) << arguments;
    EXPECT_EQ(outcome.out, "") << arguments;
    EXPECT_TRUE(contains(outcome.err, part)) << outcome.err;
  }

  ScratchFolder folder_;
};

TEST_F(Served, TheSameSeedWritesTheSameText) {
  const auto one = generate("--max-new-tokens 20 --seed 3");
  EXPECT_EQ(one["tokens"].size(), 20u);
  EXPECT_EQ(one, generate("--max-new-tokens 20 --seed 3"));
  EXPECT_NE(one, generate("--max-new-tokens 20 --seed 4"));
  const auto greedy = generate("--max-new-tokens 20 --greedy");
  EXPECT_EQ(greedy, generate("--max-new-tokens 20 --top-k 1 --temperature 2 --seed 9"));
  EXPECT_EQ(greedy, generate("--max-new-tokens 20 --top-p 1e-9"));
  const auto words = on_model("generate", "--prompt 'the cat' --max-new-tokens 20 --greedy");
  EXPECT_EQ(words.out, "the cat" + greedy["text"].get<std::string>() + "\n");
}

TEST_F(Served, WhatWasGeneratedCanBeScored) {
  const auto made = generate("--max-new-tokens 3 --greedy");
  std::string ids;
  for (const auto* part : {"prompt_tokens", "tokens"})
    for (const auto& id : made[part]) ids += (ids.empty() ? "" : ",") + id.dump();
  const auto scored = last_json(on_model("score", "--json --tokens " + ids));
  EXPECT_EQ(scored["logprobs"].size(), made["prompt_tokens"].size() + 3 - 1);
}

// The model has 64 positions.
TEST_F(Served, WithoutALengthTheTextEndsWhereThePositionsDo) {
  const auto outcome = on_model("generate", "--prompt 'the cat' --greedy --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "the model has 64 positions")) << outcome.err;
  EXPECT_LT(last_json(outcome)["tokens"].size(), 64u);
}

TEST_F(Served, EvaluatingTextAndTokensAgrees) {
  const auto text = last_json(on_model("eval", "--data text.txt --seq 32 --json"));
  const auto tokens = last_json(on_model("eval", "--data data/all --seq 32 --json"));
  EXPECT_EQ(text["tokens"], tokens["tokens"]);
  EXPECT_NEAR(text["loss"].get<double>(), tokens["loss"].get<double>(), 1e-12);
  EXPECT_NEAR(text["perplexity"].get<double>(), std::exp(text["loss"].get<double>()), 1e-9);
  EXPECT_GT(text["bits_per_byte"].get<double>(), 0.3);
  EXPECT_LT(text["bits_per_byte"].get<double>(), 3);
  // The run's own evaluation is the same sum.
  const auto held_out = last_json(on_model("eval", "--data data/t_validation --seq 32 --json"));
  EXPECT_NEAR(held_out["loss"].get<double>(),
              metrics_of(folder_, "run").back()["val_loss"].get<double>(), 1e-6);
}

TEST_F(Served, ScoresAreLogProbabilities) {
  const auto json = last_json(on_model("score", "--tokens 5,6,7,8 --json"));
  ASSERT_EQ(json["logprobs"].size(), 3u);
  for (const auto& p : json["logprobs"]) EXPECT_LT(p.get<double>(), 0);
  // What comes later does not change what came before.
  const auto shorter = last_json(on_model("score", "--tokens 5,6,7 --json"));
  EXPECT_NEAR(shorter["logprobs"][1].get<double>(), json["logprobs"][1].get<double>(), 1e-5);
}

TEST_F(Served, WhatCannotBeServedIsRefused) {
  expect_refused("generate", "--prompt '' --max-new-tokens 8", "the prompt has no tokens");
  expect_refused("generate", "--prompt 'the cat' --max-new-tokens 64", "at most 64");
  expect_refused("generate", "--prompt \"$(printf 'cat %.0s' $(seq 80))\" --max-new-tokens 1",
                 "positions");
  expect_refused("generate", "--prompt \"$(printf 'cat %.0s' $(seq 80))\"", "positions");
  expect_refused("generate", "--prompt cat --temperature 0", "--temperature");
  expect_refused("generate", "--prompt cat --top-p 1.5", "--top-p");
  expect_refused("generate", "--prompt cat --dtype f16", "--dtype");
  expect_refused("score", "--tokens 99999999999,1", "99999999999");
  expect_refused("score", "--tokens 1,2x", "2x");
  expect_refused("score", "--tokens 1,512", "512");
  expect_refused("score", "--tokens 1", "at least 2");
  expect_refused("eval", "--data nowhere", "nowhere");
  expect_refused("eval", "--data text.txt --seq 65", "--seq");
}

}  // namespace
}  // namespace autarky
