#include "train/chip_bench.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

#include "backend/cpu/cpu_info.h"
#include "base/parallel.h"
#include "base/process.h"
#include "base/words.h"
#include "comm/local/local_comm.h"
#include "comm/measure.h"
#include "ops/catalog.h"
#include "train/calibrate.h"
#include "train/trial.h"

namespace autarky {
namespace {

constexpr int kRanks = 2;
constexpr int kLeastTries = 3, kMostTries = 20;  // of a kernel, after one that warms up
constexpr double kTrySeconds = 0.15;             // then no more tries than the least
struct Grid {
  std::vector<std::int64_t> rows, widths;  // of products
  std::vector<std::size_t> bytes;          // of collectives
};
Grid grid_of(bool quick) {
  if (quick) return {{128, 1024}, {256, 1024}, {4 << 10, 1 << 20}};
  return {{128, 1024, 4096}, {256, 1024, 4096}, {4 << 10, 64 << 10, 1 << 20, 8 << 20, 64 << 20}};
}
// A product this large counts for the share of the peak that products sustain.
constexpr double kLargeProduct = 1e9;  // flop

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The fastest: other work on the machine only adds time, and the peaks are the best that was seen.
double trial_seconds(Trial& trial) {
  trial.seconds();
  const double start = now();
  double best = trial.seconds();
  for (int i = 1; i < kLeastTries || (i < kMostTries && now() < start + kTrySeconds); ++i)
    best = std::min(best, trial.seconds());
  return best;
}

TrialCase product_case(DType t, std::int64_t rows, std::int64_t inner, std::int64_t columns) {
  const Dim b{'b', 1}, s{'s', rows}, e{'e', inner}, f{'f', columns};
  return {&op_info<Contract>(),
          Contract::Attrs{"b s e, f e -> b s f", t},
          {Type(t, {b, s, e}), Type(t, {f, e})},
          {}};
}

// Mean and standard deviation.
struct Spread {
  double mean = 0, deviation = 0;
};
Spread spread_of(const std::vector<double>& values) {
  Spread s;
  for (const double v : values) s.mean += v / double(values.size());
  for (const double v : values) s.deviation += (v - s.mean) * (v - s.mean);
  s.deviation = values.size() > 1 ? std::sqrt(s.deviation / double(values.size() - 1)) : 0;
  return s;
}

class ChipBench {
 public:
  ChipBench(const Backend& backend, const ChipBenchOptions& options)
      : backend_(backend), options_(options), grid_(grid_of(options.quick)) {}

  ChipSheet run() {
    machine();
    memory();
    for (const DType t : {DType::bf16, DType::f32}) products(t);
    collectives();
    overlap();
    peaks_and_shares();
    return std::move(sheet_);
  }

 private:
  // Four digits: more are not repeated from run to run.
  static double rounded(double value) { return std::stod(fmt::format("{:.4g}", value)); }
  static Figure measured(double value, const std::string& how, double spread = 0) {
    return {rounded(value), Mark::measured, "autarky chip bench: " + how, rounded(spread)};
  }
  static Share measured_share(double value, const std::string& how, double spread = 0) {
    Share share;
    static_cast<Figure&>(share) = measured(std::min(value, 1.0), how, spread);
    return share;
  }
  // A part is done. The peaks are the best of those measured after each part: a busy machine has
  // quiet moments.
  void step() {
    const auto now_reached = cpu::measure_peaks();
    peaks_.bf16 = std::max(peaks_.bf16, now_reached.bf16);
    peaks_.f32 = std::max(peaks_.f32, now_reached.f32);
    peaks_.read_bandwidth = std::max(peaks_.read_bandwidth, now_reached.read_bandwidth);
    options_.progress(++done_, 5 + 2 * int(grid_.rows.size()));
  }

  void machine() {
    const std::string processor = processor_name();
    sheet_.title = machine_name();
    sheet_.vendor = processor.find("AMD") != processor.npos     ? "AMD"
                    : processor.find("Intel") != processor.npos ? "Intel"
                                                                : "not known";
    const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
    sheet_.year = int(std::chrono::year_month_day(today).year());
    sheet_.notes = "The year is that of the measurement; the links join ranks of one machine.";
    sheet_.network = "shared-memory";
    sheet_.matrix_cores = measured(thread_count(), "threads in use");
    sheet_.memory_bytes = measured(double(memory_limit_bytes()), "what this process may use");
    step();
  }

  // Two reads and a write, as passes over activations do.
  void memory() {
    const Type x(DType::f32, {{'b', 1}, {'s', 8192}, {'e', 2048}});
    Trial trial(backend_, {&op_info<Add>(), Add::Attrs{}, {x, x}, {}});
    passes_bytes_per_s_ = 3 * double(x.bytes()) / trial_seconds(trial);
    step();
  }

  void products(DType t) {
    if (!sheet_.measured_products)
      sheet_.measured_products.emplace().source =
          "autarky chip bench: the fastest of 3 to 20, rows times rows";
    for (const auto rows : grid_.rows) {
      for (const auto inner : grid_.widths)
        for (const auto columns : grid_.widths) product(t, rows, inner, columns);
      step();
    }
  }

