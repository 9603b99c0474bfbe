#include <fmt/core.h>

#include <array>

#include <nlohmann/json.hpp>

#include "text/steps_json.h"
#include "text/tokenizer_names.h"
#include "text/utf8.h"

namespace autarky {
namespace {

// Calls read(step) for the field itself or, in order, for the parts of a Sequence.
template <typename Read>
void each_step(const JsonField& field, const char* list_key, const Read& read) {
  if (field.is_null()) return;
  if (field["type"].text() != "Sequence") return read(field);
  const JsonField list = field[list_key];
  for (std::size_t i = 0; i < list.array_size(); ++i) each_step(list.item(i), list_key, read);
}

TextPattern read_pattern(const JsonField& field) {
  const bool literal = !field["String"].is_null();
  TextPattern pattern{literal ? field["String"].text() : field["Regex"].text(), literal};
  field.need(!pattern.text.empty(), "a pattern that is not empty");
  return pattern;
}

Replace read_replace(const JsonField& field) {
  return {read_pattern(field["pattern"]), field["content"].text()};
}

std::string one_character(const JsonField& field) {
  const std::string& text = field.text();
  std::size_t end = 0;
  if (!text.empty()) next_code_point(text, end);
  field.need(!text.empty() && end == text.size(), "one character");
  return text;
}

// Files of older versions say add_prefix_space instead.
Metaspace read_metaspace(const JsonField& field) {
  Metaspace step;
  step.replacement = one_character(field["replacement"]);
  if (const JsonField scheme = field["prepend_scheme"]; !scheme.is_null())
    step.scheme = read_name(scheme, kPrependSchemes);
  else if (!field["add_prefix_space"].flag_or(true)) step.scheme = PrependScheme::never;
  step.split = field["split"].flag_or(true);
  return step;
}

ByteLevel read_byte_level(const JsonField& field) {
  return {field["add_prefix_space"].flag_or(true), field["use_regex"].flag_or(true)};
}

NormalizerStep read_normalizer_step(const JsonField& field) {
  const JsonField type = field["type"];
  const std::string& name = type.text();
  if (name == "Prepend") return Prepend{field["prepend"].text()};
  if (name == "Replace") return read_replace(field);
  if (name == "Strip")
    return StripSpaces{field["strip_left"].flag_or(true), field["strip_right"].flag_or(true)};
  for (const auto& [form, form_name] : kNormalForms)
    if (name == form_name) return form;
  type.support(false, "NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip or their Sequence");
  return NormalForm::nfc;  // support() threw
}

PreTokenizerStep read_pre_tokenizer_step(const JsonField& field) {
  const JsonField type = field["type"];
  const std::string& name = type.text();
  if (name == "ByteLevel") return read_byte_level(field);
  if (name == "Metaspace") return read_metaspace(field);
  if (name == "Digits") return Digits{field["individual_digits"].flag_or(false)};
  if (name == "Punctuation") {
    const JsonField behavior = field["behavior"];
    return behavior.is_null() ? Punctuation{} : Punctuation{read_name(behavior, kSplitBehaviors)};
  }
  type.support(name == "Split",
               "ByteLevel, Split, Digits, Punctuation, Metaspace or their Sequence");
  return Split{read_pattern(field["pattern"]), read_name(field["behavior"], kSplitBehaviors),
               field["invert"].flag_or(false)};
}

int read_count(const JsonField& field) { return field.is_null() ? 0 : field.id_below(1 << 16); }

DecoderStep read_decoder_step(const JsonField& field) {
  const JsonField type = field["type"];
  const std::string& name = type.text();
  if (name == "ByteLevel") return read_byte_level(field);
  if (name == "Replace") return read_replace(field);
  if (name == "ByteFallback") return ByteFallback{};
  if (name == "Fuse") return Fuse{};
  if (name == "Metaspace") return read_metaspace(field);
  type.support(name == "Strip",
               "ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace or their Sequence");
  return StripEnds{one_character(field["content"]), read_count(field["start"]),
                   read_count(field["stop"])};
}

}  // namespace

void check_step_count(std::size_t count, std::string_view where) {
  constexpr std::size_t kMost = 16;
  if (count > kMost)
    throw InputError("too many steps")
        .at(where)
        .found(std::to_string(count))
        .wanted(fmt::format("at most {}", kMost));
}

std::vector<NormalizerStep> read_normalizer(const JsonField& field) {
  std::vector<NormalizerStep> steps;
  each_step(field, "normalizers",
            [&](const JsonField& step) { steps.push_back(read_normalizer_step(step)); });
  return steps;
}

std::vector<PreTokenizerStep> read_pre_tokenizer(const JsonField& field) {
  std::vector<PreTokenizerStep> steps;
  each_step(field, "pretokenizers", [&](const JsonField& step) {
    const bool behind = !steps.empty() && std::holds_alternative<ByteLevel>(steps.back());
    step["type"].support(!behind, "no step behind ByteLevel");
    steps.push_back(read_pre_tokenizer_step(step));
  });
  return steps;
}

std::vector<DecoderStep> read_decoder(const JsonField& field) {
  std::vector<DecoderStep> steps;
  each_step(field, "decoders",
            [&](const JsonField& step) { steps.push_back(read_decoder_step(step)); });
  return steps;
}

}  // namespace autarky
