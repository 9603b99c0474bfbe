#include "plan/csv.h"

#include <csv.h>
#include <fmt/core.h>

#include "base/error.h"

namespace autarky {
namespace {

using Lines = std::vector<std::vector<std::string>>;

Lines parse(const std::string& text, const fs::path& path) {
  csv_parser parser;
  AUTARKY_CHECK(csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) == 0, "csv");
  Lines lines(1);
  const auto field = [](void* data, std::size_t size, void* to) {
    static_cast<Lines*>(to)->back().emplace_back(static_cast<const char*>(data), size);
  };
  const auto row = [](int, void* to) { static_cast<Lines*>(to)->emplace_back(); };
  const bool whole =
      csv_parse(&parser, text.data(), text.size(), field, row, &lines) == text.size() &&
      csv_fini(&parser, field, row, &lines) == 0;
  csv_free(&parser);
  if (!whole)
    throw InputError("not a table of comma-separated values")
        .at(fmt::format("{}, row {}", path.string(), lines.size()))
        .hint("A quote within a quoted field is written twice");
  std::erase_if(lines, [](const auto& fields) { return fields.empty(); });
  return lines;
}

}  // namespace

std::vector<CsvRow> read_csv(const fs::path& path) {
  const Lines lines = parse(read_file(path), path);
  std::vector<CsvRow> rows;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].size() != lines[0].size())
      throw InputError("a row has another number of fields than the first")
          .at(fmt::format("{}, row {}", path.string(), i + 1))
          .found(std::to_string(lines[i].size()))
          .wanted(std::to_string(lines[0].size()));
    CsvRow row;
    for (std::size_t f = 0; f < lines[i].size(); ++f) row[lines[0][f]] = lines[i][f];
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace autarky
