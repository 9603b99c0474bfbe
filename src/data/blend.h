// Which source each training sample comes from.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace autarky {

// Spreads samples over sources by weight: after n samples, source j has given n w_j of them to
// within one sample (w the weights' shares), for every n. This is Tijdeman's chairman assignment
// ("The chairman assignment problem", Discrete Mathematics 32, 1980) in whole numbers: shares are
// rounded to multiples of 2^-30 (none to 0), which adds n 2^-30 at most. Nothing random in it.
class Blend {
 public:
  // One weight a source, at least one source; InputError unless all are finite and above 0.
  explicit Blend(std::span<const double> weights);

  struct Choice {
    std::int64_t source;
    std::int64_t index;  // how many samples the source gave before
  };
  // The choice for sample i >= 0: the same whatever was asked before. Going forward costs
  // O(sources) a sample; going back starts anew: about 10 ns x sources x (i mod 2^30).
  Choice at(std::int64_t i);
  // How many of the first n samples each source gives. Costs as at(n - 1).
  std::vector<std::int64_t> given(std::int64_t n);

  // Whether both make the same choices.
  bool operator==(const Blend& other) const { return shares_ == other.shares_; }

 private:
  void restart(std::int64_t period);
  std::int64_t step();  // the source of sample next_; advances

  std::vector<std::int64_t> shares_;  // their sum is 2^30: choices repeat with that period
  std::vector<std::int64_t> lags_;    // share x samples - 2^30 x given, within the period
  std::vector<std::int64_t> given_;   // samples given by each source before next_
  std::int64_t next_ = 0;
  Choice last_{0, 0};  // the choice for sample next_ - 1
};

}  // namespace autarky
