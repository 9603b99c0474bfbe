#include "sim/device.h"

#include <fmt/core.h>

#include "base/error.h"

namespace autarky {
namespace {

// Of large matrix products and of passes over memory, where nobody has measured: between the 0.51
// of MI300X and the 0.87 of A100, and what the sheets say of memory.
constexpr double kUnmeasuredProducts = 0.75, kUnmeasuredMemory = 0.8;

const Figure& wanted(const std::optional<Figure>& figure, const char* name,
                     const ChipSheet& sheet) {
  if (!figure)
    throw InputError(fmt::format("the chip's {} is not known", name))
        .at("chips/" + sheet.id + ".yaml")
        .hint("Write a sheet of your own with it, and give its path in place of the name");
  return *figure;
}

}  // namespace

ChipModel chip_model(const ChipSheet& sheet, const NetworkSheet& network) {
  ChipModel chip;
  chip.name = sheet.id;
  const Figure* peak = training_peak(sheet);
  const auto& peaks = sheet.peak_flops_per_s;
  if (!peak) wanted(std::nullopt, "peak_flops_per_s", sheet);
  chip.flops_per_s = {{DType::bf16, peak->value},
                      {DType::f32, peaks.f32 ? peaks.f32->value : peak->value / 8}};
  chip.fp8_flops_per_s = peaks.fp8 ? peaks.fp8->value : 0;
  const auto& s = sheet.sustained;
  chip.products = s.bf16 ? s.bf16->value : s.f16 ? s.f16->value : kUnmeasuredProducts;
  chip.fp8_products = s.fp8 ? s.fp8->value : chip.products;
  chip.matrix_cores = sheet.matrix_cores ? sheet.matrix_cores->value : 0;
  chip.bytes_per_s = wanted(sheet.memory_bytes_per_s, "memory_bytes_per_s", sheet).value;
  chip.memory = sheet.sustained_memory ? sheet.sustained_memory->value : kUnmeasuredMemory;
  const auto& usable = sheet.usable_memory_bytes;
  chip.memory_bytes = std::int64_t(
      usable ? usable->value : wanted(sheet.memory_bytes, "memory_bytes", sheet).value);
  chip.links = link_tiers(sheet, network);
  return chip;
}

ChipModel chip_model(const ChipSheet& sheet) {
  if (sheet.network.empty()) wanted(std::nullopt, "network", sheet);
  return chip_model(sheet, network_sheet(sheet.network));
}

}  // namespace autarky
