#include "train/calibrate.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>

#include "backend/cpu/cpu_info.h"
#include "base/median.h"
#include "base/parallel.h"
#include "base/words.h"
#include "ops/catalog.h"

namespace autarky {
namespace {

// The rounds go through all cases in turn, so that a burst of other work on the machine falls on
// one round of each; a case counts with its median. The first round only warms up.
constexpr int kRounds = 6;

class StandardCases {
 public:
  explicit StandardCases(DType dtype) : t_(dtype) {}

  std::vector<TrialCase> list() {
    for (const auto& [rows, in, out] :
         {std::tuple{4096, 256, 256}, {2048, 768, 768}, {2048, 768, 2048}, {1024, 2048, 2048}})
      products(rows, in, out);
    for (const auto& [seq, heads] : {std::pair{256, 16}, {1024, 8}, {4096, 2}})
      attention(seq, heads);
    head();
    element_wise();
    optimizer();
    return std::move(cases_);
  }

 private:
  template <Operation Op>
  void add(typename Op::Attrs attrs, std::vector<Type> in, std::vector<Fill> fill = {}) {
    cases_.push_back({&op_info<Op>(), std::move(attrs), std::move(in), std::move(fill)});
  }
  Type activation(std::int64_t rows, char name, std::int64_t width) const {
    return Type(t_, {{'b', batch_}, {'s', rows}, {name, width}});
  }

  void products(std::int64_t rows, std::int64_t in, std::int64_t out) {
    const Type x = activation(rows, 'e', in), h = activation(rows, 'f', out);
    const Dim e{'e', in}, f{'f', out};
    add<Contract>({"b s e, f e -> b s f", t_}, {x, Type(t_, {f, e})});
    add<Contract>({"b s f, f e -> b s e", t_}, {h, Type(t_, {f, e})});
    add<Contract>({"b s f, b s e -> f e", DType::f32, true}, {h, x, Type(DType::f32, {f, e})});
  }

  void attention(std::int64_t seq, std::int64_t heads) {
    const Dim b{'b', batch_}, s{'s', seq}, g{'g', heads}, r{'r', 1}, d{'d', 64};
    const Type q(t_, {b, s, g, r, d}), k(t_, {b, s, g, d}), ids(DType::i32, {b, s});
    const Type lse(DType::f32, {b, s, g, r});
    const auto p = Fill::positions, z = Fill::segments, n = Fill::normal;
    add<Attention>({0.125}, {q, k, k, ids, ids, ids, ids}, {n, n, n, p, p, z, z});
    add<AttentionGrad>({0.125}, {q, k, k, ids, ids, ids, ids, q, lse, q}, {n, n, n, p, p, z, z});
  }

  void head() {
    const Dim b{'b', batch_}, s{'s', 1024}, v{'v', 4096}, e{'e', 512};
    const Type x(t_, {b, s, e}), table(t_, {v, e}), wide(DType::f32, {v, e});
    const Type ids(DType::i32, {b, s}), tokens(DType::f32, {b, s});
    add<LinearCrossEntropy>({DType::f32, true}, {x, table, ids, tokens, wide});
    add<VocabStats>({}, {x, table, ids});
  }

  // Larger than the caches of a core, as in a step.
  void element_wise() {
    const Dim b{'b', batch_}, s{'s', 4096}, v{'v', 8192}, e{'e', 768};
    const Type x = activation(4096, 'e', 768), h = activation(4096, 'f', 2048);
    const Type norm(DType::f32, {e}), ids(DType::i32, {b, s}), table(t_, {v, e}),
        wide(DType::f32, {v, e});
    add<RmsNorm>({}, {x, norm});
    add<RmsNormGrad>({}, {x, norm, x});
    add<LayerNorm>({}, {x, norm, norm});
    add<LayerNormGrad>({}, {x, norm, x});
    add<Rope>(
        {}, {Type(t_, {b, s, {'g', 12}, {'r', 1}, {'d', 64}}), ids, Type(DType::f32, {{'k', 32}})});
    add<SiluGate>({}, {h, h});
    add<SiluGateGrad>({}, {h, h, h});
    add<Gelu>({}, {h});
    add<GeluGrad>({}, {h, h});
    add<Add>({}, {x, x});
    add<Embedding>({}, {ids, table});
    add<EmbeddingGrad>({v.extent, "v", DType::f32, true}, {ids, x, wide});
  }

  void optimizer() {
    const Type wide(DType::f32, {{'v', 8192}, {'e', 768}});
    AdamW::Attrs adam;
    adam.copy = t_;
    add<ExactSum>({true}, {wide});
    add<AdamW>(
        adam, {wide, wide, wide, wide, Type(DType::f32, {{'h', 3}}), Type(DType::f32, {{'y', 2}})});
  }

  const DType t_;
  const std::int64_t batch_ = std::max(1, thread_count() / 2);  // work for every thread
  std::vector<TrialCase> cases_;
};

}  // namespace

std::vector<TrialCase> standard_cases(DType dtype) { return StandardCases(dtype).list(); }

ChipModel calibrate(const Backend& backend, DType dtype) {
  ChipModel chip;
  const auto peaks = cpu::measure_peaks();
  chip.name = machine_name();
  chip.flops_per_s = {{DType::f32, peaks.f32}, {DType::bf16, peaks.bf16}};
  chip.bytes_per_s = peaks.read_bandwidth;
  chip.launch_s = 2e-6;
  const auto cases = standard_cases(dtype);
  std::vector<Trial> trials;
  for (const auto& c : cases) trials.emplace_back(backend, c);
  std::vector<std::vector<double>> seconds(cases.size());
  for (int round = 0; round < kRounds; ++round)
    for (std::size_t i = 0; i < trials.size(); ++i) {
      const double s = trials[i].seconds();
      if (round > 0) seconds[i].push_back(s);
    }
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const Cost& cost = trials[i].cost();
    chip.efficiency[efficiency_key(*cases[i].op, cases[i].attrs, trials[i].out_types())].push_back(
        {cost.flops / cost.bytes, chip.roofline_s(cost, dtype) / median(seconds[i])});
  }
  for (auto& [key, points] : chip.efficiency)
    std::sort(points.begin(), points.end(),
              [](const auto& a, const auto& b) { return a.intensity < b.intensity; });
  return chip;
}

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return std::string(trim(line.substr(line.find(':') + 1)));
  return "unknown processor";
}

std::string machine_name() {
  return fmt::format("{}, {} threads, {}", processor_name(), thread_count(), cpu::isa_name());
}

}  // namespace autarky
