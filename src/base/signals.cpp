#include "base/signals.h"

#include <initializer_list>

namespace autarky {

NoSignals::NoSignals() {
  sigset_t set;
  sigfillset(&set);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
    sigdelset(&set, fault);
  pthread_sigmask(SIG_SETMASK, &set, &before_);
}

NoSignals::~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace autarky
