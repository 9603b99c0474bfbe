// Ids of pieces seen before: most of a text is the same few thousand words.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace autarky {

// A hash of a short text; equal on every machine of one byte order.
inline std::uint64_t short_hash(std::string_view text) {
  constexpr std::uint64_t kMix = 0x9E3779B97F4A7C15ull;
  const auto load = [&](std::size_t at, std::size_t n) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, n);
    return word;
  };
  std::uint64_t h = text.size() * kMix;
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    h = (h ^ load(at, 8)) * kMix;
    h ^= h >> 32;
  }
  const std::size_t rest = text.size() - at;
  if (rest >= 4) h ^= load(at, 4) | load(text.size() - 4, 4) << 32;
  else if (rest > 0)
    h ^= load(at, 1) | load(at + rest / 2, 1) << 8 | load(text.size() - 1, 1) << 16;
  h *= kMix;
  return h ^ h >> 29;
}

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
  struct Slot {
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
