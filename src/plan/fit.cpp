#include "plan/fit.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/parallel.h"

namespace autarky {
namespace {

// Errors beyond so many standard deviations count by their size, not its square.
constexpr double kHuber = 1.5;

// A fitted number by its logarithm, over its prior.
struct Parameter {
  Fitted* number;
  double prior;      // the number at 0
  double deviation;  // of the logarithm, one standard deviation
  double x = 0;

  void set(double at) {
    x = at;
    number->value = prior * std::exp(at);
  }
};

// Judgements: what is plausible before a single run is seen.
constexpr double kHostPrior = 5e-6, kHostDeviation = 0.8;
constexpr double kInterferencePrior = 0.2, kInterferenceDeviation = 1.0;
constexpr double kMemoryPrior = 1.3, kMemoryDeviation = 0.35;
constexpr double kJitterPrior = 0.01, kJitterDeviation = 0.4;
constexpr double kInStepPrior = 0.93, kInStepDeviation = 0.05;

double relative(const Share* share, double otherwise) {
  return share && share->spread > 0 ? share->spread / share->value : otherwise;
}

class Fitter {
 public:
  Fitter(std::span<const CompiledRun> runs, const Calibration& start, const FitOptions& o)
      : runs_(runs), o_(o), start_(start), fitted_(start) {
    std::set<std::string> chips, profiles;
    for (const auto& r : runs) chips.insert(r.run().chip), profiles.insert(r.run().profile);
    // Room for all, before parameters point into it.
    fitted_.profiles.clear();
    fitted_.chips.clear();
    for (const auto& id : profiles) fitted_.profiles.push_back(start.stack(id));
    for (const auto& id : chips) fitted_.chips.push_back(start.chip(id));
    add(fitted_.jitter, kJitterPrior, kJitterDeviation);
    add(fitted_.in_step, kInStepPrior, kInStepDeviation);
    for (auto& p : fitted_.profiles) add_stack(p);
    for (auto& c : fitted_.chips) add_chip(c);
  }

  Calibration run() {
    for (int round = 0; round < o_.rounds; ++round) {
      measure();
      step(solution(nothing_left_out()));
    }
    measure();
    ranges();
    fitted_.error = interval();
    return with_the_others(fitted_);
  }

  // The numbers of chips and stacks that no run has stay as they were.
  Calibration with_the_others(Calibration all) const {
    for (const auto& p : start_.profiles)
      if (std::none_of(all.profiles.begin(), all.profiles.end(),
                       [&](const auto& q) { return q.id == p.id; }))
        all.profiles.push_back(p);
    for (const auto& c : start_.chips)
      if (std::none_of(all.chips.begin(), all.chips.end(),
                       [&](const auto& d) { return d.id == c.id; }))
        all.chips.push_back(c);
    return all;
  }

  std::vector<ValidatedRun> left_out() {
    measure();
    std::map<std::string, std::vector<std::size_t>> sources;
    for (std::size_t r = 0; r < runs_.size(); ++r) sources[runs_[r].run().source].push_back(r);
    std::vector<double> at;
    for (const auto& p : parameters_) at.push_back(p.x);
    std::vector<ValidatedRun> all(runs_.size());
    for (const auto& [source, rows] : sources) {
      auto counts = nothing_left_out();
      for (std::size_t r : rows) counts[r] = false;
      step(solution(counts));
      for (std::size_t r : rows) all[r] = runs_[r].validate(fitted_);
      for (std::size_t i = 0; i < at.size(); ++i) parameters_[i].set(at[i]);
    }
    return all;
  }

 private:
  void add(Fitted& number, double prior, double deviation) {
    Parameter p{&number, prior, deviation};
    p.set(number.value > 0 ? std::log(number.value / prior) : 0);
    parameters_.push_back(p);
  }
  void add_stack(FittedStack& f) {
    add(f.host_s, kHostPrior, kHostDeviation);
    add(f.interference, kInterferencePrior, kInterferenceDeviation);
    add(f.memory_passes, kMemoryPrior, kMemoryDeviation);
  }
  // What the sheets say is the prior, with their spread.
  void add_chip(FittedChip& f) {
    const ChipSheet sheet = chip_sheet(f.id);
    const auto& s = sheet.sustained;
    add(f.products, 1, relative(s.bf16 ? &*s.bf16 : nullptr, 0.08));
    const auto tiers = link_tiers(sheet, network_sheet(sheet.network));
    add(f.links, 1, tiers.front().sustained_spread / tiers.front().sustained);
    add(f.network, 1, tiers.back().sustained_spread / tiers.back().sustained);
  }

  double error(std::size_t r) const {
    const auto& run = runs_[r];
    return std::log(run.validate(fitted_).prediction.step_s / run.run().step_s);
  }
  std::vector<bool> nothing_left_out() const { return std::vector<bool>(runs_.size(), true); }

