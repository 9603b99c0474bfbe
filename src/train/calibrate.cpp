#include "train/calibrate.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_info.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "base/words.h"
#include "ops/catalog.h"

namespace autarky {
namespace {

// Operands of one operation in memory, filled with small numbers.
class Trial {
 public:
  Trial(const Backend& backend, const OpInfo& op, std::any attrs, std::vector<Type> in)
      : attrs_(std::move(attrs)),
        in_types_(std::move(in)),
        out_types_(output_types(op, attrs_, in_types_)) {
    kernel_ = backend.kernels().choose(op, attrs_, in_types_, out_types_).kernel;
    std::int64_t bytes = 0;
    const auto reserve = [&](std::int64_t n) {
      return std::exchange(bytes, bytes + (n + 63) / 64 * 64);
    };
    std::vector<std::int64_t> offsets;
    for (const auto* types : {&in_types_, &out_types_})
      for (const auto& t : *types) offsets.push_back(reserve(t.bytes()));
    const auto scratch = kernel_->scratch(attrs_, in_types_, out_types_),
               scratch_at = reserve(scratch);
    memory_ = backend.allocate(bytes);
    std::byte* base = memory_->bytes().data();
    for (std::size_t i = 0; i < in_types_.size(); ++i)
      in_.push_back({base + offsets[i], &in_types_[i]});
    for (std::size_t i = 0; i < out_types_.size(); ++i)
      out_.push_back({base + offsets[in_types_.size() + i], &out_types_[i]});
    const auto aliases = op.aliases(attrs_, in_.size());
    for (std::size_t o = 0; o < aliases.size() && o < out_.size(); ++o)
      if (aliases[o] >= 0) out_[o].data = in_[std::size_t(aliases[o])].data;
    scratch_ = {base + scratch_at, std::size_t(scratch)};
    for (const auto& t : in_) fill(t);
  }

  // The better of two, after one to warm up.
  double seconds() {
    double best = 1e30;
    for (int i = 0; i < 3; ++i) {
      const auto start = std::chrono::steady_clock::now();
      kernel_->launch(attrs_, {in_, out_, {}, scratch_});
      const double s =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (i > 0) best = std::min(best, s);
    }
    return best;
  }

  Types in_types() const { return in_types_; }
  Types out_types() const { return out_types_; }

 private:
  static void fill(const Tensor& t) {
    const Random random{1, Purpose::test};
    for (std::int64_t i = 0; i < t.elements(); ++i) {
      const double v = 0.1 * (random.uniform(std::uint64_t(i % 4096)) - 0.5);
      if (t.dtype() == DType::f32) t.as<float>()[i] = float(v);
      if (t.dtype() == DType::bf16) t.as<bf16>()[i] = bf16(float(v));
      // Positions within a sequence, or ids: both are fine with the index along the last dim.
      if (t.dtype() == DType::i32)
        t.as<std::int32_t>()[i] = std::int32_t(i % t.type->dims.back().extent);
    }
  }

  std::any attrs_;
  std::vector<Type> in_types_, out_types_;
  const Kernel* kernel_;
  std::unique_ptr<Memory> memory_;
  std::vector<Tensor> in_, out_;
  std::span<std::byte> scratch_;
};

class Calibration {
 public:
  Calibration(const Backend& backend, DType dtype) : backend_(backend), t_(dtype) {
    const auto peaks = cpu::measure_peaks();
    chip_.name = machine_name();
    chip_.flops_per_s = {{DType::f32, peaks.f32}, {DType::bf16, peaks.bf16}};
    chip_.bytes_per_s = peaks.read_bandwidth;
    chip_.launch_s = 2e-6;
  }

