// Errors: one exception type for what a user can cause or mend, CHECK for our own mistakes.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

namespace autarky {

// What happened, where, the numbers found and wanted, and what to do next; built in this order:
//   throw InputError("unknown key 'stepz'").at("recipe.yaml:7").hint("did you mean 'steps'?");
class Error : public std::runtime_error {
 public:
  explicit Error(std::string what, int exit_code = 1);

  Error& at(std::string_view where);     // operation, file, line or key
  Error& found(std::string_view found);  // what was there
  Error& wanted(std::string_view wanted);
  Error& hint(std::string_view next_step);

  const char* what() const noexcept override { return text_.c_str(); }
  int exit_code() const { return exit_code_; }  // 1 failed, 2 the user's input is wrong

 private:
  std::string text_;
  int exit_code_;
};

// The user's input is wrong: exit code 2.
class InputError : public Error {
 public:
  explicit InputError(std::string what) : Error(std::move(what), 2) {}

  // As in Error; a throw expression keeps the type it is given.
  InputError& at(std::string_view where) { return Error::at(where), *this; }
  InputError& found(std::string_view found) { return Error::found(found), *this; }
  InputError& wanted(std::string_view wanted) { return Error::wanted(wanted), *this; }
  InputError& hint(std::string_view next_step) { return Error::hint(next_step), *this; }
};

[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               std::string_view note);

}  // namespace autarky

// For programmer's mistakes only: never reachable by a user's input.
#define AUTARKY_CHECK(condition, note) \
  ((condition) ? void(0) : ::autarky::check_failed(#condition, __FILE__, __LINE__, (note)))
