// What a user's disk, files and habits can do to a run; tests/README.md has the table.
#include <fmt/format.h>
#include <signal.h>
#include <sys/mount.h>

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "e2e/tiny_run.h"

namespace autarky {
namespace {

class Failure : public ::testing::Test {
 protected:
  void SetUp() override { make_tiny_run(folder_); }

  // One message of one error, with all parts, and the exit code.
  void expect_error(const Outcome& outcome, int code, const std::vector<std::string>& parts) {
    EXPECT_EQ(outcome.code, code) << outcome.err;
    int errors = 0;
    for (const auto& line : split(outcome.err, '\n')) errors += contains(line, ": error: ");
    EXPECT_EQ(errors, 1) << outcome.err;
    for (const auto& part : parts) EXPECT_TRUE(contains(outcome.err, part)) << outcome.err;
  }

  ScratchFolder folder_;
};

// A small file system of its own, where the machine lets us make one.
class SmallDisk {
 public:
  SmallDisk(const fs::path& path, const std::string& size) : path_(path) {
    fs::create_directories(path);
    mounted_ = ::mount("tmpfs", path.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  void grow(const std::string& size) {
    EXPECT_EQ(::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT, ("size=" + size).c_str()), 0);
  }

 private:
  fs::path path_;
  bool mounted_ = false;
};

TEST_F(Failure, OnAFullDiskARunEndsWithOneErrorAndGoesOnWhenThereIsSpace) {
  SmallDisk disk(folder_ / "disk", "4m");
  if (!disk.mounted()) GTEST_SKIP() << "no tmpfs can be mounted here: " << std::strerror(errno);
  const std::string more = "--train.steps=12 --checkpoint.every=2 --checkpoint.keep_last=0 ";
  ASSERT_EQ(train(folder_, "whole", more).code, 0);
  expect_error(train(folder_, "disk/run", more), 1,
               {"writing the checkpoint of step ", "No space left on device", "Free some space",
                "are untouched"});
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "disk/run"))
    EXPECT_FALSE(contains(entry.path().filename().string(), ".tmp")) << entry.path();
  expect_error(train(folder_, "disk/run", more + "--resume"), 1, {"No space left on device"});
  disk.grow("64m");
  const auto rest = train(folder_, "disk/run", more + "--resume");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_FALSE(contains(rest.err, "damaged")) << rest.err;
  EXPECT_TRUE(contains(rest.err, "resumed after step ")) << rest.err;
  EXPECT_TRUE(final_bytes(folder_, "disk/run") == final_bytes(folder_, "whole"));
  EXPECT_EQ(timeless_metrics(folder_, "disk/run"), timeless_metrics(folder_, "whole"));
}

// The same without a file system of our own: files may not grow beyond what a checkpoint needs.
TEST_F(Failure, WhereFilesMayNotGrowARunEndsWithOneErrorAndGoesOnWhenTheyMay) {
  const std::string more = "--train.steps=6 --checkpoint.every=2 ";
  ASSERT_EQ(train(folder_, "whole", more).code, 0);
  const auto limited = [&](const std::string& arguments, int blocks) {
    return run(folder_, arguments, fmt::format("trap '' XFSZ; ulimit -f {}; ", blocks));
  };
  expect_error(limited(train_arguments("run", more), 200), 1,
               {"writing the checkpoint of step 2 failed", "File too large"});
  EXPECT_TRUE(fs::is_empty(folder_ / "run/checkpoints"));
  const auto rest = train(folder_, "run", more + "--resume");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_TRUE(final_bytes(folder_, "run") == final_bytes(folder_, "whole"));
  const auto before = folder_.names();
  expect_error(limited("data build --input text.txt --tokenizer tokenizer --out x", 1), 1,
               {"cannot write 'x.bin': File too large"});
  expect_error(limited("convert --from run/checkpoints/latest --to model.gguf", 200), 1,
               {"model.gguf", "File too large"});
  expect_error(limited("convert --from run/checkpoints/latest --to model", 200), 1,
               {"model.safetensors", "File too large"});
  EXPECT_EQ(folder_.names(), before);
}

TEST_F(Failure, AFolderThatCannotBeWrittenIsNamed) {
  const std::string build = "data build --input text.txt --tokenizer tokenizer --out ";
  expect_error(train(folder_, "/proc/run"), 2, {"cannot write the run folder '/proc/run'"});
  expect_error(train(folder_, "text.txt/run"), 2, {"'text.txt/run'", "run_dir"});
  expect_error(run(folder_, build + "/proc/x"), 2, {"cannot write '/proc/x.bin'"});
  expect_error(run(folder_, build + "text.txt/x"), 2, {"text.txt", "Not a directory"});
  expect_error(run(folder_, "tokenizer train --input text.txt --vocab-size 300 --out /proc/t"), 2,
               {"/proc/t"});
  ASSERT_EQ(train(folder_, "run", "--train.steps=1").code, 0);
  for (const char* to : {"/proc/m", "/proc/m.gguf", "text.txt/m", "text.txt/m.gguf"})
    expect_error(run(folder_, std::string("convert --from run/checkpoints/latest --to ") + to), 2,
                 {"cannot ", "m"});
}

TEST_F(Failure, OfACheckpointWithAFlippedBitTheOneBeforeIsUsed) {
  const std::string more = "--train.steps=8 --checkpoint.every=5 ";
  ASSERT_EQ(train(folder_, "whole", more).code, 0);
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "train_state.json"}) {
    const auto name = std::string("flipped_") + file;
    ASSERT_EQ(train(folder_, name, more).code, 0);
    const auto path = name + "/checkpoints/step_00000008/" + file;
    std::string bytes = content_of(folder_ / path);
    bytes[bytes.size() / 2] ^= 1;
    folder_.write(path, bytes);
    const auto rest = train(folder_, name, more + "--resume");
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_TRUE(contains(rest.err, "damaged checkpoint passed over: " + path +
                                       ": the file has other bytes than when it was written"))
        << rest.err;
    EXPECT_TRUE(contains(rest.err, "resumed after step 5 ")) << rest.err;
    EXPECT_TRUE(final_bytes(folder_, name) == final_bytes(folder_, "whole")) << file;
    EXPECT_EQ(timeless_metrics(folder_, name), timeless_metrics(folder_, "whole"));
  }
}

