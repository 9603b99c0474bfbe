#include "train/recipe.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

constexpr const char* kSmall = R"(model: {preset: quickstart}
tokenizer: data/t
data:
  train: [a, {prefix: b}]
  validation: c
train:
  steps: 10
  micro_batch_size: 2
  global_batch_size: 8
)";

class RecipeTest : public ::testing::Test {
 protected:
  fs::path write(const std::string& text) {
    return folder_.write("autarky_recipe_test.yaml", text);
  }
  Recipe load(const std::string& text, const std::vector<std::string>& overrides = {}) {
    return load_recipe(write(text), overrides);
  }
  // The message without the folder.
  std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
    try {
      load(text, overrides);
    } catch (const InputError& e) {
      std::string message = e.what();
      const auto name = message.find("autarky_recipe_test");
      return name == std::string::npos || message.starts_with("-") ? message : message.substr(name);
    }
    return "accepted";
  }

  const ScratchFolder folder_;
};

TEST_F(RecipeTest, GivenKeysAreReadAndTheOthersHaveTheirDefaults) {
  const Recipe r = load(kSmall);
  EXPECT_EQ(r.model.preset, "quickstart");
  EXPECT_EQ(r.tokenizer, "data/t");
  ASSERT_EQ(r.data.train.size(), 2u);
  EXPECT_EQ(r.data.train[0].prefix, "a");
  EXPECT_EQ(r.data.train[1].prefix, "b");
  EXPECT_FALSE(r.data.train[1].weight.has_value());
  ASSERT_EQ(r.data.validation.size(), 1u);
  EXPECT_EQ(r.data.validation[0].prefix, "c");
  EXPECT_EQ(r.train.steps, 10);
  EXPECT_EQ(r.train.seq_length, 1024);
  EXPECT_EQ(r.train.dtype, DType::bf16);
  EXPECT_EQ(r.optimizer.lr, 3e-4);
  EXPECT_EQ(r.parallel.lanes, 1);
  EXPECT_EQ(r.logging.run_dir, "runs/autarky_recipe_test");
  EXPECT_EQ(r.microbatches(), 4);
  EXPECT_EQ(r.tokens_per_step(), 8 * 1024);
}

TEST_F(RecipeTest, TheQuickstartRecipeOfTheRepositoryLoads) {
  const Recipe r =
      load_recipe(fs::path(AUTARKY_SOURCE_DIR) / "recipes/quickstart.yaml", {"--train.steps=60"});
  EXPECT_EQ(r.train.steps, 60);
  EXPECT_EQ(r.model.preset, "quickstart");
  EXPECT_EQ(r.logging.run_dir, "runs/quickstart");
}

TEST_F(RecipeTest, OverridesReplaceWhatTheFileSays) {
  const Recipe r =
      load(kSmall, {"--train.steps=60", "--optimizer.lr=1e-3", "--recompute=full",
                    "--data.train=[{prefix: x, weight: 0.25}, {prefix: y, weight: 3}]",
                    "--schedule.kind=wsd", "--logging.trace=true",
                    "--tokenizer=", "--logging.prompts=[\"a: b\", '12']", "--train.dtype=f32"});
  EXPECT_EQ(r.train.steps, 60);
  EXPECT_EQ(r.optimizer.lr, 1e-3);
  EXPECT_EQ(r.recompute, Recompute::full);
  ASSERT_EQ(r.data.train.size(), 2u);
  EXPECT_EQ(r.data.train[0].weight, 0.25);
  EXPECT_EQ(r.data.train[1].prefix, "y");
  EXPECT_EQ(r.schedule.kind, ScheduleKind::wsd);
  EXPECT_TRUE(r.logging.trace);
  EXPECT_EQ(r.tokenizer, "");
  EXPECT_EQ(r.logging.prompts, (std::vector<std::string>{"a: b", "12"}));
  EXPECT_EQ(r.train.dtype, DType::f32);
}

