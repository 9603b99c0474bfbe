#include "comm/timed.h"

#include <chrono>

namespace autarky {
namespace {

class TimedHandle : public CommHandle {
 public:
  TimedHandle(std::unique_ptr<CommHandle> handle, double& waited_s)
      : handle_(std::move(handle)), waited_s_(waited_s) {}

  void wait() override {
    const auto start = std::chrono::steady_clock::now();
    handle_->wait();
    waited_s_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  bool done() override { return handle_->done(); }

 private:
  std::unique_ptr<CommHandle> handle_;
  double& waited_s_;
};

}  // namespace

std::unique_ptr<CommHandle> TimedComm::timed(std::unique_ptr<CommHandle> handle) {
  return std::make_unique<TimedHandle>(std::move(handle), waited_s_);
}

std::unique_ptr<CommHandle> TimedComm::all_reduce(std::span<const int> group, DType dtype,
                                                  Reduction how, std::span<const std::byte> in,
                                                  std::span<std::byte> out, const CommTag& tag) {
  return timed(comm_.all_reduce(group, dtype, how, in, out, tag));
}

std::unique_ptr<CommHandle> TimedComm::reduce_scatter(std::span<const int> group, DType dtype,
                                                      Reduction how, std::span<const std::byte> in,
                                                      std::span<std::byte> out,
                                                      const CommTag& tag) {
  return timed(comm_.reduce_scatter(group, dtype, how, in, out, tag));
}

std::unique_ptr<CommHandle> TimedComm::all_gather(std::span<const int> group,
                                                  std::span<const std::byte> in,
                                                  std::span<std::byte> out, const CommTag& tag) {
  return timed(comm_.all_gather(group, in, out, tag));
}

std::unique_ptr<CommHandle> TimedComm::all_to_all(std::span<const int> group,
                                                  std::span<const std::byte> in,
                                                  std::span<std::byte> out, const CommTag& tag) {
  return timed(comm_.all_to_all(group, in, out, tag));
}

std::unique_ptr<CommHandle> TimedComm::send(int to, std::span<const std::byte> in,
                                            const CommTag& tag) {
  return timed(comm_.send(to, in, tag));
}

std::unique_ptr<CommHandle> TimedComm::receive(int from, std::span<std::byte> out,
                                               const CommTag& tag) {
  return timed(comm_.receive(from, out, tag));
}

}  // namespace autarky
