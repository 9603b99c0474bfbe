#include "ir/type.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"
#include "base/words.h"

namespace autarky {

bool Layout::is_partial_over(Axis a) const {
  return std::any_of(partial.begin(), partial.end(), [&](const Partial& p) { return p.axis == a; });
}

void Layout::add_partial(Partial p) {
  if (is_partial_over(p.axis)) return;
  partial.insert(std::find_if(partial.begin(), partial.end(),
                              [&](const Partial& q) { return q.axis > p.axis; }),
                 p);
}

std::int64_t Type::elements() const {
  std::int64_t n = 1;
  for (const auto& d : dims) n *= d.extent;
  return n;
}

int Type::find(char name) const {
  for (std::size_t i = 0; i < dims.size(); ++i)
    if (dims[i].name == name) return int(i);
  return -1;
}

std::int64_t pieces(const Mesh& mesh, std::span<const Axis> axes) {
  std::int64_t n = 1;
  for (Axis a : axes) n *= mesh.size(a);
  return n;
}

std::int64_t piece_index(const Mesh& mesh, std::span<const Axis> axes, const Coordinates& at) {
  std::int64_t index = 0;
  for (Axis a : axes) index = index * mesh.size(a) + at[static_cast<std::size_t>(a)];
  return index;
}

DimPart dim_part(std::int64_t extent, const Mesh& mesh, std::span<const Axis> axes,
                 const Coordinates& at) {
  DimPart part{0, extent, extent};
  for (Axis a : axes) {
    const std::int64_t n = mesh.size(a);
    part.extent = (part.extent + n - 1) / n;
    const std::int64_t first = at[static_cast<std::size_t>(a)] * part.extent;
    part.origin += first;
    part.count = std::clamp<std::int64_t>(part.count - first, 0, part.extent);
  }
  return part;
}

DimPart part_of(const DimParts& parts, char name, std::int64_t extent) {
  const auto it = parts.find(name);
  return it == parts.end() ? DimPart{0, extent, extent} : it->second;
}

Type local_type(const Type& type, const Mesh& mesh) {
  Type local(type.dtype, type.dims);
  for (std::size_t i = 0; i < type.dims.size(); ++i)
    local.dims[i].extent =
        dim_part(type.dims[i].extent, mesh, type.layout.split[i], Coordinates{}).extent;
  if (type.layout.flat.empty()) return local;
  const auto blocks = (local.elements() + kFlatBlock - 1) / kFlatBlock;
  const auto n = pieces(mesh, type.layout.flat);
  return Type(type.dtype, {{'n', (blocks + n - 1) / n * kFlatBlock}});
}

Type whole_type(const Type& type) { return Type(type.dtype, type.dims); }

std::string to_string(const Layout& layout, std::span<const Dim> dims) {
  std::string text;
  const auto add = [&](char name, std::span<const Axis> axes) {
    if (axes.empty()) return;
    text += fmt::format("{}{}:", text.empty() ? "" : " ", name);
    for (std::size_t j = 0; j < axes.size(); ++j)
      text += fmt::format("{}{}", j ? "," : "", axis_name(axes[j]));
  };
  for (std::size_t i = 0; i < layout.split.size(); ++i) add(dims[i].name, layout.split[i]);
  add('*', layout.flat);
  if (!layout.partial.empty()) text += text.empty() ? "|" : " |";
  for (const auto& p : layout.partial)
    text += fmt::format(" {}={}", axis_name(p.axis), combine_name(p.how));
  return text;
}

std::string to_string(const Type& type) {
  std::string text = fmt::format("{}[", dtype_name(type.dtype));
  for (std::size_t i = 0; i < type.dims.size(); ++i)
    text += fmt::format("{}{}{}", i ? " " : "", type.dims[i].name, type.dims[i].extent);
  text += "]";
  if (const auto layout = to_string(type.layout, type.dims); !layout.empty())
    text += "{" + layout + "}";
  return text;
}

namespace {

[[noreturn]] void bad_type(std::string_view text, std::string_view why) {
  throw InputError(fmt::format("cannot read a type: {}", why))
      .found(fmt::format("'{}'", text))
      .wanted("a type like 'bf16[b4 s16 e64]{s:tp | dp=sum}'");
}

void parse_split(std::string_view item, Type& type, std::string_view whole) {
  const auto dim = type.find(item.front());
  const bool flat = item.front() == '*';
  if (item.size() < 3 || item[1] != ':' || (dim < 0 && !flat)) bad_type(whole, "bad split");
  auto& axes = flat ? type.layout.flat : type.layout.split[std::size_t(dim)];
  for (const auto& name : split(item.substr(2), ',')) {
    const auto axis = parse_axis(name);
    if (!axis) bad_type(whole, "unknown axis");
    axes.push_back(*axis);
  }
}

void parse_partial(std::string_view item, Type& type, std::string_view whole) {
  const auto equals = item.find('=');
  const auto axis = parse_axis(item.substr(0, equals));
  if (equals == std::string_view::npos || !axis) bad_type(whole, "bad partial");
  const auto* how =
      std::find(std::begin(kCombineNames), std::end(kCombineNames), item.substr(equals + 1));
  if (how == std::end(kCombineNames)) bad_type(whole, "unknown kind of partial");
  type.layout.add_partial({*axis, static_cast<Combine>(how - std::begin(kCombineNames))});
}

std::vector<Dim> parse_dims(std::string_view text, std::string_view whole) {
  constexpr std::int64_t kMostElements = std::int64_t(1) << 48;
  std::int64_t elements = 1;
  std::vector<Dim> dims;
  for (const auto& item : split(text, ' ')) {
    if (item.empty()) continue;
    Dim d{item[0], 0};
    const char* end = item.data() + item.size();
    const auto [stop, error] = std::from_chars(item.data() + 1, end, d.extent);
    if (stop != end || error != std::errc() || d.extent < 1 ||
        !std::isalpha(static_cast<unsigned char>(d.name)))
      bad_type(whole, "bad dim");
    if (d.extent > kMostElements / elements) bad_type(whole, "too many elements");
    elements *= d.extent;
    dims.push_back(d);
  }
  return dims;
}

}  // namespace

Type parse_type(std::string_view text) {
  const auto open = text.find('['), close = text.find(']');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    bad_type(text, "no dims in brackets");
  const auto dtype = parse_dtype(text.substr(0, open));
  if (!dtype) bad_type(text, "unknown element type");
  Type type(*dtype, parse_dims(text.substr(open + 1, close - open - 1), text));
  auto rest = text.substr(close + 1);
  if (rest.empty()) return type;
  if (rest.size() < 2 || rest.front() != '{' || rest.back() != '}') bad_type(text, "bad layout");
  bool partial = false;
  for (const auto& item : split(rest.substr(1, rest.size() - 2), ' ')) {
    if (item.empty()) continue;
    if (item == "|") partial = true;
    else if (partial) parse_partial(item, type, text);
    else parse_split(item, type, text);
  }
  return type;
}

}  // namespace autarky
