#include "values/compare.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/error.h"

namespace autarky {

RunValues::RunValues(const fs::path& run) {
  for (const auto first : value_sessions(run)) {
    std::vector<ValueReader> ranks;
    for (int r = 0; ranks.empty() || r < ranks[0].mesh().ranks(); ++r) {
      if (!has_values(value_path(run, first, r))) {  // the session was killed as it began
        ranks.clear();
        break;
      }
      ranks.emplace_back(value_path(run, first, r));
      if (ranks.back().rank() != r || !(ranks.back().mesh() == ranks[0].mesh()))
        throw InputError("this is another rank's file")
            .at(value_path(run, first, r).string())
            .found(
                fmt::format("rank {} of {}", ranks.back().rank(), ranks.back().mesh().to_string()));
    }
    if (!ranks.empty()) sessions_.emplace(first, std::move(ranks));
  }
}

std::vector<std::int64_t> RunValues::steps() const {
  std::vector<std::int64_t> steps;
  for (auto s = sessions_.begin(); s != sessions_.end(); ++s) {
    const auto next = std::next(s);
    for (const auto& [step, place] : s->second[0].steps()) {
      const bool again = next != sessions_.end() && step >= next->first;
      const bool whole = std::all_of(s->second.begin(), s->second.end(),
                                     [step = step](const auto& r) { return r.has(step); });
      if (whole && !again) steps.push_back(step);
    }
  }
  return steps;
}

const std::vector<ValueReader>& RunValues::ranks(std::int64_t step) const {
  return std::prev(sessions_.upper_bound(step))->second;
}

namespace {

std::set<Axis> axes_of(const Layout& layout, bool partial) {
  std::set<Axis> axes(layout.flat.begin(), layout.flat.end());
  for (const auto& split : layout.split) axes.insert(split.begin(), split.end());
  if (partial)
    for (const Partial& p : layout.partial) axes.insert(p.axis);
  return axes;
}

std::string layout_text(const Type& type, const Mesh& mesh) {
  std::string text = to_string(type.layout, type.dims);
  for (Axis a : axes_of(type.layout, true))
    text += fmt::format(" {}{}", axis_name(a), mesh.size(a));
  return text;
}

// The appearances of one value on all ranks, one after the other.
class Gatherer {
 public:
  explicit Gatherer(StepValues& step) : step_(step) {}

  void add(const ValueReader& file, const NamedValue& v, const ValueSummary& part, int appearance) {
    Gathered& g = gathered_[{v.name, appearance}];
    const auto layout = layout_text(v.type, file.mesh());
    if (g.whole.by_rank.empty()) g.whole.value = &v, g.whole.layout = layout;
    const auto at = file.mesh().coordinates(file.rank());
    std::vector<int> piece;  // which part it is
    for (Axis a : axes_of(v.type.layout, true)) piece.push_back(at[std::size_t(a)]);
    const auto [first, fresh] = g.parts.emplace(piece, std::pair(file.rank(), part));
    if (fresh) g.whole.whole = g.whole.whole + part;
    else if (first->second.second.hash != part.hash)
      contradict(v, fmt::format("rank {} has other bits than rank {}, which holds the same part",
                                file.rank(), first->second.first));
    g.whole.by_rank[file.rank()] = part;
  }

  // Of each value the first appearance that is whole, else the first.
  void finish() {
    for (auto& [key, g] : gathered_) {
      const auto [kept, fresh] = step_.values.try_emplace(key.first, g.whole);
      if (fresh) continue;
      WholeValue& before = kept->second;
      if (is_partial(g.whole)) continue;
      if (is_partial(before)) before = std::move(g.whole);
      else if (before.whole.hash != g.whole.whole.hash)
        contradict(*g.whole.value, fmt::format("made or moved again (appearance {}) it has other "
                                               "bits than before",
                                               key.second + 1));
    }
  }

 private:
  struct Gathered {
    WholeValue whole;
    std::map<std::vector<int>, std::pair<int, ValueSummary>> parts;
  };
  static bool is_partial(const WholeValue& w) { return !w.value->type.layout.partial.empty(); }

  void contradict(const NamedValue& v, const std::string& what) {
    step_.contradictions.push_back(fmt::format("{} ({}): {}", to_string(v.name), v.source, what));
  }

  StepValues& step_;
  std::map<std::pair<ValueName, int>, Gathered> gathered_;
};

}  // namespace

StepValues values_of(const std::vector<ValueReader>& ranks, std::int64_t step) {
  StepValues all;
  Gatherer gatherer(all);
  for (const auto& file : ranks) {
    const auto parts = file.read(step);
    std::map<ValueName, int> appearances;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const NamedValue& v = file.values()[i];
      gatherer.add(file, v, parts[i], appearances[v.name]++);
    }
  }
  gatherer.finish();
  return all;
}

namespace {

// A micro-batch after the other, forwards before backwards; then what several ranks' micro-batches
// are in, and what comes once per step.
auto place_of(const NamedValue& v) {
  const bool once = v.name.microbatch < 0;
  return std::tuple(once, v.name.together > 1, v.name.microbatch, once ? v.call : v.order, v.node,
                    v.name);
}

std::vector<int> ranks_of(const WholeValue& mine, const WholeValue& other) {
  std::vector<int> ranks;
  const bool alike = mine.layout == other.layout;
  for (const auto& [rank, part] : mine.by_rank) {
    const auto theirs = other.by_rank.find(rank);
    if (!alike || theirs == other.by_rank.end() || theirs->second.hash != part.hash)
      ranks.push_back(rank);
  }
  return ranks;
}

void check_shapes(const NamedValue& a, const NamedValue& b) {
  if (a.type.dims == b.type.dims) return;
  throw InputError("the runs do not compute the same: a value has other sizes")
      .at(to_string(a.name))
      .found(fmt::format("{} and {}", to_string(a.type), to_string(b.type)))
      .hint("Compare runs of one model, with the same train.seq_length and micro_batch_size");
}

}  // namespace

StepDifference compare(const StepValues& a, const StepValues& b, double tolerance) {
  StepDifference result;
  std::vector<std::pair<const NamedValue*, ValueDifference>> found;
  for (const auto& [name, x] : a.values) {
    const auto it = b.values.find(name);
    if (it == b.values.end()) continue;
    const WholeValue& y = it->second;
    check_shapes(*x.value, *y.value);
    const bool partial =
        !x.value->type.layout.partial.empty() || !y.value->type.layout.partial.empty();
    if (partial && x.layout != y.layout) continue;
    ++result.compared;
    if (x.whole.hash == y.whole.hash) continue;
    const double apart = distance(x.whole, y.whole);
    if (tolerance > 0 && apart <= tolerance) continue;
    found.emplace_back(x.value, ValueDifference{name, x.value->source, ranks_of(x, y),
                                                ranks_of(y, x), x.whole, y.whole, apart});
  }
  std::sort(found.begin(), found.end(),
            [](const auto& l, const auto& r) { return place_of(*l.first) < place_of(*r.first); });
  for (auto& [value, difference] : found) result.differences.push_back(std::move(difference));
  return result;
}

}  // namespace autarky
