#include "comm/mpi/staging.h"

#include <algorithm>

namespace autarky::mpi {

std::vector<std::byte*> Staging::take(std::size_t segments) {
  const std::size_t held = all_.size() - free_.size();
  if (held > 0 && held + segments > kSegments) return {};
  while (free_.size() < segments) {
    all_.push_back(std::make_unique_for_overwrite<std::byte[]>(Stream::kSegment));
    free_.push_back(all_.back().get());
  }
  const auto first = free_.end() - std::ptrdiff_t(segments);
  std::vector<std::byte*> taken(first, free_.end());
  free_.erase(first, free_.end());
  return taken;
}

void Staging::give(std::vector<std::byte*> segments) {
  free_.insert(free_.end(), segments.rbegin(), segments.rend());
}

}  // namespace autarky::mpi
