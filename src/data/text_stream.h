// The bytes of a text file, unpacked while it is read.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/text_files.h"
#include "data/unpack.h"

namespace autarky {

// Reads a file or standard input in memory of fixed size: 2 MiB, and the window of zstd.
class TextStream {
 public:
  explicit TextStream(const TextFile& file);  // InputError if it cannot be opened
  ~TextStream();
  TextStream(const TextStream&) = delete;
  TextStream& operator=(const TextStream&) = delete;

  // The next plain bytes, valid until the next call; empty at the end. InputError, with the file
  // and the byte of it that was reached, for one that is truncated or garbled.
  std::string_view read();

  std::int64_t bytes_taken() const { return taken_; }  // of the file as it is, packed or not

 private:
  void fill();  // rest_, when it is empty: nothing at the end of the file
  std::string_view unpack();
  std::string here() const;

  std::string name_;
  int descriptor_;
  bool ended_ = false;
  std::unique_ptr<Unpacker> unpacker_;  // none: plain
  std::vector<char> in_, out_;
  std::string_view rest_;  // of in_
  std::int64_t taken_ = 0;
};

}  // namespace autarky
