#include "plan/goodput.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "models/parameters.h"
#include "sim/device.h"

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
      train_until(std::min(failure, end_));
      if (now_ >= end_) break;
      fail(failure);
      failure = next_failure(now_);  // none while the job is down
    }
    const double all = good_ + saving_ + repeated_ + down_;
    return {good_ / all, double(failures_) / (all / 86400), saving_ / all, repeated_ / all,
            down_ / all};
  }

 private:
  double next_failure(double after) {
    return after - std::log(1 - random_.uniform(drawn_++)) / m_.failures_per_s();
  }

  // From a whole checkpoint on: intervals, each with the checkpoint after it. What a failure finds
  // begun is repeated, and the interval before it where its checkpoint is not yet whole.
  void train_until(double at) {
    const double each = interval_ + m_.checkpoint_s, whole = std::floor((at - now_) / each);
    const double rest = at - now_ - whole * each;
    saving_ += whole * m_.checkpoint_s;
    good_ += whole * interval_;
    now_ = at;
    if (at >= end_) {
      good_ += std::min(rest, interval_);
      saving_ += std::max(0.0, rest - interval_);
      return;
    }
    repeated_ += rest;
    if (whole > 0 && rest < m_.write_s) {
      good_ -= interval_;
      repeated_ += interval_;
    }
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

CheckpointCost checkpoint_cost(const ModelConfig& model, std::int64_t chips,
                               double storage_bytes_per_s) {
  const double bytes = 12 * double(parameter_count(model));
  return {bytes, bytes / double(chips) / kHostBytesPerS, bytes / storage_bytes_per_s};
}

Goodput simulate_goodput(const FailureModel& model, double interval_s, double days,
                         std::uint64_t seed) {
  return Run(model, interval_s, days, seed).run();
}

Reliability reliability(const ModelConfig& model, std::int64_t chips, double chip_days_per_failure,
                        double storage_bytes_per_s) {
  Reliability r;
  r.checkpoint = checkpoint_cost(model, chips, storage_bytes_per_s);
  r.model.chips = chips;
  r.model.chip_days_per_failure = chip_days_per_failure;
  r.model.checkpoint_s = r.checkpoint.stop_s;
  r.model.write_s = r.checkpoint.write_s;
  r.model.spare_nodes = (chips / r.model.chips_per_node + 49) / 50;  // two in a hundred
  const double days = 300 / (r.model.failures_per_s() * 86400);      // of as many failures
  r.interval_s = best_interval_s(r.model, days);
  r.goodput = simulate_goodput(r.model, r.interval_s, days);
  return r;
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
  double best = std::max(young_interval_s(m), m.write_s), most = 0;
  for (int step = -12; step <= 12; ++step) {
    const double interval = std::max(young_interval_s(m) * std::exp2(step / 4.0), m.write_s);
    if (const double share = simulate_goodput(m, interval, days, seed).share; share > most) {
      most = share;
      best = interval;
    }
  }
  return best;
}

}  // namespace autarky
