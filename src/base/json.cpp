#include "base/json.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/error.h"

namespace autarky {
namespace {

constexpr std::size_t kMaxDepth = 64;

// Sees a text's events before it becomes a value; refuses nesting beyond kMaxDepth and objects of
// more than `most` keys, or with `once` keys given twice. (The library's own callbacks while it
// parses take time quadratic in the size of lists.)
class Limits : public nlohmann::json_sax<Json> {
 public:
  Limits(std::size_t most, bool once, std::string_view where)
      : most_(most), once_(once), where_(where) {}

  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& key) override {
    if (++keys_.back() > most_)
      throw InputError(fmt::format("a JSON object of more than {} keys", most_)).at(where_);
    if (once_ && keys_.size() == 1 && !outermost_.insert(key).second)
      throw InputError(fmt::format("key '{}' is there twice", key)).at(where_);
    return true;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  // The parser, which comes next, says what is wrong.
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool open() {
    if (keys_.size() == kMaxDepth)
      throw InputError(fmt::format("JSON nested deeper than {} levels", kMaxDepth)).at(where_);
    keys_.push_back(0);
    return true;
  }
  bool close() {
    keys_.pop_back();
    return true;
  }

  std::size_t most_;
  bool once_;
  std::string_view where_;
  std::vector<std::size_t> keys_;  // of the objects and lists that are open
  std::unordered_set<std::string> outermost_;
};

template <typename AnyJson>
AnyJson parse(std::string_view text, std::string_view where, Limits limits) {
  Json::sax_parse(text, &limits);
  try {
    return AnyJson::parse(text);
  } catch (const typename AnyJson::parse_error& e) {
    throw InputError(fmt::format("not valid JSON at byte {} of {}", e.byte, text.size()))
        .at(where)
        .hint("The file may be truncated or not JSON at all");
  } catch (const typename AnyJson::exception& e) {  // a number beyond f64, for example
    throw InputError(fmt::format("not valid JSON: {}", e.what())).at(where);
  }
}

}  // namespace

Json parse_json(std::string_view text, std::string_view where) {
  return parse<Json>(text, where, Limits(kMostKeys, false, where));
}

Json read_json(const fs::path& path) {
  const MappedFile file(path);
  return parse_json(file.text(), path.string());
}

nlohmann::json parse_json_unordered(std::string_view text, std::string_view where) {
  return parse<nlohmann::json>(text, where, Limits(text.size(), true, where));
}

nlohmann::json read_json_unordered(const fs::path& path) {
  const MappedFile file(path);
  return parse_json_unordered(file.text(), path.string());
}

}  // namespace autarky
