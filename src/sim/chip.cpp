#include "sim/chip.h"

#include <algorithm>
#include <cmath>

#include "ops/contract.h"

namespace autarky {

double ChipModel::peak(DType operands) const {
  const auto it = flops_per_s.find(operands);
  return it == flops_per_s.end() ? flops_per_s.at(DType::f32) : it->second;
}

double ChipModel::efficiency_at(const std::string& key, double intensity) const {
  const auto it = efficiency.find(key);
  if (it == efficiency.end() || it->second.empty()) return 1;
  const auto& points = it->second;
  const auto above = std::find_if(points.begin(), points.end(), [&](const EfficiencyPoint& p) {
    return p.intensity >= intensity;
  });
  if (above == points.begin()) return points.front().share;
  if (above == points.end()) return points.back().share;
  const auto below = above - 1;
  const double at =
      std::log(intensity / below->intensity) / std::log(above->intensity / below->intensity);
  return below->share + at * (above->share - below->share);
}

double ChipModel::roofline_s(const Cost& cost, DType operands) const {
  return std::max(cost.flops / peak(operands), cost.bytes / bytes_per_s);
}

std::string efficiency_key(const OpInfo& op, const std::any& attrs, Types out) {
  std::string key(op.name);
  if (op.name != Contract::name) return key;
  if (out[0].find('b') < 0) return key + ".weights";
  const auto spec = Contract::parse(std::any_cast<const Contract::Attrs&>(attrs).spec);
  const bool last_is_summed = spec.out.find(spec.right.back()) == std::string::npos;
  return last_is_summed ? key : key + ".inputs";
}

}  // namespace autarky
