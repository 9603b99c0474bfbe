// What the simulator knows of a device and its links.
#pragma once
#include <any>
#include <map>
#include <string>
#include <vector>

#include "ir/op_info.h"
#include "sim/network.h"

namespace autarky {

// How much of its roofline a kind of kernel reaches at one shape.
struct EfficiencyPoint {
  double intensity = 0;  // flop per byte of the shape
  double share = 1;      // roofline time / time; above 1 where caches beat the memory
};

struct ChipModel {
  std::string name;
  std::map<DType, double> flops_per_s;  // peak by the products' element type
  double fp8_flops_per_s = 0;           // 0: it has none
  double bytes_per_s = 0;               // memory
  // By efficiency_key, in rising intensity; absent: 1.
  std::map<std::string, std::vector<EfficiencyPoint>> efficiency;
  // Of large matrix products where nothing was measured by shape: the share of the peak they reach,
  // and the cores that share their tiles (0: not known, no rounding up to whole waves).
  double products = 1, fp8_products = 1;
  double matrix_cores = 0;
  double memory = 1;  // share of bytes_per_s that passes over large values reach
  std::int64_t memory_bytes = 0;
  double launch_s = 0;          // per node
  std::vector<LinkTier> links;  // nearest first

  double peak(DType operands) const;  // f32's, where the type has none of its own
  // Linear in log(intensity) between the points, constant beyond them.
  double efficiency_at(const std::string& key, double intensity) const;
  // max(flops / peak, bytes / bandwidth) (Williams, Waterman, Patterson 2009, "Roofline").
  double roofline_s(const Cost& cost, DType operands) const;
};

// The kind of kernel that an operation is: its name; a contraction's three forms apart, "contract"
// (rows times rows), "contract.inputs" (for the gradient of inputs) and "contract.weights".
std::string efficiency_key(const OpInfo& op, const std::any& attrs, Types out);

}  // namespace autarky
