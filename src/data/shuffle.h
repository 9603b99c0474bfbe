// A shuffle without a table: a keyed permutation of [0, n) in O(1) memory.
#pragma once
#include <array>
#include <bit>
#include <cstdint>

#include "base/error.h"
#include "base/rng.h"

namespace autarky {

// A Feistel network over the least power of two 2^k >= n, walked along its cycle until it falls
// below n (fewer than two steps on average). It is a bijection for every n >= 1 and every key.
// The key is (seed, epoch, stream): different streams of an epoch are independent.
class KeyedPermutation {
 public:
  KeyedPermutation(std::int64_t n, std::uint64_t seed, std::uint32_t epoch, std::uint32_t stream)
      : n_(std::uint64_t(n)) {
    AUTARKY_CHECK(n >= 1, "a permutation needs something to permute");
    const int bits = std::bit_width(n_ - 1);
    low_bits_ = (bits + 1) / 2;
    low_mask_ = (std::uint64_t(1) << low_bits_) - 1;
    high_mask_ = (std::uint64_t(1) << (bits - low_bits_)) - 1;
    const Random random{seed, Purpose::shuffle, epoch};
    for (std::size_t r = 0; r < kRounds; ++r)
      keys_[r] = random.bits(std::uint64_t(stream) * kRounds + r);
  }

  std::int64_t size() const { return std::int64_t(n_); }

  // The image of i; 0 <= i < n.
  std::int64_t operator()(std::int64_t i) const {
    auto x = std::uint64_t(i);
    do x = encrypt(x);
    while (x >= n_);
    return std::int64_t(x);
  }

 private:
  static constexpr std::size_t kRounds = 8;  // each half is changed four times

  // The finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): every bit depends on all.
  static std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
  }

  std::uint64_t encrypt(std::uint64_t x) const {
    std::uint64_t low = x & low_mask_, high = x >> low_bits_;
    for (std::size_t r = 0; r < kRounds; r += 2) {
      low ^= mix(high ^ keys_[r]) & low_mask_;
      high ^= mix(low ^ keys_[r + 1]) & high_mask_;
    }
    return high << low_bits_ | low;
  }

  std::uint64_t n_, low_mask_ = 0, high_mask_ = 0;
  int low_bits_ = 0;
  std::array<std::uint64_t, kRounds> keys_{};
};

}  // namespace autarky
