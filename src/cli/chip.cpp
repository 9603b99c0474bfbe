// autarky chip list, autarky chip show: the data sheets of chips and networks.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/words.h"
#include "cli/chip_text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "sim/chip_sheet.h"

namespace autarky::cli {
namespace {

// "declared 9, memory 3"
std::string marks_text(const std::vector<NamedFigure>& all) {
  std::string text;
  for (const auto& [word, mark] : words(static_cast<const Mark*>(nullptr))) {
    const auto count = std::count_if(all.begin(), all.end(),
                                     [&](const NamedFigure& f) { return f.figure.mark == mark; });
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", word, count);
  }
  return text;
}

Json marks_json(const std::vector<NamedFigure>& all) {
  Json counts = Json::object();
  for (const auto& f : all) {
    const std::string word(word_of(f.figure.mark));
    counts[word] = counts.value(word, 0) + 1;
  }
  return counts;
}

// Of a training run: the bf16 peak, or another one with its type.
std::string peak_text(const ChipSheet& s) {
  const auto& p = s.peak_flops_per_s;
  const auto tera = [](const Figure& f) { return fmt::format("{:.6g}", f.value / 1e12); };
  if (p.bf16) return tera(*p.bf16);
  if (p.f16) return tera(*p.f16) + " f16";
  if (p.f32) return tera(*p.f32) + " f32";
  return p.fp8 ? tera(*p.fp8) + " fp8" : "-";
}

std::string giga(const std::optional<Figure>& figure) {
  return figure ? fmt::format("{:.7g}", figure->value / 1e9) : "-";
}

std::string link_text(const ChipSheet& s) {
  if (s.system) return fmt::format("{} x {}", s.system->chips, s.system->chip);
  if (s.links.empty()) return "-";
  const auto& link = s.links.back();
  return fmt::format("{} x {} {}", link.chips, giga(link.bytes_per_s), link.name);
}

std::string list_line(const ChipSheet& s) {
  return fmt::format("{:<24} {:<17} {:>10} {:>7} {:>8}  {:<27} {:<23} {}\n", s.id, s.vendor,
                     peak_text(s), giga(s.memory_bytes), giga(s.memory_bytes_per_s), link_text(s),
                     s.network.empty() ? "-" : s.network, marks_text(figures(s)));
}

Json list_json(const ChipSheet& s) {
  const auto value = [](const std::optional<Figure>& f) { return f ? Json(f->value) : Json(); };
  Json peaks = Json::object();
  for (const auto& [name, figure] : figures(s))
    if (name.starts_with("peak_flops_per_s.")) peaks[name.substr(17)] = figure.value;
  Json row = {{"id", s.id},
              {"title", s.title},
              {"vendor", s.vendor},
              {"year", s.year},
              {"peak_flops_per_s", std::move(peaks)},
              {"memory_bytes", value(s.memory_bytes)},
              {"memory_bytes_per_s", value(s.memory_bytes_per_s)},
              {"link", s.links.empty() ? Json() : Json(s.links.back().name)},
              {"link_chips", s.links.empty() ? Json() : Json(s.links.back().chips)},
              {"link_bytes_per_s", s.links.empty() ? Json() : value(s.links.back().bytes_per_s)},
              {"network", s.network},
              {"marks", marks_json(figures(s))}};
  if (s.system) row["system"] = {{"chip", s.system->chip}, {"chips", s.system->chips}};
  return row;
}

std::string tiers_text(const ChipSheet& s) {
  if (s.network.empty() || s.system) return "";
  std::string text = fmt::format("Links from inner to outer, on network {}:\n", s.network);
  for (const auto& t : link_tiers(s, network_sheet(s.network)))
    text += fmt::format(
        "  {:<16} {:>9} {:>8.4g} GB/s, {:.0f}% of it sustained, {:>5.3g} us, all to all x {:.3g}\n",
        t.name, t.chips == 0 ? "all chips" : fmt::format("{} chips", t.chips), t.bytes_per_s / 1e9,
        100 * t.sustained, t.latency_s * 1e6, 1 / t.contention);
  return text;
}

std::string show_text(const ChipSheet& s) {
  auto text = fmt::format("{}: {}, {}, {}\n", s.id, s.title, s.vendor, s.year);
  if (s.system)
    text += fmt::format("A system of {} {}; its figures are those of all of them.\n",
                        s.system->chips, s.system->chip);
  text += figures_text(figures(s));
  if (!s.unknown.empty()) text += fmt::format("Not published: {}.\n", fmt::join(s.unknown, ", "));
  if (!s.notes.empty()) text += s.notes + "\n";
  return printable(text + tiers_text(s));
}

std::string show_text(const NetworkSheet& s) {
  auto text = fmt::format("{}: {}\n{}", s.id, s.title, figures_text(figures(s)));
  if (!s.notes.empty()) text += s.notes + "\n";
  return printable(text);
}

template <class Sheet>
void show(const Command& command, const Sheet& sheet) {
  if (!command.json()) return print(show_text(sheet));
  Json object = {{"id", sheet.id}};
  object.update(sheet_json(sheet));
  print_json(object);
}

}  // namespace

void run_chip_list(Command& command) {
  if (!command.parse()) return;
  Json chips = Json::array();
  std::string text =
      fmt::format("{:<24} {:<17} {:>10} {:>7} {:>8}  {:<27} {:<23} {}\n", "id", "vendor", "bf16",
                  "memory", "memory", "links of a node", "network", "marks");
  text += fmt::format("{:<24} {:<17} {:>10} {:>7} {:>8}  {:<27}\n", "", "", "TFLOP/s", "GB", "GB/s",
                      "chips x GB/s");
  for (const auto& id : chip_ids()) {
    const ChipSheet sheet = chip_sheet(id);
    text += list_line(sheet);
    chips.push_back(list_json(sheet));
  }
  if (command.json()) return print_json({{"chips", std::move(chips)}, {"networks", network_ids()}});
  print(text +
        fmt::format("\n{} chips and systems. Networks: {}.\nautarky chip show NAME: each figure "
                    "with its mark and source.\n",
                    chips.size(), fmt::join(network_ids(), ", ")));
}

void run_chip_show(Command& command) {
  std::string name;
  command.add("NAME", name,
              "A chip or a network of `autarky chip list`, or a path to a chip's .yaml",
              Need::required);
  if (!command.parse()) return;
  const auto chips = chip_ids(), networks = network_ids();
  const bool network = std::find(networks.begin(), networks.end(), name) != networks.end() ||
                       (nearest_name(name, chips).empty() && !nearest_name(name, networks).empty());
  if (network) show(command, network_sheet(name));
  else show(command, chip_sheet(name));
}

}  // namespace autarky::cli
