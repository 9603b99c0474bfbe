// The operations themselves.
#pragma once
#include <deque>
#include <memory>

#include "comm/mpi/operation.h"
#include "comm/mpi/staging.h"
#include "comm/mpi/stream.h"

namespace autarky::mpi {

// Every partner's source goes to it and its target is filled by it: all_gather, all_to_all,
// messages.
class Exchange : public Operation {
 public:
  using Operation::Operation;

 protected:
  bool move(Wire& wire) override;

 private:
  struct Lane {
    Lane(const Partner& partner, const Tags& tags);
    Stream give, take;
  };

  std::deque<Lane> lanes_;  // by partner
};

// What a reduction is of.
struct Reduced {
  DType dtype;
  Reduction how;
  std::span<const std::byte> in;
  std::span<std::byte>
      out;               // the whole, may be `in`; or this rank's piece, may begin where `in` does
  std::size_t position;  // of this rank in the group

  bool scattered() const { return out.size() < in.size(); }
  bool in_place() const { return in.data() == out.data(); }
};
// Piece i of n, cut between elements.
template <class Byte>
std::span<Byte> piece_of(std::span<Byte> whole, DType dtype, std::size_t i, std::size_t n) {
  const auto element = std::size_t(byte_size(dtype));
  const std::size_t count = whole.size() / element;
  const std::size_t from = count * i / n * element, to = count * (i + 1) / n * element;
  return whole.subspan(from, to - from);
}

// Few bytes: every member gets all inputs, or its piece of all, and sums them.
std::unique_ptr<Operation> make_small_reduce(std::string description, const Header& header,
                                             const Tags& tags, std::span<const int> group,
                                             const Reduced& reduced);
// Many: a member sums its piece of all inputs and gives the sum to all who want the whole, segment
// by segment. The inputs of others wait in `staging`.
std::unique_ptr<Operation> make_large_reduce(std::string description, const Header& header,
                                             const Tags& tags, std::span<const int> group,
                                             const Reduced& reduced, Staging& staging);

}  // namespace autarky::mpi
