// Many bytes to or from one rank: segments, of which a few are under way at a time.
#pragma once
#include <functional>
#include <vector>

#include "comm/mpi/wire.h"

namespace autarky::mpi {

class Stream {
 public:
  // Small enough for a sum over segments to stay in a core's cache.
  static constexpr std::size_t kSegment = std::size_t(512) << 10;

  enum class Way { send, receive };
  // Where segment k lies.
  using Place = std::function<std::byte*(std::size_t k)>;
  Stream(Way way, int peer, int tag, std::size_t bytes, Place place);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // The first `segments` may be under way from now on.
  void permit(std::size_t segments);
  void permit_all() { permit(segments()); }
  // Posts what is permitted and fits the window.
  void pump(Wire& wire);

  std::size_t segments() const { return finished_.size(); }
  std::size_t segment_bytes(std::size_t k) const;
  std::size_t done() const { return done_; }  // segments that are complete, from the first on
  bool complete() const { return done_ == segments(); }

 private:
  void finish(std::size_t k, std::size_t bytes);

  Way way_;
  int peer_, tag_;
  std::size_t bytes_;
  Place place_;
  std::vector<bool> finished_;
  std::size_t permitted_ = 0, posted_ = 0, done_ = 0;
};

}  // namespace autarky::mpi
