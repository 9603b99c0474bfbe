// Tables of comma-separated values (RFC 4180) with a first row of column names.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/file.h"

namespace autarky {

struct CsvRow {
  std::map<std::string, std::string> fields;  // by column; empty: not given
  std::string place;                          // "FILE:7": where it begins
};

// Empty lines are no rows. InputError, with its place, for a row that has another number of fields
// than the first.
std::vector<CsvRow> read_csv(const fs::path& path);

}  // namespace autarky
