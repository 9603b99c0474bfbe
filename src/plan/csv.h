// Tables of comma-separated values (RFC 4180) with a first row of column names.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/file.h"

namespace autarky {

using CsvRow = std::map<std::string, std::string>;  // by column; empty: not given

// InputError, with file and row, where a row has another number of fields than the first.
std::vector<CsvRow> read_csv(const fs::path& path);

}  // namespace autarky
