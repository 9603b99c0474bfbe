#include "train/replicas.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "comm/agree.h"

namespace autarky {
namespace {

bool over_dp(const Type& type) {
  const auto has = [](const std::vector<Axis>& axes) {
    return std::find(axes.begin(), axes.end(), Axis::dp) != axes.end();
  };
  return has(type.layout.flat) ||
         std::any_of(type.layout.split.begin(), type.layout.split.end(), has);
}

std::int64_t checksum(const TrainingEngine& engine) {
  std::uint64_t sum = 0;
  const auto add = [&](std::span<const std::byte> bytes) { sum = sum * 31 + xxh3(bytes); };
  for (const auto& p : engine.parameters()) {
    if (!over_dp(p.copy_type)) add({p.copy.data, std::size_t(p.copy.type->bytes())});
    if (over_dp(p.type)) continue;
    for (const StatePart part : kStateParts) add(std::as_bytes(p.values(part)));
  }
  return std::int64_t(sum);
}

// The ranks of a group whose sum is not the one that most have; all, where no sum has a majority.
std::vector<int> outvoted(const std::vector<int>& group, const std::vector<std::int64_t>& sums) {
  std::map<std::int64_t, std::vector<int>> by_sum;
  for (const int r : group) by_sum[sums[std::size_t(r)]].push_back(r);
  if (by_sum.size() == 1) return {};
  std::vector<int> odd;
  for (const auto& [sum, ranks] : by_sum)
    if (2 * ranks.size() <= group.size()) odd.insert(odd.end(), ranks.begin(), ranks.end());
  std::sort(odd.begin(), odd.end());
  return odd;
}

}  // namespace

void check_replicas(const TrainingEngine& engine) {
  const Mesh& mesh = engine.options().mesh;
  if (mesh.size(Axis::dp) == 1) return;
  const auto sums = gather_all(engine.comm(), checksum(engine));
  for (int r = 0; r < mesh.ranks(); ++r) {
    const auto group = mesh.group(r, Axis::dp);
    if (group[0] != r) continue;
    const auto odd = outvoted(group, sums);
    if (odd.empty()) continue;
    throw Error("data-parallel ranks do not hold the same weights and moments any more")
        .found(fmt::format("rank{} {} other than {}", odd.size() == 1 ? "" : "s",
                           fmt::join(odd, ", "),
                           odd.size() == group.size() ? "each other" : "the others"))
        .hint(
            "A fault of that rank's memory or processor, or a bug; resume from a checkpoint "
            "before it, on other machines");
  }
}

}  // namespace autarky
