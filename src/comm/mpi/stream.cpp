#include "comm/mpi/stream.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace autarky::mpi {
namespace {

constexpr std::size_t kWindow = 4;  // segments under way

}  // namespace

Stream::Stream(Way way, int peer, int tag, std::size_t bytes, Place place)
    : way_(way),
      peer_(peer),
      tag_(tag),
      bytes_(bytes),
      place_(std::move(place)),
      finished_((bytes + kSegment - 1) / kSegment) {}

void Stream::permit(std::size_t segments) {
  permitted_ = std::max(permitted_, std::min(segments, this->segments()));
}

std::size_t Stream::segment_bytes(std::size_t k) const {
  return std::min(kSegment, bytes_ - k * kSegment);
}

void Stream::pump(Wire& wire) {
  for (; posted_ < std::min(permitted_, done_ + kWindow); ++posted_) {
    const std::span<std::byte> place{place_(posted_), segment_bytes(posted_)};
    const auto done = [this, k = posted_](std::size_t bytes) { finish(k, bytes); };
    if (way_ == Way::send) wire.send(peer_, tag_, place, done);
    else wire.receive(peer_, tag_, place, done);
  }
}

void Stream::finish(std::size_t k, std::size_t bytes) {
  AUTARKY_CHECK(way_ == Way::send || bytes == segment_bytes(k), "a segment of another length");
  finished_[k] = true;
  while (done_ < segments() && finished_[done_]) ++done_;
}

}  // namespace autarky::mpi
