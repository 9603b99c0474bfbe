#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "ops/fill.h"
#include "ops/movement.h"
#include "passes/partition.h"
#include "passes/verify.h"

namespace autarky {
namespace {

Layout without_pp(Layout layout) {
  std::erase_if(layout.partial, [](const Partial& p) { return p.axis == Axis::pp; });
  return layout;
}

bool take_innermost(std::vector<Axis>& axes, Axis axis) {
  if (axes.empty() || axes.back() != axis) return false;
  axes.pop_back();
  return true;
}

// What a movement makes of a layout; nothing where it does not apply.
std::optional<Layout> moved(const Node& node, Layout layout) {
  const auto dim = [&](std::int64_t i) -> std::vector<Axis>* {
    if (i == kFlatDim) return &layout.flat;
    return i < 0 || i >= std::int64_t(layout.split.size()) ? nullptr
                                                           : &layout.split[std::size_t(i)];
  };
  const auto add_up = [&](Axis axis, Combine how) {
    return std::erase_if(layout.partial, [&](const Partial& p) {
             return p.axis == axis && (p.how == Combine::one ? Combine::sum : p.how) == how;
           }) == 1;
  };
  const auto split = [&](std::int64_t i, Axis axis) {
    if (dim(i) != nullptr) dim(i)->push_back(axis);
    return dim(i) != nullptr;
  };
  bool fits = true;
  if (const auto* a = std::any_cast<AllReduce::Attrs>(&node.attrs)) fits = add_up(a->axis, a->how);
  else if (const auto* s = std::any_cast<ReduceScatter::Attrs>(&node.attrs))
    fits = add_up(s->axis, s->how) && split(s->dim, s->axis);
  else if (const auto* t = std::any_cast<AllToAll::Attrs>(&node.attrs))
    fits =
        dim(t->from_dim) && take_innermost(*dim(t->from_dim), t->axis) && split(t->to_dim, t->axis);
  else if (const auto* g = std::any_cast<AllGather::Attrs>(&node.attrs))
    fits = node.op == &op_info<Slice>() ? split(g->dim, g->axis)
                                        : dim(g->dim) && take_innermost(*dim(g->dim), g->axis);
  return fits ? std::optional(layout) : std::nullopt;
}

class LayoutVerifier {
 public:
  LayoutVerifier(const Graph& g, const Mesh& mesh) : g_(g), mesh_(mesh) {}

  void run() {
    for (const auto& port : g_.inputs) verify_value(port.value);
    for (const auto& node : g_.nodes) {
      for (Value v : node.out) verify_value(v);
      node.op->movement == Movement::none ? verify_operation(node) : verify_movement(node);
    }
  }

 private:
  [[noreturn]] void broken(const Node& node, std::string_view why) const {
    throw Error(fmt::format("the layouts are broken: {}", why))
        .at(fmt::format("block {}, {} ({})", g_.name, node.op->name, node.source));
  }
  [[noreturn]] void broken(Value v, std::string_view why) const {
    throw Error(fmt::format("the layouts are broken: {}", why))
        .at(fmt::format("block {}, %{}: {}", g_.name, v.id, to_string(g_.type(v))));
  }
  std::string text(const Layout& layout, const Type& type) const {
    const auto words = to_string(layout, type.dims);
    return words.empty() ? "whole" : "{" + words + "}";
  }

  void verify_value(Value v) const {
    const Type& type = g_.type(v);
    std::set<Axis> used;
    const auto use = [&](Axis axis) {
      if (mesh_.size(axis) == 1) broken(v, fmt::format("the mesh has no {}", axis_name(axis)));
      if (!used.insert(axis).second) broken(v, fmt::format("{} is used twice", axis_name(axis)));
    };
    for (std::size_t d = 0; d < type.dims.size(); ++d) {
      for (Axis axis : type.layout.split[d]) use(axis);
      if (kPaddable.find(type.dims[d].name) == kPaddable.npos &&
          type.dims[d].extent % pieces(mesh_, type.layout.split[d]) != 0)
        broken(v, fmt::format("dim '{}' does not divide", type.dims[d].name));
    }
    for (Axis axis : type.layout.flat) use(axis);
    for (const auto& p : type.layout.partial) use(p.axis);
  }

  void verify_movement(const Node& node) const {
    for (std::size_t i = 0; i < node.in.size(); ++i) {
      const Type &in = g_.type(node.in[i]), &out = g_.type(node.out[i]);
      const auto after = moved(node, in.layout);
      if (!after) broken(node, fmt::format("it does not apply to {}", to_string(in)));
      if (*after != out.layout)
        broken(node, fmt::format("it makes {} of {}, not {}", text(*after, out), to_string(in),
                                 text(out.layout, out)));
    }
  }

