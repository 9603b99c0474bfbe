#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "data/dataset.h"

namespace autarky {
namespace {

bool has(const std::vector<std::size_t>& list, std::size_t i) {
  return std::find(list.begin(), list.end(), i) != list.end();
}

void check_weights(std::span<const WeightedPrefix> prefixes) {
  const auto given = std::count_if(prefixes.begin(), prefixes.end(),
                                   [](const auto& p) { return p.weight.has_value(); });
  if (given != 0 && given != std::int64_t(prefixes.size()))
    throw InputError("some prefixes of the blend have a weight and some have none")
        .found(fmt::format("{} weights", given))
        .wanted(fmt::format("{} or none", prefixes.size()))
        .hint("Without weights each prefix counts by its tokens");
}

}  // namespace

TrainingSet::TrainingSet(std::span<const WeightedPrefix> prefixes, const SampleOptions& options,
                         const DataState& state)
    : options_(options), start_(state.blend_start) {
  for (const auto& source : state.sources) sources_.push_back({source, {}});
  std::vector<std::pair<std::size_t, double>> parts;
  for (std::size_t i = 0; i < sources_.size(); ++i)
    if (sources_[i].state.weight > 0) parts.emplace_back(i, sources_[i].state.weight);
  if (!parts.empty()) use(parts);
  open(prefixes);
  if (!blend_) change(start_, prefixes);
}

void TrainingSet::open(std::span<const WeightedPrefix> prefixes) {
  check_sources(prefixes, options_);
  check_weights(prefixes);
  find(prefixes);
}

std::vector<std::size_t> TrainingSet::find(std::span<const WeightedPrefix> prefixes) {
  std::vector<std::size_t> found;
  for (const auto& prefix : prefixes)
    found.push_back(find_one(prefix.prefix.lexically_normal().string(), found));
  return found;
}

// `taken`: those that the list has named so far.
std::size_t TrainingSet::find_one(const std::string& prefix,
                                  const std::vector<std::size_t>& taken) {
  std::size_t i = 0;
  while (i < sources_.size() && (has(taken, i) || sources_[i].state.prefix != prefix)) ++i;
  if (i < sources_.size() && sources_[i].data) return i;
  const auto content = hex64(MegatronDataset(prefix).fingerprint());
  if (i < sources_.size() && sources_[i].state.content != content)
    throw InputError("the token files are not those that the run was trained on")
        .at(prefix)
        .found(fmt::format("fingerprint {}", content))
        .wanted(sources_[i].state.content)
        .hint("Put the old files back, or give the new ones another prefix: a new source");
  for (std::size_t j = 0; j < sources_.size() && i == sources_.size(); ++j)  // moved?
    if (!sources_[j].data && !has(taken, j) && sources_[j].state.content == content) i = j;
  if (i == sources_.size()) sources_.push_back({{prefix, content}, {}});
  sources_[i].state.prefix = prefix;
  sources_[i].data.emplace(prefix, options_, std::uint32_t(i));
  return i;
}

void TrainingSet::use(const std::vector<std::pair<std::size_t, double>>& parts) {
  std::vector<double> weights;
  active_.clear();
  for (auto& source : sources_) source.state.weight = 0;
  for (const auto& [source, weight] : parts) {
    active_.push_back(source);
    weights.push_back(weight);
    sources_[source].state.weight = weight;
  }
  blend_.emplace(weights);
}

bool TrainingSet::change(std::int64_t first, std::span<const WeightedPrefix> prefixes) {
  check_sources(prefixes, options_);
  check_weights(prefixes);
  const auto found = find(prefixes);
  std::vector<std::pair<std::size_t, double>> parts;
  for (std::size_t k = 0; k < found.size(); ++k)
    parts.emplace_back(found[k],
                       prefixes[k].weight.value_or(double(sources_[found[k]].data->token_count())));
  std::sort(parts.begin(), parts.end());
  std::vector<std::size_t> active;
  std::vector<double> weights;
  for (const auto& [source, weight] : parts) active.push_back(source), weights.push_back(weight);
  if (blend_ && active == active_ && Blend(weights) == *blend_) return false;
  if (blend_) {
    const auto now = state(first);
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      sources_[i].state = now.sources[i];
      sources_[i].state.before = now.sources[i].samples;
    }
  }
  start_ = first;
  use(parts);
  return true;
}

void TrainingSet::read(std::int64_t first, std::int64_t count, Batch& batch) {
  AUTARKY_CHECK(first >= start_ && count >= 0, "samples of the blend in force");
  batch.resize(count, options_.seq_length);
  batch.target_count = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto choice = blend_->at(first + i - start_);
    auto& source = sources_[active_[std::size_t(choice.source)]];
    batch.target_count +=
        source.data->read(source.state.before + choice.index, batch.row(i, options_.seq_length));
  }
}

// The state after `samples` samples of the source.
SourceState TrainingSet::counted(const Source& source, std::int64_t samples) const {
  auto state = source.state;
  state.samples = samples;
  state.tokens = samples * options_.seq_length;
  if (source.data) state.epochs = double(samples) / double(source.data->samples_per_epoch());
  return state;
}

DataState TrainingSet::state(std::int64_t next) {
  AUTARKY_CHECK(next >= start_, "samples of the blend in force");
  DataState state{start_, {}};
  const auto given = blend_->given(next - start_);
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const auto at = std::find(active_.begin(), active_.end(), i);
    const auto more = at == active_.end() ? 0 : given[std::size_t(at - active_.begin())];
    state.sources.push_back(counted(sources_[i], sources_[i].state.before + more));
  }
  return state;
}

std::int64_t TrainingSet::token_count() const {
  std::int64_t sum = 0;
  for (const auto i : active_) sum += sources_[i].data->token_count();
  return sum;
}

}  // namespace autarky
