// The learning rate of a step: a pure function, so a resumed run needs no state.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <tuple>

#include "base/keys.h"

namespace autarky {

enum class ScheduleKind : std::uint8_t {
  cosine,    // half a cosine from the peak down to min_lr_ratio x peak at the last step
  linear,    // a straight line to the same end
  wsd,       // warm-up, stable, decay: the peak until the last decay_steps, then a straight line
  constant,  // the peak for ever
};

// A recipe's section `schedule`.
struct ScheduleSection {
  ScheduleKind kind = ScheduleKind::cosine;
  std::int64_t warmup_steps = 0;
  double min_lr_ratio = 0.1;     // the last learning rate / the peak
  std::int64_t decay_steps = 0;  // of wsd; 0: a tenth of the steps

  static constexpr auto keys() {
    using S = ScheduleSection;
    return std::tuple{
        key("kind", &S::kind),
        key("warmup_steps", &S::warmup_steps, between(0, 1e12)),
        key("min_lr_ratio", &S::min_lr_ratio, between(0, 1)),
        key("decay_steps", &S::decay_steps, between(0, 1e12)),
    };
  }
  bool operator==(const ScheduleSection&) const = default;
};

// The first step whose learning rate is below the peak because of the decay is decay_start + 1.
inline std::int64_t decay_start(const ScheduleSection& schedule, std::int64_t steps) {
  if (schedule.kind != ScheduleKind::wsd) return schedule.warmup_steps;
  const std::int64_t decay =
      schedule.decay_steps > 0 ? schedule.decay_steps : std::max<std::int64_t>(1, steps / 10);
  return std::max(schedule.warmup_steps, steps - decay);
}

// Of step t in 1..steps. Warm-up: peak * t / warmup_steps for t <= warmup_steps. Then, with
// p = (t - decay_start) / (steps - decay_start) within [0, 1] and r = min_lr_ratio,
// peak * (r + (1 - r) * fall(p)), where fall is (1 + cos(pi p)) / 2, 1 - p or 1.
inline double learning_rate(const ScheduleSection& schedule, double peak, std::int64_t steps,
                            std::int64_t t) {
  if (t <= schedule.warmup_steps) return peak * double(t) / double(schedule.warmup_steps);
  if (schedule.kind == ScheduleKind::constant) return peak;
  const std::int64_t start = decay_start(schedule, steps);
  const double length = double(std::max<std::int64_t>(1, steps - start));
  const double p = std::clamp(double(t - start) / length, 0.0, 1.0);
  const double fall =
      schedule.kind == ScheduleKind::cosine ? (1 + std::cos(std::numbers::pi * p)) / 2 : 1 - p;
  return peak * (schedule.min_lr_ratio + (1 - schedule.min_lr_ratio) * fall);
}

}  // namespace autarky
