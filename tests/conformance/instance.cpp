#include "conformance/instance.h"

#include <fmt/core.h>

#include <algorithm>

#include "backend/reference/reference.h"
#include "base/rng.h"
#include "ops/operation.h"
#include "passes/autodiff.h"

namespace autarky {
namespace {

// One input to fill: `rows` of `columns` tokens for the kinds that describe tokens.
struct Filler {
  Fill fill;
  std::int64_t count, columns, id_limit;
  Size size;
  std::uint32_t stream;

  Values make() const {
    if (fill == Fill::normal) return normal_values(count, stream);
    Values v(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) v[std::size_t(i)] = token(i / columns, i % columns);
    return v;
  }
  std::int64_t bits(std::int64_t index) const {
    return std::int64_t(Random{11, Purpose::test, stream}.bits(std::uint64_t(index)) >> 1);
  }
  // The first row is one document; the others are packed, the second, when larger, with padding.
  double token(std::int64_t row, std::int64_t column) const {
    const std::int64_t document = row == 0 ? columns : 2 + columns / (1 + row % 3) / 2;
    const std::int64_t index = row * columns + column;
    switch (fill) {
      case Fill::positions:
        return double(column % document);
      case Fill::segments:
        return size != Size::small && row == 1 && column + 3 > columns ? -1
                                                                       : double(column / document);
      case Fill::targets:
        return index % 5 == 3 ? -1 : double(bits(index) % id_limit);
      case Fill::ids:
        return double(bits(index) % id_limit);
      default:
        return double(1 + bits(index) % 128) / 128;
    }
  }
};

std::int64_t scaled(Dim d, Size size) {
  constexpr std::string_view kScalars = "hnyz";  // lists of a fixed length, not of a model's size
  if (kScalars.find(d.name) != kScalars.npos) return d.extent;
  const bool head = d.name == 'd' || d.name == 'k';
  const bool outer = d.name == 'b' || d.name == 'g' || d.name == 'r';
  switch (size) {
    case Size::small:
      return d.extent;
    case Size::odd:
      if (outer) return d.extent + 1;
      return head ? 3 * d.extent : 3 * d.extent + 1;
    default:
      if (outer) return d.extent;
      return head                             ? 5 * d.extent
             : d.name == 's' || d.name == 't' ? 13 * d.extent + 1
                                              : 7 * d.extent + 1;
  }
}

// Letters whose extents the attributes fix stay.
void scale(const OpInfo& op, const std::any& attrs, Size size, std::vector<Type>& in) {
  const auto given = op.rule(attrs, in).given;
  for (auto& t : in)
    for (auto& d : t.dims)
      if (!given.contains(d.name)) d.extent = scaled(d, size);
}

// Attributes that name f32 mean the wide type.
std::any with_result_type(const OpInfo& op, const std::any& attrs, DType result) {
  std::string text = op.print(attrs);
  for (std::size_t at = 0; (at = text.find("=f32", at)) != text.npos; ++at)
    text.replace(at + 1, 3, dtype_name(result));
  return op.parse(text);
}

}  // namespace

Values normal_values(std::int64_t count, std::uint32_t stream) {
  const Random random{5, Purpose::test, stream};
  Values v(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = (double(random.bits(i) % 257) - 128) / 128;
  return v;
}

Values rounded(Values values, DType dtype) {
  const Type type(dtype, {{'n', std::int64_t(values.size())}});
  std::vector<std::byte> memory(static_cast<std::size_t>(type.bytes()));
  const Tensor t{memory.data(), &type};
  from_doubles(values, t);
  return to_doubles(t);
}

std::vector<Instance> instances(const OpInfo& op, const Case& c, Size size, DType dtype) {
  const DType wide = accumulate_dtype(dtype);
  std::vector<Type> in = c.in;
  bool narrow = false;  // some input is of the model's type
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i].dtype != DType::f32) continue;
    const bool is_wide = std::find(c.wide.begin(), c.wide.end(), int(i)) != c.wide.end();
    in[i].dtype = is_wide ? wide : dtype;
    narrow |= !is_wide;
  }
  if (!narrow && dtype != wide) return {};
  std::vector<std::any> forms = {with_result_type(op, c.attrs, wide)};
  const auto aliases = op.aliases(c.attrs, in.size());
  const auto narrow_form = with_result_type(op, c.attrs, dtype);
  if (aliases.empty() && op.print(narrow_form) != op.print(forms[0])) forms.push_back(narrow_form);
  scale(op, c.attrs, size, in);
  std::vector<Instance> all;
  for (const auto& attrs : forms) {
    Instance x{&op, attrs, in, output_types(op, attrs, in), {}, {}, {}};
    for (std::size_t o = 0; o < aliases.size() && o < x.out.size(); ++o)
      if (aliases[o] >= 0) x.in[std::size_t(aliases[o])].dtype = x.out[o].dtype;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const Fill fill = i < c.fill.size() ? c.fill[i] : Fill::normal;
      x.values.push_back(Filler{fill, in[i].elements(), in[i].dims.back().extent, c.id_limit, size,
                                std::uint32_t(i)}
                             .make());
    }
    x.label = fmt::format("{} {{{}}}", op.name, op.print(attrs));
    for (const auto& t : x.in) x.label += " " + to_string(t);
    all.push_back(std::move(x));
  }
  return all;
}

