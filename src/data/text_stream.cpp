#include "data/text_stream.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace autarky {
namespace {

constexpr std::size_t kPart = std::size_t(1) << 20;

InputError cannot_read(std::string_view name) {
  return InputError(fmt::format("cannot read '{}': {}", name, std::strerror(errno)));
}

int open_file(const TextFile& file) {
  if (file.is_standard_input()) return STDIN_FILENO;
  const int descriptor = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw cannot_read(file.name());
  return descriptor;
}

}  // namespace

TextStream::TextStream(const TextFile& file) : name_(file.name()), descriptor_(open_file(file)) {
  in_.resize(kPart);
  if (file.packing == Packing::gzip) unpacker_ = gzip_unpacker();
  if (file.packing == Packing::zstd) unpacker_ = zstd_unpacker();
  if (file.packing == Packing::by_content) {
    fill();
    unpacker_ = unpacker_by_content(rest_);
  }
  if (unpacker_) out_.resize(kPart);
}

TextStream::~TextStream() {
  if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
}

std::string TextStream::here() const { return fmt::format("{}, byte {}", name_, taken_); }

void TextStream::fill() {
  std::size_t filled = 0;
  while (filled < in_.size() && !ended_) {
    const ssize_t n = ::read(descriptor_, in_.data() + filled, in_.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw cannot_read(name_);
    ended_ = n == 0;
    filled += std::size_t(n);
  }
  rest_ = {in_.data(), filled};
}

std::string_view TextStream::read() {
  if (unpacker_) return unpack();
  if (rest_.empty()) fill();
  const auto part = rest_;
  rest_ = {};
  taken_ += std::int64_t(part.size());
  return part;
}

std::string_view TextStream::unpack() {
  std::size_t given = 0;
  while (given < out_.size()) {
    if (rest_.empty()) fill();
    const auto step = unpacker_->unpack(rest_, std::span(out_).subspan(given));
    rest_.remove_prefix(step.taken);
    taken_ += std::int64_t(step.taken);
    given += step.given;
    if (!step.fault.empty())
      throw InputError(fmt::format("garbled {} data: {}", unpacker_->format(), step.fault))
          .at(here());
    if (step.given > 0 || step.taken > 0 || !rest_.empty() || !ended_) continue;
    if (unpacker_->may_end()) break;
    throw InputError(fmt::format("the {} data is truncated", unpacker_->format()))
        .at(here())
        .hint("Copy or pack it again");
  }
  return {out_.data(), given};
}

}  // namespace autarky
