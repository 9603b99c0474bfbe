#include "sim/node_cost.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "ops/attention.h"
#include "ops/contract.h"
#include "ops/cross_entropy.h"
#include "ops/layer_norm.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"

namespace autarky {
namespace {

// Tiles of a product's result that libraries choose from, and the share of a core's rate that the
// smaller ones reach, since they read more for each multiply-add.
constexpr std::tuple<double, double, double> kTiles[] = {
    {256, 128, 1}, {128, 256, 1}, {128, 128, 0.96}, {128, 64, 0.85}, {64, 64, 0.7}};
// A tile's first operands arrive and its results leave while nothing is multiplied.
constexpr double kTileEdge = 64;  // as long as so many steps of k
// Casting an operand to fp8 goes along with the pass that makes it: written, and once more
// transposed.
constexpr double kCastBytes = 2;  // per element
// Of what the last wave of tiles leaves idle; the rest is shared out (split-k, stream-k).
constexpr double kIdleTail = 0.5;
// Score matrix of attention that is stored, in bytes per element of a 16-bit type: written by one
// product, read by the next, softmax with mask and dropout between (forward); and their gradients.
constexpr double kScoreBytesForward = 13, kScoreBytesBackward = 17;
// Products of attention that stores its scores: k is a head's size alone.
constexpr double kThinProducts = 0.6;

struct ProductShape {
  double m = 1, n = 1, k = 1, batch = 1;
};

ProductShape shape_of(const Contract::Attrs& attrs, Types in) {
  const auto spec = Contract::parse(attrs.spec);
  const Extents extents = bind_extents(Contract::rule({attrs.spec, attrs.out}, in), in.first(2));
  ProductShape s;
  for (const auto& [letter, extent] : extents) {
    const bool left = spec.left.find(letter) != std::string::npos;
    const bool right = spec.right.find(letter) != std::string::npos;
    const bool out = spec.out.find(letter) != std::string::npos;
    (left && right ? (out ? s.batch : s.k) : left ? s.m : s.n) *= double(extent);
  }
  return s;
}

// x [b s e] with w [v e]: logits, and for the gradients two products more.
ProductShape logits_of(Types in) {
  ProductShape s;
  s.k = double(in[0].dims.back().extent);
  s.m = double(in[0].elements()) / s.k;
  s.n = double(in[1].dims[0].extent);
  return s;
}

bool is_attention(const OpInfo& op) {
  return &op == &op_info<Attention>() || &op == &op_info<AttentionGrad>();
}

class NodeCost {
 public:
  NodeCost(const Node& node, Types in, Types out, const Device& device)
      : node_(node), in_(in), d_(device), cost_(node.op->cost(node.attrs, in, out)) {
    const auto key = efficiency_key(*node.op, node.attrs, out);
    measured_ = d_.chip.efficiency.contains(key);
    if (measured_) {
      const double intensity = cost_.bytes > 0 ? cost_.flops / cost_.bytes : 0;
      roofline_s_ = d_.chip.roofline_s(cost_, in[0].dtype) / d_.chip.efficiency_at(key, intensity);
    }
  }

  Seconds seconds() const {
    Seconds s;
    const double halves = d_.stack.tensor == TensorOverlap::half_batches ? 2 : 1;
    s[Part::launches] = d_.chip.launch_s + halves * d_.stack.host_s;
    if (node_.op == &op_info<Contract>()) {
      const auto& attrs = *std::any_cast<Contract::Attrs>(&node_.attrs);
      ProductShape shape = shape_of(attrs, in_);
      shape.m = std::max(1.0, shape.m / halves);
      product(s, shape, d_.stack.fp8);
    } else if (node_.op == &op_info<LinearCrossEntropy>() || node_.op == &op_info<VocabStats>() ||
               node_.op == &op_info<VocabStatsGrad>()) {
      product(s, logits_of(in_), false);
      const double logits = double(in_[1].dims[0].extent) * logits_of(in_).m;
      // Of the two nodes of a vocabulary over ranks each moves half.
      const double part = node_.op == &op_info<LinearCrossEntropy>() ? 1 : 0.5;
      if (!measured_) s[Part::memory] += memory_s(part * logits * d_.stack.logit_bytes);
    } else if (is_attention(*node_.op)) {
      attention(s);
    } else {
      s[Part::memory] = measured_ ? roofline_s_
                                  : std::max(memory_s(cost_.bytes * passes()),
                                             cost_.flops / d_.chip.peak(DType::f32));
    }
    return s;
  }

