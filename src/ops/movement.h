// Operations that move values between devices. Each changes the layout and nothing else: on whole
// values they are the identity. The partition pass puts them in; the runtime carries them out.
#pragma once
#include <algorithm>

#include "ops/elementwise.h"

namespace autarky {

// In place of the index of a dim: the layout's `flat`.
inline constexpr std::int64_t kFlatDim = -1;

// The larger of what a rank has before and after: as collectives are measured.
inline std::int64_t bytes_moved(Types in, Types out) {
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < in.size() && i < out.size(); ++i)
    bytes += std::max(in[i].bytes(), out[i].bytes());
  return bytes;
}

// What all movements share; Self gives name and Attrs. Result i is input i in another layout: of
// several, all go in one message (passes/bucket.h).
template <class Self>
struct MovementOp {
  static constexpr Movement movement = Movement::collective;
  static constexpr std::string_view not_differentiable = "it is put in after differentiation";
  template <class A>
  static DimRule rule(const A&, Types in) {
    std::string dims = dim_names(input(in, 0));
    for (const Type& t : in.subspan(1)) dims += ", " + dim_names(t);
    return dim_rule(dims + " -> " + dims);
  }
  // Inputs may split a letter unlike each other: there is no product of extents.
  template <class A>
  static Cost cost(const A&, Types in, Types out) {
    Cost cost;
    for (Types side : {in, out})
      for (const Type& t : side) cost.bytes += double(t.bytes());
    return cost;
  }
  template <class A>
  static void reference(const A&, const HostArgs& x) {
    for (std::size_t i = 0; i < x.in.size(); ++i)
      std::copy(x.in[i].begin(), x.in[i].end(), x.out[i].begin());
  }
  static std::vector<Case> cases() { return {}; }  // shown by the layouts suite
};

// replicated <- partial
struct AllReduce : MovementOp<AllReduce> {
  static constexpr std::string_view name = "all_reduce";
  struct Attrs {
    Axis axis = Axis::tp;
    Combine how = Combine::sum;
    static constexpr auto fields() {
      return std::tuple{field("axis", &Attrs::axis), field("how", &Attrs::how)};
    }
  };
  static std::vector<int> aliases(const Attrs&, std::size_t inputs) {
    std::vector<int> own(inputs);
    for (std::size_t i = 0; i < inputs; ++i) own[i] = int(i);
    return own;
  }
};
// whole <- split dim
struct AllGather : MovementOp<AllGather> {
  static constexpr std::string_view name = "all_gather";
  struct Attrs {
    Axis axis = Axis::tp;
    std::int64_t dim = 0;  // index of the dim, or kFlatDim
    static constexpr auto fields() {
      return std::tuple{field("axis", &Attrs::axis), field("dim", &Attrs::dim)};
    }
  };
};
// split dim <- partial
struct ReduceScatter : MovementOp<ReduceScatter> {
  static constexpr std::string_view name = "reduce_scatter";
  struct Attrs {
    Axis axis = Axis::tp;
    std::int64_t dim = 0;  // or kFlatDim
    Combine how = Combine::sum;
    static constexpr auto fields() {
      return std::tuple{field("axis", &Attrs::axis), field("dim", &Attrs::dim),
                        field("how", &Attrs::how)};
    }
  };
};
// split to_dim <- split from_dim
struct AllToAll : MovementOp<AllToAll> {
  static constexpr std::string_view name = "all_to_all";
  struct Attrs {
    Axis axis = Axis::tp;
    std::int64_t from_dim = 0, to_dim = 0;
    static constexpr auto fields() {
      return std::tuple{field("axis", &Attrs::axis), field("from_dim", &Attrs::from_dim),
                        field("to_dim", &Attrs::to_dim)};
    }
  };
};
// split dim <- replicated; no traffic
struct Slice : MovementOp<Slice> {
  static constexpr std::string_view name = "slice";
  using Attrs = AllGather::Attrs;
};
// To the neighbouring stage: step +1 to the next, -1 to the one before.
struct Send {
  static constexpr std::string_view name = "send";
  static constexpr Movement movement = Movement::send;
  struct Attrs {
    std::int64_t step = 1;
    static constexpr auto fields() { return std::tuple{field("step", &Attrs::step)}; }
  };
  static constexpr std::string_view not_differentiable = "it is put in after differentiation";
  static DimRule rule(const Attrs&, Types in) { return same_dims_rule(in, 1, 0); }
  static std::vector<int> aliases(const Attrs&, std::size_t) { return {0}; }
  static void reference(const Attrs&, const HostArgs& x) {
    std::copy(x.in[0].begin(), x.in[0].end(), x.out[0].begin());
  }
  static std::vector<Case> cases() { return {}; }
};
// From the neighbouring stage, into the memory it is given.
struct Receive : Send {
  static constexpr std::string_view name = "receive";
  static constexpr Movement movement = Movement::receive;
};

}  // namespace autarky
