#include "text/json_fields.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace autarky {

bool JsonField::is_null() const { return value_->is_null(); }

JsonField JsonField::operator[](std::string_view key) const {
  static const Value null;
  need(value_->is_object(), "an object");
  const auto found = value_->find(std::string(key));
  return {found == value_->end() ? null : *found, fmt::format("{}.{}", where_, key)};
}

JsonField JsonField::item(std::size_t i) const {
  return {value_->at(i), fmt::format("{}[{}]", where_, i)};
}

std::size_t JsonField::array_size() const {
  need(value_->is_array(), "an array");
  return value_->size();
}

const std::string& JsonField::text() const {
  need(value_->is_string(), "a string");
  return value_->get_ref<const std::string&>();
}

std::string JsonField::text_or(std::string_view otherwise) const {
  return is_null() ? std::string(otherwise) : text();
}

bool JsonField::flag_or(bool otherwise) const {
  if (is_null()) return otherwise;
  need(value_->is_boolean(), "true or false");
  return value_->get<bool>();
}

std::int32_t JsonField::id_below(std::int32_t limit) const {
  const bool fits =
      value_->is_number_unsigned() && value_->get<std::uint64_t>() < std::uint64_t(limit);
  need(fits, fmt::format("a whole number from 0 to {}", limit - 1));
  return value_->get<std::int32_t>();
}

void JsonField::need(bool holds, std::string_view wanted) const {
  if (!holds) throw error("wrong value").found(shown()).wanted(wanted);
}

void JsonField::support(bool holds, std::string_view supported) const {
  if (!holds) throw error("not supported").found(shown()).wanted(supported);
}

InputError JsonField::error(std::string_view what) const {
  InputError e{std::string(what)};
  e.at(where_);
  return e;
}

std::string JsonField::shown() const {
  const std::string text = value_->dump(-1, ' ', true, Value::error_handler_t::replace);
  return text.size() <= 80 ? text : text.substr(0, 80) + "...";
}

}  // namespace autarky
