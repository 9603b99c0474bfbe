// Documents of text files, one after the other.
//
// .txt    bytes as they are, whatever their encoding. A line that holds only <|endoftext|> ends a
//         document and belongs to none; a file without such a line is one document. A document
//         keeps its line ends.
// .jsonl  one JSON object a line; the document is the string under a key ("text" by default).
//         Blank lines are skipped. JSON is UTF-8: other bytes are an error.
// A UTF-8 byte order mark at the start of a file is dropped. A document of white space alone is
// skipped.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace autarky {

inline constexpr std::string_view kDocumentSeparator = "<|endoftext|>";

// (bytes of input read, bytes of input in all)
using ByteProgress = std::function<void(std::int64_t done, std::int64_t total)>;

// The .txt and .jsonl files under the inputs: inputs in the order given, the files of a folder
// (recursively; linked folders are not entered) sorted by their paths. A file that is given twice
// is listed twice. InputError for a missing input, a file with another ending and a folder without
// any such file.
std::vector<fs::path> list_text_files(std::span<const fs::path> inputs);

// Holds one document at a time; files are mapped, not read into memory.
class DocumentReader {
 public:
  explicit DocumentReader(std::span<const fs::path> inputs, std::string text_key = "text");

  // The next document, or nothing at the end. InputError, with file and line, for what is not as
  // said above; and at the end if there was no document at all.
  std::optional<std::string> next();

  std::int64_t bytes_read() const;  // of the files, markup included
  std::int64_t total_bytes() const { return total_bytes_; }

 private:
  void open(const fs::path& path);
  std::string_view take_line();  // without its line end
  std::string take_block();      // .txt: up to the next separator line or the end
  std::string take_object();     // .jsonl: the text of one line, "" for a blank one

  std::string text_key_;
  std::vector<fs::path> files_;
  std::size_t next_file_ = 0;
  MappedFile file_;
  std::string_view rest_;  // of the open file
  std::int64_t line_ = 0;  // number of the line taken last, from 1
  std::int64_t closed_bytes_ = 0, total_bytes_ = 0, documents_ = 0;
};

}  // namespace autarky
