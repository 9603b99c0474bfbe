// Which files hold text, and how.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace autarky {

enum class TextFormat : std::uint8_t { txt, jsonl, unknown };  // unknown: of standard input alone
enum class Packing : std::uint8_t { none, gzip, zstd, by_content };  // the last: standard input's

inline constexpr std::string_view kStandardInput = "-";

struct TextFile {
  fs::path path;  // kStandardInput, or a file
  TextFormat format;
  Packing packing;

  bool is_standard_input() const { return path == kStandardInput; }
  std::string name() const;  // for messages
};

// The text files among the inputs, which are files, folders or "-": .txt and .jsonl, each plain,
// .gz or .zst. Inputs in the order given, the files of a folder (recursively; linked folders are
// not entered) sorted by their paths. A file that is given twice is listed twice. InputError for a
// missing input, a file with another ending, a folder without any such file, and "-" given twice.
std::vector<TextFile> list_text_files(std::span<const fs::path> inputs);

}  // namespace autarky