  void measure() {
    errors_.resize(runs_.size());
    parallel_for(std::int64_t(runs_.size()),
                 [&](std::int64_t r, int) { errors_[std::size_t(r)] = error(std::size_t(r)); });
    slopes_ = jacobian();
  }

  // The normal equations of the runs that count, and of the priors.
  struct Normal {
    std::vector<double> matrix, right;
  };
  Normal normal(const std::vector<bool>& counts) const {
    const std::size_t n = parameters_.size();
    Normal e{std::vector<double>(n * n, 0), std::vector<double>(n, 0)};
    for (std::size_t r = 0; r < runs_.size(); ++r) {
      if (!counts[r]) continue;
      const double off = std::abs(errors_[r]) / o_.noise;
      const double weight = (off <= kHuber ? 1 : kHuber / off) / (o_.noise * o_.noise);
      for (std::size_t i = 0; i < n; ++i) {
        if (slopes_[r][i] == 0) continue;
        e.right[i] -= weight * slopes_[r][i] * errors_[r];
        for (std::size_t j = 0; j < n; ++j)
          e.matrix[i * n + j] += weight * slopes_[r][i] * slopes_[r][j];
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      const double prior = 1 / (parameters_[i].deviation * parameters_[i].deviation);
      e.matrix[i * n + i] += prior;
      e.right[i] -= prior * parameters_[i].x;
    }
    return e;
  }
  std::vector<double> solution(const std::vector<bool>& counts) const {
    Normal e = normal(counts);
    return solve(std::move(e.matrix), std::move(e.right));
  }

  // What nine of ten runs are within, relative.
  double interval() const {
    std::vector<double> sizes;
    for (double e : errors_) sizes.push_back(std::abs(e));
    std::sort(sizes.begin(), sizes.end());
    return sizes[std::min(sizes.size() - 1, sizes.size() * 9 / 10)];
  }

  bool concerns(const Parameter& p, const PublishedRun& run) const {
    if (p.number == &fitted_.jitter || p.number == &fitted_.in_step) return true;
    for (const auto& f : fitted_.profiles)
      if (p.number >= &f.host_s && p.number <= &f.memory_passes) return f.id == run.profile;
    for (const auto& f : fitted_.chips)
      if (p.number >= &f.products && p.number <= &f.network) return f.id == run.chip;
    return false;
  }

  // By run and parameter.
  std::vector<std::vector<double>> jacobian() {
    constexpr double kStep = 0.02;
    std::vector<std::vector<double>> slopes(runs_.size(),
                                            std::vector<double>(parameters_.size(), 0));
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      Parameter& p = parameters_[i];
      const double x = p.x;
      p.set(x + kStep);
      parallel_for(std::int64_t(runs_.size()), [&](std::int64_t r, int) {
        const auto row = std::size_t(r);
        if (concerns(p, runs_[row].run())) slopes[row][i] = (error(row) - errors_[row]) / kStep;
      });
      p.set(x);
    }
    return slopes;
  }

  void step(const std::vector<double>& by) {
    for (std::size_t i = 0; i < by.size(); ++i)
      parameters_[i].set(parameters_[i].x + std::clamp(by[i], -0.7, 0.7));
  }

  // Of a symmetric positive matrix: Cholesky's L L^T, in place.
  static void factor(std::vector<double>& a, std::size_t n) {
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t i = j; i < n; ++i) {
        double sum = a[i * n + j];
        for (std::size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
        a[i * n + j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / a[j * n + j];
      }
  }
  static std::vector<double> solve(std::vector<double> a, std::vector<double> b) {
    const std::size_t n = b.size();
    factor(a, n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
      b[i] /= a[i * n + i];
    }
    for (std::size_t i = n; i-- > 0;) {
      for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
      b[i] /= a[i * n + i];
    }
    return b;
  }

  // One standard deviation of what is left, by the curvature at the optimum (Laplace).
  void ranges() {
    const std::size_t n = parameters_.size();
    const auto matrix = normal(nothing_left_out()).matrix;
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<double> unit(n, 0);
      unit[i] = 1;
      const double deviation = std::sqrt(solve(matrix, unit)[i]);
      Fitted& f = *parameters_[i].number;
      f.low = f.value * std::exp(-deviation);
      f.high = f.value * std::exp(deviation);
    }
  }

  std::span<const CompiledRun> runs_;
  const FitOptions& o_;
  const Calibration start_;
  Calibration fitted_;
  std::vector<Parameter> parameters_;
  std::vector<double> errors_;               // by run: log(predicted / published)
  std::vector<std::vector<double>> slopes_;  // by run and parameter
};

}  // namespace

Calibration fit(std::span<const CompiledRun> runs, const Calibration& start,
                const FitOptions& options) {
  return Fitter(runs, start, options).run();
}

std::vector<ValidatedRun> leave_sources_out(std::span<const CompiledRun> runs,
                                            const Calibration& fitted, const FitOptions& options) {
  return Fitter(runs, fitted, options).left_out();
}

}  // namespace autarky
