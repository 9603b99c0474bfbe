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
  std::span<std::byte> out;  // may be `in`
  std::size_t position;      // of this rank in the group
};

// Few bytes: every member gets all inputs and sums them.
std::unique_ptr<Operation> make_small_reduce(std::string description, const Header& header,
                                             const Tags& tags, std::span<const int> group,
                                             const Reduced& reduced);
// Many: a member sums its piece of all inputs and gives the sum to all, segment by segment. The
// inputs of others wait in `staging`.
std::unique_ptr<Operation> make_large_reduce(std::string description, const Header& header,
                                             const Tags& tags, std::span<const int> group,
                                             const Reduced& reduced, Staging& staging);

}  // namespace autarky::mpi
