#include "comm/agree.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace autarky {
namespace {

template <class T>
std::vector<T> gather(Comm& comm, T mine) {
  std::vector<T> all(std::size_t(comm.size()), mine);
  if (comm.size() == 1) return all;
  std::vector<int> world(all.size());
  std::iota(world.begin(), world.end(), 0);
  const std::vector<T> in = {mine};
  comm.all_gather(world, std::as_bytes(std::span(in)), std::as_writable_bytes(std::span(all)),
                  {"agreement of all ranks", "agree.cpp"})
      ->wait();
  return all;
}

}  // namespace

std::vector<std::int64_t> gather_all(Comm& comm, std::int64_t mine) { return gather(comm, mine); }
std::vector<double> gather_all(Comm& comm, double mine) { return gather(comm, mine); }

std::vector<std::string> gather_all(Comm& comm, const std::string& mine) {
  std::array<char, 512> text{};
  std::copy_n(mine.begin(), std::min(mine.size(), text.size() - 1), text.begin());
  std::vector<std::string> all;
  for (const auto& other : gather(comm, text)) all.emplace_back(other.data());
  return all;
}

std::int64_t greatest(Comm& comm, std::int64_t mine) {
  const auto all = gather(comm, mine);
  return *std::max_element(all.begin(), all.end());
}

bool any_rank(Comm& comm, bool mine) { return greatest(comm, std::int64_t(mine)) != 0; }

bool every_rank(Comm& comm, bool mine) { return !any_rank(comm, !mine); }

std::int64_t from_first(Comm& comm, std::int64_t mine) { return gather(comm, mine).front(); }

void barrier(Comm& comm) { gather(comm, std::int64_t(0)); }

}  // namespace autarky
