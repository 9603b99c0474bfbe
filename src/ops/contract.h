// contract: a product of two tensors, summed over the dims that the result does not have.
#pragma once
#include "base/error.h"
#include "base/words.h"
#include "ops/operation.h"

namespace autarky {

struct Contract {
  static constexpr std::string_view name = "contract";
  struct Attrs {
    std::string spec;         // "b s e, f e -> b s f"
    DType out = DType::f32;   // element type of the result
    bool accumulate = false;  // adds into a third input, which the result takes over
    static constexpr auto fields() {
      return std::tuple{field("spec", &Attrs::spec), field("out", &Attrs::out),
                        field("accumulate", &Attrs::accumulate)};
    }
  };
  // The three lists of a spec: left, right, result.
  struct Spec {
    std::string left, right, out;
  };
  static Spec parse(const std::string& text) {
    const auto comma = text.find(','), arrow = text.find("->");
    if (comma == text.npos || arrow == text.npos || arrow < comma)
      throw InputError("bad contraction").found("'" + text + "'").wanted("'b s e, f e -> b s f'");
    const auto part = [&](std::size_t from, std::size_t to) {
      return std::string(trim(std::string_view(text).substr(from, to - from)));
    };
    return {part(0, comma), part(comma + 1, arrow), part(arrow + 2, text.size())};
  }

  static DimRule rule(const Attrs& a, Types) {
    DimRule r = dim_rule(a.spec, 2);
    if (a.accumulate) r.in.push_back(r.out[0]);
    return r;
  }
  static std::vector<DType> out_dtypes(const Attrs& a, Types) { return {a.out}; }
  static std::vector<std::vector<int>> linear(const Attrs& a, std::size_t) {
    return a.accumulate ? std::vector<std::vector<int>>{} : std::vector<std::vector<int>>{{0}, {1}};
  }
  static std::vector<int> aliases(const Attrs& a, std::size_t) {
    return a.accumulate ? std::vector<int>{2} : std::vector<int>{};
  }
  static std::optional<Attrs> accumulating(const Attrs& a, int) {
    if (a.accumulate) return std::nullopt;
    return Attrs{a.spec, a.out, true};
  }

  static std::vector<Grad> grad(const Attrs& a, GradContext& c) {
    const Spec s = parse(a.spec);
    const Value dout = c.dout[0].value();
    return {apply<Contract>(c.graph, {s.out + ", " + s.right + " -> " + s.left, c.grad_dtype(0)},
                            {dout, c.in[1]}),
            apply<Contract>(c.graph, {s.out + ", " + s.left + " -> " + s.right, c.grad_dtype(1)},
                            {dout, c.in[0]})};
  }

  // out[o] = (accumulator[o]) + sum over reduced letters of left[l] * right[r]
  static void reference(const Attrs& a, const HostArgs& x) {
    const DimRule r = rule(a, x.in_types);
    const Extents extents = bind_extents(r, x.in_types);
    const auto letters = r.letters();
    const auto strides = [&](const std::vector<RuleDim>& dims) {
      std::vector<std::int64_t> by_letter(letters.size(), 0);
      std::int64_t stride = 1;
      for (std::size_t d = dims.size(); d-- > 0; stride *= extents.at(dims[d].name))
        for (std::size_t l = 0; l < letters.size(); ++l)
          if (letters[l] == dims[d].name) by_letter[l] = stride;
      return by_letter;
    };
    const auto left = strides(r.in[0]), right = strides(r.in[1]), out = strides(r.out[0]);
    for (std::size_t i = 0; i < x.out[0].size(); ++i) x.out[0][i] = a.accumulate ? x.in[2][i] : 0;
    std::vector<std::int64_t> at(letters.size(), 0);
    const auto offset = [&](const std::vector<std::int64_t>& by_letter) {
      std::int64_t o = 0;
      for (std::size_t l = 0; l < at.size(); ++l) o += at[l] * by_letter[l];
      return std::size_t(o);
    };
    for (bool more = true; more;) {
      x.out[0][offset(out)] += x.in[0][offset(left)] * x.in[1][offset(right)];
      more = false;
      for (std::size_t l = letters.size(); l-- > 0 && !more;) {
        more = ++at[l] < extents.at(letters[l]);
        if (!more) at[l] = 0;
      }
    }
  }

  static std::vector<Case> cases() {
    const Dim b{'b', 2}, s{'s', 6}, e{'e', 8}, f{'f', 12}, g{'g', 2}, r{'r', 3}, d{'d', 4};
    const auto t = [](std::vector<Dim> dims) { return Type(DType::f32, std::move(dims)); };
    return {{Attrs{"b s e, f e -> b s f"}, {t({b, s, e}), t({f, e})}, {}},
            {Attrs{"b s e, e f -> b s f"}, {t({b, s, e}), t({e, f})}, {}},
            {Attrs{"b s e, g r d e -> b s g r d"}, {t({b, s, e}), t({g, r, d, e})}, {}},
            {Attrs{"b s g r d, e g r d -> b s e"}, {t({b, s, g, r, d}), t({e, g, r, d})}, {}},
            {Attrs{"b s g r d, b s e -> g r d e"}, {t({b, s, g, r, d}), t({b, s, e})}, {}},
            {Attrs{"b s f, b s e -> e f"}, {t({b, s, f}), t({b, s, e})}, {}},
            {Attrs{"b s f, b s e -> f e", DType::f32, true},
             {t({b, s, f}), t({b, s, e}), t({f, e})},
             {}}};
  }
};

}  // namespace autarky
