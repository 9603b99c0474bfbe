// Ids of pieces seen before: most of a text is the same few thousand words.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "text/hash_index.h"

namespace autarky {

// One slot for each hash: a new piece takes the place of an old one, so memory is fixed (2 MiB).
class WordCache {
 public:
  using Ids = std::vector<std::int32_t>;

  // Appends the ids of `piece`, by make(piece, out) if they are not here.
  template <typename Make>
  void append(std::string_view piece, Ids& out, const Make& make) {
    if (piece.size() > kMaxBytes || piece.empty()) return make(piece, out);
    Slot& slot = slots_[short_hash(piece) % kSlots];
    if (slot.bytes == piece.size() && std::memcmp(slot.text, piece.data(), slot.bytes) == 0) {
      out.insert(out.end(), slot.ids, slot.ids + slot.count);
      return;
    }
    const std::size_t first = out.size();
    make(piece, out);
    const std::size_t count = out.size() - first;
    if (count > kMaxIds) return;
    slot.bytes = std::uint8_t(piece.size());
    slot.count = std::uint8_t(count);
    std::memcpy(slot.text, piece.data(), piece.size());
    std::copy(out.begin() + std::ptrdiff_t(first), out.end(), slot.ids);
  }

 private:
  static constexpr std::size_t kSlots = 1 << 15, kMaxBytes = 30, kMaxIds = 8;
  struct alignas(64) Slot {
    std::uint8_t bytes, count;
    char text[kMaxBytes];
    std::int32_t ids[kMaxIds];
  };

  std::vector<Slot> slots_{kSlots, Slot{}};
};

// Caches for as many threads as encode at a time.
class WordCaches {
 public:
  std::unique_ptr<WordCache> take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<WordCache>();
    auto cache = std::move(idle_.back());
    idle_.pop_back();
    return cache;
  }
  void give_back(std::unique_ptr<WordCache> cache) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(cache));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<WordCache>> idle_;
};

}  // namespace autarky
