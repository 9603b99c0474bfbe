// Links between chips, tier by tier, and the networks above the node: networks/*.yaml.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/figure.h"

namespace autarky {

// Where a tier's speed comes from.
enum class TierSpeed : std::uint8_t {
  own,   // the tier's bytes_per_s
  link,  // the chip's outermost link: the fabric of the node goes on beyond it
  nic,   // the chip's nic_bytes_per_s
};
constexpr auto words(const TierSpeed*) {
  return std::array{Words<TierSpeed>{"own", TierSpeed::own},
                    Words<TierSpeed>{"link", TierSpeed::link},
                    Words<TierSpeed>{"nic", TierSpeed::nic}};
}

// One tier as a sheet says it.
struct LinkSheet {
  std::string name;
  std::int64_t chips = 0;  // the domain that it joins; 0: all
  TierSpeed port = TierSpeed::own;
  std::optional<Figure> bytes_per_s;       // one direction, per chip
  std::optional<Figure> pair_bytes_per_s;  // between two chips alone, where that is less: a mesh
  std::optional<Figure> latency_s;         // of one message
  std::optional<Share> sustained;          // all-reduce bus bandwidth / bytes_per_s
  std::optional<Figure> contention;        // traffic of all with all is slowed by this

  static constexpr std::array<std::string_view, 2> kRequired = {"name", "chips"};
  static constexpr bool kBrief = true;
  static constexpr auto keys() {
    using S = LinkSheet;
    return std::tuple{key("name", &S::name),
                      key("chips", &S::chips, between(0, 1e9)),
                      key("port", &S::port),
                      key("bytes_per_s", &S::bytes_per_s),
                      key("pair_bytes_per_s", &S::pair_bytes_per_s),
                      key("latency_s", &S::latency_s),
                      key("sustained", &S::sustained),
                      key("contention", &S::contention)};
  }
};

struct NetworkSheet {
  std::string id;  // the file's name
  std::string title;
  std::vector<std::string> sources;  // a place for the file's anchors
  std::vector<LinkSheet> tiers;      // from inner to outer; the last one joins all
  std::string notes;

  static constexpr std::array<std::string_view, 2> kRequired = {"title", "tiers"};
  static constexpr auto keys() {
    using S = NetworkSheet;
    return std::tuple{key("title", &S::title), key("sources", &S::sources), key("tiers", &S::tiers),
                      key("notes", &S::notes)};
  }
};

// A tier in plain numbers, for the cost model.
struct LinkTier {
  std::string name;
  std::int64_t chips = 0;       // the domain that it joins; 0: all
  double bytes_per_s = 0;       // one direction, per chip, as declared
  double pair_bytes_per_s = 0;  // between two chips alone; bytes_per_s unless it is a mesh
  double latency_s = 0;         // of one message
  double sustained = 1;         // what large collectives reach of it
  double sustained_spread = 0;  // one standard deviation of it
  double contention = 1;        // all-to-all over the whole domain is slowed by this

  // Of `ranks` neighbours inside the domain: in a mesh n chips have n - 1 links each. Sustained.
  double group_bytes_per_s(std::int64_t ranks) const;
};

// What is taken where nobody has measured: between the 0.70 (MI300X), 0.78 (A100) and 0.82 (H100)
// of nodes and the 0.77 of HDR InfiniBand.
inline constexpr double kUnmeasuredSustained = 0.78, kUnmeasuredSustainedSpread = 0.08;

std::vector<std::string> network_ids();
// Of the program's own sheets by id, or of a .yaml file by path. InputError: unknown (with the
// nearest name), or not a sheet (file, line, key, found, wanted).
NetworkSheet network_sheet(std::string_view id_or_path);

std::vector<NamedFigure> figures(const NetworkSheet& sheet);  // all, with their dotted names

// InputError where `tier` has no speed: neither its own nor the `link` or `nic` it names.
LinkTier plain_tier(const LinkSheet& tier, const Figure* link, const Figure* nic,
                    std::string_view where);

}  // namespace autarky
