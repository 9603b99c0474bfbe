// Writing checkpoints where the disk, another rank or the process itself fails.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "unit/train/checkpoint_fixture.h"

namespace autarky {
namespace {

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
  const fs::path open = folder / folder.names().at(0);
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
  EXPECT_EQ(folder.names(), std::vector<std::string>());
  second.start(state_of(2), at_step(2));
  EXPECT_TRUE(contains(failure_of([&] { second.wait(); }), "another rank has given"));
  EXPECT_TRUE(second.given_up_by_another());
}

// The list of a rank's files is its last word: rank 0 may take the folder away as soon as it is
// there.
TEST(Checkpoint, OfSeveralRanksGoesWhenAllListsAreThere) {
  const ScratchFolder folder;
  CheckpointOptions options{folder / "c", 1, ""};
  options.share.ranks = 2;
  CheckpointWriter first(options, tiny_gpt2());
  options.share.rank = 1;
  CheckpointWriter second(options, tiny_gpt2());
  for (std::int64_t step = 1; step <= 500; ++step) {
    first.open(step);
    const fs::path open = folder / "c" / names(folder / "c").at(0);
    std::atomic<bool> over = false;
    std::thread taker([&] {
      while (!fs::exists(open / ".part-1"))
        if (over) return;
      fs::rename(open, folder / "taken");
    });
    second.start(state_of(step), at_step(step));
    EXPECT_EQ(failure_of([&] { second.wait(); }), "") << step;
    over = true;
    taker.join();
    fs::remove_all(folder / "taken");
  }
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
