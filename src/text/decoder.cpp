#include "text/decoder.h"

#include <charconv>

#include "text/byte_level.h"

namespace autarky {
namespace {

// What a step must know beside the text.
struct Place {
  bool is_first;
  std::size_t most;  // bytes
};

std::string apply(const ByteLevel&, std::string text, Place) {
  auto bytes = byte_level_bytes(text);
  return bytes ? *std::move(bytes) : text;
}

std::string apply(const Replacer& replacer, std::string text, Place place) {
  return replacer.apply(text, place.most);
}

// "<0x0A>" is the byte 10.
std::string apply(const ByteFallback&, std::string text, Place) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return text;
  unsigned byte = 0;
  const auto result = std::from_chars(text.data() + 3, text.data() + 5, byte, 16);
  return result.ptr == text.data() + 5 ? std::string(1, char(byte)) : text;
}

std::string apply(const StripEnds& strip, std::string text, Place) {
  std::size_t from = 0, to = text.size();
  const std::size_t n = strip.content.size();
  const std::string_view view = text;
  for (int i = 0; i < strip.start && view.substr(from).starts_with(strip.content); ++i) from += n;
  for (int i = 0; i < strip.stop && view.substr(from, to - from).ends_with(strip.content); ++i)
    to -= n;
  return text.substr(from, to - from);
}

std::string apply(const Metaspace& space, std::string text, Place place) {
  const bool gone = place.is_first && space.scheme != PrependScheme::never;
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (!std::string_view(text).substr(i).starts_with(space.replacement)) {
      out += text[i++];
      continue;
    }
    if (!gone) out += ' ';
    i += space.replacement.size();
  }
  return out;
}

}  // namespace

Decoder::Decoder(const std::vector<DecoderStep>& steps, std::string_view where) {
  check_step_count(steps.size(), where);
  auto* list = &each_;
  for (const DecoderStep& step : steps) {
    if (std::holds_alternative<Fuse>(step)) list = &whole_;
    else if (const auto* replace = std::get_if<Replace>(&step))
      list->emplace_back(Replacer(*replace, where));
    else if (const auto* level = std::get_if<ByteLevel>(&step)) list->emplace_back(*level);
    else if (const auto* fallback = std::get_if<ByteFallback>(&step)) list->emplace_back(*fallback);
    else if (const auto* strip = std::get_if<StripEnds>(&step)) list->emplace_back(*strip);
    else list->emplace_back(std::get<Metaspace>(step));
  }
  for (const Step& step : each_) {
    const auto* space = std::get_if<Metaspace>(&step);
    first_differs_ |= space && space->scheme != PrependScheme::never;
  }
}

std::string Decoder::token(std::string_view text, bool is_first) const {
  std::string out(text);
  const Place place{is_first, most_replaced(text.size())};
  for (const Step& step : each_)
    out = std::visit([&](const auto& s) { return apply(s, std::move(out), place); }, step);
  return out;
}

std::string Decoder::finish(std::string text) const {
  const Place place{true, most_replaced(text.size())};
  for (const Step& step : whole_)
    text = std::visit([&](const auto& s) { return apply(s, std::move(text), place); }, step);
  return text;
}

}  // namespace autarky
