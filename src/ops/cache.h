// Operations of decoding: cache_append writes new keys or values into a cache, take picks rows.
#pragma once
#include "ops/elementwise.h"

namespace autarky {

struct CacheAppend {
  static constexpr std::string_view name = "cache_append";
  struct Attrs : NoAttrs {};
  // cache [b t g d], rows [b s g d], first row [n = 1] i32 -> cache with rows t = first ..
  // first+s-1 written, in place; rows past the end are dropped
  static DimRule rule(const Attrs&, Types) {
    return dim_rule("b [t] g d, b [s] g d, [n] -> b [t] g d", 0);
  }
  static std::vector<int> aliases(const Attrs&, std::size_t) { return {0}; }
  static constexpr std::string_view not_differentiable = "it belongs to decoding";
  static Cost cost(const Attrs&, Types in, Types) { return {0, 2 * double(in[1].bytes())}; }
  static void reference(const Attrs&, const HostArgs& x) {
    const auto b = x.in_types[0].dims[0].extent, t = x.in_types[0].dims[1].extent,
               s = x.in_types[1].dims[1].extent;
    const auto row = std::int64_t(x.in[0].size()) / (b * t), first = std::int64_t(x.in[2][0]);
    std::copy(x.in[0].begin(), x.in[0].end(), x.out[0].begin());
    for (std::int64_t ib = 0; ib < b; ++ib)
      for (std::int64_t is = 0; is < s && first + is < t; ++is)
        for (std::int64_t i = 0; i < row; ++i)
          x.out[0][std::size_t((ib * t + first + is) * row + i)] =
              x.in[1][std::size_t((ib * s + is) * row + i)];
  }
  static std::vector<Case> cases() {
    const Dim b{'b', 2}, g{'g', 2}, d{'d', 4};
    return {
        {Attrs{},
         {sample({b, {'t', 9}, g, d}), sample({b, {'s', 3}, g, d}), Type(DType::i32, {{'n', 1}})},
         {Fill::normal, Fill::normal, Fill::ids},
         6}};
  }
};

struct Take {
  static constexpr std::string_view name = "take";
  struct Attrs : NoAttrs {};
  // x [b s e], rows [n] i32 -> [b n e]
  static DimRule rule(const Attrs&, Types) { return dim_rule("b [s] e, n -> b n e", 0); }
  static constexpr std::string_view not_differentiable = "it belongs to decoding";
  static Cost cost(const Attrs&, Types, Types out) { return {0, 2 * double(out[0].bytes())}; }
  static void reference(const Attrs&, const HostArgs& x) {
    const auto b = x.in_types[0].dims[0].extent, s = x.in_types[0].dims[1].extent,
               e = x.in_types[0].dims[2].extent;
    const auto n = std::int64_t(x.in[1].size());
    for (std::int64_t ib = 0; ib < b; ++ib)
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < e; ++j)
          x.out[0][std::size_t((ib * n + i) * e + j)] =
              x.in[0][std::size_t((ib * s + std::int64_t(x.in[1][std::size_t(i)])) * e + j)];
  }
  static std::vector<Case> cases() {
    return {{Attrs{},
             {sample({{'b', 2}, {'s', 6}, {'e', 20}}), Type(DType::i32, {{'n', 3}})},
             {Fill::normal, Fill::ids},
             6}};
  }
};

}  // namespace autarky