TEST_F(RecipeTest, TheResolvedRecipeReadsBackAsTheSame) {
  Recipe r = load(kSmall, {"--optimizer.eps=1.2345678901234567e-8", "--train.dtype=f32",
                           "--parallel.data_parallel_size=2", "--parallel.lanes=4"});
  r.logging.prompts = {
      "two\nlines", "",    "true", "~",  "null", "\xe4\xb8\xad\xe6\x96\x87: # \"q\"",
      " spaces ",   "- x", "{",    "1e5"};
  r.data.train[0].weight = 0.1, r.data.train[1].weight = 1;
  r.recompute = Recompute::selective;
  EXPECT_EQ(load(to_yaml(r)), r) << to_yaml(r);
  EXPECT_EQ(to_yaml(load(to_yaml(r))), to_yaml(r));
}

TEST_F(RecipeTest, AnUnknownKeyNamesTheFileTheLineAndTheNearestKey) {
  EXPECT_EQ(refusal(std::string(kSmall) + "  step: 3\n"),
            "autarky_recipe_test.yaml:10: unknown key 'train.step'. Did you mean 'train.steps'?");
  EXPECT_EQ(refusal("modell: {}\n"),
            "autarky_recipe_test.yaml:1: unknown key 'modell'. Did you mean 'model'?");
  EXPECT_EQ(refusal(kSmall, {"--train.stepz=3"}),
            "--train.stepz=3: unknown key 'train.stepz'. Did you mean 'train.steps'?");
  EXPECT_EQ(refusal(kSmall, {"--checkpoint.zzzzzzzzz=3"}),
            "--checkpoint.zzzzzzzzz=3: unknown key 'checkpoint.zzzzzzzzz'. Known keys: every, "
            "keep_last, memory_every.");
}

TEST_F(RecipeTest, AMistypedValueSaysWhatWasFoundAndWanted) {
  EXPECT_EQ(refusal("train:\n  steps: many\n"),
            "autarky_recipe_test.yaml:2: train.steps cannot be used; found 'many', wanted a whole "
            "number of at least 1 and at most 1000000000000");
  EXPECT_EQ(refusal("schedule: {kind: cosin}\n"),
            "autarky_recipe_test.yaml:1: schedule.kind cannot be used; found 'cosin', wanted one "
            "of cosine, linear, wsd, constant");
  EXPECT_EQ(refusal("train: 3\n"),
            "autarky_recipe_test.yaml:1: train cannot be used; found '3', wanted a section of "
            "keys");
  EXPECT_EQ(refusal(kSmall, {"--logging.trace=1"}),
            "--logging.trace=1: logging.trace cannot be used; found '1', wanted one of true, "
            "false");
  EXPECT_EQ(refusal("data: {train: [[a]]}\n"),
            "autarky_recipe_test.yaml:1: data.train[0] cannot be used; found a list, wanted a "
            "section of keys");
}

TEST_F(RecipeTest, ValuesOutOfRangeAreRefused) {
  for (const char* bad : {"--train.steps=0",
                          "--train.steps=-1",
                          "--train.steps=1.5",
                          "--train.steps=1e99",
                          "--train.steps=99999999999999999999999",
                          "--train.steps=",
                          "--train.steps=0x10",
                          "--optimizer.beta2=1",
                          "--optimizer.lr=nan",
                          "--optimizer.lr=inf",
                          "--optimizer.lr=-1",
                          "--optimizer.eps=0",
                          "--schedule.min_lr_ratio=1.5",
                          "--parallel.zero_stage=4",
                          "--train.seed=-1",
                          "--train.dtype=f16",
                          "--train.dtype=i32",
                          "--data.train=[]",
                          "--data.train=[{prefix: a, weight: 0}]",
                          "--data.train=[{weight: 1}]",
                          "--data.train=[{prefix: a, weight: 1}, b]",
                          "--model.config=x",
                          "--model.preset=",
                          "--parallel.lanes=3",
                          "--parallel.lanes=8",
                          "--parallel.data_parallel_size=3",
                          "--train.global_batch_size=7",
                          "--parallel.context_parallel_size=3"})
    EXPECT_THROW(load(kSmall, {bad}), InputError) << bad;
}

