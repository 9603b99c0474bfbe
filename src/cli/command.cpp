#include "cli/command.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <functional>
#include <type_traits>

#include "base/error.h"
#include "base/parallel.h"
#include "base/words.h"
#include "cli/output.h"

namespace autarky::cli {
namespace {

constexpr int kMaxThreads = 4096;

// CLI11's words for a mistake, in ours.
std::string mistake(const CLI::ParseError& error) {
  std::string text = error.what();
  constexpr std::string_view kConversion = "Could not convert: ";
  if (const auto equals = text.find(" = ");
      text.starts_with(kConversion) && equals != std::string::npos)
    return fmt::format("'{}' is no value for {}", text.substr(equals + 3),
                       text.substr(kConversion.size(), equals - kConversion.size()));
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])))
    text[0] = char(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

// Reading an unsigned number would let -1 pass as a large one.
std::string not_negative(std::string& text) {
  return trim(text).starts_with('-') ? fmt::format("found {}, wanted 0 or more", text) : "";
}

std::vector<std::string> long_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

}  // namespace

Command::Command(const Verb& verb, std::vector<std::string> arguments)
    : verb_(verb),
      arguments_(std::move(arguments)),
      options_(std::make_unique<CLI::App>(std::string(verb.summary))) {
  options_->name(fmt::format("autarky {}", verb.name));
  options_->set_help_flag("-h,--help", "Print this help and exit");
  options_->footer(fmt::format("Example:\n  {}\n", verb.example));
  options_->get_formatter()->column_width(34);
  options_->allow_extras();  // to answer them with the nearest name
}

Command::~Command() = default;

template <typename T>
void Command::add(std::string_view name, T& target, std::string_view help, Need need) {
  auto* option = options_->add_option(std::string(name), target, std::string(help));
  option->required(need == Need::required);
  if constexpr (std::is_unsigned_v<T>) option->check(CLI::Validator(not_negative, ""));
}
template void Command::add(std::string_view, std::string&, std::string_view, Need);
template void Command::add(std::string_view, std::vector<std::string>&, std::string_view, Need);
template void Command::add(std::string_view, std::int32_t&, std::string_view, Need);
template void Command::add(std::string_view, std::int64_t&, std::string_view, Need);
template void Command::add(std::string_view, std::uint32_t&, std::string_view, Need);
template void Command::add(std::string_view, std::uint64_t&, std::string_view, Need);
template void Command::add(std::string_view, double&, std::string_view, Need);

void Command::add_flag(std::string_view name, bool& target, std::string_view help) {
  options_->add_flag(std::string(name), target, std::string(help));
}

void Command::add_flag(std::string_view name, std::string& target, std::string_view alone,
                       std::string_view help) {
  options_->add_flag(fmt::format("{}{{{}}}", name, alone), target, std::string(help));
}

std::string Command::help_hint() const { return fmt::format("See: autarky {} --help", verb_.name); }

void Command::check_extras() const {
  const auto extras = options_->remaining();
  if (extras.empty()) return;
  const auto option =
      std::find_if(extras.begin(), extras.end(), [](const auto& e) { return e.starts_with('-'); });
  if (option == extras.end())
    throw InputError(fmt::format("unexpected argument '{}'", extras[0])).hint(help_hint());
  const auto name = option->substr(0, option->find('='));
  const auto nearest = nearest_name(name, long_names(*options_));
  throw InputError(fmt::format("unknown option '{}'", name))
      .hint(nearest.empty() ? help_hint()
                            : fmt::format("Did you mean {}? {}", nearest, help_hint()));
}

bool is_recipe_override(const std::string& a) {
  const auto dot = a.find('.'), equals = a.find('=');
  const bool top_level = a.starts_with("--recompute=") || a.starts_with("--tokenizer=");
  return a.starts_with("--") && equals != a.npos && (top_level || (dot != a.npos && dot < equals));
}

std::vector<std::string> Command::take_overrides() {
  const auto rest =
      std::stable_partition(arguments_.begin(), arguments_.end(), std::not_fn(is_recipe_override));
  std::vector<std::string> overrides(rest, arguments_.end());
  arguments_.erase(rest, arguments_.end());
  return overrides;
}

std::vector<std::string> Command::take_after_dashes() {
  const auto dashes = std::find(arguments_.begin(), arguments_.end(), "--");
  if (dashes == arguments_.end()) return {};
  std::vector<std::string> after(dashes + 1, arguments_.end());
  arguments_.erase(dashes, arguments_.end());
  return after;
}

bool Command::given(std::string_view name) const { return options_->count(std::string(name)) > 0; }

bool Command::parse() {
  options_->add_flag("--json", json_, "Print one JSON object, on one line, last");
  options_->add_option("--threads", threads_, "Threads to use; all processors if not given")
      ->check(CLI::Range(1, kMaxThreads))
      ->type_name("INT");
  try {
    options_->parse(std::vector<std::string>(arguments_.rbegin(), arguments_.rend()));
  } catch (const CLI::CallForHelp&) {
    print(options_->help());
    return false;
  } catch (const CLI::ParseError& error) {
    check_extras();  // a misspelt option is the reason why another one is missing
    throw InputError(mistake(error)).hint(help_hint());
  }
  check_extras();
  if (threads_ > 0) set_thread_count(threads_);
  return true;
}

}  // namespace autarky::cli