  // The axes that split each letter, which must be the same in all inputs. A letter that no input
  // has is split as the results say: every rank makes its own part.
  Assignment letters(const Node& node, const DimRule& rule) const {
    Assignment assigned;
    for (std::size_t i = 0; i < rule.in.size(); ++i)
      for (std::size_t d = 0; d < rule.in[i].size(); ++d) {
        const auto& axes = g_.type(node.in[i]).layout.split[d];
        const char name = rule.in[i][d].name;
        if (!axes.empty() && rule.is_whole(name))
          broken(node, fmt::format("dim '{}' of input {} must be whole", name, i));
        const auto [it, fresh] = assigned.try_emplace(name, axes);
        if (!fresh && it->second != axes)
          broken(node,
                 fmt::format("dim '{}' of input {} is not split as in another input", name, i));
      }
    for (std::size_t o = 0; o < rule.out.size(); ++o)
      for (std::size_t d = 0; d < rule.out[o].size(); ++d)
        assigned.try_emplace(rule.out[o][d].name, g_.type(node.out[o]).layout.split[d]);
    return assigned;
  }

  // The partials that the operation passes on: it must be linear in the inputs that have them.
  std::vector<Partial> passed(const Node& node, const std::vector<Layout>& results) const {
    const auto partial = [&](int i) {
      return without_pp(g_.type(node.in[std::size_t(i)]).layout).partial;
    };
    std::vector<Partial> kept;
    std::set<int> open;
    for (int i = 0; i < int(node.in.size()); ++i)
      if (!partial(i).empty()) open.insert(i);
    for (const auto& group : node.op->linear(node.attrs, node.in.size())) {
      if (std::none_of(group.begin(), group.end(), [&](int i) { return open.contains(i); }))
        continue;
      for (int i : group) {
        if (partial(i) != partial(group[0]))
          broken(node, fmt::format("inputs {} and {} are not partial alike", group[0], i));
        open.erase(i);
      }
      kept = partial(group[0]);
    }
    // An accumulator is partial as what is added into it.
    const auto aliases = node.op->aliases(node.attrs, node.in.size());
    for (std::size_t o = 0; o < aliases.size() && o < results.size(); ++o)
      if (aliases[o] >= 0 && partial(aliases[o]) == results[o].partial) open.erase(aliases[o]);
    if (!open.empty())
      broken(node, fmt::format("input {} is partial, and the operation is not linear in it",
                               *open.begin()));
    return kept;
  }

  // Operations on single elements may run on flat parts: their results are flat in the same way, or
  // sums over all elements.
  void pass_flat(const Node& node, std::vector<Layout>& results) const {
    const Type* like = nullptr;
    for (Value v : node.in) {
      const Type& t = g_.type(v);
      if (t.layout.flat.empty()) continue;
      if (like && (t.layout.flat != like->layout.flat || t.dims != like->dims))
        broken(node, "its flat inputs are not cut alike");
      like = &t;
    }
    if (!like) return;
    for (Value v : node.in)
      if (g_.type(v).dims == like->dims && g_.type(v).layout.flat.empty())
        broken(node, "some of its inputs are flat and some are not");
    for (std::size_t o = 0; o < results.size(); ++o) {
      if (g_.type(node.out[o]).dims == like->dims) results[o].flat = like->layout.flat;
      else
        for (Axis axis : like->layout.flat) results[o].add_partial({axis, Combine::sum});
    }
  }

  void verify_operation(const Node& node) const {
    // Zeros are a part of any sum of zeros.
    if (node.op == &op_info<FillWith>()) return;
    std::vector<Type> types;
    for (Value v : node.in) types.push_back(whole_type(g_.type(v)));
    const DimRule rule = node.op->rule(node.attrs, types);
    const Assignment assigned = letters(node, rule);
    std::vector<Layout> wanted;
    for (std::size_t o = 0; o < node.out.size(); ++o)
      wanted.push_back(output_layout(rule, o, assigned));
    pass_flat(node, wanted);
    const auto kept = passed(node, wanted);
    for (std::size_t o = 0; o < node.out.size(); ++o) {
      for (const auto& p : kept) wanted[o].add_partial(p);
      const Type& type = g_.type(node.out[o]);
      if (const auto found = without_pp(type.layout); found != wanted[o])
        broken(node, fmt::format("result {} is {}, but the rule leaves it {}", o, text(found, type),
                                 text(wanted[o], type)));
    }
  }

  const Graph& g_;
  const Mesh& mesh_;
};

}  // namespace

void verify_layouts(const Graph& graph, const Mesh& mesh) { LayoutVerifier(graph, mesh).run(); }

}  // namespace autarky
