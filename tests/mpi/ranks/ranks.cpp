// A program for mpirun: runs the checks of every communicator, or goes wrong in a named way.
// Usage: mpi_ranks SCENARIO [MARK]; the mark is there for tests to find processes by.
#include <fmt/core.h>
#include <signal.h>

#include <functional>
#include <map>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "base/process.h"
#include "comm/mpi/mpi_comm.h"
#include "unit/comm/comm_checks.h"

namespace autarky {
namespace {

using namespace std::chrono_literals;
const CommTag kTag = {"all_reduce tp", "decoder.cpp:57"};

void sum(Comm& comm, std::size_t count) {
  std::vector<int> group(std::size_t(comm.size()));
  std::iota(group.begin(), group.end(), 0);
  const std::vector<double> in(count, 1.0);
  std::vector<double> out(count);
  comm.all_reduce(group, DType::f64, Reduction::sum, std::as_bytes(std::span(in)),
                  std::as_writable_bytes(std::span(out)), kTag)
      ->wait();
}

void check(Comm& comm) {
  for (const auto& c : comm_checks()) {
    c.run(comm);
    if (comm.rank() == 0) fmt::print("{}\n", c.name);
  }
}

void late(Comm& comm) {
  if (comm.rank() == 1) std::this_thread::sleep_for(8s);
  sum(comm, 2);
}

void stopped(Comm& comm) {
  if (comm.rank() == 1) ::raise(SIGSTOP);
  sum(comm, 2);
}

// While a large sum is under way.
void killed(Comm& comm) {
  std::thread killer;
  if (comm.rank() == 1)
    killer = std::thread([] {
      std::this_thread::sleep_for(300ms);
      ::raise(SIGKILL);
    });
  while (true) sum(comm, 1'000'000);
}

void give_up(Comm& comm) {
  sum(comm, 2);
  if (comm.rank() == 1) {
    comm.abort("the disk is on fire");
    throw InputError("the disk is on fire");
  }
  sum(comm, 2);
}

// The exception alone, without a word to the others.
void thrown(Comm& comm) {
  sum(comm, 2);
  if (comm.rank() == 1) throw Error("the disk is on fire");
  sum(comm, 2);
}

// Large sums under way at once: 48 MB were each to have staging of its own.
void bounded(Comm& comm) {
  constexpr std::size_t kOperations = 24, kCount = 1 << 20;
  std::vector<int> group(std::size_t(comm.size()));
  std::iota(group.begin(), group.end(), 0);
  std::vector<std::vector<float>> values(kOperations, std::vector<float>(kCount, 1));
  const auto before = resident_bytes();
  std::vector<std::unique_ptr<CommHandle>> handles;
  for (auto& v : values) {
    const auto place = std::as_writable_bytes(std::span(v));
    handles.push_back(comm.all_reduce(group, DType::f32, Reduction::sum, place, place, kTag));
  }
  for (const auto& handle : handles) handle->wait();
  const auto more = resident_bytes() - before;
  if (more > (24 << 20)) throw Error(fmt::format("{} more bytes than before", more));
}

// A handle is destroyed while its operation waits for the other rank.
void dropped(Comm& comm) {
  const std::vector<double> in(1'000'000);
  std::vector<double> out(in.size());
  if (comm.rank() == 0) comm.receive(1, std::as_writable_bytes(std::span(out)), kTag);
  else sum(comm, 2);
}

void another_operation(Comm& comm) {
  if (comm.rank() == 0) return sum(comm, 2);
  const std::vector<int> group{0, 1};
  const std::vector<std::byte> in(8);
  std::vector<std::byte> out(16);
  comm.all_gather(group, in, out, {"all_gather dp", "head.cpp:3"})->wait();
}

using Scenario = std::function<void(Comm&)>;
const std::map<std::string, Scenario> kScenarios = {
    {"checks", check},
    {"idle", [](Comm&) { std::this_thread::sleep_for(2s); }},
    {"bounded", bounded},
    {"late", late},
    {"stopped", stopped},
    {"killed", killed},
    {"give_up", give_up},
    {"thrown", thrown},
    {"dropped", dropped},
    {"few_bytes", [](Comm& comm) { sum(comm, comm.rank() == 0 ? 2 : 3); }},
    {"many_bytes", [](Comm& comm) { sum(comm, comm.rank() == 0 ? 2 : 1'000'000); }},
    {"two_many_bytes", [](Comm& comm) { sum(comm, comm.rank() == 0 ? 900'000 : 1'000'000); }},
    {"another_operation", another_operation}};

}  // namespace
}  // namespace autarky

int main(int argc, char** argv) {
  using namespace autarky;
  const auto scenario = argc > 1 ? kScenarios.find(argv[1]) : kScenarios.end();
  if (scenario == kScenarios.end()) return 64;
  try {
    const auto comm = make_comm(scenario->first == "checks" ? 60'000ms : 2000ms);
    scenario->second(*comm);
  } catch (const Error& error) {
    fmt::print(stderr, "failed: {}\n", error.what());
    return error.exit_code();
  }
  return 0;
}
