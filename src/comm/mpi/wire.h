// MPI's messages, for the one thread that owns MPI. Only wire.cpp knows <mpi.h>.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace autarky::mpi {

class Wire {
 public:
  static constexpr int kAnyone = -1;
  using Done = std::function<void(std::size_t bytes)>;

  // Starts MPI; it belongs to the calling thread from then on. Throws Error.
  Wire();
  // Leaves MPI as it is: after a failure nothing may wait for others.
  ~Wire();

  int rank() const { return rank_; }
  int size() const { return size_; }
  int tag_bits() const { return tag_bits_; }  // tags are below 2^tag_bits
  const std::string& node() const { return node_; }

  // `done` is called by poll(). Between two ranks messages of one tag arrive in order; a message
  // may be shorter than the place for it, never longer. At most 2^31 - 1 bytes.
  void send(int to, int tag, std::span<const std::byte> bytes, Done done);
  void receive(int from, int tag, std::span<std::byte> bytes, Done done);
  // Lets MPI work and calls `done` of what is complete; how many. Throws Error.
  std::size_t poll();

  // The orderly end, when all ranks have got all messages; drops what is still posted.
  void finalize();

 private:
  struct Posted;

  std::unique_ptr<Posted> posted_;
  int rank_ = 0, size_ = 1, tag_bits_ = 0;
  std::string node_;
};

}  // namespace autarky::mpi
