#include "comm/mpi/operations.h"

namespace autarky::mpi {
namespace {

Stream::Place from(std::byte* start) {
  return [start](std::size_t k) { return start + k * Stream::kSegment; };
}

}  // namespace

// A stream that sends does not change what it is given.
Exchange::Lane::Lane(const Partner& p, const Tags& tags)
    : give(Stream::Way::send, p.rank, tags.data, p.source.size(),
           from(const_cast<std::byte*>(p.source.data()))),
      take(Stream::Way::receive, p.rank, tags.data, p.target.size(), from(p.target.data())) {}

// Data are taken when the opening said that they fit.
bool Exchange::move(Wire& wire) {
  if (lanes_.empty())
    for (const auto& p : partners()) lanes_.emplace_back(p, tags());
  bool complete = true;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    lane.give.permit_all();
    if (opened(i)) lane.take.permit_all();
    lane.give.pump(wire);
    lane.take.pump(wire);
    complete &= lane.give.complete() && lane.take.complete();
  }
  return complete;
}

}  // namespace autarky::mpi
