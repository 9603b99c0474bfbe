// Ranks as processes under mpirun: the checks of every communicator, and what goes wrong.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "mpi/processes.h"

namespace autarky {
namespace {

struct Ranks {
  int code = -1;
  std::string out, err;
  double seconds = 0;
};

// Runs the scenario under mpirun; the test fails if a process is left. `variables`: set for ranks.
Ranks run(int ranks, const std::string& scenario, const std::string& variables = "") {
  const ScratchFolder folder;
  const auto mark = "mark=" + folder.path().filename().string();
  // mpirun wants to be asked twice by root. MPI keeps memory to its end, which is no leak of ours.
  const auto command =
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
      "ASAN_OPTIONS=detect_leaks=0 " MPIRUN " --oversubscribe --bind-to none -n " +
      std::to_string(ranks) + " env " + variables + " " MPI_RANKS " " + scenario + " " + mark +
      " >" + (folder / "out").string() + " 2>" + (folder / "err").string() + " </dev/null";
  const auto start = std::chrono::steady_clock::now();
  const int status = std::system(command.c_str());
  const auto end = std::chrono::steady_clock::now();
  EXPECT_TRUE(all_gone(mark)) << scenario;
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content_of(folder / "out"),
          content_of(folder / "err"), std::chrono::duration<double>(end - start).count()};
}

void expect_failure(const Ranks& outcome, int code, const std::vector<std::string>& parts) {
  EXPECT_EQ(outcome.code, code) << outcome.err;
  EXPECT_LT(outcome.seconds, 60);
  for (const auto& part : parts)
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n" << outcome.err;
}

class Processes : public testing::TestWithParam<int> {};

TEST_P(Processes, PassEveryCheck) {
  const auto outcome = run(GetParam(), "checks");
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  for (const char* name : {"SumsOfEveryType", "ManyUnderWay", "PlacesOnNodes"})
    EXPECT_NE(outcome.out.find(name), std::string::npos) << outcome.out;
}

INSTANTIATE_TEST_SUITE_P(Mpi, Processes, testing::Values(2, 3, 4),
                         testing::PrintToStringParamName());

TEST(Mpi, OneRankNeedsNoMpirun) {
  const ScratchFolder folder;
  EXPECT_EQ(std::system((MPI_RANKS " checks >" + (folder / "out").string()).c_str()), 0);
}

TEST(Mpi, SumsUnderWayShareTheirStaging) {
  for (int ranks : {2, 3}) {
    const auto outcome = run(ranks, "bounded");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  }
}

#ifdef SLOW_ENVIRONMENT
// Open MPI's start sets a variable while a thread of its own reads the environment. Whether that
// moves the environment depends on how many variables there are.
TEST(Mpi, TheEnvironmentStaysInPlaceWhileMpiStarts) {
  for (const char* more : {"", " ONE=1"}) {
    const auto outcome = run(2, "idle", std::string("LD_PRELOAD=" SLOW_ENVIRONMENT) + more);
    EXPECT_EQ(outcome.code, 0) << more << outcome.err;
  }
}
#endif

TEST(Mpi, AMissedDeadlineNamesTheMissingRank) {
  expect_failure(run(2, "late"), 1,
                 {"rank 0: all_reduce tp number 0 of 16 bytes (decoder.cpp:57) did not complete "
                  "within 2000 ms; 1 of 2 ranks took part; missing: rank 1"});
  expect_failure(run(3, "late"), 1, {"2 of 3 ranks took part; missing: rank 1"});
}

TEST(Mpi, ARankThatStandsStillEndsTheRun) {
  expect_failure(run(2, "stopped"), 1, {"did not complete within 2000 ms", "missing: rank 1"});
}

TEST(Mpi, ARankThatIsKilledEndsTheRun) {
  const auto outcome = run(2, "killed");
  EXPECT_NE(outcome.code, 0) << outcome.err;
  EXPECT_LT(outcome.seconds, 60);
}

TEST(Mpi, ARankThatGivesUpSaysWhyToAll) {
  for (int ranks : {2, 4}) {
    const auto outcome = run(ranks, "give_up");
    EXPECT_TRUE(outcome.code == 1 || outcome.code == 2) << outcome.code << outcome.err;
    EXPECT_NE(outcome.err.find("failed: the disk is on fire"), std::string::npos) << outcome.err;
    EXPECT_LT(outcome.seconds, 60);
  }
}

TEST(Mpi, ARankThatThrowsEndsTheOthers) {
  expect_failure(run(2, "thrown"), 1, {"failed: the disk is on fire"});
}

TEST(Mpi, AnOperationThatIsLeftAloneEndsTheRun) {
  const auto outcome = run(2, "dropped");
  EXPECT_NE(outcome.code, 0) << outcome.err;
  EXPECT_LT(outcome.seconds, 60);
}

TEST(Mpi, DifferentNumbersOfBytesAreAnError) {
  expect_failure(run(2, "few_bytes"), 1, {"16 bytes", "24 bytes", "all_reduce tp"});
  expect_failure(run(2, "many_bytes"), 1, {"16 bytes", "8000000 bytes"});
  expect_failure(run(2, "two_many_bytes"), 1, {"7200000 bytes", "8000000 bytes"});
}

TEST(Mpi, DifferentOperationsAreAnError) {
  expect_failure(run(2, "another_operation"), 1, {"takes part with"});
}

}  // namespace
}  // namespace autarky
