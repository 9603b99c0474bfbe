// A communicator that knows how long its rank has waited for others.
#pragma once
#include "comm/comm.h"

namespace autarky {

class TimedComm : public Comm {
 public:
  explicit TimedComm(Comm& comm) : comm_(comm) {}

  double waited_s() const { return waited_s_; }  // in wait() of all handles so far

  int rank() const override { return comm_.rank(); }
  int size() const override { return comm_.size(); }
  int ranks_on_node() const override { return comm_.ranks_on_node(); }
  int node_rank() const override { return comm_.node_rank(); }
  std::unique_ptr<CommHandle> all_reduce(std::span<const int> group, DType dtype, Reduction how,
                                         std::span<const std::byte> in, std::span<std::byte> out,
                                         const CommTag& tag) override;
  std::unique_ptr<CommHandle> reduce_scatter(std::span<const int> group, DType dtype, Reduction how,
                                             std::span<const std::byte> in,
                                             std::span<std::byte> out, const CommTag& tag) override;
  std::unique_ptr<CommHandle> all_gather(std::span<const int> group, std::span<const std::byte> in,
                                         std::span<std::byte> out, const CommTag& tag) override;
  std::unique_ptr<CommHandle> all_to_all(std::span<const int> group, std::span<const std::byte> in,
                                         std::span<std::byte> out, const CommTag& tag) override;
  std::unique_ptr<CommHandle> send(int to, std::span<const std::byte> in,
                                   const CommTag& tag) override;
  std::unique_ptr<CommHandle> receive(int from, std::span<std::byte> out,
                                      const CommTag& tag) override;
  void abort(const std::string& why) override { comm_.abort(why); }

 private:
  std::unique_ptr<CommHandle> timed(std::unique_ptr<CommHandle> handle);

  Comm& comm_;
  double waited_s_ = 0;
};

}  // namespace autarky
