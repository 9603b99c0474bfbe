// Reading a JSON file of another program: each access names the key it failed at.
#pragma once
#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace autarky {

// A value and the way to it, "tokenizer.json: model.vocab". The value must outlive the field.
// (Json of base/json.h keeps the order of keys and so looks each up in linear time: too slow for
// vocabularies.)
class JsonField {
 public:
  using Value = nlohmann::json;
  JsonField(const Value& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const Value& value() const { return *value_; }
  const std::string& where() const { return where_; }
  bool is_null() const { return value_->is_null(); }

  // A key of an object; null if it is not there.
  JsonField operator[](std::string_view key) const {
    static const Value null;
    need(value_->is_object(), "an object");
    const auto found = value_->find(std::string(key));
    return {found == value_->end() ? null : *found, fmt::format("{}.{}", where_, key)};
  }
  JsonField item(std::size_t i) const { return {value_->at(i), fmt::format("{}[{}]", where_, i)}; }
  std::size_t array_size() const {
    need(value_->is_array(), "an array");
    return value_->size();
  }
  const std::string& text() const {
    need(value_->is_string(), "a string");
    return value_->get_ref<const std::string&>();
  }
  std::string text_or(std::string_view otherwise) const {
    return is_null() ? std::string(otherwise) : text();
  }
  bool flag_or(bool otherwise) const {
    if (is_null()) return otherwise;
    need(value_->is_boolean(), "true or false");
    return value_->get<bool>();
  }
  std::int32_t id_below(std::int32_t limit) const {
    const bool fits =
        value_->is_number_unsigned() && value_->get<std::uint64_t>() < std::uint64_t(limit);
    need(fits, fmt::format("a whole number from 0 to {}", limit - 1));
    return value_->get<std::int32_t>();
  }

  void need(bool holds, std::string_view wanted) const {
    if (!holds) throw error("wrong value").found(shown()).wanted(wanted);
  }
  // What this program does not do; says what it does.
  void support(bool holds, std::string_view supported) const {
    if (!holds) throw error("not supported").found(shown()).wanted(supported);
  }
  InputError error(std::string_view what) const {
    InputError e{std::string(what)};
    e.at(where_);
    return e;
  }

 private:
  std::string shown() const {
    const std::string text = value_->dump(-1, ' ', true, Value::error_handler_t::replace);
    return text.size() <= 80 ? text : text.substr(0, 80) + "...";
  }

  const Value* value_;
  std::string where_;
};

// Parses a file; nesting is limited to 64 levels. Throws InputError.
nlohmann::json read_json_unordered(const fs::path& path);

}  // namespace autarky
