#include "plan/csv.h"

#include <csv.h>
#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace autarky {
namespace {

struct Record {
  std::vector<std::string> fields;
  std::size_t line = 1;  // where it begins
};

class Parser {
 public:
  Parser(const std::string& text, const fs::path& path) : text_(text), path_(path) {
    AUTARKY_CHECK(csv_init(&csv_, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) == 0, "csv");
  }
  ~Parser() { csv_free(&csv_); }

  std::vector<Record> records() {
    for (std::size_t at = 0, end; at < text_.size(); at = end, ++line_) {
      end = std::min(text_.find('\n', at), text_.size() - 1) + 1;
      const std::string_view line = std::string_view(text_).substr(at, end - at);
      if (between_) now_.line = line_;
      between_ = between_ && line.find_first_not_of(" \t\r\n") == line.npos;
      if (csv_parse(&csv_, line.data(), line.size(), take_field, end_record, this) != line.size())
        refuse();
    }
    if (csv_fini(&csv_, take_field, end_record, this) != 0) refuse();
    return std::move(done_);
  }
  std::string place(std::size_t line) const { return fmt::format("{}:{}", path_.string(), line); }

 private:
  static void take_field(void* data, std::size_t size, void* parser) {
    static_cast<Parser*>(parser)->now_.fields.emplace_back(static_cast<const char*>(data), size);
  }
  static void end_record(int, void* parser) {
    auto& self = *static_cast<Parser*>(parser);
    self.between_ = true;
    if (!self.now_.fields.empty()) self.done_.push_back(std::exchange(self.now_, {}));
    self.now_.line = self.line_;
  }
  [[noreturn]] void refuse() const {
    throw InputError("not a table of comma-separated values")
        .at(place(now_.line))
        .hint("A quote within a quoted field is written twice");
  }

  const std::string& text_;
  const fs::path& path_;
  csv_parser csv_;
  std::size_t line_ = 1;
  bool between_ = true;  // two records
  Record now_;
  std::vector<Record> done_;
};

}  // namespace

std::vector<CsvRow> read_csv(const fs::path& path) {
  const std::string text = read_file(path);
  Parser parser(text, path);
  const auto records = parser.records();
  std::vector<CsvRow> rows;
  for (std::size_t i = 1; i < records.size(); ++i) {
    const auto &names = records[0].fields, &values = records[i].fields;
    CsvRow row{{}, parser.place(records[i].line)};
    if (values.size() != names.size())
      throw InputError("a row has another number of fields than the first")
          .at(row.place)
          .found(std::to_string(values.size()))
          .wanted(std::to_string(names.size()));
    for (std::size_t f = 0; f < names.size(); ++f) row.fields[names[f]] = values[f];
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace autarky
