// embedding: rows of a table by id. With the vocabulary split, the rank that has the row gives it.
#pragma once
#include "ops/elementwise.h"

namespace autarky {

struct EmbeddingGrad {
  static constexpr std::string_view name = "embedding_grad";
  struct Attrs {
    std::int64_t rows = 0;  // of the table
    std::string dim = "v";  // and their dim's name
    DType out = DType::f32;
    bool accumulate = false;
    static constexpr auto fields() {
      return std::tuple{field("rows", &Attrs::rows), field("dim", &Attrs::dim),
                        field("out", &Attrs::out), field("accumulate", &Attrs::accumulate)};
    }
  };
  // ids [b s], dy [b s e], (accumulator [v e]) -> [v e]
  static DimRule rule(const Attrs& a, Types) {
    const std::string table = a.dim + " e";
    DimRule r =
        dim_rule(a.accumulate ? "b s, b s e, " + table + " -> " + table : "b s, b s e -> " + table);
    r.given[a.dim[0]] = a.rows;
    return r;
  }
  static std::vector<DType> out_dtypes(const Attrs& a, Types) { return {a.out}; }
  static std::vector<std::vector<int>> linear(const Attrs&, std::size_t n) {
    return n == 2 ? std::vector<std::vector<int>>{{1}} : std::vector<std::vector<int>>{};
  }
  static std::vector<int> aliases(const Attrs& a, std::size_t) {
    return a.accumulate ? std::vector<int>{2} : std::vector<int>{};
  }
  static std::optional<Attrs> accumulating(const Attrs& a, int) {
    if (a.accumulate) return std::nullopt;
    return Attrs{a.rows, a.dim, a.out, true};
  }
  static constexpr std::string_view not_differentiable = "second derivatives are not supported";
  // A look-up is no product: the rows are read once and added.
  static Cost cost(const Attrs& a, Types in, Types out) {
    const double rows = double(in[1].bytes());
    return {double(in[1].elements()), rows + 2 * double(in[1].elements() * byte_size(a.out)) +
                                          (a.accumulate ? 0 : double(out[0].bytes()))};
  }
  // table'[v] = sum over the tokens with id v of dy
  static void reference(const Attrs& a, const HostArgs& x) {
    const auto rows = x.count(x.out_types[0].dims[0]), e = x.out_types[0].dims[1].extent;
    for (std::size_t i = 0; i < x.out[0].size(); ++i) x.out[0][i] = a.accumulate ? x.in[2][i] : 0;
    for (std::size_t t = 0; t < x.in[0].size(); ++t) {
      const auto row = std::int64_t(x.in[0][t]) - x.origin(a.dim[0]);
      if (row < 0 || row >= rows) continue;
      for (std::int64_t j = 0; j < e; ++j)
        x.out[0][std::size_t(row * e + j)] += x.in[1][t * std::size_t(e) + std::size_t(j)];
    }
  }
  static std::vector<Case> cases() {
    const Type ids({DType::i32, {{'b', 2}, {'s', 6}}}),
        dy = sample({{'b', 2}, {'s', 6}, {'e', 20}});
    return {{Attrs{10}, {ids, dy}, {Fill::ids}, 10},
            {Attrs{10, "v", DType::f32, true},
             {ids, dy, sample({{'v', 10}, {'e', 20}})},
             {Fill::ids},
             10}};
  }
};

struct Embedding {
  static constexpr std::string_view name = "embedding";
  struct Attrs : NoAttrs {};
  // ids [b s], table [v e] -> [b s e]
  static DimRule rule(const Attrs&, Types in) {
    return dim_rule("b s, " + dim_names(input(in, 1)) + " -> one: b s e");
  }
  static std::vector<DType> out_dtypes(const Attrs&, Types in) { return {in[1].dtype}; }
  static std::vector<Grad> grad(const Attrs&, GradContext& c) {
    const Dim rows = c.graph.type(c.in[1]).dims[0];
    return {NotDifferentiable{"token ids are whole numbers"},
            apply<EmbeddingGrad>(c.graph, {rows.extent, std::string(1, rows.name), c.grad_dtype(1)},
                                 {c.in[0], *c.dout[0]})};
  }
  static Cost cost(const Attrs&, Types, Types out) { return {0, 2 * double(out[0].bytes())}; }
  // An id outside this rank's rows gives zeros.
  static void reference(const Attrs&, const HostArgs& x) {
    const auto rows = x.count(x.in_types[1].dims[0]), e = x.in_types[1].dims[1].extent;
    for (std::size_t t = 0; t < x.in[0].size(); ++t) {
      const auto row = std::int64_t(x.in[0][t]) - x.origin(x.in_types[1].dims[0].name);
      for (std::int64_t j = 0; j < e; ++j)
        x.out[0][t * std::size_t(e) + std::size_t(j)] =
            row < 0 || row >= rows ? 0 : x.in[1][std::size_t(row * e + j)];
    }
  }
  static std::vector<Case> cases() {
    return {{Attrs{},
             {Type(DType::i32, {{'b', 2}, {'s', 6}}), sample({{'v', 10}, {'e', 20}})},
             {Fill::ids},
             10}};
  }
};

}  // namespace autarky
