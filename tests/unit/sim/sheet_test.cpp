#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "sim/chip_sheet.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {
namespace {

std::set<std::string> names_in(const char* folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(fs::path(AUTARKY_SOURCE_DIR) / folder))
    if (entry.path().extension() == ".yaml") names.insert(entry.path().stem().string());
  return names;
}

template <class T>
std::set<std::string> as_set(const std::vector<T>& v) {
  return {v.begin(), v.end()};
}

void expect_marked(const std::vector<NamedFigure>& all, const std::string& id) {
  for (const auto& [name, figure] : all) {
    EXPECT_GT(figure.source.size(), 5u) << id << " " << name;
    EXPECT_GT(figure.value, 0) << id << " " << name;
    EXPECT_LE(figure.spread, figure.value) << id << " " << name;
  }
}

TEST(ChipSheet, EveryFileIsASheetOfTheProgramWithMarksAndSources) {
  const auto ids = chip_ids();
  EXPECT_EQ(as_set(ids), names_in("chips"));
  EXPECT_EQ(ids.size(), 55u);
  const auto networks = as_set(network_ids());
  for (const auto& id : ids) {
    const ChipSheet sheet = chip_sheet(id);
    EXPECT_EQ(sheet.id, id);
    EXPECT_FALSE(sheet.title.empty() || sheet.vendor.empty()) << id;
    expect_marked(figures(sheet), id);
    EXPECT_TRUE(sheet.network.empty() || networks.contains(sheet.network)) << id;
    if (sheet.system) {
      EXPECT_NO_THROW(chip_sheet(sheet.system->chip)) << id;
    }
  }
}

TEST(NetworkSheet, EveryFileIsASheetOfTheProgramWithMarksAndSources) {
  const auto ids = network_ids();
  EXPECT_EQ(as_set(ids), names_in("networks"));
  for (const auto& id : ids) {
    const NetworkSheet sheet = network_sheet(id);
    EXPECT_EQ(sheet.id, id);
    expect_marked(figures(sheet), id);
    for (const auto& tier : sheet.tiers) EXPECT_TRUE(tier.latency_s) << id;
  }
}

struct Spot {
  const char* id;
  double peak, memory, bandwidth, link, watts;
};

TEST(ChipSheet, SpotValuesAreThoseOfThePublishedTable) {
  for (const Spot& spot : {Spot{"v100-32-sxm", 125e12, 32e9, 900e9, 150e9, 300},
                           {"a100-80-sxm", 312e12, 80e9, 2039e9, 300e9, 400},
                           {"h100-sxm", 989e12, 80e9, 3350e9, 450e9, 700},
                           {"ascend-910b", 353.9e12, 64e9, 1600e9, 196e9, 400},
                           {"mi300x", 1307e12, 192e9, 5300e9, 448e9, 750},
                           {"tpu-v4", 275e12, 32e9, 1200e9, 300e9, 192}}) {
    const ChipSheet sheet = chip_sheet(spot.id);
    ASSERT_TRUE(training_peak(sheet)) << spot.id;
    EXPECT_EQ(training_peak(sheet)->value, spot.peak) << spot.id;
    EXPECT_EQ(sheet.memory_bytes->value, spot.memory) << spot.id;
    EXPECT_EQ(sheet.memory_bytes_per_s->value, spot.bandwidth) << spot.id;
    EXPECT_EQ(sheet.links.back().bytes_per_s->value, spot.link) << spot.id;
    EXPECT_EQ(sheet.power_w->value, spot.watts) << spot.id;
  }
}

TEST(ChipSheet, MeasuredSharesAreOfTheDeclaredFigures) {
  const ChipSheet a100 = chip_sheet("a100-40-sxm");
  EXPECT_NEAR(a100.sustained.bf16->value * a100.peak_flops_per_s.bf16->value, 259.2e12, 0.2e12);
  EXPECT_NEAR(a100.links[0].sustained->value * 300e9, 467.9e9 / 2, 0.1e9);
  EXPECT_EQ(a100.sustained.bf16->mark, Mark::measured);
  EXPECT_EQ(a100.peak_flops_per_s.bf16->mark, Mark::declared);
  EXPECT_EQ(chip_sheet("h100-96-hbm2e-500w").peak_flops_per_s.bf16->mark, Mark::derived);
}

TEST(ChipSheet, ARumourIsNoFigure) {
  EXPECT_TRUE(figures(chip_sheet("ascend-910d-rumour")).empty());
}

TEST(ChipSheet, TiersGoFromTheNodeToTheWholeNetwork) {
  const auto tiers = link_tiers(chip_sheet("gb200"), network_sheet("nvl72"));
  ASSERT_EQ(tiers.size(), 3u);
  EXPECT_EQ(tiers[0].chips, 4);
  EXPECT_EQ(tiers[1].chips, 72);
  EXPECT_EQ(tiers[1].bytes_per_s, 900e9);  // NVLink goes on over the rack
  EXPECT_EQ(tiers[2].chips, 0);
  EXPECT_EQ(tiers[2].bytes_per_s, 50e9);  // the chip's own port
  for (const auto& id : chip_ids()) {
    const ChipSheet sheet = chip_sheet(id);
    if (sheet.network.empty() || sheet.system) continue;
    const auto all = link_tiers(sheet, network_sheet(sheet.network));
    EXPECT_EQ(all.back().chips, 0) << id;
    for (const auto& tier : all) EXPECT_TRUE(tier.bytes_per_s > 0 && tier.latency_s > 0) << id;
  }
}

