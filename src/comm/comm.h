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
  // Returns when the result is there. Throws Error (rank, operation, sequence number, bytes,
  // source) when the deadline passes or another rank has failed.
  virtual void wait() = 0;
};

// One rank's end. Calls of one group must come in the same order on all its members. Sources may be
// reused as soon as a call returns; results are there after wait().
class Comm {
 public:
  virtual ~Comm() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Elementwise reduction over the members of `group` (their ranks, in order), by a fixed binary
  // tree over their positions: result = whole on every member.
  virtual std::unique_ptr<CommHandle> all_reduce(std::span<const int> group, DType dtype,
                                                 Reduction how, std::span<const std::byte> in,
                                                 std::span<std::byte> out, const CommTag& tag) = 0;
  // out = the members' inputs one after the other.
  virtual std::unique_ptr<CommHandle> all_gather(std::span<const int> group,
                                                 std::span<const std::byte> in,
                                                 std::span<std::byte> out, const CommTag& tag) = 0;
  // Member i gets the i-th piece of every member's input, one after the other.
  virtual std::unique_ptr<CommHandle> all_to_all(std::span<const int> group,
                                                 std::span<const std::byte> in,
                                                 std::span<std::byte> out, const CommTag& tag) = 0;
  virtual void send(int to, std::span<const std::byte> in, const CommTag& tag) = 0;
  virtual std::unique_ptr<CommHandle> receive(int from, std::span<std::byte> out,
                                              const CommTag& tag) = 0;
  // Tells the others that this rank gives up, so that they stop waiting.
  virtual void abort(const std::string& why) = 0;
};

// into = combination of a and b, elementwise.
void reduce_into(DType dtype, Reduction how, std::span<std::byte> into,
                 std::span<const std::byte> other);

}  // namespace autarky
