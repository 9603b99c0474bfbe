// Carries out the operations that move values between ranks.
#pragma once
#include <memory>

#include "backend/kernel_table.h"
#include "comm/comm.h"
#include "ir/graph.h"

namespace autarky {

// A movement under way: finish() returns when the result is in place. Until then `source` must
// stay as it is; it is empty where `in` was packed or is done with.
class Move {
 public:
  virtual ~Move() = default;
  virtual void finish() = 0;
  virtual bool done() const = 0;  // finish() is known to return at once
  virtual std::span<const std::byte> source() const = 0;
};

// `in`, `out`: local tensors; of a collective as many as it has operands, which go in one message.
// Null where nothing is left to do.
std::unique_ptr<Move> start_move(const Node& node, std::span<const Tensor> in,
                                 std::span<const Tensor> out, const Mesh& mesh, Comm& comm);

}  // namespace autarky
