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

// `L`: Layout, constant or not.
template <class L>
auto& axes_of(L& layout, std::int64_t dim) {
  return dim == kFlatDim ? layout.flat : layout.split[std::size_t(dim)];
}

// Inner axes first: neighbours talk first.
constexpr Axis kOrder[] = {Axis::tpr, Axis::tp, Axis::ep, Axis::cp, Axis::fsdp, Axis::dp, Axis::pp};

class Converter {
 public:
  Converter(Graph& graph, Value v, const Layout& wanted, const std::string& source)
      : graph_(graph), value_(v), wanted_(wanted), source_(source) {}

  // Gathers come before slices so that every step starts from a legal layout. A dim's axes are
  // taken off from the innermost and put on from the outermost.
  Value run() {
    repeat([&](Axis axis) { return resolve_partial(axis, false); });
    repeat([&](Axis axis) { return resolve_partial(axis, true); });
    repeat([&](Axis axis) { return take_off(axis); });
    repeat([&](Axis axis) { return put_on(axis); });
    AUTARKY_CHECK(layout() == wanted_, source_ + ": " + to_string(graph_.type(value_)) +
                                           " wanted " +
                                           to_string(wanted_, graph_.type(value_).dims));
    return value_;
  }

 private:
  const Layout& layout() const { return graph_.type(value_).layout; }

  // Until there is nothing left that `change` does for any axis.
  template <class Change>
  void repeat(const Change& change) {
    for (bool changed = true; changed;) {
      changed = false;
      for (Axis axis : kOrder) changed |= change(axis);
    }
  }

  template <class Op>
  bool step(typename Op::Attrs attrs, const Layout& after) {
    const std::vector<Value> in = {value_};
    value_ = graph_.add(op_info<Op>(), std::any(attrs), in, source_).front();
    graph_.type(value_).layout = after;
    return true;
  }

  // Whether `axis` is the next that the dim, as it is split now, wants; `flat` when all dims are
  // right.
  bool is_next(std::int64_t dim, Axis axis) const {
    const auto &now = axes_of(layout(), dim), &all = axes_of(wanted_, dim);
    if (dim == kFlatDim && layout().split != wanted_.split) return false;
    return now.size() < all.size() && std::equal(now.begin(), now.end(), all.begin()) &&
           all[now.size()] == axis;
  }

  bool resolve_partial(Axis axis, bool all) {
    const auto it = std::find_if(layout().partial.begin(), layout().partial.end(),
                                 [&](const Partial& p) { return p.axis == axis; });
    if (it == layout().partial.end() || wanted_.is_partial_over(axis)) return false;
    const Combine how = it->how == Combine::one ? Combine::sum : it->how;
    Layout after = layout();
    std::erase_if(after.partial, [&](const Partial& p) { return p.axis == axis; });
    const auto to = dim_split_by(wanted_, axis);
    const bool scatters = to && how == Combine::sum;
    if (scatters && is_next(*to, axis)) {
      axes_of(after, *to).push_back(axis);
      return step<ReduceScatter>({axis, *to, how}, after);
    }
    return scatters && !all ? false : step<AllReduce>({axis, how}, after);
  }

  // An axis that is innermost now and not wanted there; `flat` cuts what the dims leave.
  bool take_off(Axis axis) {
    const auto from = dim_split_by(layout(), axis);
    if (!from || axes_of(layout(), *from).back() != axis || stays(*from)) return false;
    if (*from != kFlatDim && !layout().flat.empty()) return false;
    Layout after = layout();
    axes_of(after, *from).pop_back();
    const auto to = dim_split_by(wanted_, axis);
    if (!to || to == from || !is_next(*to, axis)) return step<AllGather>({axis, *from}, after);
    axes_of(after, *to).push_back(axis);
    return step<AllToAll>({axis, *from, *to}, after);
  }

  // Whether the dim's axes are the first of those it wants; likewise.
  bool stays(std::int64_t dim) const {
    const auto &now = axes_of(layout(), dim), &all = axes_of(wanted_, dim);
    if (dim == kFlatDim && layout().split != wanted_.split) return false;
    return now.size() <= all.size() && std::equal(now.begin(), now.end(), all.begin());
  }

  bool put_on(Axis axis) {
    const auto to = dim_split_by(wanted_, axis);
    if (!to || dim_split_by(layout(), axis) || !is_next(*to, axis)) return false;
    Layout after = layout();
    axes_of(after, *to).push_back(axis);
    return step<Slice>({axis, *to}, after);
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
