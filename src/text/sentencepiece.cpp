#include "text/sentencepiece.h"

#include <sentencepiece_processor.h>

#include "base/error.h"
#include "text/decoder.h"
#include "text/sentencepiece_check.h"

namespace autarky {
namespace {

void check(const sentencepiece::util::Status& status, std::string_view what) {
  if (!status.ok()) throw InputError(std::string(what)).found(status.ToString());
}

// A control piece adds nothing; "<0x0A>" is a byte, U+2581 a space.
std::string piece_bytes(const sentencepiece::SentencePieceProcessor& library, int id) {
  static const Decoder decoder({ByteFallback{}, Metaspace{}}, "");
  if (library.IsControl(id)) return "";
  return decoder.token(library.IdToPiece(id), false);
}

}  // namespace

struct SentencePiece::Library {
  sentencepiece::SentencePieceProcessor processor;

  std::string name(int id) const { return id < 0 ? "" : processor.IdToPiece(id); }
};

SentencePiece::SentencePiece(std::string_view model, std::string_view where) {
  check_sentencepiece_model(model, where);
  auto library = std::make_unique<Library>();
  const auto refuse = [&](std::string_view why) {
    return InputError("not a SentencePiece model")
        .at(where)
        .found(why)
        .hint("The file may be truncated: copy it again.");
  };
  try {
    const auto status = library->processor.LoadFromSerializedProto({model.data(), model.size()});
    if (!status.ok()) throw refuse(status.ToString());
  } catch (const InputError&) {
    throw;
  } catch (const std::exception& e) {
    throw refuse(e.what());
  }
  if (library->processor.GetPieceSize() <= 0) throw refuse("no pieces");
  library_ = std::move(library);
}
SentencePiece::~SentencePiece() = default;

void SentencePiece::encode(std::string_view text, std::vector<std::int32_t>& out) const {
  std::vector<int> ids;
  check(library_->processor.Encode({text.data(), text.size()}, &ids),
        "the SentencePiece library cannot encode a text");
  out.insert(out.end(), ids.begin(), ids.end());
}

std::string SentencePiece::decode(std::span<const std::int32_t> ids) const {
  std::string text;
  check(library_->processor.Decode(std::vector<int>(ids.begin(), ids.end()), &text),
        "the SentencePiece library cannot decode ids");
  return text;
}

std::int32_t SentencePiece::size() const { return library_->processor.GetPieceSize(); }
std::string SentencePiece::piece(std::int32_t id) const { return library_->name(id); }
std::string SentencePiece::bytes(std::int32_t id) const {
  return piece_bytes(library_->processor, id);
}
bool SentencePiece::is_control(std::int32_t id) const { return library_->processor.IsControl(id); }
std::string SentencePiece::bos() const { return library_->name(library_->processor.bos_id()); }
std::string SentencePiece::eos() const { return library_->name(library_->processor.eos_id()); }
std::string SentencePiece::pad() const { return library_->name(library_->processor.pad_id()); }

}  // namespace autarky
