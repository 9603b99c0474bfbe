// SentencePiece models (.model files) through the SentencePiece library: its ids, its texts.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace autarky {

// Immutable and thread-safe.
class SentencePiece {
 public:
  // model: the bytes of the file. Throws InputError, naming `where`, if they are no whole model.
  SentencePiece(std::string_view model, std::string_view where);
  ~SentencePiece();

  // Appends the ids. Bytes that are not UTF-8 are U+FFFD for the library.
  void encode(std::string_view text, std::vector<std::int32_t>& out) const;
  std::string decode(std::span<const std::int32_t> ids) const;  // ids in [0, size())

  std::int32_t size() const;
  std::string piece(std::int32_t id) const;
  std::string bytes(std::int32_t id) const;  // what it adds to a text, if it is not the first
  bool is_control(std::int32_t id) const;
  // The pieces of this purpose, "" where the model has none.
  std::string bos() const, eos() const, pad() const;

 private:
  struct Library;
  std::unique_ptr<const Library> library_;
};

}  // namespace autarky
