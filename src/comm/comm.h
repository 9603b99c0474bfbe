// Communication: non-blocking operations on groups of ranks, with deadlines.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace autarky {

enum class Reduction : std::uint8_t { sum, max, log_sum_exp };

// Who asks, for the message when a deadline passes.
struct CommTag {
  std::string operation;  // "all_reduce tp"
  std::string source;     // "decoder.cpp:57"
};

// An operation under way.
class CommHandle {
 public:
  virtual ~CommHandle() = default;
  // Returns when the result is there and the source may be changed again. Throws Error (rank,
  // operation, sequence number, bytes, source, who is missing) when the deadline passes, when
  // members hand in different numbers of bytes, or when another rank has failed.
  virtual void wait() = 0;
  // Whether wait() is known to return at once.
  virtual bool done() { return false; }
};

// One rank's end, used by one thread. Calls of one group must come in the same order on all its
// members. Until a handle's wait() returns its source must stay as it is, and its result is not
// there. Of all_reduce source and result may be the same memory, and of reduce_scatter the result
// may be the beginning of the source, all of which may then change; of nothing else.
class Comm {
 public:
  virtual ~Comm() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Ranks on this rank's machine, and which of them this one is.
  virtual int ranks_on_node() const = 0;
  virtual int node_rank() const = 0;

  // Elementwise reduction over the members of `group` (their ranks, in order), by a fixed binary
  // tree over their positions: result = whole on every member.
  virtual std::unique_ptr<CommHandle> all_reduce(std::span<const int> group, DType dtype,
                                                 Reduction how, std::span<const std::byte> in,
                                                 std::span<std::byte> out, const CommTag& tag) = 0;
  // Member i gets the i-th piece of that; all are equally long.
  virtual std::unique_ptr<CommHandle> reduce_scatter(std::span<const int> group, DType dtype,
                                                     Reduction how, std::span<const std::byte> in,
                                                     std::span<std::byte> out,
                                                     const CommTag& tag) = 0;
  // out = the members' inputs one after the other.
  virtual std::unique_ptr<CommHandle> all_gather(std::span<const int> group,
                                                 std::span<const std::byte> in,
                                                 std::span<std::byte> out, const CommTag& tag) = 0;
  // Member i gets the i-th piece of every member's input, one after the other.
  virtual std::unique_ptr<CommHandle> all_to_all(std::span<const int> group,
                                                 std::span<const std::byte> in,
                                                 std::span<std::byte> out, const CommTag& tag) = 0;
  virtual std::unique_ptr<CommHandle> send(int to, std::span<const std::byte> in,
                                           const CommTag& tag) = 0;
  virtual std::unique_ptr<CommHandle> receive(int from, std::span<std::byte> out,
                                              const CommTag& tag) = 0;
  // Tells the others that this rank gives up, so that they stop waiting.
  virtual void abort(const std::string& why) = 0;
};

// out = the inputs combined elementwise by the fixed binary tree ((0 1) (2 3)) ...: the order of
// sums. All are equally long; `out` may be one of the inputs.
void reduce_tree(DType dtype, Reduction how, std::span<const std::byte* const> inputs,
                 std::span<std::byte> out);

}  // namespace autarky
