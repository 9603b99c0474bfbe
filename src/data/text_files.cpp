#include "data/text_files.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"

namespace autarky {
namespace {

constexpr std::string_view kKnown = ".txt or .jsonl, or either with .gz or .zst behind it";

constexpr std::pair<std::string_view, Packing> kPackings[] = {{".gz", Packing::gzip},
                                                              {".zst", Packing::zstd}};
constexpr std::pair<std::string_view, TextFormat> kFormats[] = {{".txt", TextFormat::txt},
                                                                {".jsonl", TextFormat::jsonl}};

std::optional<TextFile> by_ending(const fs::path& path) {
  std::string name = path.filename().string();
  TextFile file{path, TextFormat::unknown, Packing::none};
  for (const auto& [ending, packing] : kPackings)
    if (name.ends_with(ending)) {
      file.packing = packing;
      name.resize(name.size() - ending.size());
      break;
    }
  for (const auto& [ending, format] : kFormats)
    if (name.ends_with(ending)) file.format = format;
  if (file.format == TextFormat::unknown) return std::nullopt;
  return file;
}

std::vector<TextFile> files_of_folder(const fs::path& folder) {
  std::vector<TextFile> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (auto file = by_ending(entry.path()); file && entry.is_regular_file())
      files.push_back(std::move(*file));
  if (files.empty())
    throw InputError(fmt::format("no text file under '{}'", folder.string()))
        .wanted(kKnown)
        .hint("Files with other endings are not read");
  std::sort(files.begin(), files.end(),
            [](const TextFile& a, const TextFile& b) { return a.path < b.path; });
  return files;
}

std::vector<TextFile> files_of_input(const fs::path& input) {
  if (input == kStandardInput) return {{input, TextFormat::unknown, Packing::by_content}};
  try {
    if (fs::is_directory(input)) return files_of_folder(input);
    if (!fs::exists(input)) throw InputError(fmt::format("no file '{}'", input.string()));
    if (!fs::is_regular_file(input))
      throw InputError(fmt::format("'{}' is neither a file nor a folder", input.string()))
          .hint("Give a stream as standard input: -");
  } catch (const fs::filesystem_error& error) {
    throw InputError(fmt::format("cannot read '{}': {}", input.string(), error.code().message()));
  }
  auto file = by_ending(input);
  if (!file)
    throw InputError(fmt::format("cannot tell what '{}' holds", input.string()))
        .found(fmt::format("ending '{}'", input.extension().string()))
        .wanted(kKnown)
        .hint("Rename it, or give it as standard input: -");
  return {std::move(*file)};
}

}  // namespace

std::string TextFile::name() const {
  return is_standard_input() ? "standard input" : path.string();
}

std::vector<TextFile> list_text_files(std::span<const fs::path> inputs) {
  if (inputs.empty()) throw InputError("no input files").hint("Name .txt or .jsonl files");
  if (std::count(inputs.begin(), inputs.end(), fs::path(kStandardInput)) > 1)
    throw InputError("standard input (-) is given twice").hint("It can be read once");
  std::vector<TextFile> files;
  for (const auto& input : inputs)
    for (auto& file : files_of_input(input)) files.push_back(std::move(file));
  return files;
}

}  // namespace autarky
