// One run of one verb: its options, its help, its result.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace CLI {
class App;
}

namespace autarky::cli {

class Command;

struct Verb {
  std::string_view name;  // one or two words
  std::string_view summary;
  std::string_view example;
  void (*run)(Command& command);  // throws Error
};

enum class Need { optional, required };

// Thrown by a verb that has said all there is to say: the program ends with this code.
struct ExitCode {
  int code = 0;
};

// "--section.key=value": belongs to a recipe.
bool is_recipe_override(const std::string& argument);

class Command {
 public:
  Command(const Verb& verb, std::vector<std::string> arguments);
  ~Command();

  // Adds an option ("--name VALUE") or, without dashes, an argument by its place; `target` keeps
  // its value if it is not given. T: string, vector of strings (one or more values), i32, i64,
  // u32, u64, double.
  template <typename T>
  void add(std::string_view name, T& target, std::string_view help, Need need = Need::optional);
  void add_flag(std::string_view name, bool& target, std::string_view help);
  // "--name" gives `target` the value `alone`, "--name=VALUE" another.
  void add_flag(std::string_view name, std::string& target, std::string_view alone,
                std::string_view help);
  // Takes the overrides of a recipe off, before parse().
  std::vector<std::string> take_overrides();
  // Takes what follows "--" off the arguments, before parse(): another program's command line.
  std::vector<std::string> take_after_dashes();
  // Reads the arguments into what was added. InputError for those that do not fit.
  // False: help was asked for and printed.
  [[nodiscard]] bool parse();

  bool given(std::string_view name) const;  // after parse(): whether the option was there
  bool json() const { return json_; }       // one object on standard output instead of words
  int threads() const { return threads_; }  // as given; 0: not

 private:
  void check_extras() const;
  std::string help_hint() const;

  const Verb& verb_;
  std::vector<std::string> arguments_;
  std::unique_ptr<CLI::App> options_;
  bool json_ = false;
  int threads_ = 0;  // 0: as many as there are
};

}  // namespace autarky::cli
