// What one node takes on one rank of a device, whatever else runs.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "ir/graph.h"
#include "ir/mesh.h"
#include "sim/device.h"

namespace autarky {

// Where the time of a step goes.
enum class Part : std::uint8_t {
  flops,      // products at the peak
  again,      // of these, what is recomputed for the backward pass
  products,   // products beyond that
  attention,  // attention beyond its FLOPs at the peak
  memory,     // passes over memory: norms, gates, additions
  launches,
  tensor,    // waiting for what layers of one stage exchange
  update,    // norm, optimizer, sums over lanes, tied weights
  data,      // waiting for gradients and parameters over data-parallel ranks
  messages,  // between stages, where computation waits for the wire
  bubble,    // waiting for other stages
  slower,    // of that, because another stage has more to do
  input,     // reading a step's tokens
  jitter,    // all wait for the slowest
};
inline constexpr std::string_view kPartNames[] = {
    "FLOPs at the peak",
    "recomputation",
    "matrix products beyond the peak",
    "attention beyond the peak",
    "memory-bound passes",
    "kernel launches",
    "exposed tensor-parallel communication",
    "optimizer and norm",
    "exposed data-parallel communication",
    "messages between stages",
    "pipeline bubble",
    "waiting for slower stages",
    "reading data",
    "stragglers",
};
inline constexpr std::size_t kPartCount = std::size(kPartNames);

struct Seconds {
  std::array<double, kPartCount> by_part = {};

  double& operator[](Part p) { return by_part[std::size_t(p)]; }
  double operator[](Part p) const { return by_part[std::size_t(p)]; }
  double total() const;
  double of_products() const;  // attention among them; without launches and passes over memory
  Seconds& operator+=(const Seconds& o);
  Seconds operator*(double factor) const;
  // The same work in that time: FLOPs at the peak stay (at most all of it), the losses share the
  // rest as before.
  Seconds lasting(double seconds) const;
};

// Share of a large product's rate that one of [m k] x [k n], `batch` of them, reaches: large tiles
// that do not fill the last wave of cores, or that reach beyond the edge, are time lost (NVIDIA,
// "Matrix Multiplication Background", tile and wave quantization).
double product_share(const ChipModel& chip, double m, double n, double k, double batch = 1);

// Of a node that computes. Types of this rank.
Seconds node_seconds(const Node& node, Types in, Types out, const Device& device);

}  // namespace autarky