TEST_F(RecipeTest, SizesThatDoNotDivideSayTheNumbers) {
  EXPECT_EQ(refusal(kSmall, {"--train.global_batch_size=7"}),
            "autarky_recipe_test.yaml: train.global_batch_size does not divide into "
            "micro-batches; found 7, wanted a multiple of micro_batch_size 2 x "
            "data_parallel_size 1 = 2");
}

TEST_F(RecipeTest, ParallelSizesMayBeWritten) {
  const Recipe r = load(kSmall, {"--parallel.data_parallel_size=2",
                                 "--parallel.tensor_parallel_size=6", "--parallel.zero_stage=1"});
  EXPECT_EQ(r.parallel.lanes, 2);
  EXPECT_EQ(r.microbatches(), 2);
  EXPECT_EQ(r.parallel.tensor_parallel_size, 6);
}

TEST_F(RecipeTest, AKeyGivenTwiceIsRefused) {
  EXPECT_EQ(refusal("train:\n  steps: 1\n  steps: 2\n"),
            "autarky_recipe_test.yaml:3: key 'train.steps' is given twice");
}

TEST_F(RecipeTest, AnEmptySectionLeavesTheDefaults) {
  EXPECT_EQ(load(std::string(kSmall) + "optimizer:\nschedule:  # nothing\n"), load(kSmall));
}

TEST_F(RecipeTest, HostileTextIsRefusedAndDoesNotCrash) {
  for (const std::string& text :
       {std::string("train: {steps: ["), std::string("\t:"), std::string(100000, '['),
        std::string(100000, '{'), std::string("a: *b\n"), std::string("&a [*a]\n"),
        std::string("data: &d {train: *d}\n"), std::string("? [1]\n: 2\n"), std::string("42"),
        std::string("\xff\xfe\x00 bad", 8), std::string(2 << 20, '#'), std::string(),
        std::string("model: {preset: \"\\x\"}\n")})
    EXPECT_THROW(load(text), InputError) << text.substr(0, 40);
  EXPECT_THROW(load_recipe("no/such/recipe.yaml"), InputError);
}

// They could not be written again: the resolved recipe would name other files.
TEST_F(RecipeTest, BytesThatAreNoUtf8AreRefusedWithTheirPlace) {
  EXPECT_EQ(refusal("data: {train: ab\xff}\n"),
            "autarky_recipe_test.yaml: this is not YAML: it is no UTF-8; found byte 0xff at 16");
  EXPECT_THROW(load(kSmall, {"--data.train=a\xc3"}), InputError);
}

TEST_F(RecipeTest, AliasesDoNotFillTheMemory) {
  std::string prompts = "logging: {prompts: [&a \"" + std::string(10'000, 'x') + "\"";
  for (int i = 0; i < 300; ++i) prompts += ", *a";
  EXPECT_EQ(refusal(std::string(kSmall) + prompts + "]}\n"),
            "autarky_recipe_test.yaml:10: too large for a recipe; found aliases that repeat too "
            "much, wanted at most 2097152 bytes of values");
}

// A run writes the resolved recipe into its folder and reads it from there.
TEST_F(RecipeTest, WhatAliasesMakeTooLargeToReadBackIsRefused) {
  std::string prompts = "logging: {prompts: [&a \"" + std::string(10'000, 'x') + "\"";
  for (int i = 0; i < 120; ++i) prompts += ", *a";
  const std::string why = refusal(std::string(kSmall) + prompts + "]}\n");
  EXPECT_TRUE(why.starts_with("autarky_recipe_test.yaml: too large for a recipe; found 1")) << why;
  EXPECT_TRUE(why.ends_with(" bytes with its aliases and overrides in it, wanted at most 1048576"))
      << why;
}

TEST_F(RecipeTest, AnOverrideThatIsNoneIsRefused) {
  for (const char* bad : {"--train.steps", "train.steps=3", "--=3", "--.steps=3", "--train.=3",
                          "--train.steps.x=3", "--train=[", "--data.train.0=a"})
    EXPECT_THROW(load(kSmall, {bad}), InputError) << bad;
}

}  // namespace
}  // namespace autarky
