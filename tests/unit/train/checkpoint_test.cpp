#include "train/checkpoint.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <future>
#include <map>
#include <thread>

#include "base/hash.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

using Values = std::map<std::string, std::vector<float>>;

ModelConfig tiny_gpt2() {
  ModelConfig c;
  c.family = Family::gpt2;
  c.layers = 2;
  c.hidden = 8;
  c.heads = c.kv_heads = 4;
  c.head_dim = 2;
  c.ffn = 12;
  c.vocab = 10;
  c.max_positions = 6;
  c.norm = NormKind::layer;
  c.activation = Activation::gelu_tanh;
  c.position = PositionKind::learned;
  c.qkv_bias = c.attn_output_bias = c.ffn_input_bias = c.ffn_output_bias = true;
  c.tied_embeddings = true;
  return c;
}

std::string key(StatePart part, const ParameterSpec& spec, std::int64_t layer) {
  return std::to_string(static_cast<int>(part)) + layer_name(spec.name, layer);
}

// Any f32 bits, those of subnormals and infinities too; different for every step.
StateSource state_of(std::int64_t step) {
  return [step](StatePart part, const ParameterSpec& spec, std::int64_t layer,
                std::span<float> values) {
    std::uint64_t bits = xxh3(key(part, spec, layer) + std::to_string(step));
    for (float& v : values) {
      bits = bits * 6364136223846793005u + 1442695040888963407u;
      v = std::bit_cast<float>(std::uint32_t(bits >> 32));
      if (std::isnan(v)) v = -0.0f;
    }
  };
}

TrainState at_step(std::int64_t step) {
  return {step,
          step * 16,
          step * 16 * 128,
          0xfedcba9876543210u,
          4,
          "0123456789abcdef",
          {step, {{"data/a", "00ff", 0.5, step, step * 16, step * 16 * 128, 0.25}}}};
}

Values wanted(const ModelConfig& config, std::int64_t step) {
  Values values;
  for (const auto& p : parameter_instances(config))
    for (const StatePart part : kStateParts) {
      auto& v = values[key(part, p.spec, p.layer)];
      v.resize(std::size_t(p.spec.count()));
      state_of(step)(part, p.spec, p.layer, v);
    }
  return values;
}

Values load(const fs::path& path, TrainState& state) {
  Values values;
  state = load_checkpoint(
      path, tiny_gpt2(),
      [&](StatePart part, const ParameterSpec& spec, std::int64_t layer, std::span<const float> v) {
        EXPECT_TRUE(
            values.emplace(key(part, spec, layer), std::vector<float>(v.begin(), v.end())).second);
      });
  return values;
}

void expect_state_of(const fs::path& path, std::int64_t step) {
  TrainState state;
  EXPECT_TRUE(load(path, state) == wanted(tiny_gpt2(), step)) << "other values of step " << step;
  EXPECT_EQ(state, at_step(step));
}

void save(const fs::path& folder, std::int64_t step, std::int64_t keep_last = 10,
          const fs::path& tokenizer = "") {
  CheckpointWriter writer({folder, keep_last, tokenizer}, tiny_gpt2());
  writer.start(state_of(step), at_step(step));
  writer.wait();
}

std::vector<std::string> names(const fs::path& folder) {
  std::vector<std::string> list;
  for (const auto& entry : fs::directory_iterator(folder))
    list.push_back(entry.path().filename().string());
  std::sort(list.begin(), list.end());
  return list;
}

void flip_bit(const fs::path& path, std::size_t bit) {
  std::string content = read_file(path);
  content[bit / 8] = char(content[bit / 8] ^ (1 << bit % 8));
  std::ofstream(path, std::ios::binary) << content;
}

template <typename Action>
std::string failure_of(Action&& action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 1);
    return e.what();
  }
  return "";
}

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

TEST(Checkpoint, LeftoversOfACrashAreRemovedAtTheStart) {
  const ScratchFolder folder;
  folder.write(".tmp-step_00000009/model.safetensors", "half");
  folder.write("mine.txt", "stays");
  fs::create_symlink("nowhere", folder / ".tmp-latest");
  const CheckpointWriter writer({folder.path(), 1, ""}, tiny_gpt2());
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"mine.txt"}));
}

TEST(Checkpoint, AFolderThatCannotBeMadeIsTheUsersError) {
  const ScratchFolder folder;
  folder.write("file", "");
  for (const char* name : {"file", "file/checkpoints"})
    EXPECT_TRUE(contains(input_error_of([&] {
                           CheckpointWriter({folder / name, 1, ""}, tiny_gpt2());
                         }),
                         name));
}

TEST(Checkpoint, AFolderThatGoesAwayIsOneErrorAndTheNextCheckpointIsWritten) {
  const ScratchFolder folder;
  CheckpointWriter writer({folder / "c", 2, ""}, tiny_gpt2());
  fs::remove(folder / "c");
  writer.start(state_of(1), at_step(1));
  EXPECT_TRUE(
      contains(failure_of([&] { writer.start(state_of(2), at_step(2)); }), "step 1 failed"));
  fs::create_directory(folder / "c");
  writer.start(state_of(3), at_step(3));
  writer.wait();
  expect_state_of(*find_checkpoint(folder / "c").path, 3);
}

