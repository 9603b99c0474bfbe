#include "train/machine_sheet.h"

#include <fmt/core.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "backend/cpu/cpu_info.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "train/calibrate.h"

namespace autarky {
namespace {

constexpr int kVersion = 2;
// A peak this much above the sheet's says that the sheet was made on a busy machine.
constexpr double kBusy = 1.15;

// A sanitizer's slow kernels must not be taken for this machine's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::string_view kBuild = "-sanitized";
#else
constexpr std::string_view kBuild = "";
#endif

fs::path sheet_path(DType dtype) {
  return machine_file(fmt::format("-{}", dtype_name(dtype)), ".json");
}

Json to_json(const ChipModel& chip) {
  Json j = {{"version", kVersion},
            {"name", chip.name},
            {"bytes_per_s", chip.bytes_per_s},
            {"launch_s", chip.launch_s}};
  for (const auto& [t, peak] : chip.flops_per_s)
    j["flops_per_s"][std::string(dtype_name(t))] = peak;
  for (const auto& [key, points] : chip.efficiency)
    for (const auto& p : points)
      j["efficiency"][key].push_back({{"flop_per_byte", p.intensity}, {"share", p.share}});
  return j;
}

std::optional<ChipModel> read_sheet(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  try {
    const Json j = read_json(path);
    if (j.at("version") != kVersion) return std::nullopt;
    ChipModel chip;
    chip.name = j.at("name");
    chip.bytes_per_s = j.at("bytes_per_s");
    chip.launch_s = j.at("launch_s");
    for (const auto& [t, peak] : j.at("flops_per_s").items())
      chip.flops_per_s[parse_dtype(t).value()] = peak;
    for (const auto& [key, points] : j.at("efficiency").items())
      for (const auto& p : points)
        chip.efficiency[key].push_back({p.at("flop_per_byte"), p.at("share")});
    return chip;
  } catch (const std::exception&) {
    return std::nullopt;  // a sheet of another version: measured again
  }
}

}  // namespace

fs::path machine_file(std::string_view kind, std::string_view ending) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const fs::path base = cache && *cache ? fs::path(cache)
                        : home && *home ? fs::path(home) / ".cache"
                                        : fs::temp_directory_path();
  return base / "autarky" /
         fmt::format("chip-{}{}{}{}", hex64(xxh3(machine_name())), kind, kBuild, ending);
}

ChipModel local_chip(const Backend& backend, DType dtype, Sheet sheet) {
  const fs::path path = sheet_path(dtype);
  if (sheet != Sheet::fresh)
    if (auto chip = read_sheet(path);
        chip && (sheet == Sheet::kept || cpu::measure_f32_peak(1) < kBusy * chip->peak(DType::f32)))
      return *chip;
  if (sheet != Sheet::fresh)
    log_info("measuring this machine for predictions; takes seconds, and is kept");
  const ChipModel chip = calibrate(backend, dtype);
  try {
    fs::create_directories(path.parent_path());
    write_file_atomic(path, to_json(chip).dump(1));
  } catch (const std::exception& e) {
    log_warning(fmt::format("the measurements of this machine are not kept: {}", e.what()));
  }
  return chip;
}

}  // namespace autarky
