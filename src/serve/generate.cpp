#include "serve/generate.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/rng.h"

namespace autarky {
namespace {

void penalize(std::vector<float>& logits, std::span<const std::int32_t> seen, double penalty) {
  if (penalty == 1) return;
  for (std::int32_t t : std::set<std::int32_t>(seen.begin(), seen.end())) {
    float& x = logits[std::size_t(t)];
    x = float(x > 0 ? double(x) / penalty : double(x) * penalty);
  }
}

// Candidates by falling logit (then rising id), cut by top_k.
std::vector<std::int32_t> ranked(const std::vector<float>& logits, std::int64_t top_k) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto keep =
      std::ptrdiff_t(top_k > 0 ? std::min<std::int64_t>(top_k, std::int64_t(order.size()))
                               : std::int64_t(order.size()));
  std::partial_sort(order.begin(), order.begin() + keep, order.end(), [&](auto a, auto b) {
    const float x = logits[std::size_t(a)], y = logits[std::size_t(b)];
    return x != y ? x > y : a < b;
  });
  order.resize(std::size_t(keep));
  return order;
}

}  // namespace

void validate(const SamplingOptions& o) {
  const auto refuse = [](std::string_view key, double found, std::string_view wanted) {
    throw InputError(fmt::format("{} makes no sense", key))
        .found(fmt::format("{}", found))
        .wanted(std::string(wanted));
  };
  if (!(o.temperature > 0)) refuse("--temperature", o.temperature, "more than 0, or --greedy");
  if (o.top_k < 0) refuse("--top-k", double(o.top_k), "0 or more");
  if (!(o.top_p > 0 && o.top_p <= 1)) refuse("--top-p", o.top_p, "more than 0, at most 1");
  if (!(o.repetition_penalty > 0))
    refuse("--repetition-penalty", o.repetition_penalty, "more than 0");
  if (o.max_new_tokens < 1) refuse("--max-new-tokens", double(o.max_new_tokens), "1 or more");
}

std::int32_t sample_token(std::span<const float> raw, std::span<const std::int32_t> seen,
                          const SamplingOptions& o, std::int64_t index) {
  std::vector<float> logits(raw.begin(), raw.end());
  penalize(logits, seen, o.repetition_penalty);
  if (o.greedy)
    return std::int32_t(std::max_element(logits.begin(), logits.end()) - logits.begin());
  const auto order = ranked(logits, o.top_k);
  std::vector<double> share;  // running sums of exp((logit - top) / temperature)
  double total = 0;
  for (auto t : order)
    share.push_back(
        total +=
        std::exp(double(logits[std::size_t(t)] - logits[std::size_t(order[0])]) / o.temperature));
  const auto nucleus =
      std::size_t(std::lower_bound(share.begin(), share.end(), o.top_p * total) - share.begin());
  const auto last = std::min(nucleus, share.size() - 1);
  const double point = Random{o.seed, Purpose::sample}.uniform(std::uint64_t(index)) * share[last];
  const auto chosen = std::size_t(
      std::upper_bound(share.begin(), share.begin() + std::ptrdiff_t(last), point) - share.begin());
  return order[chosen];
}

std::vector<std::int32_t> generate(ServedModel& model, std::span<const std::int32_t> prompt,
                                   const SamplingOptions& o,
                                   const std::function<bool(std::int32_t)>& on_token) {
  validate(o);
  if (prompt.empty())
    throw InputError("the prompt has no tokens")
        .hint("Give a --prompt with at least one character");
  const auto ends = model.end_tokens();
  std::vector<std::int32_t> seen(prompt.begin(), prompt.end()), made;
  auto logits = model.feed(prompt);
  while (std::int64_t(made.size()) < o.max_new_tokens) {
    const auto token = sample_token(logits, seen, o, std::int64_t(made.size()));
    if (std::find(ends.begin(), ends.end(), token) != ends.end()) break;
    made.push_back(token);
    seen.push_back(token);
    if ((on_token && !on_token(token)) || std::int64_t(made.size()) == o.max_new_tokens) break;
    logits = model.feed({&token, 1});
  }
  return made;
}

}  // namespace autarky
