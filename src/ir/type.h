// The type of a value: element type, named dims, and its layout over the mesh.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "ir/mesh.h"

namespace autarky {

// A dimension of a tensor, named by a letter (b batch, s sequence, e embedding, g kv groups, r
// queries per group, d head size, f feed-forward, v vocabulary, ...). `extent` is that of the
// whole.
struct Dim {
  char name = '?';
  std::int64_t extent = 0;
  bool operator==(const Dim&) const = default;
};

// How the parts of a value that is partial over an axis make the whole.
enum class Combine : std::uint8_t {
  sum,  // added
  max,  // the greatest
  lse,  // log of the sum of exponentials
  one,  // exactly one rank contributes, the others hold zero
};
inline constexpr std::string_view kCombineNames[] = {"sum", "max", "lse", "one"};
constexpr std::string_view combine_name(Combine c) {
  return kCombineNames[static_cast<std::size_t>(c)];
}

struct Partial {
  Axis axis;
  Combine how;
  bool operator==(const Partial&) const = default;
};

// Where a value lies: for each dim the ordered axes that split it, the axes that cut what this
// leaves on a rank once more, and the axes over which it is partial. Axes not named hold replicas.
// No other place carries that knowledge.
struct Layout {
  std::vector<std::vector<Axis>> split;  // one list per dim, outermost axis first
  std::vector<Partial> partial;          // sorted by axis
  // The elements of a rank, row-major, are cut into equal runs of whole blocks of kFlatBlock
  // elements; the last ones may have less, or nothing, and are filled up with zeros.
  std::vector<Axis> flat;
  bool operator==(const Layout&) const = default;

  bool is_partial_over(Axis a) const;
  void add_partial(Partial p);  // keeps the order; an axis already there is left
};

// Sums of many elements are made block by block (ops/exact_sum.h), so cuts between blocks keep
// them.
inline constexpr std::int64_t kFlatBlock = 4096;

struct Type {
  DType dtype = DType::f32;
  std::vector<Dim> dims;
  Layout layout;  // split.size() == dims.size()

  Type() = default;
  Type(DType t, std::vector<Dim> d) : dtype(t), dims(std::move(d)) {
    layout.split.resize(dims.size());
  }
  bool operator==(const Type&) const = default;

  std::int64_t elements() const;
  std::int64_t bytes() const { return elements() * byte_size(dtype); }
  // Index of the dim of that name, or -1.
  int find(char name) const;
};
using Types = std::span<const Type>;

// Number of pieces that `axes` cut a dim into.
std::int64_t pieces(const Mesh& mesh, std::span<const Axis> axes);
// Index of a rank's piece among them.
std::int64_t piece_index(const Mesh& mesh, std::span<const Axis> axes, const Coordinates& at);
// A rank's part of a split dim: one axis after the other cuts it into equal parts, rounded up. What
// goes beyond the whole is padding, and holds zeros.
struct DimPart {
  std::int64_t origin = 0;  // in the whole
  std::int64_t extent = 0;  // the same on all ranks
  std::int64_t count = 0;   // of it, not padding
  bool operator==(const DimPart&) const = default;
};
DimPart dim_part(std::int64_t extent, const Mesh& mesh, std::span<const Axis> axes,
                 const Coordinates& at);
// By dim letter, those that are split.
using DimParts = std::map<char, DimPart>;
// That of a dim, of which `extent` are here.
DimPart part_of(const DimParts& parts, char name, std::int64_t extent);

// What one rank has room for of a value: extents as dim_part says; one dim 'n' where it is flat;
// layout all whole.
Type local_type(const Type& type, const Mesh& mesh);
// Same element type and dims, all whole.
Type whole_type(const Type& type);

// "bf16[b4 s1024 e768]{s:tp | dp=sum}"; the braces are left out where nothing is split or partial.
// "*:dp" stands for flat.
std::string to_string(const Type& type);
std::string to_string(const Layout& layout, std::span<const Dim> dims);
// The inverse; throws InputError.
Type parse_type(std::string_view text);

}  // namespace autarky
