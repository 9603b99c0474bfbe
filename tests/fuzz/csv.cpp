// A table of comma-separated values; written and read again it is the same.
#include "plan/csv.h"

#include "fuzz/fuzz.h"

using namespace autarky;

namespace {

std::string quoted(const std::string& field) {
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? "\"\"" : std::string(1, c);
  return text + "\"";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fs::path path = fuzz_folder().write("table.csv", as_text(data, size));
  std::vector<CsvRow> rows;
  if (!accepted([&] { rows = read_csv(path); }) || rows.empty()) return 0;
  std::string text;
  for (const auto& [name, value] : rows[0].fields) text += (text.empty() ? "" : ",") + quoted(name);
  for (const CsvRow& row : rows) {
    std::string line;
    for (const auto& [name, value] : row.fields) line += (line.empty() ? "" : ",") + quoted(value);
    text += "\n" + line;
  }
  fuzz_folder().write("table.csv", text);
  const auto again = read_csv(path);
  AUTARKY_CHECK(again.size() == rows.size(), "as many rows");
  for (std::size_t i = 0; i < rows.size(); ++i)
    AUTARKY_CHECK(again[i].fields == rows[i].fields, "a written table reads back the same");
  return 0;
}
