// Rotary position embedding: the frequencies by which pairs of a head's elements turn.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace autarky {

// How a model reaches beyond the positions it was first trained on.
enum class RopeKind : std::uint8_t { none, linear, ntk, yarn, llama3, telechat };
// The names in HF's config.json ("rope_type"); ntk is its "dynamic". TeleChat's files give lengths
// instead.
inline constexpr std::string_view kRopeKindNames[] = {"default", "linear", "dynamic",
                                                      "yarn",    "llama3", "telechat"};
constexpr std::string_view rope_kind_name(RopeKind k) {
  return kRopeKindNames[static_cast<std::size_t>(k)];
}

struct RopeConfig {
  double theta = 10000;
  RopeKind kind = RopeKind::none;
  double factor = 1;                        // all but none: how many times longer
  std::int64_t original_max_positions = 0;  // ntk, yarn, llama3, telechat: of the first training
  double low_freq_factor = 1;               // llama3
  double high_freq_factor = 4;              // llama3
  double beta_fast = 32;                    // yarn, in turns over the original positions
  double beta_slow = 1;                     // yarn
  double attention_factor = 0;              // yarn; 0: from factor, mscale and mscale_all_dim
  double mscale = 0;                        // yarn; 0: not given
  double mscale_all_dim = 0;                // yarn; 0: not given
  bool operator==(const RopeConfig&) const = default;
};

// Angle per position of each pair of elements (i, i + head_dim/2), i < head_dim/2:
//   none:   w_i = theta^(-2i/d)                                  Su et al., arXiv:2104.09864
//   linear: w_i / factor                                         Chen et al., arXiv:2306.15595
//   ntk:    theta' = theta (factor n/N - (factor - 1))^(d/(d-2)), n = max(seq_len, N), N the
//   original
//           positions: as none up to N, then by length           Peng et al., arXiv:2309.00071, 3.3
//   yarn:   w_i (1 - r_i) + w_i/factor r_i, r_i a ramp over i from the pair that turns beta_fast
//           times in N positions to the one that turns beta_slow times          the same, 3.2
//   llama3: w_i/factor where the wavelength exceeds N/low_freq_factor, w_i below
//   N/high_freq_factor,
//           between them a blend linear in N/wavelength          Llama 3, arXiv:2407.21783, and HF
//   telechat: theta' = theta a^(d/(d-2)), a = max(1, 2^ceil(log2(factor) + 1) - 1): NTK in steps,
//           for texts within the model's positions               Tele-AI's modeling_telechat2.py
// `seq_len` matters to ntk only. head_dim is even and at least 4.
std::vector<double> rope_inv_freq(const RopeConfig& rope, std::int64_t head_dim,
                                  std::int64_t seq_len);

// Factor on the cosines and sines (so twice on the logits): 1 for all but yarn, where it is
// attention_factor if given, else m(mscale) / m(mscale_all_dim) with both, else m(1);
// m(x) = 0.1 x ln(factor) + 1, or 1 for factor <= 1.
double rope_attention_factor(const RopeConfig& rope);

}  // namespace autarky
