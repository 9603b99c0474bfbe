// Reads one line of the text form from left to right.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "ir/graph.h"

namespace autarky {

// Takes are from the left. InputError names the line, what was found and what was wanted.
class LineScanner {
 public:
  LineScanner(std::string_view text, std::size_t line) : rest_(text), line_(line) {}

  bool accept(std::string_view literal);  // taken if it comes next
  void expect(std::string_view literal);
  // Up to `end`, which is taken too; `wanted` says what lies before it.
  std::string_view until(std::string_view end, std::string_view wanted);
  std::string_view word(std::string_view wanted);  // up to a space or punctuation
  std::string_view all();                          // what is left
  std::int64_t number(std::int64_t least, std::int64_t most);
  Type type();
  std::size_t choice(std::span<const std::string_view> names);  // a word among these: its index
  void end();                                                   // nothing may be left

  bool done() const { return rest_.empty(); }
  std::string_view left() const { return rest_; }
  std::size_t line() const { return line_; }

  [[noreturn]] void bad(std::string_view found, std::string_view wanted) const;
  [[noreturn]] void bad(std::string_view wanted) const { bad(rest_, wanted); }
  // Runs `body`; what it throws about the input names this line.
  template <class Body>
  auto named(Body&& body) const {
    try {
      return body();
    } catch (const Error& e) {
      rethrow(e);
    }
  }

 private:
  [[noreturn]] void rethrow(const Error& e) const;

  std::string_view rest_;
  std::size_t line_;
};

// The lines of a text, without trailing blanks.
std::vector<std::string_view> lines_of(std::string_view text);

}  // namespace autarky
