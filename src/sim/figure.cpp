#include "sim/figure.h"

#include <fmt/format.h>

namespace autarky {

std::string figure_text(const std::string& name, double value) {
  const auto is = [&](std::string_view part) { return name.find(part) != name.npos; };
  if (is("price_usd")) return fmt::format("{:.10g} USD{}", value, is("per_hour") ? "/h" : "");
  if (is("sustained") || name.starts_with("overlap")) return fmt::format("{:.1f}%", 100 * value);
  if (is("flops_per_s")) return fmt::format("{:.6g} TFLOP/s", value / 1e12);
  if (is("bytes_per_s")) return fmt::format("{:.6g} GB/s", value / 1e9);
  if (is("bytes")) return fmt::format("{:.6g} GB", value / 1e9);
  if (is("latency_s")) return fmt::format("{:.4g} us", value * 1e6);
  if (is("power_w")) return fmt::format("{:.10g} W", value);
  return fmt::format("{:.6g}", value);
}

std::string figure_text(const NamedFigure& f) {
  std::string text = figure_text(f.name, f.figure.value);
  if (f.figure.spread > 0) text += " +- " + figure_text(f.name, f.figure.spread);
  return text;
}

}  // namespace autarky
