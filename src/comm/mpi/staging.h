// Where the inputs of reductions wait to be summed: one place for all of a rank, whatever their
// number and size. For the thread that owns MPI.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "comm/mpi/stream.h"

namespace autarky::mpi {

class Staging {
 public:
  // Segments that reductions hold at once; more only where a single one asks for more.
  static constexpr std::size_t kSegments = 8;

  // `segments` of Stream::kSegment bytes each; none while others hold too many.
  std::vector<std::byte*> take(std::size_t segments);
  void give(std::vector<std::byte*> segments);

  std::size_t bytes() const { return all_.size() * Stream::kSegment; }  // ever held at once

 private:
  std::vector<std::unique_ptr<std::byte[]>> all_;
  std::vector<std::byte*> free_;
};

}  // namespace autarky::mpi
