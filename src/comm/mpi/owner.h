// The thread that owns MPI: it drives all operations of this rank, looks at their deadlines, and
// hears when another rank gives up. It sleeps while nothing is under way.
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "comm/mpi/operation.h"
#include "comm/mpi/staging.h"

namespace autarky::mpi {

class Owner {
 public:
  using Clock = std::chrono::steady_clock;
  struct World {
    int rank = 0, size = 1, tag_bits = 0;
    std::string node;
  };

  explicit Owner(std::chrono::milliseconds deadline);

  // Returns when MPI has started. Throws Error.
  void await_start();
  const World& world() const { return world_; }  // after await_start()
  std::chrono::milliseconds deadline() const { return deadline_; }
  // Every rank of this machine has a core: the thread may keep one busy while this rank waits.
  void has_own_cores() { own_cores_ = true; }
  // For operations, which the thread drives.
  Staging& staging() { return staging_; }

  void submit(Operation& operation);
  // Throws Error when the deadline, counted from here, passes, or communication has ended.
  void wait(Operation& operation);
  bool finished(const Operation& operation);
  // Whether `operation` may be destroyed; one that is still under way ends communication.
  [[nodiscard]] bool release(Operation& operation);
  // Ends communication here and, by a message, in the other ranks.
  void abort(const std::string& why);
  // Ends the thread: in order if nothing has failed. False: MPI does not answer, and the owner
  // must stay as it is until the process ends.
  [[nodiscard]] bool end();

 private:
  static constexpr int kNoticeTag = 3;  // no operation's
  static constexpr std::size_t kNoticeBytes = 2000;

  void run();
  void loop(Wire& wire);
  void listen(Wire& wire);
  bool take_work(Wire& wire);
  bool advance(Wire& wire);
  void check_deadlines();
  void rest();
  void fail(const std::string& why);
  void tell_others(Wire& wire, const std::string& why);
  std::string given_up(const Operation& operation) const;

  const std::chrono::milliseconds deadline_;
  World world_;

  std::mutex mutex_;
  std::condition_variable work_, changed_;
  std::vector<Operation*> submitted_;
  std::string failure_, abort_;  // why communication has ended, or must
  bool started_ = false, stop_ = false, gone_ = false;
  std::atomic<int> waiting_ = 0;
  std::atomic<bool> own_cores_ = false;

  // Of the thread.
  std::vector<Operation*> active_;
  Staging staging_;
  std::array<std::byte, kNoticeBytes> notice_;
  bool told_ = false;  // another rank knows already
  Clock::time_point moved_;
  std::thread thread_;
};

// Deletes an owner that has ended.
struct EndOwner {
  void operator()(Owner* owner) const {
    if (owner->end()) delete owner;
  }
};
using OwnerPointer = std::unique_ptr<Owner, EndOwner>;

}  // namespace autarky::mpi