Graph graph_of(const Instance& x, const std::vector<int>& auxiliary) {
  Graph g;
  std::vector<Value> in;
  for (std::size_t i = 0; i < x.in.size(); ++i)
    in.push_back(g.add_input(fmt::format("in{}", i),
                             is_floating(x.in[i].dtype) ? PortKind::activation : PortKind::data,
                             x.in[i]));
  const auto out = g.add(*x.op, x.attrs, in, "conformance");
  for (std::size_t o = 0; o < out.size(); ++o)
    if (std::find(auxiliary.begin(), auxiliary.end(), int(o)) == auxiliary.end())
      g.add_output(fmt::format("out{}", o), PortKind::activation, out[o]);
  return g;
}

std::vector<Values> definition(const Instance& x) {
  std::vector<Values> out;
  for (const auto& t : x.out) out.emplace_back(std::size_t(t.elements()), 0.0);
  std::vector<std::span<const double>> in_spans(x.values.begin(), x.values.end());
  std::vector<std::span<double>> out_spans(out.begin(), out.end());
  x.op->reference(x.attrs, HostArgs{in_spans, out_spans, x.in, x.out, x.parts});
  return out;
}

namespace {

Instance instance_of(const Graph& g, const Node& node, const std::vector<Values>& values) {
  Instance x{node.op, node.attrs, {}, {}, {}, {}, {}};
  x.label = fmt::format("{} {{{}}}", node.op->name, node.op->print(node.attrs));
  for (Value v : node.in) {
    x.in.push_back(g.type(v));
    x.values.push_back(values[std::size_t(v.id)]);
    x.label += " " + to_string(g.type(v));
  }
  for (Value v : node.out) x.out.push_back(g.type(v));
  return x;
}

}  // namespace

std::vector<Values> evaluate(const Graph& g, const std::map<std::string, Values>& given) {
  std::vector<Values> values(g.values.size());
  for (const auto& p : g.inputs) values[std::size_t(p.value.id)] = given.at(p.name);
  for (const auto& node : g.nodes) {
    auto out = definition(instance_of(g, node, values));
    for (std::size_t o = 0; o < out.size(); ++o)
      values[std::size_t(node.out[o].id)] = rounded(std::move(out[o]), g.type(node.out[o]).dtype);
  }
  return values;
}

std::vector<Instance> gradient_instances(const Instance& forward, const Case& c) {
  const Graph joint = differentiate(graph_of(forward, c.auxiliary));
  std::map<std::string, Values> given;
  for (const auto& p : joint.inputs)
    given[p.name] = p.name.starts_with("in") ? forward.values[std::stoul(p.name.substr(2))]
                                             : normal_values(joint.type(p.value).elements(), 77);
  const auto values = evaluate(joint, given);
  std::vector<Instance> all;
  for (const auto& node : joint.nodes)
    if (node.phase == Phase::backward && node.op->cases().empty())
      all.push_back(instance_of(joint, node, values));
  return all;
}

}  // namespace autarky
