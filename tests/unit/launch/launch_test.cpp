#include "launch/launch.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "launch/child.h"
#include "mpi/processes.h"

namespace autarky {
namespace {

LaunchOptions options(int ranks, std::string hosts = "") {
  LaunchOptions o;
  o.ranks = ranks;
  o.hosts = std::move(hosts);
  o.program = "/opt/autarky";
  o.arguments = {"train", "recipe.yaml"};
  return o;
}

std::string command(const LaunchOptions& o, bool root = false) {
  return fmt::format(
      "{}", fmt::join(mpirun_command(o, "/bin/mpirun", {{"A", "3"}, {"B", "c"}}, root), " "));
}

// A script in `folder` that takes the place of the program.
std::string script(const ScratchFolder& folder, const std::string& lines) {
  const auto path = folder.write("program", "#!/bin/sh\n" + lines);
  fs::permissions(path, fs::perms::owner_all);
  return path.string();
}

TEST(Launch, TheCommandLineOfMpirunIsForThisMachineOrForHosts) {
  EXPECT_EQ(command(options(2)),
            "/bin/mpirun --quiet --bind-to none --oversubscribe --mca odls_base_num_threads 0 -n 2 "
            "-x A=3 -x B=c /opt/autarky train recipe.yaml");
  EXPECT_TRUE(contains(command(options(2), true), " --allow-run-as-root "));
  EXPECT_TRUE(contains(command(options(5, "a,b:3")), " -n 5 --host a:3,b:3 "));
}

TEST(Launch, HostsKeepTheirRanksOnFewer) {
  auto o = options(6, "a,b");
  o.hosts = host_list(o);
  EXPECT_EQ(o.hosts, "a:3,b:3");
  o.ranks = 3;
  EXPECT_TRUE(contains(command(o), " -n 3 --host a:3,b:3 "));
}

TEST(Launch, TheCoresOfAMachineAreSharedByItsRanks) {
  EXPECT_EQ(threads_of_a_rank(options(2), 8), 4);
  EXPECT_EQ(threads_of_a_rank(options(3), 8), 2);
  EXPECT_EQ(threads_of_a_rank(options(9), 8), 1);
  EXPECT_EQ(threads_of_a_rank(options(8, "a,b"), 8), 2);
  EXPECT_EQ(threads_of_a_rank(options(8, "a:6,b:2"), 12), 2);
  auto given = options(2);
  given.threads = 7;
  EXPECT_EQ(threads_of_a_rank(given, 8), 7);
}

TEST(Launch, HostsThatCannotBeReadAreNamed) {
  for (const char* hosts : {"a,,b", "a:0", "a:x", "a:-1", ":3"}) {
    const auto message = input_error_of([&] { ranks_on_a_machine(options(2, hosts)); });
    EXPECT_TRUE(contains(message, "--hosts")) << hosts << message;
  }
}

int run_script(const ScratchFolder& folder, const std::string& lines, int max_restarts,
               std::vector<std::string>* notes = nullptr) {
  LaunchOptions o = options(1);
  o.program = script(folder, lines);
  o.max_restarts = max_restarts;
  return launch(o, [&](std::string_view note) {
    if (notes) notes->emplace_back(note);
  });
}

TEST(Launch, ExitCodesComeThrough) {
  const ScratchFolder folder;
  for (int code : {0, 1, 2, 77})
    EXPECT_EQ(run_script(folder, "exit " + std::to_string(code), 0), code);
  EXPECT_EQ(run_script(folder, "kill -9 $$", 0), 128 + SIGKILL);
}

// Arguments of every start are kept in a file.
TEST(Launch, WhatFailedIsStartedAgainAndResumes) {
  const ScratchFolder folder;
  const auto log = (folder / "log").string();
  const auto third_works = "echo \"$@\" >>" + log + "; [ $(wc -l <" + log +
                           ") -ge 3 ] && exit 0; [ $(wc -l <" + log +
                           ") -ge 2 ] && kill -9 $$; exit 1";
  std::vector<std::string> notes;
  EXPECT_EQ(run_script(folder, third_works, 5, &notes), 0);
  EXPECT_EQ(content_of(log),
            "train recipe.yaml\ntrain recipe.yaml --resume\ntrain recipe.yaml --resume\n");
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_TRUE(contains(notes[0], "code 1; starting it again (1 of 5)")) << notes[0];
  EXPECT_TRUE(contains(notes[1], "code 137")) << notes[1];
}

// mpirun ends with a rank's signal as its code, or is ended by one itself.
TEST(Launch, ACrashOfMpirunIsToldFromARanks) {
  const ScratchFolder folder;
  const std::string before = ::getenv("PATH");
  ::setenv("PATH", (folder.path().string() + ":" + before).c_str(), 1);
  std::vector<std::string> notes;
  for (const char* end : {"exit 139", "kill -SEGV $$"}) {
    fs::rename(script(folder, end), folder / "mpirun");
    EXPECT_EQ(launch(options(2), [&](std::string_view note) { notes.emplace_back(note); }), 139);
  }
  ::setenv("PATH", before.c_str(), 1);
  std::erase_if(notes, [](const auto& note) { return !contains(note, "code 139"); });
  EXPECT_EQ(notes, (std::vector<std::string>{"the run ended with code 139 (SIGSEGV)",
                                             "the run ended with code 139 of mpirun itself "
                                             "(SIGSEGV)"}));
}

// The script takes the place of ranks: -n 1 without mpirun. A second start that fails before a step
// is followed by the next smaller layout.
TEST(Launch, WhatFailsAgainWithoutAStepGoesOnWithFewerRanks) {
  const ScratchFolder folder;
  const auto log = (folder / "log").string();
  LaunchOptions o = options(1);
  o.program = script(folder, "echo \"$@\" >>" + log + "; [ $(wc -l <" + log + ") -ge 4 ]");
  o.max_restarts = 5;
  o.smaller = {{1, {"train", "half"}}, {1, {"train", "quarter"}}, {1, {"train", "never"}}};
  std::vector<std::string> notes;
  EXPECT_EQ(launch(o, [&](std::string_view note) { notes.emplace_back(note); }), 0);
  EXPECT_EQ(content_of(log),
            "train recipe.yaml\ntrain recipe.yaml --resume\ntrain half --resume\n"
            "train quarter --resume\n");
  ASSERT_EQ(notes.size(), 3u);
  EXPECT_TRUE(contains(notes[1], "starting it again on 1 rank (2 of 5)")) << notes[1];
}

TEST(Launch, WrongInputIsNotTriedAgainAndRestartsEnd) {
  const ScratchFolder folder;
  const auto log = (folder / "log").string();
  EXPECT_EQ(run_script(folder, "echo x >>" + log + "; exit 2", 5), 2);
  EXPECT_EQ(content_of(log), "x\n");
  EXPECT_EQ(run_script(folder, "echo x >>" + log + "; exit 1", 2), 1);
  EXPECT_EQ(content_of(log), "x\nx\nx\nx\n");
}

// The launching process is a child of the test, which sends it a signal.
TEST(Launch, ASignalReachesTheChildAndEndsTheRestarts) {
  const ScratchFolder folder;
  const auto program =
      script(folder, "trap 'echo got >" + (folder / "got").string() + "; exit 5' TERM\necho up >" +
                         (folder / "up").string() + "\nwhile :; do sleep 0.05; done");
  const pid_t launcher = ::fork();
  if (launcher == 0) {
    LaunchOptions o = options(1);
    o.program = program;
    o.max_restarts = 3;
    ::_exit(launch(o, [](std::string_view) {}));
  }
  while (!fs::exists(folder / "up")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ::kill(launcher, SIGTERM);
  int status = 0;
  ::waitpid(launcher, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 5);
  EXPECT_EQ(content_of(folder / "got"), "got\n");
}

TEST(Launch, AChildEndsWithItsParent) {
  const ScratchFolder folder;
  const auto mark = folder.path().filename().string();
  const auto program =
      script(folder, "echo up >" + (folder / "up").string() + "\nwhile :; do sleep 0.05; done");
  const pid_t launcher = ::fork();
  if (launcher == 0) {
    LaunchOptions o = options(1);
    o.program = program;
    ::_exit(launch(o, [](std::string_view) {}));
  }
  while (!fs::exists(folder / "up")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ::kill(launcher, SIGKILL);
  ::waitpid(launcher, nullptr, 0);
  EXPECT_TRUE(all_gone(mark));
}

TEST(Launch, AChildThatHangsIsKilled) {
  int asked = 0;
  const Watch watch{[] {}, [&] { return ++asked == 2; }};
  const auto ended = run_child({"/bin/sleep", "60"}, {}, SignalsAs::they_are, watch);
  EXPECT_TRUE(ended.hung);
  EXPECT_EQ(ended.code, 128 + SIGKILL);
}

TEST(Launch, AProgramThatIsNotThereIsAnError) {
  EXPECT_THROW(run_child({"/nowhere/at/all"}, {}, SignalsAs::they_are), Error);
}

}  // namespace
}  // namespace autarky
