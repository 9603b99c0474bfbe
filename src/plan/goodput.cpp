#include "plan/goodput.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace autarky {
namespace {

// One run, from event to event.
class Run {
 public:
  Run(const FailureModel& m, double interval_s, double days, std::uint64_t seed)
      : m_(m), interval_(interval_s), end_(days * 86400), random_{seed, Purpose::failures, 0} {}

  Goodput run() {
    double failure = next_failure(0);
    while (now_ < end_) {
      const double saved = now_ + interval_ + m_.checkpoint_s;  // the next checkpoint is whole
      if (std::min(saved, end_) <= failure) {
        const double trained = std::min(interval_, end_ - now_);
        good_ += trained;
        saving_ += std::min(saved, end_) - now_ - trained;
        now_ = std::min(saved, end_);
      } else {
        repeated_ += failure - now_;  // since the last whole checkpoint
        fail(failure);
        failure = next_failure(now_);  // none while the job is down
      }
    }
    const double all = good_ + saving_ + repeated_ + down_;
    return {good_ / all, double(failures_) / (all / 86400), saving_ / all, repeated_ / all,
            down_ / all};
  }

 private:
  double next_failure(double after) {
    return after - std::log(1 - random_.uniform(drawn_++)) / m_.failures_per_s();
  }

  void fail(double at) {
    ++failures_;
    double back = at + m_.detect_s + m_.restart_s;
    std::erase_if(repairs_, [&](double done) { return done <= at; });
    repairs_.push_back(at + m_.repair_s);
    if (std::int64_t(repairs_.size()) > m_.spare_nodes) {
      // The job goes on when one more node is whole than are missing.
      std::sort(repairs_.begin(), repairs_.end());
      const auto wanted = repairs_.size() - std::size_t(m_.spare_nodes) - 1;
      back = std::max(back, repairs_[wanted] + m_.restart_s);
    }
    down_ += back - at;
    now_ = back;
  }

  const FailureModel& m_;
  double interval_, end_;
  Random random_;
  std::uint64_t drawn_ = 0;
  double now_ = 0, good_ = 0, saving_ = 0, repeated_ = 0, down_ = 0;
  std::int64_t failures_ = 0;
  std::vector<double> repairs_;  // when nodes come back
};

}  // namespace

Goodput simulate_goodput(const FailureModel& model, double interval_s, double days,
                         std::uint64_t seed) {
  return Run(model, interval_s, days, seed).run();
}

double young_interval_s(const FailureModel& m) {
  return std::sqrt(2 * m.checkpoint_s / m.failures_per_s());
}

double daly_interval_s(const FailureModel& m) {
  const double c = m.checkpoint_s, mean = 1 / m.failures_per_s();
  if (c >= 2 * mean) return mean;
  const double root = std::sqrt(c / (2 * mean));
  return std::sqrt(2 * c * mean) * (1 + root / 3 + c / (9 * 2 * mean)) - c;
}

double best_interval_s(const FailureModel& m, double days, std::uint64_t seed) {
  double best = young_interval_s(m), most = 0;
  for (int step = -12; step <= 12; ++step) {
    const double interval = young_interval_s(m) * std::exp2(step / 4.0);
    if (const double share = simulate_goodput(m, interval, days, seed).share; share > most) {
      most = share;
      best = interval;
    }
  }
  return best;
}

}  // namespace autarky
