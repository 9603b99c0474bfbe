#include "text/splitter.h"

#include <fmt/core.h>

#include <optional>

#include "base/error.h"
#include "text/regex.h"
#include "text/utf8.h"
#include "text/word_cutter.h"

namespace autarky {
namespace {

// char::is_ascii_punctuation or category P.
const TextPattern kPunctuation{R"([!-/:-@\[-`{-~\p{P}])"};

struct Segment {
  std::size_t from, to;
  bool is_match;
};

// A match joins what is before it, but for a match that follows another.
std::vector<Segment> merged_with_previous(const std::vector<Segment>& segments) {
  std::vector<Segment> out;
  bool was_match = false;
  for (const Segment& s : segments) {
    if (s.is_match && !was_match && !out.empty()) out.back().to = s.to;
    else out.push_back(s);
    was_match = s.is_match;
  }
  return out;
}

std::vector<Segment> merged_with_next(const std::vector<Segment>& segments) {
  std::vector<Segment> out;
  bool was_match = false;
  for (auto s = segments.rbegin(); s != segments.rend(); ++s) {
    if (s->is_match && !was_match && !out.empty()) out.back().from = s->from;
    else out.push_back(*s);
    was_match = s->is_match;
  }
  return {out.rbegin(), out.rend()};
}

std::vector<Segment> contiguous(const std::vector<Segment>& segments) {
  std::vector<Segment> out;
  for (const Segment& s : segments) {
    if (!out.empty() && out.back().is_match == s.is_match) out.back().to = s.to;
    else out.push_back(s);
  }
  return out;
}

std::vector<Segment> without_matches(std::vector<Segment> segments) {
  std::erase_if(segments, [](const Segment& s) { return s.is_match; });
  return segments;
}

}  // namespace

// A step made ready: what it does to a piece before cutting, and how it cuts.
struct Splitter::Stage {
  explicit Stage(const PreTokenizerStep& step, std::string_view where) {
    std::visit([&](const auto& s) { set(s, where); }, step);
  }

  void set(const Split& s, std::string_view where) {
    invert = s.invert;
    cut(s.pattern, where, s.behavior);
  }
  void set(const Digits& s, std::string_view where) {
    cut({s.individual ? R"(\p{N})" : R"(\p{N}+)"}, where, SplitBehavior::isolated);
  }
  void set(const Punctuation& s, std::string_view where) { cut(kPunctuation, where, s.behavior); }
  void set(const Metaspace& s, std::string_view where) {
    prefix = space = s.replacement;
    scheme = s.scheme;
    if (s.split) cut({s.replacement, true}, where, SplitBehavior::merged_with_next);
  }
  void set(const ByteLevel& s, std::string_view where) {
    if (s.add_prefix_space) prefix = " ", scheme = PrependScheme::always;
    if (s.use_regex) cut({split_pattern("gpt2")}, where, SplitBehavior::isolated);
  }
  void cut(const TextPattern& pattern, std::string_view where, SplitBehavior how) {
    behavior = how;
    if (how == SplitBehavior::isolated) cutter = WordCutter::for_pattern(pattern);
    if (!cutter) regex.emplace(pattern, where);
  }

  std::string prefix;  // put before a piece that does not begin with it
  PrependScheme scheme = PrependScheme::never;
  std::string space;                 // what becomes of ' '; "" leaves it
  std::optional<WordCutter> cutter;  // instead of the pattern
  std::optional<Regex> regex;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;
};

// One call of split(): scratch memory for each step.
class Splitter::Run {
 public:
  Run(const std::vector<Stage>& stages, const Piece& piece) : stages_(stages), piece_(piece) {
    for (const Stage& s : stages) {
      matches_.emplace_back();
      if (s.regex) matches_.back().emplace(*s.regex);
    }
  }

  struct Place {
    bool is_first;  // begins where the whole text does
    bool may_grow;  // a step may put something in front
  };

  // Applies stages [k, end) to valid UTF-8.
  void cut(std::size_t k, std::string_view text, Place place) {
    if (k == stages_.size()) return text.empty() ? void() : piece_(text);
    const Stage& stage = stages_[k];
    if (stage.scheme == PrependScheme::never && stage.space.empty())
      return cut_matches(k, text, place);
    const std::string changed = change(stage, text, place);
    cut_matches(k, changed, place);
  }

 private:
  static std::string change(const Stage& stage, std::string_view text, Place place) {
    std::string out;
    out.reserve(text.size() + text.size() / 2 + stage.prefix.size());
    for (const char c : text)
      if (c == ' ' && !stage.space.empty()) out += stage.space;
      else out += c;
    const bool wanted = stage.scheme == PrependScheme::always ||
                        (stage.scheme == PrependScheme::first && place.is_first);
    if (wanted && place.may_grow && !out.starts_with(stage.prefix)) out.insert(0, stage.prefix);
    return out;
  }

  void cut_matches(std::size_t k, std::string_view text, Place place) {
    const Stage& stage = stages_[k];
    if (!stage.regex && !stage.cutter) return cut(k + 1, text, place);
    const auto part = [&](std::size_t from, std::size_t to) {
      if (to > from)
        cut(k + 1, text.substr(from, to - from),
            {place.is_first && from == 0, place.may_grow || from > 0});
    };
    std::size_t done = 0, from, to;
    if (stage.cutter) {
      for (; done < text.size(); done = to) part(done, to = stage.cutter->end(text, done));
      return;
    }
    RegexMatches& matches = *matches_[k];
    if (stage.behavior != SplitBehavior::isolated) {
      for (const Segment& s : segments(stage, matches, text)) part(s.from, s.to);
      return;
    }
    matches.start(text);
    for (; matches.next(from, to); done = to) part(done, from), part(from, to);
    part(done, text.size());
  }

  static std::vector<Segment> segments(const Stage& stage, RegexMatches& matches,
                                       std::string_view text) {
    std::vector<Segment> all;
    std::size_t done = 0, from, to;
    matches.start(text);
    for (; matches.next(from, to); done = to) {
      if (from > done) all.push_back({done, from, stage.invert});
      all.push_back({from, to, !stage.invert});
    }
    if (done < text.size()) all.push_back({done, text.size(), stage.invert});
    switch (stage.behavior) {
      case SplitBehavior::removed:
        return without_matches(std::move(all));
      case SplitBehavior::isolated:
        return all;
      case SplitBehavior::merged_with_previous:
        return merged_with_previous(all);
      case SplitBehavior::merged_with_next:
        return merged_with_next(all);
      case SplitBehavior::contiguous:
        return contiguous(all);
    }
    return all;
  }

  const std::vector<Stage>& stages_;
  const Piece& piece_;
  std::vector<std::optional<RegexMatches>> matches_;
};

Splitter::Splitter(const std::vector<PreTokenizerStep>& steps, std::string_view where) {
  check_step_count(steps.size(), where);
  for (const PreTokenizerStep& step : steps) stages_.emplace_back(step, where);
}
Splitter::~Splitter() = default;
Splitter::Splitter(Splitter&&) noexcept = default;
Splitter& Splitter::operator=(Splitter&&) noexcept = default;

void Splitter::split(std::string_view text, bool is_first, const Piece& piece) const {
  Run run(stages_, piece);
  for (bool may_grow = true; !text.empty(); may_grow = is_first = false) {
    const std::size_t valid = valid_utf8_prefix(text);
    if (valid > 0) run.cut(0, text.substr(0, valid), {is_first, may_grow});
    text.remove_prefix(valid);
    if (text.empty()) break;
    piece(text.substr(0, 1));
    text.remove_prefix(1);
  }
}

}  // namespace autarky
