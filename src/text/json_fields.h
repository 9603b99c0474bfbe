// Reading a JSON file of another program: each access names the key it failed at.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
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
  bool is_null() const;

  // A key of an object; null if it is not there.
  JsonField operator[](std::string_view key) const;
  JsonField item(std::size_t i) const;
  std::size_t array_size() const;
  const std::string& text() const;
  std::string text_or(std::string_view otherwise) const;
  bool flag_or(bool otherwise) const;
  std::int32_t id_below(std::int32_t limit) const;

  void need(bool holds, std::string_view wanted) const;
  // What this program does not do; says what it does.
  void support(bool holds, std::string_view supported) const;
  InputError error(std::string_view what) const;

 private:
  std::string shown() const;

  const Value* value_;
  std::string where_;
};

}  // namespace autarky
