// Ranks under a real Slurm: one machine, on loopback, brought up for the test.
#include <unistd.h>

#include <cstdlib>

#include "base/process.h"
#include "e2e/tiny_run.h"

namespace autarky {
namespace {

class Slurm : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("PATH", (std::string(std::getenv("PATH")) + ":/usr/sbin").c_str(), 1);
    for (const char* program : {"slurmctld", "slurmd", "sbatch", "munged"})
      if (find_program(program).empty())
        GTEST_SKIP() << "there is no " << program << " (scripts/setup.sh slurm installs it)";
    if (::geteuid() != 0) GTEST_SKIP() << "slurmd wants to be root";
    ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // MPI keeps memory until a process ends
    make_tiny_run(folder_);
  }

  // A command of a shell inside the Slurm; AUTARKY is the program. Its code.
  int in_slurm(const std::string& command) {
    std::ofstream(folder_ / "job.sh") << "cd '" << folder_.path().string() << "'\n"
                                      << command << "\n";
    const auto line = std::string("AUTARKY='") + AUTARKY_BINARY + "' '" + AUTARKY_SOURCE_DIR +
                      "/tests/e2e/slurm.sh' '" + folder_.path().string() + "' sh '" +
                      (folder_ / "job.sh").string() + "' >'" + (folder_ / "said").string() +
                      "' 2>&1";
    return std::system(line.c_str());
  }
  std::string said() const { return content_of(folder_ / "said"); }

  ScratchFolder folder_;
};

constexpr const char* kMore =
    " --train.steps=4 --parallel.data_parallel_size=2 --parallel.lanes=2 --json";

TEST_F(Slurm, RunsAJobAndPlainSrunWithTheBitsOfOneProcess) {
  const std::string lanes = "--train.steps=4 --parallel.lanes=2";
  ASSERT_EQ(train(folder_, "one", lanes).code, 0);
  const int code = in_slurm(
      "timeout 200 $AUTARKY launch -n 2 --threads 1 --slurm --slurm-options '--wait' -- train "
      "recipe.yaml --logging.run_dir=job" +
      std::string(kMore) +
      " && OMP_NUM_THREADS=1 timeout 200 srun -n 2 $AUTARKY train recipe.yaml "
      "--logging.run_dir=srun" +
      kMore);
  ASSERT_EQ(code, 0) << said() << content_of(folder_ / "slurm-1.out");
  EXPECT_TRUE(contains(said(), "Submitted as job 1")) << said();
  EXPECT_TRUE(contains(content_of(folder_ / "autarky-train.sbatch"), "#SBATCH --ntasks=2"));
  EXPECT_TRUE(contains(content_of(folder_ / "slurm-1.out"), "\"steps\":4"))
      << content_of(folder_ / "slurm-1.out");
  for (const char* run_dir : {"job", "srun"}) {
    EXPECT_GE(timeless_metrics(folder_, run_dir).size(), 4u) << run_dir;
    EXPECT_EQ(timeless_metrics(folder_, run_dir), timeless_metrics(folder_, "one")) << run_dir;
  }
}

TEST_F(Slurm, WhatSbatchRefusesIsSaid) {
  in_slurm(
      "$AUTARKY launch -n 2 --slurm --slurm-options '--partition=none' -- doctor; echo code $?");
  EXPECT_TRUE(contains(said(), "sbatch refuses the job")) << said();
  EXPECT_TRUE(contains(said(), "partition")) << said();
  EXPECT_TRUE(contains(said(), "code 2")) << said();
}

TEST(SlurmLaunch, WithoutSbatchItSaysHowToGetIt) {
  const ScratchFolder folder;
  const auto outcome = run(folder, "launch -n 2 --slurm -- doctor", "PATH=/nowhere");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(contains(outcome.err, "there is no sbatch")) << outcome.err;
  EXPECT_FALSE(fs::exists(folder / "autarky-doctor.sbatch"));
  const auto hosts = run(folder, "launch -n 2 --slurm --hosts a,b -- doctor");
  EXPECT_EQ(hosts.code, 2);
  EXPECT_TRUE(contains(hosts.err, "Slurm chooses the machines")) << hosts.err;
}

}  // namespace
}  // namespace autarky
