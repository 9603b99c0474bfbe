#include <gtest/gtest.h>

#include <future>

#include "unit/train/checkpoint_fixture.h"

namespace autarky {
namespace {

TEST(Checkpoint, ComesBackBitForBit) {
  const ScratchFolder folder;
  folder.write("tokenizer/tokenizer.json", "{}");
  folder.write("tokenizer/model.safetensors", "not the tokenizer's");
  save(folder / "c", 100, 10, folder / "tokenizer");
  EXPECT_EQ(names(folder / "c"), (std::vector<std::string>{"latest", "step_00000100"}));
  EXPECT_EQ(
      names(folder / "c/step_00000100"),
      (std::vector<std::string>{"config.json", "manifest.json", "model.safetensors",
                                "optimizer.safetensors", "tokenizer.json", "train_state.json"}));
  EXPECT_EQ(fs::read_symlink(folder / "c/latest"), "step_00000100");
  const FoundCheckpoint found = find_checkpoint(folder / "c");
  EXPECT_EQ(found.path, folder / "c/step_00000100");
  EXPECT_TRUE(found.skipped.empty());
  expect_state_of(*found.path, 100);
  EXPECT_EQ(read_file(folder / "c/latest/tokenizer.json"), "{}");
}

TEST(Checkpoint, TheWeightsAreAModelInF32) {
  const ScratchFolder folder;
  save(folder.path(), 1);
  const SafetensorsReader reader(folder / "latest");
  EXPECT_EQ(reader.tensor("transformer.h.1.attn.c_attn.weight").shape,
            (std::vector<std::int64_t>{8, 24}));
  EXPECT_EQ(reader.tensor("transformer.h.1.attn.c_attn.weight").dtype, DType::f32);
}

TEST(Checkpoint, ASnapshotKeepsTheValuesWhileTheyAreWritten) {
  const ScratchFolder folder;
  const ModelConfig config = tiny_gpt2();
  EXPECT_GE(snapshot_bytes(config), 12 * parameter_count(config));
  CheckpointWriter writer({folder.path(), 2, ""}, config);
  Snapshot snapshot(config);
  snapshot.fill(state_of(7));
  std::promise<void> go;
  const auto wait_for_go = go.get_future().share();
  writer.start(
      [&, read = snapshot.source()](auto part, const auto& spec, auto layer, auto values) {
        wait_for_go.wait();
        read(part, spec, layer, values);
      },
      at_step(7));
  EXPECT_FALSE(find_checkpoint(folder.path()).path);  // start() came back before anything is there
  go.set_value();
  writer.wait();
  expect_state_of(folder / "latest", 7);
}

TEST(Checkpoint, TheNextStartWaitsForTheOneBefore) {
  const ScratchFolder folder;
  CheckpointWriter writer({folder.path(), 10, ""}, tiny_gpt2());
  for (std::int64_t step = 1; step <= 4; ++step) writer.start(state_of(step), at_step(step));
  writer.wait();
  for (std::int64_t step = 1; step <= 4; ++step)
    expect_state_of(folder.path() / checkpoint_name(step), step);
}

TEST(Checkpoint, OnlyTheLastOnesStay) {
  const ScratchFolder folder;
  for (const std::int64_t step : {1, 2, 3, 100}) save(folder.path(), step, 2);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"latest", "step_00000003", "step_00000100"}));
  save(folder.path(), 50, 1);  // a run that went back leaves later ones alone
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"latest", "step_00000050", "step_00000100"}));
  EXPECT_EQ(fs::read_symlink(folder / "latest"), "step_00000050");
}

TEST(Checkpoint, TheSameStepIsReplaced) {
  const ScratchFolder folder;
  save(folder.path(), 5);
  flip_bit(folder / "step_00000005/model.safetensors", 9999);
  EXPECT_FALSE(find_checkpoint(folder.path()).path);
  save(folder.path(), 5);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"latest", "step_00000005"}));
  expect_state_of(*find_checkpoint(folder.path()).path, 5);
}

