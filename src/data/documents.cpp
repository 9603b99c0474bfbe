#include "data/documents.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include <simdjson.h>

#include "base/error.h"
#include "base/json.h"
#include "base/words.h"
#include "text/utf8.h"

namespace autarky {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

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

// Whether a stream of unknown format holds JSON lines.
bool starts_as_object(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const auto brace = text.find_first_not_of(" \t\r\n");
  if (brace == text.npos || text[brace] != '{') return false;
  const auto quote = text.find_first_not_of(" \t", brace + 1);
  return quote != text.npos && text[quote] == '"';
}

std::string replace_invalid(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    const auto length = valid_utf8_prefix(text);
    valid += text.substr(0, length);
    text.remove_prefix(length);
    if (text.empty()) break;
    valid += kReplacement;
    text.remove_prefix(1);
  }
  return valid;
}

// Of all files, 0 if one of them has none.
std::int64_t size_of(std::span<const TextFile> files) {
  std::int64_t sum = 0;
  for (const auto& file : files) {
    if (file.is_standard_input()) return 0;
    std::error_code ignored;  // a file that is gone is reported when it is opened
    const auto size = fs::file_size(file.path, ignored);
    if (!ignored) sum += std::int64_t(size);
  }
  return sum;
}

}  // namespace

// The text of most lines, many times as fast as parse_json. Its limits are narrower, UTF-8 among
// them: a line that it takes nothing from is parsed again, for the text or for the reason.
class DocumentReader::QuickJson {
 public:
  QuickJson() {
    constexpr std::size_t kMaxDepth = 32;
    if (parser_.allocate(kMaxLine, kMaxDepth) != simdjson::SUCCESS) parser_.set_max_capacity(0);
  }

  // Of keys that are equal the last counts. `line` is as it was afterwards.
  std::optional<std::string> text(std::string& line, std::string_view key) {
    const std::size_t size = line.size();
    if (size > kMaxLine) return std::nullopt;
    line.resize(size + simdjson::SIMDJSON_PADDING);
    simdjson::dom::object object;
    const bool parsed =
        parser_.parse(line.data(), size, false).get_object().get(object) == simdjson::SUCCESS;
    line.resize(size);
    std::optional<std::string> text;
    if (!parsed) return text;
    for (const auto& field : object) {
      if (field.key != key) continue;
      std::string_view value;
      if (field.value.get_string().get(value) != simdjson::SUCCESS) return std::nullopt;
      text = value;
    }
    return text;
  }

 private:
  static constexpr std::size_t kMaxLine = std::size_t(1) << 20;  // the parser holds 14 times that
  simdjson::dom::parser parser_{kMaxLine};
};

DocumentReader::DocumentReader(std::span<const fs::path> inputs, TextOptions options)
    : options_(std::move(options)),
      files_(list_text_files(inputs)),
      quick_json_(std::make_unique<QuickJson>()),
      total_bytes_(size_of(files_)) {}

DocumentReader::~DocumentReader() = default;

std::optional<std::string> DocumentReader::next() {
  while (more() || next_file_ < files_.size()) {
    if (part_.empty()) {
      open(files_[next_file_++]);
      continue;
    }
    std::string document = format_ == TextFormat::jsonl ? take_object() : take_block();
    if (trim(document).empty()) continue;
    ++documents_;
    return document;
  }
  if (documents_ == 0)
    throw InputError(fmt::format("no document in {} input file(s)", files_.size()))
        .at(files_.front().name())
        .found(fmt::format("{} bytes", bytes_read()))
        .hint("Every document is empty or white space");
  return std::nullopt;
}

std::int64_t DocumentReader::bytes_read() const {
  return closed_bytes_ + (stream_ ? stream_->bytes_taken() - std::int64_t(part_.size()) : 0);
}

void DocumentReader::open(const TextFile& file) {
  if (stream_) closed_bytes_ += stream_->bytes_taken();
  stream_ = std::make_unique<TextStream>(file);
  part_ = {};
  line_ = 0;
  format_ = file.format;
  if (format_ == TextFormat::unknown) format_ = options_.standard_input;
  if (format_ == TextFormat::unknown)
    format_ = more() && starts_as_object(part_) ? TextFormat::jsonl : TextFormat::txt;
}

bool DocumentReader::more() {
  if (part_.empty() && stream_) part_ = stream_->read();
  return !part_.empty();
}

std::string DocumentReader::where() const {
  return fmt::format("{}:{}", files_[next_file_ - 1].name(), line_);
}

void DocumentReader::take_line(std::string& to) {
  ++line_;
  for (bool ended = false; !ended && more();) {
    const auto end = part_.find('\n');
    ended = end != part_.npos;
    const auto length = ended ? end + 1 : part_.size();
    if (std::int64_t(to.size() + length) > options_.max_document_bytes)
      throw InputError(format_ == TextFormat::jsonl ? "a line is too long"
                                                    : "a document is too long")
          .at(where())
          .found(fmt::format("more than {} bytes", options_.max_document_bytes))
          .wanted("what fits in memory as a whole")
          .hint(fmt::format("Cut it into documents (.txt: by lines of {}), or raise the limit: "
                            "--max-document-mb",
                            kDocumentSeparator));
    to += part_.substr(0, length);
    part_.remove_prefix(length);
  }
  if (line_ == 1 && to.starts_with(kByteOrderMark)) to.erase(0, kByteOrderMark.size());
}

std::string DocumentReader::take_block() {
  std::string document;
  first_line_ = line_ + 1;
  while (more()) {
    const auto start = document.size();
    take_line(document);
    if (trim(std::string_view(document).substr(start)) != kDocumentSeparator) continue;
    document.resize(start);
    break;
  }
  check_utf8(document, true);
  return document;
}

std::string DocumentReader::take_object() {
  std::string line;
  first_line_ = line_ + 1;
  take_line(line);
  if (auto text = quick_json_->text(line, options_.key)) return *std::move(text);
  check_utf8(line, false);
  if (trim(line).empty()) return {};
  return text_of_object(parse_json(trim(line), where()), options_.key, where());
}

void DocumentReader::check_utf8(std::string& text, bool may_keep) {
  const auto valid = valid_utf8_prefix(text);
  if (valid == text.size()) return;
  const bool keeps = options_.invalid_utf8 == InvalidUtf8::keep && may_keep;
  if (options_.invalid_utf8 != InvalidUtf8::replace && !keeps) {
    line_ = first_line_ + std::count(text.begin(), text.begin() + std::ptrdiff_t(valid), '\n');
    const auto before = std::string_view(text).substr(0, valid).rfind('\n');
    const auto column = valid - (before == std::string_view::npos ? 0 : before + 1);
    throw InputError("the text is not UTF-8")
        .at(where())
        .found(fmt::format("byte 0x{:02x} at byte {} of the line",
                           static_cast<unsigned char>(text[valid]), column + 1))
        .hint(may_keep ? "Convert it (iconv -t UTF-8), or say --invalid-utf8 replace or keep"
                       : "Convert it (iconv -t UTF-8), or say --invalid-utf8 replace");
  }
  ++invalid_documents_;
  if (!keeps) text = replace_invalid(text);
}

}  // namespace autarky
