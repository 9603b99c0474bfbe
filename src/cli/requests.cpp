#include "cli/requests.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "cli/rank.h"

namespace autarky::cli::requests {
namespace {

std::atomic<bool> stop_asked = false, save_asked = false, in_training = false;

[[noreturn]] void die_of(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::raise(signal);  // as if it had never been waited for
  std::_Exit(128 + signal);
}

void take(int signal, bool launched) {
  if (signal == SIGUSR1 && !launched) save_asked = true;
  else if (signal == SIGUSR1) stop_asked = true;
  else if (!in_training) die_of(signal);
  else if (stop_asked.exchange(true)) std::_Exit(128 + signal);
}

}  // namespace

void listen() {
  const bool launched = under_launch();
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  if (!launched)
    for (int signal : {SIGINT, SIGTERM}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::thread([set, launched] {
    for (int signal = 0;;)
      if (::sigwait(&set, &signal) == 0) take(signal, launched);
  }).detach();
}

void training() { in_training = true; }
void ask_save() { save_asked = true; }
bool take_save() { return save_asked.exchange(false); }
bool stop() { return stop_asked; }

}  // namespace autarky::cli::requests
