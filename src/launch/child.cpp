#include "launch/child.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace autarky {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
constexpr int kNotStarted = 127;

// SIGCHLD and the signals to this process are waited for, not handled: blocked from before the fork
// on, so that none is lost.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (int s : kSignals) sigaddset(&set_, s);
    sigaddset(&set_, SIGCHLD);
    ::signal(SIGCHLD, SIG_DFL);  // whoever started this process may have it ignored
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~Signals() { restore(); }
  void restore() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  // The next one; 0: none has come for a second.
  int next() const {
    const timespec second{1, 0};
    return std::max(0, ::sigtimedwait(&set_, nullptr, &second));
  }

 private:
  sigset_t set_, before_;
};

[[noreturn]] void become(const std::vector<std::string>& command, const Environment& environment,
                         pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(kNotStarted);
  ::setpgid(0, 0);  // Ctrl-C is for the parent, which hands it on
  if (const int nothing = ::open("/dev/null", O_RDONLY); nothing >= 0) ::dup2(nothing, 0);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> words;
  for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execv(words[0], words.data());
  ::_exit(kNotStarted);
}

// False: the child runs.
bool has_ended(pid_t child, Ended& ended) {
  int status = 0;
  if (::waitpid(child, &status, WNOHANG) != child) return false;
  ended.by_signal = !WIFEXITED(status);
  ended.code = ended.by_signal ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

}  // namespace

Ended run_child(const std::vector<std::string>& command, const Environment& environment,
                SignalsAs as, const Watch& watch) {
  Signals signals;
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) throw Error(fmt::format("cannot start {}: {}", command[0], std::strerror(errno)));
  if (child == 0) {
    signals.restore();
    become(command, environment, parent);
  }
  Ended ended;
  int asked_with = 0, times = 0;
  while (!has_ended(child, ended)) {
    const int signal = signals.next();
    if (signal == SIGUSR1) watch.user_signal();
    if (signal == 0 && !ended.hung && watch.hangs()) {
      ended.hung = true;
      ::kill(child, SIGKILL);
    }
    if (signal == SIGUSR1 || signal == SIGCHLD || (signal == 0 && asked_with == 0)) continue;
    // mpirun loses signals while it starts its ranks, so the first is sent until it has worked.
    const bool again = signal == 0;
    if (again && (as == SignalsAs::they_are || times > 1)) continue;
    if (!again) asked_with = signal, ++times;
    const int first = as == SignalsAs::they_are ? asked_with : SIGUSR1;
    ::kill(child, times == 1 ? first : times == 2 ? SIGTERM : SIGKILL);
  }
  ended.asked = asked_with != 0;
  if (ended.asked && ended.code == 128 + SIGUSR1) ended.code = 128 + asked_with;
  if (ended.code == kNotStarted) throw Error(fmt::format("cannot start {}", command[0]));
  return ended;
}

}  // namespace autarky
