#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace autarky {

Error::Error(std::string what, int exit_code)
    : std::runtime_error(what), text_(std::move(what)), exit_code_(exit_code) {}

Error& Error::at(std::string_view where) {
  text_ = std::string(where) + ": " + text_;
  return *this;
}
Error& Error::found(std::string_view found) {
  text_ += "; found " + std::string(found);
  return *this;
}
Error& Error::wanted(std::string_view wanted) {
  text_ += ", wanted " + std::string(wanted);
  return *this;
}
Error& Error::hint(std::string_view next_step) {
  text_ += ". " + std::string(next_step);
  return *this;
}

void check_failed(const char* condition, const char* file, int line, std::string_view note) {
  std::fprintf(stderr, "internal error at %s:%d: %s does not hold: %.*s\n", file, line, condition,
               int(note.size()), note.data());
  std::abort();
}

}  // namespace autarky
