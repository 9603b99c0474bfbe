#include "train/trial.h"

#include <array>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/rng.h"

namespace autarky {
namespace {

void fill_floats(const Tensor& t) {
  constexpr std::size_t kPeriod = 4096;
  std::array<float, kPeriod> values;
  const Random random{1, Purpose::test};
  for (std::size_t i = 0; i < kPeriod; ++i) values[i] = float(0.1 * (random.uniform(i) - 0.5));
  for (std::size_t i = 0; i < std::size_t(t.elements()); ++i) {
    if (t.dtype() == DType::bf16) t.as<bf16>()[i] = bf16(values[i % kPeriod]);
    else t.as<float>()[i] = values[i % kPeriod];
  }
}

void fill_integers(const Tensor& t, Fill fill) {
  const auto extent = t.type->dims.back().extent;  // positions of a row; ids below it
  for (std::int64_t i = 0; i < t.elements(); ++i)
    t.as<std::int32_t>()[i] = fill == Fill::segments ? 0 : std::int32_t(i % extent);
}

}  // namespace

Trial::Trial(const Backend& backend, const TrialCase& what)
    : attrs_(what.attrs),
      in_types_(what.in),
      out_types_(output_types(*what.op, attrs_, in_types_)),
      cost_(what.op->cost(attrs_, in_types_, out_types_)),
      kernel_(backend.kernels().choose(*what.op, attrs_, in_types_, out_types_).kernel) {
  if (!kernel_) throw Error("no kernel to time").at(std::string(what.op->name));
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
  const auto aliases = what.op->aliases(attrs_, in_.size());
  for (std::size_t o = 0; o < aliases.size() && o < out_.size(); ++o)
    if (aliases[o] >= 0) out_[o].data = in_[std::size_t(aliases[o])].data;
  scratch_ = {base + scratch_at, std::size_t(scratch)};
  for (std::size_t i = 0; i < in_.size(); ++i) {
    if (in_[i].dtype() == DType::i32)
      fill_integers(in_[i], i < what.fill.size() ? what.fill[i] : Fill::ids);
    else fill_floats(in_[i]);
  }
}

double Trial::seconds() {
  const auto start = std::chrono::steady_clock::now();
  kernel_->launch(attrs_, {in_, out_, {}, scratch_});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace autarky