  ChipModel run() {
    const Dim b{'b', 1}, s{'s', 1024}, e{'e', 768}, f{'f', 2048}, g{'g', 12}, r{'r', 1}, d{'d', 64},
        v{'v', 2048};
    const Type x(t_, {b, s, e}), h(t_, {b, s, f}), w(t_, {f, e}), dw(DType::f32, {f, e}),
        norm(DType::f32, {e});
    const Type ids(DType::i32, {b, s}), tokens(DType::f32, {b, s}), q(t_, {b, s, g, r, d}),
        k(t_, {b, s, g, d});
    const Type lse(DType::f32, {b, s, g, r}), table(t_, {v, e}), wide(DType::f32, {v, e});
    measure<Contract>({"b s e, f e -> b s f", t_}, {x, w});
    measure<Contract>({"b s f, b s e -> f e", DType::f32, true}, {h, x, dw});
    measure<Attention>({0.125}, {q, k, k, ids, ids, ids, ids});
    measure<AttentionGrad>({0.125}, {q, k, k, ids, ids, ids, ids, q, lse, q});
    measure<LinearCrossEntropy>({DType::f32, true}, {x, table, ids, tokens, wide});
    measure<VocabStats>({}, {x, table, ids});
    measure<RmsNorm>({}, {x, norm});
    measure<RmsNormGrad>({}, {x, norm, x});
    measure<LayerNorm>({}, {x, norm, norm});
    measure<LayerNormGrad>({}, {x, norm, x});
    measure<Rope>({}, {q, ids, Type(DType::f32, {{'k', 32}})});
    measure<SiluGate>({}, {h, h});
    measure<SiluGateGrad>({}, {h, h, h});
    measure<Gelu>({}, {h});
    measure<GeluGrad>({}, {h, h});
    measure<Add>({}, {x, x});
    measure<Embedding>({}, {ids, table});
    measure<EmbeddingGrad>({v.extent, "v", DType::f32, true}, {ids, x, wide});
    measure<ExactSum>({true}, {wide});
    AdamW::Attrs adam;
    adam.copy = t_;
    measure<AdamW>(
        adam, {wide, wide, wide, wide, Type(DType::f32, {{'h', 3}}), Type(DType::f32, {{'y', 2}})});
    return chip_;
  }

 private:
  template <Operation Op>
  void measure(typename Op::Attrs attrs, std::vector<Type> in) {
    const OpInfo& op = op_info<Op>();
    Trial trial(backend_, op, attrs, std::move(in));
    const Cost cost = op.cost(attrs, trial.in_types(), trial.out_types());
    const auto peak = chip_.flops_per_s.find(t_);
    const double flops_per_s =
        peak == chip_.flops_per_s.end() ? chip_.flops_per_s.at(DType::f32) : peak->second;
    const double roofline = std::max(cost.flops / flops_per_s, cost.bytes / chip_.bytes_per_s);
    chip_.efficiency[cost_key(op, trial.out_types())] = roofline / trial.seconds();
  }

  const Backend& backend_;
  DType t_;
  ChipModel chip_;
};

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return std::string(trim(line.substr(line.find(':') + 1)));
  return "unknown processor";
}

// A sanitizer's slow kernels must not be taken for this machine's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::string_view kBuild = "-sanitized";
#else
constexpr std::string_view kBuild = "";
#endif

std::filesystem::path sheet_path(DType dtype) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const fs::path base = cache && *cache ? fs::path(cache)
                        : home && *home ? fs::path(home) / ".cache"
                                        : fs::temp_directory_path();
  return base / "autarky" /
         fmt::format("chip-{}-{}{}.json", hex64(xxh3(machine_name())), dtype_name(dtype), kBuild);
}

Json to_json(const ChipModel& chip) {
  Json j = {{"version", 1},
            {"name", chip.name},
            {"bytes_per_s", chip.bytes_per_s},
            {"launch_s", chip.launch_s}};
  for (const auto& [t, peak] : chip.flops_per_s)
    j["flops_per_s"][std::string(dtype_name(t))] = peak;
  for (const auto& [op, share] : chip.efficiency) j["efficiency"][op] = share;
  return j;
}

std::optional<ChipModel> read_sheet(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  try {
    const Json j = read_json(path);
    if (j.at("version") != 1) return std::nullopt;
    ChipModel chip;
    chip.name = j.at("name");
    chip.bytes_per_s = j.at("bytes_per_s");
    chip.launch_s = j.at("launch_s");
    for (const auto& [t, peak] : j.at("flops_per_s").items())
      chip.flops_per_s[parse_dtype(t).value()] = peak;
    for (const auto& [op, share] : j.at("efficiency").items()) chip.efficiency[op] = share;
    return chip;
  } catch (const std::exception&) {
    return std::nullopt;  // a sheet of another version: measured again
  }
}

}  // namespace

std::string machine_name() {
  return fmt::format("{}, {} threads, {}", processor_name(), thread_count(), cpu::isa_name());
}

ChipModel calibrate(const Backend& backend, DType dtype) {
  return Calibration(backend, dtype).run();
}

ChipModel local_chip(const Backend& backend, DType dtype, bool fresh) {
  const fs::path path = sheet_path(dtype);
  if (!fresh)
    if (auto chip = read_sheet(path)) return *chip;
  const ChipModel chip = calibrate(backend, dtype);
  try {
    fs::create_directories(path.parent_path());
    write_file_atomic(path, to_json(chip).dump(1));
  } catch (const std::exception& e) {
    log_warning(fmt::format("the measurements of this machine are not kept: {}", e.what()));
  }
  return chip;
}

}  // namespace autarky
