#include "models/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace autarky {
namespace {

std::vector<double> plain(double theta, std::int64_t head_dim) {
  std::vector<double> w(std::size_t(head_dim / 2));
  for (std::size_t i = 0; i < w.size(); ++i)
    w[i] = std::pow(theta, -2.0 * double(i) / double(head_dim));
  return w;
}

double ntk_theta(const RopeConfig& rope, std::int64_t head_dim, std::int64_t seq_len) {
  const double original = double(rope.original_max_positions);
  const double longer = std::max(double(seq_len), original) / original;
  const double d = double(head_dim);
  return rope.theta * std::pow(rope.factor * longer - (rope.factor - 1), d / (d - 2));
}

double telechat_theta(const RopeConfig& rope, std::int64_t head_dim) {
  const double alpha = std::exp2(std::ceil(std::log2(rope.factor) + 1)) - 1, d = double(head_dim);
  return rope.theta * std::pow(std::max(alpha, 1.0), d / (d - 2));
}

// The (fractional) pair that makes `turns` full turns over the original positions:
// N theta^(-2i/d) = 2 pi turns, solved for i.
double pair_of_turns(const RopeConfig& rope, std::int64_t head_dim, double turns) {
  const double n = double(rope.original_max_positions);
  return double(head_dim) * std::log(n / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(rope.theta));
}

void apply_yarn(const RopeConfig& rope, std::int64_t head_dim, std::vector<double>& w) {
  const double first = std::max(std::floor(pair_of_turns(rope, head_dim, rope.beta_fast)), 0.0);
  double last =
      std::min(std::ceil(pair_of_turns(rope, head_dim, rope.beta_slow)), double(head_dim - 1));
  if (last == first) last += 0.001;
  for (std::size_t i = 0; i < w.size(); ++i) {
    const double ramp = std::clamp((double(i) - first) / (last - first), 0.0, 1.0);
    w[i] = w[i] * (1 - ramp) + w[i] / rope.factor * ramp;
  }
}

void apply_llama3(const RopeConfig& rope, std::vector<double>& w) {
  const double n = double(rope.original_max_positions);
  for (double& x : w) {
    const double turns = n * x / (2 * std::numbers::pi);  // N / wavelength
    const double keep = std::clamp(
        (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor), 0.0, 1.0);
    x = (1 - keep) * x / rope.factor + keep * x;
  }
}

}  // namespace

std::vector<double> rope_inv_freq(const RopeConfig& rope, std::int64_t head_dim,
                                  std::int64_t seq_len) {
  double theta = rope.theta;
  if (rope.kind == RopeKind::ntk) theta = ntk_theta(rope, head_dim, seq_len);
  if (rope.kind == RopeKind::telechat) theta = telechat_theta(rope, head_dim);
  auto w = plain(theta, head_dim);
  if (rope.kind == RopeKind::linear)
    for (double& x : w) x /= rope.factor;
  if (rope.kind == RopeKind::yarn) apply_yarn(rope, head_dim, w);
  if (rope.kind == RopeKind::llama3) apply_llama3(rope, w);
  return w;
}

double rope_attention_factor(const RopeConfig& rope) {
  if (rope.kind != RopeKind::yarn) return 1;
  if (rope.attention_factor > 0) return rope.attention_factor;
  const auto m = [&](double scale) {
    return rope.factor <= 1 ? 1.0 : 0.1 * scale * std::log(rope.factor) + 1.0;
  };
  if (rope.mscale != 0 && rope.mscale_all_dim != 0) return m(rope.mscale) / m(rope.mscale_all_dim);
  return m(1);
}

}  // namespace autarky
