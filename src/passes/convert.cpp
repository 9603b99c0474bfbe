#include "passes/convert.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "ops/movement.h"

namespace autarky {
namespace {

bool has(const std::vector<Axis>& axes, Axis axis) {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

// The dim that `axis` splits, or kFlatDim.
std::optional<std::int64_t> dim_split_by(const Layout& layout, Axis axis) {
  for (std::size_t d = 0; d < layout.split.size(); ++d)
    if (has(layout.split[d], axis)) return std::int64_t(d);
  return has(layout.flat, axis) ? std::optional(kFlatDim) : std::nullopt;
}

std::vector<Axis>& axes_of(Layout& layout, std::int64_t dim) {
  return dim == kFlatDim ? layout.flat : layout.split[std::size_t(dim)];
}

class Converter {
 public:
  Converter(Graph& graph, Value v, const Layout& wanted, const std::string& source)
      : graph_(graph), value_(v), wanted_(wanted), source_(source) {}

  Value run() {
    // Gathers come before slices so that every step starts from a legal layout.
    for (Axis axis : {Axis::tp, Axis::ep, Axis::cp, Axis::fsdp, Axis::dp, Axis::pp})
      resolve_partial(axis);
    for (Axis axis : {Axis::tp, Axis::ep, Axis::cp, Axis::fsdp, Axis::dp, Axis::pp})
      change_split(axis);
    AUTARKY_CHECK(layout() == wanted_, source_ + ": " + to_string(graph_.type(value_)) +
                                           " wanted " +
                                           to_string(wanted_, graph_.type(value_).dims));
    return value_;
  }

 private:
  const Layout& layout() const { return graph_.type(value_).layout; }

  template <class Op>
  void step(typename Op::Attrs attrs, const Layout& after) {
    const std::vector<Value> in = {value_};
    value_ = graph_.add(op_info<Op>(), std::any(attrs), in, source_).front();
    graph_.type(value_).layout = after;
  }

  void resolve_partial(Axis axis) {
    const auto it = std::find_if(layout().partial.begin(), layout().partial.end(),
                                 [&](const Partial& p) { return p.axis == axis; });
    if (it == layout().partial.end() || wanted_.is_partial_over(axis)) return;
    const Combine how = it->how == Combine::one ? Combine::sum : it->how;
    Layout after = layout();
    std::erase_if(after.partial, [&](const Partial& p) { return p.axis == axis; });
    const auto to = dim_split_by(wanted_, axis);
    if (to && how == Combine::sum) {
      axes_of(after, *to).push_back(axis);
      step<ReduceScatter>({axis, *to, how}, after);
    } else {
      step<AllReduce>({axis, how}, after);
    }
  }

  void change_split(Axis axis) {
    const auto from = dim_split_by(layout(), axis), to = dim_split_by(wanted_, axis);
    if (from == to) return;
    Layout after = layout();
    if (from) std::erase(axes_of(after, *from), axis);
    if (to) axes_of(after, *to).push_back(axis);
    if (from && to) step<AllToAll>({axis, *from, *to}, after);
    else if (from) step<AllGather>({axis, *from}, after);
    else step<Slice>({axis, *to}, after);
  }

  Graph& graph_;
  Value value_;
  const Layout& wanted_;
  const std::string& source_;
};

}  // namespace

Value convert_layout(Graph& graph, Value v, const Layout& wanted, const std::string& source) {
  return Converter(graph, v, wanted, source).run();
}

}  // namespace autarky
