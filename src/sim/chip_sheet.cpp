#include "sim/chip_sheet.h"

#include <algorithm>

#include "base/words.h"
#include "sim/sheet_file.h"

namespace autarky {
namespace {

// What a plan cannot do without.
struct Needed {
  std::string name;
  bool given;
};
std::vector<Needed> needed(const ChipSheet& s) {
  return {{"peak_flops_per_s", training_peak(s) || s.peak_flops_per_s.fp8},
          {"memory_bytes", s.memory_bytes.has_value()},
          {"memory_bytes_per_s", s.memory_bytes_per_s.has_value()}};
}

void check_unknown(const ChipSheet& sheet, const std::string& where) {
  std::vector<std::string> names;
  for (const auto& [name, given] : needed(sheet)) {
    names.push_back(name);
    const bool unknown =
        std::find(sheet.unknown.begin(), sheet.unknown.end(), name) != sheet.unknown.end();
    if (given != unknown) continue;
    throw InputError(given ? fmt::format("{} is given, and called unknown", name)
                           : fmt::format("{} is missing", name))
        .at(where)
        .found(given ? "both" : "no such figure")
        .wanted(
            fmt::format("the figure, or {} in the list 'unknown' if it is not published", name));
  }
  for (const auto& name : sheet.unknown)
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw InputError(fmt::format("'{}' cannot stand in the list 'unknown'", name))
          .at(where)
          .hint(fmt::format("Figures that may: {}.", fmt::join(names, ", ")));
}

void check_links(const ChipSheet& sheet, const std::string& where) {
  std::int64_t before = 1;
  for (const auto& link : sheet.links) {
    if (link.chips <= before)
      throw InputError(
          fmt::format("the link '{}' joins no more chips than what it holds", link.name))
          .at(where)
          .found(fmt::format("{} chips", link.chips))
          .wanted(fmt::format("more than {}", before));
    if (link.port != TierSpeed::own || !link.bytes_per_s)
      throw InputError(fmt::format("the link '{}' of a chip has a speed of its own", link.name))
          .at(where)
          .found(link.bytes_per_s ? fmt::format("port: {}", word_of(link.port)) : "none")
          .wanted("bytes_per_s");
    before = link.chips;
  }
}

void check(const ChipSheet& sheet, const std::string& where) {
  check_unknown(sheet, where);
  check_links(sheet, where);
  if (!sheet.tile.empty() && sheet.tile.size() != 2)
    throw InputError("tile cannot be used")
        .at(where)
        .found(fmt::format("{} numbers", sheet.tile.size()))
        .wanted("rows and columns");
  for (const auto* price : {&sheet.price_usd_per_hour, &sheet.price_usd})
    if (*price && (*price)->low > (*price)->high)
      throw InputError("a price's low is above its high")
          .at(where)
          .found(fmt::format("{} and {}", (*price)->low, (*price)->high));
}

}  // namespace

std::vector<std::string> chip_ids() { return sheet_ids(embedded_chips()); }

ChipSheet chip_sheet(std::string_view id_or_path) {
  const SheetFile file = find_sheet(id_or_path, embedded_chips(), "chip");
  auto sheet = read_sheet<ChipSheet>(file, "chip's sheet");
  check(sheet, file.where);
  return sheet;
}

std::string to_yaml(const ChipSheet& sheet) { return to_yaml(to_yaml_node(sheet)); }

std::vector<NamedFigure> figures(const ChipSheet& sheet) {
  std::vector<NamedFigure> all;
  collect_figures(sheet, "", all);
  return all;
}

const Figure* training_peak(const ChipSheet& sheet) {
  const auto& peaks = sheet.peak_flops_per_s;
  for (const auto* peak : {&peaks.bf16, &peaks.f16, &peaks.f32})
    if (*peak) return &**peak;
  return nullptr;
}

std::vector<LinkTier> link_tiers(const ChipSheet& chip, const NetworkSheet& network) {
  std::vector<LinkTier> tiers;
  const auto* nic = chip.nic_bytes_per_s ? &*chip.nic_bytes_per_s : nullptr;
  const Figure* link = nullptr;
  for (const auto& l : chip.links) {
    tiers.push_back(plain_tier(l, nullptr, nullptr, "chip " + chip.id));
    link = &*l.bytes_per_s;
  }
  const std::int64_t node = tiers.empty() ? 1 : tiers.back().chips;
  const std::string where = fmt::format("chip {} on network {}", chip.id, network.id);
  for (const auto& tier : network.tiers)
    if (tier.chips == 0 || tier.chips > node) tiers.push_back(plain_tier(tier, link, nic, where));
  return tiers;
}

}  // namespace autarky
