// The data sheet of a chip, chips/*.yaml: peaks, memory, links, power and price, each figure with
// its mark and source.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "sim/measured.h"
#include "sim/network.h"

namespace autarky {

// By the type of the products' operands.
template <class F>
struct ByFormat {
  std::optional<F> bf16, f16, f32, fp8;

  static constexpr auto keys() {
    using S = ByFormat;
    return std::tuple{key("bf16", &S::bf16), key("f16", &S::f16), key("f32", &S::f32),
                      key("fp8", &S::fp8)};
  }
  const F* of(DType dtype) const {
    const auto& f = dtype == DType::bf16 ? bf16 : dtype == DType::f16 ? f16 : f32;
    return f && (dtype == DType::bf16 || dtype == DType::f16 || dtype == DType::f32) ? &*f
                                                                                     : nullptr;
  }
};

// A machine that is sold whole: the figures of its sheet are those of all its chips together.
struct SystemOf {
  std::string chip;
  std::int64_t chips = 0;

  static constexpr std::array<std::string_view, 2> kRequired = {"chip", "chips"};
  static constexpr auto keys() {
    using S = SystemOf;
    return std::tuple{key("chip", &S::chip), key("chips", &S::chips, between(1, 1e9))};
  }
};

struct ChipSheet {
  std::string id;  // the file's name
  std::string title, vendor;
  std::int64_t year = 0;
  std::optional<SystemOf> system;
  std::vector<std::string> sources;    // a place for the file's anchors
  ByFormat<Figure> peak_flops_per_s;   // of dense matrix products
  ByFormat<Share> sustained;           // what large matrix products reach of it
  std::optional<Figure> matrix_cores;  // SMs, CUs, AI cores, MXUs: what shares a product's tiles
  std::vector<std::int64_t> tile;      // rows and columns of a large product's tile; or none
  std::optional<Figure> memory_bytes, usable_memory_bytes, memory_bytes_per_s;
  std::optional<Share> sustained_memory;  // of memory_bytes_per_s
  std::vector<LinkSheet> links;           // tiers inside the node, from inner to outer
  std::optional<Figure> nic_bytes_per_s;  // typical, one direction, per chip
  std::string network;                    // its usual network: networks/NAME.yaml
  std::optional<Figure> power_w;
  std::optional<PriceRange> price_usd_per_hour, price_usd;
  std::optional<MeasuredTable<ProductPoint>> measured_products;
  std::optional<MeasuredTable<CollectivePoint>> measured_collectives;
  std::optional<Overlap> overlap;
  std::vector<std::string> unknown;  // required figures that the maker does not publish
  std::string notes;

  static constexpr std::array<std::string_view, 3> kRequired = {"title", "vendor", "year"};
  static constexpr bool kBrief = true;
  static constexpr auto keys() {
    using S = ChipSheet;
    return std::tuple{key("title", &S::title),
                      key("vendor", &S::vendor),
                      key("year", &S::year, between(1970, 2100)),
                      key("system", &S::system),
                      key("sources", &S::sources),
                      key("peak_flops_per_s", &S::peak_flops_per_s),
                      key("sustained", &S::sustained),
                      key("matrix_cores", &S::matrix_cores),
                      key("tile", &S::tile, between(1, 1e6)),
                      key("memory_bytes", &S::memory_bytes),
                      key("usable_memory_bytes", &S::usable_memory_bytes),
                      key("memory_bytes_per_s", &S::memory_bytes_per_s),
                      key("sustained_memory", &S::sustained_memory),
                      key("links", &S::links),
                      key("nic_bytes_per_s", &S::nic_bytes_per_s),
                      key("network", &S::network),
                      key("power_w", &S::power_w),
                      key("price_usd_per_hour", &S::price_usd_per_hour),
                      key("price_usd", &S::price_usd),
                      key("measured_products", &S::measured_products),
                      key("measured_collectives", &S::measured_collectives),
                      key("overlap", &S::overlap),
                      key("unknown", &S::unknown),
                      key("notes", &S::notes)};
  }
};

std::vector<std::string> chip_ids();
// Of the program's own sheets by id, or of a .yaml file by path. InputError: unknown (with the
// nearest names), or not a sheet (file, line, key, found, wanted).
ChipSheet chip_sheet(std::string_view id_or_path);
std::string to_yaml(const ChipSheet& sheet);

std::vector<NamedFigure> figures(const ChipSheet& sheet);  // all, with their dotted names

// Of the peaks for bf16, f16, f32 the first that there is; nullptr: none is known.
const Figure* training_peak(const ChipSheet& sheet);

// The chip's tiers inside the node, then those of the network that reach further. InputError where
// a speed that is needed is not known.
std::vector<LinkTier> link_tiers(const ChipSheet& chip, const NetworkSheet& network);

}  // namespace autarky
