// What goes wrong on one rank of several: an error with its figures on all of them, and a run that
// goes on from what was whole.
#include <signal.h>
#include <sys/resource.h>

#include <thread>

#include "e2e/tiny_run.h"
#include "mpi/processes.h"

namespace autarky {
namespace {

constexpr const char* kMpirun =
    "env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe "
    "--bind-to none ";

class OneOfTheRanks : public ::testing::Test {
 protected:
  void SetUp() override {
    make_tiny_run(folder_);
    ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // MPI keeps memory until a process ends
  }
  static std::string two_ranks(const std::string& run_dir, const std::string& more = "") {
    return "train recipe.yaml --threads 1 --logging.run_dir=" + run_dir + " " + kSteps +
           "--parallel.data_parallel_size=2 " + more;
  }
  void expect_as_one_rank(const std::string& run_dir) {
    ASSERT_EQ(train(folder_, "one", kSteps).code, 0);
    EXPECT_EQ(timeless_metrics(folder_, run_dir), timeless_metrics(folder_, "one"));
    EXPECT_TRUE(all_gone("--logging.run_dir=" + run_dir, folder_.path()));
  }

  static inline const std::string kSteps =
      "--train.steps=20 --checkpoint.every=2 --parallel.lanes=2 --train.eval_every=0 "
      "--schedule.kind=constant ";
  ScratchFolder folder_;
};

TEST_F(OneOfTheRanks, WithOtherDataIsAnErrorWithBothNumbers) {
  fs::create_directories(folder_ / "other/data");
  for (const char* name :
       {"recipe.yaml", "llama.json", "tokenizer", "data/t_validation.bin", "data/t_validation.idx"})
    fs::copy(folder_ / name, folder_ / "other" / name, fs::copy_options::recursive);
  for (const char* kind : {".bin", ".idx"})
    fs::copy(folder_ / ("data/all" + std::string(kind)),
             folder_ / ("other/data/t_train" + std::string(kind)));
  const auto outcome = run(folder_, two_ranks("run"),
                           kMpirun + std::string("-n 1 ") + AUTARKY_BINARY + " " +
                               two_ranks("run") + " : -n 1 -wdir other");
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "the ranks differ in their training data")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, " tokens on rank 1")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, " tokens as on rank 0")) << outcome.err;
}

TEST_F(OneOfTheRanks, WhoseDiskIsFullEndsTheRunThatGoesOnWhenThereIsSpace) {
  Running program(folder_, two_ranks("run"),
                  std::string(kMpirun) + "-n 2 sh -c 'trap \"\" XFSZ; exec \"$@\"' sh");
  ASSERT_TRUE(program.wait_for_lines("run", 5));
  for (const pid_t pid : processes_with("--logging.run_dir=run", folder_.path()))
    if (contains(content_of("/proc/" + std::to_string(pid) + "/environ"),
                 "OMPI_COMM_WORLD_RANK=1")) {
      const rlimit few{10'000, 10'000};
      EXPECT_EQ(::prlimit(pid, RLIMIT_FSIZE, &few, nullptr), 0);
    }
  const auto outcome = program.wait();
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "writing the checkpoint of step ")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "File too large")) << outcome.err;
  EXPECT_TRUE(all_gone("--logging.run_dir=run", folder_.path()));
  for (const auto& entry : fs::directory_iterator(folder_ / "run/checkpoints"))
    EXPECT_FALSE(contains(entry.path().filename().string(), ".tmp")) << entry.path();
  const auto rest = run(folder_, "launch -n 2 -- " + two_ranks("run", "--resume"));
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_FALSE(contains(rest.err, "damaged")) << rest.err;
}

TEST_F(OneOfTheRanks, WhosePartOfACheckpointIsDamagedGoesOnFromTheOneBefore) {
  const auto first =
      run(folder_, two_ranks("run", "--train.steps=10"), kMpirun + std::string("-n 2"));
  ASSERT_EQ(first.code, 0) << first.err;
  const auto part = folder_ / "run/checkpoints/latest/optimizer-00002-of-00002.safetensors";
  auto bytes = content_of(part);
  ASSERT_GT(bytes.size(), 10'000u);
  bytes[bytes.size() / 2] ^= 1;
  write_file_atomic(part, bytes);
  const auto second = run(folder_, "launch -n 2 -- " + two_ranks("run", "--resume"));
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_TRUE(contains(second.err, "damaged checkpoint passed over")) << second.err;
  EXPECT_TRUE(contains(second.err, "optimizer-00002-of-00002.safetensors")) << second.err;
  EXPECT_TRUE(contains(second.err, "resumed after step 8")) << second.err;
  expect_as_one_rank("run");
}

}  // namespace
}  // namespace autarky
