#include "data/data_state.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace autarky {
namespace {

constexpr std::int64_t kMost = std::int64_t(1) << 46;  // samples: no sum of sources overflows

const Json& member(const Json& object, const char* key, std::string_view where) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  if (object.is_object() && it != object.end()) return *it;
  throw InputError(fmt::format("no usable '{}' in 'data'", key)).at(where).found("none");
}

InputError unusable(const char* key, const Json& found, std::string_view where) {
  return InputError(fmt::format("no usable '{}' in 'data'", key)).at(where).found(found.dump());
}

std::int64_t count(const Json& object, const char* key, std::string_view where,
                   std::int64_t most = kMost) {
  const Json& value = member(object, key, where);
  // A number above 2^63 is unsigned, and reads as a negative one.
  if (value.is_number_integer() && value.get<std::int64_t>() >= 0 &&
      value.get<std::int64_t>() <= most)
    return value.get<std::int64_t>();
  throw unusable(key, value, where).wanted("a whole number from 0");
}

double number(const Json& object, const char* key, std::string_view where) {
  const Json& value = member(object, key, where);
  if (value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() >= 0)
    return value.get<double>();
  throw unusable(key, value, where).wanted("a number from 0");
}

std::string text(const Json& object, const char* key, std::string_view where) {
  const Json& value = member(object, key, where);
  if (value.is_string()) return value.get<std::string>();
  throw unusable(key, value, where).wanted("a string");
}

}  // namespace

std::int64_t DataState::samples() const {
  std::int64_t sum = 0;
  for (const auto& source : sources) sum += source.samples;
  return sum;
}

Json to_json(const DataState& state) {
  Json sources = Json::array();
  for (const auto& s : state.sources)
    sources.push_back({{"prefix", s.prefix},
                       {"content", s.content},
                       {"weight", s.weight},
                       {"before", s.before},
                       {"samples", s.samples},
                       {"tokens", s.tokens},
                       {"epochs", s.epochs}});
  return {{"blend_start", state.blend_start}, {"sources", std::move(sources)}};
}

DataState data_state(const Json& json, std::string_view where) {
  DataState state;
  state.blend_start = count(json, "blend_start", where);
  const Json& sources = member(json, "sources", where);
  if (!sources.is_array() || sources.size() > 100'000)
    throw InputError("no usable 'sources' in 'data'").at(where).wanted("a list");
  std::int64_t before = 0;
  for (const Json& s : sources) {
    SourceState source{text(s, "prefix", where),   text(s, "content", where),
                       number(s, "weight", where), count(s, "before", where),
                       count(s, "samples", where), count(s, "tokens", where, kMost << 16),
                       number(s, "epochs", where)};
    if (source.before > source.samples)
      throw unusable("before", source.before, where)
          .wanted(fmt::format("at most 'samples', {}", source.samples));
    before += source.before;
    state.sources.push_back(std::move(source));
  }
  if (before != state.blend_start || state.samples() < before)
    throw InputError("the counts in 'data' do not add up")
        .at(where)
        .found(fmt::format("{} samples before the blend, {} in all", before, state.samples()))
        .wanted(fmt::format("{} before it", state.blend_start));
  return state;
}

}  // namespace autarky
