#include "launch/board.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace autarky {
namespace {

void wait_for(const std::function<bool()>& condition) {
  for (int i = 0; i < 500 && !condition(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(condition());
}

// What ranks find in their environment.
void announce(const Board& board) { ::setenv(kBoardVariable, board.folder().c_str(), 1); }

TEST(Board, TheLastStepOfEachRankAndItsSilenceAreInOneLine) {
  using Signs = std::vector<Sign>;
  const std::pair<Signs, std::string> cases[] = {
      {{{41, true, 0}, {41, true, 0.1}, {41, true, 0}, {40, true, 3.42}},
       "ranks 0-2: step 41, rank 3: step 40; rank 3 gave no sign for 3.4 s"},
      {{{7, true, 0}, {8, true, 0}, {7, true, 0}, {-1, true, 0}},
       "ranks 0, 2: step 7, rank 1: step 8, rank 3: none"},
      {{{7, true, 0}, {-1, false, 0}, {-1, false, 0}}, "rank 0: step 7, ranks 1, 2: not seen"},
      {{{-1, false, 0}, {-1, false, 0}}, ""}};
  for (const auto& [signs, line] : cases) EXPECT_EQ(describe(signs), line);
}

TEST(Board, AHeartbeatTellsStepsAndLife) {
  Board board;
  board.clear(3);
  announce(board);
  Heartbeat first(0), last(2);
  EXPECT_EQ(first.folder(), board.folder());
  last.finished(5);
  wait_for([&] { return board.signs()[0].seen && board.signs()[2].seen; });
  const auto signs = board.signs();
  EXPECT_EQ(signs[0].step, -1);
  EXPECT_FALSE(signs[1].seen);
  EXPECT_EQ(signs[2].step, 5);
  board.clear(2);  // another start
  EXPECT_EQ(board.signs().size(), 2u);
  EXPECT_FALSE(board.signs()[0].seen);
}

TEST(Board, ASaveThatIsAskedForIsHeardOnceByEveryRank) {
  Board board;
  board.clear(2);
  announce(board);
  Heartbeat a(0);
  EXPECT_FALSE(a.save_asked());
  board.ask_for_a_save();
  Heartbeat b(1);  // one that comes later hears of it too
  for (Heartbeat* h : {&a, &b}) {
    EXPECT_TRUE(h->save_asked());
    EXPECT_FALSE(h->save_asked());
  }
}

TEST(Board, AProcessThatStandsStillIsSilent) {
  Board board;
  board.clear(2);
  announce(board);
  const pid_t other = ::fork();
  if (other == 0) {
    Heartbeat of_other(1);
    for (;;) ::pause();
  }
  const Heartbeat mine(0);
  wait_for([&] { return board.signs()[1].seen; });
  ::kill(other, SIGSTOP);
  wait_for([&] { return board.signs()[1].silent_s > 0.6; });
  EXPECT_LT(board.signs()[0].silent_s, 0.4);
  ::kill(other, SIGCONT);  // as mpirun does before it ends a rank
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_GT(board.signs()[1].silent_s, 0.6);
  EXPECT_FALSE(board.ranks_are_gone());
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  EXPECT_FALSE(board.ranks_are_gone());  // this process is rank 0
}

TEST(Board, RanksAreGoneWhenAllThatWereSeenHaveEnded) {
  Board board;
  board.clear(2);
  announce(board);
  EXPECT_FALSE(board.ranks_are_gone());  // none has come yet
  const pid_t rank = ::fork();
  if (rank == 0) {
    Heartbeat of_rank(1);
    for (;;) ::pause();
  }
  wait_for([&] { return board.signs()[1].seen; });
  EXPECT_FALSE(board.ranks_are_gone());
  ::kill(rank, SIGKILL);
  ::waitpid(rank, nullptr, 0);
  EXPECT_TRUE(board.ranks_are_gone());
}

TEST(Board, WhatAKilledLauncherLeavesGoesWithTheNext) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t launcher = ::fork();
  if (launcher == 0) {
    Board board;
    const auto name = board.folder().string();
    ::_exit(::write(pipe[1], name.data(), name.size()) < 0 ||
            ::kill(::getpid(), SIGKILL) < 0);  // killed here
  }
  ::waitpid(launcher, nullptr, 0);
  char name[256] = {};
  ASSERT_GT(::read(pipe[0], name, sizeof name - 1), 0);
  EXPECT_TRUE(fs::exists(name));
  fs::path other;
  {
    const Board next, beside;
    EXPECT_FALSE(fs::exists(name));
    EXPECT_TRUE(fs::exists(next.folder()) && fs::exists(beside.folder()));
    other = next.folder();
  }
  EXPECT_FALSE(fs::exists(other));
}

TEST(Board, WithoutALauncherAHeartbeatDoesNothing) {
  ::setenv(kBoardVariable, "/nowhere/at/all", 1);
  Heartbeat alone(3);
  alone.finished(1);
  EXPECT_FALSE(alone.save_asked());
  EXPECT_TRUE(alone.folder().empty());
}

}  // namespace
}  // namespace autarky
