// What the program says: results on standard output, progress on standard error.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace autarky::cli {

// Writes to standard output and flushes. Error if it cannot be written (a full disk).
void print(std::string_view text);

// One object on one line. Bytes that are no UTF-8 become U+FFFD.
void print_json(const Json& object);

// "  key    value" lines, the values in one column.
std::string table(const std::vector<std::pair<std::string, std::string>>& rows);

// Text from a file as it may be shown: control characters, which a terminal would obey, and bytes
// that are not UTF-8 become \x1b and the like; tabs and, unless `one_line`, line ends stay.
std::string printable(std::string_view text, bool one_line = false);

// A line on standard error that is replaced by the next one. On a terminal it stays in its place
// and is shown at most ten times a second; elsewhere it is a plain line every few seconds.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(std::string_view line);
  void clear();  // before anything else is written

  bool terminal() const { return terminal_; }
  int columns() const;  // of the terminal

 private:
  bool terminal_, shown_ = false;
  std::chrono::steady_clock::time_point next_;
};

// How far a piece of work is, and the time that is left.
class WorkProgress {
 public:
  explicit WorkProgress(std::string what) : what_(std::move(what)) {}
  void update(std::int64_t done, std::int64_t total);  // total 0: bytes of an unknown number

 private:
  std::string what_;
  ProgressLine line_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Seconds since it was made.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace autarky::cli
