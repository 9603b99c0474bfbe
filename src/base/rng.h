// Counter-based random numbers: a value depends on (seed, purpose, step, index) and nothing else.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace autarky {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ull * counter[0], p1 = 0xCD9E8D57ull * counter[2];
    counter = {std::uint32_t(p1 >> 32) ^ counter[1] ^ key[0], std::uint32_t(p1),
               std::uint32_t(p0 >> 32) ^ counter[3] ^ key[1], std::uint32_t(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

enum class Purpose : std::uint32_t {
  init = 1,
  shuffle = 2,
  sample = 3,
  split = 4,
  test = 5,
  failures = 6
};

struct Random {
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::test;
  std::uint32_t step = 0;  // or any second key: a parameter's number, an epoch

  // 64 random bits for `index`.
  std::uint64_t bits(std::uint64_t index) const {
    const auto r = philox4x32({std::uint32_t(index), std::uint32_t(index >> 32),
                               static_cast<std::uint32_t>(purpose), step},
                              {std::uint32_t(seed), std::uint32_t(seed >> 32)});
    return (std::uint64_t(r[1]) << 32) | r[0];
  }
  // Uniform in [0, 1).
  double uniform(std::uint64_t index) const { return double(bits(index) >> 11) * 0x1p-53; }
  // Standard normal (Box-Muller).
  double normal(std::uint64_t index) const {
    const double u = 1.0 - uniform(2 * index), v = uniform(2 * index + 1);
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v);
  }
};

}  // namespace autarky