// Of 8 chips in a full mesh two have one link, four have three each.
TEST(ChipSheet, AMeshGivesFewChipsFewLinks) {
  const auto tiers = link_tiers(chip_sheet("ascend-910b"), network_sheet("roce-200"));
  EXPECT_DOUBLE_EQ(tiers[0].group_bytes_per_s(2), 28e9 * tiers[0].sustained);
  EXPECT_DOUBLE_EQ(tiers[0].group_bytes_per_s(4), 84e9 * tiers[0].sustained);
  EXPECT_DOUBLE_EQ(tiers[0].group_bytes_per_s(8), 196e9 * tiers[0].sustained);
}

std::string refusal(const auto& act) {
  try {
    act();
  } catch (const InputError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(ChipSheet, AnUnknownNameIsAnsweredWithTheNearest) {
  EXPECT_EQ(refusal([] { chip_sheet("ascend-901b"); }),
            "unknown chip 'ascend-901b'. Did you mean 'ascend-910b'?");
  EXPECT_EQ(refusal([] { chip_sheet("h800"); }), "unknown chip 'h800'. There are: h800-sxm.");
  EXPECT_EQ(refusal([] { network_sheet("roce-20"); }),
            "unknown network 'roce-20'. There are: roce-200.");
}

class OwnSheet : public ::testing::Test {
 protected:
  std::string written(const std::string& text) {
    const fs::path path = folder_.write("own-chip.yaml", text);
    const std::string why = refusal([&] { sheet_ = chip_sheet(path.string()); });
    const auto name = why.find("own-chip");
    return name == std::string::npos ? why : why.substr(name);
  }

  const ScratchFolder folder_;
  ChipSheet sheet_;
};

constexpr const char* kHead = "title: mine\nvendor: me\nyear: 2026\n";
constexpr const char* kPeak =
    "peak_flops_per_s: {f32: {value: 1e12, mark: measured, source: a loop}}\n";
constexpr const char* kMemory =
    "memory_bytes: {value: 8e9, mark: declared, source: the box}\n"
    "memory_bytes_per_s: {value: 3e10, mark: measured, spread: 1e9, source: a loop}\n";

TEST_F(OwnSheet, APathToAFileWorksAndTheSheetIsWrittenAsItIsRead) {
  ASSERT_EQ(written(std::string(kHead) + kPeak + kMemory), "accepted");
  EXPECT_EQ(sheet_.id, "own-chip");
  EXPECT_EQ(sheet_.memory_bytes_per_s->spread, 1e9);
  const std::string text = to_yaml(sheet_);
  EXPECT_EQ(text.find("spread: 0"), std::string::npos) << text;  // what has its default is left out
  EXPECT_EQ(text.find("links"), std::string::npos) << text;
  ASSERT_EQ(written(text), "accepted") << text;
  EXPECT_EQ(to_yaml(sheet_), text);
}

TEST_F(OwnSheet, EveryMistakeIsNamedWithItsPlace) {
  const std::string head = kHead, whole = head + kPeak + kMemory;
  EXPECT_EQ(written(whole + "powr_w: 3\n"),
            "own-chip.yaml:7: unknown key 'powr_w'. Did you mean 'power_w'?");
  EXPECT_EQ(written(whole + "power_w: {value: -3, mark: declared, source: x}\n"),
            "own-chip.yaml:7: power_w.value cannot be used; found '-3', wanted a number above 0");
  EXPECT_EQ(written(whole + "power_w:\n"),
            "own-chip.yaml:7: power_w.value is missing; found no keys, wanted a key value");
  EXPECT_EQ(
      written(whole + "power_w: {value: 3, source: x}\n"),
      "own-chip.yaml:7: power_w.mark is missing; found only source, value, wanted a key mark");
  EXPECT_EQ(
      written(whole + "power_w: {value: 3, mark: guessed, source: x}\n"),
      "own-chip.yaml:7: power_w.mark cannot be used; found 'guessed', wanted one of declared, "
      "measured, derived, memory, rumour");
  EXPECT_EQ(
      written(whole + "sustained: {f32: {value: 85, mark: measured, source: x}}\n"),
      "own-chip.yaml:7: sustained.f32.value cannot be used; found '85', wanted a number above "
      "0 and at most 1");
  EXPECT_EQ(written(head + kPeak),
            "own-chip.yaml: memory_bytes is missing; found no such figure, wanted the figure, or "
            "memory_bytes in the list 'unknown' if it is not published");
  EXPECT_EQ(written(whole + "unknown: [memory_bytes]\n"),
            "own-chip.yaml: memory_bytes is given, and called unknown; found both, wanted the "
            "figure, or memory_bytes in the list 'unknown' if it is not published");
  EXPECT_EQ(written("vendor: me\nyear: 2026\n"),
            "own-chip.yaml:1: title is missing; found only vendor, year, wanted a key title");
}

TEST_F(OwnSheet, HostileTextIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("42"), std::string("[1]"), std::string(100000, '['),
        std::string("title: &a [*a]\n"), std::string("{"), std::string(2 << 20, '#'),
        std::string(kHead) + kPeak + kMemory + "tile: [1]\n",
        std::string(kHead) + kPeak + kMemory +
            "links: [{name: a, chips: 1, bytes_per_s: {value: 1, mark: memory, source: x}}]\n",
        std::string(kHead) + kPeak + kMemory +
            "price_usd: {low: 2, high: 1, mark: memory, source: x}\n"})
    EXPECT_NE(written(text), "accepted") << text.substr(0, 60);
  EXPECT_NE(refusal([] { chip_sheet("no/such.yaml"); }), "accepted");
}

}  // namespace
}  // namespace autarky