TEST_F(Failure, DataOfALargerVocabularyThanTheModelsIsNamed) {
  std::string model = content_of(folder_ / "llama.json");
  const auto at = model.find("\"vocab_size\": 512");
  ASSERT_NE(at, model.npos);
  folder_.write("small.json", model.replace(at, 17, "\"vocab_size\": 260"));
  expect_error(train(folder_, "run", "--model.config=small.json"), 2,
               {"the tokenizer has more tokens than the model", "400", "260"});
  expect_error(train(folder_, "run", "--model.config=small.json --tokenizer="), 2,
               {"a token outside the model's vocabulary", "wanted 0 to 259", "vocab_size"});
}

TEST_F(Failure, HostileFilesOfAModelAreNamed) {
  ASSERT_EQ(train(folder_, "run", "--train.steps=1").code, 0);
  const std::string model = "run/checkpoints/latest";
  ASSERT_EQ(run(folder_, "convert --from " + model + " --to whole.gguf").code, 0);
  const auto garbled = [&](const char* file, const std::string& content) {
    fs::remove_all(folder_ / "bad");
    fs::copy(folder_ / model, folder_ / "bad");
    folder_.write(std::string("bad/") + file, content);
    return run(folder_, "score --json --model bad --tokens 1,2,3");
  };
  const auto weights = content_of(folder_ / (model + "/model.safetensors"));
  expect_error(garbled("model.safetensors", weights.substr(0, weights.size() / 2)), 2,
               {"bad/model.safetensors"});
  expect_error(garbled("model.safetensors", std::string(8, '\xff') + weights.substr(8)), 2,
               {"bad/model.safetensors", "header"});
  expect_error(garbled("model.safetensors", ""), 2, {"bad/model.safetensors"});
  expect_error(garbled("config.json", "{\"model_type\": "), 2, {"bad/config.json"});
  expect_error(garbled("config.json", "{\"model_type\": \"lama\"}"), 2,
               {"bad/config.json", "lama", "llama"});
  const auto gguf = content_of(folder_ / "whole.gguf");
  folder_.write("bad.gguf", gguf.substr(0, gguf.size() / 2));
  expect_error(run(folder_, "score --json --model bad.gguf --tokens 1,2,3"), 2, {"bad.gguf"});
  folder_.write("bad.gguf", gguf.substr(0, 8) + std::string(16, '\xff') + gguf.substr(24));
  expect_error(run(folder_, "score --json --model bad.gguf --tokens 1,2,3"), 2, {"bad.gguf"});
}

