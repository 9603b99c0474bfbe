#include "data/documents.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/words.h"

namespace autarky {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_text_file(const fs::path& path) {
  return path.extension() == ".txt" || path.extension() == ".jsonl";
}

std::vector<fs::path> files_of_folder(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && is_text_file(entry.path())) files.push_back(entry.path());
  if (files.empty())
    throw InputError(fmt::format("no .txt or .jsonl file under '{}'", folder.string()))
        .hint("Files with other endings are not read");
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<fs::path> files_of_input(const fs::path& input) {
  try {
    if (fs::is_directory(input)) return files_of_folder(input);
    if (!fs::exists(input)) throw InputError(fmt::format("no file '{}'", input.string()));
    if (!fs::is_regular_file(input))
      throw InputError(fmt::format("'{}' is neither a file nor a folder", input.string()));
  } catch (const fs::filesystem_error& error) {
    throw InputError(fmt::format("cannot read '{}': {}", input.string(), error.code().message()));
  }
  if (!is_text_file(input))
    throw InputError(fmt::format("cannot tell what '{}' holds", input.string()))
        .found(fmt::format("ending '{}'", input.extension().string()))
        .wanted(".txt or .jsonl")
        .hint("Rename it, or unpack it if it is compressed");
  return {input};
}

std::string text_of_object(const Json& object, const std::string& key, std::string_view where) {
  if (!object.is_object())
    throw InputError("a line of .jsonl must be one JSON object")
        .at(where)
        .found(object.type_name())
        .wanted("{\"" + key + "\": \"...\"}");
  const auto found = object.find(key);
  if (found == object.end()) {
    std::vector<std::string> keys;
    for (const auto& item : object.items())
      if (keys.size() < 8) keys.push_back("'" + item.key().substr(0, 40) + "'");
    throw InputError(fmt::format("no key '{}'", key))
        .at(where)
        .found(keys.empty() ? "no key at all" : fmt::format("{}", fmt::join(keys, ", ")))
        .hint("Name the key that holds the text");
  }
  if (!found->is_string())
    throw InputError(fmt::format("the value of '{}' is not text", key))
        .at(where)
        .found(found->type_name())
        .wanted("a string");
  return found->get<std::string>();
}

}  // namespace

std::vector<fs::path> list_text_files(std::span<const fs::path> inputs) {
  if (inputs.empty()) throw InputError("no input files").hint("Name .txt or .jsonl files");
  std::vector<fs::path> files;
  for (const auto& input : inputs)
    for (auto& file : files_of_input(input)) files.push_back(std::move(file));
  return files;
}

DocumentReader::DocumentReader(std::span<const fs::path> inputs, std::string text_key)
    : text_key_(std::move(text_key)), files_(list_text_files(inputs)) {
  for (const auto& file : files_) {
    std::error_code ignored;  // a file that is gone is reported when it is opened
    const auto size = fs::file_size(file, ignored);
    if (!ignored) total_bytes_ += std::int64_t(size);
  }
}

std::optional<std::string> DocumentReader::next() {
  while (!rest_.empty() || next_file_ < files_.size()) {
    if (rest_.empty()) {
      open(files_[next_file_++]);
      continue;
    }
    const bool json = files_[next_file_ - 1].extension() == ".jsonl";
    std::string document = json ? take_object() : take_block();
    if (trim(document).empty()) continue;
    ++documents_;
    return document;
  }
  if (documents_ == 0)
    throw InputError(fmt::format("no document in {} input file(s)", files_.size()))
        .at(files_.front().string())
        .found(fmt::format("{} bytes", total_bytes_))
        .hint("Every document is empty or white space");
  return std::nullopt;
}

std::int64_t DocumentReader::bytes_read() const {
  return closed_bytes_ + std::int64_t(file_.bytes().size() - rest_.size());
}

void DocumentReader::open(const fs::path& path) {
  closed_bytes_ += std::int64_t(file_.bytes().size());
  file_ = MappedFile(path);
  rest_ = file_.text();
  line_ = 0;
  if (rest_.substr(0, kByteOrderMark.size()) == kByteOrderMark)
    rest_.remove_prefix(kByteOrderMark.size());
}

std::string_view DocumentReader::take_line() {
  const auto end = std::min(rest_.find('\n'), rest_.size());
  const auto line = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  ++line_;
  return line;
}

std::string DocumentReader::take_block() {
  const std::string_view start = rest_;
  while (!rest_.empty()) {
    const auto length = start.size() - rest_.size();
    if (trim(take_line()) == kDocumentSeparator) return std::string(start.substr(0, length));
  }
  return std::string(start);
}

std::string DocumentReader::take_object() {
  const auto line = trim(take_line());
  if (line.empty()) return {};
  const auto where = fmt::format("{}:{}", files_[next_file_ - 1].string(), line_);
  return text_of_object(parse_json(line, where), text_key_, where);
}

}  // namespace autarky
