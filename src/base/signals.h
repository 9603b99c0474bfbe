// Which threads signals come to.
#pragma once
#include <csignal>

namespace autarky {

// While one lives, the calling thread and those it starts take no signals: these are for the
// threads that have handlers in mind. A thread's own faults (SIGSEGV and the like) stay, for with
// them blocked the kernel ends the process without a word.
class NoSignals {
 public:
  NoSignals();
  ~NoSignals();
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace autarky