  void product(DType t, std::int64_t rows, std::int64_t inner, std::int64_t columns) {
    Trial trial(backend_, product_case(t, rows, inner, columns));
    sheet_.measured_products->points.push_back(
        {rows, inner, columns, t == DType::bf16 ? ProductType::bf16 : ProductType::f32,
         rounded(trial.cost().flops / trial_seconds(trial))});
  }

  void peaks_and_shares() {
    const char* how = "multiply-adds in registers, all threads, the best of several";
    sheet_.peak_flops_per_s.bf16 = measured(peaks_.bf16, how);
    sheet_.peak_flops_per_s.f32 = measured(peaks_.f32, how);
    sheet_.memory_bytes_per_s =
        measured(peaks_.read_bandwidth, "reads, all threads, the best of several");
    sheet_.sustained_memory = measured_share(passes_bytes_per_s_ / peaks_.read_bandwidth,
                                             "an addition of 64 MB operands / the reads");
    sheet_.sustained.bf16 = large_products(ProductType::bf16, peaks_.bf16);
    sheet_.sustained.f32 = large_products(ProductType::f32, peaks_.f32);
  }

  Share large_products(ProductType type, double peak) const {
    std::vector<double> shares;
    for (const auto& p : sheet_.measured_products->points)
      if (p.type == type && 2.0 * double(p.rows * p.inner * p.columns) >= kLargeProduct)
        shares.push_back(p.flops_per_s / peak);
    const Spread s = spread_of(shares);
    return measured_share(
        s.mean, fmt::format("mean of {} products of 1 GFLOP or more", shares.size()), s.deviation);
  }

  void collectives() {
    auto& table = sheet_.measured_collectives.emplace();
    table.source = "autarky chip bench: median of 7, two ranks as threads of one process";
    run_local_ranks(kRanks, [&](Comm& comm) {
      for (std::size_t c = 0; c < kCollectiveNames.size(); ++c)
        for (const std::size_t bytes : grid_.bytes) {
          const auto what = CollectiveKind(c);
          const double seconds = std::max(measured_seconds(comm, what, bytes), 1e-9);
          if (comm.rank() == 0)
            table.points.push_back({std::string(kCollectiveNames[c]), kRanks, std::int64_t(bytes),
                                    rounded(seconds),
                                    rounded(bus_bytes(what, bytes, kRanks) / seconds)});
        }
    });
    LinkSheet link;
    link.name = "shared-memory";
    link.chips = kRanks;
    const auto& first = table.points.front();  // the smallest all-reduce: two rounds of messages
    double best = 0;
    for (const auto& p : table.points)
      if (p.collective == first.collective) best = std::max(best, p.bus_bytes_per_s);
    link.bytes_per_s = measured(best, "the best all-reduce over sizes");
    link.latency_s =
        measured(first.seconds / (2 * (kRanks - 1)), "the smallest all-reduce / rounds");
    link.sustained = measured_share(1, "the speed is a measured one");
    sheet_.links.push_back(std::move(link));
    step();
  }

  // Rates of products and all-reduces, alone and at once, each over about the same time.
  void overlap() {
    const auto [product_alone, none] = rates(true, false);
    const auto [nothing, reduce_alone] = rates(false, true);
    step();
    const auto [product_beside, reduce_beside] = rates(true, true);
    const char* how =
        "products of 1024 x 1024 x 1024 beside all-reduces of 8 MB, both at once / alone";
    sheet_.overlap.emplace();
    sheet_.overlap->products = measured_share(product_beside / product_alone, how);
    sheet_.overlap->transfers = measured_share(reduce_beside / reduce_alone, how);
    step();
  }

  // Per second, in a second.
  std::pair<double, double> rates(bool products, bool transfers) {
    std::atomic<bool> stop = false;
    double transfer_rate = 0;
    std::thread other;
    if (transfers) other = std::thread([&] { transfer_rate = transfers_until(stop); });
    const double start = now();
    int count = 0;
    if (products) {
      Trial trial(backend_, product_case(DType::f32, 1024, 1024, 1024));
      for (; now() < start + 1; ++count) trial.seconds();
    } else {
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
    const double product_rate = count / (now() - start);
    stop = true;
    if (other.joinable()) other.join();
    return {product_rate, transfer_rate};
  }

  // Rank 0 says in the vector itself whether there is a next one.
  static double transfers_until(const std::atomic<bool>& stop) {
    double rate = 0;
    run_local_ranks(kRanks, [&](Comm& comm) {
      std::vector<float> in((8 << 20) / sizeof(float), 1), out(in.size());
      const std::vector<int> world = {0, 1};
      const double start = now();
      int count = 0;
      for (out[0] = 1; out[0] > 0; ++count) {
        in[0] = comm.rank() == 0 && !stop ? 1 : 0;
        comm.all_reduce(world, DType::f32, Reduction::sum, std::as_bytes(std::span(in)),
                        std::as_writable_bytes(std::span(out)), {"chip bench", "chip_bench.cpp"})
            ->wait();
      }
      if (comm.rank() == 0) rate = count / (now() - start);
    });
    return rate;
  }

  const Backend& backend_;
  const ChipBenchOptions& options_;
  const Grid grid_;
  ChipSheet sheet_;
  cpu::Peaks peaks_;
  double passes_bytes_per_s_ = 0;
  int done_ = 0;
};

}  // namespace

ChipSheet bench_chip(const Backend& backend, const ChipBenchOptions& options) {
  return ChipBench(backend, options).run();
}

}  // namespace autarky
