// Time of one all_reduce of f32 between ranks: ours, or MPI's own.
// Usage, under mpirun: comm_bench ours|mpi [MB [ROUNDS]]; rank 0 prints the median in seconds.
// bench/comm.sh runs both in turns.
#include <fmt/core.h>

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <string_view>
#include <vector>

#include "base/median.h"
#include "comm/mpi/mpi_comm.h"

namespace {

using namespace autarky;

struct Data {
  explicit Data(double megabytes)
      : in(std::size_t(megabytes * 1e6) / sizeof(float), 1.0f), out(in.size(), 0.0f) {}
  std::vector<float> in, out;
};

// The slowest rank decides: every round starts after an exchange of `meet`.
double median_of(int rounds, const std::function<void()>& meet, const std::function<void()>& sum) {
  std::vector<double> seconds;
  for (int i = 0; i < rounds + 2; ++i) {
    meet();
    const auto start = std::chrono::steady_clock::now();
    sum();
    meet();
    const auto end = std::chrono::steady_clock::now();
    if (i >= 2) seconds.push_back(std::chrono::duration<double>(end - start).count());
  }
  return median(seconds);
}

void ours(Data& data, int rounds) {
  const auto comm = make_comm(std::chrono::seconds(60));
  std::vector<int> group(std::size_t(comm->size()));
  std::iota(group.begin(), group.end(), 0);
  const auto sum = [&](std::span<const float> in, std::span<float> out) {
    comm->all_reduce(group, DType::f32, Reduction::sum, std::as_bytes(in),
                     std::as_writable_bytes(out), {"all_reduce", "comm_bench.cpp"})
        ->wait();
  };
  std::vector<float> one(1), other(1);
  const double seconds = median_of(
      rounds, [&] { sum(one, other); }, [&] { sum(data.in, data.out); });
  if (comm->rank() == 0) fmt::print("{:.6f}\n", seconds);
}

void of_mpi(Data& data, int rounds) {
  MPI_Init(nullptr, nullptr);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const auto sum = [](const float* in, float* out, std::size_t count) {
    MPI_Allreduce(in, out, int(count), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  };
  float one = 1, other = 0;
  const double seconds = median_of(
      rounds, [&] { sum(&one, &other, 1); },
      [&] { sum(data.in.data(), data.out.data(), data.in.size()); });
  if (rank == 0) fmt::print("{:.6f}\n", seconds);
  MPI_Finalize();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view which = argc > 1 ? argv[1] : "";
  const double megabytes = argc > 2 ? std::atof(argv[2]) : 256;
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 7;
  if ((which != "ours" && which != "mpi") || !(megabytes > 0) || rounds < 1) return 2;
  Data data(megabytes);
  which == "ours" ? ours(data, rounds) : of_mpi(data, rounds);
  return 0;
}
