// What a run keeps of the values of its steps: one file for each rank and session of the run.
#pragma once
#include <cstdint>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "values/names.h"
#include "values/summary.h"

namespace autarky {

// docs/formats/values.md: a line of JSON that names the values, then for each step its number and
// their summaries, little-endian.
class ValueWriter {
 public:
  ValueWriter(const fs::path& path, const Mesh& mesh, int rank,
              const std::vector<NamedValue>& values);
  // Handed to the system when this returns; a disk that is full is an Error.
  void write(std::int64_t step, std::span<const ValueSummary> values);

 private:
  fs::path path_;
  std::ofstream out_;
};

class ValueReader {
 public:
  // A last step that was cut off is left out. InputError for what no ValueWriter wrote.
  explicit ValueReader(const fs::path& path);

  const Mesh& mesh() const { return mesh_; }
  int rank() const { return rank_; }
  const std::vector<NamedValue>& values() const { return values_; }
  // Of a step that was written twice, the second.
  bool has(std::int64_t step) const { return steps_.contains(step); }
  const std::map<std::int64_t, std::size_t>& steps() const { return steps_; }  // and their places
  std::vector<ValueSummary> read(std::int64_t step) const;

 private:
  void read_head(std::string_view line, const std::string& where);

  MappedFile file_;
  Mesh mesh_;
  int rank_ = 0;
  std::vector<NamedValue> values_;
  std::map<std::int64_t, std::size_t> steps_;
};

// RUN/trace/from-00000001/rank-3.values: of the session that began with that step.
fs::path value_path(const fs::path& run, std::int64_t first_step, int rank);
// The sessions of a run: their first steps, rising. Empty where it kept no values.
std::vector<std::int64_t> value_sessions(const fs::path& run);
// Whether a writer got as far as to name its values.
bool has_values(const fs::path& path);
// Removes what was kept of that step and later ones, values and tapes: the run does them again.
void forget_values_from(const fs::path& run, std::int64_t step);

}  // namespace autarky
