#include "comm/messages.h"

#include <fmt/format.h>

namespace autarky {

std::string describe(int rank, const CommTag& tag, std::uint64_t sequence, std::size_t bytes) {
  return fmt::format("rank {}: {} number {} of {} bytes ({})", rank, tag.operation, sequence, bytes,
                     tag.source);
}

std::string missed_deadline(const std::string& description, std::chrono::milliseconds deadline,
                            std::size_t members, std::span<const int> missing) {
  auto text = fmt::format("{} did not complete within {} ms; {} of {} ranks took part", description,
                          deadline.count(), members - missing.size(), members);
  if (!missing.empty()) text += fmt::format("; missing: rank {}", fmt::join(missing, ", "));
  return text;
}

std::string other_bytes(const std::string& description, int member, std::uint64_t bytes) {
  return fmt::format("{}: rank {} takes part with {} bytes", description, member, bytes);
}

}  // namespace autarky
