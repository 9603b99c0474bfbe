#include "train/same_bits.h"

#include <fmt/format.h>

#include <bit>

#include "base/words.h"

namespace autarky {
namespace {

// Of one accumulator for every parameter of the rank.
std::int64_t gradient_bytes(const Program& program) {
  std::int64_t bytes = 0;
  for (const Buffer& b : program.buffers) {
    const bool of_a_lane = b.name.starts_with("grad.") && b.name.size() > 5 && b.name[5] >= '0' &&
                           b.name[5] <= '9';  // "grad.2.layer.0.<p>"
    if (b.kind == BufferKind::grad && b.same_as < 0 && !of_a_lane) bytes += b.bytes;
  }
  return bytes;
}

std::string words_of(const SameBits::Size& size) {
  if (size.gradient_sets == 0) return fmt::format("{}", size.data_parallel);
  return fmt::format("{} (+{} of gradients on a rank)", size.data_parallel,
                     human_bytes(double(size.gradient_bytes)));
}

}  // namespace

SameBits same_bits(const EngineOptions& o, const Program& program) {
  const int dp = o.mesh.size(Axis::dp);
  SameBits bits;
  bits.lanes = std::int64_t(o.lanes) * dp;
  bits.ranks_first = o.zero_stage >= 2 && dp > 1;
  const auto one_set = gradient_bytes(program);
  const auto add = [&](int ranks) {
    const int sets = std::countr_zero(std::uint64_t(bits.lanes / ranks));
    bits.sizes.push_back({ranks, sets, sets * one_set});
  };
  if (bits.ranks_first) add(dp);
  else
    for (int ranks = 1; ranks <= bits.lanes; ranks *= 2) add(ranks);
  return bits;
}

std::vector<std::pair<std::string, std::string>> describe(const SameBits& bits) {
  std::vector<std::string> sizes;
  for (const auto& size : bits.sizes) sizes.push_back(words_of(size));
  return {{"same bits",
           fmt::format("data_parallel_size {}, at lanes {}", fmt::join(sizes, ", "), bits.lanes)},
          {"", fmt::format("every pipeline and recompute; zero_stage {}",
                           bits.ranks_first ? "2 and 3" : "0 and 1")},
          {"near (rounding)",
           fmt::format("zero_stage {}, tensor_parallel_size, sequence_parallel",
                       bits.ranks_first ? "0 and 1, other data_parallel_size" : "2 and 3")}};
}

}  // namespace autarky
