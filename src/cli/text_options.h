// Options that all verbs that read text share.
#pragma once
#include <string>

#include "cli/command.h"
#include "data/documents.h"

namespace autarky::cli {

inline constexpr const char* kTextInputs =
    "Text: .txt and .jsonl files, plain, .gz or .zst, folders of them, or - for standard input";

struct TextArguments {
  std::string key = "text", invalid_utf8 = "refuse", standard_input;
  std::int64_t max_document_mb = 256;
};

void add_text_options(Command& command, TextArguments& arguments);
TextOptions text_options(const TextArguments& arguments);  // InputError for other words

// A warning where documents were not UTF-8.
void warn_invalid(std::int64_t documents, InvalidUtf8 choice);

}  // namespace autarky::cli
