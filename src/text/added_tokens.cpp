#include "text/added_tokens.h"

namespace autarky {

void AddedTokenFinder::add(std::string_view content, std::int32_t id, bool special) {
  std::int32_t node = 0;
  for (const char c : content) {
    std::int32_t& next = next_.at(pair_key(node, static_cast<unsigned char>(c)));
    if (next == 0) {
      next = std::int32_t(nodes_.size());
      nodes_.emplace_back();
    }
    node = next;
  }
  nodes_[std::size_t(node)] = {id, special};
  starts_[static_cast<unsigned char>(content.front())] = true;
}

std::optional<AddedTokenFinder::Match> AddedTokenFinder::match_at(std::string_view text,
                                                                  std::size_t at,
                                                                  bool allow_special) const {
  std::optional<Match> best;
  std::int32_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const std::int32_t* next = next_.find(pair_key(node, static_cast<unsigned char>(text[i])));
    if (!next) break;
    node = *next;
    const Node& n = nodes_[std::size_t(node)];
    if (n.id >= 0 && (allow_special || !n.special)) best = Match{at, i + 1 - at, n.id};
  }
  return best;
}

std::optional<AddedTokenFinder::Match> AddedTokenFinder::find(std::string_view text,
                                                              std::size_t from,
                                                              bool allow_special) const {
  if (nodes_.size() == 1) return std::nullopt;
  for (std::size_t i = from; i < text.size(); ++i)
    if (starts_[static_cast<unsigned char>(text[i])])
      if (const auto match = match_at(text, i, allow_special)) return match;
  return std::nullopt;
}

}  // namespace autarky