// A limit on the size of files stands for the full disk: writing fails half way.
TEST(Checkpoint, AFullDiskIsOneErrorAndHarmsNothing) {
  const ScratchFolder folder;
  CheckpointWriter writer({folder.path(), 1, ""}, tiny_gpt2());
  writer.start(state_of(1), at_step(1));
  writer.wait();
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t limit : {100, 3000, 8000}) {
    const rlimit small{limit, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    writer.start(state_of(2), at_step(2));
    const auto error = failure_of([&] { writer.wait(); });
    ::setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_TRUE(contains(error, "step 2 failed") && contains(error, "untouched")) << error;
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"latest", "step_00000001"}));
    EXPECT_EQ(failure_of([&] { writer.wait(); }), "");  // said once
  }
  ::signal(SIGXFSZ, handler);
  expect_state_of(folder / "latest", 1);
}

// A rank that finds its file gone must see that the checkpoint was given up, so that the one rank
// that knows why tells it: the folder is gone before the first of its files.
TEST(Checkpoint, OfSeveralRanksIsGivenUpAtOnce) {
  const ScratchFolder folder;
  CheckpointOptions options{folder.path(), 1, ""};
  options.share.ranks = 2;
  CheckpointWriter first(options, tiny_gpt2());
  options.share.rank = 1;
  CheckpointWriter second(options, tiny_gpt2());
  first.open(2);
  const fs::path open = folder / names(folder.path()).at(0);
  for (int i = 0; i < 2'000; ++i) std::ofstream(open / std::to_string(i));
  std::atomic<bool> over = false;
  std::atomic<int> seen_in_pieces = 0;
  std::thread watcher([&] {
    while (!over)
      for (const char* name : {"0", "700", "1300", "1999"})
        if (!fs::exists(open / name) && fs::exists(open)) ++seen_in_pieces;
  });
  first.start([](auto&&...) { throw Error("no state"); }, at_step(2));
  EXPECT_TRUE(contains(failure_of([&] { first.wait(); }), "no state"));
  over = true;
  watcher.join();
  EXPECT_EQ(seen_in_pieces, 0);
  EXPECT_FALSE(first.given_up_by_another());
  EXPECT_EQ(names(folder.path()), std::vector<std::string>());
  second.start(state_of(2), at_step(2));
  EXPECT_TRUE(contains(failure_of([&] { second.wait(); }), "another rank has given"));
  EXPECT_TRUE(second.given_up_by_another());
}

// Writes checkpoints after `step` for ever, counting what the source is asked for.
[[noreturn]] void write_for_ever(const fs::path& folder, std::int64_t step, int calls_to_live) {
  CheckpointWriter writer({folder, 1, ""}, tiny_gpt2());
  for (;;) {
    ++step;
    writer.start(
        [&, read = state_of(step)](auto part, const auto& spec, auto layer, auto values) {
          if (--calls_to_live == 0) ::raise(SIGKILL);
          read(part, spec, layer, values);
        },
        at_step(step));
    writer.wait();
  }
}

// Runs it in a process that dies after so many calls or so much time; then all that has the name of
// a checkpoint must be whole. Returns the newest step.
std::int64_t kill_and_check(const fs::path& folder, std::int64_t step, int calls,
                            std::chrono::milliseconds time) {
  const pid_t child = ::fork();
  if (child == 0) write_for_ever(folder, step, calls);
  if (calls == 0) {
    std::this_thread::sleep_for(time);
    ::kill(child, SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  const FoundCheckpoint found = find_checkpoint(folder);
  for (const auto& skipped : found.skipped) ADD_FAILURE() << skipped.reason;
  if (!found.path) return step;
  const std::int64_t newest = *checkpoint_step(found.path->filename().string());
  EXPECT_GE(newest, step);
  expect_state_of(*found.path, newest);
  verify_checkpoint(folder / fs::read_symlink(folder / "latest"));
  return newest;
}

TEST(Checkpoint, AKillDuringTheWriteLeavesTheNewestWhole) {
  const ScratchFolder folder;
  save(folder.path(), 1);
  std::int64_t step = 1;
  for (int calls = 1; calls <= 120; calls += 17)
    step = kill_and_check(folder.path(), step, calls, {});
  for (int time = 0; time < 160; time += 9)
    step = kill_and_check(folder.path(), step, 0, std::chrono::milliseconds(time));
  EXPECT_GT(step, 1);
  const CheckpointWriter writer({folder.path(), 1, ""}, tiny_gpt2());
  for (const auto& name : folder.names()) EXPECT_NE(name.front(), '.') << name;
}

}  // namespace
}  // namespace autarky