TEST(Checkpoint, OneFlippedBitInAnyFileIsFoundAndTheOneBeforeIsUsed) {
  const ScratchFolder folder;
  folder.write("tokenizer/tokenizer.json", "{\"a\": 1}");
  save(folder / "c", 1, 10, folder / "tokenizer");
  save(folder / "c", 2, 10, folder / "tokenizer");
  for (const auto& name : names(folder / "c/step_00000002")) {
    const fs::path file = folder / "c/step_00000002" / name;
    const std::size_t bits = 8 * fs::file_size(file);
    for (std::size_t bit = 3; bit < bits; bit += bits / 40 + 1) {
      flip_bit(file, bit);
      const FoundCheckpoint found = find_checkpoint(folder / "c");
      EXPECT_EQ(found.path, folder / "c/step_00000001") << name << " bit " << bit;
      ASSERT_EQ(found.skipped.size(), 1u) << name << " bit " << bit;
      EXPECT_TRUE(contains(found.skipped[0].reason, "step_00000002")) << found.skipped[0].reason;
      flip_bit(file, bit);
    }
  }
  EXPECT_EQ(find_checkpoint(folder / "c").path, folder / "c/step_00000002");
}

TEST(Checkpoint, ACutOrMissingFileIsNamedWithItsSize) {
  const ScratchFolder folder;
  save(folder.path(), 1);
  const fs::path file = folder / "step_00000001/optimizer.safetensors";
  const auto size = fs::file_size(file);
  fs::resize_file(file, size - 1);
  const auto cut = find_checkpoint(folder.path());
  ASSERT_EQ(cut.skipped.size(), 1u);
  EXPECT_TRUE(contains(cut.skipped[0].reason, "optimizer.safetensors"));
  EXPECT_TRUE(contains(cut.skipped[0].reason, "wanted " + std::to_string(size)));
  fs::remove(file);
  EXPECT_TRUE(contains(input_error_of([&] { verify_checkpoint(folder / "step_00000001"); }),
                       "optimizer.safetensors"));
}

TEST(Checkpoint, AManifestThatLeavesItsFolderIsRefused) {
  const ScratchFolder folder;
  folder.write("step_00000001/manifest.json",
               R"({"format": 1, "step": 1, "files": {"../x": {"bytes": 0, "xxh3": ""}}})");
  EXPECT_TRUE(contains(input_error_of([&] { verify_checkpoint(folder / "step_00000001"); }),
                       "names the file '../x'"));
  for (const char* text : {"", "[]", "{}", R"({"format": 2, "step": 1, "files": {}})",
                           R"({"format": 1, "step": -1, "files": {}})",
                           R"({"format": 1, "step": 1, "files": {"manifest.json": 3}})"}) {
    folder.write("step_00000001/manifest.json", text);
    EXPECT_NE(input_error_of([&] { verify_checkpoint(folder / "step_00000001"); }), "") << text;
  }
}

TEST(Checkpoint, NothingIsFoundWhereNothingIs) {
  const ScratchFolder folder;
  EXPECT_FALSE(find_checkpoint(folder / "none").path);
  folder.write("step_1/manifest.json", "{}");
  folder.write("file", "");
  const FoundCheckpoint found = find_checkpoint(folder.path());
  EXPECT_FALSE(found.path);
  EXPECT_TRUE(found.skipped.empty());
  EXPECT_TRUE(contains(input_error_of([&] { find_checkpoint(folder / "file"); }), "cannot read"));
  EXPECT_EQ(checkpoint_step("step_00000042"), 42);
  EXPECT_EQ(checkpoint_step("step_123456789"), 123456789);
  for (const char* name : {"step_", "step_42", "step_-0000042", "step_0000004x", "latest"})
    EXPECT_FALSE(checkpoint_step(name)) << name;
}

TEST(Checkpoint, OfAnotherModelIsRefusedWithTheKeyThatDiffers) {
  const ScratchFolder folder;
  save(folder.path(), 1);
  ModelConfig other = tiny_gpt2();
  other.norm_eps = 1e-3;
  const auto error =
      input_error_of([&] { load_checkpoint(folder / "latest", other, [](auto&&...) {}); });
  EXPECT_TRUE(contains(error, "'layer_norm_epsilon' differs") && contains(error, "wanted 0.001"))
      << error;
}

TEST(Checkpoint, AnUnusableTrainStateIsNamed) {
  const ScratchFolder folder;
  folder.write("train_state.json", R"({"step": 1, "samples": -2})");
  const auto error = input_error_of([&] { read_train_state(folder.path()); });
  EXPECT_TRUE(contains(error, "'samples'") && contains(error, "found -2")) << error;
  folder.write("train_state.json", R"({"step": 1, "samples": 2, "tokens": 3, "seed": 4, "lanes": 1,
                                       "recipe_hash": "00"})");
  EXPECT_TRUE(contains(input_error_of([&] { read_train_state(folder.path()); }), "'data'"));
}

}  // namespace
}  // namespace autarky
