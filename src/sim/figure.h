// A figure of a data sheet: never without its mark and its source.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <tuple>

#include "base/keys.h"

namespace autarky {

enum class Mark : std::uint8_t {
  declared,  // in the maker's data sheet or paper
  measured,  // by somebody, on the chip
  derived,   // from other figures; the source says how. Judgements too
  memory,    // quoted without the source at hand
  rumour,    // of the press or of a survey's estimate
};
constexpr auto words(const Mark*) {
  return std::array{Words<Mark>{"declared", Mark::declared},
                    Words<Mark>{"measured", Mark::measured}, Words<Mark>{"derived", Mark::derived},
                    Words<Mark>{"memory", Mark::memory}, Words<Mark>{"rumour", Mark::rumour}};
}

// The unit is in the key's name: bytes, bytes_per_s, flops_per_s, s, w, usd.
struct Figure {
  double value = 0;
  Mark mark = Mark::declared;
  std::string source;
  double spread = 0;  // one standard deviation, in the figure's unit; a judgement. 0: not stated

  static constexpr std::array<std::string_view, 3> kRequired = {"value", "mark", "source"};
  static constexpr bool kFlow = true, kBrief = true;
  static constexpr auto keys() {
    using S = Figure;
    return std::tuple{key("value", &S::value, above(0)), key("mark", &S::mark),
                      key("spread", &S::spread, at_least(0)), key("source", &S::source)};
  }
};

// What is reached of a declared figure.
struct Share : Figure {
  static constexpr auto keys() {
    using S = Figure;
    constexpr Range share = {.least = 0, .most = 1, .without_least = true};
    return std::tuple{key("value", &S::value, share), key("mark", &S::mark),
                      key("spread", &S::spread, at_least(0)), key("source", &S::source)};
  }
};

struct PriceRange {
  double low = 0, high = 0;
  Mark mark = Mark::declared;
  std::string source;

  static constexpr std::array<std::string_view, 4> kRequired = {"low", "high", "mark", "source"};
  static constexpr bool kFlow = true;
  static constexpr auto keys() {
    using S = PriceRange;
    return std::tuple{key("low", &S::low, above(0)), key("high", &S::high, above(0)),
                      key("mark", &S::mark), key("source", &S::source)};
  }
};

struct NamedFigure {
  std::string name;  // "peak_flops_per_s.bf16"
  Figure figure;
};

// "312 TFLOP/s", "3.4 us": in the unit that the figure's name asks for.
std::string figure_text(const std::string& name, double value);
// With its spread: "86% +- 6%".
std::string figure_text(const NamedFigure& f);

}  // namespace autarky
