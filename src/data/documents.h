// Documents of text files, one after the other.
//
// .txt    A line that holds only <|endoftext|> ends a document and belongs to none; a file without
//         such a line is one document. A document keeps its bytes and line ends.
// .jsonl  One JSON object a line; the document is the string under a key ("text" by default).
//         Blank lines are skipped.
// Text is UTF-8; TextOptions says what becomes of other bytes. A byte order mark at the start of a
// file is dropped. A document of white space alone is skipped.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "data/text_files.h"
#include "data/text_stream.h"

namespace autarky {

inline constexpr std::string_view kDocumentSeparator = "<|endoftext|>";

enum class InvalidUtf8 : std::uint8_t {
  refuse,   // an error that names the line
  keep,     // the bytes stay as they are; in .jsonl, which cannot hold them, still an error
  replace,  // each byte that is not part of a code point becomes U+FFFD
};

struct TextOptions {
  std::string key = "text";  // of .jsonl
  InvalidUtf8 invalid_utf8 = InvalidUtf8::refuse;
  // A longer document, or line of .jsonl, is an error: it is held in memory as a whole.
  std::int64_t max_document_bytes = std::int64_t(256) << 20;
  // unknown: JSON lines if it starts with {", else text.
  TextFormat standard_input = TextFormat::unknown;
};

// (bytes of input read, bytes of input in all or 0 if that is not known)
using ByteProgress = std::function<void(std::int64_t done, std::int64_t total)>;

// Holds one document and about 2 MiB of its file at a time, and of .jsonl what parses a line.
class DocumentReader {
 public:
  // Inputs as list_text_files takes them.
  explicit DocumentReader(std::span<const fs::path> inputs, TextOptions options = {});
  ~DocumentReader();

  // The next document, or nothing at the end. InputError, with file and line, for what is not as
  // said above; and at the end if there was no document at all.
  std::optional<std::string> next();

  std::int64_t bytes_read() const;  // of the files as they are: packed, markup included
  std::int64_t total_bytes() const { return total_bytes_; }  // 0: not known
  // How many documents so far had bytes that are not UTF-8, which were kept or replaced.
  std::int64_t invalid_documents() const { return invalid_documents_; }

 private:
  class QuickJson;

  void open(const TextFile& file);
  bool more();                      // part_ is not empty, or the file is at its end
  void take_line(std::string& to);  // appends it with its line end
  std::string take_block();         // .txt: up to the next separator line or the end
  std::string take_object();        // .jsonl: the text of one line, "" for a blank one
  void check_utf8(std::string& text, bool may_keep);
  std::string where() const;  // file and line

  TextOptions options_;
  std::vector<TextFile> files_;
  std::size_t next_file_ = 0;
  TextFormat format_ = TextFormat::txt;  // of the open file
  std::unique_ptr<TextStream> stream_;
  std::unique_ptr<QuickJson> quick_json_;
  std::string_view part_;        // of the stream
  std::int64_t first_line_ = 0;  // of the document, from 1
  std::int64_t line_ = 0;        // taken last
  std::int64_t closed_bytes_ = 0, total_bytes_ = 0, documents_ = 0, invalid_documents_ = 0;
};

}  // namespace autarky
