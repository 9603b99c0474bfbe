// Two sheets side by side: what a chip's maker declares and what was measured.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "sim/chip_sheet.h"

namespace autarky {

// One figure of two sheets.
struct ComparedFigure {
  std::string name;
  std::optional<Figure> declared, measured;
  // declared, for as many of the chip's cores as were measured; of peaks only
  std::optional<double> of_cores;

  // Measured / declared, of those cores where that is known; nothing without both.
  std::optional<double> ratio() const;
};

// All figures of either sheet, those of both first.
std::vector<ComparedFigure> compare_sheets(const ChipSheet& declared, const ChipSheet& measured);

// A page that opens offline: the figures side by side (without `declared` only the measured ones),
// the products, the collectives.
std::string chip_bench_page(const ChipSheet& measured, const ChipSheet* declared);

}  // namespace autarky