TEST_F(Failure, HostileTokenFilesAndTokenizersAreNamed) {
  const auto index = content_of(folder_ / "data/t_train.idx");
  folder_.write("data/t_train.idx", index.substr(0, index.size() - 3));
  expect_error(train(folder_, "run"), 2, {"data/t_train.idx"});
  folder_.write("data/t_train.idx", "MMIDIDY" + index.substr(7));
  expect_error(train(folder_, "run"), 2, {"data/t_train.idx"});
  folder_.write("data/t_train.idx", index);
  const auto tokenizer = content_of(folder_ / "tokenizer/tokenizer.json");
  folder_.write("tokenizer/tokenizer.json", tokenizer.substr(0, tokenizer.size() / 2));
  expect_error(train(folder_, "run"), 2, {"tokenizer/tokenizer.json"});
  expect_error(run(folder_, "data build --input text.txt --tokenizer tokenizer --out x"), 2,
               {"tokenizer/tokenizer.json"});
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Failure, AnEmptyCorpusIsNamed) {
  folder_.write("empty.txt", "");
  folder_.write("blank.jsonl", "\n\n");
  for (const char* file : {"empty.txt", "blank.jsonl"}) {
    const std::string input = std::string(" --input ") + file;
    expect_error(run(folder_, "data build --tokenizer tokenizer --out x" + input), 2, {file});
    expect_error(run(folder_, "tokenizer train --vocab-size 300 --out t" + input), 2, {file});
    expect_error(run(folder_, std::string("eval --json --model run --data ") + file), 2, {"run"});
  }
  EXPECT_FALSE(fs::exists(folder_ / "x.bin") || fs::exists(folder_ / "t"));
}

// A killed build leaves temporary files, which the next one for the same files takes away; those of
// one that is still at work stay.
TEST_F(Failure, AKilledBuildLeavesNothingAfterTheNextAndOneAtWorkIsLeftInPeace) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += content_of(folder_ / "text.txt");
  folder_.write("large.txt", text);
  const std::string build = "data build --tokenizer tokenizer --threads 1 --out k/x --input ";
  const auto temporaries = [&] {
    std::error_code none;
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_ / "k", none))
      if (contains(entry.path().filename().string(), ".tmp"))
        found.push_back(entry.path().filename().string());
    return found;
  };
  Running killed(folder_, build + "large.txt");
  while (temporaries().size() < 2) {
  }
  killed.send(SIGKILL);
  EXPECT_EQ(killed.wait().code, -1);
  const auto abandoned = temporaries();
  EXPECT_EQ(abandoned.size(), 2u);
  const auto still_there = [&](const std::string& name) {
    return fs::exists(folder_ / "k" / name);
  };
  folder_.write("k/x.bin.tmp", "not ours");
  folder_.write("k/other.bin.tmp12", "not of this prefix");
  Running at_work(folder_, build + "large.txt");
  while (std::any_of(abandoned.begin(), abandoned.end(), still_there) ||
         temporaries().size() != 4) {  // its own two and the two that are not ours
  }
  at_work.send(SIGSTOP);
  const auto outcome = run(folder_, build + "text.txt");
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "x.bin: another process is writing this file")) << outcome.err;
  EXPECT_EQ(temporaries().size(), 4u);
  at_work.send(SIGKILL);
  at_work.wait();
  ASSERT_EQ(run(folder_, build + "text.txt").code, 0);
  auto left = temporaries();
  std::sort(left.begin(), left.end());
  EXPECT_EQ(left, (std::vector<std::string>{"other.bin.tmp12", "x.bin.tmp"}));
}

}  // namespace
}  // namespace autarky
