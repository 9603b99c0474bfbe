#include "base/yaml.h"

#include <fmt/core.h>
#include <yaml-cpp/yaml.h>

#include "base/error.h"

namespace autarky {
namespace {

constexpr std::size_t kMostBytesOfValues = 2 << 20;
constexpr int kMostLevels = 64;

class Reader {
 public:
  Reader(std::string_view where, std::string_view what) : where_(where), what_(what) {}

  YamlNode read(const YAML::Node& from, int level = 0) {
    YamlNode node;
    node.line = from.Mark().is_null() ? 0 : from.Mark().line + 1;
    count(from, node.line);
    if (level > kMostLevels)
      throw InputError("nested too deeply")
          .at(at(node.line))
          .wanted(fmt::format("at most {} levels", kMostLevels));
    if (from.IsScalar()) {
      node.kind = YamlNode::Kind::scalar;
      node.text = from.Scalar();
    } else if (from.IsSequence()) {
      node.kind = YamlNode::Kind::list;
      for (const auto& element : from) node.items.push_back(read(element, level + 1));
    } else if (from.IsMap()) {
      node.kind = YamlNode::Kind::map;
      for (const auto& entry : from) {
        node.items.push_back(read(entry.first, level + 1));
        node.items.push_back(read(entry.second, level + 1));
        YamlNode& value = node.items.back();  // an empty one is marked where the next thing stands
        if (value.kind == YamlNode::Kind::null) value.line = node.items.end()[-2].line;
      }
    }
    return node;
  }

 private:
  std::string at(int line) const {
    return line == 0 ? std::string(where_) : fmt::format("{}:{}", where_, line);
  }

  // Aliases repeat what they name: a short file could say more than any memory holds.
  void count(const YAML::Node& node, int line) {
    bytes_ += node.IsScalar() ? node.Scalar().size() + 1 : 1;
    if (bytes_ > kMostBytesOfValues)
      throw InputError(fmt::format("too large for {}", what_))
          .at(at(line))
          .found("aliases that repeat too much")
          .wanted(fmt::format("at most {} bytes of values", kMostBytesOfValues));
  }

  const std::string_view where_, what_;
  std::size_t bytes_ = 0;
};

void emit(YAML::Emitter& out, const YamlNode& node) {
  const bool empty = node.items.empty();
  if (node.flow || empty) out << YAML::Flow;
  switch (node.kind) {
    case YamlNode::Kind::null:
      out << YAML::Null;
      break;
    case YamlNode::Kind::scalar:
      out << node.text;
      break;
    case YamlNode::Kind::list:
      out << YAML::BeginSeq;
      for (const auto& item : node.items) emit(out, item);
      out << YAML::EndSeq;
      break;
    case YamlNode::Kind::map:
      out << YAML::BeginMap;
      for (std::size_t i = 0; i + 1 < node.items.size(); i += 2) {
        out << YAML::Key << node.items[i].text << YAML::Value;
        emit(out, node.items[i + 1]);
      }
      out << YAML::EndMap;
  }
}

}  // namespace

YamlNode YamlNode::scalar(std::string text) {
  YamlNode node;
  node.kind = Kind::scalar;
  node.text = std::move(text);
  return node;
}

YamlNode YamlNode::list() {
  YamlNode node;
  node.kind = Kind::list;
  return node;
}

YamlNode YamlNode::map() {
  YamlNode node;
  node.kind = Kind::map;
  return node;
}

void YamlNode::add(std::string key, YamlNode value) {
  items.push_back(scalar(std::move(key)));
  items.push_back(std::move(value));
}

YamlNode parse_yaml(std::string_view text, std::string_view where, std::string_view what) {
  try {
    return Reader(where, what).read(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& e) {
    const std::string at =
        e.mark.is_null() ? std::string(where) : fmt::format("{}:{}", where, e.mark.line + 1);
    throw InputError("this is not YAML").at(at).found(e.msg);
  }
}

std::string to_yaml(const YamlNode& node) {
  YAML::Emitter out;
  emit(out, node);
  AUTARKY_CHECK(out.good(), out.GetLastError());
  return std::string(out.c_str(), out.size()) + "\n";
}

}  // namespace autarky
