// Numbers found by a hash of what they stand for; the caller keeps that and compares.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/error.h"

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

// Open addressing in 4 bytes a slot: a number below 2^bits and 32 - bits of its hash, so that the
// table stays in a near cache and a number that is not there is seldom looked at.
class HashIndex {
 public:
  static constexpr std::uint32_t kNone = ~0u;

  // For numbers below `count`.
  explicit HashIndex(std::size_t count)
      : numbers_((1u << std::bit_width(count)) - 1), slots_(std::bit_ceil(count * 2 + 2), kNone) {
    AUTARKY_CHECK(count < std::size_t(1) << 30, "numbers of a hash index");
  }

  // The first number with this hash for which same(number), else kNone.
  template <typename Same>
  std::uint32_t find(std::uint64_t hash, const Same& same) const {
    const std::uint32_t tag = tag_of(hash);
    for (std::size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      const std::uint32_t slot = slots_[i];
      if (slot == kNone) return kNone;
      if ((slot & ~numbers_) == tag && same(slot & numbers_)) return slot & numbers_;
    }
  }

  // At most `count` times in all.
  void add(std::uint64_t hash, std::uint32_t number) {
    std::size_t i = hash & (slots_.size() - 1);
    while (slots_[i] != kNone) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = tag_of(hash) | number;
  }

 private:
  std::uint32_t tag_of(std::uint64_t hash) const { return std::uint32_t(hash >> 32) & ~numbers_; }

  std::uint32_t numbers_;  // mask; all ones is no number
  std::vector<std::uint32_t> slots_;
};

}  // namespace autarky
