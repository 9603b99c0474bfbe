#include "sim/network.h"

#include <algorithm>

#include "sim/sheet_file.h"

namespace autarky {
namespace {

void check(const NetworkSheet& sheet, const std::string& where) {
  if (sheet.tiers.empty() || sheet.tiers.back().chips != 0)
    throw InputError("the last of the tiers must join all chips")
        .at(where)
        .found(sheet.tiers.empty() ? "no tiers" : fmt::format("{} chips", sheet.tiers.back().chips))
        .wanted("chips: 0");
  for (const auto& tier : sheet.tiers)
    if ((tier.port == TierSpeed::own) != tier.bytes_per_s.has_value())
      throw InputError(fmt::format("tier '{}' must say its speed once", tier.name))
          .at(where)
          .found(tier.bytes_per_s ? "bytes_per_s and port" : "neither")
          .wanted("bytes_per_s, or port: link or nic");
}

}  // namespace

double LinkTier::group_bytes_per_s(std::int64_t ranks) const {
  const double mesh = pair_bytes_per_s * double(std::max<std::int64_t>(1, ranks - 1));
  return sustained * std::min(bytes_per_s, mesh);
}

std::vector<std::string> network_ids() { return sheet_ids(embedded_networks()); }

NetworkSheet network_sheet(std::string_view id_or_path) {
  const SheetFile file = find_sheet(id_or_path, embedded_networks(), "network");
  auto sheet = read_sheet<NetworkSheet>(file, "network's sheet");
  check(sheet, file.where);
  return sheet;
}

std::vector<NamedFigure> figures(const NetworkSheet& sheet) {
  std::vector<NamedFigure> all;
  collect_figures(sheet, "", all);
  return all;
}

LinkTier plain_tier(const LinkSheet& tier, const Figure* link, const Figure* nic,
                    std::string_view where) {
  const Figure* own = tier.bytes_per_s ? &*tier.bytes_per_s : nullptr;
  const Figure* speed = tier.port == TierSpeed::own    ? own
                        : tier.port == TierSpeed::link ? link
                                                       : nic;
  if (!speed)
    throw InputError(fmt::format("the speed of the link '{}' is not known", tier.name))
        .at(where)
        .wanted(tier.port == TierSpeed::nic    ? "nic_bytes_per_s"
                : tier.port == TierSpeed::link ? "a link with bytes_per_s"
                                               : "bytes_per_s");
  LinkTier plain;
  plain.name = tier.name;
  plain.chips = tier.chips;
  plain.bytes_per_s = speed->value;
  plain.pair_bytes_per_s = tier.pair_bytes_per_s ? tier.pair_bytes_per_s->value : speed->value;
  plain.latency_s = tier.latency_s ? tier.latency_s->value : 0;
  plain.sustained = tier.sustained ? tier.sustained->value : kUnmeasuredSustained;
  plain.sustained_spread = tier.sustained ? tier.sustained->spread : kUnmeasuredSustainedSpread;
  plain.contention = tier.contention ? tier.contention->value : 1;
  return plain;
}

}  // namespace autarky
