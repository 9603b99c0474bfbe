#include "cli/text_options.h"

#include <fmt/core.h>

#include <limits>

#include "base/error.h"
#include "base/log.h"

namespace autarky::cli {
namespace {

InputError no_such(std::string_view option, std::string_view found, std::string_view wanted) {
  return InputError(fmt::format("'{}' is no value for {}", found, option)).wanted(wanted);
}

InvalidUtf8 parse_invalid_utf8(const std::string& word) {
  if (word == "refuse") return InvalidUtf8::refuse;
  if (word == "keep") return InvalidUtf8::keep;
  if (word == "replace") return InvalidUtf8::replace;
  throw no_such("--invalid-utf8", word, "refuse, keep or replace");
}

TextFormat parse_format(const std::string& word) {
  if (word.empty()) return TextFormat::unknown;
  if (word == "txt") return TextFormat::txt;
  if (word == "jsonl") return TextFormat::jsonl;
  throw no_such("--stdin-format", word, "txt or jsonl");
}

}  // namespace

void add_text_options(Command& command, TextArguments& arguments) {
  command.add("--text-key", arguments.key, "Key of the text in .jsonl; text if not given");
  command.add("--stdin-format", arguments.standard_input,
              "txt or jsonl; if not given, jsonl where standard input starts with {\"");
  command.add("--invalid-utf8", arguments.invalid_utf8,
              "Bytes that are not UTF-8: refuse (default), keep, or replace by U+FFFD");
  command.add("--max-document-mb", arguments.max_document_mb,
              "Longest document in MiB, which is held in memory; 256 if not given");
}

TextOptions text_options(const TextArguments& arguments) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max() >> 20;
  if (arguments.max_document_mb < 1 || arguments.max_document_mb > kMost)
    throw no_such("--max-document-mb", fmt::format("{}", arguments.max_document_mb),
                  fmt::format("1 to {}", kMost));
  TextOptions options;
  options.key = arguments.key;
  options.invalid_utf8 = parse_invalid_utf8(arguments.invalid_utf8);
  options.standard_input = parse_format(arguments.standard_input);
  options.max_document_bytes = arguments.max_document_mb << 20;
  return options;
}

void warn_invalid(std::int64_t documents, InvalidUtf8 choice) {
  if (documents > 0)
    log_warning(fmt::format("{} document(s) had bytes that are not UTF-8; they were {}", documents,
                            choice == InvalidUtf8::keep ? "kept" : "replaced by U+FFFD"));
}

}  // namespace autarky::cli
