#include "sim/sheet_file.h"

#include "base/file.h"
#include "base/words.h"

namespace autarky {
namespace {

SheetFile read_own(const fs::path& path, std::string_view kind) {
  const MappedFile file(path);
  if (file.text().size() > kMostYamlBytes)
    throw InputError(fmt::format("too large for a {}'s sheet", kind))
        .at(path.string())
        .found(fmt::format("{} bytes", file.text().size()))
        .wanted(fmt::format("at most {}", kMostYamlBytes));
  return {path.stem().string(), path.string(), std::string(file.text())};
}

// "Did you mean 'a'?", or those of which `name` is a part.
std::string near_names(std::string_view name, const std::vector<std::string>& ids) {
  std::string parts;
  for (const auto& id : ids)
    if (name.size() >= 2 && id.find(name) != std::string::npos)
      parts += (parts.empty() ? "" : ", ") + id;
  const std::string nearest = nearest_name(name, ids);
  if (!parts.empty()) return fmt::format("There are: {}.", parts);
  return nearest.empty() ? "" : fmt::format("Did you mean '{}'?", nearest);
}

}  // namespace

SheetFile find_sheet(std::string_view id_or_path, std::span<const EmbeddedFile> files,
                     std::string_view kind) {
  for (const auto& file : files)
    if (file.id == id_or_path)
      return {std::string(file.id), fmt::format("{}s/{}.yaml", kind, file.id),
              std::string(file.text)};
  if (id_or_path.ends_with(".yaml")) return read_own(fs::path(id_or_path), kind);
  const auto hint = near_names(id_or_path, sheet_ids(files));
  throw InputError(fmt::format("unknown {} '{}'", kind, id_or_path))
      .hint(hint.empty()
                ? fmt::format("`autarky chip list` shows all; a path to a .yaml file works "
                              "too.")
                : hint);
}

std::vector<std::string> sheet_ids(std::span<const EmbeddedFile> files) {
  std::vector<std::string> ids;
  for (const auto& file : files) ids.emplace_back(file.id);
  return ids;
}

}  // namespace autarky
