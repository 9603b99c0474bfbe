// Tables of a sheet that was measured on the chip, by `autarky chip bench`.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/figure.h"

namespace autarky {

enum class ProductType : std::uint8_t { bf16, f16, f32, fp8 };
constexpr auto words(const ProductType*) {
  using T = ProductType;
  return std::array{Words<T>{"bf16", T::bf16}, Words<T>{"f16", T::f16}, Words<T>{"f32", T::f32},
                    Words<T>{"fp8", T::fp8}};
}

// [rows inner] x [inner columns], operands of `type`.
struct ProductPoint {
  std::int64_t rows = 0, inner = 0, columns = 0;
  ProductType type = ProductType::bf16;
  double flops_per_s = 0;

  static constexpr std::array<std::string_view, 5> kRequired = {"rows", "inner", "columns", "type",
                                                                "flops_per_s"};
  static constexpr bool kFlow = true;
  static constexpr auto keys() {
    using S = ProductPoint;
    return std::tuple{key("rows", &S::rows, between(1, 1e9)),
                      key("inner", &S::inner, between(1, 1e9)),
                      key("columns", &S::columns, between(1, 1e9)), key("type", &S::type),
                      key("flops_per_s", &S::flops_per_s, above(0))};
  }
};

// `bytes`: the whole vector that is reduced, gathered or exchanged, as each rank holds it.
struct CollectivePoint {
  std::string collective;  // all_reduce reduce_scatter all_gather all_to_all
  std::int64_t ranks = 0, bytes = 0;
  double seconds = 0;
  double bus_bytes_per_s = 0;  // what each rank sends over its link, by a ring

  static constexpr std::array<std::string_view, 5> kRequired = {"collective", "ranks", "bytes",
                                                                "seconds", "bus_bytes_per_s"};
  static constexpr bool kFlow = true;
  static constexpr auto keys() {
    using S = CollectivePoint;
    return std::tuple{key("collective", &S::collective), key("ranks", &S::ranks, between(2, 1e9)),
                      key("bytes", &S::bytes, between(1, 1e15)),
                      key("seconds", &S::seconds, above(0)),
                      key("bus_bytes_per_s", &S::bus_bytes_per_s, above(0))};
  }
};

template <class Point>
struct MeasuredTable {
  std::string source;
  std::vector<Point> points;

  static constexpr std::array<std::string_view, 2> kRequired = {"source", "points"};
  static constexpr auto keys() {
    using S = MeasuredTable;
    return std::tuple{key("source", &S::source), key("points", &S::points)};
  }
};

// What is left of each one's rate alone while matrix products and an all-reduce run at once.
struct Overlap {
  Share products, transfers;

  static constexpr std::array<std::string_view, 2> kRequired = {"products", "transfers"};
  static constexpr auto keys() {
    using S = Overlap;
    return std::tuple{key("products", &S::products), key("transfers", &S::transfers)};
  }
};

}  // namespace autarky
