#include "base/signals.h"

#include <gtest/gtest.h>

#include <thread>

namespace autarky {
namespace {

bool blocked(int signal) {
  sigset_t now;
  pthread_sigmask(SIG_SETMASK, nullptr, &now);
  return sigismember(&now, signal) == 1;
}

TEST(NoSignals, ThreadsTakeNoneButTheirOwnFaults) {
  std::thread thread;
  {
    const NoSignals scope;
    thread = std::thread([] {
      for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD})
        EXPECT_TRUE(blocked(signal)) << signal;
      for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
        EXPECT_FALSE(blocked(fault)) << fault;
    });
  }
  thread.join();
  EXPECT_FALSE(blocked(SIGTERM));
}

}  // namespace
}  // namespace autarky
