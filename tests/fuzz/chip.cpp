// A chip's sheet, and behind a byte 0 a network's; the sheet written and read again, and its links.
#include "fuzz/fuzz.h"
#include "sim/chip_sheet.h"

using namespace autarky;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parts = parts_of(as_text(data, size));
  const fs::path path = fuzz_folder().write("chip.yaml", parts[0]);
  ChipSheet chip;
  if (!accepted([&] { chip = chip_sheet(path.string()); })) return 0;
  const std::string text = to_yaml(chip);
  fuzz_folder().write("chip.yaml", text);
  AUTARKY_CHECK(to_yaml(chip_sheet(path.string())) == text, "a written sheet reads back the same");
  const fs::path network = fuzz_folder().write("network.yaml", parts.size() > 1 ? parts[1] : "");
  accepted([&] {
    for (const auto& tier : link_tiers(chip, network_sheet(network.string())))
      AUTARKY_CHECK(tier.bytes_per_s > 0, "a link has a speed");
  });
  return 0;
}
