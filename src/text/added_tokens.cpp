#include "text/added_tokens.h"

#include <unicode/uchar.h>

#include "text/normalizer.h"
#include "text/utf8.h"

namespace autarky {
namespace {

// A character of a word: alphabetic, mark, decimal digit, connector, joiner (Unicode TS 18, C).
bool is_word(char32_t c) {
  const auto u = UChar32(c);
  const auto category = U_GET_GC_MASK(u);
  return u_isUAlphabetic(u) || (category & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
         u_hasBinaryProperty(u, UCHAR_JOIN_CONTROL);
}

bool starts_with_word(std::string_view text) {
  std::size_t at = 0;
  return valid_utf8_prefix(text.substr(0, 4)) > 0 && is_word(next_code_point(text, at));
}

bool ends_with_word(std::string_view text) {
  const std::size_t start = last_code_point(text);
  return start < text.size() && starts_with_word(text.substr(start));
}

}  // namespace

void AddedTokenFinder::add(std::string_view content, const AddedToken& token) {
  std::int32_t node = 0;
  for (const char c : content) {
    std::int32_t& next = next_.at(pair_key(node, static_cast<unsigned char>(c)));
    if (next == 0) {
      next = std::int32_t(nodes_.size());
      nodes_.emplace_back();
    }
    node = next;
  }
  nodes_[std::size_t(node)] = {token.id, token.special, token.single_word, token.lstrip,
                               token.rstrip};
  starts_[static_cast<unsigned char>(content.front())] = true;
}

std::optional<AddedTokenFinder::Found> AddedTokenFinder::match_at(std::string_view text,
                                                                  std::size_t at,
                                                                  bool allow_special) const {
  std::optional<Found> best;
  std::int32_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const std::int32_t* next = next_.find(pair_key(node, static_cast<unsigned char>(text[i])));
    if (!next) break;
    node = *next;
    const Node& n = nodes_[std::size_t(node)];
    if (n.id >= 0 && (allow_special || !n.special)) best = Found{i + 1 - at, &n};
  }
  return best;
}

std::optional<AddedTokenFinder::Match> AddedTokenFinder::find(std::string_view text,
                                                              std::size_t from,
                                                              bool allow_special) const {
  if (nodes_.size() == 1) return std::nullopt;
  for (std::size_t i = from; i < text.size(); ++i) {
    if (!starts_[static_cast<unsigned char>(text[i])]) continue;
    const auto found = match_at(text, i, allow_special);
    if (!found) continue;
    std::size_t start = i, end = i + found->length;
    if (found->node->single_word &&
        (ends_with_word(text.substr(0, start)) || starts_with_word(text.substr(end)))) {
      i = end - 1;  // its characters start no other match
      continue;
    }
    if (found->node->lstrip) start -= trailing_spaces(text.substr(from, start - from));
    if (found->node->rstrip) end += leading_spaces(text.substr(end));
    return Match{start, end - start, found->node->id};
  }
  return std::nullopt;
}

}  // namespace autarky
