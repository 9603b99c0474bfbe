#include "comm/mpi/owner.h"

#include <fmt/core.h>
#include <sys/prctl.h>

#include <algorithm>

#include "base/error.h"
#include "base/signals.h"
#include "comm/messages.h"

namespace autarky::mpi {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kStart = 2min;  // for all ranks to come, at least
constexpr Owner::Clock::duration kGrace = 5s;       // for MPI to answer at all
constexpr Owner::Clock::duration kTelling = 500ms;  // for a notice to leave
// How long to look for messages without a nap: where this rank's cores are its own a thread that
// waits leaves one free, and every nap is time lost.
constexpr Owner::Clock::duration kSpinAlone = 5ms, kSpinWaited = 300us, kSpinUnwaited = 5us;
constexpr Owner::Clock::duration kShortestNap = 20us, kLongestNap = 500us, kLongestIdleNap = 50ms;

std::thread start_without_signals(auto&& body) {
  const NoSignals scope;
  return std::thread(body);
}

}  // namespace

Owner::Owner(std::chrono::milliseconds deadline)
    : deadline_(deadline), thread_(start_without_signals([this] { run(); })) {}

void Owner::await_start() {
  const auto patience = std::max(deadline_, kStart);
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, patience, [&] { return started_ || !failure_.empty(); }))
    failure_ =
        fmt::format("MPI did not start within {} ms: not all ranks have come", patience.count());
  if (!failure_.empty()) throw Error(failure_);
}

void Owner::submit(Operation& operation) {
  const std::lock_guard lock(mutex_);
  submitted_.push_back(&operation);
  work_.notify_one();
}

void Owner::wait(Operation& operation) {
  std::unique_lock lock(mutex_);
  operation.deadline = Clock::now() + deadline_;
  ++waiting_;
  changed_.wait_until(lock, operation.deadline + kGrace,
                      [&] { return operation.finished || !failure_.empty(); });
  --waiting_;
  if (operation.finished) return;
  if (failure_.empty())
    failure_ = fmt::format("{} did not complete, and MPI does not answer", operation.description());
  throw Error(given_up(operation));
}

bool Owner::finished(const Operation& operation) {
  const std::lock_guard lock(mutex_);
  return operation.finished;
}

std::string Owner::given_up(const Operation& operation) const {
  if (failure_.starts_with(operation.description())) return failure_;
  return fmt::format("{} was given up: {}", operation.description(), failure_);
}

bool Owner::release(Operation& operation) {
  std::unique_lock lock(mutex_);
  if (operation.finished || gone_) return true;
  if (failure_.empty() && abort_.empty())
    abort_ = fmt::format("{} was left alone", operation.description());
  work_.notify_one();
  return changed_.wait_for(lock, kGrace, [&] { return gone_; });
}

void Owner::abort(const std::string& why) {
  const std::lock_guard lock(mutex_);
  const auto who = fmt::format("rank {}: ", world_.rank);
  if (abort_.empty()) abort_ = why.starts_with(who) ? why : who + why;
  work_.notify_one();
}

bool Owner::end() {
  {
    std::unique_lock lock(mutex_);
    stop_ = true;
    work_.notify_one();
    const Clock::duration patience = started_ ? deadline_ + kGrace : kGrace;
    if (!changed_.wait_for(lock, patience, [&] { return gone_; })) {
      thread_.detach();
      return false;
    }
  }
  thread_.join();
  return true;
}

void Owner::run() {
  ::prctl(PR_SET_TIMERSLACK, 1000);  // nanoseconds: naps are short
  std::unique_ptr<Wire> wire;
  try {
    wire = std::make_unique<Wire>();
    loop(*wire);
  } catch (const std::exception& error) {
    fail(error.what());
    if (wire && !told_) tell_others(*wire, error.what());
  }
  const std::lock_guard lock(mutex_);
  gone_ = true;
  changed_.notify_all();
}

void Owner::loop(Wire& wire) {
  listen(wire);
  {
    const std::lock_guard lock(mutex_);
    world_ = {wire.rank(), wire.size(), wire.tag_bits(), wire.node()};
    started_ = true;
    changed_.notify_all();
  }
  while (take_work(wire)) {
    const bool arrived = wire.poll() > 0;
    if (advance(wire) || arrived) {
      moved_ = Clock::now();
    } else {
      check_deadlines();
      rest();
    }
  }
  wire.finalize();
}

void Owner::listen(Wire& wire) {
  wire.receive(Wire::kAnyone, kNoticeTag, notice_, [this](std::size_t bytes) {
    told_ = true;
    throw Error(std::string(reinterpret_cast<const char*>(notice_.data()), bytes));
  });
}

// False: everything is done and the end was asked for.
bool Owner::take_work(Wire& wire) {
  std::vector<Operation*> taken;
  {
    const std::lock_guard lock(mutex_);
    if (!abort_.empty()) throw Error(abort_);
    taken.swap(submitted_);
    if (stop_ && taken.empty() && active_.empty()) return false;
  }
  for (Operation* operation : taken) {
    active_.push_back(operation);
    operation->start(wire);
    moved_ = Clock::now();
  }
  return true;
}

// Whether an operation has finished.
bool Owner::advance(Wire& wire) {
  std::vector<Operation*> finished;
  std::erase_if(active_, [&](Operation* operation) {
    const bool done = operation->advance(wire);
    if (done) finished.push_back(operation);
    return done;
  });
  if (finished.empty()) return false;
  const std::lock_guard lock(mutex_);
  for (Operation* operation : finished) operation->finished = true;
  changed_.notify_all();
  return true;
}

void Owner::check_deadlines() {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  for (const Operation* o : active_)
    if (now >= o->deadline)
      throw Error(missed_deadline(o->description(), deadline_, o->members(), o->missing()));
}

// The longer nothing has moved, the longer the naps: a rank that waits for a slow one costs little,
// and a thread that computes keeps its core.
void Owner::rest() {
  const auto quiet = Clock::now() - moved_;
  const auto spin = waiting_ == 0 ? kSpinUnwaited : own_cores_ ? kSpinAlone : kSpinWaited;
  if (!active_.empty() && quiet < spin) return std::this_thread::yield();
  const auto longest = active_.empty() ? kLongestIdleNap : kLongestNap;
  const auto nap = std::clamp<Clock::duration>(quiet / 8, kShortestNap, longest);
  std::unique_lock lock(mutex_);
  work_.wait_for(lock, nap, [&] { return !submitted_.empty() || !abort_.empty() || stop_; });
}

void Owner::fail(const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (failure_.empty()) failure_ = why;
  changed_.notify_all();
}

// What cannot be told in time is left: this rank ends, and whoever started all ranks ends them.
void Owner::tell_others(Wire& wire, const std::string& why) {
  const auto text = std::as_bytes(std::span(why).first(std::min(why.size(), kNoticeBytes)));
  int under_way = 0;
  try {
    for (int r = 0; r < wire.size(); ++r)
      if (r != wire.rank()) {
        wire.send(r, kNoticeTag, text, [&](std::size_t) { --under_way; });
        ++under_way;
      }
    for (const auto end = Clock::now() + kTelling; under_way > 0 && Clock::now() < end;) {
      wire.poll();
      std::this_thread::sleep_for(50us);
    }
  } catch (const std::exception&) {
    return;  // another rank's notice, or MPI itself: the first failure is the one that counts
  }
}

}  // namespace autarky::mpi
