#include "unit/comm/comm_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/rng.h"

namespace autarky {
namespace {

const CommTag kTag = {"check", "comm_checks.cpp"};
constexpr Random kRandom{11, Purpose::test};
// Below and above what goes with an opening, in one segment and in several; none divides evenly.
constexpr std::size_t kCounts[] = {0, 1, 7, 1000, 4099, 150'007};
constexpr std::size_t kMany = 1'200'011;

using Handles = std::vector<std::unique_ptr<CommHandle>>;

void require(bool holds, const std::string& what) {
  if (!holds) throw Error("check failed: " + what);
}

std::vector<int> everyone(const Comm& comm) {
  std::vector<int> group(std::size_t(comm.size()));
  std::iota(group.begin(), group.end(), 0);
  return group;
}

template <class T>
std::span<const std::byte> bytes(const std::vector<T>& v) {
  return std::as_bytes(std::span(v));
}
template <class T>
std::span<std::byte> bytes(std::vector<T>& v) {
  return std::as_writable_bytes(std::span(v));
}

// What rank `rank` hands in at place i: of very different sizes, so that the order of sums shows.
template <class T>
T value(int rank, std::size_t i) {
  const auto bits = kRandom.bits(std::uint64_t(i) * 64 + std::uint64_t(rank));
  const int fraction = int(bits % (1 << 24)) - (1 << 23), exponent = int((bits >> 32) % 24);
  if constexpr (std::is_integral_v<T>) return T(fraction);
  else return T(std::ldexp(float(fraction), -exponent));
}

template <class T>
std::vector<T> input(int rank, std::size_t count) {
  std::vector<T> v(count);
  for (std::size_t i = 0; i < count; ++i) v[i] = value<T>(rank, i);
  return v;
}

template <class T>
T plus(T a, T b) {
  return T(a + b);
}
template <>
bf16 plus(bf16 a, bf16 b) {
  return bf16(float(a) + float(b));
}

// The tree, element by element, as comm.h says it.
template <class T, class Combine>
T tree(std::span<const int> group, std::size_t i, Combine&& combine) {
  if (group.size() == 1) return value<T>(group[0], i);
  const std::size_t middle = (group.size() + 1) / 2;
  return combine(tree<T>(group.first(middle), i, combine),
                 tree<T>(group.subspan(middle), i, combine));
}

template <class T>
bool same_bits(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

template <class T>
void require_sum(const std::vector<T>& found, std::span<const int> group) {
  for (std::size_t i = 0; i < found.size(); i += i < 1000 ? 1 : 97)
    require(same_bits(found[i], tree<T>(group, i, plus<T>)),
            fmt::format("sum {} of {} over {} ranks", i, found.size(), group.size()));
  if (!found.empty())
    require(same_bits(found.back(), tree<T>(group, found.size() - 1, plus<T>)), "the last sum");
}

template <class T>
void check_sums(Comm& comm, DType dtype) {
  const auto group = everyone(comm);
  for (const std::size_t count : kCounts) {
    auto in = input<T>(comm.rank(), count);
    std::vector<T> out(count);
    comm.all_reduce(group, dtype, Reduction::sum, bytes(std::as_const(in)), bytes(out), kTag)
        ->wait();
    require_sum(out, group);
    comm.all_reduce(group, dtype, Reduction::sum, bytes(std::as_const(in)), bytes(in), kTag)
        ->wait();
    require(std::equal(in.begin(), in.end(), out.begin(), same_bits<T>), "a sum in place");
  }
}

void sums_of_every_type(Comm& comm) {
  check_sums<double>(comm, DType::f64);
  check_sums<float>(comm, DType::f32);
  check_sums<bf16>(comm, DType::bf16);
  check_sums<std::int64_t>(comm, DType::i64);
  check_sums<std::int32_t>(comm, DType::i32);
}

void sums_of_many(Comm& comm) {
  const auto group = everyone(comm);
  auto in = input<float>(comm.rank(), kMany);
  std::vector<float> out(kMany);
  comm.all_reduce(group, DType::f32, Reduction::sum, bytes(std::as_const(in)), bytes(out), kTag)
      ->wait();
  require_sum(out, group);
  comm.all_reduce(group, DType::f32, Reduction::sum, bytes(std::as_const(in)), bytes(in), kTag)
      ->wait();
  require(in == out, "a large sum in place");
}

void maximum_and_log_sum_exp(Comm& comm) {
  const auto group = everyone(comm);
  for (const std::size_t count : {std::size_t(5), std::size_t(50'003)}) {
    std::vector<float> in(count), top(count), lse(count);
    for (std::size_t i = 0; i < count; ++i) in[i] = float((int(i) * 7 + comm.rank() * 5) % 11) - 5;
    const auto one = comm.all_reduce(group, DType::f32, Reduction::max, bytes(std::as_const(in)),
                                     bytes(top), kTag);
    const auto two = comm.all_reduce(group, DType::f32, Reduction::log_sum_exp,
                                     bytes(std::as_const(in)), bytes(lse), kTag);
    one->wait();
    two->wait();
    for (std::size_t i = 0; i < count; ++i) {
      float most = -100;
      double sum = 0;
      for (int r : group) {
        const float x = float((int(i) * 7 + r * 5) % 11) - 5;
        most = std::max(most, x);
        sum += std::exp(double(x));
      }
      require(top[i] == most, "a maximum");
      require(std::abs(lse[i] - std::log(sum)) < 1e-5, "a log of sums of exponentials");
    }
  }
}

// Every rank's piece of the sums, beside its source and in the source's beginning.
void scattered_sums(Comm& comm) {
  const auto group = everyone(comm);
  for (const std::size_t count : {std::size_t(0), std::size_t(7), std::size_t(4099), kMany / 2}) {
    auto in = input<float>(comm.rank(), count * group.size());
    std::vector<float> out(count);
    comm.reduce_scatter(group, DType::f32, Reduction::sum, bytes(std::as_const(in)), bytes(out),
                        kTag)
        ->wait();
    const std::size_t first = count * std::size_t(comm.rank());
    for (std::size_t i = 0; i < count; i += i < 1000 ? 1 : 97)
      require(same_bits(out[i], tree<float>(group, first + i, plus<float>)),
              fmt::format("sum {} of {}", first + i, count * group.size()));
    comm.reduce_scatter(group, DType::f32, Reduction::sum, bytes(std::as_const(in)),
                        bytes(in).first(count * sizeof(float)), kTag)
        ->wait();
    require(std::equal(out.begin(), out.end(), in.begin(), same_bits<float>), "a piece in place");
  }
}

void gathers(Comm& comm) {
  const auto group = everyone(comm);
  for (const std::size_t count : kCounts) {
    const auto in = input<std::int32_t>(comm.rank(), count);
    std::vector<std::int32_t> out(count * group.size());
    comm.all_gather(group, bytes(in), bytes(out), kTag)->wait();
    for (int r : group)
      require(std::equal(out.begin() + std::ptrdiff_t(std::size_t(r) * count),
                         out.begin() + std::ptrdiff_t(std::size_t(r + 1) * count),
                         input<std::int32_t>(r, count).begin()),
              fmt::format("{} elements of rank {}", count, r));
  }
}

void exchanges(Comm& comm) {
  const auto group = everyone(comm);
  for (const std::size_t count : kCounts) {
    const auto in = input<std::int32_t>(comm.rank(), count * group.size());
    std::vector<std::int32_t> out(in.size());
    comm.all_to_all(group, bytes(in), bytes(out), kTag)->wait();
    for (std::size_t r = 0; r < group.size(); ++r)
      for (std::size_t i = 0; i < count; i += i < 100 ? 1 : 37)
        require(
            out[r * count + i] == value<std::int32_t>(int(r), std::size_t(comm.rank()) * count + i),
            fmt::format("element {} of {} from rank {}", i, count, r));
  }
}

// Halves of the world and the world at once, in another order of waiting on every rank.
void groups_beside_each_other(Comm& comm) {
  std::vector<int> half;
  for (int r = comm.rank() % 2; r < comm.size(); r += 2) half.push_back(r);
  std::reverse(half.begin(), half.end());  // positions are those of the list
  const auto all = everyone(comm);
  const std::vector<int> alone{comm.rank()};
  for (const std::size_t count : {std::size_t(3), std::size_t(70'001)}) {
    const auto in = input<float>(comm.rank(), count);
    std::vector<float> of_half(count), of_all(count), mine(count);
    Handles handles;
    const auto start = [&](const std::vector<int>& group, std::vector<float>& out) {
      handles.push_back(
          comm.all_reduce(group, DType::f32, Reduction::sum, bytes(in), bytes(out), kTag));
    };
    start(half, of_half);
    start(all, of_all);
    start(alone, mine);
    if (comm.rank() % 2) std::reverse(handles.begin(), handles.end());
    for (auto& handle : handles) handle->wait();
    require_sum(of_half, half);
    require_sum(of_all, all);
    require(mine == in, "the sum of one rank");
  }
}

// Around a ring, in both directions at once.
void messages(Comm& comm) {
  const int n = comm.size(), me = comm.rank(), next = (me + 1) % n, before = (me + n - 1) % n;
  if (n == 1) return;
  for (const std::size_t count : kCounts) {
    const auto in = input<std::int32_t>(me, count);
    Handles handles;
    std::vector<std::vector<std::int32_t>> out(6, std::vector<std::int32_t>(count));
    for (std::size_t i = 0; i < 3; ++i) {
      const std::span<const std::int32_t> part(in.data(), count - std::min(i, count));
      const auto place = [&](std::size_t k) { return bytes(out[k]).first(part.size_bytes()); };
      handles.push_back(comm.send(next, std::as_bytes(part), kTag));
      handles.push_back(comm.receive(before, place(2 * i), kTag));
      if (n == 2) continue;
      handles.push_back(comm.receive(next, place(2 * i + 1), kTag));
      handles.push_back(comm.send(before, std::as_bytes(part), kTag));
    }
    for (auto& handle : handles) handle->wait();
    for (std::size_t i = 0; i < 6; i += n == 2 ? 2 : 1)
      for (std::size_t k = 0; k + std::min(i / 2, count) < count; k += k < 100 ? 1 : 37)
        require(out[i][k] == value<std::int32_t>(i % 2 ? next : before, k),
                fmt::format("message {} of {}", i, count));
  }
}

void many_under_way(Comm& comm) {
  const auto group = everyone(comm);
  constexpr std::size_t kOperations = 60;
  std::vector<std::vector<float>> in, sums(kOperations);
  std::vector<std::vector<float>> gathered(kOperations);
  Handles handles;
  for (std::size_t k = 0; k < kOperations; ++k)
    in.push_back(input<float>(comm.rank(), 1 + k * k * 23));
  for (std::size_t k = 0; k < kOperations; ++k) {
    sums[k].resize(in[k].size());
    gathered[k].resize(in[k].size() * group.size());
    handles.push_back(comm.all_reduce(group, DType::f32, Reduction::sum,
                                      bytes(std::as_const(in[k])), bytes(sums[k]), kTag));
    handles.push_back(
        comm.all_gather(group, bytes(std::as_const(in[k])), bytes(gathered[k]), kTag));
  }
  for (auto h = handles.rbegin(); h != handles.rend(); ++h) (*h)->wait();
  for (std::size_t k = 0; k < kOperations; ++k) {
    require_sum(sums[k], group);
    for (int r : group)
      require(gathered[k][std::size_t(r) * in[k].size()] == value<float>(r, 0), "one of many");
  }
}

void places_on_nodes(Comm& comm) {
  require(comm.rank() >= 0 && comm.rank() < comm.size(), "the rank");
  require(comm.ranks_on_node() == comm.size(), "all ranks are on this node");
  require(comm.node_rank() == comm.rank(), "the place on this node");
}

constexpr CommCheck kChecks[] = {{"SumsOfEveryType", sums_of_every_type},
                                 {"SumsOfMany", sums_of_many},
                                 {"MaximumAndLogSumExp", maximum_and_log_sum_exp},
                                 {"ScatteredSums", scattered_sums},
                                 {"Gathers", gathers},
                                 {"Exchanges", exchanges},
                                 {"GroupsBesideEachOther", groups_beside_each_other},
                                 {"Messages", messages},
                                 {"ManyUnderWay", many_under_way},
                                 {"PlacesOnNodes", places_on_nodes}};

}  // namespace

std::span<const CommCheck> comm_checks() { return kChecks; }

}  // namespace autarky
