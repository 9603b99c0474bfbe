#include "models/rope_json.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

namespace autarky {
namespace {

constexpr std::int64_t kMostPositions = 2147483647;
constexpr double kMostFactor = 1e6;

RopeKind read_kind(const ConfigReader& reader) {
  const char* key = reader.has("rope_type") ? "rope_type" : "type";
  const std::string name = reader.text(key, kRopeKindNames[0]);
  const std::span known(kRopeKindNames, std::size_t(RopeKind::telechat));
  const auto it = std::find(known.begin(), known.end(), name);
  if (it == known.end()) throw reader.wrong(key, fmt::format("{}", fmt::join(known, ", ")));
  return RopeKind(it - known.begin());
}

void read_yarn(const ConfigReader& reader, RopeConfig& rope) {
  rope.beta_fast = reader.positive("beta_fast", rope.beta_fast);
  rope.beta_slow = reader.positive("beta_slow", rope.beta_slow);
  if (rope.beta_slow > rope.beta_fast) throw reader.wrong("beta_slow", "at most beta_fast");
  rope.attention_factor = reader.amount("attention_factor", 0);
  rope.mscale = reader.amount("mscale", 0);
  rope.mscale_all_dim = reader.amount("mscale_all_dim", 0);
  reader.require_flag("truncate", true, "YaRN without whole ramp ends is not supported");
}

void read_llama3(const ConfigReader& reader, RopeConfig& rope) {
  rope.low_freq_factor = reader.positive("low_freq_factor");
  rope.high_freq_factor = reader.positive("high_freq_factor");
  if (rope.high_freq_factor <= rope.low_freq_factor)
    throw reader.wrong("high_freq_factor", "more than low_freq_factor");
}

// The part that "rope_scaling" and "rope_parameters" have in common.
void read_scaling(const ConfigReader& reader, std::int64_t max_positions, RopeConfig& rope) {
  rope.kind = read_kind(reader);
  if (rope.kind == RopeKind::none) return;
  rope.original_max_positions = max_positions;
  if (rope.kind == RopeKind::yarn || rope.kind == RopeKind::llama3)
    rope.original_max_positions =
        reader.count("original_max_position_embeddings", kMostPositions, max_positions);
  const bool from_ratio = rope.kind == RopeKind::yarn && !reader.has("factor");
  rope.factor = from_ratio ? double(max_positions) / double(rope.original_max_positions)
                           : reader.positive("factor");
  if (rope.factor < 1 || rope.factor > kMostFactor)
    throw reader.wrong("factor", fmt::format("a number from 1 to {:.0f}", kMostFactor));
  if (rope.kind == RopeKind::yarn) read_yarn(reader, rope);
  if (rope.kind == RopeKind::llama3) read_llama3(reader, rope);
}

double read_theta(const ConfigReader& reader, double fallback) {
  const double theta = reader.positive("rope_theta", fallback);
  if (theta <= 1) throw reader.wrong("rope_theta", "a number greater than 1");
  return theta;
}

}  // namespace

RopeConfig read_rope(const ConfigReader& reader, std::int64_t max_positions) {
  RopeConfig rope;
  rope.theta = read_theta(reader, rope.theta);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!reader.has(key)) continue;
    const ConfigReader section = reader.section(key);
    rope.theta = read_theta(section, rope.theta);
    read_scaling(section, max_positions, rope);
    if (section.positive("partial_rotary_factor", 1) != 1)
      throw section.wrong("partial_rotary_factor", "1");
  }
  if (reader.positive("partial_rotary_factor", 1) != 1)
    throw reader.wrong("partial_rotary_factor", "1");
  return rope;
}

void write_rope(const RopeConfig& rope, Json& json) {
  json["rope_theta"] = rope.theta;
  json["rope_scaling"] = nullptr;
  if (rope.kind == RopeKind::none) return;
  Json scaling = {{"rope_type", rope_kind_name(rope.kind)}, {"factor", rope.factor}};
  if (rope.kind == RopeKind::yarn || rope.kind == RopeKind::llama3)
    scaling["original_max_position_embeddings"] = rope.original_max_positions;
  if (rope.kind == RopeKind::llama3) {
    scaling["low_freq_factor"] = rope.low_freq_factor;
    scaling["high_freq_factor"] = rope.high_freq_factor;
  }
  if (rope.kind == RopeKind::yarn) {
    scaling["beta_fast"] = rope.beta_fast;
    scaling["beta_slow"] = rope.beta_slow;
    if (rope.attention_factor > 0) scaling["attention_factor"] = rope.attention_factor;
    if (rope.mscale > 0) scaling["mscale"] = rope.mscale;
    if (rope.mscale_all_dim > 0) scaling["mscale_all_dim"] = rope.mscale_all_dim;
  }
  json["rope_scaling"] = std::move(scaling);
}

}  // namespace autarky