 private:
  double memory_s(double bytes) const { return bytes / (d_.chip.bytes_per_s * d_.chip.memory); }

  double passes() const {
    const auto* op = node_.op;
    const bool norm = op == &op_info<RmsNorm>() || op == &op_info<RmsNormGrad>() ||
                      op == &op_info<LayerNorm>() || op == &op_info<LayerNormGrad>() ||
                      op == &op_info<Rope>();
    return d_.stack.memory_passes * (norm ? d_.stack.norm_passes : 1);
  }

  void product(Seconds& s, const ProductShape& p, bool fp8) const {
    const bool low = fp8 && d_.chip.fp8_flops_per_s > 0;
    const double share = product_share(d_.chip, p.m, p.n, p.k, p.batch) *
                         (low ? d_.chip.fp8_products : d_.chip.products);
    const double peak = low ? d_.chip.fp8_flops_per_s : d_.chip.peak(in_[0].dtype);
    const double time =
        measured_ ? roofline_s_ : std::max(cost_.flops / peak / share, memory_s(cost_.bytes));
    s[Part::flops] = cost_.flops / peak;
    s[Part::products] = time - s[Part::flops];
    if (fp8 && !measured_) s[Part::memory] += memory_s(kCastBytes * double(in_[0].elements()));
  }

  void attention(Seconds& s) const {
    const bool backward = node_.op == &op_info<AttentionGrad>();
    const double peak = d_.chip.peak(in_[0].dtype), rate = peak * d_.chip.products;
    s[Part::flops] = cost_.flops / peak;
    double time = roofline_s_;
    if (!measured_ && d_.stack.attention == AttentionKernel::flash) {
      const double share = backward ? d_.stack.attention_backward : d_.stack.attention_forward;
      time = std::max(cost_.flops / (rate * share), memory_s(cost_.bytes));
    } else if (!measured_) {
      const AttentionShape n(in_);
      const double scores = double(n.b * n.s * n.t * n.g * n.r);
      // All pairs, and not the five products of a kernel that makes the scores again but four.
      const double flops = (backward ? 8 : 4) * scores * double(n.d);
      time = flops / (rate * kThinProducts) +
             memory_s(scores * (backward ? kScoreBytesBackward : kScoreBytesForward));
    }
    s[Part::attention] = time - s[Part::flops];
  }

  const Node& node_;
  Types in_;
  const Device& d_;
  Cost cost_;
  bool measured_ = false;
  double roofline_s_ = 0;
};

}  // namespace

double Seconds::of_products() const {
  const Seconds& s = *this;
  return s[Part::flops] + s[Part::products] + s[Part::attention];
}

double Seconds::total() const { return std::accumulate(by_part.begin(), by_part.end(), 0.0); }
Seconds& Seconds::operator+=(const Seconds& o) {
  for (std::size_t i = 0; i < kPartCount; ++i) by_part[i] += o.by_part[i];
  return *this;
}
Seconds Seconds::operator*(double factor) const {
  Seconds s = *this;
  for (double& part : s.by_part) part *= factor;
  return s;
}

Seconds Seconds::lasting(double seconds) const {
  const double flops = std::min((*this)[Part::flops], seconds);
  const double losses = total() - (*this)[Part::flops];
  Seconds s;
  if (losses > 0) s = *this * ((seconds - flops) / losses);
  else s[flops > 0 ? Part::products : Part::memory] = seconds - flops;
  s[Part::flops] = flops;
  return s;
}

double product_share(const ChipModel& chip, double m, double n, double k, double batch) {
  double best = 0;
  for (const auto& [rows, columns, share] : kTiles) {
    const double tiles = std::ceil(m / rows) * std::ceil(n / columns) * batch;
    const double filled = m * n * batch / (tiles * rows * columns);
    const double cores = chip.matrix_cores;
    const double waves = cores > 0 ? tiles / (std::ceil(tiles / cores) * cores) : 1;
    best = std::max(best, share * filled * (1 - kIdleTail * (1 - waves)));
  }
  return best * k / (k + kTileEdge);
}

Seconds node_seconds(const Node& node, Types in, Types out, const Device& device) {
  return NodeCost(node, in, out, device).seconds();
}

}  // namespace autarky
