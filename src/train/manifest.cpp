#include "train/manifest.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"

namespace autarky {
namespace {

constexpr int kFormat = 1;

// A plain name: a hostile manifest reaches no other folder.
bool is_plain(std::string_view name) {
  return !name.empty() && name.front() != '.' &&
         name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

bool is_number(const Json& object, const char* key, std::uint64_t wanted) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number_unsigned() && it->get<std::uint64_t>() == wanted;
}

void verify_file(const fs::path& path, const Json& entry) {
  const MappedFile file(path);
  const std::uint64_t size = file.bytes().size();
  if (!entry.is_object() || !entry.contains("bytes") || !entry.contains("xxh3"))
    throw InputError("the manifest has no 'bytes' and 'xxh3' of this file").at(path.string());
  if (!is_number(entry, "bytes", size))
    throw InputError("the file has another size than when it was written")
        .at(path.string())
        .found(fmt::format("{} bytes", size))
        .wanted(entry["bytes"].dump());
  const Json hash = hex64(xxh3(file.bytes()));
  if (entry["xxh3"] != hash)
    throw InputError("the file has other bytes than when it was written")
        .at(path.string())
        .found(fmt::format("xxh3 {}", hash.dump()))
        .wanted(entry["xxh3"].dump());
}

}  // namespace

WrittenFile write_listed_file(const fs::path& path, std::string_view content) {
  write_file_atomic(path, content);
  return {path.filename().string(), std::int64_t(content.size()), xxh3(content)};
}

void write_manifest(const fs::path& folder, std::int64_t step,
                    const std::vector<WrittenFile>& files) {
  Json list = Json::object();
  for (const auto& file : files)
    list[file.name] = {{"bytes", file.bytes}, {"xxh3", hex64(file.xxh3)}};
  const Json manifest = {{"format", kFormat}, {"step", step}, {"files", std::move(list)}};
  write_file_atomic(folder / "manifest.json", manifest.dump(2) + "\n");
}

void verify_manifest(const fs::path& folder, std::int64_t step) {
  const fs::path path = folder / "manifest.json";
  const Json manifest = read_json(path);
  const auto files = manifest.is_object() ? manifest.find("files") : manifest.end();
  if (!manifest.is_object() || files == manifest.end() || !files->is_object() ||
      !is_number(manifest, "format", kFormat))
    throw InputError("not a checkpoint's manifest of format 1").at(path.string());
  if (!is_number(manifest, "step", std::uint64_t(step)))
    throw InputError("the manifest is of another step").at(path.string());
  for (const auto& [name, entry] : files->items()) {
    if (!is_plain(name))
      throw InputError(fmt::format("the manifest names the file '{}'", name)).at(path.string());
    verify_file(folder / name, entry);
  }
}

}  // namespace autarky
