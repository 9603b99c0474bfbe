// autarky launch: several ranks, their codes, their signals, and nothing left behind.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "e2e/program.h"
#include "mpi/processes.h"

namespace autarky {
namespace {

using std::chrono::milliseconds;

TEST(Launch, OnlyTheFirstRankWritesResults) {
  const ScratchFolder folder;
  for (const char* ranks : {"1", "2", "3"}) {
    const auto outcome = run(folder, "launch -n " + std::string(ranks) + " -- data --help");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, run(folder, "data --help").out);
  }
}

TEST(Launch, WrongInputOfTheRanksIsCodeTwoAndSaidOnce) {
  const ScratchFolder folder;
  for (const char* ranks : {"1", "2"})
    for (const char* verb : {"docter", "data inspect nowhere", "train nowhere.yaml"}) {
      const auto outcome =
          run(folder, "launch -n " + std::string(ranks) + " -- " + std::string(verb));
      EXPECT_EQ(outcome.code, 2) << outcome.err;
      EXPECT_EQ(split(trim(outcome.err), '\n').size(), 1u) << outcome.err;
      EXPECT_TRUE(contains(outcome.err, "error: ")) << outcome.err;
    }
}

TEST(Launch, WrongOptionsAreNamed) {
  const ScratchFolder folder;
  const std::pair<std::string, std::string> cases[] = {
      {"launch -- doctor", "--ranks"},
      {"launch -n 0 -- doctor", "-n"},
      {"launch -n 2", "nothing to run"},
      {"launch -n 2 doctor", "unexpected argument 'doctor'"},
      {"launch -n 2 -- launch -n 2 -- doctor", "launch cannot launch itself"},
      {"launch -n 2 --hosts a:x -- doctor", "--hosts"},
      {"launch -n 2 --max-restarts -1 -- doctor", "--max-restarts"},
      {"launch -n 2 --min-ranks 3 -- train r.yaml", "--min-ranks"},
      {"launch -n 2 --min-ranks 1 -- doctor", "only train can go on"}};
  for (const auto& [arguments, part] : cases) {
    const auto outcome = run(folder, arguments);
    EXPECT_EQ(outcome.code, 2) << arguments << outcome.err;
    EXPECT_TRUE(contains(outcome.err, part)) << outcome.err;
  }
}

TEST(Launch, WithoutMpirunItSaysHowToGetIt) {
  const ScratchFolder folder;
  const auto two = run(folder, "launch -n 2 -- data --help", "PATH=/nowhere");
  EXPECT_EQ(two.code, 2) << two.err;
  EXPECT_TRUE(contains(two.err, "mpirun")) << two.err;
  EXPECT_TRUE(contains(two.err, "apt-get install openmpi-bin")) << two.err;
  EXPECT_EQ(run(folder, "launch -n 1 -- data --help", "PATH=/nowhere").code, 0);
}

TEST(Launch, MoreThreadsThanCoresAreAWarning) {
  const ScratchFolder folder;
  const auto outcome = run(folder, "launch -n 2 --threads 1000 -- data --help");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "2 ranks of 1000 threads")) << outcome.err;
}

// Two ranks at work for long: a copy of the program, by whose path the processes are found.
class LaunchedWork : public testing::Test {
 protected:
  LaunchedWork() {
    fs::copy_file(AUTARKY_BINARY, program_);
    const auto cache = fs::path(AUTARKY_BINARY).parent_path() / "e2e-cache";
    ::setenv("XDG_CACHE_HOME", cache.c_str(), 1);
    launcher_ = ::fork();
    if (launcher_ == 0) {
      const auto command = "exec '" + program_.string() +
                           "' launch -n 2 --threads 1 -- bench train --model llama-17m --batch 2 "
                           "--seq 64 --dtype f32 --steps 100000 >'" +
                           (folder_ / "out").string() + "' 2>'" + (folder_ / "err").string() + "'";
      ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    for (int i = 0; i < 200 && ranks().size() < 2; ++i)
      std::this_thread::sleep_for(milliseconds(50));
    EXPECT_EQ(ranks().size(), 2u) << content_of(folder_ / "err");
  }
  ~LaunchedWork() override {
    EXPECT_TRUE(all_gone(program_.string()));
    for (int process : processes_with(program_.string())) ::kill(process, SIGKILL);
  }

  // The ranks' command lines start with the program and the verb; mpirun's holds them too.
  std::vector<int> ranks() const {
    auto found = processes_with(program_.string() + '\0' + "bench");
    std::erase_if(found, [&](int p) { return has(p, "AUTARKY_LAUNCHED=1"); });
    return found;
  }
  static bool has(int process, const std::string& words) {
    const auto all = processes_with(words);
    return std::find(all.begin(), all.end(), process) != all.end();
  }
  // 128 + the signal where one ended it.
  int code() {
    int status = 0;
    ::waitpid(launcher_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  const ScratchFolder folder_;
  const fs::path program_ = folder_ / "autarky";
  pid_t launcher_ = -1;
};

TEST_F(LaunchedWork, ASignalToLaunchEndsTheRanks) {
  ::kill(launcher_, SIGTERM);
  EXPECT_EQ(code(), 128 + SIGTERM) << content_of(folder_ / "err");
}

TEST_F(LaunchedWork, ARankThatIsKilledEndsTheOthers) {
  const auto all = ranks();
  ASSERT_EQ(all.size(), 2u);
  ::kill(all[1], SIGKILL);
  EXPECT_EQ(code(), 128 + SIGKILL) << content_of(folder_ / "err");
}

TEST_F(LaunchedWork, NothingIsLeftWhenLaunchIsKilled) {
  ::kill(launcher_, SIGKILL);
  EXPECT_EQ(code(), 128 + SIGKILL);
}

TEST_F(LaunchedWork, NothingIsLeftWhenMpirunIsKilled) {
  for (int process : processes_with(std::string("AUTARKY_LAUNCHED=1") + '\0' + program_.string()))
    ::kill(process, SIGKILL);
  EXPECT_EQ(code(), 128 + SIGKILL);
}

}  // namespace
}  // namespace autarky
