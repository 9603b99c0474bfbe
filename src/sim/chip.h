// What the simulator knows of a device and its links.
#pragma once
#include <any>
#include <map>
#include <string>
#include <vector>

#include "ir/op_info.h"

namespace autarky {

// How much of its roofline a kind of kernel reaches at one shape.
struct EfficiencyPoint {
  double intensity = 0;  // flop per byte of the shape
  double share = 1;      // roofline time / time; above 1 where caches beat the memory
};

struct ChipModel {
  std::string name;
  std::map<DType, double> flops_per_s;  // peak by the products' element type
  double bytes_per_s = 0;               // memory
  // By efficiency_key, in rising intensity; absent: 1.
  std::map<std::string, std::vector<EfficiencyPoint>> efficiency;
  double launch_s = 0;          // per node
  double link_latency_s = 0;    // alpha: per message
  double link_bytes_per_s = 0;  // 1 / beta: per link

  double peak(DType products) const;  // f32's, where the type has none of its own
  // Linear in log(intensity) between the points, constant beyond them.
  double efficiency_at(const std::string& key, double intensity) const;
  // max(flops / peak, bytes / bandwidth) (Williams, Waterman, Patterson 2009, "Roofline").
  double roofline_s(const Cost& cost, DType products) const;
};

// The kind of kernel that an operation is: its name; a contraction's three forms apart, "contract"
// (rows times rows), "contract.inputs" (for the gradient of inputs) and "contract.weights".
std::string efficiency_key(const OpInfo& op, const std::any& attrs, Types out);

}  // namespace autarky
