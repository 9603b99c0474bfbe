#include "cli/rank.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "comm/mpi/launched.h"
#include "comm/mpi/mpi_comm.h"

namespace autarky::cli {
namespace {

constexpr auto kMoment = std::chrono::seconds(3);

int rank() {
  const auto l = launched();
  return l ? l->rank : 0;
}

}  // namespace

void become_rank() {
  if (!launched()) return;
  if (under_launch()) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == 1) ::_exit(1);  // mpirun is gone already
  }
  if (rank() == 0) return;
  set_quiet(true);
  if (const int nothing = ::open("/dev/null", O_WRONLY); nothing >= 0) {
    ::dup2(nothing, STDOUT_FILENO);
    ::close(nothing);
  }
}

bool under_launch() { return launched() && std::getenv("AUTARKY_LAUNCHED"); }

void with_ranks(std::chrono::seconds deadline, const std::function<void(Comm&)>& body) {
  const auto comm = make_comm(deadline);
  try {
    body(*comm);
  } catch (const std::exception& e) {
    // Wrong input is mostly found by all ranks. Who is told of it first ends with another code.
    if (comm->size() > 1 && dynamic_cast<const InputError*>(&e))
      std::this_thread::sleep_for(kMoment / 3);
    comm->abort(e.what());
    throw;
  }
}

void let_rank_0_speak() {
  if (rank() > 0) std::this_thread::sleep_for(kMoment);
}

std::string rank_prefix() { return rank() > 0 ? fmt::format("rank {}: ", rank()) : ""; }

}  // namespace autarky::cli
